"""The registry: every component under its kind and name, with the plugin that brought it."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from i2i.core.spelling import did_you_mean
from i2i.errors import RegistryError

if TYPE_CHECKING:
    from i2i.core.factory import Factory

T = TypeVar("T", covariant=True)

_NAME = re.compile(r"[\w-]+")
_TARGET = re.compile(r"[\w.]+:\w+")


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
        from i2i.core.factory import Factory  # a factory needs a registry to look its name up, so it stands above

        return Factory(self, name, options)

    def __str__(self) -> str:
        return self.name.replace("_", " ")


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
        except Exception as error:  # a stranger's import may raise anything
            raise RegistryError(
                f"{self.kind} {self.name!r} of plugin {self.plugin!r} cannot be loaded from {self.target}: "
                f"{type(error).__name__}: {error}"
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
            name: letters, digits, `_` and `-`.
            component: a class, a function, or `"module:attribute"`, which is imported when first used.

        Raises:
            RegistryError: one of these is something else, or the name is taken: both plugins are named.
        """
        self._entries[kind.name, name] = self.entry(kind, name, component, plugin)

    def entry(self, kind: Kind[Any], name: str, component: Any, plugin: str) -> Entry:
        """What `add` would register; raises as it does."""
        if not isinstance(kind, Kind):
            raise RegistryError(f"expected a kind such as i2i.NORM, got {kind!r} for {name!r} of plugin {plugin!r}")
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
        return Entry(kind, name, component, plugin)

    def get(self, kind: Kind[Any], name: str) -> Entry:
        """The entry of a name, or of a class named in full inside one of the kind's namespaces.

        Raises:
            RegistryError: unknown, with the nearest name, all names and the plugins that failed to load.
        """
        return self.find([kind], name)

    def find(self, kinds: Sequence[Kind[Any]], name: str) -> Entry:
        """As `get`, where components of several kinds will do; the first kind that has the name wins."""
        for kind in kinds:
            entry = self._entries.get((kind.name, name)) or _named_in_full(kind, name)
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
    """The registry as one plugin sees it: what it adds carries its name, and all of it is added or nothing."""

    def __init__(self, registry: Registry, plugin: str) -> None:
        self._registry, self._plugin = registry, plugin
        self._staged = Registry()

    def add(self, kind: Kind[Any], name: str, component: Any) -> None:
        """Registers a component; see `Registry.add`."""
        self._registry.entry(kind, name, component, self._plugin)
        self._staged.add(kind, name, component, plugin=self._plugin)

    def commit(self) -> None:
        for entry in self._staged:
            self._registry.add(entry.kind, entry.name, entry.target, plugin=self._plugin)


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
    component = public_classes(module).get(attribute)
    return None if component is None else Entry(kind, name, component, plugin=module.partition(".")[0])
