"""Networks through torch's compiler, in place."""

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
    """Compiles every network of a translator at its next call; names and weights stay as they are.

    Only calls of a whole network are compiled. Networks used in parts (`encode`, `decode`) run as before in those.
    """
    if how is False:
        return
    mode = None if how is True else how
    for network in trained_networks(translator):
        network.compile(mode=mode)


def begin_step(how: Compile) -> None:
    """Tells CUDA graphs that images of the step before are no longer needed."""
    if isinstance(how, str):
        torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]


@contextmanager
def explain_compile_failure() -> Iterator[None]:
    """Says what to do when torch's compiler cannot compile.

    Raises:
        I2IError: it cannot.
    """
    try:
        yield
    except compiler_error() as error:
        reason = str(error).partition("\n")[0]
        raise I2IError(
            f"the networks cannot be compiled: {reason}. On a CPU that needs a C++ compiler, such as g++. "
            f"Install one, or go on without: train.compile = false, translate without --compile"
        ) from error
