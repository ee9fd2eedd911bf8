"""The translator `cartoon`: one generator from photos to cartoons, CartoonGAN and AnimeGANv2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from i2i.core.bounds import Count
from i2i.core.contracts import Discriminator, Generator, Phase, Stream
from i2i.core.factory import Factory
from i2i.methods.one_sided import OneSided, OneSidedOutputs
from i2i.methods.outputs import Outputs, output
from i2i_cartoongan.losses import grayscale


class CartoonOutputs(OneSidedOutputs):
    """Outputs under the key `b`, the domain of the cartoons; `real` has both domains.

    Discriminators are called on the real cartoons, then the translations, then the other sets, whatever losses ask for
    first, because spectral norm advances with each call.
    """

    @property
    def source(self) -> dict[str, Tensor]:
        """Photos of the translations, [B, 3, H, W]."""
        return {"b": self.real["a"]}

    @property
    def smooth(self) -> dict[str, Tensor]:
        """Cartoons with smoothed edges."""
        return {"b": self.batch.streams["smooth"]}

    @output(reuse="step")
    def grey(self) -> dict[str, Tensor]:
        """Cartoons in grayscale."""
        return {"b": grayscale(self.real["b"])}

    @output(reuse="phase")
    def smooth_logits(self) -> dict[str, Tensor]:
        """Logits of `smooth`."""
        _ = self.fake_logits  # call the discriminator on real images and fakes first
        return self._discriminate(self.smooth)

    @output(reuse="phase")
    def grey_logits(self) -> dict[str, Tensor]:
        """Logits of `grey`."""
        _ = self.fake_logits
        return self._discriminate(self.grey)

    @output(reuse="phase")
    def grey_smooth_logits(self) -> dict[str, Tensor]:
        """Logits of `smooth` in grayscale."""
        _ = self.grey_logits
        return self._discriminate({"b": grayscale(self.smooth["b"])})


class Cartoon(OneSided):
    """A generator from a (photos) to b (cartoons), and discriminators of b.

    The first `initialization` steps train the generator alone, with the losses of the phase `initialization`, which
    preserve the content. Afterwards each step trains discriminators, then the generator. The two phases of the
    generator have separate optimizers, so that adversarial training has its own learning rate and moments.

    Args:
        generator: generator of b from a.
        discriminators: by name; discriminators of b.
        initialization: number of steps before adversarial training.

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
        """Return `initialization` in the first steps, and the other phases afterwards."""
        first, *others = self.phases
        return [first] if step < self.initialization else others

    def preview(self, images: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
        """Return photos, their translations, and cartoons."""
        rows = super().preview(images)
        del rows["identity"]  # images of b are never translated in training
        return rows
