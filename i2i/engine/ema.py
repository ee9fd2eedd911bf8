"""Exponential moving average of the weights that generate images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from i2i.methods.translator import Translator
from i2i.recipe.tables import Averaging


class EMA:
    """Exponential moving average `average = decay * average + (1 - decay) * weight` after each step.

    Parameters are averaged. Buffers are copied unless the options say otherwise: the mean of spectral norm's unit
    vectors would be shorter than one and inflate the weights, and running statistics are averages already.

    Args:
        translator: its inference modules are averaged.
        decay: per step, or options from which it follows.

    Source: Yazici et al., ICLR 2019, arXiv:1806.04498.
    """

    def __init__(self, translator: Translator, decay: float | Averaging) -> None:
        self.translator = translator
        self.options = decay if isinstance(decay, Averaging) else Averaging(decay=decay)
        state = translator.state_dict(keep_vars=True)
        self._parameters = frozenset(name for name, value in state.items() if isinstance(value, nn.Parameter))
        self.average = {name: value.detach().clone() for name, value in self.weights().items()}

    def weights(self) -> dict[str, Tensor]:
        """Return the current parameters and buffers of the inference modules, by name in the translator's state."""
        prefixes = tuple(f"{name}." for name in self.translator.inference_modules)
        state, adapted = self.translator.state_dict(), self.translator.adapted  # weights below adapters never change
        return {name: value for name, value in state.items() if name.startswith(prefixes) and name not in adapted}

    @torch.no_grad()
    def update(self, step: int = 0, batch: int = 1) -> None:
        """Move the averages of parameters towards the current weights, and copy buffers.

        Args:
            step: number of steps taken before the last one.
            batch: number of images of a step, of all processes.
        """
        decay = self.options.decay_at(step, batch)
        buffers = self.options.buffers == "average"
        for name, value in self.weights().items():
            if name in self._parameters or (buffers and value.is_floating_point()):
                self.average[name].lerp_(value, 1 - decay)
            else:
                self.average[name].copy_(value)

    def load(self, average: Mapping[str, Tensor]) -> None:
        """Restore the averages of a checkpoint.

        Raises:
            ValueError: they are of other weights.
        """
        shapes = [{name: tuple(value.shape) for name, value in one.items()} for one in (self.average, average)]
        if differing := sorted(set(shapes[0].items()) ^ set(shapes[1].items())):
            raise ValueError(f"the average is of other weights: {differing[0][0]}")
        for name, value in average.items():
            self.average[name].copy_(value)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Give the translator the averaged weights for as long as the context lasts."""
        current = {name: value.clone() for name, value in self.weights().items()}
        self.translator.load_state_dict(self.average, strict=False)
        try:
            yield
        finally:
            self.translator.load_state_dict(current, strict=False)
