"""The generators `drit_concat` and `drit_shape`: encoders of contents and attributes, and decoders, of both domains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field
from torch import Tensor, nn

import i2i
from i2i.core.bounds import Count, ImageSize, Positive
from i2i.core.kinds import ACTIVATION, NORM
from i2i.nn.generators.blocks import ResidualBlock, check_image, check_image_size
from i2i.nn.layers.initialization import Initialization, initialize
from i2i_drit.decoders import ConcatDecoder, ShapeDecoder
from i2i_drit.encoders import (
    DOWNSAMPLINGS,
    SMALLEST,
    Attribute,
    ContentEncoder,
    GaussianAttributeEncoder,
    PlainAttributeEncoder,
)

MULTIPLE = 2**DOWNSAMPLINGS
DOMAINS = ("a", "b")


class DisentanglingGenerator(nn.Module):
    """Base of both generators: encodes an image of either domain as a content and an attribute, and decodes them.

    Args:
        channels: channels of the images, by domain.
        content_encoder: encoder of contents, for both domains.
        attribute_encoders: encoders of attributes, by domain.
        decoders: decoders, by domain.
        shared: first blocks of the decoders, which both domains share.
        attribute_channels: size A of an attribute.
        init: initialization of the convolutions' weights; linear layers keep torch's.
        attribute_init: initialization of the attribute encoders' convolutions; None is `init`.
    """

    fixed_size: ClassVar[int | None] = None
    multiple: ClassVar[int] = MULTIPLE

    def __init__(
        self,
        channels: Mapping[str, int],
        content_encoder: ContentEncoder,
        attribute_encoders: dict[str, nn.Module],
        decoders: dict[str, nn.Module],
        shared: list[nn.Module],
        attribute_channels: int,
        init: Initialization,
        attribute_init: Initialization | None,
    ) -> None:
        super().__init__()
        self.channels = dict(channels)
        self.attribute_channels, self.num_features = attribute_channels, content_encoder.num_features
        self.content_encoder = content_encoder
        self.attribute_encoders = nn.ModuleDict(attribute_encoders)
        self.decoders = nn.ModuleDict({"shared": nn.Sequential(*shared), **decoders})
        parts = {self.attribute_encoders: attribute_init or init, self.content_encoder: init, self.decoders: init}
        for part, part_init in parts.items():
            for module in part.modules():
                if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                    initialize(module, part_init)

    @classmethod
    def check(cls, image_size: ImageSize) -> None:
        """Refuse image sides that are too small or no multiple of 4."""
        check_image_size(image_size, MULTIPLE, SMALLEST)

    def encode_content(self, image: Tensor, domain: str) -> Tensor:
        """Return the contents [B, num_features, H/4, W/4] of a domain's images [B, C, H, W], without noise."""
        check_image(image, multiple=MULTIPLE, smallest=SMALLEST, channels=self.channels[domain])
        content: Tensor = self.content_encoder(image, domain)
        return content

    def encode_attribute(self, image: Tensor, domain: str) -> Attribute:
        """Return the attributes [B, attribute_channels] of a domain's images [B, C, H, W]."""
        check_image(image, multiple=MULTIPLE, smallest=SMALLEST, channels=self.channels[domain])
        attribute: Attribute = self.attribute_encoders[domain](image)
        return attribute

    def decode(self, content: Tensor, attribute: Tensor, domain: str) -> Tensor:
        """Return a domain's images [B, C, H, W] in [-1, 1], of contents of either domain and attributes of this one."""
        image: Tensor = self.decoders[domain](self.decoders["shared"](content), attribute)
        return image

    def forward(self, image: Tensor, domain: str = "a") -> i2i.GeneratorOutput:
        """Reconstruct a domain's images from their own content and attribute."""
        attribute = self.encode_attribute(image, domain)
        return i2i.GeneratorOutput(self.decode(self.encode_content(image, domain), attribute.mean, domain))


class ConcatGenerator(DisentanglingGenerator):
    """DRIT's generator with attributes concatenated to the features of every stage (`concat = 1`).

    It suits changes of appearance, such as of season.

    Args:
        channels: channels after the first convolution of both encoders.
        blocks: number of residual blocks of each domain in the content encoder.
        shared_blocks: number of blocks that the domains share, last in the encoder and first in the decoder.
        decoder_blocks: number of residual blocks of each domain in the decoder.
        attribute_channels: size of an attribute.
        norm: norm of the content encoder and of the decoder's residual blocks.
        upsample_norm: norm of the upsampling layers.
        activation: activation of the content encoder and the decoder.
        attribute_activation: activation of the attribute encoder.
        init: initialization of the convolutions' weights.
        attribute_init: initialization of the attribute encoder's convolutions, which have no norms that would set their
            scale; None is `init`.
        in_channels: channels of a's images.
        out_channels: channels of b's images.

    Source: Lee et al., DRIT, ECCV 2018, arXiv:1808.00948; layers as in the reference, HsinYingLee/DRIT.
    """

    def __init__(
        self,
        channels: Positive = 64,
        blocks: Count = 3,
        shared_blocks: Count = 1,
        decoder_blocks: Count = 3,
        attribute_channels: Positive = 8,
        norm: i2i.Factory[i2i.Norm] = NORM("in"),
        upsample_norm: i2i.Factory[i2i.Norm] = NORM("ln"),
        activation: i2i.Factory[i2i.Activation] = ACTIVATION("relu"),
        attribute_activation: i2i.Factory[i2i.Activation] = ACTIVATION("leaky_relu", negative_slope=0.2),
        init: Initialization = "normal",
        attribute_init: Initialization | None = None,
        in_channels: Positive = 3,
        out_channels: Positive = 3,
    ) -> None:
        sizes = dict(zip(DOMAINS, (in_channels, out_channels), strict=True))
        content = ContentEncoder(sizes, channels, blocks, shared_blocks, norm, activation)
        width = content.num_features
        super().__init__(
            sizes,
            content,
            {
                d: GaussianAttributeEncoder(channels, attribute_channels, attribute_activation, c)
                for d, c in sizes.items()
            },
            {
                d: ConcatDecoder(width, attribute_channels, decoder_blocks, norm, upsample_norm, activation, c)
                for d, c in sizes.items()
            },
            [ResidualBlock(width, norm, activation, bias=True) for _ in range(shared_blocks)],
            attribute_channels,
            init,
            attribute_init,
        )


class ShapeGenerator(DisentanglingGenerator):
    """DRIT's generator with attributes that transform the features of every block (`concat = 0`).

    It suits changes of shape, such as from cats to dogs.

    Args:
        channels: channels after the first convolution of both encoders.
        blocks: number of residual blocks of each domain in the content encoder.
        shared_blocks: number of last blocks of the content encoder that the domains share; the decoders share none.
        decoder_blocks: number of transformed blocks in the decoder.
        attribute_channels: size of an attribute.
        mlp_channels: width of the hidden layers between an attribute and the blocks' vectors.
        norm: norm of the content encoder and of the decoder's blocks.
        upsample_norm: norm of the upsampling layers.
        activation: activation of the content encoder and the decoder.
        attribute_activation: activation of the attribute encoder.
        init: initialization of the convolutions' weights.
        attribute_init: initialization of the attribute encoder's convolutions, which have no norms that would set their
            scale; None is `init`.
        in_channels: channels of a's images.
        out_channels: channels of b's images.

    Source: Lee et al., DRIT, ECCV 2018, arXiv:1808.00948; layers as in the reference, HsinYingLee/DRIT.
    """

    def __init__(
        self,
        channels: Positive = 64,
        blocks: Count = 3,
        shared_blocks: Count = 1,
        decoder_blocks: Annotated[int, Field(ge=1)] = 4,
        attribute_channels: Positive = 8,
        mlp_channels: Positive = 256,
        norm: i2i.Factory[i2i.Norm] = NORM("in"),
        upsample_norm: i2i.Factory[i2i.Norm] = NORM("ln"),
        activation: i2i.Factory[i2i.Activation] = ACTIVATION("relu"),
        attribute_activation: i2i.Factory[i2i.Activation] = ACTIVATION("relu"),
        init: Initialization = "normal",
        attribute_init: Initialization | None = None,
        in_channels: Positive = 3,
        out_channels: Positive = 3,
    ) -> None:
        sizes = dict(zip(DOMAINS, (in_channels, out_channels), strict=True))
        content = ContentEncoder(sizes, channels, blocks, shared_blocks, norm, activation)
        width = content.num_features
        super().__init__(
            sizes,
            content,
            {d: PlainAttributeEncoder(channels, attribute_channels, attribute_activation, c) for d, c in sizes.items()},
            {
                d: ShapeDecoder(
                    width, attribute_channels, decoder_blocks, mlp_channels, norm, upsample_norm, activation, c
                )
                for d, c in sizes.items()
            },
            [],
            attribute_channels,
            init,
            attribute_init,
        )
