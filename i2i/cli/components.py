"""`i2i list`, `i2i describe` and `i2i plugins`: the installed components and their documentation."""

from __future__ import annotations

import inspect

import click

from i2i.cli.wording import option_line
from i2i.core.plugins import default_plugins
from i2i.core.registry import Entry
from i2i.core.signature import options
from i2i.core.spelling import did_you_mean
from i2i.errors import I2IError


@click.command("list")
@click.argument("kind", required=False)
def list_components(kind: str | None) -> None:
    """List the components of KIND, or of all kinds, with the plugin of each."""
    registry = default_plugins().registry
    kinds = registry.kinds
    if kind is not None and kind not in kinds:
        raise I2IError(f"no kind {kind!r}.{did_you_mean(kind, kinds)} Kinds: {', '.join(kinds)}")
    for name, one in kinds.items():
        if kind in (None, name):
            click.echo(f"{name}:")
            for component in registry.names(one):
                entry = registry.get(one, component)
                click.echo(f"  {component:<16} {entry.plugin}")
            if one.namespaces:
                click.echo(f"  and any class of {', '.join(one.namespaces)}, by its full name")


@click.command()
@click.argument("name")
def describe(name: str) -> None:
    """Describe a component: NAME, KIND.NAME or the full name of a class.

    \b
      i2i describe patch
      i2i describe loss.cam
      i2i describe torch.nn.SmoothL1Loss

    Prints its options with types and defaults, its documentation, source file and plugin.
    """
    click.echo("\n\n".join(_described(entries) for entries in _named(name)))


@click.command()
def plugins() -> None:
    """List the installed plugins, with the reason for any that is not loaded."""
    for info in default_plugins().found:
        state = ": ".join(part for part in ("loaded" if info.loaded else "not loaded", info.problem) if part)
        click.echo(f"{info.name:<16} {f'{info.distribution} {info.version}':<24} {state}")


def _named(name: str) -> list[list[Entry]]:
    """Return the components of a name, each with its entries: a class may be usable as several kinds."""
    registry = default_plugins().registry
    found = [[entry] for entry in registry if name in (entry.name, f"{entry.kind.name}.{entry.name}")]
    if found:
        return found
    kind, _, rest = name.partition(".")
    kinds = registry.kinds
    if kind in kinds and rest:
        return [[registry.get(kinds[kind], rest)]]
    full = [registry.get(one, name) for one in kinds.values() if name.rpartition(".")[0] in one.namespaces]
    if not full:
        names = [known for entry in registry for known in (entry.name, f"{entry.kind.name}.{entry.name}")]
        raise I2IError(f"no component {name!r}.{did_you_mean(name, names)} `i2i list` lists all")
    return [full]


def _described(entries: list[Entry]) -> str:
    entry = entries[0]
    component = entry.load()
    hidden = {*entry.kind.passed, *entry.kind.offered}
    registry = default_plugins().registry
    rows = [f"  {option_line(option, registry)}" for option in options(component).values() if option.name not in hidden]
    try:
        source = f"{inspect.getsourcefile(component)}:{inspect.getsourcelines(component)[1]}"
    except (OSError, TypeError):
        source = "built in"
    parts = [
        f"{' or '.join(one.kind.name for one in entries)} {entry.name} (plugin {entry.plugin})",
        f"source: {source}",
        "options:\n" + ("\n".join(rows) or "  none"),
        inspect.getdoc(component) or "",
    ]
    return "\n".join(part for part in parts if part)
