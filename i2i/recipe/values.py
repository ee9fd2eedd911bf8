"""Checking one plain value against one annotation, with pydantic, and saying what is wrong in a recipe's words."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from i2i.core.spelling import did_you_mean
from i2i.recipe.annotations import choices, is_optional, members
from i2i.recipe.syntax import BOOLEANS, NULL_WORDS, as_number
from i2i.recipe.writing import shown

Path_ = tuple[str | int, ...]


class MismatchError(Exception):
    """A value that does not fit.

    Args:
        problems: by place inside the value, what was expected there and what came.
    """

    def __init__(self, problems: dict[Path_, str]) -> None:
        super().__init__("; ".join(problems.values()))
        self.problems = problems


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
        MismatchError: it does not fit.
    """
    if value == "none" and is_optional(annotation):
        return None
    try:
        # strict JSON: no "3" for 3 and no true for 1, yet an array may be a tuple and a string a path
        fitted = adapter(annotation).validate_json(_json(value), strict=True)
    except ValidationError as error:
        raise MismatchError(_problems(error.errors(), value, annotation)) from error
    if value == "" and isinstance(fitted, Path):
        raise MismatchError({(): "expected a path, got ''"})  # it would mean the working folder
    if isinstance(fitted, Path) and any(ord(letter) < 32 for letter in str(fitted)):
        # "D:\\new" holds a line break: TOML reads the escapes of double quotes, and no file has such a name.
        message = f"a path holds a control character, {shown(value)}: in double quotes a backslash begins an escape. "
        raise MismatchError({(): f"{message}Write the path in single quotes, or with / for each backslash"})
    return _absolute(fitted)


def _json(value: Any) -> str:
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise MismatchError({(): f"expected a number of 64 bits, got {shown(value)}"})
    try:
        return json.dumps(value)
    except TypeError as error:
        raise MismatchError({(): f"no option takes a date or a time, got {shown(value)}"}) from error
    except (ValueError, RecursionError) as error:
        raise MismatchError({(): f"too many digits or brackets in {shown(value)}"}) from error


def _absolute(value: Any) -> Any:
    if isinstance(value, Path):
        return Path(os.path.abspath(os.path.expanduser(value)))  # noqa: PTH100, PTH111  # keeps links, raises nothing
    if isinstance(value, list | tuple) and type(value) in (list, tuple):
        return type(value)(_absolute(item) for item in value)
    return {key: _absolute(item) for key, item in value.items()} if type(value) is dict else value


def _problems(details: list[ErrorDetails], value: Any, annotation: Any) -> dict[Path_, str]:
    """One sentence for each place; of several alternatives, those that the value went into deepest are meant."""
    places: dict[Path_, list[ErrorDetails]] = {}
    for detail in details:
        places.setdefault(_place(detail["loc"], value), []).append(detail)
    if len(places) > 1:
        places.pop((), None)
    return {place: _sentence(found, _at(value, place), annotation, not place) for place, found in places.items()}


def _place(location: tuple[str | int, ...], value: Any) -> Path_:
    """pydantic's location without the names of the alternatives that stand in it."""
    place: Path_ = ()
    for part in location:
        inside = range(len(value)) if isinstance(value, list) else value if isinstance(value, dict) else ()
        if part in inside:
            place, value = (*place, part), value[part]
    return place


def _at(value: Any, place: Path_) -> Any:
    for part in place:
        value = value[part]
    return value


def _sentence(details: list[ErrorDetails], value: Any, annotation: Any, whole: bool) -> str:
    expected = [text for text in dict.fromkeys(map(_expected, details)) if text]
    if whole and is_optional(annotation):
        expected.append("'none'")
    if "a string" in expected and Path in members(annotation):
        expected[expected.index("a string")] = "a path"
    legal = choices(annotation)
    hint = did_you_mean(value, legal) if isinstance(value, str) else ""
    if isinstance(value, str) and not hint and (written := _unquoted(value, expected)):
        hint = f" Write {written}"
    elif isinstance(value, float) and value.is_integer() and "an integer" in expected:
        hint = f" Write {int(value):_}"
    elif value in legal and "an array" in expected:
        hint = f" Write [{shown(value)}]"
    return f"expected {' or '.join(expected) or 'what no recipe can say'}, got {shown(value)}.{hint}".removesuffix(".")


def _unquoted(text: str, expected: list[str]) -> str:
    """For a text in the place of another value: how that value is written; empty where that is not clear."""
    lowered = text.strip().lower()
    if "'none'" in expected and lowered in NULL_WORDS:
        return "'none'"
    if "true or false" in expected and lowered in BOOLEANS:
        return BOOLEANS[lowered]
    if any("integer" in kind or "number" in kind for kind in expected) and (number := as_number(text.strip())):
        return f"{number} without quotes" if number == text.strip() else number
    return ""


_WORDS = {
    "int_type": "an integer",
    "int_from_float": "an integer",
    "int_parsing_size": "an integer of 64 bits",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "a string",
    "bool_type": "true or false",
    "path_type": "a path",
    "list_type": "an array",
    "tuple_type": "an array",
    "set_type": "an array",
    "frozen_set_type": "an array",
    "dict_type": "a table",
    "dataclass_type": "a table",
    "model_type": "a table",
    "greater_than": "a number > {gt:g}",
    "greater_than_equal": "a number >= {ge:g}",
    "less_than": "a number < {lt:g}",
    "less_than_equal": "a number <= {le:g}",
    "multiple_of": "a multiple of {multiple_of}",
    "literal_error": "{expected}",
    "enum": "{expected}",
    "too_short": "an array of at least {min_length}",
    "too_long": "an array of at most {max_length}",
    "unexpected_keyword_argument": "no such key",
    "none_required": "",  # said as 'none', which is how TOML writes it
    "needs_python_object": "",  # a type that no recipe can hold, such as a tensor
}


def _expected(detail: ErrorDetails) -> str:
    if detail["type"] == "missing":
        last = detail["loc"][-1]
        return f"a value for {last!r}" if isinstance(last, str) else "a longer array"
    words = _WORDS.get(detail["type"])
    if words is None:
        return detail["msg"].removeprefix("Input should be ").removeprefix("a valid ")
    return words.format(**detail.get("ctx", {}))
