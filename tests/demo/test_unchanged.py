"""Drawn images stay what they are: published runs, figures and documentation were made with them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from i2i.core.contracts import Dataset
from i2i.demo.portraits import PortraitPairs, Portraits
from i2i.demo.shapes import Shapes


def fingerprint(dataset: Dataset) -> list[float]:
    """Projections of some samples, previews and held-out pairs on fixed random signs: one number for each domain."""
    numbers = []
    for domain in "ab":
        images = [dataset[number][domain] for number in (0, 1, 2, 9)]
        images += [*dataset.preview(2)[domain], *dataset.pairs(3)[domain]]  # type: ignore[attr-defined]
        pixels = torch.stack(images).double().numpy()
        signs = np.random.RandomState(0).randint(0, 2, pixels.shape) * 2.0 - 1
        numbers.append(float((pixels * signs).sum()))
    return numbers


@pytest.mark.parametrize(
    ("dataset", "expected"),
    [
        (Shapes(32), [-77.8592, -45.9894]),
        (Shapes(24, color_a="white", color_b="random", paired=True, seed=3), [-165.3832, -140.1188]),
        (Portraits(48), [-47.594, 108.2161]),
        (PortraitPairs(32, count=7, seed=2), [60.1158, 92.3291]),
    ],
    ids=["shapes", "paired shapes", "portraits", "portrait pairs"],
)
def test_images_are_the_same_in_every_version(dataset: Dataset, expected: list[float]) -> None:
    # Functions such as exp differ by a rounding error between processors; one level of one pixel is 0.008.
    assert fingerprint(dataset) == pytest.approx(expected, abs=2e-3)
