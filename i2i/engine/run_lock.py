"""A run's folder belongs to one launch at a time, and no earlier run is written over."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from i2i.engine import checkpoint
from i2i.errors import CheckpointError
from i2i.recipe.recipe import Recipe


@contextmanager
def lock_run_folder(folder: Path, resumes: bool, main: bool) -> Iterator[None]:
    """Keeps the folder for this launch.

    Args:
        resumes: whether the run that lies there goes on.
        main: whether this process is the one that writes.

    Raises:
        CheckpointError: another run lies there, another process trains there, or nothing can be written there.
    """
    if not main:
        yield
        return
    if not resumes and checkpoint.listed(folder):
        raise CheckpointError(
            f"{folder} holds a run already: go on with --resume {folder}, or choose another folder with --output"
        )
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "checkpoints").mkdir(exist_ok=True)  # what is in its way is told now, not at the first checkpoint
        lock.acquire()
    except Timeout as error:
        raise CheckpointError(f"{folder} is being trained by another process; wait for it or stop it first") from error
    except OSError as error:
        raise CheckpointError(f"nothing can be written to the run folder {folder}: {error}") from error
    try:
        yield
    finally:
        lock.release()


def write_recipe(folder: Path, recipe: Recipe) -> None:
    """The resolved recipe, where a resume looks for it."""
    beside = folder / f".{checkpoint.RECIPE}.part"
    try:
        beside.write_text(recipe.to_toml(), encoding="utf-8")
        os.replace(beside, folder / checkpoint.RECIPE)
    except OSError as error:
        raise CheckpointError(f"nothing can be written to the run folder {folder}: {error}") from error
