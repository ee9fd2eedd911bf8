"""The small recipe trains; runs and official files enlarge images; tiles equal the whole; mistakes are named."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from i2i_upscale.data import Degraded
from i2i_upscale.networks import SRVGG, RRDBNet
from i2i_upscale.upscaling import Upscaler
from PIL import Image

from i2i import cli
from i2i.errors import CheckpointError


def run(*arguments: object) -> int:
    return cli.run([str(argument) for argument in arguments])


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "small.png"
    pixels = np.random.default_rng(0).integers(0, 255, (21, 30, 4), np.uint8)
    Image.fromarray(pixels, "RGBA").save(path)
    return path


def test_a_run_enlarges_an_image(image: Path, tmp_path: Path) -> None:
    settings = (
        "data.size=32",
        "translator.generator.channels=4",
        "train.steps=2",
        "train.batch_size=2",
        "train.workers=0",
    )
    pairs = [part for setting in settings for part in ("--set", setting)]
    assert run("train", "super_resolution_small", *pairs, "--output", tmp_path / "run") == 0
    assert run("upscale", image, "--weights", tmp_path / "run", "--output", tmp_path / "large") == 0
    with Image.open(tmp_path / "large" / "small.png") as large:
        assert (large.size, large.mode) == ((60, 42), "RGBA")
    chain = tmp_path / "chain.toml"
    chain.write_text(
        f'[source]\npath = "{image}"\n[[stages]]\ntype = "upscale"\nscale = 3\nweights = "{tmp_path / "run"}"\n'
        f'[output]\npath = "{tmp_path / "frames"}"\n'
    )
    assert run("pipeline", chain) == 0
    assert Image.open(tmp_path / "frames" / "000000.png").size == (90, 63)


@pytest.mark.parametrize("network", [RRDBNet(2, 8, 2, 4), SRVGG(3, 8, 2), SRVGG(2, 8, 2, "leaky_relu")], ids=str)
def test_official_files_are_recognized(network: RRDBNet | SRVGG, image: Path, tmp_path: Path) -> None:
    torch.save({"params_ema": network.state_dict()}, tmp_path / "official.pth")
    upscaler = Upscaler(tmp_path / "official.pth", device="cpu")
    pixels = np.array(Image.open(image).convert("RGB"))[:20, :28]
    with torch.no_grad():
        expected = network.enlarge(torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None] / 255)[0]
    found = torch.from_numpy(upscaler(pixels).copy()).permute(2, 0, 1)
    assert (found - expected.mul(255).clamp(0, 255)).abs().max() <= 0.51


def test_tiles_equal_the_whole(tmp_path: Path) -> None:
    network = SRVGG(2, 8, 2)  # four convolutions see four pixels around each
    torch.save(network.state_dict(), tmp_path / "official.pth")
    pixels = np.random.default_rng(0).integers(0, 255, (40, 52, 3), np.uint8)
    whole = Upscaler(tmp_path / "official.pth", tile=0, device="cpu")(pixels)
    tiled = Upscaler(tmp_path / "official.pth", tile=16, overlap=8, device="cpu")(pixels)
    assert np.abs(whole.astype(int) - tiled).max() <= 1


def test_degradations_follow_from_the_seed() -> None:
    data = Degraded(size=32, scale=4)
    sharp = data.drawn[0]["a"]
    first, again, other = (data.degrade(sharp, Random(seed)) for seed in (1, 1, 2))
    assert first.shape == (3, 8, 8)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_other_files_are_refused(tmp_path: Path) -> None:
    torch.save({"layer.weight": torch.zeros(2, 2)}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=r"other.pth"):
        Upscaler(tmp_path / "other.pth")
