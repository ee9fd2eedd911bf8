"""Finding and loading plugins: any distribution with an entry point in the group `i2i`; built-ins come the same way."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pluggy

from i2i import hookspecs
from i2i.errors import RegistryError
from i2i.registry import PluginRegistry, Registry

GROUP = "i2i"
BUILTIN = "i2i.builtin"


@dataclass(frozen=True)
class PluginInfo:
    """A plugin that was found: its name, the distribution it came in, and why it was not loaded (if so)."""

    name: str
    distribution: str
    version: str
    problem: str = ""


class Plugins:
    """The plugins of this process, their hooks and the registry that they filled.

    Args:
        modules: modules to load besides the built-in one; None finds the installed distributions' entry points,
            of which the environment variable `I2I_PLUGINS=a,b` keeps only those named (empty: none).
    """

    def __init__(self, modules: dict[str, Any] | None = None) -> None:
        self.manager = pluggy.PluginManager("i2i")
        self.manager.add_hookspecs(hookspecs)
        self.registry = Registry()
        self.found: list[PluginInfo] = []
        self._load("builtin", importlib.import_module(BUILTIN), "i2i", importlib.metadata.version("i2i"))
        if modules is None:
            self._load_entry_points()
        else:
            for name, module in modules.items():
                self._load(name, module, name, "")

    @property
    def hook(self) -> Any:
        """`hook.NAME(...)` calls every plugin's implementation."""
        return self.manager.hook

    def recipe_folders(self) -> list[Path]:
        return [Path(folder) for folder in self.hook.recipe_folders()]

    def _load_entry_points(self) -> None:
        wanted = os.environ.get("I2I_PLUGINS")
        names = None if wanted is None else {name.strip() for name in wanted.split(",")}
        for point in importlib.metadata.entry_points(group=GROUP):
            if names is not None and point.name not in names:
                continue
            distribution = point.dist.name if point.dist else point.module
            version = point.dist.version if point.dist else ""
            try:
                module = point.load()
            except Exception as error:  # a stranger's import may raise anything, and must not take i2i down
                self._failed(point.name, distribution, version, error)
            else:
                self._load(point.name, module, distribution, version)

    def _load(self, name: str, module: Any, distribution: str, version: str) -> None:
        try:
            self.manager.register(module, name=name)
            self.manager.check_pending()
            mine = PluginRegistry(self.registry, name)
            for implementation in self.manager.hook.register_components.get_hookimpls():
                if implementation.plugin is module:
                    implementation.function(mine)
            mine.commit()
        except Exception as error:  # a stranger's hook may raise anything
            self.manager.unregister(module)
            self._failed(name, distribution, version, error)
        else:
            self.found.append(PluginInfo(name, distribution, version))

    def _failed(self, name: str, distribution: str, version: str, error: Exception) -> None:
        reason = str(error) if isinstance(error, RegistryError) else f"{type(error).__name__}: {error}"
        self.found.append(PluginInfo(name, distribution, version, reason))
        self.registry.failed[f"{name} of {distribution}"] = reason


@cache
def default_plugins() -> Plugins:
    """The process's plugins, loaded when first asked for."""
    return Plugins()


def default_registry() -> Registry:
    """The process's registry."""
    return default_plugins().registry
