"""One value against one annotation, and values as messages show them."""

from __future__ import annotations

import enum
import tomllib
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge, MinLen
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from i2i.recipe.values import MismatchError, fit
from i2i.recipe.writing import inline, shown


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@pytest.mark.parametrize(
    ("value", "annotation", "fitted"),
    [
        (3, int, 3),
        (3, float, 3.0),
        (float("inf"), float, float("inf")),  # a stranger's default may be infinite, and must come back from a run
        ("none", int | None, None),
        ("none", str, "none"),
        ("none", Any, "none"),
        ([1, 2], tuple[int, ...], (1, 2)),
        ([1, "x"], tuple[int, str], (1, "x")),
        ({"a": [1]}, dict[str, list[int]], {"a": [1]}),
        ("red", Colour, Colour.RED),
        ("a", Literal["a", "b"], "a"),
        ([1, {"x": "y"}], Any, [1, {"x": "y"}]),
        (1.5, float | Tensor, 1.5),
        ([1, 1], set[int], {1}),
    ],
)
def test_what_fits(value: Any, annotation: Any, fitted: Any) -> None:
    made = fit(value, annotation)
    assert made == fitted
    assert type(made) is type(fitted)


def test_paths_become_absolute_wherever_they_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert fit("a/../b", Path) == tmp_path / "b"
    assert fit(["a"], tuple[Path, ...]) == (tmp_path / "a",)
    assert fit({"x": ["a"]}, dict[str, list[Path]]) == {"x": [tmp_path / "a"]}
    assert fit("~nobody-of-that-name/a", Path) == tmp_path / "~nobody-of-that-name/a"


@pytest.mark.parametrize(
    ("value", "annotation", "problems"),
    [
        (True, int, {(): "expected an integer, got true"}),
        (1, bool, {(): "expected true or false, got 1"}),
        ("3", int, {(): "expected an integer, got '3'. Write 3 without quotes"}),
        (3.0, int, {(): "expected an integer, got 3.0. Write 3"}),
        (1e5, int, {(): "expected an integer, got 100000.0. Write 100_000"}),
        (3.5, int, {(): "expected an integer, got 3.5"}),
        (2**63, int, {(): "expected a number of 64 bits, got a number too large for TOML"}),
        (-(10**30), float, {(): "expected a number of 64 bits, got a number too large for TOML"}),
        ([10**5000], Any, {(): "too many digits or brackets in [a number too large for TOML]"}),
        (date(2020, 1, 2), Any, {(): "no option takes a date or a time, got 2020-01-02"}),
        (0, Annotated[int, Ge(1)], {(): "expected a number >= 1, got 0"}),
        ([], Annotated[list[int], MinLen(1)], {(): "expected an array of at least 1, got []"}),
        ([1], tuple[int, int], {(): "expected a longer array, got [1]"}),
        ([1, 2, 3], tuple[int, int], {(): "expected an array of at most 2, got [1, 2, 3]"}),
        (["a", 1, 2.5], tuple[int, ...], {(0,): "expected an integer, got 'a'", (2,): "expected an integer, got 2.5"}),
        ({"a": {"b": "c"}}, dict[str, dict[str, int]], {("a", "b"): "expected an integer, got 'c'"}),
        (3, dict[str, int], {(): "expected a table, got 3"}),
        ("c", Literal["a", "b"], {(): "expected 'a' or 'b', got 'c'"}),
        ("aa", Literal["aaa", "b"] | None, {(): "expected 'aaa' or 'b' or 'none', got 'aa'. Did you mean 'aaa'?"}),
        ("aaa", list[Literal["aaa"]], {(): "expected an array, got 'aaa'. Write ['aaa']"}),
        ("green", Colour, {(): "expected 'red' or 'blue', got 'green'"}),
        ("", Path, {(): "expected a path, got ''"}),
        (3, Path | None, {(): "expected a path or 'none', got 3"}),
        ("x", float | Tensor, {(): "expected a number, got 'x'"}),
        ("x", Tensor, {(): "expected what no recipe can say, got 'x'"}),
        ("x", Callable[[int], int], {(): "expected callable, got 'x'"}),
        (-1, float | dict[str, float] | None, {}),
    ],
)
def test_what_does_not_fit_is_said_at_its_place(value: Any, annotation: Any, problems: dict[Any, str]) -> None:
    if not problems:
        assert fit(value, annotation) == value
        return
    with pytest.raises(MismatchError) as caught:
        fit(value, annotation)
    assert caught.value.problems == problems


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("text", "'text'"),
        ("it's", '"it\'s"'),
        ("a\nb", '"a\\nb"'),
        ("ü", "'ü'"),
        (True, "true"),
        (None, "None"),
        (1.5, "1.5"),
        (float("nan"), "nan"),
        ({}, "{}"),
        ([], "[]"),
        ({"a": {"b": {"c": {"d": 1}}}}, "{ a = { b = { c = { ... } } } }"),
        ([1, 2, 3, 4, 5, 6, 7], "[1, 2, 3, 4, 5, 6, ...]"),
        (2**64, "a number too large for TOML"),
    ],
)
def test_values_in_messages_look_like_toml(value: Any, text: str) -> None:
    assert shown(value) == text


endless: list[Any] = []
for _ in range(5000):
    endless = [endless]


@pytest.mark.parametrize("value", ["x" * 10_000, [["x" * 100] * 100] * 100, endless, {"k" * 10: endless}])
def test_values_in_messages_are_of_bounded_length(value: Any) -> None:
    assert len(shown(value)) < 3000


plain = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=50)
@given(plain)
def test_a_value_written_on_one_line_is_the_same_value(value: Any) -> None:
    written = inline(value)
    assert "\n" not in written
    assert tomllib.loads(f"value = {written}") == {"value": value}
