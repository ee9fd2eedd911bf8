"""Convolution, normalization and activation as one block."""

from __future__ import annotations

from typing import ClassVar, Literal, cast

from torch import Tensor, nn
from torch.nn import functional as F

from i2i.core.contracts import Activation, Norm
from i2i.core.factory import Factory
from i2i.nn.functional.upsampling import upsample_and_convolve
from i2i.nn.layers.blur import BlurDown, BlurUp
from i2i.nn.layers.conv2d import Conv2d
from i2i.nn.layers.spectral import SpectralConv2d
from i2i.nn.layers.stages import Stage

Padding = Literal["zeros", "reflect"]
Upsample = Literal["transposed", "nearest", "blur", "pixel_shuffle"]
Down = Literal["strided", "blur"]


class ConvBlock(nn.Module):
    """A convolution, then a norm and an activation where they are given.

    Args:
        padding: pixels added on each side, filled as `padding_mode` says.
        bias: of the convolution; a norm without affine terms cancels it.
        spectral_norm: divides the convolution's weight by its spectral norm.
        down: where a stride of 2 is made: in the convolution, or by a blur after the activation (CUT), which keeps
            shifted images' features shifted.
    """

    recomputable: ClassVar[bool] = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        padding_mode: Padding = "reflect",
        bias: bool = True,
        norm: Factory[Norm] | None = None,
        activation: Factory[Activation] | None = None,
        spectral_norm: bool = False,
        down: Down = "strided",
    ) -> None:
        super().__init__()
        convolution = SpectralConv2d if spectral_norm else Conv2d
        self.blur = BlurDown() if down == "blur" and stride == 2 else None
        stride = stride if self.blur is None else 1
        self.conv = convolution(
            in_channels, out_channels, kernel_size, stride, padding, bias=bias, padding_mode=padding_mode
        )
        self.norm = norm(out_channels) if norm is not None else None
        self.activation = activation() if activation is not None else None

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        x = x if self.norm is None else self.norm(x)
        x = x if self.activation is None else self.activation(x)
        return x if self.blur is None else self.blur(x)

    def stages(self, name: str) -> list[Stage]:
        """The layers, named `NAME.conv`, `NAME.norm`, `NAME.activation` and `NAME.blur`."""
        return _stages(self, name, ("conv", "norm", "activation", "blur"), self.conv.out_channels)


class UpBlock(nn.Module):
    """Doubles the sides of a feature map, then a norm and an activation.

    Args:
        upsample: `transposed` is a transposed convolution (CycleGAN), `nearest` repeats pixels before a convolution
            (U-GAT-IT), which leaves no checkerboard, `blur` interpolates before it (CUT), and `pixel_shuffle` is a
            convolution at the small size whose channels are then fourfold and laid out as pixels (NICE-GAN), with a
            norm and an activation after each.
        kernel_size: of the convolution after `nearest`, odd.
    """

    recomputable: ClassVar[bool] = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        upsample: Upsample,
        bias: bool,
        norm: Factory[Norm],
        activation: Factory[Activation],
        kernel_size: int = 3,
    ) -> None:
        super().__init__()
        self.conv: nn.Module
        self.repeat: nn.Module | None = None
        self.in_channels, self.out_channels = in_channels, out_channels
        if upsample == "transposed":
            self.conv = nn.ConvTranspose2d(in_channels, out_channels, 3, 2, padding=1, output_padding=1, bias=bias)
        elif upsample == "blur":
            self.repeat = BlurUp()
            self.conv = Conv2d(in_channels, out_channels, 3, padding=1, bias=bias)
        else:
            self.repeat = nn.Upsample(scale_factor=2, mode="nearest") if upsample == "nearest" else None
            padding = kernel_size // 2
            self.conv = Conv2d(
                in_channels, out_channels, kernel_size, padding=padding, bias=bias, padding_mode="reflect"
            )
        self.norm = norm(out_channels)
        self.activation = activation()
        self.shuffle = PixelShuffle(out_channels, norm, activation) if upsample == "pixel_shuffle" else None

    def forward(self, x: Tensor) -> Tensor:
        if isinstance(self.repeat, nn.Upsample) and self.conv.kernel_size == (3, 3):
            x = upsample_and_convolve(x, cast(Tensor, self.conv.weight), cast("Tensor | None", self.conv.bias))
        else:
            x = self.conv(x if self.repeat is None else self.repeat(x))
        x = self.activation(self.norm(x))
        return x if self.shuffle is None else cast(Tensor, self.shuffle(x))

    def stages(self, name: str) -> list[Stage]:
        """The layers, named `NAME.repeat`, `NAME.conv`, `NAME.norm`, `NAME.activation` and `NAME.shuffle`."""
        repeat = _stages(self, name, ("repeat",), self.in_channels)
        return repeat + _stages(self, name, ("conv", "norm", "activation", "shuffle"), self.out_channels)


class PixelShuffle(nn.Module):
    """Four times the channels by a 1x1 convolution, laid out as 2x2 pixels, then a norm and an activation.

    Source: Shi et al., CVPR 2016, arXiv:1609.05158.
    """

    def __init__(self, channels: int, norm: Factory[Norm], activation: Factory[Activation]) -> None:
        super().__init__()
        self.conv = Conv2d(channels, 4 * channels, 1)
        self.norm = norm(channels)
        self.activation = activation()

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.norm(F.pixel_shuffle(self.conv(x), 2)))


def _stages(block: nn.Module, name: str, parts: tuple[str, ...], channels: int) -> list[Stage]:
    layers = {part: getattr(block, part) for part in parts}
    return [Stage(f"{name}.{part}", layer, channels) for part, layer in layers.items() if layer is not None]
