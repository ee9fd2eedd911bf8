"""Random numbers that a batch's seed gives, drawn on the CPU and sent to the device, also in a captured step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Self

from torch import Tensor

from i2i.core.contracts import Batch
from i2i.errors import I2IError
from i2i.nn.functional.precision import to_like

Draw = Callable[[int], Sequence[Tensor]]
"""Function of a batch's seed, and of nothing that changes with the step."""


class NotCapturableError(I2IError):
    """Raised where a step does what a graph cannot repeat."""


class StaticDraws:
    """The draws of one captured step, in their order: buffers on the device that are filled again for each step.

    The first pass over the step makes the buffers, the second one, which is captured, uses them again.
    """

    def __init__(self) -> None:
        self._draws: list[tuple[int, Draw, list[Tensor]]] = []
        self._next: int | None = None

    def take(self, batch: int, seed: int, function: Draw, like: Tensor) -> list[Tensor]:
        """Return the buffers of the next draw."""
        if self._next is None:
            # Copied, because on the CPU what was drawn may be what the caller keeps.
            buffers = [to_like(value, like).clone() for value in function(seed)]
            self._draws.append((batch, function, buffers))
            return buffers
        if self._next >= len(self._draws):
            raise NotCapturableError("a step draws more random numbers than the one before it")
        buffers = self._draws[self._next][2]
        self._next += 1
        return buffers

    def reuse_(self) -> None:
        """Let the next pass use the buffers of the first one."""
        self._next = 0

    def fill_(self, seeds: Sequence[int]) -> None:
        """Draw for the batches of another step.

        Args:
            seeds: of its micro-batches.
        """
        for batch, function, buffers in self._draws:
            for buffer, value in zip(buffers, function(seeds[batch]), strict=True):
                buffer.copy_(to_like(value, buffer), non_blocking=True)


class StaticSeed(int):
    """Seed of a micro-batch whose draws get static buffers.

    Args:
        seed: the number.
        batch: index of the micro-batch.
    """

    batch: int

    def __new__(cls, seed: int, batch: int) -> Self:
        made = super().__new__(cls, seed)
        made.batch = batch
        return made


class CapturedSeed(StaticSeed):
    """Seed of a micro-batch in a step that is captured: usable by `drawn` alone.

    Every seed that is derived from it is made of its text, which it refuses to give.
    """

    def __str__(self) -> str:
        raise NotCapturableError(
            "the method, an image pool or a loss draws random numbers that decide what is computed"
        )


# A context variable, as a thread that translates takes no part in a captured step.
_static: ContextVar[StaticDraws | None] = ContextVar("static_draws", default=None)


@contextmanager
def static_draws(draws: StaticDraws) -> Iterator[None]:
    """Take the draws of a step from static buffers inside the context."""
    token = _static.set(draws)
    try:
        yield
    finally:
        _static.reset(token)


def drawn(batch: Batch, function: Draw, like: Tensor) -> list[Tensor]:
    """Return random numbers on the device of a tensor.

    Args:
        batch: the batch; its seed alone decides what is drawn.
        function: draws on the CPU. In a captured step it is called again for each replay.
        like: tensor whose device, and floating type, the numbers get.
    """
    draws = _static.get()
    if draws is None or not isinstance(batch.seed, StaticSeed):
        return [to_like(value, like) for value in function(batch.seed)]
    return draws.take(batch.seed.batch, int(batch.seed), function, like)
