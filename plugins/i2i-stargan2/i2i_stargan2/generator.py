"""The generator of StarGAN v2."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from i2i import GeneratorOutput, OptionError
from i2i.core.bounds import ImageSize, Positive
from i2i.errors import ShapeError
from i2i.nn.layers.initialization import Initialization, initialize
from i2i.nn.norms.instance import InstanceNorm
from i2i_stargan2.blocks import SLOPE, ResidualBlock, StyledBlock, check_size, first_channels

HIGH_PASSED = (32, 64, 128)
"""Heights at which features of the encoder are high-passed and added in the decoder."""


class StyledResnet(nn.Module):
    """Translates an image to the domain and appearance of a style code; one network for all domains.

    k residual blocks halve the sides, with `k = log2(image_size) - 4`; two keep them; two with AdaIN keep them, and k
    with AdaIN double them. The output is not bounded: no tanh.

    With `w_hpf > 0`, as for CelebA-HQ, there is one halving more, blocks with AdaIN have no shortcut, and features of
    the encoder with 32, 64 and 128 px, weighted by masks of a face and high-passed, are added in the decoder.

    Args:
        width: channels at the size of the training images, times that size; 2^14 are 64 channels at 256 px.
        max_channels: upper bound of the channels.
        style_channels: length S of a style code.
        w_hpf: divisor of the high-pass filter; 0 for none (AFHQ), 1 for CelebA-HQ.
        init: initialization of the weights, without those of norms.
        image_size: side of the training images, a power of two. Any multiple of 2^k can be translated.
        in_channels: channels of the input images.
        out_channels: channels of the generated images.

    Raises:
        OptionError: the size is no power of two, or smaller than its encoder.

    Source: Choi et al., StarGAN v2, CVPR 2020, arXiv:1912.01865, appendix; clovaai/stargan-v2 875b70a.
    """

    def __init__(
        self,
        width: Positive = 2**14,
        max_channels: Positive = 512,
        style_channels: Positive = 64,
        w_hpf: Annotated[float, Field(ge=0)] = 0.0,
        init: Initialization = "kaiming",
        image_size: ImageSize = 256,
        in_channels: Positive = 3,
        out_channels: Positive = 3,
    ) -> None:
        super().__init__()
        self.check(image_size, width, w_hpf)
        side = check_size(image_size)
        halvings = _halvings(side, w_hpf)
        channels = [first_channels(width, side, max_channels)]
        for _ in range(halvings):
            channels.append(min(2 * channels[-1], max_channels))
        self.multiple, self.style_channels, self.w_hpf, self.in_channels = (
            2**halvings,
            style_channels,
            w_hpf,
            in_channels,
        )
        plain = not w_hpf
        deepest = channels[-1]
        pairs = list(pairwise(channels))
        self.stem = nn.Conv2d(in_channels, channels[0], 3, padding=1)
        self.encoder = nn.ModuleList(
            [
                *(ResidualBlock(before, after, normalize=True, down=True) for before, after in pairs),
                *(ResidualBlock(deepest, deepest, normalize=True) for _ in range(2)),
            ]
        )
        self.decoder = nn.ModuleList(
            [
                *(StyledBlock(deepest, deepest, style_channels, residual=plain) for _ in range(2)),
                *(StyledBlock(a, b, style_channels, up=True, residual=plain) for b, a in reversed(pairs)),
            ]
        )
        self.norm = InstanceNorm(channels[0], affine=True)
        self.head = nn.Conv2d(channels[0], out_channels, 1)
        if w_hpf:
            laplacian = torch.full((3, 3), -1.0)
            laplacian[1, 1] = 8.0
            self.register_buffer("high_pass", laplacian / w_hpf, persistent=False)
        initialize(self, init, norms=False)

    @classmethod
    def check(cls, image_size: ImageSize, width: int, w_hpf: float) -> None:
        """Refuse a size that is no power of two, or too small to be halved."""
        side = check_size(image_size)
        first_channels(width, side, width)
        if _halvings(side, w_hpf) < 0:
            raise OptionError("image_size", f"expected at least {2**4} px, got {side}")

    def forward(self, image: Tensor, style: Tensor, masks: tuple[Tensor, Tensor] | None = None) -> GeneratorOutput:
        """Translate images.

        Args:
            image: [B, C, H, W]; H and W are multiples of 2^k.
            style: codes [B, S].
            masks: with `w_hpf`, [B, 1, h, w] each: the mask of features of 32 px, and that of 64 and 128 px. Without
                them, nothing is added.
        """
        if image.ndim != 4 or image.shape[1] != self.in_channels or any(s % self.multiple for s in image.shape[2:]):
            raise ShapeError(
                f"generator: expected images [B, {self.in_channels}, H, W] whose sides are multiples of "
                f"{self.multiple}, got {list(image.shape)}"
            )
        masks = masks if self.w_hpf else None
        x = self.stem(image)
        saved: dict[int, Tensor] = {}
        for block in self.encoder:
            if x.shape[2] in HIGH_PASSED:
                saved[x.shape[2]] = x
            x = block(x)
        for block in self.decoder:
            x = block(x, style)
            if masks is not None and x.shape[2] in saved:
                mask = F.interpolate(masks[0 if x.shape[2] == HIGH_PASSED[0] else 1], size=x.shape[2], mode="bilinear")
                x = x + self._high_passed(mask * saved[x.shape[2]])
        return GeneratorOutput(self.head(F.leaky_relu(self.norm(x), SLOPE)))

    def _high_passed(self, x: Tensor) -> Tensor:
        kernel: Tensor = self.get_buffer("high_pass")
        return F.conv2d(x, kernel.expand(x.shape[1], 1, 3, 3).to(x.dtype), padding=1, groups=x.shape[1])


def _halvings(side: int, w_hpf: float) -> int:
    return int(math.log2(side)) - 4 + (w_hpf > 0)
