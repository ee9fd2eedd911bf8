"""The losses `edge_gan`, `animegan` and `color`, and grayscale images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import torch
from annotated_types import Ge
from kornia.color import rgb_to_grayscale
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.nn.functional import adversarial
from i2i.nn.functional.precision import upcast

Objective = Literal["bce", "lsgan"]
OBJECTIVES: dict[str, Callable[[Tensor, bool], Tensor]] = {
    "bce": adversarial.binary_cross_entropy,
    "lsgan": adversarial.least_squares,
}


class EdgeGAN(nn.Module):
    r"""Edge-promoting adversarial loss: cartoons are real; translations and cartoons with smoothed edges are fake.

    .. math:: D: -\mathbb{E}[\log s(D(c))] - \mathbb{E}[\log(1 - s(D(e)))] - \mathbb{E}[\log(1 - s(D(G(p))))]

    with the sigmoid s. The generator's loss is :math:`-\mathbb{E}[\log s(D(G(p)))]`, the non-saturating form; the
    paper's :math:`\mathbb{E}[\log(1 - s(D(G(p))))]` has the same fixed point but small gradients at first.

    Args:
        objective: `bce`, cross entropy as in the paper, or `lsgan`, least squares with the same three sets.
        generator_objective: objective of the generator; None is `objective`. mnicnc404/CartoonGan-tensorflow uses `bce`
            with a discriminator of `lsgan`.
        smooth: weight of the cartoons with smoothed edges; 1 as in the paper.

    Source: Chen, Lai and Liu, CartoonGAN, CVPR 2018, equation 3.
    """

    def __init__(
        self,
        objective: Objective = "bce",
        generator_objective: Objective | None = None,
        smooth: Annotated[float, Ge(0)] = 1.0,
    ) -> None:
        super().__init__()
        self.smooth = smooth
        self._discriminator_objective = OBJECTIVES[objective]
        self._generator_objective = OBJECTIVES[generator_objective or objective]

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor, smooth_logits: Tensor) -> Tensor:
        fakes = self._discriminator_objective(fake_logits, False) + self.smooth * self._discriminator_objective(
            smooth_logits, False
        )
        return self._discriminator_objective(real_logits, True) + fakes

    def generator(self, fake_logits: Tensor) -> Tensor:
        return self._generator_objective(fake_logits, True)


class AnimeGAN(nn.Module):
    r"""Least squares with four sets: cartoons, translations, grayscale cartoons, and smoothed grayscale cartoons.

    .. math:: D: \mathbb{E}[(D(a) - 1)^2] + \mathbb{E}[D(G(p))^2] + \mathbb{E}[D(x)^2] + 0.1\,\mathbb{E}[D(y)^2]

    and :math:`\mathbb{E}[(D(G(p)) - 1)^2]` for the generator. Grayscale cartoons x are fake, so that translations have
    colours; smoothed cartoons y are in grayscale, so that they penalize missing edges only.

    Args:
        real: weight of cartoons.
        fake: weight of translations.
        grey: weight of grayscale cartoons.
        smooth: weight of smoothed grayscale cartoons.

    Source: Chen, Liu and Chen, AnimeGAN, ISICA 2019, grayscale adversarial loss.
    """

    def __init__(
        self,
        real: Annotated[float, Ge(0)] = 1.0,
        fake: Annotated[float, Ge(0)] = 1.0,
        grey: Annotated[float, Ge(0)] = 1.0,
        smooth: Annotated[float, Ge(0)] = 0.1,
    ) -> None:
        super().__init__()
        self.real, self.fake, self.grey, self.smooth = real, fake, grey, smooth

    def discriminator(
        self, real_logits: Tensor, fake_logits: Tensor, grey_logits: Tensor, grey_smooth_logits: Tensor
    ) -> Tensor:
        loss = self.real * adversarial.least_squares(real_logits, target=True)
        fakes = ((self.fake, fake_logits), (self.grey, grey_logits), (self.smooth, grey_smooth_logits))
        for weight, logits in fakes:
            loss = loss + weight * adversarial.least_squares(logits, target=False)
        return loss

    def generator(self, fake_logits: Tensor) -> Tensor:
        return adversarial.least_squares(fake_logits, target=True)


YUV = ((0.299, 0.587, 0.114), (-0.14713, -0.28886, 0.436), (0.615, -0.51499, -0.10001))
"""Rows of the matrix from RGB to YUV, ITU-R BT.601."""


def yuv(image: Tensor) -> Tensor:
    """Return YUV [B, 3, H, W] of RGB images [B, 3, H, W] in [-1, 1]; Y is in [0, 1], U and V are around 0."""
    matrix = torch.tensor(YUV, dtype=image.dtype, device=image.device)
    return torch.einsum("yc,bchw->byhw", matrix, (image + 1) / 2)


def grayscale(image: Tensor) -> Tensor:
    """Return the luminance of images [B, 3, H, W] in [-1, 1], in all channels."""
    return rgb_to_grayscale(upcast(image)).to(image.dtype).expand_as(image)


class Color(nn.Module):
    r"""Colour reconstruction loss, :math:`\mathbb{E}|Y - Y'| + \mathbb{E}[H(U - U')] + \mathbb{E}[H(V - V')]`.

    H is the Huber function, d²/2 for |d| below `delta` and delta·(|d| − delta/2) above.

    Args:
        delta: threshold of the Huber function.

    Source: Chen, Liu and Chen, AnimeGAN, ISICA 2019, colour reconstruction loss.
    """

    def __init__(self, delta: float = 1.0) -> None:
        super().__init__()
        self.delta = delta

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Return the loss of images [B, 3, H, W] in [-1, 1]."""
        (y, u, v), (target_y, target_u, target_v) = (yuv(upcast(image)).unbind(1) for image in (prediction, target))
        chrominance = F.huber_loss(u, target_u, delta=self.delta) + F.huber_loss(v, target_v, delta=self.delta)
        return F.l1_loss(y, target_y) + chrominance
