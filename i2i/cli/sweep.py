"""`i2i sweep`: train a recipe with several values of some options, and compare them by a metric."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import click

from i2i.cli.train import settings as settings_option

SWEEPS = Path("sweeps")
WORKER = "--worker"


@click.command()
@click.argument("recipe")
@settings_option
@click.option("--metric", required=True, help="Metric such as kid, or a logged term such as generator/cycle.")
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), help="Folder; sweeps/RECIPE by default.")
@click.option("--sampler", type=click.Choice(["grid", "random", "tpe"]), help="How values are chosen; see below.")
@click.option("--trials", type=click.IntRange(min=1), default=20, show_default=True, help="Trials of random and tpe.")
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Processes on this machine.")
@click.option("--prune/--no-prune", default=True, show_default=True, help="Stop trials worse than the median early.")
@click.option("--storage", metavar="URL", help="Database that several machines share; a file in the folder if omitted.")
@click.option("--device", help="Such as cpu or cuda:1; workers take the machine's GPUs in turn by default.")
@click.option(WORKER, type=int, hidden=True)
def sweep(
    recipe: str,
    settings: tuple[str, ...],
    metric: str,
    output: Path | None,
    sampler: str | None,
    trials: int,
    workers: int,
    prune: bool,
    storage: str | None,
    device: str | None,
    worker: int | None,
) -> int:
    """Train RECIPE with several values of some options and rank them by a metric.

    \b
      i2i sweep quickstart --set losses.cycle.weight=5,10,20 --metric kid
      i2i sweep my.toml --set 'optimizers.*.lr=log:1e-5..1e-3' --sampler tpe --trials 30 --metric generator/cycle

    An option with several values, separated by commas, or with a range LOW..HIGH is swept; all others are fixed. All
    combinations are trained (grid), unless there is a range: then random ones, or those that look best so far (tpe).
    Every trial is a run of its own. The same command again continues a sweep that was stopped; started on several
    machines with the same --output or --storage, they share its trials.
    """
    from i2i.engine.hooks.log import JSONLines
    from i2i.engine.trainer import train as run_training
    from i2i.evaluation.training import TrainingEvaluation
    from i2i.recipe.recipe import Recipe
    from i2i.use.sweep import Sweep, combinations, newest, parse

    fixed, swept = parse(settings)
    grid = combinations(swept)
    if sampler == "grid" and grid is None:
        raise click.UsageError("--sampler grid takes lists of values; give --sampler random or tpe for ranges")
    every = fixed if "/" in metric else [*_measured(Recipe.read(recipe, fixed), metric), *fixed]
    for values in grid or ():  # a value that the recipe refuses is reported before anything is trained
        Recipe.read(recipe, (*every, *(f"{key}={value}" for key, value in values.items())))
    name = Recipe.read(recipe, every).name
    chosen: Any = sampler or ("random" if grid is None else "grid")
    one = Sweep(output or SWEEPS / name, swept, metric, chosen, trials, prune, storage, seed=worker or 0)
    study = one.study()

    def train(more: list[str], folder: Path, hook: Any) -> Any:
        own = Recipe.read(recipe, (*every, *more))
        return run_training(own, folder, newest(folder), [TrainingEvaluation(), JSONLines(), hook], device=place)

    place = device or _device(worker or 0)
    if worker is not None:
        return 0 if one.work(study, train) else 130
    one.prepare(study)
    given = [recipe, *(part for setting in settings for part in ("--set", setting)), "--metric", metric]
    given += ["--output", str(one.folder), "--sampler", chosen, "--trials", str(trials)]
    given += ["--prune" if prune else "--no-prune", *(["--storage", storage] if storage else [])]
    given += ["--device", device] if device else []
    others = [
        subprocess.Popen([sys.executable, "-m", "i2i", "sweep", *given, WORKER, str(number)])
        for number in range(1, workers)
    ]
    try:
        ended = one.work(study, train)
    finally:
        statuses = [other.wait() for other in others]
    click.echo(one.write_report(study))
    return 0 if ended and not any(statuses) else 130


def _measured(recipe: Any, metric: str) -> list[str]:
    """Return settings that let a recipe measure a metric, where it does not yet."""
    evaluate = recipe.train.evaluate
    if evaluate is not None and metric in evaluate.metrics:
        return []
    return [f'train.evaluate={{ metrics = ["{metric}"] }}']


def _device(worker: int) -> str | None:
    """Return the GPU of a worker where there are several."""
    import torch

    count = torch.accelerator.device_count() if torch.accelerator.is_available() else 0
    accelerator = torch.accelerator.current_accelerator()
    return f"{accelerator.type}:{worker % count}" if accelerator is not None and count > 1 else None
