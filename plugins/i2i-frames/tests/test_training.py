"""The small recipes train, their runs interpolate; frames of clips are read; depth decides which sprite is shown."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from i2i_frames.depth import DepthAware
from i2i_frames.interpolation import Interpolator
from i2i_frames.rife import RIFE4, IFNet
from i2i_frames.sprites import FAR, MovingSprite, MovingSprites, Scene
from i2i_frames.triplets import FrameTriplets
from i2i_frames.warping import adaptive_warping, depth_aware_projection, warp

from i2i import cli
from i2i.data.images import to_image
from i2i.errors import DataError, I2IError

TINY = {
    "rife_small": ["translator.network.channels=[8, 8, 8]", "translator.network.context=2"],
    "depth_aware_small": [
        "translator.network.flow_channels=[8, 8, 8]",
        *(f"translator.network.{name}_channels=4" for name in ("depth", "context", "kernel", "rectify")),
    ],
}


def run(*arguments: object) -> None:
    assert cli.run([str(argument) for argument in arguments]) == 0


@pytest.mark.parametrize("recipe", TINY)
def test_a_run_interpolates(recipe: str, tmp_path: Path) -> None:
    settings = [*TINY[recipe], "data.size=32", "train.steps=2", "train.batch_size=2", "train.workers=0"]
    run("train", recipe, *(part for s in settings for part in ("--set", s)), "--output", tmp_path / "run")
    scene = MovingSprites(size=32).scene(0)
    first, last = (np.asarray(to_image(scene.frame(t, 40)[0][:, :, :36])) for t in (0, 1))
    interpolator = Interpolator(tmp_path / "run", "cpu", detect_cuts=False)
    early, late = interpolator.at(first, last, [Fraction(1, 4), Fraction(3, 4)])
    assert early.shape == first.shape
    assert not np.array_equal(early, late)


def test_a_network_for_the_middle_halves_the_distance() -> None:
    network = IFNet((8, 8, 8), 2).eval()
    interpolator = Interpolator(device="cpu", detect_cuts=False)
    interpolator.network = network
    scene = MovingSprites(size=32).scene(0)
    first, last = (np.asarray(to_image(scene.frame(t, 32)[0])) for t in (0, 1))
    (half,) = interpolator.at(first, last, [Fraction(1, 2)])
    images = [torch.from_numpy(x.copy()).permute(2, 0, 1)[None] / 255 for x in (first, last)]
    with torch.no_grad():
        middle = network(*images)[0].image
        quarter = network(images[0], middle)[0].image
    assert np.abs(half - (255 * middle[0]).permute(1, 2, 0).numpy()).max() <= 0.51
    (found,) = interpolator.at(first, last, [Fraction(1, 4)])
    assert np.abs(found - (255 * quarter[0]).permute(1, 2, 0).numpy()).max() <= 0.51


def test_every_parameter_of_the_depth_aware_network_is_trained() -> None:
    torch.manual_seed(0)
    network = DepthAware((8, 8, 8), 4, 4, 4, 4)
    for layer in (network.kernels.last, network.rectify[-1]):
        torch.nn.init.normal_(layer.weight, std=0.1)  # the zeros that it begins with pass no gradient on
    data = MovingSprites(size=32)[0]
    first, last, truth = ((data[name][None] + 1) / 2 for name in ("first", "last", "between"))
    result = network(first, last, data["time"][None])
    ((result.image - truth).square().mean() + result.inverse_depth.mean()).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("front", [0, 1])
def test_with_the_true_depth_the_nearer_sprite_is_shown(front: int) -> None:
    """Two sprites apart from each other meet in the middle; with the true flow the depth alone decides who is seen."""
    stripes = (5.0, 7.0, 0.0)
    sprites = [
        MovingSprite("disc", (0.9, 0.2, 0.2), stripes, 0.3, (-0.5, 0.0), (1.0, 0.0), 0.0, 0.9 if front == 0 else 0.4),
        MovingSprite("box", (0.2, 0.3, 0.9), stripes, 0.3, (0.5, 0.0), (-1.0, 0.0), 0.0, 0.9 if front == 1 else 0.4),
    ]
    scene = Scene((0.2, 0.5, 0.2), stripes, (sprites[1 - front], sprites[front]))
    (first, depth), (truth, _) = scene.frame(0, 64), scene.frame(0.5, 64)
    alone = [Scene((0.0, 0.0, 0.0), stripes, (sprite,)).frame(0.5, 64)[1][0] for sprite in sprites]
    covered = (alone[0] > FAR) & (alone[1] > FAR)
    assert covered.sum() > 100
    flow, errors = scene.flow(0, 0.5, 64)[None], []
    for weight in (depth, 1 / depth):
        # DAIN's weights blend what meets; their power shows the nearer pixel alone.
        projected, _ = depth_aware_projection(flow, weight[None] ** 16)
        errors.append(float((warp(first[None], projected)[0] - truth).abs().mean(0)[covered].mean()))
    assert errors[0] < 0.05
    assert errors[1] > 5 * errors[0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_places_are_not_rounded_in_translation(dtype: torch.dtype) -> None:
    """In float16, places in a row of 600 pixels would be rounded to half a pixel."""
    torch.manual_seed(0)
    image, flow = torch.rand(2, 3, 8, 600).to(dtype), (torch.randn(2, 2, 8, 600) * 2).to(dtype)
    flow[0, :, 0] = 0
    expected = warp(image.double(), flow.double().requires_grad_()).detach()
    kernel = torch.zeros(2, 4, 4, 8, 600, dtype=dtype)
    kernel[:, 1:3, 1:3] = 1
    with torch.no_grad():
        found, adapted = warp(image, flow), adaptive_warping(image, flow, kernel.flatten(1, 2))
        broken = warp(image, torch.full_like(flow, torch.nan))
    assert found.dtype == dtype
    assert float((found - expected).abs().max()) < 4 * torch.finfo(dtype).eps
    assert torch.equal(found[0, :, 0], image[0, :, 0])
    assert broken.isfinite().all()  # valid pixels, as with gradients
    moved = (adapted != image).any(1, keepdim=True)  # others lie outside, and are copied
    assert moved.float().mean() > 0.5
    assert float(((adapted - expected).abs() * moved).max()) < 4 * torch.finfo(dtype).eps


def test_adaptive_warping_with_ones_inside_is_bilinear() -> None:
    torch.manual_seed(0)
    image, flow = torch.rand(2, 3, 9, 8, dtype=torch.double), torch.rand(2, 2, 9, 8, dtype=torch.double) * 0.9
    kernel = torch.zeros(2, 4, 4, 9, 8, dtype=torch.double)
    kernel[:, 1:3, 1:3] = 1
    found, expected = adaptive_warping(image, flow, kernel.flatten(1, 2)), warp(image, flow)
    assert torch.allclose(found[:, :, :-1, :-1], expected[:, :, :-1, :-1])
    assert torch.equal(found[:, :, -1, -1], image[:, :, -1, -1])  # its place is outside
    arguments = (image[:1, :1, :4, :4], flow[:1, :, :4, :4], torch.rand(1, 16, 4, 4, dtype=torch.double))
    torch.autograd.gradcheck(adaptive_warping, [x.clone().requires_grad_() for x in arguments])


def test_clips_give_three_frames(tmp_path: Path) -> None:
    scene = MovingSprites(size=32).scene(1)
    for clip, count in (("a/one", 3), ("a/two", 5)):
        (tmp_path / clip).mkdir(parents=True)
        for number in range(count):
            to_image(scene.frame(number / 4, 32)[0]).save(tmp_path / clip / f"im{number}.png")
    data = FrameTriplets(tmp_path, size=32, gap=2, augment=False)
    assert len(data) == 4
    for number in range(4):
        assert torch.equal(data[number]["between"], data[number]["between"])  # type: ignore[arg-type]
        assert float(data[number]["time"].mean()) == 0.5  # type: ignore[attr-defined]
    times = {float(FrameTriplets(tmp_path, size=16, gap=4)[n]["time"].mean()) for n in range(12)}  # type: ignore[attr-defined]
    assert times == {0.25, 0.5, 0.75}
    assert data.preview(2)["last"].shape == (2, 3, 32, 32)
    with pytest.raises(DataError, match="at least 9 frames"):
        FrameTriplets(tmp_path, size=32, gap=8)


def test_an_official_checkpoint_becomes_a_run(tmp_path: Path) -> None:
    network = RIFE4((8, 8, 8, 8), 2)
    torch.save({f"module.{name}": value for name, value in network.state_dict().items()}, tmp_path / "flownet.pkl")
    run("import", "rife4", tmp_path / "flownet.pkl", "--output", tmp_path / "run")
    scene = MovingSprites(size=32).scene(0)
    first, last = (np.asarray(to_image(scene.frame(t, 32)[0])) for t in (0, 1))
    interpolators = [Interpolator(tmp_path / name, "cpu", detect_cuts=False) for name in ("run", "flownet.pkl")]
    assert np.array_equal(*(next(one.at(first, last, [Fraction(1, 3)])) for one in interpolators))


def test_other_runs_are_refused(tmp_path: Path) -> None:
    run("train", "cyclegan_small", "--set", "train.steps=1", "--output", tmp_path / "run")
    with pytest.raises(I2IError, match="no run of frame_interpolation"):
        Interpolator(tmp_path / "run", "cpu")
