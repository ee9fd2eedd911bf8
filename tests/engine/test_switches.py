"""Switches of a GPU: given, measured, or left to torch."""

from __future__ import annotations

import importlib.util
import json
import sys
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


def test_a_benchmark_of_another_gpu_writes_what_auto_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TABLE, str(tmp_path / "new" / "table.json"))
    path = Path(__file__).parents[2] / "benchmarks" / "gpu.py"
    spec = importlib.util.spec_from_file_location("gpu_benchmark", path)
    assert spec is not None
    assert spec.loader is not None
    benchmark = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "gpu_benchmark", benchmark)
    spec.loader.exec_module(benchmark)

    def rows(method: str, **ms: float) -> dict[str, dict[str, float]]:
        return {f"step, {method}, {variant.replace('_', ' ')}, batch 1": {"ms": value} for variant, value in ms.items()}

    of_cyclegan = rows("CycleGAN", fp32=30, TF32=20, channels_last=29.9, cuDNN_benchmark=40)
    of_ugatit = rows("U-GAT-IT light", fp32=30, TF32=31)  # of the same translator: a switch must win for both
    benchmark.write_switches(benchmark.measured_switches(of_cyclegan | of_ugatit, "GPU X"))
    benchmark.write_switches(benchmark.measured_switches(rows("CUT", fp32=30, TF32=20), "GPU X"))
    benchmark.write_switches(benchmark.measured_switches(of_cyclegan, "GPU Y"))
    recipe = Recipe.read("cyclegan", {f"train.{name}": "auto" for name in switches.NAMES})
    for gpu, tf32 in (("GPU X", False), ("GPU Y", True)):
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device, gpu=gpu: gpu)
        expected = {"tf32": tf32, "cudnn_benchmark": False, "channels_last": False}
        assert resolve(recipe, torch.device("cuda")) == expected
    assert json.loads(table_path().read_text())["GPU X"]["one_sided"] == {"tf32": True}


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
