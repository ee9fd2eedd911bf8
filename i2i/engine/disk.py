"""What may lie where a checkpoint is read or written."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path


def remove(path: Path) -> None:
    """Takes away a folder, and a file or a link that bears its name; what cannot be removed stays."""
    with suppress(OSError):
        path.unlink()
    shutil.rmtree(path, ignore_errors=True)


def check_regular(folder: Path) -> None:
    """Sees that nothing in a folder would be waited for, such as a pipe, or read without an end, such as a device.

    Raises:
        ValueError: names what is no regular file.
    """
    for path in folder.iterdir():
        if not path.is_file():
            raise ValueError(f"{path.name} is not a regular file")
