"""A plugin with a kind of its own: checked, listed, described, built and refused as built-in kinds are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import jsonschema
import pytest
import torch
from torch import Tensor, nn

import i2i
from i2i.cli import run
from i2i.core.factory import BuildError, Factory, Kind
from i2i.core.plugins import Plugins
from i2i.core.registry import Registry
from i2i.errors import OptionError, RegistryError
from i2i.methods.assembly import build, dry_run
from i2i.recipe.recipe import Recipe
from i2i.recipe.schema import schema
from i2i.recipe.source import RecipeError

RECIPES = Path(__file__).parents[2] / "recipes"
SMALL = ["data.size=32", "translator.generator.blocks=1", "translator.generator.channels=4"]
SMALL += ["translator.discriminators.local.layers=3"]


class Curve(Protocol):
    """A function of features."""

    def __call__(self, x: Tensor) -> Tensor: ...


CURVE: Kind[Curve] = Kind("tone_curve", Curve, passed=("num_features",), offered=("gain",))


class Power(nn.Module):
    """Raises features to a power."""

    def __init__(self, num_features: int, exponent: int = 1, gain: float = 1.0) -> None:
        super().__init__()
        if exponent < 1:
            raise OptionError("exponent", f"expected at least 1, got {exponent}")
        self.num_features, self.exponent, self.gain = num_features, exponent, gain

    def forward(self, x: Tensor) -> Tensor:
        return self.gain * x**self.exponent


class Curved(nn.Module):
    """A norm that holds a component of the plugin's own kind."""

    def __init__(
        self,
        num_features: int,
        curve: Factory[Curve] = CURVE("power", exponent=2),  # noqa: B008
        others: tuple[Factory[Curve], ...] = (),
    ) -> None:
        super().__init__()
        self.curve = curve(num_features, gain=0.5)
        self.others = [other(num_features) for other in others]

    def forward(self, x: Tensor) -> Tensor:
        return self.curve(x)


class Plugin:
    @staticmethod
    @i2i.hookimpl
    def register_components(registry: Any) -> None:
        registry.add_kind(CURVE)
        registry.add(CURVE, "power", Power)
        registry.add(i2i.NORM, "curved", Curved)


def plugin(hook: Callable[[Any], None]) -> Any:
    return type(
        "Stranger", (), {"register_components": staticmethod(i2i.hookimpl(specname="register_components")(hook))}
    )


@pytest.fixture
def plugins() -> Plugins:
    plugins = Plugins({"curves": Plugin})
    assert [info.problem for info in plugins.found] == ["", ""]
    return plugins


@pytest.fixture
def registry(plugins: Plugins) -> Registry:
    return plugins.registry


def read(registry: Registry, *settings: str) -> Recipe:
    return Recipe.read(RECIPES / "cyclegan.toml", [*SMALL, *settings], registry)


def refused(call: Callable[[], object]) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        call()
    return [problem.message for problem in caught.value.problems]


def test_a_recipe_chooses_components_of_the_kind(registry: Registry) -> None:
    norm = "translator.generator.norm={ type='curved', curve={ type='power', exponent=3 }, others=['power'] }"
    recipe = read(registry, norm)
    dry_run(recipe)
    curves = [module for module in build(recipe).modules() if isinstance(module, Power)]
    assert curves
    assert {(curve.exponent, curve.gain) for curve in curves} == {(3, 0.5)}


def test_a_default_of_the_kind_is_looked_up_in_the_recipes_registry(registry: Registry) -> None:
    recipe = read(registry, "translator.generator.norm=curved")  # the process's registry knows no 'power'
    assert recipe.resolved()["translator"]["generator"]["norm"] == {
        "type": "curved",
        "curve": {"type": "power", "exponent": 2},
        "others": [],
    }
    assert {module.exponent for module in build(recipe).modules() if isinstance(module, Power)} == {2}
    again = Recipe.read(RECIPES / "cyclegan.toml", {"translator": recipe.resolved()["translator"]}, registry)
    assert again.resolved()["translator"] == recipe.resolved()["translator"]


@pytest.mark.parametrize(
    ("norm", "message"),
    [
        ("{ type='curved', curve='pover' }", "unknown tone curve 'pover'. Did you mean 'power'? Registered: power"),
        (
            "{ type='curved', curve={ type='power', exponents=2 } }",
            "tone curve 'power' has no option 'exponents'. Did you mean 'exponent'? Options: exponent",
        ),
        ("{ type='curved', curve={ type='power', gain=2 } }", "cannot be set here: the rest of the recipe decides it"),
        (
            "{ type='curved', curve={ type='power', exponent='2' } }",
            "expected an integer, got '2'. Write 2 without quotes",
        ),
        ("{ type='curved', curve=3 }", "expected the name of a component (tone curve), or a table, got 3"),
    ],
)
def test_mistakes_are_reported_as_for_built_in_kinds(registry: Registry, norm: str, message: str) -> None:
    assert refused(lambda: read(registry, f"translator.generator.norm={norm}")) == [message]


def test_what_the_component_refuses_has_its_place(registry: Registry) -> None:
    recipe = read(registry, "translator.generator.norm={ type='curved', curve={ type='power', exponent=0 } }")
    with pytest.raises(RecipeError, match=r"translator.generator.norm.curve.exponent: expected at least 1, got 0"):
        dry_run(recipe)


def test_the_schema_has_the_kind(registry: Registry) -> None:
    made = schema(registry)
    assert made["definitions"]["tone_curve.power"]["properties"]["exponent"] == {"type": "integer", "default": 1}
    validator = jsonschema.Draft7Validator(made)
    values = {"translator": {"type": "cyclic", "generator": {"type": "resnet", "norm": {"type": "curved"}}}}
    norm = values["translator"]["generator"]["norm"]  # type: ignore[index]
    for curve, valid in (("power", True), ({"type": "power", "exponent": 2}, True), ({"exponent": "2"}, False)):
        norm["curve"] = {"type": "power", **curve} if isinstance(curve, dict) else curve
        assert validator.is_valid(values) == valid, curve


def test_the_command_line_lists_and_describes_it(
    plugins: Plugins, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("i2i.cli.components.default_plugins", lambda: plugins)
    assert run(["list", "tone_curve"]) == 0
    assert capsys.readouterr().out.split() == ["tone_curve:", "power", "curves"]
    assert run(["describe", "norm.curved"]) == 0
    said = capsys.readouterr().out
    assert "curve: tone curve = { type = 'power', exponent = 2 }" in said
    assert "others: array of tone curve = []" in said
    assert run(["describe", "tone_curve.power"]) == 0
    assert "options:\n  exponent: integer = 1\n" in capsys.readouterr().out


def test_calling_the_kind_names_a_component(registry: Registry) -> None:
    factory = CURVE("power", exponent=3)
    assert factory == Factory(CURVE, "power", {"exponent": 3})
    bound: Any = Factory(CURVE, "power", {"exponent": 3}, registry)(4, gain=2.0)
    assert torch.equal(bound(torch.tensor([2.0])), torch.tensor([16.0]))
    with pytest.raises(BuildError, match=r"^tone curve 'power': exponent: expected at least 1, got 0$"):
        Factory(CURVE, "power", {"exponent": 0}, registry)(4)


def test_adding_a_component_adds_its_kind() -> None:
    plugins = Plugins({"curves": plugin(lambda registry: registry.add(CURVE, "power", Power))})
    assert plugins.registry.kind_of(Curve) is CURVE
    assert plugins.registry.kinds["tone_curve"] is CURVE


def test_an_annotation_without_a_kind_is_reported_with_the_fix(registry: Registry) -> None:
    class Alien(Protocol): ...

    class Holder(nn.Module):
        def __init__(self, num_features: int, alien: Factory[Alien]) -> None: ...

    Holder.__init__.__annotations__["alien"] = Factory[Alien]
    registry.add(i2i.NORM, "holder", Holder)
    (message,) = refused(lambda: read(registry, "translator.generator.norm={ type='holder', alien='x' }"))
    assert message == (
        "Factory[Alien] asks for no kind of component: expected the contract of a kind, such as i2i.Norm; "
        "a plugin adds a kind for Alien with registry.add_kind"
    )


@pytest.mark.parametrize(
    ("hook", "problem"),
    [
        (
            lambda registry: registry.add_kind(Kind("norm", Curve)),
            "kind 'norm' is defined twice: by plugin 'builtin' and by plugin 'curves'. Rename one of them",
        ),
        (
            lambda registry: registry.add_kind(Kind("curve", i2i.Norm)),
            "kind 'curve' of plugin 'curves': contract: Norm already belongs to kind 'norm' of plugin 'builtin'; "
            "a contract belongs to one kind",
        ),
        (lambda registry: registry.add_kind("curve"), "plugin 'curves': expected a kind such as i2i.NORM, got 'curve'"),
        (
            lambda registry: Kind("curve", Curve, passed=("num_features")),
            "kind 'curve': passed: expected a tuple of strings, got 'num_features'; write ('num_features',)",
        ),
        (
            lambda registry: Kind("curve", "Curve"),  # type: ignore[arg-type]
            "kind 'curve': contract: expected a protocol or a class, got 'Curve'",
        ),
        (
            lambda registry: Kind("Tone Curve", Curve),
            "a kind's name: expected lower-case letters, digits and _, such as 'mapping_network', got 'Tone Curve'",
        ),
    ],
)
def test_a_mistaken_kind_is_the_plugins_problem(hook: Any, problem: str) -> None:
    plugins = Plugins({"curves": plugin(hook)})
    assert [(info.name, info.problem) for info in plugins.found if not info.loaded] == [("curves", problem)]
    assert "curve" not in plugins.registry.kinds


def test_nothing_of_a_plugin_that_fails_remains() -> None:
    def register(registry: Any) -> None:
        registry.add(CURVE, "power", Power)
        raise ValueError("a bug")

    plugins = Plugins({"curves": plugin(register)})
    assert "tone_curve" not in plugins.registry.kinds
    assert (CURVE, "power") not in plugins.registry


def test_two_plugins_may_bring_components_of_one_kind_in_any_order() -> None:
    def failing(registry: Any) -> None:
        registry.add(CURVE, "broken", Power)
        raise ValueError("a bug")

    def second(registry: Any) -> None:
        registry.add(CURVE, "linear", Power)

    for order in (["one", "two", "bad"], ["bad", "two", "one"]):
        modules = {"one": Plugin, "two": plugin(second), "bad": plugin(failing)}
        registry = Plugins({name: modules[name] for name in order}).registry
        assert registry.names(CURVE) == ["linear", "power"]
        assert registry.kinds["tone_curve"] is CURVE


def test_a_registry_refuses_a_second_kind_of_one_name_by_name() -> None:
    registry = Registry()
    registry.add_kind(CURVE, plugin="one")
    registry.add_kind(CURVE, plugin="two")
    with pytest.raises(RegistryError, match=r"kind 'tone_curve' is defined twice: by plugin 'one' and by plugin 'two'"):
        registry.add(Kind("tone_curve", Curve), "x", Power, plugin="two")


def test_the_schema_is_json(registry: Registry) -> None:
    json.dumps(schema(registry))
