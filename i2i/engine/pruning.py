"""Which checkpoints of a run go when a new one stands."""

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from i2i.engine.checkpoint import listed
from i2i.engine.disk import remove


def prune(run: Path, keep: int, newest: int, every: int | None = None, kept: Collection[int] = ()) -> None:
    """Removes all but the last checkpoints up to the newest one; a damaged later one must not push out a sound one.

    Args:
        every: those whose step it divides stay for good.
        kept: further steps that stay.
    """
    steps = listed(run)
    for step in sorted(step for step in steps if step <= newest)[:-keep]:
        if step not in kept and (every is None or step % every):
            aside = steps[step].with_name(f".{steps[step].name}.old")
            with suppress(OSError):
                os.replace(steps[step], aside)  # so that a run that is killed now leaves no half of a checkpoint
                remove(aside)
