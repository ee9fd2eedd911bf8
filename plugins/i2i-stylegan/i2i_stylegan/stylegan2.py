"""The generator of StyleGAN2."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Gt
from torch import Tensor, nn

from i2i.core.bounds import ImageSize, Positive, describe_size, square_side
from i2i.errors import OptionError
from i2i_stylegan.layers import FILTER, Demodulation, NoiseMode, ResampledConv2d, SynthesisLayer, ToRGB
from i2i_stylegan.mapping import Mapping
from i2i_stylegan.resampling import make_filter, upsample

Architecture = Literal["orig", "skip", "resnet"]
FIRST = 4
"""Side of the smallest features in pixels."""
Noise = NoiseMode | Sequence[Tensor]
"""Random maps, the stored maps, no noise, or one map for each layer from the smallest on."""


def resolutions(image_size: ImageSize) -> list[int]:
    """Return the sides of the features from 4 px to the image's.

    Raises:
        OptionError: the image is no square whose side is a power of two from 8 on.
    """
    side = square_side(image_size)
    if side < 2 * FIRST or side & (side - 1):
        raise OptionError(
            "image_size", f"expected squares whose side is a power of two from 8 on, got {describe_size(image_size)}"
        )
    return [2**power for power in range(2, side.bit_length())]


def width(resolution: int, channel_base: int, channel_max: int) -> int:
    """Return the number of channels at a resolution."""
    return max(min(channel_base // resolution, channel_max), 1)


def widths(
    resolutions: Sequence[int], channel_base: int, channel_max: int, channels: Sequence[int] = ()
) -> dict[int, int]:
    """Return the number of channels at each resolution: those of `channels` from 4 px on, if there are any.

    Raises:
        OptionError: `channels` has another number of resolutions.
    """
    if not channels:
        return {resolution: width(resolution, channel_base, channel_max) for resolution in resolutions}
    if len(channels) != len(resolutions):
        sizes = ", ".join(map(str, resolutions))
        raise OptionError("channels", f"expected {len(resolutions)} numbers, for {sizes} px, got {len(channels)}")
    return dict(zip(resolutions, channels, strict=True))


def in_half_precision(resolution: int, side: int, count: int) -> bool:
    """Return whether a block belongs to the `count` largest resolutions, which are computed in float16 on CUDA."""
    return count > 0 and resolution >= max(2 ** (int(math.log2(side)) + 1 - count), 2 * FIRST)


class SynthesisBlock(nn.Module):
    """Two layers at one resolution (one at 4 px, after a learned constant), and the conversion to RGB.

    Args:
        in_channels: channels of the features; 0 for the block at 4 px.
        out_channels: channels of the result.
        w_dim: numbers in a style vector.
        resolution: side of the result in pixels.
        img_channels: channels of the image.
        is_last: whether this is the block of the largest resolution.
        architecture: see `StyleGAN2Generator`.
        half: compute in float16 on CUDA.
        clamp: largest absolute value of features and image; None for any.
        taps: of the resampling filter.
        use_noise: whether layers have noise.
        demodulation: see `SynthesisLayer`.
    """

    resample_filter: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        w_dim: int,
        resolution: int,
        img_channels: int,
        is_last: bool,
        architecture: Architecture,
        half: bool,
        clamp: float | None,
        taps: Sequence[float],
        use_noise: bool,
        demodulation: Demodulation,
    ) -> None:
        super().__init__()
        self.architecture, self.half = architecture, half

        def layer(inputs: int, up: int) -> SynthesisLayer:
            return SynthesisLayer(inputs, out_channels, w_dim, resolution, up, use_noise, clamp, taps, demodulation)

        if in_channels:
            self.conv0 = layer(in_channels, 2)
        else:
            self.const = nn.Parameter(torch.randn(out_channels, resolution, resolution))
        self.conv1 = layer(out_channels, 1)
        self.num_convs = 2 if in_channels else 1
        self.has_rgb = is_last or architecture == "skip"
        if self.has_rgb:
            self.torgb = ToRGB(out_channels, img_channels, w_dim, clamp)
        if in_channels and architecture == "resnet":
            self.skip = ResampledConv2d(in_channels, out_channels, 1, bias=False, active=False, up=2, taps=taps)
        self.register_buffer("resample_filter", make_filter(taps), persistent=False)

    def forward(
        self,
        x: Tensor | None,
        image: Tensor | None,
        ws: Tensor,
        noise: NoiseMode | Iterator[Tensor],
        features: list[Tensor] | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Return features [B, C, S, S] and the image so far, None before the first conversion to RGB.

        Args:
            x: features of the previous block.
            image: the image so far at half of the size.
            ws: style vectors of the block's layers [B, n, w_dim].
            noise: a mode, or an iterator over noise maps.
            features: gets the features of the block's two layers; those of the constant stand for the first at 4 px.
        """
        styles = iter(ws.unbind(1))
        wide = ws.dtype
        dtype = torch.float16 if self.half and ws.is_cuda and wide == torch.float32 else wide

        def given() -> NoiseMode | Tensor:
            return noise if isinstance(noise, str) else next(noise)

        if x is None:
            first = self.const.to(dtype).expand(ws.shape[0], -1, -1, -1)
            x = self.conv1(first, next(styles), given())
        elif self.architecture == "resnet":
            x = x.to(dtype)
            y = self.skip(x, gain=math.sqrt(0.5))
            first = self.conv0(x, next(styles), given())
            x = y + self.conv1(first, next(styles), given(), gain=math.sqrt(0.5))
        else:
            first = self.conv0(x.to(dtype), next(styles), given())
            x = self.conv1(first, next(styles), given())
        if features is not None:
            features += [first, x]
        if image is not None:
            image = upsample(image, self.resample_filter)
        if self.has_rgb:
            rgb = self.torgb(x, next(styles)).to(wide)
            image = rgb if image is None else image + rgb
        return x, image


class Synthesis(nn.Module):
    """Generates images from style vectors, one for each layer; see `StyleGAN2Generator` for the arguments."""

    def __init__(
        self,
        w_dim: int,
        img_resolution: ImageSize,
        img_channels: int,
        channel_base: int = 32768,
        channel_max: int = 512,
        num_fp16_res: int = 0,
        conv_clamp: float | None = None,
        architecture: Architecture = "skip",
        resample_filter: Sequence[float] = FILTER,
        use_noise: bool = True,
        demodulation: Demodulation = "weight",
        channels: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.resolutions = resolutions(img_resolution)
        side, self.img_channels = self.resolutions[-1], img_channels
        channels = list(widths(self.resolutions, channel_base, channel_max, channels).values())
        for index, resolution in enumerate(self.resolutions):
            block = SynthesisBlock(
                channels[index - 1] if index else 0,
                channels[index],
                w_dim,
                resolution,
                img_channels,
                resolution == side,
                architecture,
                in_half_precision(resolution, side, num_fp16_res),
                conv_clamp,
                resample_filter,
                use_noise,
                demodulation,
            )
            self.add_module(f"b{resolution}", block)
        self.num_layers = sum(block.num_convs for block in self.blocks)
        self.num_ws = self.num_layers + 1

    @property
    def blocks(self) -> list[SynthesisBlock]:
        """Blocks from the smallest resolution on."""
        blocks = [self.get_submodule(f"b{resolution}") for resolution in self.resolutions]
        return [block for block in blocks if isinstance(block, SynthesisBlock)]

    def forward(self, ws: Tensor, noise: Noise = "random", features: list[Tensor] | None = None) -> Tensor:
        """Return images [B, C, S, S].

        Args:
            ws: [B, num_ws, w_dim].
            noise: a mode, or one map [B or 1, 1, s, s] for each of the `num_layers` layers.
            features: a list that gets the features [B, c, s, s], two of each resolution from the smallest on.
        """
        x: Tensor | None = None
        image: Tensor | None = None
        maps: NoiseMode | Iterator[Tensor] = noise if isinstance(noise, str) else iter(noise)
        first = 0
        for block in self.blocks:
            # A conversion to RGB shares its style vector with the first layer of the next block.
            used = block.num_convs + int(block.has_rgb)
            x, image = block(x, image, ws[:, first : first + used], maps, features)
            first += block.num_convs
        assert image is not None
        return image


class StyleGAN2Generator(nn.Module):
    """StyleGAN2's generator: a mapping network from a latent code to style vectors, and a synthesis network.

    Names of weights are those of StyleGAN2-ADA in PyTorch.

    Args:
        out_channels: channels of the images.
        image_size: height and width of the images; equal, a power of two from 8 on.
        num_classes: number of classes; 0 without.
        z_dim: numbers in a latent code z.
        w_dim: numbers in a style vector w.
        mapping_layers: number of layers of the mapping network.
        channel_base: channels at a resolution times the resolution; 16384 for half of the width.
        channel_max: largest number of channels.
        num_fp16_res: number of the largest resolutions that are computed in float16, on CUDA only; 4 in the official
            code. Needs `conv_clamp`.
        conv_clamp: largest absolute value of features; 256 in the official code with float16. None for any.
        architecture: `skip` sums images of all resolutions, `resnet` has residual connections, `orig` neither.
        resample_filter: taps of the resampling filter along one axis.
        use_noise: whether layers have noise.
        w_avg_beta: decay of the moving average of w.
        demodulation: `weight` as in StyleGAN2-ADA, `scaled_weight` as in the port of rosinality.
        channels: numbers of channels at 4 px, 8 px and so on, in place of those of `channel_base` and `channel_max`.
        mapping_features: width of the hidden layers of the mapping network; `w_dim` when None.
        mapping_rate: factor of the learning rate of the mapping network.
        embed_features: numbers in the embedding of a class; `w_dim` when None.

    Raises:
        OptionError: the size is not legal.

    Source: Karras et al., StyleGAN2, CVPR 2020, arXiv:1912.04958; StyleGAN2-ADA, NeurIPS 2020, arXiv:2006.06676.
    """

    latent = "w"

    def __init__(
        self,
        out_channels: int = 3,
        image_size: ImageSize = 256,
        num_classes: Annotated[int, Ge(0)] = 0,
        z_dim: Annotated[int, Ge(1)] = 512,
        w_dim: Annotated[int, Ge(1)] = 512,
        mapping_layers: Annotated[int, Ge(1)] = 8,
        channel_base: Annotated[int, Ge(1)] = 32768,
        channel_max: Annotated[int, Ge(1)] = 512,
        num_fp16_res: Annotated[int, Ge(0)] = 0,
        conv_clamp: float | None = None,
        architecture: Architecture = "skip",
        resample_filter: tuple[float, ...] = FILTER,
        use_noise: bool = True,
        w_avg_beta: float = 0.995,
        demodulation: Demodulation = "weight",
        channels: tuple[Positive, ...] = (),
        mapping_features: Positive | None = None,
        mapping_rate: Annotated[float, Gt(0)] = 0.01,
        embed_features: Positive | None = None,
    ) -> None:
        super().__init__()
        self.z_dim, self.w_dim, self.num_classes = z_dim, w_dim, num_classes
        self.synthesis = Synthesis(
            w_dim,
            image_size,
            out_channels,
            channel_base,
            channel_max,
            num_fp16_res,
            conv_clamp,
            architecture,
            resample_filter,
            use_noise,
            demodulation,
            channels,
        )
        self.num_ws = self.synthesis.num_ws
        self.mapping = Mapping(
            z_dim,
            num_classes,
            w_dim,
            self.num_ws,
            mapping_layers,
            embed_features,
            mapping_features,
            mapping_rate,
            w_avg_beta,
        )

    @classmethod
    def check(
        cls,
        image_size: ImageSize,
        num_fp16_res: int = 0,
        conv_clamp: float | None = None,
        channels: tuple[int, ...] = (),
    ) -> None:
        """Refuse sizes that are no power of two, widths of other sizes, and float16 without clamping."""
        widths(resolutions(image_size), 1, 1, channels)
        if num_fp16_res and conv_clamp is None:
            raise OptionError("num_fp16_res", "float16 needs conv_clamp, such as 256")

    def forward(
        self,
        z: Tensor,
        c: Tensor | None = None,
        psi: float = 1.0,
        cutoff: int | None = None,
        noise: Noise = "random",
    ) -> Tensor:
        """Return images [B, C, S, S] for latent codes [B, z_dim] and one-hot classes [B, num_classes]."""
        image: Tensor = self.synthesis(self.mapping(z, c, psi, cutoff), noise)
        return image
