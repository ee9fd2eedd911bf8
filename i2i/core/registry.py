"""The registry: every kind, and every component under its kind and name, with the plugin that brought it."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from i2i.core.factory import Kind
from i2i.core.spelling import did_you_mean
from i2i.errors import RegistryError

_NAME = re.compile(r"[\w-]+")
_TARGET = re.compile(r"[\w.]+:\w+")


@dataclass(frozen=True)
class Entry:
    """One registered component; its module is imported when it is first used."""

    kind: Kind[Any]
    name: str
    target: Any
    plugin: str

    def load(self) -> Any:
        """The class or function itself.

        Raises:
            RegistryError: its module cannot be imported, or holds no such name.
        """
        if not isinstance(self.target, str):
            return self.target
        module, _, attribute = self.target.partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except Exception as error:  # importing a plugin's module may raise anything
            raise RegistryError(
                f"{self.kind} {self.name!r} of plugin {self.plugin!r} cannot be loaded from {self.target}: "
                f"{type(error).__name__}: {error}"
            ) from error


class Registry:
    """Kinds and components by name, each with the plugin that brought it; one per process, and tests make their own."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, str], Kind[Any]] = {}  # by name and plugin
        self._entries: dict[tuple[str, str], Entry] = {}  # by kind and name
        self.failed: dict[str, str] = {}
        """Plugins that could not be loaded, each with the reason."""

    @property
    def kinds(self) -> dict[str, Kind[Any]]:
        """All kinds by name, in the order in which they were added."""
        return {kind.name: kind for kind in self._kinds.values()}

    def kind_of(self, contract: Any) -> Kind[Any] | None:
        """The kind whose components follow a contract."""
        return next((kind for kind in self._kinds.values() if kind.contract is contract), None)

    def add_kind(self, kind: Kind[Any], *, plugin: str = "(none)") -> None:
        """Adds a kind, so that `Factory[kind.contract]` in a signature asks for its components.

        `add` does this by itself for the kind of its component.

        Raises:
            RegistryError: another kind has the same name or the same contract; names both plugins.
        """
        if not isinstance(kind, Kind):
            raise RegistryError(f"plugin {plugin!r}: expected a kind such as i2i.NORM, got {kind!r}")
        for (name, other), known in self._kinds.items():
            if name == kind.name and (known != kind or known.contract is not kind.contract):
                raise RegistryError(
                    f"kind {name!r} is defined twice: by plugin {other!r} and by plugin {plugin!r}. Rename one of them"
                )
            if name != kind.name and known.contract is kind.contract:
                contract = kind.contract.__name__
                raise RegistryError(
                    f"kind {kind.name!r} of plugin {plugin!r}: contract: {contract} already belongs to kind {name!r} "
                    f"of plugin {other!r}; a contract belongs to one kind"
                )
        self._kinds[kind.name, plugin] = kind

    def add(self, kind: Kind[Any], name: str, component: Any, *, plugin: str = "(none)") -> None:
        """Registers a component.

        Args:
            kind: the component's kind, such as `i2i.NORM`.
            name: letters, digits, `_` and `-`.
            component: a class, a function, or `"module:attribute"`, which is imported when first used.
            plugin: name of the plugin that brings it, for lists and messages.

        Raises:
            RegistryError: an argument has another type, or the name is taken; names both plugins.
        """
        if not isinstance(kind, Kind):
            raise RegistryError(f"expected a kind such as i2i.NORM, got {kind!r} for {name!r} of plugin {plugin!r}")
        self.add_kind(kind, plugin=plugin)
        what = f"{kind} {name!r} of plugin {plugin!r}"
        if not isinstance(name, str) or not _NAME.fullmatch(name) or name == "none":
            raise RegistryError(
                f"{what}: expected a name of letters, digits, _ and -, and not 'none', which switches off"
            )
        if not (_TARGET.fullmatch(component) if isinstance(component, str) else callable(component)):
            raise RegistryError(f'{what}: expected a class, a function or "module:attribute", got {component!r}')
        taken = self._entries.get((kind.name, name))
        if taken is not None:
            raise RegistryError(
                f"{kind} {name!r} is registered twice: by plugin {taken.plugin!r} and by plugin {plugin!r}. "
                f"Rename one of them, or load only one with I2I_PLUGINS."
            )
        self._entries[kind.name, name] = Entry(kind, name, component, plugin)

    def remove(self, plugin: str) -> None:
        """Removes all kinds and components of a plugin; kinds that another plugin has added too remain."""
        self._kinds = {key: kind for key, kind in self._kinds.items() if key[1] != plugin}
        self._entries = {key: entry for key, entry in self._entries.items() if entry.plugin != plugin}

    def component(self, kind: Kind[Any], name: str) -> Any:
        """The class or function of a name; raises as `get` and `Entry.load`."""
        return self.get(kind, name).load()

    def get(self, kind: Kind[Any], name: str) -> Entry:
        """The entry of a name, or of a class named in full inside one of the kind's namespaces.

        Raises:
            RegistryError: unknown, with the nearest name, all names and the plugins that failed to load.
        """
        return self.find([kind], name)

    def find(self, kinds: Sequence[Kind[Any]], name: str) -> Entry:
        """As `get`, where components of several kinds will do; the first kind that has the name wins.

        A name that is unknown as it is written is looked up without regard to case.
        """
        lowered = [name.lower()] if isinstance(name, str) and name.lower() != name else []
        for kind, spelling in ((kind, spelling) for spelling in (name, *lowered) for kind in kinds):
            entry = self._entries.get((kind.name, spelling)) or _named_in_full(kind, spelling)
            if entry is not None:
                return entry
        raise RegistryError(self._unknown(kinds, name))

    def names(self, *kinds: Kind[Any]) -> list[str]:
        """All registered names of some kinds."""
        return sorted({entry.name for entry in self if entry.kind in kinds})

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def __contains__(self, key: tuple[Kind[Any], str]) -> bool:
        kind, name = key
        return (kind.name, name) in self._entries

    def _unknown(self, kinds: Sequence[Kind[Any]], name: str) -> str:
        namespaces = list(dict.fromkeys(space for kind in kinds for space in kind.namespaces))
        space = name.rpartition(".")[0]
        if space in namespaces:
            near = did_you_mean(name, [f"{space}.{one}" for one in public_classes(space)])
            return f"{space} has no class {name.removeprefix(f'{space}.')!r}.{near}".removesuffix(".")
        listed = [", ".join(self.names(kind)) or "none" for kind in kinds]
        if len(kinds) > 1:
            listed = [f"{names} ({kind})" for kind, names in zip(kinds, listed, strict=True)]
        parts = [f"unknown {' or '.join(map(str, kinds))} {name!r}.{did_you_mean(name, self.names(*kinds))}"]
        parts.append(f" Registered: {'; '.join(listed)}")
        if namespaces:
            parts.append(f"; or any class named in full from {', '.join(namespaces)}")
        if self.failed:
            reasons = "; ".join(f"{plugin} ({reason})" for plugin, reason in self.failed.items())
            parts.append(f". It may belong to a plugin that failed to load: {reasons}")
        return "".join(parts)


class PluginRegistry:
    """The registry as a plugin's `register_components` is given it: what it adds carries the plugin's name."""

    def __init__(self, registry: Registry, plugin: str) -> None:
        self._registry, self._plugin = registry, plugin

    def add_kind(self, kind: Kind[Any]) -> None:
        """Adds a kind of component; see `Registry.add_kind`."""
        self._registry.add_kind(kind, plugin=self._plugin)

    def add(self, kind: Kind[Any], name: str, component: Any) -> None:
        """Registers a component; see `Registry.add`."""
        self._registry.add(kind, name, component, plugin=self._plugin)


def public_classes(namespace: str) -> dict[str, type]:
    """A module's public classes by name; nothing where the module is not installed."""
    try:
        found = vars(importlib.import_module(namespace))
    except ImportError:
        return {}
    return {name: value for name, value in found.items() if isinstance(value, type) and not name.startswith("_")}


def _named_in_full(kind: Kind[Any], name: str) -> Entry | None:
    """A public class of one of the kind's namespaces: only those, since a recipe must not import what it likes."""
    module, _, attribute = name.rpartition(".")
    if module not in kind.namespaces:
        return None
    component = dict(kind.adapters).get(name) or public_classes(module).get(attribute)
    return None if component is None else Entry(kind, name, component, plugin=module.partition(".")[0])
