"""Hooks for all tests of i2i and of its plugins."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from pathlib import Path

# Hundreds of processes import torch in these tests, and without compiled files each of them compiles five thousand
# modules first. Where the environment forbids such files next to the sources, they go into the folder `build`.
if sys.dont_write_bytecode:
    sys.dont_write_bytecode = False
    sys.pycache_prefix = str(Path(__file__).parent / "build" / "bytecode")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix


def pytest_collection_finish() -> None:
    """Imported modules and collected tests live to the end, so garbage collection need not traverse them."""
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)  # at exit some libraries report objects that were not released
