"""Losses with a penalty on the discriminator's gradient; each is called once per domain and discriminator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from i2i.nn.functional import adversarial
from i2i.nn.functional.precision import to_like, upcast, without_autocast

Judge = Callable[[Tensor], dict[str, Tensor]]
"""A discriminator as a function of the image [B, 3, H, W]: logits by head."""


class R1(nn.Module):
    r"""Penalizes the discriminator's gradient at real images.

    .. math:: \frac{\gamma}{2} \sum_{heads} \mathbb{E}\big[\lVert \nabla_x \textstyle\sum D_{head}(x) \rVert^2\big]

    Stands beside an adversarial loss. The judge is called once more, so spectral norms take one more power iteration.

    Args:
        gamma: weight; 10 as in the paper.

    Source: Mescheder et al., ICML 2018, arXiv:1801.04406, equation 9; a head of patches counts as the sum of its
    logits.
    """

    def __init__(self, gamma: float = 10.0) -> None:
        super().__init__()
        self.gamma = gamma

    def discriminator(self, real: Tensor, discriminate: Judge) -> Tensor:
        with without_autocast(real):  # second derivatives overflow and vanish in half precision
            gradients = _gradients(real, discriminate)
            squares = [gradient.square().sum((1, 2, 3)).mean() for gradient in gradients]
            return self.gamma / 2 * torch.stack(squares).sum()


class WGANGP(nn.Module):
    r"""The Wasserstein critic with a penalty on gradients whose norm is not 1.

    .. math:: \sum_{heads} \mathbb{E}[D(\tilde x)] - \mathbb{E}[D(x)]
        + \lambda\, \mathbb{E}\big[(\lVert \nabla_{\hat x} \textstyle\sum D(\hat x) \rVert_2 - 1)^2\big]

    with :math:`\hat x = t x + (1 - t) \tilde x` and t uniform in [0, 1], one per sample. The generator's loss is
    :math:`-\mathbb{E}[D(\tilde x)]`.

    Args:
        penalty: lambda; 10 as in the paper.

    Source: Gulrajani et al., NeurIPS 2017, arXiv:1704.00028, equation 3. A head of patches counts as the sum of its
    logits in the penalty and as their mean in the critic, as in CycleGAN's and U-GAT-IT's code.
    """

    def __init__(self, penalty: float = 10.0) -> None:
        super().__init__()
        self.penalty = penalty

    def discriminator(self, real: Tensor, fake_for_discriminator: Tensor, discriminate: Judge, draw: int) -> Tensor:
        """The critic's loss.

        Args:
            real: [B, 3, H, W].
            shown: [B, 3, H, W], the translations that the critic sees, without gradient.
            draw: seed of the interpolation, so that a step is the same step again.
        """
        with without_autocast(real):
            share = torch.rand(real.shape[0], 1, 1, 1, generator=torch.Generator().manual_seed(draw))
            share = to_like(share, upcast(real))
            real_for_discriminator = zip(
                discriminate(upcast(real)).values(), discriminate(upcast(fake_for_discriminator)).values(), strict=True
            )
            terms = [
                adversarial.critic(of_shown) - adversarial.critic(of_real)
                for of_real, of_shown in real_for_discriminator
            ]
            gradients = _gradients(share * real + (1 - share) * fake_for_discriminator, discriminate)
            excess = [torch.linalg.vector_norm(gradient, dim=(1, 2, 3)) - 1 for gradient in gradients]
            terms += [self.penalty * distance.square().mean() for distance in excess]
            return torch.stack(terms).sum()

    def generator(self, fake_logits: Tensor) -> Tensor:
        return -adversarial.critic(fake_logits)


class DRAGAN(nn.Module):
    r"""Penalizes gradients of the discriminator near real images whose norm is not 1.

    .. math:: \lambda \sum_{heads} \mathbb{E}\big[(\lVert \nabla_{\hat x} \textstyle\sum D(\hat x) \rVert_2 - 1)^2\big],
        \qquad \hat x = x + \nu\, s\, u,\quad u \sim U(-1, 1)

    with one u for each number of the images, and their spread s over the whole batch. Stands beside an adversarial
    loss. The judge is called once more, so spectral norms take one more power iteration.

    Args:
        penalty: lambda; 10 as in the paper.
        noise: nu.
        spread: what s is, the standard deviation of the batch or its variance, which TwinGAN takes.

    Source: Kodali et al., arXiv:1705.07215, section 2.3, where the noise is normal; uniform as in TwinGAN, Li,
    arXiv:1809.00946, whose penalty is 0.25.
    """

    def __init__(
        self, penalty: float = 10.0, noise: float = 0.5, spread: Literal["deviation", "variance"] = "deviation"
    ) -> None:
        super().__init__()
        self.penalty, self.noise, self.spread = penalty, noise, spread

    def discriminator(self, real: Tensor, discriminate: Judge, draw: int) -> Tensor:
        """The penalty.

        Args:
            real: [B, 3, H, W].
            draw: seed of the noise, so that a step is the same step again.
        """
        with without_autocast(real):
            wide = upcast(real)
            variance = wide.var(correction=0)
            spread = variance if self.spread == "variance" else variance.sqrt()
            drawn = to_like(torch.rand(real.shape, generator=torch.Generator().manual_seed(draw)), wide)
            gradients = _gradients(wide + self.noise * spread * (2 * drawn - 1), discriminate)
            excess = [torch.linalg.vector_norm(gradient, dim=(1, 2, 3)) - 1 for gradient in gradients]
            return self.penalty * torch.stack([distance.square().mean() for distance in excess]).sum()


def _gradients(image: Tensor, discriminate: Judge) -> list[Tensor]:
    """Each head's gradient [B, 3, H, W] with regard to the image, which can be derived again."""
    image = upcast(image.detach()).requires_grad_()
    return [torch.autograd.grad(logits.sum(), image, create_graph=True)[0] for logits in discriminate(image).values()]
