"""MUNIT's generator: content encoder, style encoder, and a decoder whose norms take the style."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from i2i.core.bounds import ImageSize, Positive
from i2i.core.contracts import Activation, AdaptiveNorm, GeneratorOutput, Norm
from i2i.core.factory import Factory
from i2i.core.kinds import ACTIVATION, ADAPTIVE_NORM, NORM
from i2i.nn.generators.blocks import AdaptiveResidualBlock, Encoder, ImageDecoder, check_image, check_image_size
from i2i.nn.layers.convolution import ConvBlock
from i2i.nn.layers.initialization import Initialization, initialize
from i2i.nn.layers.spectral import Conv2d


class StyleEncoder(nn.Module):
    """Encoder from an image [B, 3, H, W] to its style code [B, style_channels].

    It has no norms, which would remove the statistics that a style consists of.

    Args:
        channels: channels after the first convolution; doubled by the first two of stride 2, kept by the others.
        style_channels: numbers in a style code.
        downsamplings: number of convolutions of stride 2.
        activation: factory of the activations.
        in_channels: channels of the image.
    """

    def __init__(
        self,
        channels: int,
        style_channels: int,
        downsamplings: int,
        activation: Factory[Activation],
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        self.stem = ConvBlock(in_channels, channels, 7, padding=3, activation=activation)
        widths = [channels * min(2**depth, 4) for depth in range(downsamplings + 1)]
        self.down = nn.ModuleList(
            ConvBlock(before, after, 4, 2, 1, activation=activation) for before, after in pairwise(widths)
        )
        self.head = Conv2d(widths[-1], style_channels, 1)

    def forward(self, image: Tensor) -> Tensor:
        x: Tensor = self.stem(image)
        for block in self.down:
            x = block(x)
        code: Tensor = self.head(x.mean((2, 3), keepdim=True))
        return code.flatten(1)


class StyleMLP(nn.Module):
    """Map a style code [B, style_channels] to the gamma and beta [B, C] of every adaptive norm.

    The last layer's outputs are, norm after norm, first the C betas (means), then the C gammas (standard deviations).

    Args:
        style_channels: numbers in a style code.
        hidden: width of the two hidden layers.
        norms: number of norms.
        num_features: C.
        activation: factory of the activation.
    """

    def __init__(
        self, style_channels: int, hidden: int, norms: int, num_features: int, activation: Factory[Activation]
    ) -> None:
        super().__init__()
        self.norms, self.num_features = norms, num_features
        widths = (style_channels, hidden, hidden, 2 * norms * num_features)
        self.layers = nn.ModuleList(nn.Linear(before, after) for before, after in pairwise(widths))
        self.activation = activation()

    def forward(self, style: Tensor) -> list[tuple[Tensor, Tensor]]:
        first, second, last = self.layers
        numbers = last(self.activation(second(self.activation(first(style)))))
        pairs = numbers.unflatten(1, (self.norms, 2, self.num_features))
        return [(gamma, beta) for beta, gamma in (pair.unbind(1) for pair in pairs.unbind(1))]


class ContentStyle(nn.Module):
    """Encoders and decoder of one domain, which represent an image by its content and a style code.

    To translate to another domain is to decode the content with that domain's generator and one of its styles.

    Args:
        channels: channels after the first convolution of either encoder.
        downsamplings: number of halvings in the content encoder.
        blocks: number of residual blocks of the content encoder, and as many of the decoder.
        style_channels: numbers in a style code.
        style_downsamplings: number of halvings in the style encoder.
        mlp_channels: hidden width of the layers from style to gamma and beta.
        norm: factory of the content encoder's norms.
        decoder_norm: factory of the norms of the decoder's residual blocks.
        upsample_norm: factory of the doublings' norms; layer norm keeps the statistics of a style, which instance norm
            would remove.
        activation: factory of all activations.
        init: initialization of the weights, without those of norms; see `i2i.nn.layers.initialization.initialize`.
        in_channels: channels of the input images.
        out_channels: channels of the generated images.

    Source: Huang et al., MUNIT, ECCV 2018, arXiv:1804.04732, section 5.1 and appendix B; NVlabs/MUNIT a82e222,
    `AdaINGen`.
    """

    fixed_size: int | None = None

    def __init__(
        self,
        channels: Positive = 64,
        downsamplings: Annotated[int, Field(ge=1)] = 2,
        blocks: Annotated[int, Field(ge=1)] = 4,
        style_channels: Annotated[int, Field(ge=1)] = 8,
        style_downsamplings: Annotated[int, Field(ge=1)] = 4,
        mlp_channels: Annotated[int, Field(ge=1)] = 256,
        norm: Factory[Norm] = NORM("in"),
        decoder_norm: Factory[AdaptiveNorm] = ADAPTIVE_NORM("adain"),
        upsample_norm: Factory[Norm] = NORM("ln", unbiased=True, eps_on="std", init="uniform"),
        activation: Factory[Activation] = ACTIVATION("relu"),
        init: Initialization = "kaiming",
        in_channels: Positive = 3,
        out_channels: Positive = 3,
    ) -> None:
        super().__init__()
        self.style_channels = style_channels
        self.multiple = 2**downsamplings
        self.smallest = _smallest(downsamplings, style_downsamplings)
        width = channels * self.multiple
        self.encoder = Encoder(
            channels,
            blocks,
            norm,
            activation,
            True,
            "reflect",
            downsamplings=downsamplings,
            down_kernel=4,
            in_channels=in_channels,
        )
        self.style_encoder = StyleEncoder(channels, style_channels, style_downsamplings, activation, in_channels)
        self.mlp = StyleMLP(style_channels, mlp_channels, 2 * blocks, width, activation)
        self.decoder = nn.ModuleList(
            AdaptiveResidualBlock(width, decoder_norm, activation, bias=True) for _ in range(blocks)
        )
        self.image_decoder = ImageDecoder(
            channels, upsample_norm, activation, True, "nearest", downsamplings, up_kernel=5, out_channels=out_channels
        )
        initialize(self, init, norms=False)

    @classmethod
    def check(cls, image_size: ImageSize, downsamplings: int, style_downsamplings: int) -> None:
        """Refuse an image size that cannot be halved so often."""
        check_image_size(image_size, 2**downsamplings, _smallest(downsamplings, style_downsamplings))

    def encode_content(self, image: Tensor) -> Tensor:
        """Encode the content [B, C, h, w] of images [B, 3, H, W]."""
        check_image(image, multiple=self.multiple, smallest=self.smallest, channels=self.encoder.in_channels)
        content: Tensor = self.encoder(image)
        return content

    def encode_style(self, image: Tensor) -> Tensor:
        """Encode the style codes [B, style_channels] of images [B, 3, H, W]."""
        check_image(image, multiple=self.multiple, smallest=self.smallest, channels=self.encoder.in_channels)
        style: Tensor = self.style_encoder(image)
        return style

    def decode(self, content: Tensor, style: Tensor) -> Tensor:
        """Decode images [B, 3, H, W] of contents [B, C, h, w] of any domain and style codes of this one."""
        affine = self.mlp(style)
        for index, block in enumerate(self.decoder):
            content = block(content, *affine[2 * index], *affine[2 * index + 1])
        image: Tensor = self.image_decoder(content)
        return image

    def forward(self, image: Tensor) -> GeneratorOutput:
        """Reconstruct images of this generator's domain in their own styles."""
        return GeneratorOutput(self.decode(self.encode_content(image), self.encode_style(image)))


def _smallest(downsamplings: int, style_downsamplings: int) -> int:
    """Return the smallest side: reflection padding needs maps of two pixels, also in the style encoder."""
    return int(max(2 * 2**downsamplings, 2**style_downsamplings))
