"""Removal of old checkpoints."""

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from i2i.engine.checkpoint import listed
from i2i.engine.disk import remove


def prune(run: Path, keep: int, newest: int, every: int | None = None, kept: Collection[int] = ()) -> None:
    """Remove all but the last checkpoints of a run.

    Args:
        run: the run folder.
        keep: number of checkpoints to keep.
        newest: step of the newest checkpoint. Later ones, which may be damaged, are neither counted nor removed.
        every: checkpoints whose step is a multiple of it are kept.
        kept: further steps whose checkpoints are kept.
    """
    steps = listed(run)
    for step in sorted(step for step in steps if step <= newest)[:-keep]:
        if step not in kept and (every is None or step % every):
            renamed = steps[step].with_name(f".{steps[step].name}.old")
            with suppress(OSError):
                os.replace(steps[step], renamed)  # a run that is killed now leaves no partial checkpoint
                remove(renamed)
