"""Reading recipes: files that extend each other, and what `--set` changes."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from i2i.core.spelling import did_you_mean
from i2i.recipe.lines import lines
from i2i.recipe.source import KeyPath, Problem, RecipeError, Source, merge
from i2i.recipe.syntax import SyntaxProblem, decode, syntax_problem
from i2i.recipe.writing import LONGEST, shown

_PART = re.compile(r"[\w-]+|\*")


def read(recipe: str | Path, settings: Iterable[str] = (), folders: Sequence[Path] = ()) -> Source:
    """Reads a recipe, what it extends, and what `--set` changes.

    Args:
        recipe: a file, or the name of a recipe in one of `folders`.
        settings: `key=value` each; the value as TOML, or as bare text. A `*` in the key stands for each table of the
            recipe at its place: `optimizers.*.lr=1e-4`.

    Raises:
        RecipeError: a file is missing or is not TOML, or settings are not `key=value`.
    """
    problems: list[Problem] = []
    changes, source = Source(""), Source(str(recipe))
    try:
        source = _file(_find(str(recipe), None, folders), folders, ())
    except RecipeError as error:
        problems += error.problems
    except RecursionError:
        problems.append(_too_deep(str(recipe)))
    readable = not problems
    for setting in settings:
        try:
            for one in _setting(setting, source.values if readable else None):
                merge(changes, one)
        except RecipeError as error:
            problems += error.problems
        except RecursionError:
            problems.append(_too_deep(_origin(setting)))
    if problems:
        raise RecipeError(problems)
    merge(source, changes)
    return source


def shipped(folders: Iterable[Path]) -> dict[str, Path]:
    """Recipes by name, of all folders; an earlier folder's win."""
    found: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(Path(folder).glob("*.toml")):
            found.setdefault(path.stem, path)
    return found


def _find(name: str, child: Path | None, folders: Sequence[Path]) -> Path:
    """The file of a recipe: next to the recipe that extends it, else the shipped recipe of that name."""
    path = Path(name) if child is None else child.parent / name
    is_file, is_folder = os.path.isfile(path), os.path.isdir(path)  # noqa: PTH112, PTH113  # pathlib's raise if too long
    if is_file and not (child is not None and path.resolve() == child.resolve()):
        return path
    known = shipped(folders)
    stem = name.removesuffix(".toml")
    for spelling in (stem, stem.lower()):
        if spelling in known:
            return known[spelling]
    neighbors = [one.name for one in sorted(path.parent.glob("*.toml")) if one.name != child.name] if child else []
    if is_file:
        raise RecipeError([Problem(name, "", "extends itself, and no shipped recipe has that name")])
    if is_folder and (path / "checkpoints").is_dir():
        found = f"is a run folder, not a recipe; `i2i train --resume {name}` continues it, and its recipe is"
        raise RecipeError([Problem(name, "", f"{found} {path / 'recipe.toml'}")])
    found = "is a folder, not a recipe" if is_folder else "no such recipe file, nor a recipe of that name"
    close = difflib.get_close_matches(Path(name).stem, known, n=1)
    near = f" Did you mean {close[0]!r}?" if close else did_you_mean(Path(name).name, neighbors)
    raise RecipeError([Problem(name, "", f"{found}.{near} Shipped recipes: {', '.join(known) or 'none'}")])


def _file(path: Path, folders: Sequence[Path], below: tuple[Path, ...]) -> Source:
    source = _parsed(path)
    parent_name = source.values.pop("extends", None)
    if parent_name is None:
        return source
    if not isinstance(parent_name, str):
        message = f"expected the name or the file of a recipe, got {shown(parent_name)}"
        raise RecipeError([source.problem(("extends",), message)])
    try:
        parent_path = _find(parent_name, path, folders)
    except RecipeError as error:
        problem = source.problem(("extends",), f"{parent_name}: {error.problems[0].message}")
        near = difflib.get_close_matches(parent_name.removesuffix(".toml"), shipped(folders), n=1)
        if not near:
            raise RecipeError([problem]) from error
        source.problems.append(problem)
        parent_path = shipped(folders)[near[0]]  # what it most likely means, so that the rest is checked as well
    chain = (*below, path)
    if parent_path.resolve() in [ancestor.resolve() for ancestor in chain]:
        circle = " extends ".join(one.name for one in (*chain, parent_path))
        raise RecipeError([source.problem(("extends",), f"{circle}, so none of them can be read")])
    parent = _file(parent_path, folders, chain)
    merge(parent, source)
    parent.problems += source.problems
    return parent


def _parsed(path: Path) -> Source:
    """One file's values, each with its line."""
    name = _shown(path)
    try:
        text = decode(path.read_bytes())
        try:
            values, known = tomllib.loads(text), lines(text)
        except ValueError as error:
            raise syntax_problem(text, path.suffix, error) from error
    except OSError as error:
        raise RecipeError([Problem(name, "", f"cannot be read: {error.strerror}")]) from error
    except SyntaxProblem as error:
        place = name if error.line is None else f"{name}:{error.line}"
        raise RecipeError([Problem(place, "", error.message)]) from error
    origins: dict[KeyPath, str] = {at: f"{name}:{line}" for at, line in known.items()}
    return Source(path.stem, values, {**origins, (): name})


def _setting(setting: str, tables: Mapping[str, Any] | None) -> list[Source]:
    """Return what a setting changes, a source for each place that its key stands for.

    Args:
        setting: `key=value`.
        tables: values of the recipe, in which a `*` is looked up; None where the recipe cannot be read.
    """
    key, equals, text = setting.partition("=")
    origin = _origin(setting)
    path = tuple(part.strip() for part in key.split("."))
    if not equals or not all(_PART.fullmatch(part) for part in path):
        raise RecipeError([Problem(origin, "", "expected key=value, such as train.steps=1000")])
    if path == ("extends",):
        raise RecipeError([Problem(origin, "extends", "can only be set in a recipe file")])
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        value = text  # bare text, such as a folder's name, needs no quotes
    places = [path] if "*" not in path else _places(tables, path) if tables is not None else []
    if not places and tables is not None:
        raise RecipeError([Problem(origin, "", f"{key} matches no table of the recipe")])
    changes = []
    for place in places:
        values: dict[str, Any] = {place[-1]: value}
        for part in reversed(place[:-1]):
            values = {part: values}
        changes.append(Source("", values, dict.fromkeys(_paths(values), origin)))
    return changes


def _places(tables: Mapping[str, Any], path: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return the key paths that a path with `*` stands for: each table of the recipe at that place."""
    first, rest = path[0], path[1:]
    if not rest:
        return [] if first == "*" else [path]
    inner = {name: table for name, table in tables.items() if isinstance(table, dict) and first in ("*", name)}
    return [(name, *below) for name, table in inner.items() for below in _places(table, rest)]


def _origin(setting: str) -> str:
    return f"--set {setting}" if len(setting) <= LONGEST else f"--set {setting[: LONGEST - 3]}..."


def _too_deep(where: str) -> Problem:
    return Problem(where, "", "is nested too deeply to be read")


def _paths(values: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    yield path
    for key, value in values.items() if isinstance(values, dict) else ():
        yield from _paths(value, (*path, key))


def _shown(path: Path) -> str:
    """A path as a person would write it: relative where it lies below the working folder."""
    try:
        return str(Path(os.path.abspath(path)).relative_to(Path.cwd()))  # noqa: PTH100  # a link keeps its own name
    except ValueError:
        return str(path)
