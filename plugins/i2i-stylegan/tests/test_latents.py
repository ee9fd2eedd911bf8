"""Mixing, interpolation and breeding, in Python and on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from i2i_stylegan.latents import breed, closed_spline, coarse_layers, interpolate, mix, slerp
from PIL import Image
from stylegan_settings import TINY

import i2i
from i2i.cli import run as command
from i2i.data.images import to_image
from i2i.errors import I2IError
from i2i.recipe.recipe import Recipe


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one step with two classes."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    more = {"translator.conditional": True, "data.of": [], "train.steps": 1, "train.sample_every": 0}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("I2I_PLUGINS", "stylegan")
        i2i.train(Recipe.read("stylegan2_small", TINY | more), folder)
    return folder


@pytest.fixture
def loaded(run: Path) -> Any:
    return i2i.load(run, device="cpu")


def test_mixing_takes_layers_from_the_columns(loaded: Any) -> None:
    layers = loaded.translator.generator.num_ws
    same = mix(loaded, [3], [3, 4], [0, 1])
    torch.testing.assert_close(same.mixed[0, 0], same.rows[0])  # equal seeds: no mixing
    torch.testing.assert_close(mix(loaded, [3], [4], range(layers)).mixed[0, 0], same.columns[1])
    with pytest.raises(I2IError, match=f"this generator has the layers 0 to {layers - 1}, got {layers}"):
        mix(loaded, [3], [4], [layers])


def test_a_spline_passes_its_keys_smoothly_and_closes() -> None:
    keys = torch.randn(4, 3, dtype=torch.float64)
    torch.testing.assert_close(closed_spline(keys, torch.arange(8.0, dtype=torch.float64))[4:], keys)
    h = 1e-4
    places = torch.tensor([1.0, 4.0], dtype=torch.float64)
    before, at, after = (closed_spline(keys, places + step) for step in (-h, 0, h))
    torch.testing.assert_close((at - before) / h, (after - at) / h, rtol=0, atol=1e-2)
    circle = slerp(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), torch.tensor([0.5]))
    torch.testing.assert_close(circle, torch.full((1, 2), 0.5**0.5))


@pytest.mark.parametrize("space", ["w", "z"])
def test_interpolations_begin_at_their_seeds_and_are_even_on_request(loaded: Any, space: Any) -> None:
    frames = list(interpolate(loaded, [3, 4], space, frames=4))
    assert len(frames) == 8
    images = loaded.sample(2, seed=3)
    torch.testing.assert_close(frames[0], images[0], atol=1e-4, rtol=0)
    torch.testing.assert_close(frames[4], images[1], atol=1e-4, rtol=0)
    even = list(interpolate(loaded, [3, 4], space, frames=4, even=True))
    steps = torch.stack([(b - a).square().mean().sqrt() for a, b in zip(even, [*even[1:], even[0]], strict=True)])
    plain = torch.stack([(b - a).square().mean().sqrt() for a, b in zip(frames, [*frames[1:], frames[0]], strict=True)])
    assert steps.std() / steps.mean() < plain.std() / plain.mean()
    with pytest.raises(I2IError, match="expected at least two"):
        next(interpolate(loaded, [3], space))


def test_children_are_between_their_parents(loaded: Any) -> None:
    images = loaded.sample(2, seed=3)
    torch.testing.assert_close(breed(loaded, {3: 2.0})[0], images[0])
    per_layer = {layer: {4: 1.0} for layer in range(loaded.translator.generator.num_ws)}
    torch.testing.assert_close(breed(loaded, {3: 1.0}, per_layer)[0], images[1])
    children = breed(loaded, {3: 0.5, 4: 0.5}, mutation=0.5, count=2, seed=1)
    assert not torch.equal(children[0], children[1])
    torch.testing.assert_close(children, breed(loaded, {3: 0.5, 4: 0.5}, mutation=0.5, count=2, seed=1))
    assert list(coarse_layers(loaded)) == [0, 1]  # 4 px, a quarter of the image
    with pytest.raises(I2IError, match="expected weights from 0 on"):
        breed(loaded, {3: -1.0})


def test_commands(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("av", reason="needs the extra i2i[video]")
    grid, film, frames = tmp_path / "mix.png", tmp_path / "way.webp", tmp_path / "frames"
    assert command(["mix", str(run), "--rows", "1,2", "--columns", "5", "--layers", "0-1", "--output", str(grid)]) == 0
    assert Image.open(grid).size == (32, 48)
    seeds = ["--seeds", "1,5,9,2", "--frames", "2"]
    assert command(["interpolate", str(run), *seeds, "--grid", "2x1", "--output", str(film)]) == 0
    with Image.open(film) as image:
        assert (image.size, image.n_frames) == ((32, 16), 4)
    assert command(["interpolate", str(run), *seeds, "--space", "z", "--output", str(frames)]) == 0
    assert len(list(frames.iterdir())) == 8
    children = ["--parents", "1=0.7,2=0.3", "--coarse", "5=1", "--count", "3", "--output", str(tmp_path / "c.png")]
    assert command(["breed", str(run), *children]) == 0
    capsys.readouterr()
    for arguments, message in (
        (
            ["mix", str(run), "--rows", "1", "--columns", "2", "--layers", "0-99"],
            "this generator has the layers 0 to 5",
        ),
        (["mix", str(run), "--rows", "x", "--columns", "2"], "expected numbers such as 1,5 or 0-6, got 'x'"),
        (["interpolate", str(run), "--seeds", "1"], "expected at least two"),
        (["interpolate", str(run), "--seeds", "1,2", "--truncation", "nan"], "truncation: expected a finite number"),
        (["breed", str(run), "--parents", "1=-1"], "--parents: expected SEED=WEIGHT"),
        (["breed", str(run), "--parents", "1=nan"], "--parents: expected SEED=WEIGHT"),
        (["breed", str(run), "--parents", "1=1", "--coarse", "2=0"], "--coarse: expected a weight above 0"),
        (["breed", str(run), "--parents", "1=1", "--mutation", "inf"], "mutation: expected a finite number"),
        (["breed", str(run), "--parents", "1=1", "--classes", "7"], "expected numbers from 0 to 1, got 7"),
    ):
        assert command(arguments) == 2
        assert message in " ".join(capsys.readouterr().err.split())


def test_a_pipeline_samples(run: Path, loaded: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chain = tmp_path / "chain.toml"
    text = f'[[stages]]\ntype = "sample"\nrun = "{run}"\nseeds = [3]\n[output]\npath = "{tmp_path / "still"}"\n'
    chain.write_text(text)
    assert command(["pipeline", str(chain)]) == 0
    expected = to_image(loaded.sample(1, seed=3)[0]).convert("RGB")
    assert Image.open(tmp_path / "still" / "000000.png").tobytes() == expected.tobytes()
    chain.write_text(text.replace("[3]", "[3, 4]\nframes = 3").replace("still", "way"))
    assert command(["pipeline", str(chain)]) == 0
    assert "1. sample: 16 x 16 pixels, 6 frames at 25 per second" in capsys.readouterr().out
    assert Image.open(tmp_path / "way" / "000000.png").tobytes() == expected.tobytes()
    assert len(list((tmp_path / "way").iterdir())) == 6
