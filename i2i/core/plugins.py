"""Finding and loading plugins: any distribution with an entry point in the group `i2i`; built-ins come the same way."""

from __future__ import annotations

import logging
import os
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

from i2i.core import hookspecs
from i2i.core.factory import set_default_registry
from i2i.core.registry import PluginRegistry, Registry
from i2i.core.spelling import did_you_mean
from i2i.core.version import __version__
from i2i.errors import RegistryError

if TYPE_CHECKING:
    import click

GROUP = "i2i"
BUILTIN = EntryPoint("builtin", "i2i.builtin", GROUP)
log = logging.getLogger("i2i")


@dataclass(frozen=True)
class PluginInfo:
    """A plugin, loaded or not.

    Args:
        name: name of its entry point.
        distribution: name of the distribution that contains it.
        version: version of the distribution.
        problem: why it, or one of its hooks, does not work; empty if it does.
        loaded: whether its components and hooks are in use.
    """

    name: str
    distribution: str
    version: str
    problem: str = ""
    loaded: bool = True


class Plugins:
    """Plugins, their hooks, and the registry with their kinds and components.

    Args:
        modules: modules to load after the built-in plugin, by plugin name. None loads the entry points of all installed
            distributions, or only those that the environment variable `I2I_PLUGINS=a,b` names (empty: none).
    """

    def __init__(self, modules: dict[str, Any] | None = None) -> None:
        self.manager = pluggy.PluginManager("i2i")
        self.manager.add_hookspecs(hookspecs)
        self.registry = Registry()
        self._found: dict[tuple[str, str], PluginInfo] = {}
        self._command_owners: dict[str, str] = {}
        self._load(PluginInfo(BUILTIN.name, GROUP, __version__), BUILTIN)
        if modules is None:
            self._load_entry_points()
        else:
            for name, module in modules.items():
                self._load(PluginInfo(name, name, ""), module)

    @property
    def found(self) -> list[PluginInfo]:
        """All plugins, including those that could not be loaded."""
        return list(self._found.values())

    @property
    def hook(self) -> Any:
        """`hook.NAME(...)` calls every plugin's implementation."""
        return self.manager.hook

    def load(self, name: str, module: Any, distribution: str = "") -> PluginInfo:
        """Loads one more plugin, such as one from a notebook; the result says whether that worked."""
        info = PluginInfo(name, distribution or name, "")
        self._load(info, module)
        return self._found[info.name, info.distribution]

    def recipe_folders(self) -> list[Path]:
        """All plugins' folders of recipes, the shipped ones first, so that no plugin changes what a name means."""
        folders = []
        for name, implementation in self._implementations("recipe_folders"):
            with self._isolated(name, "recipe_folders"):
                folders.append(Path(implementation()))
        return folders

    def register_commands(self, cli: click.Group) -> None:
        """Adds all plugins' commands to a command line; a plugin with a command that another one has adds none."""
        for name, implementation in self._implementations("register_commands"):
            with self._isolated(name, "register_commands"):
                before = dict(cli.commands)
                try:
                    implementation(cli=cli)
                    self._check_command_owners(name, before, cli)
                except BaseException:
                    cli.commands = before
                    raise

    def _check_command_owners(self, plugin: str, before: dict[str, click.Command], cli: click.Group) -> None:
        for command in [name for name, value in cli.commands.items() if before.get(name) is not value]:
            owner = self._command_owners.setdefault(command, plugin)
            if owner != plugin:
                raise RegistryError(
                    f"the command {command!r} is registered twice: by plugin {owner!r} and by plugin {plugin!r}"
                )

    def _implementations(self, hook: str) -> Iterator[tuple[str, Callable[..., Any]]]:
        """Each plugin's function for a hook, in the order in which the plugins were loaded."""
        for implementation in getattr(self.manager.hook, hook).get_hookimpls():

            def call(implementation: pluggy.HookImpl = implementation, **arguments: Any) -> Any:
                return implementation.function(*(arguments[name] for name in implementation.argnames))

            yield implementation.plugin_name, call

    def _load_entry_points(self) -> None:
        points = entry_points(group=GROUP)
        restriction = os.environ.get("I2I_PLUGINS")
        wanted = None if restriction is None else {name.strip() for name in restriction.split(",")} - {""}
        for point in points:
            if wanted is None or point.name in wanted:
                distribution = point.dist.name if point.dist else point.module
                version = point.dist.version if point.dist else ""
                self._load(PluginInfo(point.name, distribution, version), point)
        for name in sorted((wanted or set()) - {BUILTIN.name, *(point.name for point in points)}):
            problem = f"I2I_PLUGINS names it, but it is not installed.{did_you_mean(name, (p.name for p in points))}"
            self._fail(PluginInfo(name, "(none)", ""), problem.removesuffix("."))

    def _load(self, info: PluginInfo, found: Any) -> None:
        """Loads a plugin whole or not at all; its import and its hooks may raise anything, SystemExit included."""
        taken = next((known for known in self.found if known.name == info.name and known.loaded), None)
        if taken is not None:
            self._fail(info, f"a plugin {info.name!r} is loaded already, from {taken.distribution}; rename one of them")
            return
        try:
            self._register(info.name, found.load() if isinstance(found, EntryPoint) else found)
        except (Exception, SystemExit) as error:
            self._fail(info, _reason(error) + _required_version(found))
        else:
            self._found[info.name, info.distribution] = info

    def _register(self, name: str, module: Any) -> None:
        try:
            self.manager.register(module, name=name)
            self._verify(module)
            for plugin, implementation in self._implementations("register_components"):
                if plugin == name:
                    implementation(registry=PluginRegistry(self.registry, name))
        except BaseException:
            self.registry.remove(name)
            if self.manager.get_plugin(name) is module:
                self.manager.unregister(name=name)
            raise

    def _verify(self, module: Any) -> None:
        """Refuses misspelt hooks and plugins without any."""
        hooks = self.manager.get_hookcallers(module)
        if not hooks:
            raise RegistryError("it implements no hook; are its functions marked with @i2i.hookimpl?")
        known = [name for name in vars(hookspecs) if self.manager.parse_hookspec_opts(hookspecs, name)]
        for hook in hooks:
            if not hook.has_spec():
                raise RegistryError(f"no hook {hook.name!r}.{did_you_mean(hook.name, known)} Hooks: {', '.join(known)}")

    @contextmanager
    def _isolated(self, plugin: str, hook: str) -> Iterator[None]:
        """Records and logs whatever a plugin's hook raises; the other plugins' hooks still run."""
        try:
            yield
        except (Exception, SystemExit) as error:
            key, info = next((key, info) for key, info in self._found.items() if info.name == plugin and info.loaded)
            self._found[key] = replace(info, problem=f"{hook} failed: {_reason(error)}")
            log.warning("plugin %r: %s", plugin, self._found[key].problem)

    def _fail(self, info: PluginInfo, reason: str) -> None:
        self._found[info.name, info.distribution] = replace(info, problem=reason, loaded=False)
        self.registry.failed[f"{info.name} of {info.distribution}"] = reason


def _reason(error: BaseException) -> str:
    """One line; with `I2I_TRACEBACK=1` the traceback is printed, for the plugin's author."""
    if os.environ.get("I2I_TRACEBACK"):
        traceback.print_exception(error)
    is_message = isinstance(error, RegistryError | pluggy.PluginValidationError)
    return " ".join((str(error) if is_message else f"{type(error).__name__}: {error}").split())


def _required_version(found: Any) -> str:
    """For a plugin that fails: the version of i2i that its distribution requires, if this is another one."""
    if not isinstance(found, EntryPoint) or found.dist is None:
        return ""
    from packaging.requirements import InvalidRequirement, Requirement  # rarely needed, and slow to import

    for line in found.dist.requires or ():
        try:
            required = Requirement(line)
        except InvalidRequirement:
            continue
        if required.name.lower() == "i2i" and not required.specifier.contains(__version__, prereleases=True):
            return f". It requires i2i{required.specifier}, and this is {__version__}"
    return ""


@cache
def default_plugins() -> Plugins:
    """The process's plugins, loaded when first asked for."""
    return Plugins()


def default_registry() -> Registry:
    """The process's registry."""
    return default_plugins().registry


set_default_registry(default_registry)
