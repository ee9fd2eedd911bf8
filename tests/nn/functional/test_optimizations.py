"""The switch to the reference path belongs to one thread, and compiled functions follow it."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import Tensor

from i2i.nn.functional.optimizations import disable_optimizations, optimizations_enabled


def test_contexts_are_nested_and_end_with_an_exception() -> None:
    try:
        with disable_optimizations(), disable_optimizations(False):
            assert not optimizations_enabled()
            raise KeyError
    except KeyError:
        pass
    assert optimizations_enabled()


def test_each_thread_has_its_own_switch() -> None:
    disabled, checked = threading.Event(), threading.Event()
    seen: list[bool] = []

    def reference() -> None:
        with disable_optimizations():
            disabled.set()
            checked.wait(10)
            seen.append(optimizations_enabled())

    thread = threading.Thread(target=reference)
    thread.start()
    disabled.wait(10)
    assert optimizations_enabled()
    checked.set()
    thread.join()
    assert seen == [False]


@pytest.mark.thorough
def test_a_compiled_function_follows_the_switch() -> None:
    def function(x: Tensor) -> Tensor:
        return x + 1 if optimizations_enabled() else x - 1

    compiled = torch.compile(function, backend="eager", fullgraph=True)
    zero = torch.zeros(1)
    assert compiled(zero).item() == 1
    with disable_optimizations():
        assert compiled(zero).item() == -1
    assert compiled(zero).item() == 1
