"""Switches of a GPU: given, measured, or left to torch."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from i2i.engine import switches
from i2i.engine.switches import TABLE, resolve, table_path
from i2i.recipe.recipe import Recipe


def test_auto_takes_what_was_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(TABLE, str(tmp_path / "table.json"))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "GPU X")
    recipe = Recipe.read(
        "cyclegan", {"train.tf32": "auto", "train.channels_last": "auto", "train.cudnn_benchmark": True}
    )
    nothing = {"tf32": None, "cudnn_benchmark": True, "channels_last": None}
    assert resolve(recipe, torch.device("cuda")) == nothing
    assert (
        f"train.tf32=auto: {table_path()} has no entry for cyclic on GPU X; torch's own choice is kept" in caplog.text
    )
    (tmp_path / "table.json").write_text(json.dumps({"GPU X": {"cyclic": {"tf32": True, "channels_last": False}}}))
    assert resolve(recipe, torch.device("cuda")) == {**nothing, "tf32": True, "channels_last": False}
    assert set(resolve(recipe, torch.device("cpu")).values()) == {None}


def test_what_belongs_to_the_process_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    precision = torch.get_float32_matmul_precision()
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    try:
        switches.apply({"tf32": None, "cudnn_benchmark": None, "channels_last": True})
        assert torch.get_float32_matmul_precision() == precision
        switches.apply({"tf32": False, "cudnn_benchmark": True, "channels_last": None})
        assert (torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32) == (True, False)
        assert torch.get_float32_matmul_precision() == "highest"
    finally:
        torch.set_float32_matmul_precision(precision)
