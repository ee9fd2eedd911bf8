"""BigGAN: generator and discriminator for classes, with spectral norm and self-attention."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Annotated, Literal

import torch
from annotated_types import Ge
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.core.bounds import ImageSize, square_side
from i2i.core.contracts import DiscriminatorOutput
from i2i.errors import OptionError, ShapeError
from i2i_stylegan.biggan_layers import (
    AffineBatchNorm,
    ClassEmbedding,
    ConditionalBatchNorm,
    SelfAttention,
    SNConv2d,
    SNEmbedding,
    SNLinear,
    set_iterations,
)

GENERATOR: dict[int, tuple[int, ...]] = {
    32: (4, 4, 4, 4),
    64: (16, 16, 8, 4, 2),
    128: (16, 16, 8, 4, 2, 1),
    256: (16, 16, 8, 8, 4, 2, 1),
    512: (16, 16, 8, 8, 4, 2, 1, 1),
}
"""Channels before and after each block, as multiples of `channels`, by the side of the images."""
DISCRIMINATOR: dict[int, tuple[tuple[int, ...], tuple[int, ...]]] = {
    32: ((4, 4, 4, 4), (16, 8, 8, 8)),
    64: ((1, 2, 4, 8, 16), (32, 16, 8, 4, 4)),
    128: ((1, 2, 4, 8, 16, 16), (64, 32, 16, 8, 4, 4)),
    256: ((1, 2, 4, 8, 8, 16, 16), (128, 64, 32, 16, 8, 4, 4)),
}
"""Channels after each block, as multiples of `channels`, and the side after it."""
OUTPUT_EPS = 1e-5
"""Added to the variance by the generator's last batch norm, whatever the others add, as in the official code."""
ATTENTION_SIDES_OF_32 = 16
"""The official table names this side for all blocks of the discriminator for 32 px."""


class GeneratorBlock(nn.Module):
    """Two convolutions after conditional batch norms, with doubling, and a shortcut."""

    def __init__(
        self, inputs: int, outputs: int, linear: Callable[[int], nn.Module], eps: float, spectral_eps: float
    ) -> None:
        super().__init__()
        self.conv1 = SNConv2d(inputs, outputs, 3, eps=spectral_eps)
        self.conv2 = SNConv2d(outputs, outputs, 3, eps=spectral_eps)
        self.conv_sc = SNConv2d(inputs, outputs, 1, eps=spectral_eps)
        self.bn1 = ConditionalBatchNorm(inputs, linear, eps)
        self.bn2 = ConditionalBatchNorm(outputs, linear, eps)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        h = F.interpolate(F.relu(self.bn1(x, y)), scale_factor=2)
        h = self.conv2(F.relu(self.bn2(self.conv1(h), y)))
        return h + self.conv_sc(F.interpolate(x, scale_factor=2))


class BigGANGenerator(nn.Module):
    """BigGAN's generator: hierarchical latent codes and an embedding of the class.

    A hierarchical code is cut into equal chunks, the first for the linear layer, one for each block.

    Args:
        out_channels: channels of the images.
        image_size: 32, 64, 128, 256 or 512 px.
        num_classes: number of classes, at least 1.
        channels: unit of the numbers of channels.
        z_dim: numbers in a latent code.
        shared_dim: numbers in the embedding of a class, from which linear layers compute the scales and shifts of all
            batch norms; 0 for an embedding in each batch norm instead, as in SAGAN, without hierarchical codes.
        attention: sides of the features that get self-attention.
        bn_eps: added to the variance by the batch norms of blocks.
        sn_eps: of the spectral norm.
        hierarchical: whether the code is cut; otherwise the linear layer gets all of it, and blocks the class only.
        sn_iterations: power iterations of the spectral norm in each forward pass of training.

    Source: Brock et al., ICLR 2019, arXiv:1809.11096; ajbrock/BigGAN-PyTorch 9845943.
    """

    def __init__(
        self,
        out_channels: int = 3,
        image_size: ImageSize = 128,
        num_classes: Annotated[int, Ge(1)] = 1000,
        channels: Annotated[int, Ge(1)] = 96,
        z_dim: Annotated[int, Ge(1)] = 120,
        shared_dim: Annotated[int, Ge(0)] = 128,
        attention: tuple[int, ...] = (64,),
        bn_eps: float = 1e-5,
        sn_eps: float = 1e-6,
        hierarchical: bool = True,
        sn_iterations: Annotated[int, Ge(1)] = 1,
    ) -> None:
        super().__init__()
        self.check(image_size, channels, attention, shared_dim, hierarchical)
        widths = [channels * factor for factor in GENERATOR[square_side(image_size)]]
        chunks = len(widths) if hierarchical else 1
        self.chunk = z_dim // chunks
        self.z_dim = self.chunk * chunks
        linear: Callable[[int], nn.Module] = partial(ClassEmbedding, num_classes)
        self.shared: nn.Module = nn.Identity()
        if shared_dim:
            self.shared = ClassEmbedding(num_classes, shared_dim)
            condition = shared_dim + (self.chunk if hierarchical else 0)
            linear = partial(SNLinear, condition, bias=False, eps=sn_eps)
        self.linear = SNLinear(self.chunk, widths[0] * 16, eps=sn_eps)
        self.blocks = nn.ModuleList()
        for index, (inputs, outputs) in enumerate(pairwise(widths)):
            stage: list[nn.Module] = [GeneratorBlock(inputs, outputs, linear, bn_eps, sn_eps)]
            if 8 << index in attention:
                stage.append(SelfAttention(outputs, sn_eps))
            self.blocks.append(nn.ModuleList(stage))
        output = [AffineBatchNorm(widths[-1], OUTPUT_EPS), nn.ReLU(), SNConv2d(widths[-1], out_channels, 3, eps=sn_eps)]
        self.output_layer = nn.Sequential(*output)
        set_iterations(self, sn_iterations)

    @classmethod
    def check(
        cls,
        image_size: ImageSize,
        channels: int,
        attention: tuple[int, ...],
        shared_dim: int = 128,
        hierarchical: bool = True,
    ) -> None:
        """Refuse sizes that the method has no table for, attention on fewer than 8 channels, and codes without use."""
        if hierarchical and not shared_dim:
            raise OptionError("shared_dim", "hierarchical codes need at least 1, got 0; or set hierarchical = false")
        side = square_side(image_size)
        if side not in GENERATOR:
            raise OptionError("image_size", f"expected one of {', '.join(map(str, GENERATOR))} px, got {side}")
        for index, factor in enumerate(GENERATOR[side][1:]):
            if 8 << index in attention and factor * channels < 8:
                raise OptionError("attention", f"needs 8 channels at {8 << index} px, got {factor * channels}")

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Return images [B, C, S, S] for latent codes [B, z_dim] and one-hot classes [B, num_classes]."""
        if c is None:
            raise ShapeError("BigGAN generates images of classes: set translator.conditional = true")
        first, *chunks = z.split(self.chunk, 1)
        embedded = self.shared(c)
        conditions = [torch.cat([embedded, chunk], 1) for chunk in chunks] or [embedded] * len(self.blocks)
        x = self.linear(first).view(z.shape[0], -1, 4, 4)
        for stage, condition in zip(self.blocks, conditions, strict=True):
            block, *rest = stage  # type: ignore[misc]
            x = block(x, condition)
            for layer in rest:
                x = layer(x)
        return torch.tanh(self.output_layer(x))


class DiscriminatorBlock(nn.Module):
    """Two convolutions, halving by averages, and a shortcut."""

    def __init__(self, inputs: int, outputs: int, down: bool, first: bool, wide: bool, eps: float) -> None:
        super().__init__()
        self.down, self.first = down, first
        hidden = outputs if wide else inputs
        self.conv1 = SNConv2d(inputs, hidden, 3, eps=eps)
        self.conv2 = SNConv2d(hidden, outputs, 3, eps=eps)
        self.conv_sc = SNConv2d(inputs, outputs, 1, eps=eps) if inputs != outputs or down else None

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv2(F.relu(self.conv1(x if self.first else F.relu(x))))
        h = F.avg_pool2d(h, 2) if self.down else h
        if self.first and self.down:
            x = F.avg_pool2d(x, 2)
        x = x if self.conv_sc is None else self.conv_sc(x)
        if not self.first and self.down:
            x = F.avg_pool2d(x, 2)
        return h + x


class BigGANDiscriminator(nn.Module):
    """BigGAN's discriminator: residual blocks, a sum over all pixels, and projection on the class.

    Args:
        in_channels: channels of the images.
        image_size: 32, 64, 128 or 256 px.
        num_classes: number of classes, at least 1.
        channels: unit of the numbers of channels.
        attention: sides of the features that get self-attention.
        sn_eps: of the spectral norm.
        sn_iterations: power iterations of the spectral norm in each forward pass of training.
        wide: whether a block's first convolution has as many outputs as the second; otherwise as many as its inputs,
            as in SN-GAN.

    Source: Brock et al., ICLR 2019, arXiv:1809.11096; projection: Miyato and Koyama, ICLR 2018, arXiv:1802.05637.
    """

    def __init__(
        self,
        in_channels: int = 3,
        image_size: ImageSize = 128,
        num_classes: Annotated[int, Ge(1)] = 1000,
        channels: Annotated[int, Ge(1)] = 96,
        attention: tuple[int, ...] = (64,),
        sn_eps: float = 1e-6,
        sn_iterations: Annotated[int, Ge(1)] = 1,
        wide: bool = True,
    ) -> None:
        super().__init__()
        self.check(image_size, channels, attention)
        side = square_side(image_size)
        factors, sides = DISCRIMINATOR[side]
        widths = [in_channels, *(channels * factor for factor in factors)]
        self.blocks = nn.ModuleList()
        for index, size in enumerate(sides):
            down = size < (side if index == 0 else sides[index - 1])
            block = DiscriminatorBlock(widths[index], widths[index + 1], down, index == 0, wide, sn_eps)
            stage: list[nn.Module] = [block]
            if (ATTENTION_SIDES_OF_32 if side == 32 else size) in attention:
                stage.append(SelfAttention(widths[index + 1], sn_eps))
            self.blocks.append(nn.ModuleList(stage))
        self.linear = SNLinear(widths[-1], 1, eps=sn_eps)
        self.embed = SNEmbedding(num_classes, widths[-1], eps=sn_eps)
        set_iterations(self, sn_iterations)

    @classmethod
    def check(cls, image_size: ImageSize, channels: int, attention: tuple[int, ...]) -> None:
        """Refuse sizes that the method has no table for, and attention on fewer than 8 channels."""
        side = square_side(image_size)
        if side not in DISCRIMINATOR:
            raise OptionError("image_size", f"expected one of {', '.join(map(str, DISCRIMINATOR))} px, got {side}")
        factors, sides = DISCRIMINATOR[side]
        for factor, size in zip(factors, sides, strict=True):
            if (ATTENTION_SIDES_OF_32 if side == 32 else size) in attention and factor * channels < 8:
                raise OptionError("attention", f"needs 8 channels at {size} px, got {factor * channels}")

    def forward(self, image: Tensor, c: Tensor | None = None) -> DiscriminatorOutput:
        """Return logits [B, 1] under the head `image`, for images and one-hot classes [B, num_classes]."""
        if c is None:
            raise ShapeError("this discriminator is conditional: set translator.conditional = true")
        x = image
        for stage in self.blocks:
            for layer in stage:  # type: ignore[attr-defined]
                x = layer(x)
        x = F.relu(x).sum((2, 3))
        score: Tensor = self.linear(x) + (self.embed(c) * x).sum(1, keepdim=True)
        return DiscriminatorOutput({"image": score})


class Orthogonal(nn.Module):
    r"""Orthogonal regularization of the generator's weights: inner products of different filters should be 0.

    .. math:: \frac{\beta}{2} \sum_W \lVert W W^T \odot (1 - I) \rVert_F^2

    Args:
        strength: beta; 1e-4 in the paper.
        kind: `modified` as above; `full` penalizes the distance of :math:`W W^T` from the identity.

    Source: Brock et al., ICLR 2019, arXiv:1809.11096, equation 3; the gradient is that of ajbrock/BigGAN-PyTorch.
    """

    def __init__(self, strength: float = 1e-4, kind: Literal["modified", "full"] = "modified") -> None:
        super().__init__()
        self.strength, self.kind = strength, kind

    def generator(self, generator_weights: tuple[Tensor, ...]) -> Tensor:
        """Compute the penalty of weights, each taken as a matrix of its first axis by the rest."""
        return torch.stack([self.of(weight) for weight in generator_weights]).sum()

    def of(self, weight: Tensor) -> Tensor:
        """Compute the penalty of one weight."""
        matrix = weight.flatten(1)
        product = matrix @ matrix.t()
        eye = torch.eye(len(product), dtype=product.dtype, device=product.device)
        off = product * (1 - eye) if self.kind == "modified" else product - eye
        return self.strength / 2 * off.square().sum()
