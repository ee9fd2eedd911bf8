"""The recipes train, their runs colour drawings, hints reach the colours, and mistakes get a sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from i2i_paints.color import BLANK, hints_from_rgba, network_input, rgb_to_yuv, yuv_to_rgb
from i2i_paints.data import DrawnRegions, LineArtFolder
from i2i_paints.networks import AlternatingUNet
from PIL import Image

from i2i import cli
from i2i.errors import OptionError

TINY = ("translator.generator.channels=2", "train.steps=2", "train.batch_size=2", "train.workers=0")


def run(*arguments: object) -> int:
    return cli.run([str(argument) for argument in arguments])


def test_colours_survive_the_conversion_where_they_are_not_clipped() -> None:
    colors = torch.rand(1, 3, 8, 8) * 1.4 - 0.7
    assert torch.allclose(yuv_to_rgb(rgb_to_yuv(colors)), colors, atol=1e-5)
    pure_red = rgb_to_yuv(torch.tensor([1.0, -1.0, -1.0]).view(1, 3, 1, 1)).flatten()
    assert pure_red[2] == 255  # 0.877 (255 - 76) + 128 is 285


def test_transparent_pixels_are_no_hints() -> None:
    drawn = torch.full((1, 4, 2, 2), -1.0)
    drawn[..., 0, 0] = 1
    hints = hints_from_rgba(drawn)
    assert torch.allclose(hints[0, :, 0, 0], torch.tensor([255.0, 128.0, 128.0]))
    assert torch.equal(hints[0, :, 1, 1], torch.tensor(BLANK))


def test_samples_follow_from_their_number_and_hints_have_the_colours_below_them() -> None:
    data = DrawnRegions(size=32, seed=5)
    hinted = 0
    for number in range(20):
        sample, again = data[number], data[number]
        assert all(torch.equal(sample[name], again[name]) for name in sample)
        given = sample["hint"][0] > -512
        difference = (sample["hint"] - rgb_to_yuv(sample["color"][None])[0]).abs().mean(0)[given]
        hinted += bool(given.any())
        # A spread hint may reach beyond a line; most are within the noise and the rounding to multiples of 20.
        assert not given.any() or difference.median() < 25
    assert 5 < hinted < 18  # without hints with probability 0.4


def test_a_common_range_brings_lines_to_one_and_blank_hints_to_zero() -> None:
    torch.manual_seed(0)
    plain, brought = AlternatingUNet(channels=2).eval(), AlternatingUNet(channels=2, common_range=True).eval()
    brought.load_state_dict(plain.state_dict())
    line = torch.rand(1, 1, 16, 16) * 2 - 1
    hint = torch.tensor([256.0, 192.0, 64.0]).view(1, 3, 1, 1).repeat(1, 1, 16, 16)
    for given, expected in ((None, (0, 0, 0)), (hint, (2, 1, -1))):
        same = torch.cat(
            [line + (given is not None) * 2, torch.tensor(expected).view(1, 3, 1, 1).expand(1, 3, 16, 16)], 1
        )
        assert torch.allclose(brought.run(network_input(line, given)), plain.run(same), atol=1e-5)
    with pytest.raises(OptionError, match="expected lines and hints, 4 channels, got 3"):
        AlternatingUNet(3, common_range=True)


def test_a_run_colours_a_drawing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = [
        part for setting in (*TINY, "translator.discriminators.image.channels=2") for part in ("--set", setting)
    ]
    assert run("train", "paints_small", *settings, "--output", tmp_path / "run") == 0
    drawing = Image.fromarray(np.full((40, 50), 255, np.uint8))
    drawing.save(tmp_path / "lines.png")
    dabs = Image.new("RGBA", (50, 40))
    dabs.putpixel((20, 20), (255, 0, 0, 255))
    dabs.save(tmp_path / "dabs.png")
    output = tmp_path / "out.png"
    arguments = ("colour", tmp_path / "run", tmp_path / "lines.png", "--output", output)
    assert run(*arguments) == 0
    plain = np.array(Image.open(output))
    assert run(*arguments, "--hints", tmp_path / "dabs.png") == 0
    assert plain.shape == (40, 50, 3)
    assert (np.array(Image.open(output)) != plain).any()
    drawing.resize((500, 400)).save(tmp_path / "lines.png")
    thin = Image.open(tmp_path / "lines.png")
    thin.paste(0, (250, 0, 251, 400))
    thin.save(tmp_path / "lines.png")
    assert run(*arguments, "--keep-lines") == 0
    kept = np.array(Image.open(output))
    assert (kept[:, 250] == 0).all()
    assert (kept[:, 240] > 0).any()
    drawing.save(tmp_path / "lines.png")
    dabs.crop((0, 0, 10, 10)).save(tmp_path / "small.png")
    assert run(*arguments, "--hints", tmp_path / "small.png") == 2
    assert "expected hints of 50 x 40 pixels" in capsys.readouterr().err


def test_the_second_stage_trains_on_a_folder_from_the_first(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(3):
        color, _, _ = DrawnRegions(size=64).drawing(np.random.Generator(np.random.PCG64(number)))
        Image.fromarray(((color.permute(1, 2, 0).numpy() + 1) * 127.5).astype(np.uint8)).save(folder / f"{number}.png")
    data = LineArtFolder(folder, size=64)
    assert {name: tuple(value.shape) for name, value in data.preview(2).items()} == {
        "line": (2, 1, 64, 64),
        "color": (2, 3, 64, 64),
        "hint": (2, 3, 64, 64),
    }
    assert data[0]["line"].min() < 0 < data[0]["line"].max()  # type: ignore[attr-defined]
    settings = [
        *TINY, "translator.refiner.channels=2", "translator.low=32", "data.size=64", f"data.root={folder}"
    ]  # fmt: skip
    pairs = [part for setting in settings for part in ("--set", setting)]
    assert run("train", "paints_512", *pairs, "--output", tmp_path / "run") == 0
