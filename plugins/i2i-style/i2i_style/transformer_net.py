"""The generator `transformer_net`: Johnson's image transformation network."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from i2i.core.bounds import Count, ImageSize, Positive
from i2i.core.contracts import Activation, GeneratorOutput, Norm
from i2i.core.factory import Factory
from i2i.core.kinds import ACTIVATION, NORM
from i2i.errors import OptionError
from i2i.nn.generators.blocks import MULTIPLE, ResidualBlock, check_image, check_image_size
from i2i.nn.layers.convolution import ConvBlock, UpBlock
from i2i.nn.layers.initialization import Initialization, initialize


class TransformerNet(nn.Module):
    """A residual network with large first and last kernels, two downsampling and two nearest upsampling stages.

    Args:
        channels: channels after the first convolution; the residual blocks have four times as many.
        blocks: number of residual blocks.
        kernel: size of the first and of the last kernel, odd.
        norm: norm after each convolution; `cin` for several styles in one network.
        last_norm: whether a norm also follows the last convolution, as in Dumoulin et al.; Johnson et al. have none.
        activation: activation after each norm, except in the second half of residual blocks and at the end.
        output: `sigmoid` and `tanh` keep the image in [-1, 1]; `linear` leaves it unbounded.
        init: initialization of the weights.
        in_channels: channels of the input images.
        out_channels: channels of the generated images.

    Source: Johnson et al., ECCV 2016, arXiv:1603.08155, supplement; pytorch/examples, `TransformerNet` (`in` with
    affine = true, linear); Dumoulin et al., ICLR 2017, arXiv:1610.07629, appendix (`cin`, sigmoid).
    """

    multiple: ClassVar[int] = MULTIPLE
    fixed_size: int | None = None

    def __init__(
        self,
        channels: Positive = 32,
        blocks: Count = 5,
        kernel: Annotated[int, Field(ge=1)] = 9,
        norm: Factory[Norm] = NORM("in", affine=True),
        last_norm: bool = False,
        activation: Factory[Activation] = ACTIVATION("relu"),
        output: Literal["sigmoid", "tanh", "linear"] = "linear",
        init: Initialization = "default",
        in_channels: Positive = 3,
        out_channels: Positive = 3,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        padding = kernel // 2
        self.stem = ConvBlock(in_channels, channels, kernel, padding=padding, norm=norm, activation=activation)
        self.down = nn.ModuleList(
            ConvBlock(width, 2 * width, 3, 2, 1, norm=norm, activation=activation) for width in (channels, 2 * channels)
        )
        self.blocks = nn.ModuleList(ResidualBlock(4 * channels, norm, activation, bias=True) for _ in range(blocks))
        self.up = nn.ModuleList(
            UpBlock(2 * width, width, "nearest", True, norm, activation) for width in (2 * channels, channels)
        )
        self.head = ConvBlock(channels, out_channels, kernel, padding=padding, norm=norm if last_norm else None)
        self.output = output
        initialize(self, init)

    @classmethod
    def check(cls, image_size: ImageSize, kernel: int) -> None:
        """Refuse image sides that are no multiple of 4, and even kernels."""
        check_image_size(image_size)
        if kernel % 2 == 0:
            raise OptionError("kernel", f"expected an odd number, got {kernel}")

    def forward(self, image: Tensor) -> GeneratorOutput:
        """Translate images [B, C, H, W] in [-1, 1] to images of the same size."""
        check_image(image, channels=self.in_channels)
        x: Tensor = self.stem(image)
        for block in (*self.down, *self.blocks, *self.up):
            x = block(x)
        x = self.head(x)
        if self.output == "linear":
            return GeneratorOutput(x)
        return GeneratorOutput(x.tanh() if self.output == "tanh" else 2 * x.sigmoid() - 1)
