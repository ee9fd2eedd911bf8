"""Trains `paints_small` and measures on held-out drawings what one hint in each region does.

    python -m pytest -m slow plugins/i2i-paints/tests/slow -s

Minutes on one thread. `I2I_MEASURED_RUN=FOLDER` measures a run that is there already.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

pytest.importorskip("i2i_paints", reason="the plugin i2i-paints is not installed")

from i2i_paints.color import no_hints, rgb_to_yuv
from i2i_paints.data import DrawnRegions

import i2i
from i2i.recipe.recipe import Recipe

COUNT = 32
HELD_OUT = 2**61
"""Number of the first measured drawing; training reads small numbers, and the sample grid those from 2**60 on."""
LEAST = 12
"""Pixels without line that a region needs to be measured."""


class Figures(NamedTuple):
    """Errors and changes of colours, in units of [-1, 1] per channel.

    Args:
        without: mean absolute colour error of regions without hints.
        hinted: the same with one hint in each region.
        own: change of a region's colour, relative to the change of its hint.
        others: change of the other regions, relative to the same.
        finite: whether all colours without hints are finite.
        plausible: share of regions whose colours without hints are within [-0.95, 0.95] or so, that is not clipped.
    """

    without: float
    hinted: float
    own: float
    others: float
    finite: bool
    plausible: float


class Case(NamedTuple):
    """A drawing with the pixels of its regions, and a place for a hint in each."""

    color: Tensor
    line: Tensor
    regions: list[Tensor]
    places: list[tuple[int, int]]


def cases() -> list[Case]:
    data, found = DrawnRegions(), []
    for number in range(HELD_OUT, HELD_OUT + COUNT):
        color, line, labels = data.drawing(np.random.Generator(np.random.PCG64([data.seed, number])))
        regions, places = [], []
        for label in labels.unique():
            inside = (labels == label) & (line[0] > 0.99)
            if int(inside.sum()) < LEAST:
                continue
            # The pixel that survives most erosions: the middle of the region, as a person would choose it.
            depth, left = torch.zeros(inside.shape), inside.float()[None, None]
            while bool(left.any()):
                depth += left[0, 0]
                left = -F.max_pool2d(-F.pad(left, (1, 1, 1, 1)), 3, 1)
            regions.append(inside)
            places.append((int(depth.argmax()) // labels.shape[1], int(depth.argmax()) % labels.shape[1]))
        found.append(Case(color, line, regions, places))
    return found


def hinted(case: Case, colors: list[Tensor]) -> Tensor:
    """Return hints with one dab of 3 x 3 pixels in each region."""
    hints = no_hints(case.color)
    for (row, column), color in zip(case.places, colors, strict=True):
        value = rgb_to_yuv(color.view(1, 3, 1, 1))[0, :, 0, 0]
        hints[:, max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2] = value[:, None, None]
    return hints


@torch.no_grad()
def measure(translator: Any) -> Figures:
    without, with_hints, own, others, finite, plausible = [], [], [], [], [], []
    draws = np.random.Generator(np.random.PCG64(7))
    for case in cases():
        true = [case.color[:, *place] for place in case.places]

        def colored(hint: Tensor | None, case: Case = case) -> Tensor:
            image: Tensor = translator.translate(case.line[None], "color", None if hint is None else hint[None]).image
            return image[0]

        plain, good = colored(None), colored(hinted(case, true))
        finite.append(bool(plain.isfinite().all()))
        for region, color in zip(case.regions, true, strict=True):
            without.append(float((plain[:, region] - color[:, None]).abs().mean()))
            with_hints.append(float((good[:, region] - color[:, None]).abs().mean()))
            plausible.append(float((plain[:, region].abs() < 0.99).float().mean()))
        for index, color in enumerate(true):
            target = torch.from_numpy(draws.uniform(-0.6, 1, 3).astype(np.float32))
            moved = colored(hinted(case, [*true[:index], target, *true[index + 1 :]]))
            wanted = (target - color).abs().mean()
            for other, region in enumerate(case.regions):
                change = (moved - good)[:, region].mean(1)
                if other == index:
                    own.append(float((change * (target - color)).sum() / (target - color).square().sum()))
                else:
                    others.append(float(change.abs().mean() / wanted))
    mean = lambda values: float(np.mean(values))  # noqa: E731
    return Figures(mean(without), mean(with_hints), mean(own), mean(others), all(finite), mean(plausible))


@pytest.mark.slow
def test_hints_color_their_regions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path(os.environ.get("I2I_MEASURED_RUN") or tmp_path / "run")
    if not folder.exists():
        i2i.train(Recipe.read("paints_small"), folder)
    figures = measure(i2i.load(folder, "cpu").translator)
    with capsys.disabled():
        print(f"\n{figures}")
    assert figures.finite
    assert figures.plausible >= 0.95
    assert figures.hinted <= figures.without / 3
    assert figures.own >= 0.5
    assert figures.others <= 0.05
