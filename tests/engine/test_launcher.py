"""A launcher's environment is honoured, or refused in one sentence."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator, InitProcessGroupKwargs

from i2i.engine import stepper
from i2i.engine.faults import explain_lost_process
from i2i.engine.launcher import FLAGS, check_environment, explain_environment
from i2i.engine.stepper import make_accelerator
from i2i.errors import I2IError, TrainingError


@pytest.mark.parametrize("name", FLAGS)
@pytest.mark.parametrize("value", ["true", "1", "YES"])
def test_what_shards_the_networks_is_refused(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(I2IError, match=f"^{name}={value} asks for .*, which i2i does not support; launch with"):
        make_accelerator("fp32")
    monkeypatch.setenv(name, "false")
    check_environment("fp32")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("ACCELERATE_MIXED_PRECISION", "bf16", "or set train.precision=bf16"),
        ("ACCELERATE_MIXED_PRECISION", "fp8", "differs from train.precision = 'fp32', which decides"),
        ("ACCELERATE_DYNAMO_BACKEND", "INDUCTOR", "and set train.compile=true"),
        ("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "4", "and set train.accumulate=4"),
        ("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "x", "the recipe decides on accumulation"),
    ],
)
def test_what_the_recipe_decides_is_refused(
    name: str, value: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(I2IError, match=message) as caught:
        make_accelerator("fp32")
    assert caught.value.status == 2


def test_what_agrees_with_the_recipe_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "ACCELERATE_MIXED_PRECISION": "bf16",
        "ACCELERATE_DYNAMO_BACKEND": "no",
        "ACCELERATE_GRADIENT_ACCUMULATION_STEPS": "1",
    }.items():
        monkeypatch.setenv(name, value)
    check_environment("bf16")


@pytest.mark.parametrize("error", [ImportError("no package"), ValueError("bad"), RuntimeError("no device 'nope'")])
def test_what_accelerate_refuses_is_one_sentence(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> Accelerator:
        raise error

    monkeypatch.setattr(stepper, "Accelerator", fail)
    monkeypatch.setenv("ACCELERATE_TORCH_DEVICE", "nope")
    with pytest.raises(
        I2IError, match=r"Accelerate cannot use the launcher's environment .*ACCELERATE_TORCH_DEVICE=nope"
    ):
        make_accelerator("fp32")


@pytest.mark.parametrize("timeout", [20, 600, 1800])
def test_a_timeout_is_passed_on_even_where_it_is_a_default(timeout: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert make_accelerator("fp32", timeout=timeout).num_processes == 1
    handlers: list[object] = []
    monkeypatch.setattr(stepper, "Accelerator", lambda **given: handlers.extend(given["kwargs_handlers"]))
    with contextlib.suppress(AttributeError):  # nothing was made
        make_accelerator("fp16", timeout=timeout)
    (group,) = (one for one in handlers if isinstance(one, InitProcessGroupKwargs))
    assert group.to_kwargs()["timeout"] // timedelta(seconds=1) == timeout


def test_a_process_that_does_not_find_the_others_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    error = torch.distributed.DistStoreError("Timed out after 31 seconds waiting for clients. 1/2 clients joined.")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    expected = (
        "process 0 of 2 has lost the connection to another one, which has ended or whose machine is down: launch all "
        "of them again, as nothing was saved yet (Timed out after 31 seconds waiting for clients. 1/2 clients joined.)"
    )
    with pytest.raises(TrainingError) as caught, explain_lost_process(tmp_path), explain_environment():
        raise error
    assert str(caught.value) == expected
    monkeypatch.setenv("WORLD_SIZE", "1")  # then the environment is at fault
    with pytest.raises(I2IError, match="Accelerate cannot use"), explain_lost_process(tmp_path), explain_environment():
        raise error
