"""A network that interpolates frames with depth: of pixels that meet, the nearer one is shown.

The order of the steps is DAIN's (Bao et al., CVPR 2019, arXiv:1904.00830; baowenbo/DAIN 7c727ac). Flow and depth come
from small networks that are trained along with it, where DAIN takes pretrained ones.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.core.bounds import Positive
from i2i_frames.rife import FlowBlock
from i2i_frames.warping import adaptive_warping, depth_aware_projection, warp

_SCALES = (4, 2, 1)


class DepthAwareFrame(NamedTuple):
    """What the network gives.

    Args:
        image: the frame between, [B, 3, H, W] in [0, 1].
        average: mean of both warped frames, before it is corrected.
        flows: projected flow from the frame between to both frames, [B, 4, H, W].
        inverse_depth: of both frames, [B, 2, H, W].
    """

    image: Tensor
    average: Tensor
    flows: Tensor
    inverse_depth: Tensor


class DepthAware(nn.Module):
    """Flows in both directions are projected to the time between, where nearer pixels win, and both frames are warped.

    Args:
        flow_channels: channels of the three blocks of the flow network.
        depth_channels: channels of the depth network at the first size.
        context_channels: channels of the features that are warped along with the frames; 64 in DAIN.
        kernel_channels: channels at the first size of the network of the warping kernels.
        rectify_channels: channels of the network that corrects the average; 128 in DAIN.
    """

    any_time = True
    multiple = 16

    def __init__(
        self,
        flow_channels: tuple[Positive, Positive, Positive] = (96, 64, 48),
        depth_channels: Positive = 16,
        context_channels: Positive = 32,
        kernel_channels: Positive = 16,
        rectify_channels: Positive = 64,
    ) -> None:
        super().__init__()
        widths = zip((6, 16, 16), flow_channels, strict=True)
        self.flow = nn.ModuleList(FlowBlock(in_channels, channels) for in_channels, channels in widths)
        self.depth = AdditiveUNet(3, depth_channels, 1)
        self.context = nn.Sequential(nn.Conv2d(3, context_channels, 7, padding=3), nn.ReLU())
        self.context_block = ResidualBlock(context_channels)
        self.kernels = AdditiveUNet(6, kernel_channels, 32)
        # Bilinear interpolation to begin with: the four pixels around the target count in full, the others not at all.
        nn.init.zeros_(self.kernels.last.weight)
        inner = torch.zeros(4, 4)
        inner[1:3, 1:3] = 1
        self.kernels.last.bias.data.copy_(inner.flatten().repeat(2))  # type: ignore[union-attr]
        contexts = 3 + 2 * context_channels + 1
        self.rectify = nn.Sequential(
            nn.Conv2d(3 + 2 * contexts + 4 + 32, rectify_channels, 7, padding=3),
            nn.ReLU(),
            *(ResidualBlock(rectify_channels) for _ in range(3)),
            nn.Conv2d(rectify_channels, 3, 3, padding=1),
        )
        nn.init.zeros_(self.rectify[-1].weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.rectify[-1].bias)  # type: ignore[arg-type]

    def interpolate(self, first: Tensor, last: Tensor, time: Tensor) -> DepthAwareFrame:
        """Return the frame between two frames [B, 3, H, W] in [0, 1] at a time, [B, 1, H, W]."""
        result = self(first, last, time)
        return result._replace(image=result.image.clamp(0, 1))

    def supervise(self, first: Tensor, last: Tensor, time: Tensor, truth: Tensor) -> tuple[DepthAwareFrame, None]:
        """Return the frame between, not clamped, and no teacher."""
        return self(first, last, time), None

    def forward(
        self, first: Tensor, last: Tensor, time: Tensor, inverse_depth: Tensor | None = None
    ) -> DepthAwareFrame:
        """Return the frame between two frames [B, 3, H, W] in [0, 1].

        Args:
            first: frames at the time 0.
            last: frames at the time 1.
            time: [B, 1, H, W].
            inverse_depth: of both frames where it is known, [B, 2, H, W]; estimated when None.
        """
        frames = torch.cat([first, last])
        log_depth = self.depth(frames)
        if inverse_depth is None:
            inverse_depth = torch.cat(_halves(1e-6 + torch.exp(-log_depth)), 1)
        flows = self.flows(first, last)
        # As in DAIN, cells that no pixel reaches are filled in inference only.
        projected = [
            depth_aware_projection(flow * part, weight, fill=not self.training)[0]
            for flow, part, weight in zip(flows.split(2, 1), (time, 1 - time), inverse_depth.split(1, 1), strict=True)
        ]
        features = self.context(frames)
        contexts = torch.cat([frames, features, self.context_block(features), log_depth.detach()], 1)
        kernels = self.kernels(torch.cat([first, last], 1))
        warped = [
            adaptive_warping(context, flow, kernel)
            for context, flow, kernel in zip(_halves(contexts), projected, kernels.split(16, 1), strict=True)
        ]
        average = (warped[0][:, :3] + warped[1][:, :3]) / 2
        correction = self.rectify(torch.cat([average, *warped, *projected, kernels], 1))
        return DepthAwareFrame(average + correction, average, torch.cat(projected, 1), inverse_depth)

    def flows(self, first: Tensor, last: Tensor) -> Tensor:
        """Return the flows from the first frame to the last one and back, in pixels, [B, 4, H, W]."""
        flow, _ = self.flow[0](torch.cat([first, last], 1), None, _SCALES[0])
        for block, scale in zip(list(self.flow)[1:], _SCALES[1:], strict=True):
            seen = [first, last, warp(last, flow[:, :2]), warp(first, flow[:, 2:])]
            change, _ = block(torch.cat(seen, 1), flow, scale)
            flow = flow + change
        return flow


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions without a norm, added to the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.conv2(F.relu(self.conv1(x))))


class AdditiveUNet(nn.Module):
    """A U-Net of three sizes whose skip connections are added.

    Args:
        in_channels: channels of the input.
        channels: channels at the first size; doubled at each smaller one.
        out_channels: channels of the result.
    """

    def __init__(self, in_channels: int, channels: int, out_channels: int) -> None:
        super().__init__()
        c = channels
        self.first = nn.Conv2d(in_channels, c, 3, padding=1)
        self.down = nn.ModuleList(nn.Conv2d(c * 2**i, c * 2 ** (i + 1), 3, 2, 1) for i in range(3))
        self.up = nn.ModuleList(nn.Conv2d(c * 2 ** (i + 1), c * 2**i, 3, padding=1) for i in reversed(range(3)))
        self.last = nn.Conv2d(c, out_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.first(x))
        skips = []
        for layer in self.down:
            skips.append(x)
            x = F.relu(layer(x))
        for layer in self.up:
            x = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
            x = F.relu(layer(x)) + skips.pop()
        y: Tensor = self.last(x)
        return y


def _halves(both: Tensor) -> tuple[Tensor, Tensor]:
    """Return the first and the second half of a batch; chunks would fix the batch size in an exported file."""
    first, second = both.unflatten(0, (2, -1)).unbind()
    return first, second
