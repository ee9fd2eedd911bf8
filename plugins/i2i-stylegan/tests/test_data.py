"""Data of one domain: folders with and without classes, and drawn domains with a cache."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from i2i_stylegan.data import ImageFolder, OneDomain
from PIL import Image

from i2i.core.kinds import DATASET
from i2i.errors import I2IError


def test_a_folder(tmp_path: Path) -> None:
    """Images keep their aspect and are cropped to squares; subfolders are classes."""
    for name, value in (("cats", 0), ("dogs", 255)):
        (tmp_path / name).mkdir()
        for number in range(2):
            pixels = np.full((20, 40, 3), value, np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")
    data = ImageFolder(tmp_path, ("cats", "dogs"), size=16)
    samples = [data[number] for number in range(8)]
    assert all(sample["image"].shape == (3, 16, 16) for sample in samples)  # type: ignore[attr-defined]
    assert all(float(sample["image"].mean()) == 2 * int(sample["label"]) - 1 for sample in samples)  # type: ignore[attr-defined, call-overload]
    assert sorted(int(sample["label"]) for sample in samples[:4]) == [0, 0, 1, 1]  # type: ignore[call-overload]
    assert data.preview(3)["image"].shape == (3, 3, 16, 16)
    assert set(ImageFolder(tmp_path, size=16).streams) == {"image"}
    grey = ImageFolder(tmp_path, size=16, channels=1)
    assert grey.streams["image"].channels == 1
    assert grey[0]["image"].shape == grey.preview(1)["image"][0].shape == (1, 16, 16)  # type: ignore[attr-defined]
    with pytest.raises(I2IError, match="birds"):
        ImageFolder(tmp_path, ("birds",), size=16)


def test_kept_samples_are_shown_in_a_new_order() -> None:
    drawn = DATASET("shapes", size=16, count=8)
    kept, plain = OneDomain(drawn, cache=True), OneDomain(drawn)
    epochs = [[kept[number] for number in range(start, start + len(kept))] for start in (0, len(kept))]
    order = lambda samples: [float(sample["image"].sum()) for sample in samples]  # noqa: E731
    assert order(epochs[0]) != order(epochs[1])
    assert sorted(order(epochs[0])) == sorted(order(epochs[1])) == sorted(order([plain[k] for k in range(len(plain))]))
    assert kept[3]["skipped"] == []
    assert torch.equal(OneDomain(drawn, cache=True)[11]["image"], kept[11]["image"])
