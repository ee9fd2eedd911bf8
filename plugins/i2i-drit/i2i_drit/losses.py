"""DRIT's losses: `content_adversary`, `kl_gaussian` and `mode_seeking`."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Gt
from torch import Tensor, nn

from i2i.nn.functional.adversarial import binary_cross_entropy
from i2i.nn.functional.precision import upcast


class ContentAdversary(nn.Module):
    r"""Adversarial loss on contents: the discriminator classifies their domain, the encoders make it uncertain.

    Discriminator :math:`-\mathbb{E}[\log(1 - s(D(c_a)))] - \mathbb{E}[\log s(D(c_b))]`, encoders
    :math:`-\sum_{d \in \{a, b\}} \mathbb{E}[\tfrac12 \log s(D(c_d)) + \tfrac12 \log(1 - s(D(c_d)))]`, with the
    sigmoid s: cross entropy with the target 1/2, whose minimum is log 2 for each domain.

    Source: Lee et al., DRIT, ECCV 2018, arXiv:1808.00948, L_adv of the content.
    """

    def content(self, content_logits_a: Tensor, content_logits_b: Tensor) -> Tensor:
        """Return the loss of the content discriminator, from logits of one shape."""
        loss_a = binary_cross_entropy(content_logits_a, target=False)
        return loss_a + binary_cross_entropy(content_logits_b, target=True)

    def generator(self, content_logits_a: Tensor, content_logits_b: Tensor) -> Tensor:
        """Return the loss of the content encoder."""
        both = (content_logits_a, content_logits_b)
        terms = [binary_cross_entropy(logits, target) / 2 for logits in both for target in (True, False)]
        return torch.stack(terms).sum()


class GaussianKL(nn.Module):
    r"""Kullback-Leibler divergence of :math:`N(\mu, \sigma^2)` from :math:`N(0, I)`, summed over an attribute.

    .. math:: \tfrac12 \mathbb{E}_{batch} \textstyle\sum_i (\mu_i^2 + \sigma_i^2 - \log \sigma_i^2 - 1)

    Source: Lee et al., DRIT, ECCV 2018, arXiv:1808.00948, L_KL.

    Example:
        >>> GaussianKL()(torch.tensor([[1.0, 3.0]]), torch.zeros(1, 2))
        tensor(5.)
    """

    def forward(self, attribute_mean: Tensor, attribute_log_variance: Tensor) -> Tensor:
        """Return the mean over the batch.

        Args:
            attribute_mean: mu, [B, A].
            attribute_log_variance: log of sigma squared, [B, A].
        """
        mean, log_variance = upcast(attribute_mean), upcast(attribute_log_variance)
        return (mean.square() + log_variance.exp() - log_variance - 1).sum(1).mean() / 2


class ModeSeeking(nn.Module):
    r"""Mode seeking: the inverse of the distance of two images relative to the distance of their attributes.

    .. math:: 1 / \left(\frac{\mathbb{E}|I_1 - I_2|}{\mathbb{E}|z_1 - z_2|} + \epsilon\right)

    Args:
        eps: keeps the loss finite for equal images.

    Source: Lee et al., DRIT++, IJCV 2020, arXiv:1905.01270, after Mao et al., CVPR 2019, arXiv:1903.05628.

    Example:
        >>> ModeSeeking(eps=0.5)(torch.zeros(2), torch.ones(2), torch.zeros(3), torch.full((3,), 2.0))
        tensor(1.)
    """

    def __init__(self, eps: Annotated[float, Gt(0)] = 1e-5) -> None:
        super().__init__()
        self.eps = eps

    def forward(
        self, random_fake: Tensor, second_fake: Tensor, random_attribute: Tensor, second_attribute: Tensor
    ) -> Tensor:
        """Return the loss of a batch; the means are taken over the whole batch.

        Args:
            random_fake: contents with the first attributes, [B, 3, H, W].
            second_fake: the same contents with the second attributes, [B, 3, H, W].
            random_attribute: the first attributes, [B, A].
            second_attribute: the second attributes, [B, A].
        """
        image_distance = (upcast(random_fake) - second_fake).abs().mean()
        attribute_distance = (upcast(random_attribute) - second_attribute).abs().mean()
        return 1 / (image_distance / attribute_distance + self.eps)
