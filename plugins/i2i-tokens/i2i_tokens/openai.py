"""Encoder and decoder of DALL-E's discrete VAE, with the names of the released weights.

Source: Ramesh et al., Zero-Shot Text-to-Image Generation, ICML 2021, arXiv:2102.12092, appendix A;
openai/DALL-E 5be4b23.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.core.bounds import Depth, Positive

GROUPS = 4
EPS = 0.1
"""Share of the range that pixels leave free at both ends: the logit of black and of white would be infinite."""


def map_pixels(image: Tensor) -> Tensor:
    """Map pixels from [0, 1] to [0.1, 0.9]."""
    return (1 - 2 * EPS) * image + EPS


def unmap_pixels(image: Tensor) -> Tensor:
    """Map pixels from [0.1, 0.9] to [0, 1]; values outside are clamped."""
    return ((image - EPS) / (1 - 2 * EPS)).clamp(0, 1)


class _Convolution(nn.Module):
    """A convolution that keeps the size, with parameters `w` and `b`."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        super().__init__()
        fan_in = in_channels * kernel_size**2
        self.w = nn.Parameter(torch.randn(out_channels, in_channels, kernel_size, kernel_size) * fan_in**-0.5)
        self.b = nn.Parameter(torch.zeros(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.w, self.b, padding=self.w.shape[-1] // 2)


class _Block(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, kernels: tuple[int, ...], gain: float) -> None:
        super().__init__()
        self.gain, hidden = gain, out_channels // 4
        self.id_path = nn.Identity() if in_channels == out_channels else _Convolution(in_channels, out_channels, 1)
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        channels = [in_channels, hidden, hidden, hidden, out_channels]
        for number, kernel in enumerate(kernels, 1):
            layers[f"relu_{number}"] = nn.ReLU()
            layers[f"conv_{number}"] = _Convolution(channels[number - 1], channels[number], kernel)
        self.res_path = nn.Sequential(layers)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.id_path(x) + self.gain * self.res_path(x)
        return y


def _groups(
    first: nn.Module, widths: list[int], blocks: int, kernels: tuple[int, ...], resize: nn.Module, last: nn.Module
) -> nn.Sequential:
    gain = 1 / (GROUPS * blocks) ** 2
    layers: OrderedDict[str, nn.Module] = OrderedDict(input=first)
    for group, (before, after) in enumerate(pairwise(widths), 1):
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        for block in range(1, blocks + 1):
            parts[f"block_{block}"] = _Block(before if block == 1 else after, after, kernels, gain)
        if group < GROUPS:
            parts["resize"] = resize
        layers[f"group_{group}"] = nn.Sequential(parts)
    layers["output"] = nn.Sequential(OrderedDict(relu=nn.ReLU(), conv=last))
    return nn.Sequential(layers)


class OpenAIEncoder(nn.Module):
    """From images to logits of tokens at an eighth of the size.

    Args:
        hidden: channels after the first convolution.
        blocks: residual blocks in each of the four groups.
        tokens: number of different tokens.
        in_channels: channels of the image.
    """

    def __init__(
        self, hidden: Positive = 256, blocks: Depth = 2, tokens: Positive = 8192, in_channels: Positive = 3
    ) -> None:
        super().__init__()
        widths = [hidden, *(hidden * 2**group for group in range(GROUPS))]
        self.blocks = _groups(
            _Convolution(in_channels, hidden, 7),
            widths,
            blocks,
            (3, 3, 3, 1),
            nn.MaxPool2d(2),
            _Convolution(widths[-1], tokens, 1),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Return logits [B, tokens, H / 8, W / 8] of images that `map_pixels` mapped, [B, C, H, W]."""
        logits: Tensor = self.blocks(image)
        return logits


class OpenAIDecoder(nn.Module):
    """From a distribution over tokens to the parameters of a logit-Laplace likelihood of pixels.

    Args:
        initial: channels after the first convolution.
        hidden: channels of the last group.
        blocks: residual blocks in each of the four groups.
        tokens: number of different tokens.
        out_channels: channels of the image.
    """

    def __init__(
        self,
        initial: Positive = 128,
        hidden: Positive = 256,
        blocks: Depth = 2,
        tokens: Positive = 8192,
        out_channels: Positive = 3,
    ) -> None:
        super().__init__()
        widths = [initial, *(hidden * 2**group for group in reversed(range(GROUPS)))]
        self.blocks = _groups(
            _Convolution(tokens, initial, 1),
            widths,
            blocks,
            (1, 3, 3, 3),
            nn.Upsample(scale_factor=2),
            _Convolution(widths[-1], 2 * out_channels, 1),
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """Return means and scales [B, 2·C, 8·h, 8·w] of a distribution over tokens [B, tokens, h, w].

        The image is `unmap_pixels(sigmoid(means))`.
        """
        parameters: Tensor = self.blocks(tokens)
        return parameters
