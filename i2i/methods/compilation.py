"""Compilation of a translator's networks, or of their blocks, with `torch.compile`, in place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import nn

from i2i.errors import I2IError
from i2i.methods.networks import trained_networks
from i2i.methods.translator import Translator
from i2i.nn.private_torch import compiler_error, raise_recompile_limit

Compile = bool | Literal["blocks", "reduce-overhead", "max-autotune"]
"""Whether networks are compiled, only their blocks, or a mode of `torch.compile`; `reduce-overhead` captures CUDA
graphs."""
CAPTURING = ("reduce-overhead", "max-autotune")
"""Modes that capture CUDA graphs."""


def compile_networks(translator: Translator, how: Compile) -> None:
    """Compile every trained network of a translator in place, at its next call; the state dict keeps its names.

    Only `forward` is compiled. Other methods of a network, such as `encode` and `decode`, run without the compiler,
    but the blocks that they call do not.

    Args:
        translator: translator whose networks are compiled.
        how: whether to compile, `blocks` for the blocks alone, or the mode of `torch.compile`.
    """
    if how is False:
        return
    for network in trained_networks(translator):
        if how == "blocks":
            compile_blocks(network)
        else:
            network.compile(mode=None if how is True else how)


def compile_blocks(network: nn.Module, **options: Any) -> int:
    """Compile the blocks of a network in place and return their number: blocks that are alike share what is compiled.

    A block is a module with an attribute `recomputable = True`; of nested blocks only the outermost is compiled.

    Args:
        network: network whose blocks are compiled.
        options: further arguments of `torch.compile`.
    """
    if not getattr(network, "recomputable", False):
        return sum(compile_blocks(child, **options) for child in network.children())
    raise_recompile_limit()
    network.compile(**options)
    return 1


def begin_step(how: Compile) -> None:
    """Mark the start of a step, after which CUDA graphs may overwrite the outputs of the previous step.

    Args:
        how: whether networks are compiled, or the mode of `torch.compile`; only modes capture CUDA graphs.
    """
    if how in CAPTURING:
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
