"""The check of a recipe: every problem at once, each with its place, before anything is built."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Mapping
from typing import Any

from i2i.errors import OptionError, RegistryError
from i2i.factory import Factory
from i2i.kinds import KIND_OF
from i2i.recipe.source import KeyPath, Problem, Source, dotted
from i2i.recipe.values import Mismatch, fit, holds_factory, is_factory, is_optional, members
from i2i.registry import Kind, Registry, did_you_mean
from i2i.signature import Option, accepted, options

MISSING: Any = object()


class Checker:
    """Turns plain tables into checked factories and values; problems gather in `problems`.

    Args:
        source: the recipe's values with their origins.
        registry: where component names are looked up.
        offered: values for the parameters that callers offer (`image_size`), used by components' own checks.
    """

    def __init__(self, source: Source, registry: Registry, offered: Mapping[str, Any] | None = None) -> None:
        self.source, self.registry = source, registry
        self.offered = dict(offered or {})
        self.problems: list[Problem] = []

    def report(self, path: KeyPath, message: str) -> None:
        problem = self.source.problem(path, message)
        if problem not in self.problems:
            self.problems.append(problem)

    def check(self, value: Any, annotation: Any, path: KeyPath) -> Any:
        """A value of any annotation: a component, a table or an array of them, a dataclass, or a plain value."""
        if not holds_factory(annotation):
            return self._plain(value, annotation, path)
        alternatives = members(annotation)
        if value == "none" and is_optional(annotation):
            return None
        kinds = [KIND_OF[typing.get_args(member)[0]] for member in alternatives if is_factory(member)]
        if kinds:
            return self.component(value, kinds, path)
        container = next(member for member in alternatives if holds_factory(member))
        item = typing.get_args(container)[-1 if typing.get_origin(container) is dict else 0]
        if typing.get_origin(container) is dict:
            if not isinstance(value, dict):
                self.report(path, f"expected a table of named components, got {value!r}")
                return {}
            checked = {name: self.check(entry, item, (*path, name)) for name, entry in value.items()}
            return {name: entry for name, entry in checked.items() if entry is not None}
        if not isinstance(value, list):
            self.report(path, f"expected an array of components, got {value!r}")
            return ()
        return tuple(self.check(entry, item, (*path, index)) for index, entry in enumerate(value))

    def component(
        self,
        value: Any,
        kinds: list[Kind[Any]],
        path: KeyPath,
        default: str | None = None,
        common: tuple[str, ...] = (),
    ) -> Factory[Any] | None:
        """A component: its name, or a table with `type` and options.

        Args:
            default: the name where the table has no `type`.
            common: keys that all components of the kind have beside their own options; the caller reads them.
        """
        table = {"type": value} if isinstance(value, str) else value
        if not isinstance(table, dict):
            self.report(path, f"expected the name of a {kinds[0]} or a table with type = ..., got {value!r}")
            return None
        name = table.get("type", default)
        if not isinstance(name, str):
            names = ", ".join(self.registry.names(kinds[0]))
            self.report(path, f"expected type = ..., the name of a {kinds[0]}: {names}")
            return None
        try:
            kind = self._kind(name, kinds)
            entry = self.registry.get(kind, name)
            declared = options(entry.load())
        except RegistryError as error:
            self.report((*path, "type") if isinstance(value, dict) and "type" in value else path, str(error))
            return None
        settable = {key: option for key, option in declared.items() if key not in (*kind.passed, *kind.offered)}
        given = {key: item for key, item in table.items() if key != "type" and key not in common}
        before = len(self.problems)
        checked = self.options(given, settable, path, of=f"{kind} {name!r}", offered=kind.offered, common=common)
        if len(self.problems) == before:
            self._own_check(entry.load(), {**declared_defaults(settable), **checked}, path)
        return Factory(kind, name, checked, self.registry)

    def options(
        self,
        given: Mapping[str, Any],
        settable: Mapping[str, Option],
        path: KeyPath,
        of: str,
        offered: tuple[str, ...] = (),
        common: tuple[str, ...] = (),
    ) -> dict[str, Any]:
        """Options against a signature: unknown and missing ones are reported, the others checked."""
        checked = {}
        for key, value in given.items():
            if key in settable:
                checked[key] = self.check(value, settable[key].annotation, (*path, key))
            elif key in offered:
                self.report((*path, key), "cannot be set here: it follows from the rest of the recipe")
            else:
                names = [*settable, *common]
                known = f"Options: {', '.join(names)}" if names else "It has no options"
                self.report((*path, key), f"{of} has no option {key!r}.{did_you_mean(key, names)} {known}")
        for key, option in settable.items():
            if option.required and key not in given:
                self.report(path, f"{of} needs the option {key!r}")
        return checked

    def table(self, value: Any, cls: type, path: KeyPath) -> dict[str, Any]:
        """A table whose keys are a dataclass's fields."""
        if not isinstance(value, dict):
            self.report(path, f"expected a table, got {value!r}")
            return {}
        return self.options(value, options(cls), path, of=dotted(path))

    def _kind(self, name: str, kinds: list[Kind[Any]]) -> Kind[Any]:
        return next((kind for kind in kinds if (kind, name) in self.registry), kinds[0])

    def _plain(self, value: Any, annotation: Any, path: KeyPath) -> Any:
        try:
            return fit(value, annotation)
        except Mismatch as mismatch:
            self.report(path, str(mismatch))
            return MISSING

    def _own_check(self, component: Any, values: Mapping[str, Any], path: KeyPath) -> None:
        """A component may look at its options together, in a classmethod `check` that names those it needs."""
        check = inspect.getattr_static(component, "check", None)
        if not isinstance(check, classmethod):
            return
        known = {**self.offered, **values}
        bound = component.check
        if any(known.get(name, MISSING) is MISSING for name in inspect.signature(bound).parameters):
            return
        try:
            bound(**accepted(bound, known))
        except OptionError as error:
            key = (*path, error.option)
            self.report(key if key in self.source.origins or error.option in values else path, error.message)


def declared_defaults(settable: Mapping[str, Option]) -> dict[str, Any]:
    return {name: option.default for name, option in settable.items() if not option.required}
