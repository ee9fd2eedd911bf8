"""The discriminator `pggan`: PGGAN's, which grows with the images."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge
from torch import Tensor, nn

from i2i import DiscriminatorOutput
from i2i.errors import ShapeError
from i2i.methods.growth import LATENT, Growing, blend, doublings, downsample
from i2i.nn.layers.initialization import Initialization, initialize
from i2i.nn.layers.spectral import SpectralConv2d, SpectralLinear
from i2i.nn.layers.stylegan2 import MinibatchDeviation
from i2i_twingan.blocks import SLOPE, width

WHOLE_BATCH = 4096
"""A group size that exceeds every usual batch: the deviation is of all its images, as in TwinGAN."""


class PGGAN(Growing, nn.Module):
    """Classifies whole images with one logit, at one of its sizes at a time.

    At size S: 1x1 convolution to w(S) channels; down to 8 px two convolutions, w(s) and w(s/2) channels, and average
    pooling; at 4 px the batch's deviation as a further channel, a convolution, one over all 4x4 pixels, and a linear
    layer. No norms; LeakyReLU after every convolution.

    Args:
        channels: w(4) without the upper bound; halved with each doubling of the size.
        max_channels: upper bound of w.
        spectral_norm: whether every weight is spectrally normalized.
        init: initialization of the weights.
        first_size: smallest size, set by the translator's first stage.
        image_size: largest size.
        in_channels: channels of the images.

    Source: Karras et al., PGGAN, ICLR 2018, arXiv:1710.10196, section 2 and 3; widths of TwinGAN, Li,
    arXiv:1809.00946.
    """

    def __init__(
        self,
        channels: Annotated[int, Ge(1)] = 1024,
        max_channels: Annotated[int, Ge(1)] = 256,
        spectral_norm: bool = False,
        init: Initialization = "normal",
        first_size: int = LATENT,
        image_size: int = 256,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        self.check(image_size, first_size)
        self.size, self.alpha = image_size, 1.0
        convolution = SpectralConv2d if spectral_norm else nn.Conv2d
        sizes, generated = doublings(LATENT, image_size), doublings(first_size, image_size)
        w = {size: width(size, channels, max_channels) for size in sizes}

        def conv(in_channels: int, out_channels: int, kernel_size: int, padding: int) -> nn.Sequential:
            layer = convolution(in_channels, out_channels, kernel_size, padding=padding)
            return nn.Sequential(layer, nn.LeakyReLU(SLOPE))

        self.from_rgb = nn.ModuleDict({str(s): conv(in_channels, w[s], 1, 0) for s in generated})
        self.down = nn.ModuleDict(
            {str(s): nn.Sequential(conv(w[s], w[s], 3, 1), conv(w[s], w[s // 2], 3, 1)) for s in sizes[1:]}
        )
        last = w[LATENT]
        self.deviation = MinibatchDeviation(WHOLE_BATCH)
        self.base = nn.Sequential(conv(last + 1, last, 3, 1), conv(last, last, LATENT, 0))
        self.discriminator = (SpectralLinear if spectral_norm else nn.Linear)(last, 1)
        initialize(self, init)

    def forward(self, image: Tensor) -> DiscriminatorOutput:
        size = self.size
        if image.shape[-2:] != (size, size):
            raise ShapeError(f"pggan: expected images of {size} x {size} px at this step, got {list(image.shape)}")
        x = self.from_rgb[str(size)](image)
        while size > LATENT:
            x = downsample(self.down[str(size)](x))
            if size == self.size and self.alpha < 1:
                x = blend(self.from_rgb[str(size // 2)](downsample(image)), x, self.alpha)
            size //= 2
        x = self.base(self.deviation(x))
        return DiscriminatorOutput({"image": self.discriminator(x.flatten(1))})
