"""The line of every key of a TOML text, which no TOML reader tells for valid keys."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable

Path = tuple[str | int, ...]

_SPACE = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BLANK = re.compile(r"[ \t]*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"""+' r"|'''.*?'''+" r'|"(?:\\.|[^"\\\n])*"' r"|'[^'\n]*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\n]*")


def lines(text: str) -> dict[Path, int]:
    """Line, counted from 1, of each table and key, by path; items of arrays are numbered from 0.

    Args:
        text: TOML that a parser has accepted: nothing is checked here.
    """
    return _Scanner(text).scan()


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.found: dict[Path, int] = {}
        self.arrays: dict[Path, int] = {}  # arrays of tables: how many tables so far

    def scan(self) -> dict[Path, int]:
        table: Path = ()
        self.skip(_SPACE)
        while self.at < len(self.text):
            line = self.line()
            if self.text.startswith("[[", self.at):
                table = self.header(2)
                self.arrays[table] = self.arrays.get(table, -1) + 1
                table = (*table, self.arrays[table])
                self.note(table, line)
            elif self.text[self.at] == "[":
                table = self.header(1)
                self.note(table, line)
            else:
                self.pair(table)
            self.skip(_SPACE)
        return self.found

    def header(self, brackets: int) -> Path:
        self.at += brackets
        path: Path = ()
        for part in self.key():
            if path in self.arrays:
                path = (*path, self.arrays[path])
            path = (*path, part)
        if brackets == 1 and path in self.arrays:
            path = (*path, self.arrays[path])
        self.at += brackets
        return path

    def key(self) -> list[str]:
        parts = []
        while True:
            self.skip(_BLANK)
            if self.text[self.at] in "\"'":
                raw = self.take(_STRING)
                parts.append(tomllib.loads(f"key = {raw}")["key"])  # escapes mean the same as in a value
            else:
                parts.append(self.take(_BARE))
            self.skip(_BLANK)
            if not self.text.startswith(".", self.at):
                return parts
            self.at += 1

    def pair(self, table: Path) -> None:
        line = self.line()
        path = (*table, *self.key())
        self.note(path, line)
        self.at += 1  # the equals sign
        self.value(path)

    def value(self, path: Path) -> None:
        self.skip(_BLANK)
        opening = self.text[self.at]
        if opening in "\"'":
            self.take(_STRING)
        elif opening == "[":
            self.items("]", lambda index: self.item((*path, index)))
        elif opening == "{":
            self.items("}", lambda index: self.pair(path))
        else:
            self.take(_SCALAR)

    def items(self, closing: str, one: Callable[[int], None]) -> None:
        self.at += 1
        index = 0
        self.skip(_SPACE)
        while self.text[self.at] != closing:
            one(index)
            index += 1
            self.skip(_SPACE)
            if self.text[self.at] == ",":
                self.at += 1
                self.skip(_SPACE)
        self.at += 1

    def item(self, path: Path) -> None:
        self.note(path, self.line())
        self.value(path)

    def note(self, path: Path, line: int) -> None:
        for length in range(1, len(path)):  # a dotted key makes its tables, unless they have a line of their own
            self.found.setdefault(path[:length], line)
        self.found[path] = line

    def line(self) -> int:
        return self.text.count("\n", 0, self.at) + 1

    def skip(self, pattern: re.Pattern[str]) -> None:
        self.take(pattern)

    def take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.text, self.at)
        assert match is not None, f"not TOML at character {self.at}"
        self.at = match.end()
        return match.group()
