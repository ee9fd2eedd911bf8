"""Exclusive use of a run folder: one launch at a time, and no earlier run is overwritten."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from i2i.engine import checkpoint
from i2i.errors import CheckpointError
from i2i.recipe.recipe import Recipe

LOCK = ".lock"
"""File of a run folder that whoever trains in it holds locked."""


@contextmanager
def lock_run_folder(folder: Path, resumes: bool, main: bool) -> Iterator[None]:
    """Lock the run folder inside the context, and create it if needed.

    Args:
        folder: the run folder.
        resumes: whether the run in the folder is resumed.
        main: whether this is the main process; other processes lock nothing.

    Raises:
        CheckpointError: the folder contains another run, is locked by another process or is not writable.
    """
    if not main:
        yield
        return
    if not resumes and checkpoint.listed(folder):
        raise CheckpointError(
            f"{folder} already contains a run: continue it with --resume {folder} or choose another --output folder"
        )
    lock = _lock(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "checkpoints").mkdir(exist_ok=True)  # fails now and not at the first checkpoint
        lock.acquire()
    except Timeout as error:
        raise CheckpointError(f"{folder} is being trained by another process; wait for it or stop it first") from error
    except OSError as error:
        raise CheckpointError(f"cannot write to the run folder {folder}: {error}") from error
    try:
        yield
    finally:
        lock.release()


def is_locked(folder: Path) -> bool:
    """Return whether a process trains in a run folder."""
    if not (folder / LOCK).exists():
        return False
    try:
        with _lock(folder):
            return False
    except Timeout:
        return True


def _lock(folder: Path) -> FileLock:
    return FileLock(folder / LOCK, timeout=0)


def write_recipe(folder: Path, recipe: Recipe) -> None:
    """Write the resolved recipe into the run folder, where a resume reads it.

    Raises:
        CheckpointError: the folder is not writable.
    """
    part = folder / f".{checkpoint.RECIPE}.part"
    try:
        part.write_text(recipe.to_toml(), encoding="utf-8")
        os.replace(part, folder / checkpoint.RECIPE)
    except OSError as error:
        raise CheckpointError(f"cannot write to the run folder {folder}: {error}") from error
