"""The JSON Schema of recipes, which editors check and complete with."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from torch import Tensor, nn

from i2i.core import kinds
from i2i.core.plugins import Plugins
from i2i.core.registry import Registry
from i2i.recipe.files import shipped
from i2i.recipe.schema import schema

jsonschema = pytest.importorskip("jsonschema", reason="the package jsonschema checks the schema; it is a tool of tests")

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return schema(Plugins({}).registry)


@pytest.fixture(scope="module")
def validator(made: dict[str, Any]) -> Any:
    return jsonschema.Draft7Validator(json.loads(json.dumps(made, allow_nan=False)))


def test_it_is_a_json_schema_whose_references_exist(made: dict[str, Any]) -> None:
    jsonschema.Draft7Validator.check_schema(made)

    def references(part: Any) -> Iterator[str]:
        if isinstance(part, dict):
            yield from (value for key, value in part.items() if key == "$ref")
            for value in part.values():
                yield from references(value)
        elif isinstance(part, list):
            for value in part:
                yield from references(value)

    assert {name.removeprefix("#/definitions/") for name in references(made)} <= set(made["definitions"])


@pytest.mark.parametrize("path", sorted(shipped([RECIPES]).values()), ids=lambda path: path.stem)
def test_every_shipped_recipe_validates(validator: Any, path: Path) -> None:
    assert [error.message for error in validator.iter_errors(tomllib.loads(path.read_text(encoding="utf-8")))] == []


def test_a_resolved_recipe_validates(validator: Any) -> None:
    from i2i.recipe.recipe import Recipe

    assert list(validator.iter_errors(Recipe.read(RECIPES / "ugatit.toml").resolved())) == []


@pytest.mark.parametrize("kind", [kinds.TRANSLATOR, kinds.LOSS, kinds.OPTIMIZER, kinds.SCHEDULE, kinds.DATASET])
def test_no_component_of_a_table_is_missing(made: dict[str, Any], kind: kinds.Kind[Any]) -> None:
    names = Plugins({}).registry.names(kind)
    assert names
    assert {f"{kind.name}.{name}" for name in names} <= set(made["definitions"])


def test_no_component_that_a_component_takes_is_missing(made: dict[str, Any]) -> None:
    registry = Plugins({}).registry
    taken = [kinds.NORM, kinds.ADAPTIVE_NORM, kinds.ACTIVATION, kinds.ATTENTION, kinds.GENERATOR, kinds.DISCRIMINATOR]
    for kind in taken:
        assert {f"{kind.name}.{name}" for name in registry.names(kind)} <= set(made["definitions"])


@pytest.mark.parametrize(
    "recipe",
    [
        "colour = 'red'",
        "extends = 3",
        "[translator]\ntype = 'cyclc'",
        "[translator]\ntype = 'cyclic'\npol = 3",
        "[translator]\ntype = 'cyclic'\npool = -1",
        "[translator]\ntype = 'cyclic'\norder = ['generater']",
        "[translator]\ntype = 'cyclic'\nimage_size = 3",
        "[translator]\ntype = 'cyclic'\ngenerator = { type = 'resnet', chanels = 3 }",
        "[translator]\ntype = 'cyclic'\ngenerator = { type = 'resnet', norm = { type = 'inn' } }",
        "[translator]\ntype = 'cyclic'\ngenerator = { type = 'resnet', norm = 'inn' }",
        "[translator]\ntype = 'cyclic'\ngenerator = { type = 'resnet', norm = { type = 'in', num_features = 3 } }",
        "[translator]\ntype = 'cyclic'\ngenerator = { type = 'resnet_adalin', decoder_norm = 'adalim' }",
        "[translator]\ntype = 'cyclic'\ngenerator = { type = 'resnet', init = 'norml' }",
        "[translator]\ntype = 'cyclic'\ndiscriminators = { local = { type = 'pach' } }",
        "[losses]\ngan = 'lsgann'",
        "[losses.gan]\ntype = 'lsgan'\nwieght = 3",
        "[losses.gan]\ntype = 'lsgan'\nweight = -1",
        "[losses.gan]\ntype = 'lsgan'\nweight = { generator = 'x' }",
        "[losses.gan]\ntype = 'lsgan'\ninputs = { a = 3 }",
        "[losses.gan]\ntype = 'numpy.sum'",
        "[optimizers.generator]\ntype = 'adamm'",
        "[optimizers.generator]\ntype = 'adam'\nlr = 'fast'",
        "[optimizers.generator]\ntype = 'adam'\nbeta = [0.5, 0.9]",
        "[optimizers.generator]\ntype = 'adam'\nbetas = [0.5]",
        "[schedule]\ntype = 'linear'",
        "[schedule]\ntype = 'linear_decay'\nstart = 1.5",
        "[data]\ntype = 'folders'\nsiz = 3",
        "[data]\ntype = 'folders'\nresample = 'bicubik'",
        "[train]\nstep = 3",
        "[train]\nsteps = 0",
        "[train]\nsteps = '3'",
        "[train]\nprecision = 'bf61'",
    ],
)
def test_mistakes_are_seen(validator: Any, recipe: str) -> None:
    assert not validator.is_valid(tomllib.loads(recipe))


@pytest.mark.parametrize(
    "recipe",
    [
        "",
        "losses = { cam = 'none', own = 'torch.nn.L1Loss', ssim = { type = 'kornia.losses.SSIMLoss', eps = 3 } }",
        "translator = { generator = { attention = 'none' }, discriminators = { global_ = 'none' } }",
        "optimizers = { generator = { type = 'torch.optim.NAdam' } }",
        "train = { ema = 'none', clip_grad_norm = 1 }",
        "losses = { gan = { weight = 0 } }",
        "schedule = 'constant'",
    ],
)
def test_what_is_right_is_not_complained_about(validator: Any, recipe: str) -> None:
    assert [error.message for error in validator.iter_errors(tomllib.loads(recipe))] == []


@dataclass
class Point:
    x: int
    y: int = 0


class Strange(nn.Module):
    """A stranger's norm."""

    def __init__(
        self,
        num_features: int,
        mode: Literal["a", "b"] = "a",
        pair: tuple[int, str] = (1, "x"),
        limit: float = float("inf"),
        window: Tensor | None = None,
        either: float | Tensor = 1.0,
        point: Point | None = None,
        anything=None,  # type: ignore[no-untyped-def]
    ) -> None:
        super().__init__()


@pytest.fixture
def strange() -> Registry:
    registry = Plugins({}).registry
    registry.add(kinds.NORM, "strange", Strange)
    registry.add(kinds.NORM, "lost", "nowhere:Norm")
    return registry


def test_components_of_plugins_appear_with_all_that_a_recipe_can_say(strange: Registry) -> None:
    made = schema(strange)
    jsonschema.Draft7Validator.check_schema(json.loads(json.dumps(made, allow_nan=False)))
    properties = made["definitions"]["norm.strange"]["properties"]
    assert properties["type"] == {"const": "strange"}
    assert properties["mode"] == {"enum": ["a", "b"], "type": "string", "default": "a"}
    assert properties["limit"] == {"type": "number"}, "JSON has no infinity"
    assert properties["either"] == {"type": "number", "default": 1.0}
    assert properties["window"] == {"const": "none"}, "no recipe can say a tensor"
    validator = jsonschema.Draft7Validator(made)

    def valid(norm: dict[str, Any]) -> bool:
        generator = {"type": "resnet", "norm": {"type": "strange", **norm}}
        return bool(validator.is_valid({"translator": {"type": "cyclic", "generator": generator}}))

    assert valid({"mode": "b", "pair": [1, "x"], "point": {"x": 1}, "anything": [1]})
    assert valid({"point": "none"})
    for wrong in (
        {"mode": "c"},
        {"pair": ["x", 1]},
        {"pair": [1]},
        {"point": {"y": 1}},
        {"either": "x"},
        {"mdoe": "a"},
    ):
        assert not valid(wrong), wrong


def test_a_component_that_cannot_be_imported_is_only_left_without_options(strange: Registry) -> None:
    made = schema(strange)
    assert "norm.lost" not in made["definitions"]
    assert "lost" in json.dumps(made["definitions"]["norm"])
