"""A step never waits for its device: it looks at no value, and what it sends there is what it draws.

Tensors without memory on the device `meta` stand for those of a GPU: reading one raises, and all others are the host's.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, PartialState
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from i2i.engine.planning import example_batches
from i2i.engine.stepper import Stepper, make_accelerator
from i2i.nn.functional import precision
from i2i.recipe.recipe import Recipe

DEVICE = torch.device("meta")
TORCH = Path(torch.__file__).parent
RECIPES = ("ugatit_small", "cut_small", "unit_small", "munit_small")


class Sent(TorchDispatchMode):
    """Notes the files of the project in which something is copied from the host to the device."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.files: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        devices = {one.device for one in tree_leaves((args, out)) if isinstance(one, Tensor)}
        if len(devices) > 1 and func.name() in ("aten::_to_copy", "aten::copy_"):
            callers = [frame.filename for frame in traceback.extract_stack()[:-1]]
            self.files.append(next(name for name in reversed(callers) if f"{TORCH}/" not in name))
        return out


@pytest.fixture
def elsewhere() -> Iterator[Accelerator]:
    """An accelerator that says its device is `meta`, once the networks are there."""
    accelerator = make_accelerator("fp32", device="cpu", device_placement=False)
    try:
        yield accelerator
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)


@pytest.mark.thorough
@pytest.mark.parametrize("name", RECIPES)
def test_a_step_waits_for_nothing(name: str, elsewhere: Accelerator, monkeypatch: pytest.MonkeyPatch) -> None:
    with DEVICE:
        stepper = Stepper(Recipe.read(name, {"train.ema": 0.9}), elsewhere)
        batches = example_batches(stepper)
    for state in (PartialState, AcceleratorState):
        state._shared_state["device"] = DEVICE
    for optimizer in stepper.optimizers.values():
        # On a GPU it is one kernel, which keeps its count of steps there; without a device torch has only its loop.
        monkeypatch.setattr(getattr(optimizer, "optimizer", optimizer), "step", lambda *_, **__: None)
    stepper.step(*batches)
    with Sent() as sent:
        stepper.step(*batches)
    assert set(sent.files) <= {precision.__file__}


def test_what_waits_is_found() -> None:
    with Sent() as sent:
        torch.zeros(3).to(DEVICE)
        torch.empty(3, device=DEVICE).copy_(torch.zeros(3))
        torch.zeros(3, device=DEVICE) + 1
    assert sent.files == [__file__, __file__]
    for read in (Tensor.item, Tensor.cpu, Tensor.tolist):
        with pytest.raises((RuntimeError, NotImplementedError)):
            read(torch.zeros(1, device=DEVICE))
