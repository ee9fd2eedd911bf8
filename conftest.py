"""Hooks for all tests of i2i and of its plugins."""

from __future__ import annotations

import atexit
import gc


def pytest_collection_finish() -> None:
    """Imported modules and collected tests live to the end, so garbage collection need not traverse them."""
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)  # at exit some libraries report objects that were not released
