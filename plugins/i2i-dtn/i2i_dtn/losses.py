"""DTN's adversarial losses, over translations of the source and reproductions of the target, and its smoothness.

Both adversarial losses play in the phases of `dtn`, which trains the two domains in turn, and in those of `dtn_joint`
and `dtn_given`, which train them together.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.errors import ShapeError
from i2i.nn.functional.adversarial import binary_cross_entropy
from i2i.nn.functional.precision import upcast

SOURCE, TARGET, REAL = range(3)
"""Classes of the ternary discriminator: painted from the source, painted from the target, the target itself."""


class _Adversarial(nn.Module):
    """Sums of the terms of both domains, or the terms of one of them."""

    def real(self, logits: Tensor) -> Tensor:
        """The discriminator on real images."""
        raise NotImplementedError

    def generated(self, logits: Tensor, source: int) -> Tensor:
        """The discriminator on painted images."""
        raise NotImplementedError

    def deceives(self, logits: Tensor) -> Tensor:
        """The generator on painted images: they should pass for real."""
        return self.real(logits)

    def source_discriminator(self, fake_logits: Tensor) -> Tensor:
        return self.generated(fake_logits, SOURCE)

    def source_generator(self, fake_logits: Tensor) -> Tensor:
        return self.deceives(fake_logits)

    def target_discriminator(self, real_logits: Tensor, reproduced_logits: Tensor) -> Tensor:
        return self.real(real_logits) + self.generated(reproduced_logits, TARGET)

    def target_generator(self, reproduced_logits: Tensor) -> Tensor:
        return self.deceives(reproduced_logits)

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor, reproduced_logits: Tensor) -> Tensor:
        output = self.real(real_logits) + self.generated(fake_logits, SOURCE)
        return output + self.generated(reproduced_logits, TARGET)

    def generator(self, fake_logits: Tensor, reproduced_logits: Tensor) -> Tensor:
        return self.deceives(fake_logits) + self.deceives(reproduced_logits)


class Binary(_Adversarial):
    r"""Cross entropy of real against painted, whatever it was painted from.

    With s a sample of the source, t of the target, and :math:`G = g \circ f`:
    D :math:`-\mathbb{E}[\log D(t)] - \mathbb{E}[\log(1 - D(G(s)))] - \mathbb{E}[\log(1 - D(G(t)))]`,
    G :math:`-\mathbb{E}[\log D(G(s))] - \mathbb{E}[\log D(G(t))]`.

    Source: facts of yunjey/domain-transfer-network.
    """

    def real(self, logits: Tensor) -> Tensor:
        return binary_cross_entropy(_of(logits, 1, "dtn_binary"), target=True)

    def generated(self, logits: Tensor, source: int) -> Tensor:
        return binary_cross_entropy(_of(logits, 1, "dtn_binary"), target=False)


class Ternary(_Adversarial):
    r"""Cross entropy of three classes: painted from the source (1), painted from the target (2), the target itself (3).

    D :math:`-\mathbb{E}[\log D_1(G(s))] - \mathbb{E}[\log D_2(G(t))] - \mathbb{E}[\log D_3(t)]`,
    G :math:`-\mathbb{E}[\log D_3(G(s))] - \mathbb{E}[\log D_3(G(t))]`.

    Source: Taigman et al., ICLR 2017, arXiv:1611.02200, equations 3 and 5.
    """

    def real(self, logits: Tensor) -> Tensor:
        return _cross_entropy(logits, REAL)

    def generated(self, logits: Tensor, source: int) -> Tensor:
        return _cross_entropy(logits, source)


class TotalVariation(nn.Module):
    r"""Roughness of an image, :math:`\sum_{ij} \big((z_{i,j+1} - z_{ij})^2 + (z_{i+1,j} - z_{ij})^2\big)^{1/2}`.

    A mean over pixels, channels and samples instead of the sum, so that its weight does not depend on the size.

    Source: arXiv:1611.02200, equation 8 with B = 1.
    """

    def forward(self, fake: Tensor) -> Tensor:
        fake = upcast(fake)
        across = (fake[..., :-1, 1:] - fake[..., :-1, :-1]).square()
        down = (fake[..., 1:, :-1] - fake[..., :-1, :-1]).square()
        return (across + down + 1e-12).sqrt().mean()  # the root of 0 has no gradient


def _cross_entropy(logits: Tensor, label: int) -> Tensor:
    logits = upcast(_of(logits, 3, "dtn_ternary"))
    classes = torch.full((len(logits), *logits.shape[2:]), label, device=logits.device)
    return F.cross_entropy(logits, classes)


def _of(logits: Tensor, classes: int, loss: str) -> Tensor:
    if logits.shape[1] != classes:
        raise ShapeError(
            f"{loss}: expected {classes} logits for each judgement, got {logits.shape[1]}; "
            f"set the discriminator's classes = {classes}"
        )
    return logits
