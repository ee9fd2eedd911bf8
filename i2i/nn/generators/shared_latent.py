"""UNIT's generator: an autoencoder whose latent has the same meaning in every domain."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from i2i.core.bounds import Count, ImageSize, Positive
from i2i.core.contracts import Activation, GeneratorOutput, Norm
from i2i.core.factory import Factory
from i2i.core.kinds import ACTIVATION, NORM
from i2i.nn.generators.blocks import Encoder, ImageDecoder, ResidualBlock, check_image, check_image_size
from i2i.nn.layers.initialization import Initialization, initialize


class SharedLatent(nn.Module):
    r"""Encoder and decoder of one domain.

    The encoder computes the mean h of :math:`q(z|x) = N(h, I)`; the training method adds the noise. To translate to
    another domain is to decode with that domain's generator.

    Args:
        channels: channels after the first convolution; doubled by each one of stride 2.
        downsamplings: number of halvings in the encoder and of doublings in the decoder.
        blocks: number of residual blocks of the encoder, and as many of the decoder.
        norm: factory of the norms of the encoder and of the decoder's residual blocks.
        upsample_norm: factory of the doublings' norms.
        activation: factory of all activations.
        init: initialization of the weights, without those of norms; see `i2i.nn.layers.initialization.initialize`.
        in_channels: channels of the input images.
        out_channels: channels of the generated images.

    Source: Liu et al., UNIT, NIPS 2017, arXiv:1703.00848; as the code computes it: mingyuliutw/UNIT 28d5982, `VAEGen`,
    which has unit variance and no layers that two domains share.
    """

    fixed_size: int | None = None

    def __init__(
        self,
        channels: Positive = 64,
        downsamplings: Annotated[int, Field(ge=1)] = 2,
        blocks: Count = 4,
        norm: Factory[Norm] = NORM("in"),
        upsample_norm: Factory[Norm] = NORM("ln", unbiased=True, eps_on="std", init="uniform"),
        activation: Factory[Activation] = ACTIVATION("relu"),
        init: Initialization = "kaiming",
        in_channels: Positive = 3,
        out_channels: Positive = 3,
    ) -> None:
        super().__init__()
        self.multiple = 2**downsamplings
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
        self.decoder = nn.ModuleList(ResidualBlock(width, norm, activation, bias=True) for _ in range(blocks))
        self.image_decoder = ImageDecoder(
            channels, upsample_norm, activation, True, "nearest", downsamplings, up_kernel=5, out_channels=out_channels
        )
        initialize(self, init, norms=False)

    @classmethod
    def check(cls, image_size: ImageSize, downsamplings: int) -> None:
        """Refuse an image size that cannot be halved so often."""
        check_image_size(image_size, 2**downsamplings, 2 * 2**downsamplings)

    def encode(self, image: Tensor) -> Tensor:
        """Encode the latent's mean [B, C, h, w] of images [B, 3, H, W]."""
        check_image(image, multiple=self.multiple, smallest=2 * self.multiple, channels=self.encoder.in_channels)
        latent: Tensor = self.encoder(image)
        return latent

    def decode(self, latent: Tensor) -> Tensor:
        """Decode images [B, 3, H, W] of latents [B, C, h, w], of any domain."""
        for block in self.decoder:
            latent = block(latent)
        image: Tensor = self.image_decoder(latent)
        return image

    def forward(self, image: Tensor) -> GeneratorOutput:
        """Reconstruct images of this generator's domain."""
        return GeneratorOutput(self.decode(self.encode(image)))
