"""Text that is not TOML: each common mistake gets its line, what is wrong, and how to write it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from i2i.recipe.files import read
from i2i.recipe.recipe import Recipe
from i2i.recipe.source import RecipeError
from i2i.recipe.syntax import as_number

Write = Callable[..., Path]


def problems(call: Callable[[], object]) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        call()
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        # values that other languages write
        ("x = False", "expected a value, got False; write x = false"),
        ("x = TRUE", "expected a value, got TRUE; write x = true"),
        ("x = yes", "expected a value, got yes; write x = true"),
        ("x = off  # why", "expected a value, got off; write x = false"),
        ("x = None", 'expected a value, got None; write x = "none"'),
        ("x = null", 'expected a value, got null; write x = "none"'),
        ("x = none", 'expected a value, got none; write x = "none"'),
        ("x = (1, 2)", "an array stands in brackets; write x = [1, 2]"),
        ("x = 10*5", "expressions are not computed, got 10*5; write the number"),
        ("x = int(1e5)", "expressions are not computed, got int(1e5); write the number"),
        # numbers
        ("x = .5", "expected a value, got .5; write x = 0.5"),
        ("x = 5.", "expected a value, got 5.; write x = 5.0"),
        ("x = -007", "expected a value, got -007; write x = -7"),
        ("x = 100,000", "expected a value, got 100,000; write x = 100_000"),
        ("x = 50%", "expected a value, got 50%; write x = 0.5"),
        # paths and texts
        (
            r'x = "C:\Users\me\trainA"',
            r"in double quotes a backslash begins an escape; "
            r"write x = 'C:\Users\me\trainA', or / for each backslash",
        ),
        (
            r'x = "D:\data"',
            r"in double quotes a backslash begins an escape; "
            r"write x = 'D:\data', or / for each backslash",
        ),
        (
            r'''x = "D:\it's"''',
            "in double quotes a backslash begins an escape; "
            """write x = "D:/it's", or / for each backslash""",
        ),
        (r"x = C:\photos", r"expected a value, got C:\photos; write x = 'C:\photos'"),
        ("x = ~/photos", "expected a value, got ~/photos; write x = '~/photos'"),
        ("x = folders", "expected a value, got folders; write x = 'folders'"),
        ("x = “photos”", 'expected straight quotes, got “photos”; write x = "photos"'),
        ('x = "abc', 'the text is not closed; write x = "abc"'),
        ("x = 'it's'", "a text that contains ' stands in double quotes; write x = \"it's\""),
        # lines
        ("x =", "x has no value; write x = and a value, or remove the line"),
        ("x == 1", "expected one equals sign; write x = 1"),
        ("x = 1;", "a line ends without ';'; write x = 1"),
        ("x = 1,", "a line ends without ','; write x = 1"),
        ("x = 1 y = 2", "expected one key = value in each line, got 1 y = 2 after x ="),
        ("x: 5", "expected key = value, got x: 5; write x = 5"),
        ("x: folders", "expected key = value, got x: folders; write x = 'folders'"),
        ("x:", "expected key = value, got x:; write [x]"),
        ("x 5", "expected key = value or [table], got x 5"),
        ("[x", "expected the name of a table in brackets, got [x; write [x]"),
        ("// why", "a comment begins with #, got // why"),
        ("x = {", "a table in braces stands on one line; close it there, or write a table [x] of its own"),
        ('x = { "a": 1 }', 'in braces write name = value, with commas between; got { "a": 1 }'),
    ],
)
def test_a_mistake_is_explained(write: Write, line: str, message: str) -> None:
    path = write(f"# a recipe\n[data]\n{line}\ny = 1\n")
    assert problems(lambda: read(path)) == [f"mine.toml:3: not TOML: {message}"]


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        (
            "[train]\nsteps = 5\n[train]\nseed = 2\n",
            ":3",
            "the table [train] is given twice, first in line 1; write all of its keys in one place",
        ),
        (
            "train.steps = 1\n[train]\nseed = 1\n",
            ":2",
            "the table [train] is given twice, first in line 1; write all of its keys in one place",
        ),
        ("[a]\nx = 1\ny = 2\nx = 3\n", ":4", "a.x is given twice, first in line 2; remove one of them"),
        ("[a.b]\nx = 1\n[a]\nb = 2\n", ":4", "a.b is given twice, first in line 1; remove one of them"),
        ("x = [1,\n2\n", ":1", "an array, a table or a text is not closed before the end of the file"),
        ('x = """\nabc\n', ":1", "an array, a table or a text is not closed before the end of the file"),
    ],
)
def test_what_is_given_twice_or_not_closed(write: Write, text: str, place: str, message: str) -> None:
    path = write(text)
    assert problems(lambda: read(path)) == [f"mine.toml{place}: not TOML: {message}"]


def test_other_formats_are_named(write: Write) -> None:
    write("train:\n  steps: 5\n", "mine.yaml")
    expected = "a recipe is written as [train] in one line and steps = 5 in the next"
    assert problems(lambda: read("mine.yaml")) == [f"mine.yaml: expected a TOML file, got .yaml; {expected}"]
    write('{"train": {"steps": 5}}', "mine.json")
    assert problems(lambda: read("mine.json")) == [f"mine.json: expected a TOML file, got .json; {expected}"]
    path = write('{"train": {"steps": 5}}')
    assert problems(lambda: read(path)) == [
        "mine.toml:1: not TOML but JSON; write [train] in one line and steps = 5 in the next"
    ]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("x = 1\n".encode("utf-16"), ": expected UTF-8 text, got UTF-16; save the file as UTF-8"),
        ("x = 1\n".encode("utf-16-be"), ": expected UTF-8 text, got UTF-16; save the file as UTF-8"),
        ("x = 1\ny = 'ü'\n".encode("latin-1"), ":2: expected UTF-8 text, got the byte 0xfc; save the file as UTF-8"),
    ],
)
def test_other_encodings_are_named(write: Write, data: bytes, message: str) -> None:
    path = write("")
    path.write_bytes(data)
    assert problems(lambda: read(path)) == [f"mine.toml{message}"]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("train.deterministic=False", "expected true or false, got 'False'. Write false"),
        ("train.deterministic='yes'", "expected true or false, got 'yes'. Write true"),
        ("train.ema=None", "expected a number or a table or 'none', got 'None'. Write 'none'"),
        ("train.steps='5'", "expected an integer, got '5'. Write 5 without quotes"),
        ("train.steps=100,000", "expected an integer, got '100,000'. Write 100_000"),
        ("train.steps=1e5", "expected an integer, got 100000.0. Write 100_000"),
        ("optimizers.generator.lr='2e-4'", "expected a number, got '2e-4'. Write 2e-4 without quotes"),
        ("data.size=64.0", "expected an integer or an array, got 64.0. Write 64"),
        ("losses.identity=null", "no loss is called 'null'; write 'none' to switch an optional one off"),
        (
            "translator.generator.norm=None",
            "no norm is called 'None'; write 'none' to switch an optional one off",
        ),
        (
            r'data.root="D:\new"',
            'a path holds a control character, "D:\\new": in double quotes a backslash begins an escape. '
            "Write the path in single quotes, or with / for each backslash",
        ),
    ],
)
def test_values_of_other_languages_get_the_value_to_write(setting: str, message: str) -> None:
    (problem,) = problems(lambda: Recipe.read("cyclegan", [setting]))
    assert problem == f"--set {setting}: {setting.partition('=')[0]}: {message}"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("5", "5"),
        ("-.5e-3", "-0.5e-3"),
        ("+007", "+7"),
        ("0", "0"),
        ("1_000", "1_000"),
        ("1e5", "1e5"),
        ("1,5", ""),
        ("1.2.3", ""),
        ("", ""),
        ("e5", ""),
        (".", ""),
    ],
)
def test_numbers_as_toml_writes_them(text: str, written: str) -> None:
    assert as_number(text) == written
