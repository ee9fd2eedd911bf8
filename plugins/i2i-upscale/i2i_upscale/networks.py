"""The generators `rrdb` (ESRGAN) and `srvgg` (compact Real-ESRGAN), and the discriminator `unet_sn`.

Names of submodules are those of official checkpoints. Images are in [-1, 1] for i2i; the networks see [0, 1].
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.core.bounds import Depth, Positive
from i2i.core.contracts import DiscriminatorOutput, GeneratorOutput
from i2i.errors import OptionError, ShapeError
from i2i.nn.layers.spectral import SpectralConv2d

SLOPE = 0.2


class DenseBlock(nn.Module):
    """Five 3x3 convolutions, each of which sees all results before it; a fifth of the last one is added to the input.

    Args:
        channels: channels of input and output.
        growth: channels of the first four convolutions.
    """

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        for number in range(1, 6):
            out_channels = channels if number == 5 else growth
            convolution = nn.Conv2d(channels + (number - 1) * growth, out_channels, 3, padding=1)
            nn.init.kaiming_normal_(convolution.weight)
            convolution.weight.data *= 0.1  # residual branches begin small
            nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
            self.add_module(f"conv{number}", convolution)

    def forward(self, x: Tensor) -> Tensor:
        features = [x]
        for number in range(1, 5):
            features.append(F.leaky_relu(self.get_submodule(f"conv{number}")(torch.cat(features, 1)), SLOPE))
        last: Tensor = self.get_submodule("conv5")(torch.cat(features, 1))
        return last * 0.2 + x


class _RRDB(nn.Module):
    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.rdb1, self.rdb2, self.rdb3 = (DenseBlock(channels, growth) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.rdb3(self.rdb2(self.rdb1(x)))
        return y * 0.2 + x


class RRDBNet(nn.Module):
    """Residual-in-residual dense blocks, then two times nearest upsampling.

    For a scale of 2 or 1 the image is first folded by 2 or 4 into its channels (pixel unshuffle).

    Args:
        scale: 4, 2 or 1.
        channels: channels of the features.
        blocks: residual-in-residual dense blocks.
        growth: channels of the dense blocks' inner convolutions.
        in_channels: channels of the image.
        out_channels: channels of the result.

    Source: Wang et al., ESRGAN, arXiv:1809.00219; BasicSR d21eac8; Real-ESRGAN, arXiv:2107.10833.
    """

    def __init__(
        self,
        scale: Literal[1, 2, 4] = 4,
        channels: Positive = 64,
        blocks: Depth = 23,
        growth: Positive = 32,
        in_channels: Positive = 3,
        out_channels: Positive = 3,
    ) -> None:
        super().__init__()
        self.scale, self.fold = scale, 4 // scale
        self.multiple = self.fold
        self.conv_first = nn.Conv2d(in_channels * self.fold**2, channels, 3, padding=1)
        self.body = nn.Sequential(*(_RRDB(channels, growth) for _ in range(blocks)))
        for name in ("conv_body", "conv_up1", "conv_up2", "conv_hr"):
            self.add_module(name, nn.Conv2d(channels, channels, 3, padding=1))
        self.conv_last = nn.Conv2d(channels, out_channels, 3, padding=1)

    def enlarge(self, image: Tensor) -> Tensor:
        """Return images [B, C, scale·H, scale·W] for images [B, C, H, W], both in [0, 1]."""
        if any(side % self.fold for side in image.shape[2:]):
            raise ShapeError(f"rrdb: expected sides that are multiples of {self.fold}, got {list(image.shape)}")
        return self.reconstruct(F.pixel_unshuffle(image, self.fold) if self.fold > 1 else image)

    def reconstruct(self, folded: Tensor) -> Tensor:
        """Return images [B, C, 4·h, 4·w] for folded ones [B, fold²·C, h, w]."""
        first = self.conv_first(folded)
        x = first + self.get_submodule("conv_body")(self.body(first))
        for name in ("conv_up1", "conv_up2"):
            x = F.leaky_relu(self.get_submodule(name)(F.interpolate(x, scale_factor=2.0, mode="nearest")), SLOPE)
        enlarged: Tensor = self.conv_last(F.leaky_relu(self.get_submodule("conv_hr")(x), SLOPE))
        return enlarged

    def forward(self, image: Tensor) -> GeneratorOutput:
        return GeneratorOutput(2 * self.enlarge((image + 1) / 2) - 1)


class SRVGG(nn.Module):
    """Plain 3x3 convolutions at the size of the input, pixel shuffle, and the nearest upsampled input added.

    Args:
        scale: factor of both sides.
        channels: channels of the features.
        layers: convolutions between the first and the last.
        activation: `prelu` with a slope for each channel, `relu`, or `leaky_relu` with slope 0.1.
        in_channels: channels of the image.
        out_channels: channels of the result, the same number.

    Source: SRVGGNetCompact of xinntao/Real-ESRGAN a4abfb2.
    """

    def __init__(
        self,
        scale: Positive = 4,
        channels: Positive = 64,
        layers: Depth = 16,
        activation: Literal["prelu", "relu", "leaky_relu"] = "prelu",
        in_channels: Positive = 3,
        out_channels: Positive = 3,
    ) -> None:
        super().__init__()
        self.check(in_channels, out_channels)
        self.scale = scale
        parts: list[nn.Module] = []
        for number in range(layers + 1):
            parts.append(nn.Conv2d(in_channels if number == 0 else channels, channels, 3, padding=1))
            parts.append(_activation(activation, channels))
        self.body = nn.Sequential(*parts, nn.Conv2d(channels, out_channels * scale**2, 3, padding=1))

    @classmethod
    def check(cls, in_channels: int, out_channels: int) -> None:
        """Refuse channels that differ: the input is added to the result."""
        if in_channels != out_channels:
            raise OptionError("out_channels", f"expected {in_channels} like in_channels, got {out_channels}")

    def enlarge(self, image: Tensor) -> Tensor:
        """Return images [B, C, scale·H, scale·W] for images [B, C, H, W], both in [0, 1]."""
        details = F.pixel_shuffle(self.body(image), self.scale)
        return details + F.interpolate(image, scale_factor=float(self.scale), mode="nearest")

    def forward(self, image: Tensor) -> GeneratorOutput:
        return GeneratorOutput(2 * self.enlarge((image + 1) / 2) - 1)


def _activation(name: str, channels: int) -> nn.Module:
    if name == "prelu":
        return nn.PReLU(channels)
    return nn.ReLU() if name == "relu" else nn.LeakyReLU(0.1)


class UNetDiscriminatorSN(nn.Module):
    """A U-Net with spectral norm that classifies every pixel.

    Args:
        channels: channels after the first convolution.
        skips: whether the encoder's features are added in the decoder.
        in_channels: channels of the image.

    Source: Wang et al., Real-ESRGAN, arXiv:2107.10833, section 3.4; xinntao/Real-ESRGAN a4abfb2.
    """

    def __init__(self, channels: Positive = 64, skips: bool = True, in_channels: Positive = 3) -> None:
        super().__init__()
        self.skips, wide = skips, channels
        self.conv0 = nn.Conv2d(in_channels, channels, 3, padding=1)
        for number in (1, 2, 3):
            self.add_module(f"conv{number}", SpectralConv2d(wide, 2 * wide, 4, 2, 1, bias=False))
            wide *= 2
        for number in (4, 5, 6):
            self.add_module(f"conv{number}", SpectralConv2d(wide, wide // 2, 3, padding=1, bias=False))
            wide //= 2
        for number in (7, 8):
            self.add_module(f"conv{number}", SpectralConv2d(channels, channels, 3, padding=1, bias=False))
        self.conv9 = nn.Conv2d(channels, 1, 3, padding=1)

    def classify(self, image: Tensor) -> Tensor:
        """Return logits [B, 1, H, W] for images [B, C, H, W] in [0, 1], with sides divisible by 8."""
        features = [F.leaky_relu(self.conv0(image), SLOPE)]
        for number in (1, 2, 3):
            features.append(self._layer(number, features[-1]))
        x = features.pop()
        for number in (4, 5, 6):
            x = self._layer(number, F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False))
            x = x + features.pop() if self.skips else x
        logits: Tensor = self.conv9(self._layer(8, self._layer(7, x)))
        return logits

    def forward(self, image: Tensor) -> DiscriminatorOutput:
        if any(side % 8 for side in image.shape[2:]):
            raise ShapeError(f"unet_sn: expected sides that are multiples of 8, got {list(image.shape)}")
        return DiscriminatorOutput({"patch": self.classify((image + 1) / 2)})

    def _layer(self, number: int, x: Tensor) -> Tensor:
        return F.leaky_relu(self.get_submodule(f"conv{number}")(x), SLOPE)
