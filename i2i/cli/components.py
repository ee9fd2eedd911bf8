"""`i2i list`, `i2i describe` and `i2i plugins`: what there is, and where it comes from."""

from __future__ import annotations

import inspect

import click

from i2i.errors import I2IError
from i2i.factory import plain
from i2i.kinds import KINDS
from i2i.plugins import default_plugins
from i2i.registry import Entry
from i2i.signature import Option, options
from i2i.spelling import did_you_mean


@click.command("list")
@click.argument("kind", required=False)
def list_components(kind: str | None) -> None:
    """List the components of KIND, or of all kinds, with the plugin of each."""
    if kind is not None and kind not in KINDS:
        raise I2IError(f"no kind {kind!r}.{did_you_mean(kind, KINDS)} Kinds: {', '.join(KINDS)}")
    registry = default_plugins().registry
    for name, one in KINDS.items():
        if kind in (None, name):
            click.echo(f"{name}:")
            for component in registry.names(one):
                entry = registry.get(one, component)
                click.echo(f"  {component:<16} {entry.plugin}")
            if one.namespaces:
                click.echo(f"  and any class of {', '.join(one.namespaces)}, named in full")


@click.command()
@click.argument("name")
def describe(name: str) -> None:
    """Describe a component: NAME or KIND.NAME; its options, defaults, documentation, source and plugin."""
    registry = default_plugins().registry
    found = [entry for entry in registry if name in (entry.name, f"{entry.kind.name}.{entry.name}")]
    kind, _, rest = name.partition(".")
    if not found and kind in KINDS and rest:
        found = [registry.get(KINDS[kind], rest)]  # also a class named in full, such as loss.torch.nn.L1Loss
    if not found:
        names = [entry.name for entry in registry]
        raise I2IError(f"no component {name!r}.{did_you_mean(name, names)} `i2i list` names them all")
    click.echo("\n\n".join(_described(entry) for entry in found))


@click.command()
def plugins() -> None:
    """List the plugins that were found, and why any of them was not loaded."""
    for info in default_plugins().found:
        state = f"not loaded: {info.problem}" if info.problem else "loaded"
        click.echo(f"{info.name:<16} {info.distribution} {info.version}  {state}")


def _described(entry: Entry) -> str:
    component = entry.load()
    hidden = {*entry.kind.passed, *entry.kind.offered}
    rows = [f"  {_option(option)}" for option in options(component).values() if option.name not in hidden]
    try:
        source = f"{inspect.getsourcefile(component)}:{inspect.getsourcelines(component)[1]}"
    except (OSError, TypeError):
        source = "built in"
    parts = [
        f"{entry.kind.name} {entry.name} (plugin {entry.plugin})",
        f"source: {source}",
        "options:\n" + ("\n".join(rows) or "  none"),
        inspect.getdoc(component) or "",
    ]
    return "\n".join(part for part in parts if part)


def _option(option: Option) -> str:
    annotation = inspect.formatannotation(option.annotation).replace("i2i.contracts.", "").replace("i2i.factory.", "")
    return f"{option.name}: {annotation}" + ("" if option.required else f" = {plain_text(option)}")


def plain_text(option: Option) -> str:
    """A default as a recipe would write it."""
    from i2i.factory import Factory

    default = option.default
    if isinstance(default, Factory):
        return f'"{default.name}"' if not default.options else str(plain({"type": default.name, **default.options}))
    return repr(plain(default)).replace("'", '"')
