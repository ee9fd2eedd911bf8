"""`i2i plan`: what a recipe needs before it is trained, and what makes it fit."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from i2i.cli.train import settings as settings_option

if TYPE_CHECKING:
    import torch
    from rich.console import Console

    from i2i.engine.planning import Plan
    from i2i.engine.switches import Settings
    from i2i.recipe.recipe import Recipe

UNITS = {"gb": 10**9, "gib": 2**30, "mb": 10**6, "mib": 2**20}
ROOM = 0.9
"""Share of a device's memory that tensors may fill: its driver, and what the allocator holds back, need the rest."""
NOTHING_FITS = 1


def _bytes(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """A size such as 8GB, in bytes."""
    if value is None:
        return None
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*", value.lower())
    if found is None or found[2] not in UNITS or not float(found[1]):
        raise click.BadParameter(f"expected a size in GB, GiB, MB or MiB, such as 8GB, got {value!r}", ctx, param)
    return int(float(found[1]) * UNITS[found[2]])


@click.command()
@click.argument("recipe")
@settings_option
@click.option(
    "--vram", callback=_bytes, metavar="8GB", help="Memory of the device: which switches make the recipe fit."
)
@click.option("--measure", is_flag=True, help="Also take two real steps on this device.")
def plan(recipe: str, settings: tuple[str, ...], vram: int | None, measure: bool) -> int:
    """Say what training RECIPE needs: memory, work and time of a step.

    \b
      i2i plan quickstart --set data.size=128
      i2i plan my_recipe.toml --vram 8GB

    Nothing is trained and no image is read: steps are taken with tensors that have shapes and no values.
    """
    import torch
    from rich.console import Console

    from i2i.engine.planning import predict
    from i2i.recipe.recipe import Recipe

    def changed(more: tuple[str, ...]) -> Recipe:
        return Recipe.read(recipe, (*settings, *more))

    checked = changed(())
    if checked.train.threads is not None:
        torch.set_num_threads(checked.train.threads)
    found = predict(checked)
    console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 160)
    device = torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    _tell(console, checked, found, device)
    if measure:
        _measured(console, checked, found, device)
    _seconds(console, checked, found, device)
    return 0 if vram is None else _fit(console, checked, found, vram, changed)


def _tell(console: Console, recipe: Recipe, plan: Plan, device: torch.device) -> None:
    from rich.table import Table

    train = recipe.train
    batch = f"batch {train.batch_size}" + (f" × {train.accumulate}" if train.accumulate > 1 else "")
    console.print(f"{recipe.name}: {recipe.image_size} px, {batch}, {train.precision}")
    console.print(
        "parameters: " + ", ".join(f"{part} {number / 1e6:.2f} M" for part, number in plan.parameters.items())
    )
    table = Table("at the peak of a step", box=None, pad_edge=False)
    table.add_column("MiB", justify="right")
    for name in ("weights", "optimizer", "gradients", "activations", "peak"):
        table.add_row(name, f"{getattr(plan, name) / 2**20:,.0f}")
    if device.type == "cpu":
        table.add_row("held by a process on a CPU", f"{plan.resident / 2**20:,.0f}")
    console.print(table)


def _seconds(console: Console, recipe: Recipe, plan: Plan, device: torch.device) -> None:
    from i2i.engine.pace import estimate

    seconds = estimate(plan, device)
    whole = seconds * recipe.train.steps / 3600
    console.print(
        f"{plan.flops / 1e9:,.1f} GFLOP a step; about {seconds:.2g} s on {device}, an estimate from its largest "
        f"operations: about {whole:,.1f} h for {recipe.train.steps:,} steps"
    )


def _measured(console: Console, recipe: Recipe, plan: Plan, device: torch.device) -> None:
    from i2i.engine.pace import measure

    real = measure(recipe)
    expected = plan.resident if device.type == "cpu" else plan.peak
    memory = "memory: the system does not say"
    if real.peak is not None:
        memory = f"{real.peak / 2**20:,.0f} MiB (foreseen {expected / 2**20:,.0f}, ratio {expected / real.peak:.2f})"
    console.print(f"measured on {device}: {real.seconds:.2g} s a step, {memory}")


def _fit(console: Console, recipe: Recipe, plan: Plan, vram: int, changed: Callable[[Settings], Recipe]) -> int:
    from rich.table import Table

    from i2i.engine.planning import predict
    from i2i.engine.switches import switches
    from i2i.errors import I2IError

    table = Table("switches", box=None, pad_edge=False)
    table.add_column("MiB", justify="right")
    table.add_column(f"fits {vram / 2**20:,.0f} MiB")
    best: Settings | None = None
    least = plan.peak
    impossible: list[Settings] = []
    for one in [()] if plan.peak <= ROOM * vram else switches(recipe, changed):
        if any(set(bad) <= set(one) for bad in impossible):
            continue
        try:
            peak = predict(changed(one)).peak if one else plan.peak
        except I2IError as error:
            impossible.append(one)
            table.add_row(_shown(one), "", f"not possible: {str(error).splitlines()[0]}")
            continue
        fits = peak <= ROOM * vram
        table.add_row(_shown(one), f"{peak / 2**20:,.0f}", "yes" if fits else "no")
        least = min(least, peak)
        if fits and best is None:
            best = one
    console.print(table)
    if best is None:
        console.print(
            f"nothing of this fits: the least is {least / 2**20:,.0f} MiB, and {ROOM:.0%} of {vram / 2**20:,.0f} MiB "
            f"can be filled. Choose a smaller data.size, fewer channels, or another device"
        )
        return NOTHING_FITS
    console.print("it fits as it is" if not best else "add: " + " ".join(f"--set {setting}" for setting in best))
    return 0


def _shown(settings: Settings) -> str:
    return " ".join(settings) or "as it is"
