"""Adversarial losses; each is called once per domain, discriminator and head of logits."""

from __future__ import annotations

from torch import Tensor, nn

from i2i.nn.functional import adversarial


class LSGAN(nn.Module):
    r"""Least squares.

    D :math:`\mathbb{E}[(D(x) - 1)^2] + \mathbb{E}[D(G(z))^2]`, G :math:`\mathbb{E}[(D(G(z)) - 1)^2]`.
    U-GAT-IT weighs both by 1; CycleGAN's discriminator has half of it, which is a recipe's weight.

    Source: Mao et al., ICCV 2017, arXiv:1611.04076, equation 9.
    """

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        real = adversarial.least_squares(real_logits, target=True)
        return real + adversarial.least_squares(fake_logits, target=False)

    def generator(self, fake_logits: Tensor) -> Tensor:
        return adversarial.least_squares(fake_logits, target=True)


class BCEGAN(nn.Module):
    r"""Cross entropy, the generator's in its non-saturating form.

    D :math:`-\mathbb{E}[\log s(D(x))] - \mathbb{E}[\log(1 - s(D(G(z))))]`, G :math:`-\mathbb{E}[\log s(D(G(z)))]`, with
    the sigmoid s.

    Source: Goodfellow et al., 2014, arXiv:1406.2661, section 3.
    """

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        real = adversarial.binary_cross_entropy(real_logits, target=True)
        return real + adversarial.binary_cross_entropy(fake_logits, target=False)

    def generator(self, fake_logits: Tensor) -> Tensor:
        return adversarial.binary_cross_entropy(fake_logits, target=True)


class Hinge(nn.Module):
    r"""Hinge.

    D :math:`\mathbb{E}[\max(0, 1 - D(x))] + \mathbb{E}[\max(0, 1 + D(G(z)))]`, G :math:`-\mathbb{E}[D(G(z))]`.

    Source: Lim and Ye, arXiv:1705.02894; Miyato et al., ICLR 2018, arXiv:1802.05957, equations 16 and 17.
    """

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return adversarial.hinge(real_logits, target=True) + adversarial.hinge(fake_logits, target=False)

    def generator(self, fake_logits: Tensor) -> Tensor:
        return -adversarial.critic(fake_logits)
