"""The folder next to a file in which the frames of an unfinished clip lie, so that interrupted work can continue."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from i2i.errors import I2IError

SEGMENT = 64
"""Frames of one intermediate file: as many are computed again after a process was killed."""


@contextmanager
def unfinished(target: Path, job: str) -> Iterator[Path]:
    """Yield the folder of a target's segments, locked; it is removed if no error is raised, or if it holds none.

    Args:
        target: file or folder that will be made of them.
        job: digest of everything that the frames depend on; segments of another job are removed.

    Raises:
        I2IError: another process writes the target.
    """
    folder = target.with_name(f".{target.name}.parts")
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise I2IError(f"{target} is being written by another process") from error
    try:
        described = folder / "job.txt"
        if not described.is_file() or described.read_text(encoding="utf-8") != job:
            for path in folder.iterdir():
                if path.name != ".lock":
                    path.unlink()
            described.write_text(job, encoding="utf-8")
        yield folder
    finally:
        lock.release()
        if not segments(folder):
            shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def segments(folder: Path) -> list[Path]:
    """Return the complete segments `FIRST-COUNT.nut` in the order of their frames."""
    return sorted(folder.glob("[0-9]*-*.nut"))


def segment_path(folder: Path, first: int, count: int) -> Path:
    """Return the path of the segment of `count` frames from number `first` on."""
    return folder / f"{first:08}-{count}.nut"


def frames_in(folder: Path) -> int:
    """Return how many frames the complete segments hold."""
    return sum(int(path.stem.split("-")[1]) for path in segments(folder))
