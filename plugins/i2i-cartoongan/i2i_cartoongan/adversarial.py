"""Adversarial losses whose discriminator sees more than real and fake: cartoons without edges, and without colour."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from annotated_types import Ge
from torch import Tensor, nn

from i2i.nn.functional import adversarial

Objective = Literal["bce", "lsgan"]
OBJECTIVES: dict[str, Callable[[Tensor, bool], Tensor]] = {
    "bce": adversarial.binary_cross_entropy,
    "lsgan": adversarial.least_squares,
}


class EdgeGAN(nn.Module):
    r"""The edge-promoting loss: cartoons are real, translations fake, and so are cartoons without clear edges.

    .. math:: D: -\mathbb{E}[\log s(D(c))] - \mathbb{E}[\log(1 - s(D(e)))] - \mathbb{E}[\log(1 - s(D(G(p))))]

    with the sigmoid s. The generator's is :math:`-\mathbb{E}[\log s(D(G(p)))]`, the non-saturating form; the paper
    writes :math:`\mathbb{E}[\log(1 - s(D(G(p))))]`, which has the same fixed point and hardly any gradient at first.

    Args:
        objective: cross entropy as in the paper, or least squares with the same three sets.
        generator_objective: the generator's, where it is another; mnicnc404/CartoonGan-tensorflow keeps `bce` there
            when its discriminator has `lsgan`.
        smooth: weight of the cartoons without edges; 1 as in the paper.

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
        self._discriminated = OBJECTIVES[objective]
        self._generated = OBJECTIVES[generator_objective or objective]

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor, smooth_logits: Tensor) -> Tensor:
        fakes = self._discriminated(fake_logits, False) + self.smooth * self._discriminated(smooth_logits, False)
        return self._discriminated(real_logits, True) + fakes

    def generator(self, fake_logits: Tensor) -> Tensor:
        return self._generated(fake_logits, True)


class AnimeGAN(nn.Module):
    r"""Least squares with four sets: cartoons, translations, grey cartoons, and grey cartoons without clear edges.

    .. math:: D: \mathbb{E}[(D(a) - 1)^2] + \mathbb{E}[D(G(p))^2] + \mathbb{E}[D(x)^2] + 0.1\,\mathbb{E}[D(y)^2]

    and the generator's :math:`\mathbb{E}[(D(G(p)) - 1)^2]`. Grey cartoons are fake, so that translations have colours;
    those without edges are grey too, so that what they teach is edges alone.

    Args:
        real, fake, grey, smooth: weights of the four terms.

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
        real = self.real * adversarial.least_squares(real_logits, target=True)
        weighed = ((self.fake, fake_logits), (self.grey, grey_logits), (self.smooth, grey_smooth_logits))
        for weight, logits in weighed:
            real = real + weight * adversarial.least_squares(logits, target=False)
        return real

    def generator(self, fake_logits: Tensor) -> Tensor:
        return adversarial.least_squares(fake_logits, target=True)
