"""The data set `digits`: labels, numbers, pairs, and the fonts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from i2i_dtn.digits import Digits
from i2i_dtn.glyphs import PRINTED, WRITTEN, curve, distance, oval, straight


def test_a_sample_follows_from_its_number_and_the_seed() -> None:
    sample, again, other = Digits(16)[5], Digits(16)[5], Digits(16, seed=1)[5]
    assert sample.keys() == set(Digits().streams)
    assert all(torch.equal(sample[stream], again[stream]) for stream in sample)
    assert not torch.equal(sample["a"], other["a"])
    assert sample["labels"].dtype == torch.int64
    for domain in "ab":
        assert sample[domain].shape == (3, 16, 16)
        assert -1 <= sample[domain].min() < sample[domain].max() <= 1
    with pytest.raises(IndexError, match="numbered from 0"):
        Digits(16)[-1]


def test_labels_are_the_source_domains_and_all_occur() -> None:
    digits = Digits(16)
    labels = [int(digits[number]["labels"]) for number in range(60)]
    assert labels == [digits.digit(2 * number).label for number in range(60)]
    assert set(labels) == set(range(10))


def test_pairs_and_previews_are_held_out() -> None:
    digits = Digits(16)
    pairs, preview = digits.pairs(3), digits.preview(3)
    assert torch.equal(pairs["labels"], digits.pairs(5)["labels"][:3])
    assert not torch.equal(pairs["a"], preview["a"])
    assert pairs["a"].shape == preview["b"].shape == (3, 3, 16, 16)


def test_both_digits_of_a_pair_have_the_same_place() -> None:
    digits = Digits(32)
    pairs = digits.pairs(40)
    axis = torch.arange(32) - 15.5
    written = (pairs["b"].mean(1) + 1) / 2
    across = (written.sum(1) * axis).sum(1) / written.sum((1, 2))
    expected = torch.tensor([16 * digits.digit(2**61 + number).center[0] for number in range(40)])
    assert torch.corrcoef(torch.stack([across, expected]))[0, 1] > 0.5


def test_written_digits_are_white_on_black_and_printed_ones_coloured() -> None:
    pairs = Digits(32).pairs(20)
    assert (pairs["b"][:, 0] == pairs["b"][:, 2]).all()
    assert ((pairs["b"] + 1) / 2).median() == 0
    assert (pairs["a"].amax(1) - pairs["a"].amin(1)).mean() > 0.2


def test_distance_to_polylines() -> None:
    x, y = np.array([[0.0, 3.0]]), np.array([[2.0, 4.0]])
    np.testing.assert_allclose(distance([straight((-1, 0), (0, 0))], x, y), [[2, 5]])
    np.testing.assert_allclose(distance([straight((-1, 0), (0, 0)), straight((3, 0), (3, 3))], x, y), [[2, 1]])


def test_curves_pass_through_their_points() -> None:
    line = curve((0, 0), (1, 2), (3, 1))
    assert all(np.abs(line - point).sum(1).min() < 1e-9 for point in ((0, 0), (1, 2), (3, 1)))
    closed = oval((1, 0), (2, 1))
    np.testing.assert_allclose(((closed - [1, 0]) / [2, 1]) ** 2 @ [1, 1], 1)
    np.testing.assert_allclose(closed[0], closed[-1], atol=1e-9)


def test_the_fonts_differ_but_most_digits_match() -> None:
    grid = np.meshgrid(np.linspace(-1, 1, 24), np.linspace(-1, 1, 24))
    printed, written = ([distance(lines, *grid) < 0.15 for lines in font] for font in (PRINTED, WRITTEN))
    overlap = np.array([[(w & p).sum() / (w | p).sum() for p in printed] for w in written])
    assert overlap.shape == (10, 10)
    assert (overlap.diagonal() < 0.97).all()
    assert (overlap.argmax(1) == np.arange(10)).sum() >= 7
