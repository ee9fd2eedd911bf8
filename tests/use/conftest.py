"""Shared by tests of what trained runs are used for."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """A hub on loopback, which the environment names, and an empty cache."""
    hub_constants = pytest.importorskip("huggingface_hub.constants", reason="needs i2i[hub]")
    spec = importlib.util.spec_from_file_location("fake_hub", Path(__file__).with_name("fake_hub.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    fake = module.FakeHub()
    monkeypatch.setenv("HF_ENDPOINT", fake.address)
    monkeypatch.setenv("HF_TOKEN", "hf_fake")
    monkeypatch.setattr(hub_constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(hub_constants, "HF_HUB_OFFLINE", False)
    yield fake
    fake.close()
