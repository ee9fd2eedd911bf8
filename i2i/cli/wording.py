"""Types and defaults of options as a recipe writes them, for `i2i describe`."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from i2i.core.factory import Factory, is_plain, plain
from i2i.core.registry import Registry
from i2i.core.signature import Option
from i2i.recipe.annotations import is_factory, members
from i2i.recipe.writing import shown

_PLAIN: dict[Any, str] = {
    int: "integer",
    float: "number",
    str: "string",
    bool: "true or false",
    Path: "path",
    type(None): "'none'",
}
_BOUNDS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}


def option_line(option: Option, registry: Registry) -> str:
    """Format an option, such as `layers: integer = 5`."""
    if option.required:
        return f"{option.name}: {worded(option.annotation, registry)}, required"
    return f"{option.name}: {worded(option.annotation, registry)} = {_default(option.default)}"


def worded(annotation: Any, registry: Registry) -> str:
    """Describe a type: `integer >= 0`, `norm or 'none'`, `array of 'average' or 'max'`."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if len(members(annotation)) > 1:
        return " or ".join(dict.fromkeys(worded(member, registry) for member in members(annotation)))
    if is_factory(annotation):
        return str(registry.kind_of(arguments[0]) or arguments[0])
    if origin is typing.Literal:
        return " or ".join(map(shown, arguments))
    if origin is typing.Annotated:
        return " and ".join([worded(arguments[0], registry), *_bounds(arguments[1:])]).replace(" and ", " ", 1)
    if origin in (list, tuple, set):
        items = [worded(item, registry) for item in arguments if item is not Ellipsis]
        return f"array of {items[0] if len(set(items)) == 1 else ', '.join(items)}"
    if origin is dict:
        return f"table of {worded(arguments[1], registry)}"
    if annotation is Any:
        return "anything"
    if is_dataclass(annotation):
        return f"table of {', '.join(field.name for field in fields(annotation))}"
    if isinstance(annotation, type):
        return _PLAIN.get(annotation, annotation.__name__)
    return inspect.formatannotation(annotation)


def _bounds(metadata: tuple[Any, ...]) -> Iterator[str]:
    for part in metadata:
        for name, sign in _BOUNDS.items():
            bound = getattr(part, name, None)
            if bound is not None:
                yield f"{sign} {bound:g}"
        yield from _bounds(tuple(getattr(part, "metadata", ())))  # pydantic's Field holds several


def _default(value: Any) -> str:
    if isinstance(value, Factory) and not value.options:
        return shown(value.name)
    if isinstance(value, Factory):
        return shown({"type": value.name, **plain(value.options)})
    return shown(plain(value)) if is_plain(value) else f"{value!r}, which a recipe cannot express"
