"""Signals that stop a run after saving."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """Provide an event that the first SIGINT or SIGTERM sets; the second one has its usual effect.

    Under a launcher of several processes further SIGTERMs change nothing: a batch system sends one to every process of
    a job, and the launcher, which gets it too, passes it on while the checkpoint is being written.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before: dict[signal.Signals, Any] = {}

    def request_stop(number: int, frame: object) -> None:
        stop.set()
        for known, handler in before.items():
            if known != signal.SIGTERM or int(os.environ.get("WORLD_SIZE", "1")) < 2:
                signal.signal(known, handler)

    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, request_stop)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
