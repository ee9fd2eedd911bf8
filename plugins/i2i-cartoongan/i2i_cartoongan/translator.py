"""One generator from photos to cartoons that first learns to keep the content, and then to paint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from i2i.core.bounds import Count
from i2i.core.contracts import Discriminator, Generator, Phase, Stream
from i2i.core.factory import Factory
from i2i.methods.one_sided import OneSided
from i2i.methods.outputs import Outputs
from i2i_cartoongan.outputs import CartoonOutputs


class Cartoon(OneSided):
    """A generator from a (photos) to b (cartoons) and b's discriminators.

    In the first `initialization` steps the phase of that name runs alone, in which the generator only learns to keep
    what its photos show; no discriminator is asked or moves. From then on a step is discriminators, then generator.
    The two phases of the generator have an optimizer each, so that the adversarial training begins at its own rate and
    without the first one's moments.

    Args:
        generator: paints b from a.
        discriminators: by name; they judge b's images.
        initialization: steps before the adversarial ones; 0 for none.

    Source: Chen, Lai and Liu, CartoonGAN, CVPR 2018, section 3.3.
    """

    Outputs: ClassVar[type[Outputs]] = CartoonOutputs
    phases: Mapping[str, Phase] = {
        "initialization": Phase(("generator",)),
        "discriminator": Phase(("discriminators",)),
        "generator": Phase(("generator",)),
    }
    required_streams: ClassVar[Mapping[str, str]] = {"a": "image", "b": "image", "smooth": "image"}

    def __init__(
        self,
        generator: Factory[Generator],
        discriminators: dict[str, Factory[Discriminator]],
        initialization: Count = 0,
        streams: Mapping[str, Stream] | None = None,
    ) -> None:
        super().__init__(generator, discriminators, taps=(), width=None, identity=False, streams=streams)
        self.initialization = initialization

    def active_phases(self, step: int) -> list[str]:
        first, *others = self.phases
        return [first] if step < self.initialization else others

    def preview(self, images: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
        """Input, its translation, and cartoons to compare it with."""
        rows = super().preview(images)
        del rows["identity"]  # b is never painted in training
        return rows

    @property
    def targets(self) -> tuple[str, ...]:
        """b alone."""
        return ("b",)
