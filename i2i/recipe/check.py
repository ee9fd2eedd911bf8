"""The check of components: every problem at once, each with its place, before anything is built."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from typing import Any

from i2i.core.factory import Factory, Kind
from i2i.core.registry import Entry, Registry
from i2i.core.signature import Option, options
from i2i.core.spelling import did_you_mean, nearest
from i2i.errors import OptionError, RegistryError
from i2i.recipe.annotations import container_of, holds_factory, is_optional, kinds_of
from i2i.recipe.names import name_problem
from i2i.recipe.source import KeyPath, Problem, Source, dotted
from i2i.recipe.syntax import NULL_WORDS
from i2i.recipe.values import MismatchError, fit
from i2i.recipe.writing import shown

MISSING: Any = object()
SURE = 0.7
"""How near a misspelt component must be to a known one, for the rest of its table to be checked as if it were that."""


class Checker:
    """Turns plain tables into checked factories and values; problems gather in `problems`.

    Args:
        source: the recipe's values with their origins.
        registry: where component names are looked up.
    """

    def __init__(self, source: Source, registry: Registry) -> None:
        self.source, self.registry = source, registry
        self.problems: list[Problem] = []
        self.offered: dict[str, tuple[Any, KeyPath]] = {}
        """What callers give to components that declare it, such as `image_size`, and where the recipe says it."""

    def report(self, path: KeyPath, message: str) -> None:
        self.problems.append(self.source.problem(path, message))

    def check(self, value: Any, annotation: Any, path: KeyPath) -> Any:
        """A value of any annotation: a component, a table or an array of them, a dataclass, or a plain value."""
        if not holds_factory(annotation):
            return self._plain(value, annotation, path)
        if value == "none" and is_optional(annotation):
            return None
        try:
            kinds = kinds_of(annotation, self.registry)
        except RegistryError as error:
            self.report(path, str(error))
            return MISSING
        if kinds:
            factory = self.component(value, kinds, path)
            return MISSING if factory is None else factory
        in_table, item = container_of(annotation)
        if in_table and isinstance(value, dict):
            return {name: self.check(one, item, (*path, name)) for name, one in self.named(value, path).items()}
        if not in_table and isinstance(value, list):
            return tuple(self.check(one, item, (*path, index)) for index, one in enumerate(value))
        expected = f"a table for each, [{dotted(path)}.NAME]" if in_table else "an array of components"
        self.report(path, f"expected {expected}, got {shown(value)}")
        return MISSING

    def named(self, table: Mapping[str, Any], path: KeyPath) -> dict[str, Any]:
        """Those components of a table that are not switched off; their names become names of submodules."""
        for name in table:
            problem = name_problem(name)
            if problem:
                self.report((*path, name), problem)
        return {name: value for name, value in table.items() if value != "none"}

    def component(
        self,
        value: Any,
        kinds: list[Kind[Any]],
        path: KeyPath,
        default: str | None = None,
        common: Mapping[str, Option] | None = None,
    ) -> Factory[Any] | None:
        """A component: its name, or a table with `type` and options.

        Args:
            default: the name where the table has no `type`.
            common: keys that all components of the kind have in addition to their own options; the caller reads them.
        """
        table = {"type": value} if isinstance(value, str) else value
        what = " or ".join(map(str, kinds))
        if not isinstance(table, dict):
            self.report(path, f"expected the name of a component ({what}), or a table, got {shown(value)}")
            return None
        at = (*path, "type") if isinstance(value, dict) and "type" in value else path
        chosen = self._chosen(table.get("type", default), kinds, at)
        if chosen is None:
            return None
        entry, declared = chosen
        common = common or {}
        fixed = {*entry.kind.passed, *entry.kind.offered}
        own = {key: option for key, option in declared.items() if key not in fixed and key not in common}
        given = {key: item for key, item in table.items() if key != "type" and key not in common}
        checked = self.options(
            given, own, path, f"{entry.kind} {entry.name!r}", fixed, tuple(common), kinds, entry.kind.suggested
        )
        self._own_check(entry.load(), own, checked, path)
        return Factory(entry.kind, entry.name, checked, self.registry, path)

    def _chosen(self, name: Any, kinds: list[Kind[Any]], at: KeyPath) -> tuple[Entry, dict[str, Option]] | None:
        """A name's entry and options; where the name is misspelt, those of the component that it looks like."""
        names = self.registry.names(*kinds)
        if not isinstance(name, str):
            known = f"one of {', '.join(names)}"
            self.report(
                at,
                f"needs type = '...', {known}" if name is None else f"expected {known}, got {shown(name)}",
            )
            return None
        if name.lower() in NULL_WORDS and name not in names:
            what = " or ".join(map(str, kinds))
            fix = (
                f"this {what} cannot be switched off"
                if name == "none"
                else "write 'none' to switch an optional one off"
            )
            self.report(at, f"no {what} is called {name!r}; {fix}")
            return None
        try:
            entry = self.registry.find(kinds, name)
        except RegistryError as error:
            self.report(at, str(error))
            meant = nearest(name, names, SURE)
            if meant is None:
                return None
            entry = self.registry.find(kinds, meant)
        try:
            return entry, options(entry.load())
        except RegistryError as error:
            self.report(at, str(error))
            return None

    def options(
        self,
        given: Mapping[str, Any],
        settable: Mapping[str, Option],
        path: KeyPath,
        of: str,
        fixed: set[str] | None = None,
        common: tuple[str, ...] = (),
        kinds: Sequence[Kind[Any]] = (),
        suggested: tuple[str, ...] = (),
    ) -> dict[str, Any]:
        """Options against a signature: unknown and missing ones are reported, the others checked.

        Args:
            of: whose options, for messages.
            fixed: parameters that are given elsewhere.
            common: other keys that the table may have, for messages.
            kinds: whose components may have what this one lacks, for messages.
            suggested: parameters that the caller gives where the recipe does not set them.
        """
        checked = {}
        for key, value in given.items():
            if key in settable:
                checked[key] = self.check(value, settable[key].annotation, (*path, key))
            elif key in (fixed or ()):
                self.report((*path, key), "cannot be set here: the rest of the recipe decides it")
            else:
                names = [*settable, *common]
                known = f"Options: {', '.join(names)}" if names else "It has none"
                is_typo = nearest(key, names, cutoff=0.7) is not None
                hint = (not is_typo and self._elsewhere(key, kinds)) or did_you_mean(key, names)
                self.report((*path, key), f"{of} has no option {key!r}.{hint} {known}")
        for key, option in settable.items():
            if option.required and key not in given and key not in suggested:
                self.report(path, f"{of} needs the option {key!r}")
        return checked

    def _elsewhere(self, key: str, kinds: Sequence[Kind[Any]]) -> str:
        """Which other components have an option: folders in the place of a data set that draws, for example."""
        have = []
        for name in self.registry.names(*kinds):
            try:
                entry = self.registry.find(kinds, name)
                if key in options(entry.load()) and key not in (*entry.kind.passed, *entry.kind.offered):
                    have.append(repr(name))
            except RegistryError:  # a component that cannot be loaded is not what is wrong here
                continue
        most = ", ".join(have[:-1])
        return f" With type = {f'{most} or ' if most else ''}{have[-1]} there is one." if have else ""

    def table(self, value: Any, cls: type, path: KeyPath) -> dict[str, Any]:
        """A table whose keys are a dataclass's fields."""
        if not isinstance(value, dict):
            self.report(path, f"expected a table, got {shown(value)}")
            return {}
        return self.options(value, options(cls), path, dotted(path))

    def _plain(self, value: Any, annotation: Any, path: KeyPath) -> Any:
        try:
            fitted = fit(value, annotation)
        except MismatchError as mismatch:
            for place, message in mismatch.problems.items():
                self.report((*path, *place), message)
            return MISSING
        if isinstance(fitted, float) and math.isnan(fitted):  # options of torch's own classes allow anything
            self.report(path, "expected a number, got nan")
            return MISSING
        return fitted

    def _own_check(
        self, component: Any, settable: Mapping[str, Option], checked: Mapping[str, Any], path: KeyPath
    ) -> None:
        """A component may look at its options together, in a classmethod `check` that names those it needs."""
        if not isinstance(inspect.getattr_static(component, "check", None), classmethod):
            return
        defaults = {name: option.default for name, option in settable.items() if not option.required}
        known = {**{name: value for name, (value, _) in self.offered.items()}, **defaults, **checked}
        asked = inspect.signature(component.check).parameters
        needed = [name for name, one in asked.items() if name in known or one.default is one.empty]
        wanted = {name: known.get(name, MISSING) for name in needed}
        if any(holds_missing(value) for value in wanted.values()):
            return  # what it needs is itself missing or wrong, which has been said
        try:
            component.check(**wanted)
        except OptionError as error:
            if error.option in self.offered:
                self.report(self.offered[error.option][1], f"{error.message} (because of {dotted(path)})")
            else:
                self.report((*path, error.option) if error.option in settable else path, error.message)
        except Exception as error:  # an option without annotation may hold anything, so its check may meet anything
            self.report(path, f"cannot be checked: {type(error).__name__}: {error}")


def holds_missing(value: Any) -> bool:
    """Whether a value, or a component inside it, could not be read."""
    items = value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else ()
    return value is MISSING or any(holds_missing(item) for item in items)
