"""The data set `textures`: generated scenes and textures, endless or with a fixed number of styles."""

from __future__ import annotations

import pytest
import torch
from i2i_style.textures import Textures


def test_a_sample_is_a_function_of_its_number_and_the_seed() -> None:
    data, again, other = Textures(16), Textures(16), Textures(16, seed=1)
    for name in ("a", "b"):
        assert torch.equal(data[3][name], again[3][name])
        assert not torch.equal(data[3][name], data[4][name])
        assert not torch.equal(data[3][name], other[3][name])
        assert data[3][name].shape == (3, 16, 16)
        assert data[3][name].abs().max() <= 1
    assert int(data[3]["style"]) == 3


def test_each_run_of_samples_shows_every_fixed_style_once_in_a_new_order() -> None:
    data = Textures(16, styles=4)
    runs = [[int(data[4 * run + index]["style"]) for index in range(4)] for run in range(6)]
    assert all(sorted(run) == [0, 1, 2, 3] for run in runs)
    assert len({tuple(run) for run in runs}) > 1
    sample = data[2]
    assert torch.equal(sample["b"], data.textures([int(sample["style"])])[0])


def test_previews_show_held_out_scenes_and_fixed_styles() -> None:
    assert {name: len(rows) for name, rows in Textures(16).preview(5).items()} == {"a": 5, "b": 5}
    few = Textures(16, styles=3)
    assert torch.equal(few.preview(5)["b"], few.textures(range(3)))


def test_styles_differ_in_colour_and_in_texture() -> None:
    colours = Textures(32, styles=6).textures(range(6)).mean((2, 3))
    assert torch.pdist(colours).min() > 0.05


def test_negative_numbers_are_refused() -> None:
    with pytest.raises(IndexError, match="textures: samples are numbered from 0, got -1"):
        Textures(16)[-1]
