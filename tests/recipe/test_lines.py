"""The line of every key, for every TOML text that a parser accepts."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st

from i2i.recipe.lines import lines
from i2i.recipe.source import KeyPath


def paths(value: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    """Every key path that a parser finds."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from paths(item, (*path, key))


def check(text: str) -> dict[KeyPath, int]:
    found = lines(text)
    expected = set(paths(tomllib.loads(text)))
    assert set(found) == expected
    assert all(1 <= line <= text.count("\n") + 1 for line in found.values())
    return found


text = st.text(st.characters(exclude_categories=("Cs",)), max_size=12) | st.sampled_from(
    ["", "a.b", "[x]", "# no", '"', "'", "'''", '"""', "\\", "a = 1", "\n[t]\nk = 2\n", "{", "},", "\r\n", "ünï"]
)
scalars = (
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | text
    | st.just(date(1979, 5, 27))
    | st.just(time(7, 32))
    | st.just(datetime(1979, 5, 27, 7, 32, tzinfo=UTC))
)
tables = st.recursive(
    st.dictionaries(text, scalars, max_size=3),
    lambda inner: st.dictionaries(text, scalars | inner | st.lists(scalars | inner, max_size=3), max_size=3),
    max_leaves=12,
)


@pytest.mark.thorough
@settings(max_examples=200, deadline=None)
@given(tables, st.booleans(), st.booleans())
def test_every_path_of_any_document_has_a_line(document: dict[str, Any], multiline: bool, windows: bool) -> None:
    written = tomli_w.dumps(document, multiline_strings=multiline)
    check(written.replace("\r\n", "\n").replace("\n", "\r\n") if windows else written)


@pytest.mark.thorough
@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(text, scalars), max_size=6, unique_by=lambda pair: pair[0]), st.lists(st.integers(0, 3)))
def test_the_line_of_a_key_is_where_it_was_written(pairs: list[tuple[str, Any]], gaps: list[int]) -> None:
    written, expected, line = "", {}, 1
    for index, (key, value) in enumerate(pairs):
        gap = gaps[index] if index < len(gaps) else 0
        written += "# a comment = [\n" * gap + tomli_w.dumps({key: value})
        expected[key,] = line + gap
        line = written.count("\n") + 1
    found = check(written)
    assert {path: at for path, at in found.items() if len(path) == 1} == expected


HANDWRITTEN = (Path(__file__).parent / "odd.toml").read_text(encoding="utf-8")


def test_the_lines_of_an_odd_text_by_hand() -> None:
    found = check(HANDWRITTEN)
    numbered = HANDWRITTEN.split("\n")

    def line(start: str, nth: int = 0) -> int:
        return [number for number, row in enumerate(numbered, 1) if row.strip().startswith(start)][nth]

    expected: dict[KeyPath, int] = {
        ("title",): 2,
        ("owner",): 4,
        ("owner", "first name"): 4,
        ("owner", "first name", "dob"): 5,
        ("owner", "first name", "quoted.key"): 6,
        ("owner", "first name", 'escaped"'): 7,
        ("owner", "first name", "a"): 8,
        ("owner", "first name", "a", "b", "c d"): 8,
        ("array", "flat"): line("flat"),
        ("array", "flat", 1): line("flat"),
        ("array", "flat", 2): line("3]"),
        ("array", "multi", 0): line('"a]"'),
        ("array", "multi", 1): line("'b['"),
        ("array", "multi", 2, 1): line("[ 1.5"),
        ("array", "multi", 3, "y", "z", 1): line("{ x"),
        ("array", "empty"): line("empty"),
        ("array", "basic"): line("basic"),
        ("array", "literal"): line("literal"),
        ("array", "after"): line("after"),
        ("array", "tight"): line("tight"),
        ("array", "quotes", 1): line("quotes"),
        ("fruits",): line("[[fruits]]"),
        ("fruits", 0): line("[[fruits]]"),
        ("fruits", 0, "physical", "colour"): line("colour"),
        ("fruits", 0, "varieties", 1, "name"): line('name = "granny'),
        ("fruits", 1): line("[[fruits]]", 1),
        ("fruits", 1, "varieties", 0, "name"): line('name = "plantain'),
        ("deep", "er", "est", "x"): line("x = 1"),
        ("deep",): line("[deep]"),  # its own header, not the earlier one that implied it
        ("array", "late", "z", "inline", "nested"): line("z ="),
    }
    assert {path: found[path] for path in expected} == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "# only a comment",
        "a=1",
        "a = 1\r\nb = 2\r\n[c]\r\nd = 3\r\n",
        "'' = 1",
        '"" = 1\n[a.""]\n"".x = 2',
        "a = [[[]]]",
        "a = [{},{}]",
        "a = [\n\n1\n\n,\n\n]",
        "a = '''\n'''\nb = \"\"\"\\\n   \"\"\"",
        "[a]\n[a.b]\n[c]\n[a.d]",
        "[[a]]\n[[a]]\n[a.b]\nc = 1",
        "3.14 = 1\n-_- = 2\n1979-05-27 = 3",
        "date = 1979-05-27 07:32:00\nhex = 0xff\ninf = -inf",
        "\t[ a ]\t# x\n\tb\t=\t1\t# y",
        '"äö" = "ü"\n',
    ],
)
def test_corners(text: str) -> None:
    check(text)
