"""The integral, partial gradients, growing, training, sampling as a clip, latent tools, drawn boxes, and mistakes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from i2i_cips3d.boxes import DrawnBoxes, render_boxes
from i2i_cips3d.camera import FRONT
from i2i_cips3d.generator import CIPS3DGenerator, Draws
from i2i_cips3d.volume import integrate, resample
from i2i_stylegan.latents import breed, interpolate, mix
from PIL import Image

import i2i
from i2i import cli
from i2i.engine.stepper import Stepper
from i2i.errors import I2IError
from i2i.methods.assembly import dry_run
from i2i.recipe.recipe import Recipe
from i2i.recipe.source import RecipeError

SIZES = {"nerf_z": 4, "nerf_hidden": 6, "nerf_styles": 6, "inr_z": 4, "inr_hidden": 6, "inr_styles": 8, "features": 5}
TINY: dict[str, Any] = {f"translator.generator.{name}": value for name, value in SIZES.items()} | {
    "translator.generator.samples": 4,
    "translator.discriminators.image.channel_base": 64,
    "translator.discriminators.auxiliary.channel_base": 64,
    "train.steps": 2,
    "train.batch_size": 2,
    "train.workers": 0,
    "train.sample_every": 0,
}


def run(*arguments: object) -> int:
    return cli.run([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("I2I_PLUGINS", "stylegan,cips3d")
        i2i.train(Recipe.read("cips3d_small", TINY), folder)
    return folder


def generator(size: int = 32, **options: Any) -> CIPS3DGenerator:
    torch.manual_seed(0)
    return CIPS3DGenerator(image_size=size, **SIZES, **options).double()


def test_the_integral_of_a_homogeneous_medium_is_exact() -> None:
    """A constant density s lets exp(-s t) of the light of depth t pass: exactly, whatever the samples are."""
    depth = torch.tensor([0.0, 0.3, 0.35, 0.9, 1.0], dtype=torch.float64).view(1, 5, 1)
    density = torch.full((1, 5, 1), 2.0, dtype=torch.float64)
    found = integrate(torch.ones(1, 5, 1, dtype=torch.float64), density, depth)
    passed = torch.exp(-2 * depth[:, :, 0])
    expected = torch.cat([passed[:, :-1] - passed[:, 1:], passed[:, -1:]], 1)
    torch.testing.assert_close(found.weights[..., 0], expected, rtol=1e-8, atol=1e-9)
    torch.testing.assert_close(found.feature, torch.ones(1, 1, dtype=torch.float64), rtol=1e-8, atol=0)
    empty = integrate(torch.ones(1, 5, 1), -density.float(), depth.float())
    assert empty.feature == 0
    # All samples of a piece that has all of the weight lie in it.
    drawn = resample(torch.arange(4.0)[None], torch.tensor([[0.0, 1e6, 0.0]]), torch.rand(1, 50))
    assert ((drawn >= 1) & (drawn <= 2)).all()


def test_gradients_of_chosen_rays_are_those_of_the_whole_image() -> None:
    network = generator(samples=3, resamples=2)
    ws = network.mapping(torch.randn(2, network.z_dim, dtype=torch.float64))
    pose = FRONT + torch.tensor([[0.2, 0.1], [-0.3, 0.0]], dtype=torch.float64)
    draws = Draws(*(torch.rand(shape).double() for shape in network.draw_shapes(2, 32).values()))
    chosen = torch.randperm(32**2)[:100]
    mask = torch.zeros(32**2).index_fill_(0, chosen, 1).view(32, 32)
    views, gradients = [], []
    for rays in (None, chosen):
        view = network.render(ws, pose, draws, 0.5, rays)
        loss = ((view.image + view.auxiliary) * mask).square().sum()
        views.append(view)
        gradients.append(torch.autograd.grad(loss, list(network.siren.parameters()), retain_graph=True))
    for one, other in zip(views[0], views[1], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)
    with torch.no_grad():
        torch.testing.assert_close(network.render(ws, pose, draws, 0.5).image, views[0].image)


def test_sizes_share_the_object_and_larger_ones_have_more_layers() -> None:
    network = generator(64)
    network.grow_(32, 1.0)
    assert network.active_ws < network.num_ws
    ws = network.mapping(torch.randn(1, network.z_dim, dtype=torch.float64))
    pose = torch.full((1, 2), FRONT, dtype=torch.float64)
    small = network.render(ws, pose)
    network.grow_(64, 1.0)
    large = network.render(ws, pose)
    assert small.image.shape[-1] == 32
    assert large.image.shape[-1] == 64
    # The corners of both grids are the same rays; the NeRF's part does not depend on the size.
    torch.testing.assert_close(small.auxiliary[..., 0, 0], large.auxiliary[..., 0, 0])


@pytest.mark.parametrize("name", [pytest.param("cips3d", marks=pytest.mark.slow), "cips3d_small"])
def test_recipes_check(name: str) -> None:
    dry_run(Recipe.read(name))


def test_stages_change_the_size_and_the_auxiliary_discriminator_ends() -> None:
    stages = [{"size": 32, "stable": 1}, {"size": 64, "fade": 2, "stable": 1}]
    settings = TINY | {"translator.stages": stages, "data.size": 64, "translator.auxiliary_size": 32}
    settings |= {"translator.grad_points": 64, "translator.noise_steps": 2, "train.ema": "none"}
    stepper = Stepper(Recipe.read("cips3d_small", settings))
    translator: Any = stepper.translator
    data = stepper.recipe.data(seed=0)
    sizes, noises, used = [], [], []
    for number in range(3):
        samples = [data[2 * number + index] for index in range(2)]
        stepper.step({key: torch.stack([sample[key] for sample in samples]) for key in samples[0]})
        sizes.append(translator.generator.size)
        noises.append(translator.density_noise)
        used.append(sorted(translator.active_discriminators))
    assert sizes == [32, 64, 64]
    assert noises == [1, 0.5, 0]
    assert used == [["auxiliary", "image"], ["image"], ["image"]]


def test_a_run_turns_its_images(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("av", reason="needs the extra i2i[video]")
    clip, images = tmp_path / "turn.webp", tmp_path / "images"
    arguments = ("sample", trained, "--count", "2")
    assert run(*arguments, "--yaw", "-20:20", "--frames", "3", "--output", clip) == 0
    with Image.open(clip) as film:
        assert (film.size, film.n_frames) == ((64, 32), 3)  # type: ignore[attr-defined]
    assert run(*arguments, "--yaw", "15", "--with", "pitch=-5", "--truncation", "0.5", "--output", images) == 0
    assert len(list(images.glob("*.png"))) == 2
    capsys.readouterr()
    for more, message in (
        (("--yaw", "-20:x"), "expected degrees such as 15, or a range such as -20:20"),
        (("--yaw", "1:2:3"), "expected degrees"),
        (("--with", "pitch=120"), "pitch: expected at most 84 degrees"),
    ):
        assert run(*arguments, *more) == 2
        assert message in " ".join(capsys.readouterr().err.split())


def test_latent_tools_work_on_its_styles(trained: Path) -> None:
    loaded = i2i.load(trained, device="cpu")
    layers = loaded.translator.generator.num_ws
    mixed = mix(loaded, [3], [4], range(layers))
    torch.testing.assert_close(mixed.mixed[0, 0], mixed.columns[0])
    shape = mix(loaded, [3], [4], range(3)).mixed[0, 0]  # the NeRF's styles alone
    assert not torch.equal(shape, mixed.rows[0])
    assert not torch.equal(shape, mixed.columns[0])
    frames = list(interpolate(loaded, [3, 4], "w", frames=2))
    torch.testing.assert_close(frames[0], mixed.rows[0], atol=1e-4, rtol=0)
    assert len(list(interpolate(loaded, [3, 4], "z", frames=2))) == 4
    assert breed(loaded, {3: 0.5, 4: 0.5}, mutation=0.3, count=2).shape == (2, 3, 32, 32)


def test_boxes_move_as_they_are_turned() -> None:
    data = DrawnBoxes(size=32)
    assert torch.equal(data[4]["image"], data[4]["image"])
    with pytest.raises(IndexError, match="numbered from 0"):
        data[-1]
    boxes = data.boxes(np.random.Generator(np.random.PCG64(0)))
    places = []
    for degrees in (-20, 0, 20):
        _, covered = render_boxes(boxes, FRONT + math.radians(degrees), FRONT, 32)
        upper = covered[:12].sum(0)  # the tall box alone
        places.append(float((upper * torch.arange(32)).sum() / upper.sum()) - 15.5)
    assert places[0] < -2 < places[1] < 2 < places[2]
    assert places[1] == pytest.approx(0, abs=1e-3)


def test_mistakes_get_a_sentence() -> None:
    with pytest.raises(RecipeError, match=r"expected a size that doubles from 32 px .*, got 16"):
        Recipe.read("cips3d_small", {"data.size": 16, "translator.stages": [{"size": 16, "stable": 1}]})
    with pytest.raises(RecipeError, match="expected 0 < near < far"):
        Recipe.read("cips3d_small", {"translator.generator.near": 2})
    with pytest.raises((RecipeError, I2IError), match="needs data with a stream 'pose'"):
        dry_run(
            Recipe.read("cips3d_small", {"data.type": "one_domain", "data.data": {"type": "portraits", "size": 32}})
        )
