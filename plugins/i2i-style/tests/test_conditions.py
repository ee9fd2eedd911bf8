"""`--style`, `--blend` and `--with` of `i2i translate` with both translators, and user errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from i2i_style.textures import Textures
from PIL import Image

import i2i
from i2i.cli import run
from i2i.data.images import to_image
from i2i.engine.run import Run
from i2i.engine.stepper import Stepper
from i2i.recipe.recipe import Recipe

FEATURES = {"type": "timm", "model": "test_efficientnet", "weights": "untrained"}
ADAIN: dict[str, Any] = {
    "translator.features": FEATURES,
    "translator.tap": "blocks.1.0.bn1",
    "translator.decoder.channels": 4,
    "translator.decoder.convolutions": [1, 1, 2],
    "losses.style.features": FEATURES,
    "losses.style.taps": ["bn1"],
    "data.size": 32,
}
FAST: dict[str, Any] = {
    "losses.content.features": FEATURES,
    "losses.style.features": FEATURES,
    "losses.content.taps": ["bn1"],
    "losses.style.taps": ["bn1"],
    "translator.generator.channels": 4,
    "translator.generator.blocks": 1,
    "data.size": 32,
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of both methods, a content and two style images."""
    home = tmp_path_factory.mktemp("conditions")
    for name, settings in (("adain_style_small", ADAIN), ("fast_style_small", FAST)):
        recipe = Recipe.read(name, settings)
        stepper = Stepper(recipe)
        draws = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for key, value in stepper.translator.named_parameters():
                if key.endswith((".gamma", ".beta")):
                    value.add_(torch.randn(value.shape, generator=draws))
        Run(home / name, recipe, stepper, dataset=None).save()
    data = Textures(32)
    to_image(data.scenes([0])[0]).save(home / "in.png")
    for number, name in enumerate(("one.png", "two.png")):
        to_image(data.textures([number])[0]).save(home / name)
    return home


@pytest.fixture(autouse=True)
def _in_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)


def translated(name: str, *arguments: str, output: Path) -> dict[str, Image.Image]:
    assert run(["translate", name, "in.png", "--output", str(output), "--device", "cpu", *arguments]) == 0
    return {path.name: Image.open(path) for path in sorted(output.iterdir())}


def test_a_number_selects_a_style(tmp_path: Path) -> None:
    name = "fast_style_small"
    assert [*translated(name, "--style", "3", output=tmp_path / "row")] == ["in.png"]
    every = translated(name, "--style", "all", output=tmp_path / "all")
    assert [*every] == ["in.0.png", "in.1.png", "in.2.png", "in.3.png"]
    row = (tmp_path / "row/in.png").read_bytes()
    assert row == (tmp_path / "all/in.3.png").read_bytes()
    assert row != (tmp_path / "all/in.2.png").read_bytes()


def test_rows_are_blended(tmp_path: Path) -> None:
    made = translated("fast_style_small", "--blend", "0=0.7,3=0.3", output=tmp_path)["in.png"]
    loaded = i2i.load("fast_style_small", device="cpu")
    expected = loaded.translate("in.png", blend={0: 0.7, 3: 0.3})
    assert made.tobytes() == expected.tobytes()
    assert made.info == {}  # this translator has no feature extractor


def test_images_are_blended_and_the_extractor_is_written(tmp_path: Path) -> None:
    chosen = ["--blend", "one.png=1,two.png=3", "--with", "alpha=0.5", "--with", "keep-colors=true"]
    made = translated("adain_style_small", *chosen, output=tmp_path)["in.png"]
    loaded = i2i.load("adain_style_small", device="cpu")
    expected = loaded.translate("in.png", blend={"one.png": 0.25, Path("two.png"): 0.75}, alpha=0.5, keep_colors=True)
    assert made.tobytes() == expected.tobytes()
    assert made.info == {"feature extractor": "test_efficientnet, untrained"}


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        (
            "adain_style_small",
            [],
            "error: style: expected a style image, got none; give one as style, or several with weights as blend",
        ),
        ("adain_style_small", ["--style", "3"], "error: style: expected an image, got '3'"),
        (
            "adain_style_small",
            ["--blend", "one.png=1,gone.png=1"],
            "error: style: expected a style image, got 'gone.png'; give one as style, or several with weights as blend",
        ),
        (
            "adain_style_small",
            ["--style", "one.png", "--blend", "two.png=1"],
            "error: style and blend cannot be given together; give the style as a part of the blend",
        ),
        (
            "adain_style_small",
            ["--style", "one.png", "--with", "alpha=2"],
            "Error: Invalid value for --with: alpha: expected a number <= 1, got 2",
        ),
        (
            "adain_style_small",
            ["--style", "one.png", "--with", "alhpa=1"],
            "Error: Invalid value for --with: expected NAME=VALUE, got 'alhpa=1'. Did you mean 'alpha'? conditions of "
            "this translator: style, blend, alpha, keep_colors",
        ),
        (
            "fast_style_small",
            ["--style", "random"],
            "error: style: expected a number from 0 to 3, or all, got 'random'",
        ),
        (
            "fast_style_small",
            ["--style", "4"],
            "error: style: expected a number from 0 to 3, got 4",
        ),
        (
            "fast_style_small",
            ["--blend", "0=1,4=1"],
            "error: style: expected a number from 0 to 3, got 4",
        ),
        (
            "fast_style_small",
            ["--blend", "0:1"],
            "Error: Invalid value for --blend: expected STYLE=WEIGHT,STYLE=WEIGHT with weights >= 0, such as "
            "0=0.7,3=0.3 or one.png=1,two.png=1, got '0:1'",
        ),
        (
            "fast_style_small",
            ["--blend", "0=0,1=0"],
            "Error: Invalid value for --blend: expected a weight above 0, got '0=0,1=0'",
        ),
        ("fast_style_small", ["--seed", "1"], "error: this translator takes no seed; it takes style, blend"),
    ],
)
def test_user_errors(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str, arguments: list[str], message: str
) -> None:
    assert run(["translate", name, "in.png", "--output", str(tmp_path / "out"), "--device", "cpu", *arguments]) == 2
    assert capsys.readouterr().err.rstrip("\n").splitlines()[-1] == message
    assert not (tmp_path / "out").exists()
