"""Losses of StyleGAN2's lazy phases, of PGGAN, and of auxiliary classifiers."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Gt
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.nn.functional.precision import to_like, upcast, without_autocast
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


class Wasserstein(nn.Module):
    r"""Wasserstein loss with a drift term that keeps the logits of real images near 0.

    D :math:`\mathbb{E}[D(G(z))] - \mathbb{E}[D(x)] + \epsilon\, \mathbb{E}[D(x)^2]`, G :math:`-\mathbb{E}[D(G(z))]`.
    It needs a penalty on the discriminator's gradients next to it, such as `gradient_penalty`.

    Args:
        drift: epsilon; 0.001 in PGGAN.

    Source: Karras et al., PGGAN, ICLR 2018, arXiv:1710.10196, appendix A.
    """

    def __init__(self, drift: float = 0.001) -> None:
        super().__init__()
        self.drift = drift

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return fake_logits.mean() - real_logits.mean() + self.drift * real_logits.square().mean()

    def generator(self, fake_logits: Tensor) -> Tensor:
        return -fake_logits.mean()


class GradientPenalty(nn.Module):
    r"""Penalty on the discriminator's gradients between real and generated images where their norm is not 1.

    .. math:: \lambda\, \mathbb{E}\big[(\lVert \nabla_{\hat x} D(\hat x) \rVert_2 - 1)^2\big],
        \qquad \hat x = x + u (G(z) - x)

    Args:
        penalty: lambda.

    Source: Gulrajani et al., NeurIPS 2017, arXiv:1704.00028, equation 3.
    """

    def __init__(self, penalty: float = 10.0) -> None:
        super().__init__()
        self.penalty = penalty

    def discriminator(
        self, real: Tensor, fake_for_discriminator: Tensor, discriminate: Discriminate, draw: int
    ) -> Tensor:
        """Compute the penalty at points between images, drawn from the seed `draw`."""
        share = torch.rand(len(real), 1, 1, 1, generator=torch.Generator().manual_seed(draw), device="cpu")
        return self.at(real + to_like(share, real) * (fake_for_discriminator - real), discriminate)

    def at(self, image: Tensor, discriminate: Discriminate) -> Tensor:
        """Compute the penalty at images [B, C, H, W]."""
        with without_autocast(image):
            image = upcast(image.detach()).requires_grad_()
            terms = []
            for logits in discriminate(image).values():
                (gradient,) = torch.autograd.grad(logits.sum(), image, create_graph=True)
                terms.append((torch.linalg.vector_norm(gradient, dim=(1, 2, 3)) - 1).square().mean())
            return self.penalty * torch.stack(terms).sum()


class DRAGANSegment(GradientPenalty):
    r"""Penalty on the discriminator's gradients between real images and perturbed ones where their norm is not 1.

    .. math:: \hat x = x + \alpha\, \nu\, s\, u

    with u uniform in [0, 1) for each value, the standard deviation s of all values of the batch, and alpha uniform in
    [0, 1) for each image. The core's `dragan` perturbs in both directions and has no alpha.

    Args:
        penalty: lambda; 10 in the paper.
        noise: nu, scale of the perturbation.

    Source: Kodali et al., arXiv:1705.07215, algorithm 1, as in widely used implementations.
    """

    def __init__(self, penalty: float = 10.0, noise: float = 0.5) -> None:
        super().__init__(penalty)
        self.noise = noise

    def discriminator(self, real: Tensor, discriminate: Discriminate, draw: int) -> Tensor:  # type: ignore[override]
        """Compute the penalty at points drawn from the seed `draw`."""
        draws = torch.Generator().manual_seed(draw)
        alpha = torch.rand(len(real), 1, 1, 1, generator=draws, device="cpu")
        uniform = torch.rand(real.shape, generator=draws, device="cpu")
        return self.at(self.point(real, to_like(alpha, real), to_like(uniform, real)), discriminate)

    def point(self, real: Tensor, alpha: Tensor, uniform: Tensor) -> Tensor:
        """Return the perturbed images [B, C, H, W]."""
        return real + alpha * self.noise * real.std() * uniform


class AuxiliaryClassifier(nn.Module):
    r"""Classification of real and generated images by the discriminator's head `classes`.

    Both players minimize the cross-entropy of the classes that images were generated for; the discriminator also that
    of real images.

    Source: Odena et al., ICML 2017, arXiv:1610.09585, equation 3.
    """

    def discriminator(
        self, real_class_logits: Tensor, fake_class_logits: Tensor, real_labels: Tensor, fake_labels: Tensor
    ) -> Tensor:
        """Compute the cross-entropy of real and generated images.

        Args:
            real_class_logits: [B, num_classes].
            fake_class_logits: [B, num_classes].
            real_labels: [B].
            fake_labels: [B].
        """
        return F.cross_entropy(real_class_logits, real_labels) + F.cross_entropy(fake_class_logits, fake_labels)

    def generator(self, fake_class_logits: Tensor, fake_labels: Tensor) -> Tensor:
        return F.cross_entropy(fake_class_logits, fake_labels)
