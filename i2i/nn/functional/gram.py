"""Gram matrices of features."""

from __future__ import annotations

from torch import Tensor

from i2i.nn.functional.precision import upcast


def gram(features: Tensor) -> Tensor:
    r"""Compute the Gram matrices of features, :math:`G = F F^\top / (C H W)`.

    Args:
        features: [B, C, H, W]; half precision is computed in float32.

    Returns:
        [B, C, C], the correlations of channels wherever they occur: the same for every order of the pixels.

    Source: Gatys et al., CVPR 2016, equation 3; divided by C·H·W as in Johnson et al., ECCV 2016, arXiv:1603.08155,
    section 3.2.

    Example:
        >>> gram(torch.tensor([[[[1.0, 2.0]], [[0.0, 1.0]]]])) * 4
        tensor([[[5., 2.],
                 [2., 1.]]])
    """
    flat = upcast(features).flatten(2)
    return flat @ flat.transpose(1, 2) / (flat.shape[1] * flat.shape[2])
