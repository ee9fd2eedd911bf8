"""An average of the weights that make the images, which paints steadier images than the last weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from i2i.methods.translator import Translator


class EMA:
    """Exponential moving average: `average = decay * average + (1 - decay) * weights` after each step.

    Args:
        translator: its generator_modules are averaged.
        decay: per step.

    Source: Yazici et al., ICLR 2019, arXiv:1806.04498.
    """

    def __init__(self, translator: Translator, decay: float) -> None:
        self.translator, self.decay = translator, decay
        self.average = {name: value.detach().clone() for name, value in self.weights().items()}

    def weights(self) -> dict[str, Tensor]:
        """The weights that are averaged, as they stand."""
        prefixes = tuple(f"{name}." for name in self.translator.inference_modules)
        return {name: value for name, value in self.translator.state_dict().items() if name.startswith(prefixes)}

    @torch.no_grad()
    def update(self) -> None:
        """Moves the average towards the weights; buffers that are no floats are copied."""
        for name, value in self.weights().items():
            if value.is_floating_point():
                self.average[name].lerp_(value, 1 - self.decay)
            else:
                self.average[name].copy_(value)

    def load(self, average: Mapping[str, Tensor]) -> None:
        """Takes back what `average` held.

        Raises:
            ValueError: it is the average of other weights.
        """
        shapes = [{name: tuple(value.shape) for name, value in one.items()} for one in (self.average, average)]
        if other := sorted(set(shapes[0].items()) ^ set(shapes[1].items())):
            raise ValueError(f"the average is of other weights: {other[0][0]}")
        for name, value in average.items():
            self.average[name].copy_(value)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The translator with averaged weights, for as long as the context lasts."""
        own = {name: value.clone() for name, value in self.weights().items()}
        self.translator.load_state_dict(self.average, strict=False)
        try:
            yield
        finally:
            self.translator.load_state_dict(own, strict=False)
