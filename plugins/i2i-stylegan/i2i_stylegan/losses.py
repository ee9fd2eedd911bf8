"""Losses of StyleGAN2's lazy phases."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Gt
from torch import Tensor, nn

from i2i.nn.functional.precision import upcast, without_autocast
from i2i.nn.losses.penalized import Discriminate


class LazyR1(nn.Module):
    r"""R1 in the phase `discriminator_regularization`, times the number of steps between two such phases.

    .. math:: k \frac{\gamma}{2} \sum_{heads} \mathbb{E}\big[\lVert \nabla_x \textstyle\sum D_{head}(x) \rVert^2\big]

    Args:
        gamma: weight of the penalty.

    Source: Mescheder et al., ICML 2018, arXiv:1801.04406; lazy: Karras et al., CVPR 2020, arXiv:1912.04958, section
    3.1.
    """

    def __init__(self, gamma: float = 10.0) -> None:
        super().__init__()
        self.gamma = gamma

    def discriminator_regularization(self, real: Tensor, discriminate: Discriminate, interval: int) -> Tensor:
        """Compute the penalty.

        Args:
            real: images [B, C, H, W].
            discriminate: the discriminators of their domain.
            interval: number of steps between two phases.
        """
        with without_autocast(real):  # second derivatives overflow and vanish in half precision
            image = upcast(real.detach()).requires_grad_()
            terms = []
            for logits in discriminate(image).values():
                (gradient,) = torch.autograd.grad(logits.sum(), image, create_graph=True)
                # Parameters that only shift the logits get a gradient of 0, not none: their optimizer state decays.
                terms.append(gradient.square().sum((1, 2, 3)).mean() + 0 * logits.mean())
            return interval * self.gamma / 2 * torch.stack(terms).sum()


class PathLength(nn.Module):
    r"""Path length regularization: a step in the space of styles should change images by a constant amount.

    .. math:: k \lambda\, \mathbb{E}\big[(\lVert J_w^T y \rVert_2 - a)^2\big]

    with noise y, the number k of steps between two phases, and the moving average a of the lengths, which is updated
    before the penalty; the gradient flows through the update.

    Args:
        penalty: lambda.
        decay: share of the new lengths in the moving average.

    Source: Karras et al., StyleGAN2, CVPR 2020, arXiv:1912.04958, section 3.2; NVlabs/stylegan2-ada-pytorch d72cc7d.
    """

    mean: Tensor

    def __init__(self, penalty: float = 2.0, decay: Annotated[float, Gt(0)] = 0.01) -> None:
        super().__init__()
        self.penalty, self.decay = penalty, decay
        self.register_buffer("mean", torch.zeros([]))

    def generator_regularization(self, path_lengths: Tensor, interval: int) -> Tensor:
        """Compute the penalty.

        Args:
            path_lengths: [n].
            interval: number of steps between two phases.
        """
        mean = self.mean.to(path_lengths.dtype).lerp(path_lengths.mean(), self.decay)
        self.mean.copy_(mean.detach())
        return interval * self.penalty * (path_lengths - mean).square().mean()
