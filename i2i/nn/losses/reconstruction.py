"""Distances between images, or between any tensors of equal shape, and of a latent from its prior."""

from __future__ import annotations

from torch import Tensor, nn

from i2i.core.bounds import Positive
from i2i.errors import OptionError
from i2i.nn.functional.masking import Reduction, reduced
from i2i.nn.functional.precision import upcast


class L1(nn.Module):
    r"""Mean absolute difference, :math:`\mathbb{E}[|x - y|]`.

    Args:
        reduction: the `mean` of all values, or `none`: a value for each of them, which a mask can weight.

    Example:
        >>> import torch
        >>> L1()(torch.tensor([1.0, 3.0]), torch.zeros(2))
        tensor(2.)
    """

    def __init__(self, reduction: Reduction = "mean") -> None:
        super().__init__()
        self.reduction: Reduction = reduction

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        return reduced((upcast(prediction) - target).abs(), self.reduction)


class L2(nn.Module):
    r"""Mean squared difference, :math:`\mathbb{E}[(x - y)^2]`.

    Args:
        reduction: the `mean` of all values, or `none`: a value for each of them, which a mask can weight.

    Example:
        >>> import torch
        >>> L2()(torch.tensor([1.0, 3.0]), torch.zeros(2))
        tensor(5.)
    """

    def __init__(self, reduction: Reduction = "mean") -> None:
        super().__init__()
        self.reduction: Reduction = reduction

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        return reduced((upcast(prediction) - target).square(), self.reduction)


class SSIM(nn.Module):
    r"""Structural dissimilarity of images in [-1, 1], :math:`(1 - \mathrm{SSIM}) / 2`; 0 for equal images.

    The mean is over the Gaussian windows (sigma 1.5 px) that lie wholly inside the images, computed by kornia.

    Args:
        window: side of the windows in pixels, odd; images [B, C, H, W] must be at least as large.

    Source: Wang et al., IEEE TIP 13(4), 2004, equation 13; as a loss Zhao et al., IEEE TCI 2017, arXiv:1511.08861.
    """

    def __init__(self, window: Positive = 11) -> None:
        super().__init__()
        self.check(window)
        self.window = window

    @classmethod
    def check(cls, window: int) -> None:
        """Refuse an even window, which has no centre."""
        if window % 2 == 0:
            raise OptionError("window", f"expected an odd number, got {window}")

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        from kornia.metrics import ssim  # kornia takes seconds to import, and few recipes use this loss

        images = [(upcast(image) + 1) / 2 for image in (prediction, target)]
        return (1 - ssim(images[0], images[1], self.window, padding="valid").mean()) / 2


class KL(nn.Module):
    r"""Divergence of :math:`N(h, I)` from the prior :math:`N(0, I)`, up to a factor: :math:`\mathbb{E}[h^2]`.

    The divergence itself is half the sum of squares; UNIT's code takes the mean.

    Source: Liu et al., UNIT, NIPS 2017, arXiv:1703.00848, section 3, L_VAE and L_CC; mingyuliutw/UNIT 28d5982.

    Example:
        >>> import torch
        >>> KL()(torch.tensor([1.0, 3.0]))
        tensor(5.)
    """

    def forward(self, latent: Tensor) -> Tensor:
        return upcast(latent).square().mean()
