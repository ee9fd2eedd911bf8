"""The multi-scale discriminator of UNIT and MUNIT."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.core.bounds import ImageSize, Positive, height_width
from i2i.core.contracts import Activation, DiscriminatorOutput, Norm
from i2i.core.factory import Factory
from i2i.core.kinds import ACTIVATION
from i2i.errors import OptionError, ShapeError
from i2i.nn.layers.convolution import ConvBlock
from i2i.nn.layers.initialization import Initialization, initialize
from i2i.nn.layers.spectral import Padding, SpectralConv2d


class Scale(nn.Module):
    """Convolutions of stride 2 whose channels double, then a 1x1 convolution to the logit of each patch.

    The arguments are those of `Multiscale`.
    """

    def __init__(
        self,
        channels: int,
        layers: int,
        norm: Factory[Norm] | None,
        spectral_norm: bool,
        padding: Padding,
        activation: Factory[Activation],
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        widths = [channels * 2**depth for depth in range(layers)]
        self.blocks = nn.ModuleList(
            ConvBlock(
                before,
                after,
                kernel_size=4,
                stride=2,
                padding=1,
                padding_mode=padding,
                norm=norm if index else None,
                activation=activation,
                spectral_norm=spectral_norm,
            )
            for index, (before, after) in enumerate(zip([in_channels, *widths], widths, strict=False))
        )
        convolution = SpectralConv2d if spectral_norm else nn.Conv2d
        self.final = convolution(widths[-1], 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.final(x)
        return logits


class Multiscale(nn.Module):
    """Classify patches of an image at several scales, each with a network of its own.

    Each scale gets the image of the previous one at half the size, by a 3x3 average that excludes the padding. The
    heads are `scale_0`, for the image itself, `scale_1` and so on; adversarial losses weight all of them equally.

    Args:
        channels: channels after the first convolution of each scale; doubled by each of the others.
        layers: number of convolutions of stride 2.
        scales: number of scales.
        norm: factory of the norms after every convolution but the first and the last; None for none.
        spectral_norm: whether the convolutions' weights are divided by their spectral norm.
        padding: how the pixel on each side is filled before each convolution of stride 2, `zeros` or `reflect`.
        activation: factory of the activations after every convolution but the last.
        init: initialization of the weights, without those of norms; see `i2i.nn.layers.initialization.initialize`.
        in_channels: channels of the images.

    Source: Huang et al., MUNIT, arXiv:1804.04732, section 5.1, after Wang et al., pix2pixHD, arXiv:1711.11585;
    NVlabs/MUNIT a82e222, `MsImageDis`.
    """

    def __init__(
        self,
        channels: Positive = 64,
        layers: Annotated[int, Field(ge=1)] = 4,
        scales: Annotated[int, Field(ge=1)] = 3,
        norm: Factory[Norm] | None = None,
        spectral_norm: bool = False,
        padding: Padding = "reflect",
        activation: Factory[Activation] = ACTIVATION("leaky_relu", negative_slope=0.2),
        init: Initialization = "normal",
        in_channels: Positive = 3,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.smallest_image = smallest_image(layers, scales)
        self.scales = nn.ModuleList(
            Scale(channels, layers, norm, spectral_norm, padding, activation, in_channels) for _ in range(scales)
        )
        initialize(self, init, norms=False)

    @classmethod
    def check(cls, image_size: ImageSize, layers: int, scales: int) -> None:
        """Refuse more layers and scales than images of this size allow.

        Raises:
            OptionError: names the smallest image, and how many layers or scales this image allows.
        """
        side = min(height_width(image_size))
        if side >= smallest_image(layers, scales):
            return
        most_layers = max((n for n in range(1, layers) if smallest_image(n, scales) <= side), default=0)
        most_scales = max((n for n in range(1, scales) if smallest_image(layers, n) <= side), default=0)
        fits = [f"{most_layers} layers"] if most_layers else []
        fits += [f"{most_scales} scale" + "s" * (most_scales > 1)] if most_scales else []
        raise OptionError(
            "layers",
            f"{layers} layers at {scales} scales need images of at least {smallest_image(layers, scales)} px, got "
            f"{side} px; {' or '.join(fits) or 'fewer of both'} would fit",
        )

    def forward(self, image: Tensor) -> DiscriminatorOutput:
        if image.ndim != 4 or image.shape[1] != self.in_channels or min(image.shape[2:]) < self.smallest_image:
            raise ShapeError(
                f"multiscale discriminator: expected images [B, {self.in_channels}, H, W] with sides of at least "
                f"{self.smallest_image}, got {list(image.shape)}"
            )
        logits: dict[str, Tensor] = {}
        for index, scale in enumerate(self.scales):
            if index:
                image = F.avg_pool2d(image, 3, stride=2, padding=1, count_include_pad=False)
            logits[f"scale_{index}"] = scale(image)
        return DiscriminatorOutput(logits)


def smallest_image(layers: int, scales: int) -> int:
    """Return the smallest side in pixels that leaves a logit at every scale.

    Averaging turns a side n into ceil(n / 2), a convolution into floor(n / 2), which needs more than one pixel.

    Example:
        >>> smallest_image(4, 3), smallest_image(3, 2)
        (61, 15)
    """
    return int((2**layers - 1) * 2 ** (scales - 1) + 1)
