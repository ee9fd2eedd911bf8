"""The command `i2i stylize`: the image, its metadata, Ctrl-C, and user errors."""

from __future__ import annotations

from pathlib import Path

import pytest
from i2i_style.stylization import Stylization
from i2i_style.textures import Textures
from PIL import Image

from i2i.cli import run
from i2i.data.images import to_image

LOOK = ["--model", "test_efficientnet", "--weights", "untrained", "--content-taps", "blocks.1.0.bn1"]
LOOK += ["--style-taps", "bn1, blocks.1.0.bn1", "--size", "32", "--device", "cpu"]
SOURCE = "test_efficientnet, untrained"


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    data = Textures(32)
    to_image(data.scenes([0])[0]).save("content.png")
    for number in range(2):
        to_image(data.textures([number])[0]).save(f"style{number}.png")
    return tmp_path


def test_the_image_and_its_metadata_are_written(images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = ["--output", "new/made.png", "--steps", "2", "--shares", "0.7,0.3", "--keep-colors"]
    assert run(["stylize", "content.png", "style0.png", "style1.png", *chosen, *LOOK]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("new/made.png (content ")
    assert f"feature extractor: {SOURCE}\n" in printed.err
    with Image.open("new/made.png") as made:
        assert made.size == (32, 32)
        assert made.info == {"feature extractor": SOURCE, "steps": "2"}


def test_ctrl_c_writes_the_image_of_the_last_complete_step(
    images: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    step, calls = Stylization.step, []

    def interrupted(self: Stylization) -> dict[str, float]:
        calls.append(step(self))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return calls[-1]

    monkeypatch.setattr(Stylization, "step", interrupted)
    assert run(["stylize", "content.png", "style0.png", "--output", "made.png", "--steps", "9", *LOOK]) == 130
    assert capsys.readouterr().out == "stopped after 2 of 9 steps; the image so far: made.png\n"
    with Image.open("made.png") as made:
        assert made.info["steps"] == "2"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["content.png", "gone.png"], "error: gone.png does not exist; expected image files\n"),
        (
            ["content.png", "style0.png", "--output", "style0.png"],
            "error: style0.png would be overwritten; choose another --output\n",
        ),
        (
            ["content.png", "style0.png", "--output", "made"],
            "Error: Invalid value for --output: expected a file name with a suffix, such as made.png, got made\n",
        ),
        (
            ["content.png", "style0.png", "--shares", "a,b"],
            "Error: Invalid value for --shares: expected numbers separated by commas, got 'a,b'\n",
        ),
        (
            ["content.png", "style0.png", "--shares", "1,2"],
            "error: shares: expected 1 numbers >= 0, one for each style and not all 0, got [1.0, 2.0]\n",
        ),
    ],
)
def test_user_errors(images: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    assert run(["stylize", *arguments, "--steps", "1", *LOOK]) == 2
    assert capsys.readouterr().err.endswith(message)
    assert not (images / "stylized.png").exists()
