"""Trains `fomm_small`, and measures what it reconstructs, transfers and finds on sprites that it was not trained on.

    python -m pytest -m slow plugins/i2i-fomm/tests/slow -s

Minutes on one thread; prints every figure.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from i2i_fomm.animation import Animator
from i2i_fomm.equivariance import random_spline
from i2i_fomm.sprites import Pose, Sprite, SpritePairs, random_pose
from i2i_fomm.translator import FirstOrderMotion, to_unit
from torch import Tensor

import i2i
from i2i import cli
from i2i.data.images import to_image

SIZE, COUNT = 32, 64
HELD_OUT = 2**60
DATA = SpritePairs(size=SIZE)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fomm") / "run"
    assert cli.run(["train", "fomm_small", "--set", "train.workers=0", "--output", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def translator(run: Path) -> FirstOrderMotion:
    translator = i2i.load(run, device="cpu").translator
    assert isinstance(translator, FirstOrderMotion)
    return translator


def poses(count: int) -> list[tuple[Sprite, Sprite, Pose, Pose]]:
    """Return a sprite, another one, and two poses, for each of the held-out numbers."""
    draws = np.random.default_rng(0)
    sprites = [DATA.sprite(HELD_OUT + number) for number in range(count)]
    pairs = [(random_pose(draws), random_pose(draws)) for _ in range(count)]
    return [(sprites[n], sprites[n - 1], *pairs[n]) for n in range(count)]


def sprite_mask(image: Tensor, sprite: Sprite) -> Tensor:
    """Return where an image [3, H, W] in [0, 1] is more like the sprite's colours than like its background."""

    def distance(colour: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Tensor:
        return (image - torch.tensor(colour)[:, None, None]).square().sum(0)

    return torch.minimum(distance(sprite.body), distance(sprite.arm)) < distance(sprite.background)


def overlap(first: Tensor, second: Tensor) -> float:
    """Return the intersection of two masks divided by their union."""
    return float((first & second).sum() / (first | second).sum())


@pytest.mark.slow
def test_reconstruction_is_three_times_better_than_copying(
    translator: FirstOrderMotion, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = DATA.preview(COUNT)
    with torch.no_grad():
        fake = torch.cat(
            [
                translator.translate(pairs["source"][n : n + 1], "driving", pairs["driving"][n : n + 1]).image
                for n in range(COUNT)
            ]
        )
    error = float((fake - pairs["driving"]).abs().mean())
    copying = float((pairs["source"] - pairs["driving"]).abs().mean())
    with capsys.disabled():
        print(f"\nreconstruction: L1 {error / 2:.4f}, copying {copying / 2:.4f}, ratio {error / copying:.3f}")
    assert error <= copying / 3


@pytest.mark.slow
def test_motion_is_transferred_to_another_sprite(
    translator: FirstOrderMotion, capsys: pytest.CaptureFixture[str]
) -> None:
    moved, still = [], []
    for sprite, other, start, end in poses(COUNT):
        source, initial, driving = (
            DATA.frame(s, pose)[None] for s, pose in ((sprite, start), (other, start), (other, end))
        )
        with torch.no_grad():
            image = translator.translate(source, "driving", driving, initial).image[0]
        truth = sprite_mask(to_unit(DATA.frame(sprite, end)), sprite)
        moved.append(overlap(sprite_mask(to_unit(image), sprite), truth))
        still.append(overlap(sprite_mask(to_unit(source[0]), sprite), truth))
    with capsys.disabled():
        print(f"\ntransfer: IoU {np.mean(moved):.3f}, not moving {np.mean(still):.3f}")
    assert np.mean(moved) > 0.7
    assert np.mean(moved) > np.mean(still) + 0.2


@pytest.mark.slow
def test_keypoints_follow_transforms_of_the_image(
    translator: FirstOrderMotion, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = DATA.preview(COUNT)["driving"]
    normal = torch.randn(COUNT, 6 + 25, generator=torch.Generator().manual_seed(0))
    spline = random_spline(normal, 5, 0.05, 0.005)
    with torch.no_grad():
        found = translator.keypoints(to_unit(frames)).value
        moved = translator.keypoints(spline.warp_images(to_unit(frames), True)).value
        pixels = (found - spline.warp_points(moved)).norm(dim=-1).mean() * (SIZE - 1) / 2
    with capsys.disabled():
        print(f"\nequivariance: {float(pixels):.3f} px")
    assert pixels <= 1


@pytest.mark.slow
def test_absolute_equals_relative_for_the_same_sprite(run: Path) -> None:
    sprite, _, start, end = poses(1)[0]
    steps = [Pose(start.center, start.angle + t * (end.angle - start.angle)) for t in (0.0, 0.5, 1.0)]
    driving = [np.asarray(to_image(DATA.frame(sprite, pose))) for pose in steps]
    loaded, source = i2i.load(run, device="cpu"), to_image(DATA.frame(sprite, start))
    relative, absolute = (list(Animator(loaded, source, relative=flag).frames(driving)) for flag in (True, False))
    for first, second in zip(relative, absolute, strict=True):
        assert np.abs(first.astype(int) - second).max() <= 1
    assert np.abs(relative[0].astype(int) - relative[-1]).max() > 50  # it moves at all
