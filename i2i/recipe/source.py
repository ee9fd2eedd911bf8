"""Where a recipe's values come from: files that extend each other, and `--set`; each value knows its origin."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from i2i.errors import I2IError
from i2i.recipe.lines import lines
from i2i.registry import did_you_mean

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a recipe.

    Args:
        where: `file:line`, or the `--set` that said it.
        key: the dotted key path.
        message: what was expected, what came, and the nearest fix.
    """

    where: str
    key: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.key}: {self.message}" if self.key else f"{self.where}: {self.message}"


class RecipeError(I2IError):
    """Everything that is wrong with a recipe, at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


@dataclass
class Source:
    """The merged values of a recipe.

    Args:
        name: the recipe's file name without its suffix; empty for a `--set`.
        values: plain tables and values.
        origins: `file:line` or `--set ...` of each key path.
    """

    name: str
    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[KeyPath, str] = field(default_factory=dict)

    @property
    def is_setting(self) -> bool:
        return not self.name

    def where(self, path: KeyPath) -> str:
        """Origin of a key, or of the nearest table around it."""
        while path and path not in self.origins:
            path = path[:-1]
        return self.origins[path]

    def problem(self, path: KeyPath, message: str) -> Problem:
        return Problem(self.where(path), dotted(path), message)


def dotted(path: KeyPath) -> str:
    """`losses.cycle.weight`, `data.augment[0].p`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


def read(recipe: str | Path, settings: Iterable[str] = (), folders: Sequence[Path] = ()) -> Source:
    """Reads a recipe, what it extends, and what `--set` changes.

    Args:
        recipe: a file, or the name of a recipe in one of `folders`.
        settings: `key=value` each; the value as TOML, or as bare text.

    Raises:
        RecipeError: a file is missing or is not TOML, or a setting has no `=`.
    """
    source = _file(_find(str(recipe), None, folders), folders, ())
    for setting in settings:
        merge(source, _setting(setting))
    return source


def shipped(folders: Iterable[Path]) -> dict[str, Path]:
    """Recipes by name, of all folders; an earlier folder's win."""
    found: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(Path(folder).glob("*.toml")):
            found.setdefault(path.stem, path)
    return found


def merge(parent: Source, child: Source) -> None:
    """Lays a child over its parent: tables merge, arrays replace, a table of another type replaces its parent's."""
    parent.values = _merged(parent, child, parent.values, child.values, ())
    if not child.is_setting:
        parent.name, parent.origins[()] = child.name, child.origins[()]


def _merged(parent: Source, child: Source, old: dict[str, Any], new: dict[str, Any], path: KeyPath) -> dict[str, Any]:
    merged = dict(old)
    for key, value in new.items():
        here = (*path, key)
        before = merged.get(key)
        if isinstance(before, str) and isinstance(value, dict) and "type" not in value:
            before = {"type": before}  # norm = "in" is short for norm = { type = "in" }
            parent.origins[*here, "type"] = parent.where(here)
        same_type = isinstance(before, dict) and isinstance(value, dict) and value.get("type") in (None, before.get("type"))
        if same_type:
            merged[key] = _merged(parent, child, before, value, here)
            if not child.is_setting:  # a table that --set reaches into is still the file's
                parent.origins[here] = child.where(here)
        else:
            merged[key] = value
            _forget(parent.origins, here)
            parent.origins |= {at: origin for at, origin in child.origins.items() if at[: len(here)] == here}
    return merged


def _forget(origins: dict[KeyPath, str], path: KeyPath) -> None:
    for known in [known for known in origins if known[: len(path)] == path]:
        del origins[known]


def _find(name: str, beside: Path | None, folders: Sequence[Path]) -> Path:
    path = Path(name) if beside is None else beside / name
    if path.is_file():
        return path
    known = shipped(folders)
    stem = name.removesuffix(".toml")
    if stem in known:
        return known[stem]
    raise RecipeError(
        [
            Problem(
                name,
                "",
                f"no such recipe file, nor a recipe of that name.{did_you_mean(stem, known)} "
                f"Shipped recipes: {', '.join(known) or 'none'}",
            )
        ]
    )


def _file(path: Path, folders: Sequence[Path], below: tuple[Path, ...]) -> Source:
    shown = _shown(path)
    try:
        text = path.read_text(encoding="utf-8")
        values = tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError([Problem(shown, "", f"cannot be read: {error}")]) from error
    except tomllib.TOMLDecodeError as error:
        match = re.search(r" \(at line (\d+), column (\d+)\)$", str(error))
        line, message = (f":{match[1]}", str(error)[: match.start()]) if match else ("", str(error))
        raise RecipeError([Problem(f"{shown}{line}", "", f"not TOML: {message}")]) from error
    origins: dict[KeyPath, str] = {at: f"{shown}:{line}" for at, line in lines(text).items()}
    source = Source(path.stem, values, {**origins, (): shown})
    parent_name = values.pop("extends", None)
    if parent_name is None:
        return source
    if not isinstance(parent_name, str):
        raise RecipeError([source.problem(("extends",), f"expected a recipe's name or file, got {parent_name!r}")])
    try:
        parent_path = _find(parent_name, path.parent, folders)
    except RecipeError as error:
        raise RecipeError([source.problem(("extends",), f"{parent_name}: {error.problems[0].message}")]) from error
    if parent_path.resolve() in {ancestor.resolve() for ancestor in (*below, path)}:
        raise RecipeError([source.problem(("extends",), f"{parent_name} extends this recipe, so neither can be read")])
    parent = _file(parent_path, folders, (*below, path))
    merge(parent, source)
    return parent


def _setting(setting: str) -> Source:
    key, equals, text = setting.partition("=")
    origin = f"--set {setting}"
    path = tuple(part.strip() for part in key.split("."))
    if not equals or not all(path):
        raise RecipeError([Problem(origin, "", "expected key=value, such as train.steps=1000")])
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text  # bare text, such as a folder's name, needs no quotes
    if path == ("extends",):
        raise RecipeError([Problem(origin, "extends", "can only be set in a recipe file")])
    values: dict[str, Any] = {path[-1]: value}
    for part in reversed(path[:-1]):
        values = {part: values}
    origins: dict[KeyPath, str] = {path[:length]: origin for length in range(1, len(path) + 1)}
    return Source("", values, {**origins, (): origin})


def _shown(path: Path) -> str:
    """A path as a person would write it: relative where it lies below the working folder."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
