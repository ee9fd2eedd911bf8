"""DRIT's networks of both domains as one generator: encoders of content and attribute, and decoders."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field
from torch import Tensor, nn

import i2i
from i2i.core.bounds import Count, Positive
from i2i.core.kinds import ACTIVATION, NORM
from i2i.nn.generators.blocks import ResidualBlock, check_image, check_image_size
from i2i.nn.layers.initialization import Initialization, initialize
from i2i_drit.attribute_encoders import SMALLEST, Attribute, GaussianAttributeEncoder, PlainAttributeEncoder
from i2i_drit.content_encoder import HALVINGS, ContentEncoder
from i2i_drit.decoders import ConcatDecoder, ShapeDecoder

MULTIPLE = 2**HALVINGS
DOMAINS = ("a", "b")


class DisentanglingGenerator(nn.Module):
    """What both of the paper's generators share: an image of either domain is a content and an attribute.

    Args:
        content_encoder, attribute_encoders: the latter by domain.
        decoders: by domain.
        shared: blocks of the decoders, before all others, that both domains share.
    """

    fixed_size: ClassVar[int | None] = None
    multiple: ClassVar[int] = MULTIPLE

    def __init__(
        self,
        content_encoder: ContentEncoder,
        attribute_encoders: dict[str, nn.Module],
        decoders: dict[str, nn.Module],
        shared: list[nn.Module],
        attribute_channels: int,
        init: Initialization,
        attribute_init: Initialization | None,
    ) -> None:
        super().__init__()
        self.attribute_channels, self.num_features = attribute_channels, content_encoder.num_features
        self.content_encoder = content_encoder
        self.attribute_encoders = nn.ModuleDict(attribute_encoders)
        self.decoders = nn.ModuleDict({"shared": nn.Sequential(*shared), **decoders})
        starts = {self.attribute_encoders: attribute_init or init, self.content_encoder: init, self.decoders: init}
        for part, how in starts.items():
            for module in part.modules():
                if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                    initialize(module, how)  # linear layers keep their own start

    @classmethod
    def check(cls, image_size: int) -> None:
        """Refuses an image side that cannot be halved so often."""
        check_image_size(image_size, MULTIPLE, SMALLEST)

    def encode_content(self, image: Tensor, domain: str) -> Tensor:
        """Content [B, num_features, H/4, W/4] of a domain's images [B, 3, H, W], without noise."""
        check_image(image, multiple=MULTIPLE, smallest=SMALLEST)
        content: Tensor = self.content_encoder(image, domain)
        return content

    def encode_attribute(self, image: Tensor, domain: str) -> Attribute:
        """Attributes [B, attribute_channels] of a domain's images [B, 3, H, W]."""
        check_image(image, multiple=MULTIPLE, smallest=SMALLEST)
        attribute: Attribute = self.attribute_encoders[domain](image)
        return attribute

    def decode(self, content: Tensor, attribute: Tensor, domain: str) -> Tensor:
        """A domain's images [B, 3, H, W] in [-1, 1] of contents of either domain and attributes of this one."""
        image: Tensor = self.decoders[domain](self.decoders["shared"](content), attribute)
        return image

    def forward(self, image: Tensor, domain: str = "a") -> i2i.GeneratorOutput:
        """A domain's images painted again, of their own content and attribute."""
        attribute = self.encode_attribute(image, domain)
        return i2i.GeneratorOutput(self.decode(self.encode_content(image, domain), attribute.mean, domain))


class ConcatGenerator(DisentanglingGenerator):
    """Attributes go beside the features of every stage (`concat = 1`): for changes of look, such as of season.

    Args:
        channels: after the first convolution of either encoder.
        blocks: residual blocks of each domain in the content encoder.
        shared_blocks: those that both domains share, the encoder's last and the decoder's first.
        decoder_blocks: residual blocks of each domain in the decoder.
        attribute_channels: numbers in an attribute.
        norm: of the content encoder and of the decoder's residual blocks.
        upsample_norm: of the doublings.
        attribute_activation: of the attribute encoder.
        init: how the convolutions' weights start.
        attribute_init: how those of the attribute encoders do, which have no norms to set their scale; as the others
            where none is said.

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
    ) -> None:
        content = ContentEncoder(DOMAINS, channels, blocks, shared_blocks, norm, activation)
        width = content.num_features
        super().__init__(
            content,
            {one: GaussianAttributeEncoder(channels, attribute_channels, attribute_activation) for one in DOMAINS},
            {
                one: ConcatDecoder(width, attribute_channels, decoder_blocks, norm, upsample_norm, activation)
                for one in DOMAINS
            },
            [ResidualBlock(width, norm, activation, bias=True) for _ in range(shared_blocks)],
            attribute_channels,
            init,
            attribute_init,
        )


class ShapeGenerator(DisentanglingGenerator):
    """Attributes transform the features of every block (`concat = 0`): for changes of form, such as cats to dogs.

    Args:
        channels: after the first convolution of either encoder.
        blocks: residual blocks of each domain in the content encoder.
        shared_blocks: those of the content encoder that both domains share, its last; the decoders share none.
        decoder_blocks: transformed blocks in the decoder.
        attribute_channels: numbers in an attribute.
        mlp_channels: width of the layers between an attribute and the blocks' vectors.
        norm: of the content encoder and of the decoder's blocks.
        upsample_norm: of the doublings.
        attribute_activation: of the attribute encoder.
        init: how the convolutions' weights start.
        attribute_init: how those of the attribute encoders do, which have no norms to set their scale; as the others
            where none is said.

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
    ) -> None:
        content = ContentEncoder(DOMAINS, channels, blocks, shared_blocks, norm, activation)
        width = content.num_features
        super().__init__(
            content,
            {one: PlainAttributeEncoder(channels, attribute_channels, attribute_activation) for one in DOMAINS},
            {
                one: ShapeDecoder(
                    width, attribute_channels, decoder_blocks, mlp_channels, norm, upsample_norm, activation
                )
                for one in DOMAINS
            },
            [],
            attribute_channels,
            init,
            attribute_init,
        )
