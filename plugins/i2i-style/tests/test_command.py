"""`i2i stylize`: the image, what is written into it, what Ctrl-C leaves, and what is refused."""

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


def test_it_writes_a_image_and_says_who_looked(images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = ["--output", "new/made.png", "--steps", "2", "--shares", "0.7,0.3", "--keep-colors"]
    assert run(["stylize", "content.png", "style0.png", "style1.png", *chosen, *LOOK]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("new/made.png (content ")
    assert f"feature extractor: {SOURCE}\n" in said.err
    with Image.open("new/made.png") as made:
        assert made.size == (32, 32)
        assert made.info == {"feature extractor": SOURCE, "steps": "2"}


def test_ctrl_c_keeps_the_image_so_far(
    images: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    step, taken = Stylization.step, []

    def broken_off(self: Stylization) -> dict[str, float]:
        taken.append(step(self))
        if len(taken) == 3:
            raise KeyboardInterrupt
        return taken[-1]

    monkeypatch.setattr(Stylization, "step", broken_off)
    assert run(["stylize", "content.png", "style0.png", "--output", "made.png", "--steps", "9", *LOOK]) == 130
    assert capsys.readouterr().out == "stopped after 2 of 9 steps; the image so far: made.png\n"
    with Image.open("made.png") as made:
        assert made.info["steps"] == "2"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["content.png", "gone.png"], "error: gone.png does not exist; give images\n"),
        (
            ["content.png", "style0.png", "--output", "style0.png"],
            "error: style0.png would be written over; choose another --output\n",
        ),
        (
            ["content.png", "style0.png", "--output", "made"],
            "Error: Invalid value for --output: expected an image's name such as made.png, got made\n",
        ),
        (
            ["content.png", "style0.png", "--shares", "a,b"],
            "Error: Invalid value for --shares: expected numbers with commas between, got 'a,b'\n",
        ),
        (
            ["content.png", "style0.png", "--shares", "1,2"],
            "error: shares: expected 1 numbers >= 0, one for each style and not all 0, got [1.0, 2.0]\n",
        ),
    ],
)
def test_mistakes(images: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    assert run(["stylize", *arguments, "--steps", "1", *LOOK]) == 2
    assert capsys.readouterr().err.endswith(message)
    assert not (images / "stylized.png").exists()
