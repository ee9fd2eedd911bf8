"""The constructor signature as the schema: what may be set, of what type, with what default."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from i2i.errors import RegistryError

REQUIRED: Any = inspect.Parameter.empty


@dataclass(frozen=True)
class Option:
    """One parameter of a constructor.

    Args:
        annotation: its type, resolved; `Any` where the author gave none.
        default: its default, or `REQUIRED`.
    """

    name: str
    annotation: Any
    default: Any

    @property
    def required(self) -> bool:
        return self.default is REQUIRED


@cache
def options(component: Callable[..., Any]) -> dict[str, Option]:
    """Every named parameter of a component's constructor (or of a function), in order.

    Raises:
        RegistryError: an annotation names something that does not exist at run time.
    """
    function = component.__init__ if inspect.isclass(component) else component
    try:
        signature = inspect.signature(component)
        hints = typing.get_type_hints(function, include_extras=True)
    except (NameError, TypeError, ValueError) as error:
        raise RegistryError(
            f"the signature of {component!r} cannot be read: {error}; import what its annotations name at run time, "
            f"not under TYPE_CHECKING"
        ) from error
    return {
        name: Option(name, hints.get(name, Any), parameter.default)
        for name, parameter in signature.parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }


def required_names(function: Callable[..., Any]) -> list[str]:
    """Names of a bound or unbound method's parameters that have no default, without `self`."""
    return [name for name, parameter in named(function).items() if parameter.default is REQUIRED]


def named(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """A method's parameters that can be given by name, without `self`."""
    return {
        name: parameter
        for name, parameter in inspect.signature(function).parameters.items()
        if name != "self" and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }


def accepted(function: Callable[..., Any], given: dict[str, Any]) -> dict[str, Any]:
    """The part of `given` that a function declares, so that a caller may offer more than everybody takes."""
    return {name: value for name, value in given.items() if name in named(function)}
