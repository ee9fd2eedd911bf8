"""Shared fixtures: where the official implementations' figures are, and single-threaded torch."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Two threads on a shared machine wait for each other far longer than they compute; children inherit this too.
os.environ.setdefault("OMP_NUM_THREADS", "1")

GOLDEN = Path(os.environ.get("I2I_GOLDEN", Path(__file__).parents[2] / "shared" / "golden"))


@pytest.fixture(scope="session")
def golden() -> Path:
    """Folder of the figures that the official implementations computed."""
    if not GOLDEN.is_dir():
        pytest.skip(f"no folder of official figures at {GOLDEN}; set I2I_GOLDEN to where it is")
    return GOLDEN
