"""Losses with a penalty on the discriminator's gradient, called once per domain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from i2i.core.randomness import seed_of
from i2i.nn.functional import adversarial
from i2i.nn.functional.precision import to_like, upcast, without_autocast

Discriminate = Callable[[Tensor], dict[str, Tensor]]
"""A discriminator as a function of the image [B, 3, H, W], which returns logits by head."""


class Penalized(nn.Module):
    """Base class of losses that draw where the discriminator's gradient is penalized."""

    def uniform(self, shape: Sequence[int], seed: int) -> Tensor:
        """Draw from U(0, 1) on the CPU, so that all devices get the same numbers.

        Args:
            shape: shape of the result.
            seed: of the draw, another one for each step, phase and domain. Tests may replace this method.
        """
        return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


class R1(nn.Module):
    r"""R1: squared norm of the discriminator's gradient at real images, next to an adversarial loss.

    .. math:: \frac{\gamma}{2} \sum_{heads} \mathbb{E}\big[\lVert \nabla_x \textstyle\sum D_{head}(x) \rVert^2\big]

    The discriminator is called once more, so spectral norms make one more power iteration.

    Args:
        gamma: weight of the penalty; 10 in the paper.

    Source: Mescheder et al., ICML 2018, arXiv:1801.04406, equation 9; a head of patches counts as the sum of its
    logits.
    """

    def __init__(self, gamma: float = 10.0) -> None:
        super().__init__()
        self.gamma = gamma

    def discriminator(self, real: Tensor, discriminate: Discriminate) -> Tensor:
        """Compute the penalty.

        Args:
            real: images [B, 3, H, W].
            discriminate: the discriminators of their domain.
        """
        with without_autocast(real):  # second derivatives overflow and vanish in half precision
            gradients = _gradients(real, discriminate)
            squares = [gradient.square().sum((1, 2, 3)).mean() for gradient in gradients]
            return self.gamma / 2 * torch.stack(squares).sum()


class WGANGP(Penalized):
    r"""Wasserstein GAN whose critic's gradients are penalized where their norm is not 1.

    .. math:: \sum_{heads} \mathbb{E}[D(\tilde x)] - \mathbb{E}[D(x)]
        + \lambda\, \mathbb{E}\big[(\lVert \nabla_{\hat x} \textstyle\sum D(\hat x) \rVert_2 - 1)^2\big]

    with :math:`\hat x = t x + (1 - t) \tilde x` and t uniform in [0, 1], one per sample. The generator's loss is
    :math:`-\mathbb{E}[D(\tilde x)]`.

    Args:
        penalty: lambda; 10 in the paper.

    Source: Gulrajani et al., NeurIPS 2017, arXiv:1704.00028, equation 3. A head of patches counts as the sum of its
    logits in the penalty and as their mean in the critic, as in CycleGAN's and U-GAT-IT's code.
    """

    def __init__(self, penalty: float = 10.0) -> None:
        super().__init__()
        self.penalty = penalty

    def discriminator(
        self, real: Tensor, fake_for_discriminator: Tensor, discriminate: Discriminate, draw: int
    ) -> Tensor:
        """Compute the critic's loss.

        Args:
            real: images [B, 3, H, W].
            fake_for_discriminator: translated images [B, 3, H, W] without gradient.
            discriminate: the discriminators of their domain.
            draw: seed of the interpolation, which makes a step reproducible.
        """
        with without_autocast(real):
            share = to_like(self.uniform((real.shape[0], 1, 1, 1), draw), upcast(real))
            # Real before fake: the order in which spectral norms see them.
            real_logits = discriminate(upcast(real)).values()
            fake_logits = discriminate(upcast(fake_for_discriminator)).values()
            terms = [
                adversarial.critic(fake) - adversarial.critic(true)
                for true, fake in zip(real_logits, fake_logits, strict=True)
            ]
            gradients = _gradients(share * real + (1 - share) * fake_for_discriminator, discriminate)
            excess = [torch.linalg.vector_norm(gradient, dim=(1, 2, 3)) - 1 for gradient in gradients]
            terms += [self.penalty * self.excess(distance).square().mean() for distance in excess]
            return torch.stack(terms).sum()

    def excess(self, distance: Tensor) -> Tensor:
        """Return the penalized part of the distance of a gradient's norm from 1."""
        return distance

    def generator(self, fake_logits: Tensor) -> Tensor:
        return -adversarial.critic(fake_logits)


class WGANLP(WGANGP):
    r"""WGAN-GP whose critic's gradients are penalized only where their norm is above 1.

    .. math:: \lambda\, \mathbb{E}\big[\max(0, \lVert \nabla_{\hat x} \textstyle\sum D(\hat x) \rVert_2 - 1)^2\big]

    Args:
        penalty: lambda; 10 in U-GAT-IT's TensorFlow code.

    Source: Petzka et al., ICLR 2018, arXiv:1709.08894, equation 7.
    """

    def excess(self, distance: Tensor) -> Tensor:
        return distance.clamp_min(0)


class DRAGAN(Penalized):
    r"""Penalty on the discriminator's gradients near real images where their norm is not 1, for any adversarial loss.

    .. math:: \lambda \sum_{heads} \mathbb{E}\big[(\lVert \nabla_{\hat x} \textstyle\sum D(\hat x) \rVert_2 - 1)^2\big],
        \qquad \hat x = x + \nu\, s\, u,\quad u \sim U(-1, 1)

    with one u for each value of the images, and the spread s of all values of the batch. The discriminator is called
    once more, so spectral norms make one more power iteration.

    Args:
        penalty: lambda; 10 in the paper.
        noise: nu, scale of the noise.
        spread: what s is: the standard `deviation`, or the `variance`, as in TwinGAN.
        centered: whether u is from U(-1, 1); U(0, 1) otherwise.
        interpolate: whether the noise of each image is scaled by a further number from U(0, 1), which places it
            anywhere between the image and the noisy image.

    Source: Kodali et al., arXiv:1705.07215, section 2.3, where the noise is normal; uniform as in TwinGAN, Li,
    arXiv:1809.00946, whose penalty is 0.25. U-GAT-IT's TensorFlow code is not `centered` and does `interpolate`.
    """

    def __init__(
        self,
        penalty: float = 10.0,
        noise: float = 0.5,
        spread: Literal["deviation", "variance"] = "deviation",
        centered: bool = True,
        interpolate: bool = False,
    ) -> None:
        super().__init__()
        self.penalty, self.noise, self.spread = penalty, noise, spread
        self.centered, self.interpolate = centered, interpolate

    def discriminator(self, real: Tensor, discriminate: Discriminate, draw: int) -> Tensor:
        """Compute the penalty.

        Args:
            real: images [B, 3, H, W].
            discriminate: the discriminators of their domain.
            draw: seed of the noise, which makes a step reproducible.
        """
        with without_autocast(real):
            wide = upcast(real)
            variance = wide.var(correction=0)
            spread = variance if self.spread == "variance" else variance.sqrt()
            drawn = to_like(self.uniform(real.shape, draw), wide)
            offset = self.noise * spread * (2 * drawn - 1 if self.centered else drawn)
            if self.interpolate:
                offset = offset * to_like(self.uniform((len(real), 1, 1, 1), seed_of(draw, "interpolate")), wide)
            gradients = _gradients(wide + offset, discriminate)
            excess = [torch.linalg.vector_norm(gradient, dim=(1, 2, 3)) - 1 for gradient in gradients]
            return self.penalty * torch.stack([distance.square().mean() for distance in excess]).sum()


def _gradients(image: Tensor, discriminate: Discriminate) -> list[Tensor]:
    """Return each head's gradient [B, 3, H, W] with respect to the image, itself differentiable."""
    image = upcast(image.detach()).requires_grad_()
    return [torch.autograd.grad(logits.sum(), image, create_graph=True)[0] for logits in discriminate(image).values()]
