"""The keypoint detector, dense motion, generator and discriminator of the First Order Motion Model.

Images are in [0, 1]. Names of submodules are those of official checkpoints.

Source: Siarohin et al., First Order Motion Model for Image Animation, NeurIPS 2019, arXiv:2003.00196;
AliaksandrSiarohin/first-order-model c027484.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, NamedTuple

import torch
from annotated_types import Gt
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.core.bounds import Count, Depth, Positive
from i2i.errors import ShapeError
from i2i.nn.layers.spectral import spectral_conv
from i2i_fomm.geometry import Keypoints, antialias, check_scale, coordinate_grid, gaussian_heatmaps, inverse
from i2i_fomm.layers import Block, Hourglass, ResidualBlock, widths

Scale = Annotated[float, Gt(0)]


class KeypointDetector(nn.Module):
    """Find keypoints and the local affine transforms around them, without labels.

    Args:
        keypoints: number of keypoints K.
        channels: base width of the hourglass.
        max_channels: largest width of the hourglass.
        blocks: halvings in the hourglass.
        scale: of the image before the hourglass: 1, 1/2, 1/4 and so on.
        temperature: of the softmax over each heat map's pixels; smaller is sharper.
        jacobians: whether Jacobians are estimated.
        single_jacobian: whether all keypoints share the four maps that Jacobians are read from.
        padding: zeros around the features before both 7x7 convolutions; 0 shrinks the heat maps by 6 px.
        in_channels: channels of the image.
    """

    def __init__(
        self,
        keypoints: Positive = 10,
        channels: Positive = 32,
        max_channels: Positive = 1024,
        blocks: Depth = 5,
        scale: Scale = 0.25,
        temperature: Scale = 0.1,
        jacobians: bool = True,
        single_jacobian: bool = False,
        padding: Annotated[int, Gt(-1)] = 0,
        in_channels: Positive = 3,
    ) -> None:
        super().__init__()
        self.check(scale)
        self.temperature, self.multiple = temperature, round(1 / scale) * 2**blocks
        self.down = antialias(in_channels, scale)
        self.predictor = Hourglass(channels, in_channels, blocks, max_channels)
        self.kp = nn.Conv2d(self.predictor.out_channels, keypoints, 7, padding=padding)
        self.jacobian = None
        if jacobians:
            maps = 1 if single_jacobian else keypoints
            self.jacobian = nn.Conv2d(self.predictor.out_channels, 4 * maps, 7, padding=padding)
            nn.init.zeros_(self.jacobian.weight)
            with torch.no_grad():
                # The inverse of a Jacobian exists from the first step on, because each begins as the identity.
                self.jacobian.bias.copy_(torch.eye(2).flatten().repeat(maps))

    @classmethod
    def check(cls, scale: float) -> None:
        """Refuse scales that are not 1 divided by an integer."""
        check_scale("scale", scale)

    def forward(self, image: Tensor) -> Keypoints:
        """Return the keypoints of images [B, C, H, W]."""
        return self.with_heatmaps(image)[0]

    def with_heatmaps(self, image: Tensor) -> tuple[Keypoints, Tensor]:
        """Return the keypoints, and the heat maps [B, K, h, w] whose means they are."""
        features = self.predictor(self.down(image))
        logits = self.kp(features)
        height, width = logits.shape[2:]
        heatmap = F.softmax(logits.flatten(2) / self.temperature, 2).view_as(logits)
        value = (heatmap[..., None] * coordinate_grid(height, width, heatmap)).sum((2, 3))
        if self.jacobian is None:
            return Keypoints(value), heatmap
        maps = self.jacobian(features).view(image.shape[0], -1, 4, height, width)
        jacobian = (heatmap[:, :, None] * maps).flatten(3).sum(-1)
        return Keypoints(value, jacobian.view(image.shape[0], -1, 2, 2)), heatmap


class Motion(NamedTuple):
    """Dense motion from a driving image to a source, at the motion network's resolution.

    Args:
        flow: place in the source of each pixel of the driving image, [B, h, w, 2].
        mask: share of the background's and each keypoint's motion in the flow, [B, K + 1, h, w].
        occlusion: share of the warped source that is visible, [B, 1, h, w] in [0, 1], or None.
        sparse: motion of the background and of each keypoint, [B, K + 1, h, w, 2].
        heatmaps: difference of driving and source heat maps, zero for the background, [B, K + 1, h, w].
        warped: the reduced source moved by each sparse motion, [B, K + 1, C, h, w].
    """

    flow: Tensor
    mask: Tensor
    occlusion: Tensor | None
    sparse: Tensor
    heatmaps: Tensor
    warped: Tensor


class DenseMotion(nn.Module):
    r"""Combine the motions near keypoints, :math:`T_k(z) = p^S_k + J^S_k (J^D_k)^{-1} (z - p^D_k)`, into one flow.

    Args:
        keypoints: number of keypoints K.
        channels: base width of the hourglass.
        max_channels: largest width of the hourglass.
        blocks: halvings in the hourglass.
        scale: of the image before the hourglass.
        variance: of the heat maps drawn around keypoints.
        occlusion: whether an occlusion map is estimated.
        in_channels: channels of the image.
        align_corners: how sampling reads coordinates: True makes no motion the identity, and is what official weights
            were trained with; False is what the official code computes with torch >= 1.3.

    Source: arXiv:2003.00196, equations 4 to 9.
    """

    def __init__(
        self,
        keypoints: Positive = 10,
        channels: Positive = 64,
        max_channels: Positive = 1024,
        blocks: Depth = 5,
        scale: Scale = 0.25,
        variance: Scale = 0.01,
        occlusion: bool = True,
        in_channels: Positive = 3,
        align_corners: bool = True,
    ) -> None:
        super().__init__()
        self.variance, self.align_corners, self.multiple = variance, align_corners, round(1 / scale) * 2**blocks
        self.down = antialias(in_channels, scale)
        self.hourglass = Hourglass(channels, (keypoints + 1) * (in_channels + 1), blocks, max_channels)
        self.mask = nn.Conv2d(self.hourglass.out_channels, keypoints + 1, 7, padding=3)
        self.occlusion = nn.Conv2d(self.hourglass.out_channels, 1, 7, padding=3) if occlusion else None

    def forward(self, source: Tensor, driving_points: Keypoints, source_points: Keypoints) -> Motion:
        """Return the motion of source images [B, C, H, W] to the driving keypoints."""
        reduced = self.down(source)
        batch, channels, height, width = reduced.shape
        heatmaps = self._heatmaps(driving_points, source_points, height, width)
        sparse = self._sparse(driving_points, source_points, height, width)
        motions = sparse.shape[1]
        repeated = reduced[:, None].expand(-1, motions, -1, -1, -1).flatten(0, 1)
        warped = F.grid_sample(repeated, sparse.flatten(0, 1), align_corners=self.align_corners)
        warped = warped.view(batch, motions, channels, height, width)
        features = self.hourglass(torch.cat([heatmaps[:, :, None], warped], 2).flatten(1, 2))
        mask = F.softmax(self.mask(features), 1)
        flow = (mask[..., None] * sparse).sum(1)
        occlusion = None if self.occlusion is None else torch.sigmoid(self.occlusion(features))
        return Motion(flow, mask, occlusion, sparse, heatmaps, warped)

    def _heatmaps(self, driving: Keypoints, source: Keypoints, height: int, width: int) -> Tensor:
        drawn = [gaussian_heatmaps(points.value, height, width, self.variance) for points in (driving, source)]
        return F.pad(drawn[0] - drawn[1], (0, 0, 0, 0, 1, 0))  # the background has none

    @staticmethod
    def _sparse(driving: Keypoints, source: Keypoints, height: int, width: int) -> Tensor:
        grid = coordinate_grid(height, width, driving.value)
        motion = grid - driving.value[:, :, None, None]
        if driving.jacobian is not None and source.jacobian is not None:
            matrix = source.jacobian @ inverse(driving.jacobian)
            motion = (matrix[:, :, None, None] @ motion[..., None]).squeeze(-1)
        motion = motion + source.value[:, :, None, None]
        background = grid.expand(motion.shape[0], 1, -1, -1, -1)
        return torch.cat([background, motion], 1)


class Animated(NamedTuple):
    """What the generator gives.

    Args:
        image: the animated source, [B, C, H, W] in [0, 1].
        warped: the source moved by the flow alone, [B, C, H, W].
        motion: the dense motion.
    """

    image: Tensor
    warped: Tensor
    motion: Motion


class MotionGenerator(nn.Module):
    """Move a source image to the driving keypoints: encode, warp, hide what is occluded, decode.

    Args:
        keypoints: number of keypoints K.
        channels: channels after the first convolution.
        max_channels: upper bound of the channels.
        down_blocks: halvings before the warp; 0 for small images.
        blocks: residual blocks after it.
        motion_channels: base width of the dense motion's hourglass.
        motion_max_channels: largest width of it.
        motion_blocks: halvings in it.
        motion_scale: of the image before it.
        variance: of the heat maps drawn around keypoints.
        occlusion: whether occluded features are hidden.
        in_channels: channels of the image.
        align_corners: see `DenseMotion`.
    """

    def __init__(
        self,
        keypoints: Positive = 10,
        channels: Positive = 64,
        max_channels: Positive = 512,
        down_blocks: Count = 2,
        blocks: Depth = 6,
        motion_channels: Positive = 64,
        motion_max_channels: Positive = 1024,
        motion_blocks: Depth = 5,
        motion_scale: Scale = 0.25,
        variance: Scale = 0.01,
        occlusion: bool = True,
        in_channels: Positive = 3,
        align_corners: bool = True,
    ) -> None:
        super().__init__()
        self.align_corners = align_corners
        self.dense_motion_network = DenseMotion(
            keypoints, motion_channels, motion_max_channels, motion_blocks, motion_scale, variance, occlusion,
            in_channels, align_corners,
        )  # fmt: skip
        self.multiple = max(self.dense_motion_network.multiple, 2**down_blocks)
        sizes = [min(max_channels, channels), *widths(channels, down_blocks, max_channels)]
        pairs = list(pairwise(sizes))
        self.first = Block(in_channels, channels, kernel_size=7)
        self.down_blocks = nn.ModuleList(Block(*pair, resize=0.5) for pair in pairs)
        self.bottleneck = nn.Sequential()
        for index in range(blocks):
            self.bottleneck.add_module(f"r{index}", ResidualBlock(sizes[-1]))
        self.up_blocks = nn.ModuleList(Block(after, before, resize=2) for before, after in reversed(pairs))
        self.final = nn.Conv2d(sizes[0], in_channels, 7, padding=3)

    @classmethod
    def check(cls, motion_scale: float) -> None:
        """Refuse scales that are not 1 divided by an integer."""
        check_scale("motion_scale", motion_scale)

    def forward(self, source: Tensor, driving_points: Keypoints, source_points: Keypoints) -> Animated:
        """Animate source images [B, C, H, W] with sides that `multiple` divides."""
        if any(side % self.multiple for side in source.shape[2:]):
            raise ShapeError(
                f"fomm: expected images whose sides are multiples of {self.multiple}, got {list(source.shape)}"
            )
        x = self.first(source)
        for block in self.down_blocks:
            x = block(x)
        motion = self.dense_motion_network(source, driving_points, source_points)
        x = self._warp(x, motion.flow)
        if motion.occlusion is not None:
            x = x * _resized(motion.occlusion, x)
        x = self.bottleneck(x)
        for block in self.up_blocks:
            x = block(x)
        return Animated(torch.sigmoid(self.final(x)), self._warp(source, motion.flow), motion)

    def _warp(self, x: Tensor, flow: Tensor) -> Tensor:
        flow = _resized(flow.permute(0, 3, 1, 2), x).permute(0, 2, 3, 1)
        return F.grid_sample(x, flow, align_corners=self.align_corners)


def _resized(x: Tensor, like: Tensor) -> Tensor:
    if x.shape[2:] == like.shape[2:]:
        return x
    return F.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=False)


class MotionDiscriminator(nn.Module):
    """Classify image patches at one or more scales, and give the features of every layer.

    4x4 convolutions without padding, instance norms except after the first, leaky ReLUs, and average pooling except
    after the last; then one logit for each place.

    Args:
        channels: half of the first convolution's channels.
        max_channels: upper bound of the channels.
        blocks: number of convolutions.
        scales: of the images that it sees: 1, 1/2, 1/4 and so on; one network for each.
        spectral_norm: whether weights are divided by their spectral norm.
        sees_keypoints: whether heat maps of the keypoints are further input channels.
        keypoints: number of keypoints K.
        variance: of those heat maps.
        in_channels: channels of the image.
    """

    def __init__(
        self,
        channels: Positive = 32,
        max_channels: Positive = 512,
        blocks: Depth = 4,
        scales: tuple[float, ...] = (1.0,),
        spectral_norm: bool = False,
        sees_keypoints: bool = False,
        keypoints: Positive = 10,
        variance: Scale = 0.01,
        in_channels: Positive = 3,
    ) -> None:
        super().__init__()
        self.scales, self.sees_keypoints, self.variance = scales, sees_keypoints, variance
        inputs = in_channels + keypoints * sees_keypoints
        self.discs = nn.ModuleDict(
            {
                scale_name(scale): _PatchFeatures(channels, inputs, max_channels, blocks, spectral_norm)
                for scale in scales
            }
        )

    def forward(self, images: dict[float, Tensor], points: Keypoints | None = None) -> dict[float, list[Tensor]]:
        """Return, by scale, the features of every layer, and last the logits [B, 1, h, w].

        Args:
            images: images [B, C, h, w] by scale.
            points: keypoints of these images, where the discriminator sees them.
        """
        results: dict[float, list[Tensor]] = {}
        for scale in self.scales:
            x = images[scale]
            if self.sees_keypoints:
                if points is None:
                    raise ShapeError("fomm_discriminator: expected keypoints, because sees_keypoints = true, got none")
                x = torch.cat([x, gaussian_heatmaps(points.value, x.shape[2], x.shape[3], self.variance)], 1)
            results[scale] = self.discs[scale_name(scale)](x)
        return results


def scale_name(scale: float) -> str:
    """Return the name of a scale in official checkpoints: `1` and `0-5`."""
    return f"{scale:g}".replace(".", "-")


class _Convolution(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, norm: bool, pool: bool, spectral_norm: bool) -> None:
        super().__init__()
        self.conv = spectral_conv(spectral_norm, in_channels, out_channels, 4)
        self.norm = nn.InstanceNorm2d(out_channels, affine=True) if norm else None
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        x = F.leaky_relu(x if self.norm is None else self.norm(x), 0.2)
        return F.avg_pool2d(x, 2) if self.pool else x


class _PatchFeatures(nn.Module):
    def __init__(self, channels: int, in_channels: int, most: int, blocks: int, spectral_norm: bool) -> None:
        super().__init__()
        sizes = [in_channels, *widths(channels, blocks, most)]
        self.down_blocks = nn.ModuleList(
            _Convolution(sizes[i], sizes[i + 1], norm=i > 0, pool=i < blocks - 1, spectral_norm=spectral_norm)
            for i in range(blocks)
        )
        self.conv = spectral_conv(spectral_norm, sizes[-1], 1, 1)

    def forward(self, x: Tensor) -> list[Tensor]:
        outputs = []
        for block in self.down_blocks:
            x = block(x)
            outputs.append(x)
        return [*outputs, self.conv(x)]
