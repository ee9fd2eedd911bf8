"""`--style`, `--blend`, `--with` and `--seed`: the conditions of a translation, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import i2i
from i2i.cli import run
from i2i.cli.conditions import BLEND, style_of, weights_by
from i2i.data.images import to_image
from i2i.demo.shapes import Shapes
from i2i.engine.run import Run
from i2i.engine.stepper import Stepper
from i2i.recipe.recipe import Recipe

TINY: dict[str, Any] = {
    "translator.generator.channels": 4,
    "translator.generator.downsamplings": 1,
    "translator.generator.blocks": 1,
    "translator.generator.mlp_channels": 8,
    "translator.discriminators.multiscale.channels": 4,
    "translator.discriminators.multiscale.layers": 2,
    "translator.discriminators.multiscale.scales": 1,
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of MUNIT, an image to translate and two reference images."""
    home = tmp_path_factory.mktemp("conditions")
    recipe = Recipe.read("munit_small", TINY)
    Run(home / "munit", recipe, Stepper(recipe), dataset=None).save()
    data = Shapes(32)
    for number, name in enumerate(("in.png", "one.png", "two.png")):
        to_image(data[number]["b" if number else "a"]).save(home / name)
    return home


@pytest.fixture(autouse=True)
def _in_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)


def translated(*arguments: str, output: Path) -> dict[str, Image.Image]:
    chosen = ["--to", "b", "--output", str(output), "--device", "cpu", *arguments]
    assert run(["translate", "munit", "in.png", *chosen]) == 0
    return {path.name: Image.open(path) for path in sorted(output.iterdir())}


def test_a_number_asks_for_that_many_random_styles(tmp_path: Path) -> None:
    assert [*translated("--style", "random", output=tmp_path / "one")] == ["in.png"]
    images = translated("--style", "2", output=tmp_path / "two")
    assert [*images] == ["in.1.png", "in.2.png"]
    assert images["in.1.png"].tobytes() != images["in.2.png"].tobytes()
    assert (tmp_path / "one/in.png").read_bytes() == (tmp_path / "two/in.1.png").read_bytes()


def test_seed_and_with_seed_are_the_same_condition(tmp_path: Path) -> None:
    first = translated("--seed", "3", output=tmp_path / "seed")["in.png"]
    second = translated("--with", "seed=3", output=tmp_path / "with")["in.png"]
    assert first.tobytes() == second.tobytes()
    assert first.tobytes() != translated(output=tmp_path / "default")["in.png"].tobytes()


def test_styles_of_numbers_and_images_are_blended(tmp_path: Path) -> None:
    loaded = i2i.load("munit", device="cpu")
    for written, blend in (
        ("1=0.7,3=0.3", {1: 0.7, 3: 0.3}),
        ("one.png=1,two.png=3", {"one.png": 1, Path("two.png"): 3}),
    ):
        image = translated("--blend", written, output=tmp_path / written.replace("=", "-"))["in.png"]
        assert image.tobytes() == loaded.translate("in.png", to="b", blend=blend).tobytes()
        assert image.info == {}  # no feature extractor is part of this translator


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--style", "pink"], "error: style: expected random, a number from 1 on or an image, got 'pink'"),
        (
            ["--style", "one.png", "--blend", "two.png=1"],
            "error: style and blend cannot be given together; give the style as a part of the blend",
        ),
        (
            ["--with", "seed=many"],
            "Error: Invalid value for --with: seed: expected an integer, got 'many'",
        ),
        (
            ["--with", "sede=1"],
            "Error: Invalid value for --with: expected NAME=VALUE, got 'sede=1'. Did you mean 'seed'? conditions of "
            "this translator: style, seed, blend",
        ),
        (
            ["--blend", "0:1"],
            "Error: Invalid value for --blend: expected STYLE=WEIGHT,STYLE=WEIGHT with weights >= 0, such as "
            "0=0.7,3=0.3 or one.png=1,two.png=1, got '0:1'",
        ),
        (["--blend", "1=0,2=0"], "Error: Invalid value for --blend: expected a weight above 0, got '1=0,2=0'"),
    ],
)
def test_user_errors(capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: list[str], message: str) -> None:
    chosen = ["--to", "b", "--output", str(tmp_path / "out"), "--device", "cpu"]
    assert run(["translate", "munit", "in.png", *chosen, *arguments]) == 2
    assert capsys.readouterr().err.rstrip("\n").splitlines()[-1] == message
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["", "0", "0=", "=1", "0=-1", "0=nan", "0=inf", "0=1,,1=1", "0=x"])
def test_blends_that_are_none(text: str) -> None:
    from click import BadParameter

    with pytest.raises(BadParameter, match="expected STYLE=WEIGHT,STYLE=WEIGHT with weights >= 0"):
        weights_by(style_of, text, "--blend", BLEND)


def test_a_style_stands_in_a_blend_once() -> None:
    from click import BadParameter

    with pytest.raises(BadParameter) as caught:
        weights_by(style_of, "1=0.5,1=0.5", "--blend", BLEND)
    assert caught.value.message == "1 occurs twice"
    assert weights_by(style_of, "1=0.5,one.png=0.5,pink=2", "--blend", BLEND) == {
        1: 0.5,
        Path("one.png"): 0.5,
        "pink": 2.0,
    }
