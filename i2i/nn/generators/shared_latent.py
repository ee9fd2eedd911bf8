"""UNIT's generator: an auto-encoder whose latent has the same meaning in every domain."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from i2i.core.bounds import Count, Positive
from i2i.core.contracts import Activation, GeneratorOutput, Norm
from i2i.core.factory import Factory
from i2i.core.kinds import ACTIVATION, NORM
from i2i.nn.generators.blocks import Encoder, ImageDecoder, ResidualBlock, check_image, check_image_size
from i2i.nn.layers.initialization import Initialization, initialize


class SharedLatent(nn.Module):
    r"""The encoder and the decoder of one domain.

    The encoder gives the mean h of :math:`q(z|x) = N(h, I)`; whoever trains it adds the noise. Painting another
    domain means decoding with that domain's generator.

    Args:
        channels: after the first convolution; doubled by each one of stride 2.
        downsamplings: convolutions of stride 2, and doublings on the way back.
        blocks: residual blocks of the encoder, and as many of the decoder.
        norm: of the encoder and of the decoder's residual blocks.
        upsample_norm: of the doublings.
        init: how the weights start; norms keep their own start.

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
    ) -> None:
        super().__init__()
        self.multiple = 2**downsamplings
        width = channels * self.multiple
        self.encoder = Encoder(
            channels, blocks, norm, activation, True, "reflect", downsamplings=downsamplings, down_kernel=4
        )
        self.decoder = nn.ModuleList(ResidualBlock(width, norm, activation, bias=True) for _ in range(blocks))
        self.image_decoder = ImageDecoder(
            channels, upsample_norm, activation, True, "nearest", downsamplings, up_kernel=5
        )
        initialize(self, init, norms=False)

    @classmethod
    def check(cls, image_size: int, downsamplings: int) -> None:
        """Refuses an image side that cannot be halved so often."""
        check_image_size(image_size, 2**downsamplings, 2 * 2**downsamplings)

    def encode(self, image: Tensor) -> Tensor:
        """The latent's mean [B, C, h, w] of images [B, 3, H, W]."""
        check_image(image, multiple=self.multiple, smallest=2 * self.multiple)
        latent: Tensor = self.encoder(image)
        return latent

    def decode(self, latent: Tensor) -> Tensor:
        """Images [B, 3, H, W] of latents [B, C, h, w], of whichever domain they came from."""
        for block in self.decoder:
            latent = block(latent)
        image: Tensor = self.image_decoder(latent)
        return image

    def forward(self, image: Tensor) -> GeneratorOutput:
        """The image painted again in this generator's domain."""
        return GeneratorOutput(self.decode(self.encode(image)))
