"""Checking one value against one annotation, with pydantic, and saying what is wrong in i2i's words."""

from __future__ import annotations

import json
import os
import types
import typing
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError

from i2i.factory import Factory
from i2i.registry import did_you_mean


class Mismatch(Exception):
    """A value that does not fit; its text says what was expected and what came."""


def members(annotation: Any) -> tuple[Any, ...]:
    """The alternatives of `X | Y`, or the annotation alone."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return typing.get_args(annotation)
    return (annotation,)


def is_factory(annotation: Any) -> bool:
    return typing.get_origin(annotation) is Factory


def holds_factory(annotation: Any) -> bool:
    """Whether a recipe chooses a component there, or in the items of a table or an array there."""
    return is_factory(annotation) or any(holds_factory(part) for part in typing.get_args(annotation))


def is_optional(annotation: Any) -> bool:
    return types.NoneType in members(annotation)


@cache
def adapter(annotation: Any) -> TypeAdapter[Any]:
    """pydantic's view of an annotation; a class that it does not know is checked by `isinstance`."""
    try:
        return TypeAdapter(annotation, config=ConfigDict(arbitrary_types_allowed=True))
    except PydanticUserError:  # a model or dataclass brings its own configuration
        return TypeAdapter(annotation)


def fit(value: Any, annotation: Any) -> Any:
    """The value as the constructor takes it.

    TOML has no null, so `"none"` stands for None where None is allowed. A path becomes absolute, so that a run can be
    resumed from another folder.

    Raises:
        Mismatch: it does not fit.
    """
    if value == "none" and is_optional(annotation):
        return None
    try:
        # strict JSON: no "3" for 3 and no true for 1, yet an array may be a tuple and a string a path
        fitted = adapter(annotation).validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        raise Mismatch(_message(error, value, annotation)) from error
    except TypeError as error:
        raise Mismatch(f"expected a plain value, got {type(value).__name__}") from error
    return Path(os.path.abspath(fitted.expanduser())) if isinstance(fitted, Path) else fitted


def _message(error: ValidationError, value: Any, annotation: Any) -> str:
    details = [detail for detail in error.errors() if detail["type"] != "none_required"] or error.errors()
    expected = list(dict.fromkeys(_expected(detail["msg"]) for detail in details))
    if is_optional(annotation):
        expected.append('"none"')
    near = did_you_mean(value, _choices(annotation)) if isinstance(value, str) else ""
    return f"expected {' or '.join(expected)}, got {json.dumps(value)}.{near}".removesuffix(".")


def _expected(message: str) -> str:
    words = message.removeprefix("Input should be ").removeprefix("a valid ")
    if words.startswith(("greater", "less", "a multiple")):
        return f"a number {words}"
    article = "an" if words[:1] in "aeiou" else "a"
    return f"{article} {words}" if words.split(",")[0] in ("integer", "number", "string", "boolean", "tuple") else words


def _choices(annotation: Any) -> list[str]:
    found: list[str] = []
    for member in members(annotation):
        if typing.get_origin(member) is typing.Literal:
            found += [choice for choice in typing.get_args(member) if isinstance(choice, str)]
        elif typing.get_args(member):
            for part in typing.get_args(member):
                found += _choices(part)
    return found
