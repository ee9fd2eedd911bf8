"""`i2i plan`: memory, work and limits of a training step, and the switches that make a recipe fit a device's memory."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from i2i.cli.train import settings as settings_option

if TYPE_CHECKING:
    from rich.console import Console

    from i2i.engine.planning import Plan, Settings
    from i2i.recipe.recipe import Recipe

UNITS = {"gb": 10**9, "gib": 2**30, "mb": 10**6, "mib": 2**20}
USABLE = 0.9
"""Fraction of a device's memory that tensors can fill; the driver and the allocator need the rest."""
NOTHING_FITS = 1


def _bytes(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """Parse a size such as 8GB."""
    if value is None:
        return None
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*", value.lower())
    if match is None or match[2] not in UNITS or not float(match[1]):
        raise click.BadParameter(f"expected a size in GB, GiB, MB or MiB, such as 8GB, got {value!r}", ctx, param)
    return int(float(match[1]) * UNITS[match[2]])


@click.command()
@click.argument("recipe")
@settings_option
@click.option("--device", help="Device to plan for, such as cuda; need not exist here. This machine's by default.")
@click.option("--vram", callback=_bytes, metavar="8GB", help="Memory of the device: find switches to fit in it.")
@click.option("--gpu", default="h200", show_default=True, help="GPU whose limits are printed for --device cuda.")
@click.option("--measure", is_flag=True, help="Also take three real steps on this machine's device.")
def plan(recipe: str, settings: tuple[str, ...], device: str | None, vram: int | None, gpu: str, measure: bool) -> int:
    """Predict memory and work of a training step of RECIPE.

    \b
      i2i plan quickstart --set data.size=128
      i2i plan my_recipe.toml --device cuda --vram 8GB
      i2i plan quickstart --device cuda --gpu a100
      i2i plan my_recipe.toml --measure

    Nothing is trained and no image is read: steps are taken on tensors that have shapes and no values. For CUDA the
    least times of a step by its launches, memory traffic and arithmetic follow, and what to switch on. --measure takes
    real steps on random images and prints the time of one. The exit status is 1 if nothing fits into --vram.
    """
    import torch
    from rich.console import Console

    from i2i.engine.bounds import GPUS
    from i2i.engine.planning import default_device, predict
    from i2i.engine.planning import measure as take_steps
    from i2i.recipe.recipe import Recipe

    def changed(more: tuple[str, ...]) -> Recipe:
        return Recipe.read(recipe, (*settings, *more))

    checked = changed(())
    if checked.train.threads is not None:
        torch.set_num_threads(checked.train.threads)
    try:
        place = torch.device(device) if device is not None else default_device()
    except RuntimeError as error:
        raise click.BadParameter(f"no kind of device: {device!r}; try cpu or cuda", param_hint="--device") from error
    if gpu not in GPUS:
        raise click.BadParameter(f"expected one of {', '.join(GPUS)}, got {gpu!r}", param_hint="--gpu")
    predicted = predict(checked, place)
    console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 160)
    _print(console, checked, predicted, place.type)
    if place.type == "cuda":
        _print_limits(console, checked, predicted, gpu)
    if measure:
        seconds, peak = take_steps(checked)
        steps = checked.train.steps
        whole = (
            f"{duration(seconds * steps)} for {steps:,} steps" if checked.train.epochs is None else "epochs not read"
        )
        memory = "memory not reported by this system" if peak is None else f"{peak / 2**20:,.0f} MiB"
        console.print(f"measured on {default_device()}: {seconds:.2g} s per step ({whole}), {memory}")
    return 0 if vram is None else _fit(console, checked, predicted, vram, changed, lambda r: predict(r, place).peak)


def duration(seconds: float) -> str:
    """Format a time with two digits in seconds, minutes, hours or days.

    Example:
        >>> duration(0.4), duration(90), duration(5400), duration(3e5)
        ('less than a second', '90 s', '90 min', '83 h')
    """
    if seconds < 1:
        return "less than a second"
    units = {"s": 1, "min": 60, "h": 3600, "days": 86400}
    chosen = next((name for name, size in units.items() if seconds < 100 * size), "days")
    value = seconds / units[chosen]
    return f"{value:.2g} {chosen}" if value < 10 else f"{value:,.0f} {chosen}"


def _print(console: Console, recipe: Recipe, plan: Plan, device: str) -> None:
    from rich.table import Table

    from i2i.core.bounds import describe_size

    train = recipe.train
    batch = f"batch {train.batch_size}" + (f" × {train.accumulate}" if train.accumulate > 1 else "")
    console.print(f"{recipe.name}: {describe_size(recipe.image_size)} px, {batch}, {train.precision}, for {device}")
    console.print("parameters: " + ", ".join(f"{name} {count / 1e6:.2f} M" for name, count in plan.parameters.items()))
    table = Table("memory at the peak of a step", box=None, pad_edge=False)
    table.add_column("MiB", justify="right")
    for name in ("weights", "optimizer", "gradients", "activations", "peak"):
        table.add_row(name, f"{getattr(plan, name) / 2**20:,.0f}")
    console.print(table)
    console.print(f"{plan.flops / 1e9:,.1f} GFLOP per step")
    console.print(
        f"{plan.launches:,} operations per step; {plan.product_traffic / 2**30:,.1f} GiB moved by matrix products and "
        f"convolutions, {plan.traffic / 2**30:,.1f} GiB by all others"
    )
    for note in recipe.weight_schedules:
        console.print(note)


def _print_limits(console: Console, recipe: Recipe, plan: Plan, gpu: str) -> None:
    from i2i.engine.bounds import GPUS, limits, switches

    found = limits(plan, GPUS[gpu], recipe.train)
    console.print(
        f"least time of a step on paper ({gpu}): launches {1e3 * found.launches:.1f} ms, memory "
        f"{1e3 * found.memory:.1f} ms, arithmetic {1e3 * found.arithmetic:.1f} ms; bound by {found.bound}"
    )
    for switch in switches(found.bound, recipe.train):
        console.print(f"  --set {switch}")


def _fit(
    console: Console,
    recipe: Recipe,
    plan: Plan,
    vram: int,
    changed: Callable[[Settings], Recipe],
    peak_of: Callable[[Recipe], int],
) -> int:
    """Print which switches make a recipe fit and return the exit status."""
    from rich.table import Table

    from i2i.engine.planning import memory_switches
    from i2i.errors import I2IError

    usable = USABLE * vram
    if plan.peak <= usable:
        console.print("it fits as it is")
        return 0
    table = Table("switches", box=None, pad_edge=False)
    table.add_column("MiB", justify="right")
    table.add_column(f"fits {vram / 2**20:,.0f} MiB")
    table.add_row("none", f"{plan.peak / 2**20:,.0f}", "no")
    best: Settings | None = None
    least = plan.peak
    impossible: list[Settings] = []
    for settings in memory_switches(recipe, changed):
        if any(set(bad) <= set(settings) for bad in impossible):
            continue
        try:
            peak = peak_of(changed(settings))
        except I2IError as error:
            impossible.append(settings)
            table.add_row(" ".join(settings), "", f"not possible: {str(error).splitlines()[0]}")
            continue
        table.add_row(" ".join(settings), f"{peak / 2**20:,.0f}", "yes" if peak <= usable else "no")
        least = min(least, peak)
        if peak <= usable and best is None:
            best = settings
    console.print(table)
    if best is None:
        console.print(
            f"none of these fits: the least is {least / 2**20:,.0f} MiB, and tensors can fill {USABLE:.0%} of "
            f"{vram / 2**20:,.0f} MiB. Choose a smaller data.size, fewer channels, or another device"
        )
        return NOTHING_FITS
    console.print("add: " + " ".join(f"--set {setting}" for setting in best))
    return 0
