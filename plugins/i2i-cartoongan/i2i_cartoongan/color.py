"""AnimeGAN's colours: grey images of cartoons, and a loss that keeps a photo's own colours."""

from __future__ import annotations

import torch
from kornia.color import rgb_to_grayscale
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.nn.functional.precision import upcast

YUV = ((0.299, 0.587, 0.114), (-0.14713, -0.28886, 0.436), (0.615, -0.51499, -0.10001))
"""Luminance and two colour differences of red, green and blue: ITU-R BT.601."""


def yuv(image: Tensor) -> Tensor:
    """YUV [B, 3, H, W] of an RGB image [B, 3, H, W] in [-1, 1]; Y in [0, 1], U and V around 0."""
    matrix = torch.tensor(YUV, dtype=image.dtype, device=image.device)
    return torch.einsum("yc,bchw->byhw", matrix, (image + 1) / 2)


def grey(image: Tensor) -> Tensor:
    """The luminance of an image [B, 3, H, W] in [-1, 1] as an image of the same shape and range."""
    return rgb_to_grayscale(upcast(image)).to(image.dtype).expand_as(image)


class Color(nn.Module):
    r"""Colour reconstruction: :math:`\mathbb{E}|Y - Y'| + \mathbb{E}[H(U - U')] + \mathbb{E}[H(V - V')]`.

    H is Huber's function, d²/2 below `delta` and delta·(|d| − delta/2) above; it forgives small changes of colour.

    Args:
        delta: where Huber's function becomes straight.

    Source: Chen, Liu and Chen, AnimeGAN, ISICA 2019, colour reconstruction loss.
    """

    def __init__(self, delta: float = 1.0) -> None:
        super().__init__()
        self.delta = delta

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The loss of images [B, 3, H, W] in [-1, 1]."""
        made, wanted = yuv(upcast(prediction)), yuv(upcast(target))
        luminance = F.l1_loss(made[:, 0], wanted[:, 0])
        u, v = (F.huber_loss(made[:, i], wanted[:, i], delta=self.delta) for i in (1, 2))
        return luminance + u + v
