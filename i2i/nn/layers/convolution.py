"""Antialiased resizing, and the blocks that networks are built of."""

from __future__ import annotations

from typing import ClassVar, Literal, cast

from torch import Tensor, nn
from torch.nn import functional as F

from i2i.core.contracts import Activation, Norm
from i2i.core.factory import Factory
from i2i.nn.functional.convolution import convolve
from i2i.nn.functional.fused import fuses, modulate
from i2i.nn.functional.resampling import (
    BLUR_PADDING,
    DOUBLING,
    HALVING,
    blur_down,
    blur_kernel,
    blur_up,
    upsample_and_convolve,
)
from i2i.nn.layers.fusion import finish, slope_of
from i2i.nn.layers.spectral import Conv2d, Padding, SpectralConv2d, SpectralNorm, spectral_conv
from i2i.nn.layers.stages import Stage
from i2i.nn.private_torch import has_hooks

Upsample = Literal["transposed", "nearest", "blur", "pixel_shuffle"]
Down = Literal["strided", "blur"]


class BlurDown(nn.Module):
    """Halve the size of features by `i2i.nn.functional.resampling.blur_down`; no parameters, nothing in the state."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", blur_kernel(HALVING), persistent=False)

    def forward(self, x: Tensor, padded: bool = False) -> Tensor:
        return blur_down(x, self.kernel, padded)


class BlurUp(nn.Module):
    """Double the size of features by `i2i.nn.functional.resampling.blur_up`; no parameters, nothing in the state."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", blur_kernel(DOUBLING), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return blur_up(x, self.kernel)


class ConvBlock(nn.Module):
    """Convolution, then norm and activation where they are given.

    Args:
        in_channels: channels C of the features [B, C, H, W].
        out_channels: channels C' of the result [B, C', H', W'].
        kernel_size: side of the kernel in pixels.
        stride: of the convolution; H' is about H / stride.
        padding: pixels added on each side.
        padding_mode: how they are filled, see `Padding`.
        bias: whether the convolution has a bias; a norm without affine parameters cancels it.
        norm: factory of the norm; None for no norm.
        activation: factory of the activation; None for no activation.
        spectral_norm: whether the convolution's weight is divided by its spectral norm, see `SpectralNorm`.
        down: how a stride of 2 is realized: `strided` in the convolution, or by `blur` after the activation (CUT),
            which keeps the features of shifted images shifted.
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
        spectral_norm: SpectralNorm = False,
        down: Down = "strided",
    ) -> None:
        super().__init__()
        self.blur = BlurDown() if down == "blur" and stride == 2 else None
        stride = stride if self.blur is None else 1
        self.conv = spectral_conv(
            spectral_norm, in_channels, out_channels, kernel_size, stride, padding, bias=bias, padding_mode=padding_mode
        )
        self.norm = norm(out_channels) if norm is not None else None
        self.activation = activation() if activation is not None else None

    def forward(self, x: Tensor, *, residual: Tensor | None = None, padded: bool = False, padding: int = 0) -> Tensor:
        """Compute the features [B, C', H', W'].

        Args:
            x: features [B, C, H, W].
            residual: [B, C', H', W'], added to the result; None for none.
            padded: whether `x` has the padding of the convolution already.
            padding: reflected pixels that are added on each side of the result, for the next convolution.
        """
        if self.blur is not None:
            ahead = BLUR_PADDING if fuses(x) and not has_hooks(self.blur) else 0
            x = finish(self.conv(x), self.norm, self.activation, padding=ahead)
            return finish(self.blur(x, padded=ahead > 0), None, None, residual=residual, padding=padding)
        slope = slope_of(self.activation)
        if isinstance(self.conv, SpectralConv2d) and fuses(x) and not has_hooks(self.conv):
            y, scales = self.conv.unscaled(x, padded)
            if self.norm is None and slope is not None and residual is None:
                return modulate(y, gamma=scales.unsqueeze(1), beta=self.conv.bias, slope=slope, padding=padding)
            x = modulate(y, gamma=scales.unsqueeze(1), beta=self.conv.bias)
        elif padded:
            x = convolve(x, self.conv.weight, self.conv.bias, self.conv.stride[0])
        else:
            x = self.conv(x)
        return finish(x, self.norm, self.activation, residual=residual, padding=padding)

    def stages(self, name: str) -> list[Stage]:
        """Return the layers, named `NAME.conv`, `NAME.norm`, `NAME.activation` and `NAME.blur`."""
        return _stages(self, name, ("conv", "norm", "activation", "blur"), self.conv.out_channels)


class UpBlock(nn.Module):
    """Double the size of features, then norm and activation.

    Args:
        in_channels: channels C of the features [B, C, H, W].
        out_channels: channels C' of the result [B, C', 2·H, 2·W].
        upsample: `transposed` is a transposed convolution (CycleGAN); `nearest` repeats pixels before a convolution
            (U-GAT-IT), which leaves no checkerboard; `blur` interpolates before it (CUT); `pixel_shuffle` is a
            convolution, then a 1x1 convolution to four times the channels, laid out as pixels, with a norm and an
            activation after each (NICE-GAN).
        bias: whether the convolution has a bias.
        norm: factory of the norm.
        activation: factory of the activation.
        kernel_size: of the convolution with `nearest` and `pixel_shuffle`; odd.
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
        x = finish(x, self.norm, self.activation)
        return x if self.shuffle is None else cast(Tensor, self.shuffle(x))

    def stages(self, name: str) -> list[Stage]:
        """Return the layers, named `NAME.repeat`, `NAME.conv`, `NAME.norm`, `NAME.activation` and `NAME.shuffle`."""
        repeat = _stages(self, name, ("repeat",), self.in_channels)
        return repeat + _stages(self, name, ("conv", "norm", "activation", "shuffle"), self.out_channels)


class PixelShuffle(nn.Module):
    """1x1 convolution to four times the channels, laid out as 2x2 pixels, then norm and activation.

    Args:
        channels: C of the features [B, C, H, W] and of the result [B, C, 2·H, 2·W].
        norm: factory of the norm.
        activation: factory of the activation.

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
