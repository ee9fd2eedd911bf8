"""The constructor signature as the schema."""

from __future__ import annotations

import functools
import typing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pytest
import torch
from torch import Tensor

from i2i.core.signature import REQUIRED, Option, accepted, named, options
from i2i.errors import RegistryError

if TYPE_CHECKING:
    from nowhere import Nothing  # type: ignore[import-not-found]


class Annotated:
    def __init__(self, size: int, flip: bool = True, *rest: int, mode: Literal["a", "b"] = "a", **more: str) -> None:
        pass


class Careless:
    def __init__(self, size, rate=0.5, extra=None) -> None:  # type: ignore[no-untyped-def]
        pass


class OldFashioned:
    def __init__(self, size: int = None) -> None:  # type: ignore[assignment]  # noqa: RUF013
        pass


class OnlyForward(torch.nn.Module):
    def forward(self, prediction: Tensor, target: Tensor, scale: float = 1.0) -> Tensor:
        raise NotImplementedError


class Hidden:
    def __init__(self, thing: Nothing) -> None:
        pass


@dataclass
class Table:
    steps: int
    seed: int = 0


def test_every_named_parameter_is_an_option_in_order() -> None:
    found = options(Annotated)
    assert list(found) == ["size", "flip", "mode"]
    assert found["size"] == Option("size", int, REQUIRED)
    assert found["size"].required
    assert found["flip"] == Option("flip", bool, True)
    assert not found["flip"].required
    assert found["mode"].annotation == Literal["a", "b"]


def test_without_annotation_anything_goes_and_none_where_it_is_the_default() -> None:
    found = options(Careless)
    assert found["size"].annotation is Any
    assert found["rate"].annotation is Any
    assert type(None) in typing.get_args(found["extra"].annotation)


def test_a_default_of_none_is_always_allowed() -> None:
    assert set(typing.get_args(options(OldFashioned)["size"].annotation)) == {int, type(None)}


def test_a_dataclass_and_a_function_have_options_too() -> None:
    def component(path: str, strict: bool = False) -> None:
        pass

    assert list(options(Table)) == ["steps", "seed"]
    assert list(options(component)) == ["path", "strict"]


def test_a_class_without_constructor_has_none() -> None:
    assert options(OnlyForward) == {}
    assert options(type("Empty", (), {})) == {}


def test_the_signatures_of_torch_can_be_read() -> None:
    assert options(torch.optim.Adam)["lr"].default == 1e-3
    assert options(torch.nn.L1Loss)["reduction"].annotation is str


def test_an_annotation_that_exists_for_type_checkers_alone_is_an_error() -> None:
    with pytest.raises(RegistryError) as caught:
        options(Hidden)
    assert str(caught.value) == (
        "the signature of 'Hidden' cannot be read: name 'Nothing' is not defined; "
        "import what its annotations name at run time, not under TYPE_CHECKING"
    )


@pytest.mark.parametrize("component", [functools.partial(print, 1), torch.nn.ModuleList])
def test_whatever_cannot_be_read_is_an_error_of_the_registry(component: Any) -> None:
    with pytest.raises(RegistryError, match="cannot be read"):
        options(component)


def test_named_parameters_of_a_method() -> None:
    assert list(named(OnlyForward.forward)) == ["prediction", "target", "scale"]
    assert accepted(OnlyForward.forward, {"target": 1, "other": 2}) == {"target": 1}
