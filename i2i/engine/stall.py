"""Measurement of the time that steps wait for data, with a warning during long waits."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

log = logging.getLogger("i2i")


class DataWatch:
    """Context manager that measures how long steps wait for data and, in a thread, warns during long waits.

    Args:
        what: description of the data set and its workers, for the message.
        patience: seconds before the first warning about a wait; each further warning comes after twice the time.
    """

    def __init__(self, what: str, patience: float = 60.0) -> None:
        self.what, self.patience = what, patience
        self.last = 0.0
        """Seconds that the last step waited."""
        self._waiting: tuple[int, float] | None = None
        self._done = threading.Event()

    def __enter__(self) -> DataWatch:
        threading.Thread(target=self._watch, name="data watch", daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()

    @contextmanager
    def waiting(self, step: int) -> Iterator[None]:
        """Measure the wait of one step, which happens inside the context."""
        started = time.monotonic()
        self._waiting = step, started
        try:
            yield
        finally:
            self._waiting = None
            self.last = time.monotonic() - started

    def _watch(self) -> None:
        warned: tuple[int, float] | None = None
        patience = self.patience
        while not self._done.wait(self.patience / 4):
            current = self._waiting
            if current is None or current != warned:
                patience = self.patience
            if current is not None and (seconds := time.monotonic() - current[1]) > patience:
                log.warning(
                    "step %d has waited %.0f s for %s: is a disk or a network folder slow, or a worker stuck?",
                    current[0],
                    seconds,
                    self.what,
                )
                warned, patience = current, 2 * seconds
