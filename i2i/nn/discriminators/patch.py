"""The patch discriminator of pix2pix, CycleGAN and, with attention, U-GAT-IT."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any, cast

from torch import Tensor, nn

from i2i.core.bounds import Depth, ImageSize, Positive, height_width
from i2i.core.contracts import Activation, Attention, DiscriminatorOutput, Norm
from i2i.core.factory import Factory
from i2i.core.kinds import ACTIVATION, NORM
from i2i.errors import OptionError, ShapeError
from i2i.nn.layers.convolution import ConvBlock, Down
from i2i.nn.layers.initialization import Initialization, initialize
from i2i.nn.layers.spectral import Padding, SpectralNorm, padding_ahead, spectral_conv

FEWEST_LAYERS = 3


class Patch(nn.Module):
    """Classify overlapping patches of an image as real or fake by 4x4 convolutions (PatchGAN).

    `layers - 2` convolutions of stride 2, one of stride 1, and a last one of stride 1 to a single channel. Channels
    double from one to the next. The receptive field is 70 px with 5 layers (CycleGAN's `n_layers_D=3`, U-GAT-IT's local
    discriminator) and 286 px with 7 (U-GAT-IT's global one).

    Args:
        channels: channels after the first convolution.
        layers: number of all convolutions, at least 3.
        in_channels: channels of the image; 6 for a pair of images.
        norm: factory of the norms after every convolution but the first and the last; None for none.
        spectral_norm: whether the convolutions' weights are divided by their spectral norm; `per_phase` makes one
            power iteration in each phase of a step, however many images the discriminator classifies in it.
        padding: how the pixel on each side is filled before each convolution, `zeros` or `reflect`; `reflect_same` adds
            a second one at the bottom and right where the stride is 1, so that these convolutions keep the size.
        max_multiplier: upper bound of the channels, as a multiple of `channels`; None for none.
        attention: factory of an attention on the features before the last convolution; its logits are the head `cam`.
        bias: whether the convolutions between the first and the last have a bias; False with batch norm in pix2pix.
        final_bias: whether the last convolution has a bias.
        init: initialization of the weights; see `i2i.nn.layers.initialization.initialize`.
        activation: factory of the activations after every convolution but the last.
        down: whether convolutions of stride 2 halve the sides (`strided`), or a `blur` after those of stride 1 (CUT).

    Raises:
        OptionError: fewer than 3 layers.

    Source: Isola et al., CVPR 2017, arXiv:1611.07004, appendix 6.1; Zhu et al., arXiv:1703.10593; with attention, Kim
    et al., arXiv:1907.10830; znxlwm/UGATIT-pytorch b8c4251.
    """

    def __init__(
        self,
        channels: Positive = 64,
        layers: Depth = 5,
        in_channels: Positive = 3,
        norm: Factory[Norm] | None = NORM("in"),
        spectral_norm: SpectralNorm = False,
        padding: Padding = "zeros",
        max_multiplier: Positive | None = 8,
        attention: Factory[Attention] | None = None,
        bias: bool = True,
        final_bias: bool = True,
        init: Initialization = "normal",
        activation: Factory[Activation] = ACTIVATION("leaky_relu", negative_slope=0.2),
        down: Down = "strided",
    ) -> None:
        super().__init__()
        if layers < FEWEST_LAYERS:
            raise OptionError("layers", f"expected at least {FEWEST_LAYERS}, got {layers}")
        limit = 2**layers if max_multiplier is None else max_multiplier
        widths = [channels * min(2**depth, limit) for depth in range(layers - 1)]
        self.in_channels = in_channels
        self.smallest_image = smallest_image(layers)
        self.blocks = nn.ModuleList(
            ConvBlock(
                before,
                after,
                kernel_size=4,
                stride=1 if depth == layers - 2 else 2,
                padding=1,
                padding_mode=padding,
                bias=bias or depth == 0,
                norm=None if depth == 0 else norm,
                activation=activation,
                spectral_norm=spectral_norm,
                down=down,
            )
            for depth, (before, after) in enumerate(zip([in_channels, *widths], widths, strict=False))
        )
        self.attention = None
        if attention is not None:
            self.attention = attention(widths[-1], activation=activation(), spectral_norm=spectral_norm)
        self.final = spectral_conv(spectral_norm, widths[-1], 1, 4, padding=1, bias=final_bias, padding_mode=padding)
        initialize(self, init)

    @classmethod
    def check(cls, image_size: ImageSize, layers: int) -> None:
        """Refuse more layers than images of this size allow.

        Raises:
            OptionError: names the smallest image for these layers and the most layers for this image.
        """
        if layers < FEWEST_LAYERS:
            raise OptionError("layers", f"expected at least {FEWEST_LAYERS}, got {layers}")
        side = min(height_width(image_size))
        if side >= smallest_image(layers):
            return
        most = most_layers(side)
        fix = f"at most {most} layers work at {side} px" if most else f"no number of layers works at {side} px"
        raise OptionError(
            "layers", f"{layers} layers need images of at least {smallest_image(layers)} px, got {side} px; {fix}"
        )

    def check_image(self, image: Tensor) -> None:
        """Check the shape of images.

        Raises:
            ShapeError: other channels, or sides too small for this number of layers.
        """
        if image.ndim != 4 or image.shape[1] != self.in_channels or min(image.shape[2:]) < self.smallest_image:
            raise ShapeError(
                f"patch discriminator: expected images [B, {self.in_channels}, H, W] with sides of at least "
                f"{self.smallest_image}, got {list(image.shape)}"
            )

    def forward(self, image: Tensor) -> DiscriminatorOutput:
        self.check_image(image)
        x, padding = image, 0
        for block, following in zip_longest(self.blocks, self.blocks[1:]):
            padded, padding = padding > 0, 0 if following is None else padding_ahead(cast(ConvBlock, following).conv, x)
            x = block(x, padded=padded, padding=padding)
        if self.attention is None:
            return DiscriminatorOutput({"patch": self.final(x)})
        x, logits, heatmap = self.attention(x)
        heads: dict[str, Any] = {"patch": self.final(x)}
        return DiscriminatorOutput(heads if logits is None else {**heads, "cam": logits}, heatmap)


def smallest_image(layers: int) -> int:
    """Return the smallest side in pixels that leaves a logit.

    A side n becomes floor(n / 2) where the stride is 2 and n - 1 where it is 1. So after k = layers - 2 halvings it
    must be at least 3, that is n >= 3·2^k. No map is then smaller than 2 before a convolution, as reflection padding
    requires, too, and none smaller than 3 where `reflect_same` mirrors two pixels.

    Example:
        >>> smallest_image(5), smallest_image(7)
        (24, 96)
    """
    return int(3 * 2 ** (layers - 2))


def most_layers(image_size: int) -> int:
    """Return the largest number of layers that leaves a logit for a side in pixels; 0 when none does.

    Example:
        >>> most_layers(64), most_layers(96), most_layers(5)
        (6, 7, 0)
    """
    layers = 1 + (image_size // 3).bit_length()
    return layers if layers >= FEWEST_LAYERS else 0
