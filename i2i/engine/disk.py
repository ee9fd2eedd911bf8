"""File system operations that checkpoints share."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path


def remove(path: Path) -> None:
    """Remove a file, a link or a folder with its content; ignore what cannot be removed."""
    with suppress(OSError):
        path.unlink()
    shutil.rmtree(path, ignore_errors=True)


def check_regular(folder: Path) -> None:
    """Check that a folder holds regular files only: reading a pipe would block, and a device may never end.

    Raises:
        ValueError: an entry is not a regular file.
    """
    for path in folder.iterdir():
        if not path.is_file():
            raise ValueError(f"{path.name} is not a regular file")
