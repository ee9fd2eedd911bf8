"""Adversarial losses, called once per domain, discriminator and head of logits, and the attention's classification."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from i2i.nn.functional import adversarial
from i2i.nn.functional.masking import Reduction, reduced
from i2i.nn.functional.precision import upcast


class LSGAN(nn.Module):
    r"""Least-squares GAN.

    D :math:`\mathbb{E}[(D(x) - 1)^2] + \mathbb{E}[D(G(z))^2]`, G :math:`\mathbb{E}[(D(G(z)) - 1)^2]`.
    U-GAT-IT weights both by 1; CycleGAN's discriminator has half of it, which is a recipe's weight.

    Args:
        reduction: the `mean` of the logits' values, or `none`: a value for each logit, which a mask can weight.

    Source: Mao et al., ICCV 2017, arXiv:1611.04076, equation 9.
    """

    def __init__(self, reduction: Reduction = "mean") -> None:
        super().__init__()
        self.reduction: Reduction = reduction

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        real = adversarial.least_squares(real_logits, target=True, reduction=self.reduction)
        return real + adversarial.least_squares(fake_logits, target=False, reduction=self.reduction)

    def generator(self, fake_logits: Tensor) -> Tensor:
        return adversarial.least_squares(fake_logits, target=True, reduction=self.reduction)


class BCEGAN(nn.Module):
    r"""Cross-entropy GAN, with the non-saturating loss for the generator.

    D :math:`-\mathbb{E}[\log s(D(x))] - \mathbb{E}[\log(1 - s(D(G(z))))]`, G :math:`-\mathbb{E}[\log s(D(G(z)))]`, with
    the sigmoid s.

    Args:
        reduction: the `mean` of the logits' values, or `none`: a value for each logit, which a mask can weight.

    Source: Goodfellow et al., 2014, arXiv:1406.2661, section 3.
    """

    def __init__(self, reduction: Reduction = "mean") -> None:
        super().__init__()
        self.reduction: Reduction = reduction

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        real = adversarial.binary_cross_entropy(real_logits, target=True, reduction=self.reduction)
        return real + adversarial.binary_cross_entropy(fake_logits, target=False, reduction=self.reduction)

    def generator(self, fake_logits: Tensor) -> Tensor:
        return adversarial.binary_cross_entropy(fake_logits, target=True, reduction=self.reduction)


class Hinge(nn.Module):
    r"""Hinge GAN.

    D :math:`\mathbb{E}[\max(0, 1 - D(x))] + \mathbb{E}[\max(0, 1 + D(G(z)))]`, G :math:`-\mathbb{E}[D(G(z))]`.

    Args:
        fooling: the generator's loss: `mean`, as above, or `margin`, :math:`\mathbb{E}[\max(0, 1 - D(G(z)))]`, which
            has no gradient where the discriminator is fooled already, as in DCLGAN's code.
        reduction: the `mean` of the logits' values, or `none`: a value for each logit, which a mask can weight.

    Source: Lim and Ye, arXiv:1705.02894; Miyato et al., ICLR 2018, arXiv:1802.05957, equations 16 and 17.
    """

    def __init__(self, fooling: Literal["mean", "margin"] = "mean", reduction: Reduction = "mean") -> None:
        super().__init__()
        self.fooling = fooling
        self.reduction: Reduction = reduction

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return adversarial.hinge(real_logits, target=True, reduction=self.reduction) + adversarial.hinge(
            fake_logits, target=False, reduction=self.reduction
        )

    def generator(self, fake_logits: Tensor) -> Tensor:
        if self.fooling == "margin":
            return adversarial.hinge(fake_logits, target=True, reduction=self.reduction)
        return -reduced(upcast(fake_logits), self.reduction)


class CAMLoss(nn.Module):
    r"""Domain classification by a generator's attention: images of the other domain against those of its own.

    .. math:: -\mathbb{E}[\log s(\eta(x_{source}))] - \mathbb{E}[\log(1 - s(\eta(x_{target})))]

    with the sigmoid s and the attention's logits eta, which are trained towards 1 when the generator translates and
    towards 0 when it reproduces its own domain (identity).

    Source: Kim et al., U-GAT-IT, ICLR 2020, arXiv:1907.10830, equation 5.
    """

    def generator(self, fake_cam: Tensor, identity_cam: Tensor) -> Tensor:
        """Compute the classification loss.

        Args:
            fake_cam: logits [B, n] of the generator to a domain, for images of the other domain.
            identity_cam: logits [B, n] of the same generator, for images of its own domain.
        """
        translated = adversarial.binary_cross_entropy(fake_cam, target=True)
        return translated + adversarial.binary_cross_entropy(identity_cam, target=False)
