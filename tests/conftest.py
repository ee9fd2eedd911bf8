"""Shared fixtures: where the official implementations' figures are, single-threaded torch, less garbage collection."""

from __future__ import annotations

import gc
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

# Two threads on a shared machine wait for each other far longer than they compute; children inherit this too.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Tests see the built-in components alone, whatever is installed beside them. Set here, as some networks are built while
# tests are collected, and the first of them loads the plugins of the process.
os.environ["I2I_PLUGINS"] = ""

# What is imported and collected stays to the end. Searching it for garbage, again and again, takes a tenth of the time.
gc.disable()


def pytest_collection_finish() -> None:
    """Collect garbage from now on, among the objects of the tests alone."""
    gc.freeze()
    gc.enable()


GOLDEN = Path(os.environ.get("I2I_GOLDEN") or Path(__file__).parent / "golden")


@pytest.fixture(scope="session")
def golden() -> Path:
    """Folder of figures of the official implementations: the small set of this repository, or `I2I_GOLDEN`."""
    if not GOLDEN.is_dir():
        pytest.fail(f"I2I_GOLDEN: expected a folder of official figures, got {GOLDEN}")
    return GOLDEN


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Parity tests are those that ask for figures; `-m golden` selects them."""
    for item in items:
        if "golden" in getattr(item, "fixturenames", ()):
            item.add_marker("golden")


TINY = {
    "translator.generator.channels": 4,
    "translator.generator.blocks": 1,
    "translator.discriminators.global_.channels": 4,
    "translator.discriminators.global_.layers": 5,
    "translator.discriminators.local.channels": 4,
    "data.size": 32,
    "data.type": "portraits",
    "data.count": 12,
    "optimizers.generator.lr": 2e-4,
    "optimizers.discriminator.lr": 2e-4,
    "train.ema": "none",
    "train.steps": 6,
    "train.batch_size": 2,
    "train.workers": 0,
    "train.log_every": 1,
    "train.sample_every": 0,
    "train.checkpoint_every": 100,
}

CHEAP = {
    "translator.generator": {"type": "resnet", "channels": 4, "blocks": 1},
    "translator.discriminators.local.channels": 4,
    "translator.discriminators.local.layers": 3,
    "data.count": 12,
    **{key: value for key, value in TINY.items() if key.startswith(("train.", "optimizers."))},
}


@pytest.fixture
def cheap() -> dict[str, object]:
    """Settings that make a step of the recipe `pix2pix_small` cost an eighth of a tiny one of `ugatit_small`.

    For tests of what is around the steps, whatever is trained in them.
    """
    return dict(CHEAP)


@pytest.fixture(scope="session")
def tiny_settings() -> Mapping[str, object]:
    """What `tiny` holds, for trainings that several tests share."""
    return MappingProxyType(TINY)


@pytest.fixture
def tiny() -> dict[str, object]:
    """Settings that make the recipe `ugatit_small` small enough to train in a test."""
    return dict(TINY)


@pytest.fixture
def golden_tensorflow(golden: Path) -> Path:
    """Folder with all figures of U-GAT-IT's TensorFlow code, of which the small set has one step."""
    if "I2I_GOLDEN" not in os.environ:
        pytest.skip("these figures of the TensorFlow code are in the larger set only; set I2I_GOLDEN")
    return golden / "ugatit_tf"
