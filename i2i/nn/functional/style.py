"""What an image's features say of its style: Gram matrices, and means and deviations."""

from __future__ import annotations

from torch import Tensor

from i2i.errors import ShapeError
from i2i.nn.functional.normalization import instance_norm
from i2i.nn.functional.precision import upcast


def gram(features: Tensor) -> Tensor:
    r"""How strongly each two channels appear together, wherever they do: :math:`G = F F^\top / (C H W)`.

    Args:
        features: [B, C, H, W]; half precision is computed in float32.

    Returns:
        [B, C, C], the same for every order of the pixels.

    Source: Gatys et al., CVPR 2016, equation 3; divided by C·H·W as in Johnson et al., ECCV 2016, arXiv:1603.08155,
    section 3.2.

    Example:
        >>> gram(torch.tensor([[[[1.0, 2.0]], [[0.0, 1.0]]]])) * 4
        tensor([[[5., 2.],
                 [2., 1.]]])
    """
    flat = upcast(features).flatten(2)
    return flat @ flat.transpose(1, 2) / (flat.shape[1] * flat.shape[2])


def mean_std(features: Tensor, eps: float = 1e-5) -> tuple[Tensor, Tensor]:
    r"""Mean and deviation of each map over its pixels, :math:`\sqrt{\sigma^2 + \epsilon}` with the unbiased variance.

    Args:
        features: [B, C, H, W]; half precision is computed in float32.

    Returns:
        mean, std: [B, C] each.

    Raises:
        ShapeError: maps of one pixel have no variance.

    Source: Huang and Belongie, ICCV 2017, arXiv:1703.06868; unbiased as in its Torch and PyTorch codes.

    Example:
        >>> mean_std(torch.tensor([[[[1.0, 3.0]]]]), eps=0.0)
        (tensor([[2.]]), tensor([[1.4142]]))
    """
    flat = upcast(features).flatten(2)
    if flat.shape[2] < 2:
        raise ShapeError(
            f"mean_std: expected maps of more than one pixel, got {list(features.shape)}; give a larger image"
        )
    mean = flat.mean(2)
    variance = (flat - mean[..., None]).square().sum(2) / (flat.shape[2] - 1)
    return mean, (variance + eps).sqrt()


def adain(content: Tensor, style: Tensor, eps: float = 1e-5) -> Tensor:
    r"""The content's features with the style's statistics, :math:`\sigma(y)\,(x - \mu(x)) / \sigma(x) + \mu(y)`.

    Args:
        content: x, [B, C, H, W].
        style: y, [B, C, h, w] of any size, or of one sample for all.

    Returns:
        [B, C, H, W].

    Source: Huang and Belongie, ICCV 2017, arXiv:1703.06868, equation 8.
    """
    mean, std = (value.expand(len(content), -1) for value in mean_std(style, eps))
    return instance_norm(content, eps, unbiased=True, gamma=std, beta=mean)


def total_variation(image: Tensor, power: int = 2) -> Tensor:
    r"""Mean of :math:`|\Delta|^p` of neighbours in columns, plus the same in rows: one number.

    Args:
        image: [B, C, H, W].
        power: p.

    Source: Mahendran and Vedaldi, CVPR 2015, arXiv:1412.0035, section 2.2, with beta = 2.

    Example:
        >>> total_variation(torch.tensor([[[[0.0, 2.0], [0.0, 2.0]]]]))
        tensor(4.)
    """
    wide = upcast(image)
    down, right = wide[..., 1:, :] - wide[..., :-1, :], wide[..., 1:] - wide[..., :-1]
    return down.abs().pow(power).mean() + right.abs().pow(power).mean()
