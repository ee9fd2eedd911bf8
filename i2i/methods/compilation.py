"""Compilation of a translator's networks with `torch.compile`, in place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

from i2i.errors import I2IError
from i2i.methods.networks import trained_networks
from i2i.methods.translator import Translator
from i2i.nn.private_torch import compiler_error

Compile = bool | Literal["reduce-overhead", "max-autotune"]
"""Whether networks are compiled, or a mode of `torch.compile`; `reduce-overhead` captures CUDA graphs."""


def compile_networks(translator: Translator, how: Compile) -> None:
    """Compile every trained network of a translator in place, at its next call; the state dict keeps its names.

    Only `forward` is compiled. Other methods of a network, such as `encode` and `decode`, run without the compiler.

    Args:
        translator: translator whose networks are compiled.
        how: whether to compile, or the mode of `torch.compile`.
    """
    if how is False:
        return
    mode = None if how is True else how
    for network in trained_networks(translator):
        network.compile(mode=mode)


def begin_step(how: Compile) -> None:
    """Mark the start of a step, after which CUDA graphs may overwrite the outputs of the previous step.

    Args:
        how: whether networks are compiled, or the mode of `torch.compile`; only modes use CUDA graphs.
    """
    if isinstance(how, str):
        torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]


@contextmanager
def explain_compile_failure() -> Iterator[None]:
    """Replace errors of the compiler by one that names the fix.

    Raises:
        I2IError: the compiler fails, for instance because the C++ compiler that it needs is missing.
    """
    try:
        yield
    except compiler_error() as error:
        reason = str(error).partition("\n")[0]
        raise I2IError(
            f"the networks cannot be compiled: {reason}. On a CPU that needs a C++ compiler, such as g++. "
            f"Install one, or continue without: train.compile = false, translate without --compile"
        ) from error
