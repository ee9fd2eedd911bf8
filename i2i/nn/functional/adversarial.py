"""Adversarial objectives of logits, each averaged over all of them."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from i2i.nn.functional.masking import Reduction, reduced
from i2i.nn.functional.precision import upcast


def least_squares(logits: Tensor, target: bool, reduction: Reduction = "mean") -> Tensor:
    r"""Compute the LSGAN objective: :math:`\mathbb{E}[(D - 1)^2]` for real, :math:`\mathbb{E}[D^2]` for fake.

    Args:
        logits: any shape.
        target: whether the logits should classify their images as real.
        reduction: the `mean` of all logits, or `none`: a value for each of them.

    Source: Mao et al., Least Squares GAN, ICCV 2017, arXiv:1611.04076, equation 9.

    Example:
        >>> import torch
        >>> least_squares(torch.tensor([1.0, 3.0]), target=True)
        tensor(2.)
    """
    logits = upcast(logits)
    # One kernel each way instead of four; the constant is expanded and not stored for each logit.
    constant = logits.new_full((), float(target)).expand_as(logits)
    return F.mse_loss(logits, constant, reduction=reduction)


def binary_cross_entropy(logits: Tensor, target: bool, reduction: Reduction = "mean") -> Tensor:
    r"""Cross entropy :math:`\mathbb{E}[\log(1 + e^{-D})]` for real, :math:`\mathbb{E}[\log(1 + e^{D})]` for fake.

    Args:
        logits: any shape.
        target: whether the logits should classify their images as real.
        reduction: the `mean` of all logits, or `none`: a value for each of them.

    Source: Goodfellow et al., Generative Adversarial Nets, 2014, arXiv:1406.2661; for the generator it is the
    non-saturating form of section 3.

    Example:
        >>> import torch
        >>> binary_cross_entropy(torch.zeros(3), target=True)
        tensor(0.6931)
    """
    # `F.softplus` is linear from 20 on, which float64 and small probabilities notice.
    return -reduced(F.logsigmoid(upcast(logits) if target else -upcast(logits)), reduction)


def hinge(logits: Tensor, target: bool, reduction: Reduction = "mean") -> Tensor:
    r"""Compute the hinge loss :math:`\mathbb{E}[\max(0, 1 - D)]` for real, :math:`\mathbb{E}[\max(0, 1 + D)]` for fake.

    Args:
        logits: any shape.
        target: whether the logits should classify their images as real.
        reduction: the `mean` of all logits, or `none`: a value for each of them.

    Source: Lim and Ye, Geometric GAN, arXiv:1705.02894; Miyato et al., arXiv:1802.05957, equation 16.

    Example:
        >>> import torch
        >>> hinge(torch.tensor([2.0, 0.0]), target=True)
        tensor(0.5000)
    """
    return reduced(F.relu(1 - upcast(logits) if target else 1 + upcast(logits)), reduction)


def critic(logits: Tensor) -> Tensor:
    r"""Compute the mean of a Wasserstein critic: :math:`\mathbb{E}[D]`.

    Args:
        logits: any shape.

    Source: Arjovsky et al., Wasserstein GAN, ICML 2017, arXiv:1701.07875.

    Example:
        >>> import torch
        >>> critic(torch.tensor([1.0, 3.0]))
        tensor(2.)
    """
    return upcast(logits).mean()
