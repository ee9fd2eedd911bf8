"""The two parts of CIPS-3D's generator: the shallow NeRF of points, and the generator of single pixels.

Names of weights are those of PeterouZh/CIPS-3D 5956813.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.core.bounds import Depth, Positive
from i2i.errors import ShapeError
from i2i.methods.growth import doublings
from i2i_cips3d.layers import SLOPE, FiLMSine, ModulatedLinear, initialize_frequency, initialize_leaky

FIRST_BLOCK = 4
FIRST_RGB = 32
"""Name of the first block that adds to the colours."""
FIRST_SKIP = 64
"""Name of the first block with a residual connection."""


class ShallowNeRF(nn.Module):
    """Features and density of points in space, by layers of sines; independent of the direction of view.

    Args:
        hidden: width of the layers.
        layers: number of layers before the density.
        features: length of the feature of a point.
        style_features: length of the styles.
        box: side of the cube that is scaled to [-1, 1].

    Source: Zhou et al., CIPS-3D, arXiv:2110.09788, section 3.1; PeterouZh/CIPS-3D 5956813, `NeRFNetwork`.
    """

    def __init__(
        self,
        hidden: Positive = 128,
        layers: Depth = 2,
        features: Positive = 32,
        style_features: Positive = 128,
        box: float = 0.24,
    ) -> None:
        super().__init__()
        self.scale, self.style_features = 2 / box, style_features
        self.network = nn.ModuleList(
            FiLMSine(hidden if index else 3, hidden, style_features) for index in range(layers)
        )
        self.final_layer = nn.Linear(hidden, 1)
        self.color_layer_sine = FiLMSine(hidden, hidden // 2, style_features)
        self.color_layer_linear = nn.Sequential(nn.Linear(hidden // 2, features))
        initialize_leaky(self.color_layer_linear[0].weight)  # type: ignore[arg-type]

    @property
    def num_styles(self) -> int:
        """Number of styles: one for each layer of sines."""
        return len(self.network) + 1

    def forward(self, points: Tensor, styles: Sequence[Tensor]) -> Tensor:
        """Return features and density [B, P, features + 1] for points [B, P, 3] and styles [B, style_features]."""
        x = points * self.scale
        for layer, style in zip(self.network, styles, strict=False):
            x = layer(x, style)
        density = self.final_layer(x)
        return torch.cat([self.color_layer_linear(self.color_layer_sine(x, styles[-1])), density], -1)


class PixelBlock(nn.Module):
    """Two modulated linear layers, each with leaky ReLU.

    Args:
        in_features: length of the inputs.
        hidden: length of the outputs.
        style_features: length of the styles.
    """

    def __init__(self, in_features: int, hidden: int, style_features: int) -> None:
        super().__init__()
        self.mod1 = ModulatedLinear(in_features, hidden, style_features)
        self.mod2 = ModulatedLinear(hidden, hidden, style_features)

    def forward(self, x: Tensor, first: Tensor, second: Tensor) -> Tensor:
        x = F.leaky_relu(self.mod1(x, first), SLOPE)
        return F.leaky_relu(self.mod2(x, second), SLOPE)


class ToRGB(nn.Module):
    """Linear layer to colours, which start close to 0."""

    def __init__(self, hidden: int, channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(hidden, channels)
        initialize_frequency(self.linear, 100)

    def forward(self, x: Tensor) -> Tensor:
        color: Tensor = self.linear(x)
        return color


class PixelGenerator(nn.Module):
    """Colours of pixels from their features; each pixel is computed for itself.

    Its blocks are named after sizes: images of a size use those up to its name. From block 32 on colours are summed,
    from block 64 on there are residual connections.

    Args:
        in_features: length of a pixel's feature.
        hidden: width of the layers.
        style_features: length of the styles.
        image_size: largest size, that is the name of the last block.
        channels: channels of the images.

    Source: Zhou et al., CIPS-3D, arXiv:2110.09788, section 3.2; PeterouZh/CIPS-3D 5956813, `CIPSNet`.
    """

    def __init__(
        self,
        in_features: Positive = 32,
        hidden: Positive = 512,
        style_features: Positive = 512,
        image_size: Positive = 256,
        channels: Positive = 3,
    ) -> None:
        super().__init__()
        self.style_features = style_features
        self.sizes = doublings(FIRST_BLOCK, max(image_size, FIRST_RGB))
        self.network = nn.ModuleDict(
            {
                str(size): PixelBlock(hidden if index else in_features, hidden, style_features)
                for index, size in enumerate(self.sizes)
            }
        )
        self.to_rgbs = nn.ModuleDict({str(size): ToRGB(hidden, channels) for size in self.sizes if size >= FIRST_RGB})

    def num_styles(self, size: int) -> int:
        """Return the number of styles that images of a size need: two for each block."""
        return 2 * sum(one <= max(size, FIRST_RGB) for one in self.sizes)

    def forward(self, x: Tensor, styles: Sequence[Tensor], size: int) -> Tensor:
        """Return colours [B, P, channels] in [-1, 1].

        Args:
            x: features of pixels, [B, P, in_features].
            styles: [B, style_features], two for each block.
            size: of the image; below 32 px as for 32.
        """
        active = [one for one in self.sizes if one <= max(size, FIRST_RGB)]
        if len(styles) < 2 * len(active):
            raise ShapeError(f"images of {size} px need {2 * len(active)} styles, got {len(styles)}")
        color: Tensor | None = None
        for index, one in enumerate(active):
            new = self.network[str(one)](x, styles[2 * index], styles[2 * index + 1])
            x = new + x if one >= FIRST_SKIP else new
            if one >= FIRST_RGB:
                added = self.to_rgbs[str(one)](x)
                color = added if color is None else color + added
        assert color is not None
        return color.tanh()
