"""A component that is chosen and checked but not built yet."""

from __future__ import annotations

import enum
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from i2i.core import kinds
from i2i.core.factory import BuildError, Factory, is_plain, plain
from i2i.core.plugins import Plugins
from i2i.core.registry import Registry
from i2i.errors import DataError, I2IError, OptionError


class Mode(enum.Enum):
    FAST = "fast"


class Norm(nn.Module):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        sizes: tuple[int, ...] = (1, 2),
        folder: Path = Path("a/b"),
        mode: Mode = Mode.FAST,
        inner: Factory[Any] | None = None,
        activation: Factory[Any] = kinds.ACTIVATION("leaky_relu", negative_slope=0.1),
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        if num_features < 1:
            raise OptionError("num_features", f"expected at least 1, got {num_features}")
        self.given = (num_features, eps, sizes)
        if inner is not None:
            self.inner = inner(num_features)


class Picky:
    def __init__(self, num_features: int, error: str = "") -> None:
        raise {
            "type": TypeError("a type"),
            "value": ValueError("a value"),
            "zero": ZeroDivisionError("division by zero"),
            "key": KeyError("a key"),
            "runtime": RuntimeError("a size"),
            "data": DataError("a folder"),
            "own": OptionError("error", "expected another"),
        }[error]


class Generator:
    def __init__(self, channels: int = 64, image_size: int | None = None) -> None:
        self.given = (channels, image_size)


@pytest.fixture
def registry() -> Registry:
    registry = Plugins({}).registry
    registry.add(kinds.NORM, "norm", Norm)
    registry.add(kinds.NORM, "picky", Picky)
    registry.add(kinds.GENERATOR, "generator", Generator)
    registry.add(kinds.GENERATOR, "sizeless", lambda channels=1: channels)
    return registry


def test_it_builds_anew_at_each_call(registry: Registry) -> None:
    factory = Factory(kinds.NORM, "norm", {"eps": 1.0}, registry)
    first, second = factory(3), factory(4)
    assert first is not second
    assert getattr(first, "given", None) == (3, 1.0, (1, 2))


def test_what_is_offered_goes_to_those_that_declare_it_and_the_recipe_wins(registry: Registry) -> None:
    sized: Any = Factory(kinds.GENERATOR, "generator", {"channels": 8}, registry)(image_size=32, channels=1)
    assert sized.given == (8, 32)
    assert Factory(kinds.GENERATOR, "sizeless", {}, registry)(image_size=32) == 1


def test_equal_choices_are_equal(registry: Registry) -> None:
    assert Factory(kinds.NORM, "in", {"eps": 1}, registry, ("a",)) == kinds.NORM("in", eps=1)
    assert kinds.NORM("in") != kinds.NORM("ln")


def test_resolved_spells_every_option_as_toml_can_hold_it(registry: Registry) -> None:
    factory = Factory(kinds.NORM, "norm", {"inner": Factory(kinds.NORM, "norm", {"eps": 2.0}, registry)}, registry)
    plain_norm = {
        "type": "norm",
        "eps": 1e-5,
        "sizes": [1, 2],
        "folder": "a/b",
        "mode": "fast",
        "inner": "none",
        "activation": {"type": "leaky_relu", "negative_slope": 0.1, "inplace": False},
    }
    assert factory.resolved() == {**plain_norm, "inner": {**plain_norm, "eps": 2.0}}
    assert list(factory.resolved()) == list(plain_norm)


def test_resolved_leaves_out_what_others_give(registry: Registry) -> None:
    assert Factory(kinds.GENERATOR, "generator", {}, registry).resolved() == {"type": "generator", "channels": 64}


def test_plain_values() -> None:
    assert plain({"a": (1, None, Path("x"))}) == {"a": [1, "none", "x"]}
    assert is_plain({"a": (1, None, Path("x"))})
    assert not is_plain(torch.float32)
    assert not is_plain([object()])


@pytest.mark.parametrize(
    ("error", "text"),
    [
        ("type", "norm 'picky': cannot be built: a type"),
        ("value", "norm 'picky': cannot be built: a value"),
        ("zero", "norm 'picky': cannot be built: division by zero"),
        ("key", "norm 'picky': cannot be built: 'a key'"),
        ("runtime", "norm 'picky': cannot be built: a size"),
        ("own", "norm 'picky': error: expected another"),
    ],
)
def test_a_refusal_says_which_component(registry: Registry, error: str, text: str) -> None:
    factory = Factory(kinds.NORM, "picky", {"error": error}, registry)
    with pytest.raises(BuildError) as caught:
        factory(3)
    assert str(caught.value) == text
    assert caught.value.factory is factory
    assert isinstance(caught.value, I2IError)


def test_what_i2i_itself_raises_passes_through(registry: Registry) -> None:
    with pytest.raises(DataError, match=r"^a folder$"):
        Factory(kinds.NORM, "picky", {"error": "data"}, registry)(3)


def test_a_refusal_inside_another_component_names_the_inner_one(registry: Registry) -> None:
    inner = Factory(kinds.NORM, "picky", {"error": "own"}, registry, ("outer", "inner"))
    with pytest.raises(BuildError) as caught:
        Factory(kinds.NORM, "norm", {"inner": inner}, registry, ("outer",))(3)
    assert (caught.value.factory, caught.value.option) == (inner, "error")


def test_a_default_that_refuses_is_found_at_the_component_that_has_it(registry: Registry) -> None:
    inner = Factory(kinds.NORM, "picky", {"error": "own"}, registry)  # no path: no recipe chose it
    outer = Factory(kinds.NORM, "norm", {"inner": inner}, registry, ("outer",))
    with pytest.raises(BuildError) as caught:
        outer(3)
    assert caught.value.factory is outer
    assert str(caught.value) == "norm 'norm': norm 'picky': error: expected another"


def test_a_refusal_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(BuildError(kinds.NORM("in"), "eps", "expected more")))
    assert (str(error), error.option) == ("norm 'in': eps: expected more", "eps")


def test_text_stands_for_a_path_where_the_constructor_takes_one(registry: Registry) -> None:
    def pathed(folder: Path | None = None, name: str = "x", either: str | Path = "y") -> tuple[Any, ...]:
        return folder, name, either

    registry.add(kinds.DATASET, "pathed", pathed)
    built: Any = Factory(kinds.DATASET, "pathed", {"folder": "a/b", "name": "c", "either": "d"}, registry)()
    assert built == (Path("a/b"), "c", "d")
