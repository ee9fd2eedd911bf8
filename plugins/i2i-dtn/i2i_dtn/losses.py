"""The losses `dtn_binary` and `dtn_ternary`, adversarial losses on both domains, and `dtn_tv`, total variation.

The adversarial losses have methods for the phases of `dtn`, which alternates between the domains, and for those of
`dtn_joint` and `dtn_given`, which train them together.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.errors import ShapeError
from i2i.nn.functional.adversarial import binary_cross_entropy
from i2i.nn.functional.precision import upcast

SOURCE, TARGET, REAL = range(3)
"""Classes of the ternary discriminator: generated from the source, generated from the target, real."""


class _Adversarial(nn.Module):
    """Base of both losses: the terms of one domain, or the sums over both domains."""

    def real(self, logits: Tensor) -> Tensor:
        """Return the discriminator's term of real images."""
        raise NotImplementedError

    def generated(self, logits: Tensor, source: int) -> Tensor:
        """Return the discriminator's term of images generated from `SOURCE` or `TARGET`."""
        raise NotImplementedError

    def generated_as_real(self, logits: Tensor) -> Tensor:
        """Return the generator's term: generated images with the target of real ones."""
        return self.real(logits)

    def source_discriminator(self, fake_logits: Tensor) -> Tensor:
        return self.generated(fake_logits, SOURCE)

    def source_generator(self, fake_logits: Tensor) -> Tensor:
        return self.generated_as_real(fake_logits)

    def target_discriminator(self, real_logits: Tensor, reproduced_logits: Tensor) -> Tensor:
        return self.real(real_logits) + self.generated(reproduced_logits, TARGET)

    def target_generator(self, reproduced_logits: Tensor) -> Tensor:
        return self.generated_as_real(reproduced_logits)

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor, reproduced_logits: Tensor) -> Tensor:
        loss = self.real(real_logits) + self.generated(fake_logits, SOURCE)
        return loss + self.generated(reproduced_logits, TARGET)

    def generator(self, fake_logits: Tensor, reproduced_logits: Tensor) -> Tensor:
        return self.generated_as_real(fake_logits) + self.generated_as_real(reproduced_logits)


class Binary(_Adversarial):
    r"""Binary cross entropy of real against generated images of both domains.

    With s a sample of the source, t of the target, and :math:`G = g \circ f`:
    D :math:`-\mathbb{E}[\log D(t)] - \mathbb{E}[\log(1 - D(G(s)))] - \mathbb{E}[\log(1 - D(G(t)))]`,
    G :math:`-\mathbb{E}[\log D(G(s))] - \mathbb{E}[\log D(G(t))]`.

    Source: settings of yunjey/domain-transfer-network.
    """

    def real(self, logits: Tensor) -> Tensor:
        return binary_cross_entropy(_check_classes(logits, 1, "dtn_binary"), target=True)

    def generated(self, logits: Tensor, source: int) -> Tensor:
        return binary_cross_entropy(_check_classes(logits, 1, "dtn_binary"), target=False)


class Ternary(_Adversarial):
    r"""Cross entropy of three classes: generated from the source (1), generated from the target (2), real (3).

    D :math:`-\mathbb{E}[\log D_1(G(s))] - \mathbb{E}[\log D_2(G(t))] - \mathbb{E}[\log D_3(t)]`,
    G :math:`-\mathbb{E}[\log D_3(G(s))] - \mathbb{E}[\log D_3(G(t))]`.

    Source: Taigman et al., ICLR 2017, arXiv:1611.02200, equations 3 and 5.
    """

    def real(self, logits: Tensor) -> Tensor:
        return _cross_entropy(logits, REAL)

    def generated(self, logits: Tensor, source: int) -> Tensor:
        return _cross_entropy(logits, source)


class TotalVariation(nn.Module):
    r"""Total variation, :math:`\sum_{ij} \big((z_{i,j+1} - z_{ij})^2 + (z_{i+1,j} - z_{ij})^2\big)^{1/2}`.

    It is a mean over pixels, channels and samples instead of the sum, so that its weight does not depend on the size.

    Source: arXiv:1611.02200, equation 8 with B = 1.
    """

    def forward(self, fake: Tensor) -> Tensor:
        """Return the loss of images [B, C, H, W]."""
        fake = upcast(fake)
        horizontal = (fake[..., :-1, 1:] - fake[..., :-1, :-1]).square()
        vertical = (fake[..., 1:, :-1] - fake[..., :-1, :-1]).square()
        return (horizontal + vertical + 1e-12).sqrt().mean()  # the gradient of the root is infinite at 0


def _cross_entropy(logits: Tensor, label: int) -> Tensor:
    logits = upcast(_check_classes(logits, 3, "dtn_ternary"))
    classes = torch.full((len(logits), *logits.shape[2:]), label, device=logits.device)
    return F.cross_entropy(logits, classes)


def _check_classes(logits: Tensor, classes: int, loss: str) -> Tensor:
    if logits.shape[1] != classes:
        raise ShapeError(
            f"{loss}: expected {classes} logits for each image, got {logits.shape[1]}; "
            f"set the discriminator's classes = {classes}"
        )
    return logits
