"""What exists for a batch of TwinGAN's; images are in [0, 1] and of the size that the networks work at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

import i2i
from i2i.methods.cyclic import other
from i2i.methods.outputs import detached, output
from i2i_twingan.generator import Code

if TYPE_CHECKING:
    from i2i_twingan.translator import Twin


class TwinOutputs(i2i.GANOutputs):
    """Outputs by the domain that a tensor belongs to: `fake["b"]` is a's image painted as b."""

    translator: Twin

    @output(reuse="step")
    def real(self) -> dict[str, Tensor]:
        """The batch's images as the networks see them at this step: in [0, 1], shrunk, and faded in like they are."""
        return {domain: self.translator.seen(self.batch.streams[domain]) for domain in self.translator.domains}

    @output(reuse="step")
    def code(self) -> dict[str, Code]:
        """Each image, encoded with the norms of its own domain."""
        return {domain: self.translator.generator.encode(image, domain) for domain, image in self.real.items()}

    @property
    def latent(self) -> dict[str, Tensor]:
        """The 4x4 features of each image."""
        return {domain: code.latent for domain, code in self.code.items()}

    @output(reuse="step")
    def fake(self) -> dict[str, Tensor]:
        """Translated images ("prime")."""
        return {domain: self.translator.generator.decode(self.code[other(domain)], domain) for domain in self.real}

    @output(reuse="step")
    def fake_latent(self) -> dict[str, Tensor]:
        """The 4x4 features of each image's translation, by the domain of the image."""
        encode = self.translator.generator.encode
        return {domain: encode(self.fake[other(domain)], other(domain)).latent for domain in self.real}

    @output(reuse="step")
    def reconstruction(self) -> dict[str, Tensor]:
        """Images encoded and painted in their own domain ("cycle" in the official code)."""
        return {domain: self.translator.generator.decode(code, domain) for domain, code in self.code.items()}

    @i2i.output(reuse="phase")
    def reconstruction_logits(self) -> dict[str, Tensor] | None:
        """Logits of the reconstructions, from the size on at which they are judged; before, None."""
        if self.translator.level.size < self.translator.judged_from:
            return None
        if not self.trains("discriminators"):
            return self._discriminate(self.reconstruction)
        _ = self.fake_logits  # spectral norm moves with each forward: real, fake, reconstruction
        return self._discriminate(detached(self.reconstruction))
