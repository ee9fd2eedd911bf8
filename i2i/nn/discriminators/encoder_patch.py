"""NICE-GAN's discriminator, whose first layers are the encoder of the generators."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field
from torch import Tensor, nn

from i2i.core.bounds import Depth, ImageSize, Positive, height_width
from i2i.core.contracts import Activation, Attention, AttentionOutput, DiscriminatorOutput
from i2i.core.factory import Factory
from i2i.core.kinds import ACTIVATION, ATTENTION
from i2i.errors import OptionError, ShapeError
from i2i.nn.discriminators.patch import smallest_image
from i2i.nn.layers.convolution import ConvBlock
from i2i.nn.layers.initialization import Initialization, initialize
from i2i.nn.layers.spectral import Padding, spectral_conv

ENCODER = 2
"""Number of halvings in the encoder; decoders double as often."""
ENDS = 2
"""Number of convolutions of stride 1 at the end of each head."""


class EncoderPatch(nn.Module):
    """Classify patches of two sizes, and a class activation map's pooled features, from one encoder's features.

    Two 4x4 convolutions of stride 2 and attention make the features [B, 2·channels, H/4, W/4]. From them
    `layers - deeper - 4` more convolutions of stride 2 are common to two heads: `local` ends with two convolutions of
    stride 1, `global` halves its sides `deeper` times more before it ends likewise. The attention's logit is the head
    `cam`. Channels double from one convolution to the next, without a limit.

    Args:
        channels: channels after the first convolution.
        layers: number of all convolutions from the image to the logits of `global`; the paper's 7 need 96 px.
        deeper: number of halvings that `global` has beyond `local`; 0 omits `global`.
        spectral_norm: whether all weights but the attention's 1x1 convolution are divided by their spectral norm.
        padding: how the pixel on each side is filled before each convolution, `zeros` or `reflect`.
        attention: factory of an attention on the encoder's features, which are then the code; None for none.
        activation: factory of the activations after every convolution but the last ones.
        init: initialization of the weights; see `i2i.nn.layers.initialization.initialize`.
        in_channels: channels of the images.

    Raises:
        OptionError: there are too few layers for the heads.

    Source: Chen et al., NICE-GAN, CVPR 2020, arXiv:2003.00273, section 3.2; alpc91/NICE-GAN-pytorch 1b114f1, whose
    `n_dis` is `layers`.
    """

    multiple: ClassVar[int] = 2**ENCODER

    def __init__(
        self,
        channels: Positive = 64,
        layers: Depth = 7,
        deeper: Annotated[int, Field(ge=0)] = 2,
        spectral_norm: bool = True,
        padding: Padding = "reflect",
        attention: Factory[Attention] | None = ATTENTION("residual_cam"),
        activation: Factory[Activation] = ACTIVATION("leaky_relu", negative_slope=0.2),
        init: Initialization = "default",
        in_channels: Positive = 3,
    ) -> None:
        super().__init__()
        common = _common_halvings(layers, deeper)
        self.in_channels, self.num_features = in_channels, 2 * channels
        self.smallest_image = smallest_image(layers)

        def convolutions(width: int, strides: list[int]) -> nn.ModuleList:
            return nn.ModuleList(
                ConvBlock(
                    width * 2**depth,
                    width * 2 ** (depth + 1),
                    kernel_size=4,
                    stride=stride,
                    padding=1,
                    padding_mode=padding,
                    activation=activation,
                    spectral_norm=spectral_norm,
                )
                for depth, stride in enumerate(strides)
            )

        def head(width: int, halvings: int) -> nn.ModuleDict:
            blocks = convolutions(width, [2] * halvings + [1])
            last = width * 2 ** len(blocks)
            final = spectral_conv(spectral_norm, last, 1, 4, padding=1, bias=False, padding_mode=padding)
            return nn.ModuleDict({"blocks": blocks, "final": final})

        first = ConvBlock(in_channels, channels, 4, 2, 1, padding, activation=activation, spectral_norm=spectral_norm)
        self.encoder = nn.ModuleList([first, *convolutions(channels, [2])])
        self.attention = None
        if attention is not None:
            self.attention = attention(self.num_features, activation=activation(), spectral_norm=spectral_norm)
        self.common = convolutions(self.num_features, [2] * common)
        width = self.num_features * 2**common
        self.heads = nn.ModuleDict({"local": head(width, 0)})
        if deeper:
            self.heads["global_"] = head(width, deeper)  # torch.fx cannot write the attribute `global`, a keyword
        initialize(self, init)

    @classmethod
    def check(cls, image_size: ImageSize, layers: int, deeper: int) -> None:
        """Refuse more layers than images of this size allow.

        Raises:
            OptionError: names the smallest image for these layers, and the layers that this image allows.
        """
        _common_halvings(layers, deeper)
        for side in height_width(image_size):
            if side % cls.multiple:
                raise OptionError("image_size", f"expected a multiple of {cls.multiple}, got {side}")
        side = min(height_width(image_size))
        if side < smallest_image(layers):
            fits = [n for n in range(ENCODER + ENDS, layers) if smallest_image(n) <= side]
            most = max(fits, default=0)
            fix = f"layers = {most} works at {side} px" if most else f"nothing works at {side} px"
            if most and most - ENCODER - ENDS < deeper:
                fix = f"layers = {most} with deeper = {most - ENCODER - ENDS} works at {side} px"
            raise OptionError(
                "layers",
                f"{layers} layers need images of at least {smallest_image(layers)} px, got {side} px; {fix}",
            )

    def encode(self, image: Tensor) -> AttentionOutput:
        """Encode images [B, 3, H, W] to codes [B, num_features, H/4, W/4], with the attention's logits and heat map."""
        if (
            image.ndim != 4
            or image.shape[1] != self.in_channels
            or any(n % self.multiple or n < 8 for n in image.shape[2:])
        ):
            raise ShapeError(
                f"encoder: expected images [B, {self.in_channels}, H, W] with sides that are multiples of "
                f"{self.multiple} and at least 8, got {list(image.shape)}"
            )
        x = image
        for block in self.encoder:
            x = block(x)
        return AttentionOutput(x) if self.attention is None else self.attention(x)

    def forward(self, image: Tensor) -> DiscriminatorOutput:
        code, cam, heatmap = self.encode(image)
        if min(image.shape[2:]) < self.smallest_image:
            raise ShapeError(
                f"encoder_patch: expected images with sides of at least {self.smallest_image}, got {list(image.shape)}"
            )
        x = code
        for block in self.common:
            x = block(x)
        logits = {name.rstrip("_"): _discriminated(x, head) for name, head in self.heads.items()}
        return DiscriminatorOutput(logits if cam is None else {**logits, "cam": cam}, heatmap, code)


def _common_halvings(layers: int, deeper: int) -> int:
    fewest = ENCODER + ENDS + deeper
    if layers < fewest:
        raise OptionError("layers", f"expected at least {fewest} with deeper = {deeper}, got {layers}")
    return layers - fewest


def _discriminated(x: Tensor, head: Any) -> Tensor:
    for block in head["blocks"]:
        x = block(x)
    logits: Tensor = head["final"](x)
    return logits
