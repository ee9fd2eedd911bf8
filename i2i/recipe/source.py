"""The values of a recipe, each with its origin, and how one recipe is laid over another."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from i2i.errors import I2IError
from i2i.recipe.syntax import NULL_WORDS

KeyPath = tuple[str | int, ...]
_BARE = re.compile(r"[\w-]+")

DEFAULT_TYPES: dict[KeyPath, str] = {("data",): "folders", ("schedule",): "constant"}
"""Tables that may leave their `type` away."""
SCHEDULE = ("from", "to", "over")
"""Keys of a weight schedule: `weight = { from = 1, to = 0, over = 1000 }`."""
KEPT = ("weight", "only", "phase", "every", "mask")
"""Keys of a loss's table that mean the same for every type of loss."""


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
        return ": ".join(part for part in (self.where, self.key, self.message) if part)


class RecipeError(I2IError):
    """Everything that is wrong with a recipe, at once, in the order of its lines."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    def __reduce__(self) -> tuple[type, tuple[list[Problem]]]:
        return type(self), (self.problems,)


@dataclass
class Source:
    """The merged values of a recipe.

    Args:
        name: the recipe's file name without its suffix; empty for a `--set`.
        values: plain tables and values.
        origins: `file:line` or `--set ...` of each key path; the file itself at `()`.
    """

    name: str
    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[KeyPath, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    @property
    def is_setting(self) -> bool:
        return not self.name

    def where(self, path: KeyPath) -> str:
        """Origin of a key, or of the nearest table around it."""
        while path and path not in self.origins:
            path = path[:-1]
        return self.origins.get(path, self.name)

    def problem(self, path: KeyPath, message: str) -> Problem:
        return Problem(self.where(path), dotted(path), message)

    def error(self, problems: Sequence[Problem]) -> RecipeError:
        """All problems: first this file's, then those of files that it extends, then of `--set`; each by line."""
        files = [self.where(()), *(place_of(problem.where)[0] for problem in problems)]
        settings = len(files)

        def rank(problem: Problem) -> tuple[int, int]:
            file, line = place_of(problem.where)
            return settings if file.startswith("--set ") else files.index(file), line

        return RecipeError(sorted(dict.fromkeys(problems), key=rank))


def place_of(origin: str) -> tuple[str, int]:
    """File and line of an origin; line 0 where it has none."""
    match = re.fullmatch(r"(.+):(\d+)", origin, re.DOTALL)
    return (match[1], int(match[2])) if match and not origin.startswith("--set ") else (origin, 0)


def dotted(path: KeyPath) -> str:
    """`losses.cycle.weight`, `data.augment[0].p`."""
    parts = (
        f"[{part}]" if isinstance(part, int) else f".{part if _BARE.fullmatch(part) else repr(part)}" for part in path
    )
    return "".join(parts).removeprefix(".")


def merge(parent: Source, child: Source) -> None:
    """Lays a child over its parent: tables merge, arrays replace, a table of another type replaces its parent's.

    A loss of another type keeps its parent's weights, phases and domains.
    """
    parent.values = _merged(parent, child, parent.values, child.values, ())
    if not child.is_setting:
        parent.name, parent.origins[()] = child.name, child.where(())


def _merged(parent: Source, child: Source, old: dict[str, Any], new: dict[str, Any], path: KeyPath) -> dict[str, Any]:
    merged = dict(old)
    for key, value in new.items():
        here = (*path, key)
        before = merged.get(key)
        if isinstance(before, str) and before != "none" and isinstance(value, dict) and "type" not in value:
            before = {"type": before}  # norm = "in" is short for norm = { type = "in" }
            parent.origins[*here, "type"] = parent.where(here)
        if (
            isinstance(before, dict)
            and isinstance(value, dict)
            # settings have no order among themselves
            and (parent.is_setting or (_same_type(before, value, here) and _same_weights(before, value, here)))
        ):
            merged[key] = _merged(parent, child, before, value, here)
            if not child.is_setting:  # a table that --set reaches into is still the file's
                parent.origins[here] = child.where(here)
        elif path == ("losses",) and isinstance(before, dict) and isinstance(value, dict | str) and _names_loss(value):
            # Another type of loss: its options and inputs are its own. What holds for any loss stays, such as weights.
            table = {"type": value} if isinstance(value, str) else value
            kept = {name: item for name, item in before.items() if name in KEPT}
            for name in before.keys() - kept.keys():
                _forget(parent.origins, (*here, name))
            merged[key] = _merged(parent, child, kept, table, here)
            parent.origins[here] = child.where(here)
            parent.origins[*here, "type"] = child.where((*here, "type"))
        else:
            merged[key] = value
            _forget(parent.origins, here)
            parent.origins |= {at: origin for at, origin in child.origins.items() if at[: len(here)] == here}
    return merged


def _same_type(before: dict[str, Any], value: dict[str, Any], path: KeyPath) -> bool:
    wanted, known = value.get("type"), before.get("type", DEFAULT_TYPES.get(path))
    return wanted in (None, known) or (isinstance(wanted, str) and wanted.lower() == known)


def _names_loss(value: dict[str, Any] | str) -> bool:
    """Whether a value says which loss there is, and not that there is none."""
    return isinstance(value, dict) or value.lower() not in NULL_WORDS


def _same_weights(before: dict[str, Any], value: dict[str, Any], path: KeyPath) -> bool:
    """Whether both or none of two tables `losses.NAME.weight` are a schedule, whose keys are no phases and domains."""
    is_weight = len(path) == 3 and path[0] == "losses" and path[2] == "weight"
    return not is_weight or bool(before.keys() & {*SCHEDULE}) == bool(value.keys() & {*SCHEDULE})


def _forget(origins: dict[KeyPath, str], path: KeyPath) -> None:
    for known in [known for known in origins if known[: len(path)] == path]:
        del origins[known]
