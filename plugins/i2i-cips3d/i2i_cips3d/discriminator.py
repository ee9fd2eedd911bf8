"""The discriminator `cips3d`: StyleGAN2's residual blocks, with an entry for each size."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from i2i.core.bounds import Count, ImageSize, Positive, square_side
from i2i.core.contracts import DiscriminatorOutput
from i2i.errors import OptionError, ShapeError
from i2i.methods.growth import LATENT, Growing, blend, doublings, downsample
from i2i.nn.layers.stylegan2 import EqualizedLinear, MinibatchDeviation, ScaledLeakyReLU, StyleConv, StyleResidual


class MultiScaleDiscriminator(Growing, nn.Module):
    """StyleGAN2's discriminator with one first convolution for each size, so that images of any of them can enter.

    Args:
        in_channels: channels of the images.
        image_size: largest size.
        first_size: smallest size, set by the translator's first stage.
        channel_base: channels at a size times the size.
        channel_max: largest number of channels.
        group: number of images over which the minibatch deviation is computed; 0 omits it.
        pose: whether yaw and pitch of the camera are seen as two further channels, constant over an image. The official
            code has no such input; it needs data with a stream `pose`.

    Source: Zhou et al., CIPS-3D, arXiv:2110.09788, section 3.3; PeterouZh/CIPS-3D 5956813,
    `Discriminator_MultiScale`; for `pose`: Chan et al., EG3D, arXiv:2112.07945, section 4.3.
    """

    def __init__(
        self,
        in_channels: Positive = 3,
        image_size: ImageSize = 256,
        first_size: Positive = 32,
        channel_base: Positive = 32768,
        channel_max: Positive = 512,
        group: Count = 4,
        pose: bool = False,
    ) -> None:
        super().__init__()
        self.size, self.alpha, self.pose = square_side(image_size), 1.0, pose
        self.in_channels = in_channels
        width = {size: min(channel_max, max(channel_base // size, 1)) for size in doublings(LATENT, self.size)}
        inputs = in_channels + 2 * pose
        entries = [size for size in width if size >= max(first_size // 2, LATENT)]
        self.conv_in = nn.ModuleDict({str(size): StyleConv(inputs, width[size], 1) for size in entries})
        self.convs = nn.ModuleDict(
            {str(size): StyleResidual(width[size], width[size // 2], down=True) for size in list(width)[1:]}
        )
        self.deviation = MinibatchDeviation(group) if group else None
        last = width[LATENT]
        self.final_conv = StyleConv(last + (group > 0), last)
        self.final_linear = nn.Sequential(
            EqualizedLinear(last * LATENT**2, last), ScaledLeakyReLU(), EqualizedLinear(last, 1)
        )

    @classmethod
    def check(cls, image_size: ImageSize) -> None:
        """Refuse sizes that are not 8 px times a power of two."""
        if square_side(image_size) not in doublings(2 * LATENT, square_side(image_size)):
            raise OptionError("image_size", f"expected a size that doubles from 8 px, got {square_side(image_size)}")

    def forward(self, image: Tensor, pose: Tensor | None = None) -> DiscriminatorOutput:
        """Return logits [B, 1] under the head `image`.

        Args:
            image: [B, C, S, S] of the current size.
            pose: yaw and pitch [B, 2], for a discriminator that sees them.
        """
        size = self.size
        if tuple(image.shape[1:]) != (self.in_channels, size, size):
            raise ShapeError(f"expected images [B, {self.in_channels}, {size}, {size}], got {list(image.shape)}")
        if self.pose:
            if pose is None:
                raise ShapeError("this discriminator sees poses: it needs yaw and pitch")
            planes = pose.to(image)[:, :, None, None].expand(-1, -1, size, size)
            image = torch.cat([image, planes], 1)
        x = self.convs[str(size)](self.conv_in[str(size)](image))
        if self.alpha < 1:
            x = blend(self.conv_in[str(size // 2)](downsample(image)), x, self.alpha)
        while (size := size // 2) > LATENT:
            x = self.convs[str(size)](x)
        x = self.final_conv(x if self.deviation is None else self.deviation(x))
        return DiscriminatorOutput({"image": self.final_linear(x.flatten(1))})
