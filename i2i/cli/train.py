"""`i2i train`: start or resume a training run."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from pathlib import Path

import click

from i2i.core.plugins import default_plugins
from i2i.data.locations import check_locations
from i2i.errors import CheckpointError
from i2i.recipe.files import read

RUNS = Path("runs")

settings = click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change one value of the recipe, such as train.steps=1000 or data.a=photos; may be repeated.",
)


@click.command()
@click.argument("recipe", required=False)
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), help="Run folder; runs/RECIPE by default.")
@click.option(
    "--resume", type=click.Path(path_type=Path), metavar="RUN", help="Resume a run from its newest checkpoint."
)
@click.option(
    "--deterministic", is_flag=True, help="Bit-exact results in every run; slower on GPUs (train.deterministic)."
)
@settings
def train(
    recipe: str | None, output: Path | None, resume: Path | None, deterministic: bool, settings: tuple[str, ...]
) -> int:
    """Train RECIPE, a file or the name of a shipped recipe.

    \b
      i2i train quickstart
      i2i train my_recipe.toml --set data.a=selfie --set data.b=anime
      i2i train --resume runs/my_recipe --set train.steps=200000

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
        check_locations(source.values.get("data", {}))
    from i2i.engine import checkpoint
    from i2i.engine.hooks.console import Console
    from i2i.engine.hooks.diagnostics import Diagnostics
    from i2i.engine.hooks.log import JSONLines, lacks_its_end
    from i2i.engine.hooks.samples import Samples
    from i2i.engine.hooks.trackers import Trackers
    from i2i.engine.trainer import train as run_training
    from i2i.evaluation.pairs import HeldOutPairs
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
        if saved.step > checked.train.steps or (saved.step == checked.train.steps and not lacks_its_end(folder)):
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
        extras = [HeldOutPairs(), Trackers(), Samples(), Diagnostics(), JSONLines(), console]
        run = run_training(checked, folder, saved, extras)
    finally:
        console.close()
    from i2i.cli import INTERRUPTED

    return INTERRUPTED if run.interrupted else 0


def free_folder(name: str) -> Path:
    """`runs/name`, or the first of `runs/name-2`, `runs/name-3`, ... that does not exist."""
    candidates = (RUNS / (name if number == 1 else f"{name}-{number}") for number in count(1))
    return next(path for path in candidates if not path.exists())
