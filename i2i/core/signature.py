"""The constructor signature as the schema: what may be set, of what type, with what default."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Optional

from i2i.errors import RegistryError

REQUIRED: Any = inspect.Parameter.empty
_OF_PROTOCOLS = ("__init__", "__subclasshook__")


@dataclass(frozen=True)
class Option:
    """One parameter of a constructor.

    Args:
        annotation: its type, resolved; `Any` where the author gave none. None is part of it where it is the default.
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

    A constructor's `**options` stand for the parameters of the class that it extends.

    Raises:
        RegistryError: an annotation names something that does not exist at run time.
    """
    function = component.__init__ if inspect.isclass(component) else component
    try:
        signature = inspect.signature(component)
        hints = typing.get_type_hints(function, include_extras=True)
        own = {
            name: _option(name, hints.get(name, Any), parameter.default)
            for name, parameter in signature.parameters.items()
            if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        }
        extends = any(parameter.kind is parameter.VAR_KEYWORD for parameter in signature.parameters.values())
        return {**(_inherited(component) if extends else {}), **own}
    except Exception as error:  # reading an annotation evaluates it, and a stranger's may raise anything
        raise RegistryError(
            f"the signature of {getattr(component, '__qualname__', component)!r} cannot be read: {error}; "
            f"import what its annotations name at run time, not under TYPE_CHECKING"
        ) from error


def _inherited(component: Callable[..., Any]) -> dict[str, Option]:
    """The options of the class that a component's constructor extends."""
    constructing = (
        [cls for cls in inspect.getmro(component) if "__init__" in vars(cls)] if inspect.isclass(component) else []
    )
    return options(constructing[1]) if len(constructing) > 2 else {}  # the last one is object


def declared_values(component: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Every option of a component by name: what is given, and the defaults of the rest."""
    defaults = {name: option.default for name, option in options(component).items() if not option.required}
    return {**defaults, **given}


def _option(name: str, annotation: Any, default: Any) -> Option:
    if default is None:  # `size: int = None` is an old way to write `int | None`, and a recipe must be able to say it
        return Option(name, Optional[annotation], None)  # noqa: UP045  # `|` does not take every annotation
    bare = annotation.__origin__ if typing.get_origin(annotation) is typing.Annotated else annotation
    # `decay: float = 0` is 0.0, as it is when a recipe says 0.
    return Option(name, annotation, float(default) if bare is float and type(default) is int else default)


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


def lacks(component: object, contract: type) -> list[str]:
    """Methods that a contract asks for and a class has not; of a function nothing is known before it is called."""
    if not isinstance(component, type):
        return []
    methods = {name: getattr(value, "__func__", value) for name, value in vars(contract).items()}
    asked = [name for name, value in methods.items() if inspect.isfunction(value) and name not in _OF_PROTOCOLS]
    return [name for name in asked if not any(name in vars(base) for base in component.__mro__)]
