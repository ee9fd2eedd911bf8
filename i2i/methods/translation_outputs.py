"""Outputs of translators whose generator paints a domain from another one, and could repaint its own."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from i2i.core.contracts import GeneratorOutput
from i2i.methods.outputs import GANOutputs


class TranslationOutputs(GANOutputs):
    """What follows from a translation and a reproduction, which each translator makes in its own way."""

    @property
    def translation(self) -> Mapping[str, GeneratorOutput]:
        """The generator on the other domain's images, by the domain that it paints."""
        raise NotImplementedError

    @property
    def reproduction(self) -> Mapping[str, GeneratorOutput]:
        """The generator on images of the domain that it paints, which it should leave as they are."""
        raise NotImplementedError

    @property
    def fake(self) -> dict[str, Tensor]:
        """Translated images."""
        return {domain: made.image for domain, made in self.translation.items()}

    @property
    def identity(self) -> dict[str, Tensor]:
        """Images after the generator of their own domain."""
        return {domain: made.image for domain, made in self.reproduction.items()}

    @property
    def fake_cam(self) -> dict[str, Tensor]:
        """The generator's classifier on images of the other domain; nothing where it has no attention."""
        return {domain: made.cam for domain, made in self.translation.items() if made.cam is not None}

    @property
    def identity_cam(self) -> dict[str, Tensor]:
        """The generator's classifier on images of its own domain; nothing where it has no attention."""
        return {domain: made.cam for domain, made in self.reproduction.items() if made.cam is not None}
