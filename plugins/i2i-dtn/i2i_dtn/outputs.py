"""What exists for a batch of a domain transfer: codes, translations and reproductions, and how they are judged."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from torch import Tensor

import i2i
from i2i.methods.outputs import detached, output

if TYPE_CHECKING:
    from i2i_dtn.translators import DomainTransfer


class TransferOutputs(i2i.GANOutputs):
    """Everything that is painted imitates domain b, so its key is `b`; `real` has both domains."""

    translator: DomainTransfer

    @property
    def real(self) -> dict[str, Tensor]:
        return {domain: self.batch.streams[domain] for domain in self.translator.domains}

    @output(reuse="step")
    def source_code(self) -> dict[str, Tensor]:
        """f of a's images, [B, C, 1, 1], which their translations should have too."""
        return {"b": self.translator.code(self.real["a"]).detach()}

    @output(reuse="step")
    def target_code(self) -> dict[str, Tensor]:
        """f of b's images, [B, C, 1, 1]."""
        return {"b": self.translator.code(self.real["b"]).detach()}

    @output(reuse="step")
    def fake(self) -> dict[str, Tensor]:
        """Translations: G of a's images."""
        return {"b": self.translator.generate(self.source_code["b"])}

    @output(reuse="step")
    def reproduced(self) -> dict[str, Tensor]:
        """G of b's images, which should leave them as they are."""
        return {"b": self.translator.generate(self.target_code["b"])}

    @property
    def fake_code(self) -> dict[str, Tensor]:
        """f of the translations, with their graph: f is not trained by it, g is."""
        return {"b": self.translator.code(self.fake["b"])}

    @property
    def discriminate(self) -> dict[str, Callable[[Tensor], dict[str, Tensor]]]:
        """The discriminators as functions, for losses that look at their gradients."""
        return {"b": lambda image: self._discriminate({"b": image})}

    @i2i.output(reuse="phase")
    def real_logits(self) -> dict[str, Tensor]:
        """Logits of b's images, by `b/discriminator/head`."""
        return self._discriminate({"b": self.real["b"]})

    @i2i.output(reuse="phase")
    def fake_logits(self) -> dict[str, Tensor]:
        """Logits of the translations; their graph is left away where discriminators train."""
        return self._discriminate(detached(self.fake) if self.trains("discriminators") else self.fake)

    @i2i.output(reuse="phase")
    def reproduced_logits(self) -> dict[str, Tensor]:
        """Logits of the reproductions; their graph is left away where discriminators train."""
        return self._discriminate(detached(self.reproduced) if self.trains("discriminators") else self.reproduced)


class LabelledOutputs(TransferOutputs):
    """The same, with labels of the source domain from which f is learnt."""

    @property
    def labels(self) -> dict[str, Tensor]:
        """The labels of a's images, [B]."""
        return {"a": self.batch.streams["labels"]}

    @i2i.output(reuse="phase")
    def label_logits(self) -> dict[str, Tensor]:
        """What f's classifier says about a's images, [B, classes]."""
        return {"a": self.translator.label_logits(self.real["a"])}
