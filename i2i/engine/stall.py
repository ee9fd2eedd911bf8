"""Notices when a step waits for its images, and says so while it waits."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

log = logging.getLogger("i2i")


class DataWatch:
    """Counts the time that steps wait for data, and warns while one waits long; a context, with one thread of its own.

    Args:
        what: the data set and its workers, for the message.
        patience: seconds of one wait before it is told; then again after each doubling.
    """

    def __init__(self, what: str, patience: float = 60.0) -> None:
        self.what, self.patience = what, patience
        self.last = 0.0
        """Seconds that the last step has waited."""
        self._waiting: tuple[int, float] | None = None
        self._done = threading.Event()

    def __enter__(self) -> DataWatch:
        threading.Thread(target=self._watch, name="data watch", daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()

    @contextmanager
    def waiting(self, step: int) -> Iterator[None]:
        """Around the wait of one step."""
        began = time.monotonic()
        self._waiting = step, began
        try:
            yield
        finally:
            self._waiting = None
            self.last = time.monotonic() - began

    def _watch(self) -> None:
        told: tuple[int, float] | None = None
        patience = self.patience
        while not self._done.wait(self.patience / 4):
            now = self._waiting
            if now is None or now != told:
                patience = self.patience
            if now is not None and (seconds := time.monotonic() - now[1]) > patience:
                log.warning(
                    "step %d has waited %.0f s for %s: is a disk or a network folder slow, or a worker stuck?",
                    now[0],
                    seconds,
                    self.what,
                )
                told, patience = now, 2 * seconds
