"""The registry: every component under its kind and name, with the plugin that brought it."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from i2i.errors import RegistryError

if TYPE_CHECKING:
    from i2i.factory import Factory

T = TypeVar("T", covariant=True)


@dataclass(frozen=True)
class Kind(Generic[T]):
    """A sort of component.

    Calling a kind names one of its components, which is how a constructor writes its default:
    `norm: Factory[Norm] = NORM("in")`.

    Args:
        name: what recipes and messages call it.
        contract: the protocol that its components follow; `Factory[contract]` in a signature asks for this kind.
        passed: leading parameters that the caller gives by position, such as `num_features`.
        offered: parameters that the caller gives by name to those components that declare them.
        namespaces: modules whose public classes may be named in full, such as `torch.nn.SmoothL1Loss`.
    """

    name: str
    contract: type[T] = field(compare=False)
    passed: tuple[str, ...] = ()
    offered: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()

    def __call__(self, name: str, **options: Any) -> Factory[T]:
        from i2i.factory import Factory  # a factory needs a registry to look its name up, so it stands above

        return Factory(self, name, options)

    def __str__(self) -> str:
        return self.name.replace("_", " ")


@dataclass(frozen=True)
class Entry:
    """One registered component; its module is imported when it is first used."""

    kind: Kind[Any]
    name: str
    target: str | type | Any
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
        except (ImportError, AttributeError) as error:
            raise RegistryError(
                f"{self.kind} {self.name!r} of plugin {self.plugin!r} cannot be loaded from {self.target}: {error}"
            ) from error


class Registry:
    """Components by kind and name; one per process, and tests make their own."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], Entry] = {}
        self.failed: dict[str, str] = {}
        """Plugins that could not be loaded, each with the reason."""

    def add(self, kind: Kind[Any], name: str, component: Any, *, plugin: str = "(none)") -> None:
        """Registers a component.

        Args:
            component: a class, a function, or `"module:attribute"`, which is imported when first used.

        Raises:
            RegistryError: the name is taken; both plugins are named.
        """
        taken = self._entries.get((kind.name, name))
        if taken is not None:
            raise RegistryError(
                f"{kind} {name!r} is registered twice: by plugin {taken.plugin!r} and by plugin {plugin!r}. "
                f"Rename one of them, or load only one with I2I_PLUGINS."
            )
        self._entries[kind.name, name] = Entry(kind, name, component, plugin)

    def get(self, kind: Kind[Any], name: str) -> Entry:
        """The entry of a name, or of a class named in full inside one of the kind's namespaces.

        Raises:
            RegistryError: unknown, with the nearest name, all names and the plugins that failed to load.
        """
        entry = self._entries.get((kind.name, name))
        if entry is None:
            entry = _named_in_full(kind, name)
        if entry is None:
            raise RegistryError(self._unknown(kind, name))
        return entry

    def names(self, kind: Kind[Any]) -> list[str]:
        return sorted(entry.name for entry in self if entry.kind == kind)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def __contains__(self, key: tuple[Kind[Any], str]) -> bool:
        kind, name = key
        return (kind.name, name) in self._entries

    def _unknown(self, kind: Kind[Any], name: str) -> str:
        names = self.names(kind)
        parts = [f"unknown {kind} {name!r}.{did_you_mean(name, names)} Registered: {', '.join(names) or 'none'}"]
        if kind.namespaces:
            parts.append(f"; or any class named in full from {', '.join(kind.namespaces)}")
        if self.failed:
            reasons = "; ".join(f"{plugin} ({reason})" for plugin, reason in self.failed.items())
            parts.append(f". It may belong to a plugin that failed to load: {reasons}")
        return "".join(parts)


class PluginRegistry:
    """The registry as one plugin sees it: what it adds carries its name, and all of it is added or nothing."""

    def __init__(self, registry: Registry, plugin: str) -> None:
        self._registry, self._plugin = registry, plugin
        self._staged = Registry()

    def add(self, kind: Kind[Any], name: str, component: Any) -> None:
        """Registers a component; see `Registry.add`."""
        if (kind, name) in self._registry:
            self._registry.add(kind, name, component, plugin=self._plugin)  # raises, and names both plugins
        self._staged.add(kind, name, component, plugin=self._plugin)

    def commit(self) -> None:
        for entry in self._staged:
            self._registry.add(entry.kind, entry.name, entry.target, plugin=self._plugin)


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """` Did you mean 'x'?`, or nothing when no name is near."""
    near = difflib.get_close_matches(name, list(names), n=1, cutoff=0.5)
    return f" Did you mean {near[0]!r}?" if near else ""


def _named_in_full(kind: Kind[Any], name: str) -> Entry | None:
    """A public class of one of the kind's namespaces: only those, since a recipe must not import what it likes."""
    module, _, attribute = name.rpartition(".")
    if module not in kind.namespaces or attribute.startswith("_"):
        return None
    try:
        component = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError):
        return None
    return Entry(kind, name, component, plugin=module.partition(".")[0]) if isinstance(component, type) else None
