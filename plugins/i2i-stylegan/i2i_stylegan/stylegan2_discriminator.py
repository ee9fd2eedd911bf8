"""The discriminator of StyleGAN2."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

import torch
from annotated_types import Ge, Gt
from torch import Tensor, nn

from i2i.core.bounds import ImageSize, Positive
from i2i.core.contracts import DiscriminatorOutput
from i2i.errors import OptionError, ShapeError
from i2i.nn.layers.stylegan2 import MinibatchDeviation
from i2i_stylegan.layers import FILTER, ResampledConv2d, activate, dense
from i2i_stylegan.mapping import Mapping
from i2i_stylegan.resampling import downsample, make_filter
from i2i_stylegan.stylegan2 import FIRST, Architecture, in_half_precision, resolutions, widths


class DiscriminatorBlock(nn.Module):
    """Two convolutions, the second of which halves the sides, and the conversion from RGB.

    Args:
        in_channels: channels of the features; 0 for the first block.
        channels: channels of the first convolution.
        out_channels: channels of the result.
        img_channels: channels of the image.
        architecture: see `StyleGAN2Discriminator`.
        half: compute in float16 on CUDA.
        clamp: largest absolute value of features; None for any.
        taps: of the resampling filter.
    """

    resample_filter: Tensor

    def __init__(
        self,
        in_channels: int,
        channels: int,
        out_channels: int,
        img_channels: int,
        architecture: Architecture,
        half: bool,
        clamp: float | None,
        taps: Sequence[float],
    ) -> None:
        super().__init__()
        self.architecture, self.half = architecture, half
        self.reads_image = not in_channels or architecture == "skip"
        if self.reads_image:
            self.fromrgb = ResampledConv2d(img_channels, channels, 1, clamp=clamp, taps=taps)
        self.conv0 = ResampledConv2d(channels, channels, 3, clamp=clamp, taps=taps)
        self.conv1 = ResampledConv2d(channels, out_channels, 3, down=2, clamp=clamp, taps=taps)
        if architecture == "resnet":
            self.skip = ResampledConv2d(channels, out_channels, 1, bias=False, active=False, down=2, taps=taps)
        self.register_buffer("resample_filter", make_filter(taps), persistent=False)

    def forward(self, x: Tensor | None, image: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return features [B, C, S / 2, S / 2], and the image for the next block where it reads one."""
        like = x if x is not None else image
        assert like is not None
        half = self.half and like.is_cuda and like.dtype != torch.float64
        dtype = torch.float16 if half else torch.float64 if like.dtype == torch.float64 else torch.float32
        x = None if x is None else x.to(dtype)
        if self.reads_image:
            assert image is not None
            y = self.fromrgb(image.to(dtype))
            x = y if x is None else x + y
            image = downsample(image, self.resample_filter) if self.architecture == "skip" else None
        if self.architecture == "resnet":
            y = self.skip(x, gain=math.sqrt(0.5))
            x = y + self.conv1(self.conv0(x), gain=math.sqrt(0.5))
        else:
            x = self.conv1(self.conv0(x))
        assert x is not None
        return x, image


class Epilogue(nn.Module):
    """The block at 4 px: minibatch deviation, a convolution, and two linear layers.

    Args:
        in_channels: channels of the features.
        out_features: numbers for each image: 1, or the width of the class projection.
        img_channels: channels of the image, for the architecture `skip`; 0 for none.
        clamp: largest absolute value of features; None for any.
        mbstd_group_size: see `StyleGAN2Discriminator`.
        mbstd_num_channels: see `StyleGAN2Discriminator`.
    """

    def __init__(
        self,
        in_channels: int,
        out_features: int,
        img_channels: int,
        clamp: float | None,
        mbstd_group_size: int | None,
        mbstd_num_channels: int,
    ) -> None:
        super().__init__()
        if img_channels:
            self.fromrgb = ResampledConv2d(img_channels, in_channels, 1)
        self.mbstd = MinibatchDeviation(mbstd_group_size, mbstd_num_channels) if mbstd_num_channels else None
        self.conv = ResampledConv2d(in_channels + mbstd_num_channels, in_channels, 3, clamp=clamp)
        self.fc = dense(in_channels * FIRST**2, in_channels)
        self.out = dense(in_channels, out_features)

    def forward(self, x: Tensor, image: Tensor | None) -> Tensor:
        x = x.to(self.out.weight.dtype)
        if image is not None:
            x = x + self.fromrgb(image)
        x = x if self.mbstd is None else self.mbstd(x)
        x = self.conv(x)
        score: Tensor = self.out(activate(self.fc(x.flatten(1))))
        return score


class StyleGAN2Discriminator(nn.Module):
    r"""StyleGAN2's discriminator: one logit for each image, by projection on the class where there are classes.

    Names of weights are those of StyleGAN2-ADA in PyTorch.

    Args:
        in_channels: channels of the images.
        image_size: height and width of the images; equal, a power of two from 8 on.
        num_classes: number of classes; 0 without.
        channel_base: channels at a resolution times the resolution.
        channel_max: largest number of channels.
        num_fp16_res: number of the largest resolutions that are computed in float16, on CUDA only. Needs `conv_clamp`.
        conv_clamp: largest absolute value of features; None for any.
        architecture: `resnet` has residual connections, `skip` reads images of all resolutions, `orig` neither.
        resample_filter: taps of the resampling filter along one axis.
        mapping_layers: number of layers of the mapping network of the class.
        mbstd_group_size: number of images of a group for the minibatch deviation; None for the whole batch.
        mbstd_num_channels: number of channels of the deviation; 0 for none.
        channels: numbers of channels at 4 px, 8 px and so on, in place of those of `channel_base` and `channel_max`.
        mapping_features: width of the hidden layers of the mapping network; `cmap_dim` when None.
        mapping_rate: factor of the learning rate of the mapping network.
        embed_features: numbers in the embedding of a class; `cmap_dim` when None.
        cmap_dim: numbers in a mapped class, on which features are projected; as many as channels at 4 px when None.

    Raises:
        OptionError: the size is not legal.

    Source: Karras et al., StyleGAN2, CVPR 2020, arXiv:1912.04958; StyleGAN2-ADA, NeurIPS 2020, arXiv:2006.06676.
    """

    def __init__(
        self,
        in_channels: int = 3,
        image_size: ImageSize = 256,
        num_classes: Annotated[int, Ge(0)] = 0,
        channel_base: Annotated[int, Ge(1)] = 32768,
        channel_max: Annotated[int, Ge(1)] = 512,
        num_fp16_res: Annotated[int, Ge(0)] = 0,
        conv_clamp: float | None = None,
        architecture: Architecture = "resnet",
        resample_filter: tuple[float, ...] = FILTER,
        mapping_layers: Annotated[int, Ge(1)] = 8,
        mbstd_group_size: Positive | None = 4,
        mbstd_num_channels: Annotated[int, Ge(0)] = 1,
        channels: tuple[Positive, ...] = (),
        mapping_features: Positive | None = None,
        mapping_rate: Annotated[float, Gt(0)] = 0.01,
        embed_features: Positive | None = None,
        cmap_dim: Positive | None = None,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.resolutions = resolutions(image_size)
        side = self.resolutions[-1]
        width = widths(self.resolutions, channel_base, channel_max, channels)
        for resolution in reversed(self.resolutions[1:]):
            block = DiscriminatorBlock(
                width[resolution] if resolution < side else 0,
                width[resolution],
                width[resolution // 2],
                in_channels,
                architecture,
                in_half_precision(resolution, side, num_fp16_res),
                conv_clamp,
                resample_filter,
            )
            self.add_module(f"b{resolution}", block)
        last = width[FIRST]
        self.projection = (cmap_dim or last) if num_classes else 0
        if num_classes:
            hidden = (embed_features, mapping_features, mapping_rate)
            self.mapping = Mapping(0, num_classes, self.projection, None, mapping_layers, *hidden, w_avg_beta=None)
        image_channels = in_channels if architecture == "skip" else 0
        self.b4 = Epilogue(last, self.projection or 1, image_channels, conv_clamp, mbstd_group_size, mbstd_num_channels)

    @classmethod
    def check(
        cls,
        image_size: ImageSize,
        channel_base: int,
        channel_max: int,
        mbstd_num_channels: int,
        num_fp16_res: int = 0,
        conv_clamp: float | None = None,
        channels: tuple[int, ...] = (),
    ) -> None:
        """Refuse sizes that are no power of two, widths of other sizes, and float16 without clamping."""
        last = widths(resolutions(image_size), channel_base, channel_max, channels)[FIRST]
        if mbstd_num_channels and last % mbstd_num_channels:
            raise OptionError("mbstd_num_channels", f"expected a divisor of the {last} channels at 4 px")
        if num_fp16_res and conv_clamp is None:
            raise OptionError("num_fp16_res", "float16 needs conv_clamp, such as 256")

    def forward(self, image: Tensor, c: Tensor | None = None) -> DiscriminatorOutput:
        """Return logits [B, 1] under the head `image`.

        Args:
            image: [B, C, S, S].
            c: one-hot classes [B, num_classes].
        """
        side = self.resolutions[-1]
        if tuple(image.shape[-2:]) != (side, side):
            raise ShapeError(f"expected images of {side} x {side} px, got {list(image.shape)}")
        x: Tensor | None = None
        rest: Tensor | None = image
        for resolution in reversed(self.resolutions[1:]):
            x, rest = self.get_submodule(f"b{resolution}")(x, rest)
        score = self.b4(x, rest)
        if self.num_classes:
            if c is None:
                raise ShapeError("this discriminator is conditional: it needs classes")
            embedding = self.mapping(None, c)
            score = (score * embedding).sum(1, keepdim=True) / math.sqrt(self.projection)
        return DiscriminatorOutput({"image": score})
