"""`i2i train`: start or resume a training run."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from itertools import count
from pathlib import Path
from typing import Any

import click

from i2i.core.plugins import default_plugins
from i2i.errors import CheckpointError
from i2i.recipe.files import read

RUNS = Path("runs")

SHORTHANDS = {
    "lr": ("optimizers.*.lr", click.FLOAT, "learning rate of all optimizers"),
    "batch_size": ("train.batch_size", click.INT, "images of each domain per step"),
    "size": ("data.size", click.STRING, "side of the training images, or HEIGHTxWIDTH"),
    "steps": ("train.steps", click.INT, "number of steps"),
    "epochs": ("train.epochs", click.INT, "number of epochs, in place of steps"),
}
"""Options that stand for a `--set`: key, type and what it is."""


def settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--set` and its shorthands to a command, which gets all of them as the parameter `settings`."""

    @wraps(command)
    def wrapped(settings: tuple[str, ...], **given: Any) -> Any:
        short = {name: given.pop(name) for name in SHORTHANDS}
        if short["steps"] is not None:
            settings = (*settings, "train.epochs=none")
        changes = [f"{SHORTHANDS[name][0]}={_value(value)}" for name, value in short.items() if value is not None]
        return command(settings=(*settings, *changes), **given)

    for name, (key, kind, what) in reversed(SHORTHANDS.items()):
        wrapped = click.option(f"--{name.replace('_', '-')}", type=kind, help=f"Short for --set '{key}=...': {what}.")(
            wrapped
        )
    return click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="KEY=VALUE",
        help="Change one value of the recipe, such as data.a=photos; * stands for each table, as in "
        "optimizers.*.lr=1e-4. May be repeated.",
    )(wrapped)


def _value(value: object) -> str:
    """Write the value of a shorthand as TOML: 256x512 is an array."""
    sides = re.fullmatch(r"(\d+)[x,](\d+)", str(value))
    return f"[{sides[1]}, {sides[2]}]" if sides else str(value)


@click.command()
@click.argument("recipe", required=False)
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), help="Run folder; runs/RECIPE by default.")
@click.option(
    "--resume", type=click.Path(path_type=Path), metavar="RUN", help="Resume a run from its newest checkpoint."
)
@click.option(
    "--deterministic", is_flag=True, help="Bit-exact results in every run; slower on GPUs (train.deterministic)."
)
@click.option("--device", help="Such as cpu, cuda:1 or mps; the machine's accelerator by default.")
@settings
def train(
    recipe: str | None,
    output: Path | None,
    resume: Path | None,
    deterministic: bool,
    device: str | None,
    settings: tuple[str, ...],
) -> int:
    """Train RECIPE, a file or the name of a shipped recipe.

    \b
      i2i train quickstart
      i2i train my_recipe.toml --set data.a=selfie --set data.b=anime
      i2i train my_recipe.toml --size 128 --batch-size 4 --epochs 20 --lr 1e-4
      i2i train --resume runs/my_recipe --steps 200000

    The run folder gets the resolved recipe, a log (log.jsonl), sample grids and checkpoints. Ctrl-C and SIGTERM save
    before they stop. On several GPUs: accelerate launch -m i2i train RECIPE. On several CPU processes: torchrun
    --standalone --nproc_per_node 2 -m i2i train RECIPE.
    """
    if (recipe is None) == (resume is None):
        raise click.UsageError("give a RECIPE to start a run, or --resume RUN to continue one")
    if resume is not None and output is not None:
        raise click.UsageError("--output is for new runs; --resume continues in the run's own folder")
    if recipe is not None:  # before torch is imported, which takes seconds
        source = read(recipe, settings, default_plugins().recipe_folders())
        from i2i.data.locations import check_locations  # not for --help, which has to be fast

        check_locations(source.values.get("data", {}))
    from i2i.cli.translate import usable
    from i2i.engine import checkpoint
    from i2i.engine.hooks.console import Console
    from i2i.engine.hooks.diagnostics import Diagnostics
    from i2i.engine.hooks.log import JSONLines, lacks_its_end
    from i2i.engine.hooks.samples import Samples
    from i2i.engine.hooks.trackers import Trackers
    from i2i.engine.trainer import train as run_training
    from i2i.evaluation.training import TrainingEvaluation
    from i2i.recipe.recipe import Recipe

    saved = None
    settings = (*settings, *(["train.deterministic=true"] if deterministic else []))
    if resume is not None:
        saved = checkpoint.find(resume)
        folder = saved.folder.resolve().parent.parent if (resume / checkpoint.STATE).is_file() else resume
        if saved.step not in checkpoint.listed(folder) or not (folder / checkpoint.RECIPE).is_file():
            raise CheckpointError(
                f"{resume} is a checkpoint outside its run; training continues in the run that it came from"
            )
        checked = replace(
            Recipe.read(folder / checkpoint.RECIPE, settings), name=str(saved.state.get("recipe", folder.name))
        )
        newest = max(checkpoint.listed(folder))
        if resume.resolve() != folder.resolve() and newest > saved.step:  # an older checkpoint was given
            raise CheckpointError(
                f"{folder} has checkpoints up to step {newest}; to continue from {saved.step}, move the later ones away"
            )
        best = saved.state.get("best")
        stale = best.get("stale", 0) if isinstance(best, dict) else 0
        if checked.train.patience is not None and isinstance(stale, int) and stale >= checked.train.patience:
            raise CheckpointError(
                f"{folder} has ended early at step {saved.step}: {stale} comparisons for train.keep_best without a "
                f"better value; continue with --set train.patience={2 * stale}"
            )
        finished = saved.step == checked.train.steps and not lacks_its_end(folder)
        # With epochs the number of steps is known once the data is open.
        if checked.train.epochs is None and (saved.step > checked.train.steps or finished):
            raise CheckpointError(
                f"{folder} has taken {saved.step} steps, and train.steps is {checked.train.steps}; continue with "
                f"--set train.steps={2 * saved.step}"
            )
    else:
        assert recipe is not None
        checked = Recipe.read(recipe, settings)
        folder = output or free_folder(checked.name)
    console = Console()
    try:
        extras = [TrainingEvaluation(), Trackers(), Samples(), Diagnostics(), JSONLines(), console]
        run = run_training(checked, folder, saved, extras, device=usable(device))
    finally:
        console.close()
    from i2i.cli import INTERRUPTED

    return INTERRUPTED if run.interrupted else 0


def free_folder(name: str) -> Path:
    """`runs/name`, or the first of `runs/name-2`, `runs/name-3`, ... that does not exist."""
    candidates = (RUNS / (name if number == 1 else f"{name}-{number}") for number in count(1))
    return next(path for path in candidates if not path.exists())
