"""Backward warping, forward splatting, depth-aware projection and the Laplacian pyramid; flows are in pixels (x, y)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

SplatMode = Literal["sum", "average", "linear", "softmax"]


def pixel_grid(like: Tensor) -> Tensor:
    """Return the coordinates (x, y) of each pixel, [1, 2, H, W], for a tensor [B, C, H, W]."""
    height, width = like.shape[2:]
    y, x = torch.meshgrid(
        torch.arange(height, device=like.device), torch.arange(width, device=like.device), indexing="ij"
    )
    return torch.stack([x, y])[None].to(like.dtype)


def warp(image: Tensor, flow: Tensor) -> Tensor:
    """Return an image sampled at each pixel's place plus its flow; the border is replicated.

    Without gradients, the nearest pixels and their weights follow from the flow alone, and not from the sum of place
    and flow, which float32 rounds to 1e-5 pixels and float16 to a tenth of a pixel.

    Args:
        image: [B, C, H, W].
        flow: [B, 2, H, W].

    Source: hzwer/ECCV2022-RIFE 5d8adbd.
    """
    height, width = image.shape[2:]
    if torch.is_grad_enabled():
        one = image.new_ones(())  # products, since a tensor of numbers would wait for a transfer to the device
        size = torch.stack([one * (width - 1), one * (height - 1)]).view(1, 2, 1, 1)
        places = 2 * (pixel_grid(image) + flow) / size - 1
        return F.grid_sample(image, places.permute(0, 2, 3, 1), padding_mode="border", align_corners=True)
    sampled, pixels = torch.zeros_like(image), image.flatten(2)
    columns, rows = (
        _neighbors(*axis) for axis in zip(flow.unbind(1), pixel_grid(flow)[0], (width, height), strict=True)
    )
    for row, down in rows:
        for column, across in columns:
            index = (row * width + column).flatten(1)[:, None].expand(-1, image.shape[1], -1)
            sampled = sampled + pixels.gather(2, index).view_as(image) * (down * across)[:, None].to(image.dtype)
    return sampled


def _neighbors(move: Tensor, place: Tensor, size: int) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Return the indices along one axis of the pixels before and after the places that a flow leads to, with weights.

    Args:
        move: the flow along this axis, [B, H, W].
        place: the place of each pixel, [H, W].
        size: number of pixels along this axis.
    """
    move = torch.where(move > -place, move, -place)  # not `clamp`, which keeps NaN
    move = torch.where(move < size - 1 - place, move, size - 1 - place)
    whole = move.floor()
    before = place.long() + whole.long()
    return (before, 1 - (move - whole)), ((before + 1).clamp(max=size - 1), move - whole)


def splat(image: Tensor, flow: Tensor, metric: Tensor | None = None, mode: SplatMode = "softmax") -> Tensor:
    r"""Move each pixel along its flow and add it to the four pixels around its target, with bilinear weights.

    Args:
        image: [B, C, H, W].
        flow: [B, 2, H, W].
        metric: importance Z of each pixel, [B, 1, H, W], for the modes linear and softmax.
        mode: `sum`; or what arrives divided by the sum of its weights, which are 1 (`average`), |Z| (`linear`) or
            :math:`e^Z` (`softmax`).

    Source: Niklaus and Liu, Softmax Splatting, CVPR 2020, arXiv:2003.05534, equations 5 to 11.
    """
    if mode == "sum":
        return _splat(image, flow)
    if mode == "average":
        weight = torch.ones_like(image[:, :1])
    elif metric is None:
        raise ValueError(f"splat: mode {mode!r} needs a metric [B, 1, H, W]")
    else:
        # The quotient does not depend on the largest value, which exp could not represent.
        weight = metric.abs() if mode == "linear" else torch.exp(metric - metric.amax((1, 2, 3), keepdim=True))
    scale = 1.0 if mode != "softmax" or metric is None else torch.exp(metric.amax((1, 2, 3), keepdim=True))
    moved = _splat(torch.cat([image * weight, weight], 1), flow)
    return moved[:, :-1] / (moved[:, -1:] + 1e-7 / scale)


def _splat(values: Tensor, flow: Tensor) -> Tensor:
    batch, channels, height, width = values.shape
    target = pixel_grid(values) + flow
    corner = target.floor()
    result = values.new_zeros(batch, channels, height * width)
    for right in (0, 1):
        for below in (0, 1):
            x, y = corner[:, 0] + right, corner[:, 1] + below
            weight = (1 - (target[:, 0] - x).abs()) * (1 - (target[:, 1] - y).abs())
            inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
            index = torch.where(inside, y * width + x, torch.zeros_like(x)).long()
            added = (values * (weight * inside)[:, None]).flatten(2)
            result = result.scatter_add(2, index.flatten(1)[:, None].expand(-1, channels, -1), added)
    return result.view(batch, channels, height, width)


def depth_aware_projection(flow: Tensor, inverse_depth: Tensor, fill: bool = True) -> tuple[Tensor, Tensor]:
    """Project a flow from a frame to the time that it ends at: nearer pixels decide where several meet.

    Args:
        flow: flow from the frame to the time t, [B, 2, H, W].
        inverse_depth: weight of each pixel, larger for nearer ones, [B, 1, H, W].
        fill: whether pixels that no flow reaches take the mean of the nearest reached ones to the left, right, above
            and below.

    Returns:
        projected: flow from t back to the frame, [B, 2, H, W]; 0 where nothing arrives and `fill` is off.
        count: sum of the weights that arrive at each pixel, [B, 1, H, W].

    Source: Bao et al., DAIN, CVPR 2019, arXiv:1904.00830, equation 1; baowenbo/DAIN 7c727ac.
    """
    batch, _, height, width = flow.shape
    target = pixel_grid(flow) + flow
    x, y = target[:, 0], target[:, 1]
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    weight = inverse_depth[:, 0] * inside
    values = torch.cat([-flow * weight[:, None], weight[:, None]], 1).flatten(2)
    total = flow.new_zeros(batch, 3, height * width)
    for right in (0, 1):
        for below in (0, 1):
            column, row = (x.floor() + right).clamp(0, width - 1), (y.floor() + below).clamp(0, height - 1)
            index = (row * width + column).long().flatten(1)[:, None].expand(-1, 3, -1)
            total = total.scatter_add(2, index, values)
    total = total.view(batch, 3, height, width)
    count = total[:, 2:]
    projected = torch.where(count > 0, total[:, :2] / count.clamp_min(1e-30), torch.zeros_like(total[:, :2]))
    return (_filled(projected, count > 0) if fill else projected), count


def _filled(flow: Tensor, known: Tensor) -> Tensor:
    """Give unknown pixels the mean of the nearest known ones in the four directions, where there are any."""
    total, number = torch.zeros_like(flow), torch.zeros_like(flow[:, :1])
    for axis in (2, 3):
        for backwards in (False, True):
            values, found = (part.flip(axis) if backwards else part for part in (flow, known))
            size = values.shape[axis]
            places = torch.arange(size, device=flow.device).view([-1 if a == axis else 1 for a in range(4)])
            # The index of the last known pixel so far, without a cumulative maximum, which ONNX has not: the nth known
            # pixel writes its index to entry n of a table, and each pixel reads the entry of its count. Entry 0, which
            # the unknown pixels write to, is read where there is no known pixel yet, and not used.
            count = found.long().cumsum(axis)
            table = torch.cat([torch.zeros_like(count), torch.zeros_like(count.narrow(axis, 0, 1))], axis)
            last = table.scatter(axis, count * found, places.expand_as(count)).gather(axis, count)
            nearest = torch.gather(values, axis, last.expand_as(values))
            exists = (count > 0).to(flow.dtype)
            nearest, exists = (part.flip(axis) if backwards else part for part in (nearest * exists, exists))
            total, number = total + nearest, number + exists
    return torch.where(known, flow, total / number.clamp_min(1))


def adaptive_warping(image: Tensor, flow: Tensor, kernel: Tensor) -> Tensor:
    """Return an image sampled at each pixel's place plus its flow, by a kernel of its own over 4x4 pixels.

    Each quarter of the kernel is weighted as the pixel in that corner is in bilinear interpolation; with ones at the
    four inner pixels the result is bilinear interpolation. The border is replicated. Pixels whose place lies outside
    the image, or that move by half of a side or more, are copied.

    Args:
        image: [B, C, H, W].
        flow: [B, 2, H, W].
        kernel: weights of the pixels from one to the left of and above the place, row by row, [B, 16, H, W].

    Source: Bao et al., MEMC-Net, arXiv:1810.08768, equation 5; baowenbo/DAIN 7c727ac.
    """
    height, width = image.shape[2:]
    grid = pixel_grid(flow)
    x, y = (grid + flow).split(1, 1)
    moves = (flow[:, :1].abs() < width / 2) & (flow[:, 1:].abs() < height / 2)
    inside = moves & (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    # A flow that is NaN or infinite is outside, and its pixel is copied below; indices must be valid nevertheless.
    flow = torch.where(inside, flow, torch.zeros_like(flow))
    corner = flow.detach().floor()
    # The share is that of the place, too, but less rounded.
    right, lower = (flow - corner).split(1, 1)
    shift = torch.arange(-1, 3, device=image.device)
    column, row = (grid.long() + corner.long()).unbind(1)  # float16 has no whole numbers beyond 2048
    columns = (column[..., None] + shift).clamp(0, width - 1)
    rows = (row[..., None] + shift).clamp(0, height - 1)
    first = torch.arange(image.shape[0], device=image.device).view(-1, 1, 1, 1, 1) * (height * width)
    index = first + rows[..., :, None] * width + columns[..., None, :]
    across, down = (torch.cat([1 - share, 1 - share, share, share], 1) for share in (right, lower))
    weight = kernel * (down[:, :, None] * across[:, None]).flatten(1, 2)
    pixels = image.permute(0, 2, 3, 1).flatten(0, 2)
    per_pixel = weight.permute(0, 2, 3, 1).flatten(0, 2)
    if torch.compiler.is_exporting():  # ONNX has no bags
        summed = (pixels[index.reshape(-1, 16)] * per_pixel[..., None]).sum(1)
    else:  # a bag of sixteen pixels for each result: a weighted sum without sixteen copies of the image
        summed = F.embedding_bag(index.reshape(-1, 16), pixels, mode="sum", per_sample_weights=per_pixel)
    return torch.where(inside, summed.view(image.shape[0], height, width, -1).permute(0, 3, 1, 2), image)


def laplacian_pyramid(image: Tensor, levels: int = 5) -> list[Tensor]:
    """Return the differences between an image and its blurred half, at each of several sizes.

    Args:
        image: [B, C, H, W] with sides divisible by 2^levels.
        levels: number of differences.

    Source: hzwer/ECCV2022-RIFE 5d8adbd, after Bojanowski et al., arXiv:1707.05776.
    """
    row = image.new_tensor([1, 4, 6, 4, 1])
    kernel = torch.outer(row, row) / 256
    differences = []
    for _ in range(levels):
        smaller = _gauss(image, kernel)[..., ::2, ::2]
        spread = torch.zeros_like(image)
        spread[..., ::2, ::2] = smaller
        differences.append(image - _gauss(spread, 4 * kernel))
        image = smaller
    return differences


def _gauss(image: Tensor, kernel: Tensor) -> Tensor:
    channels = image.shape[1]
    padded = F.pad(image, (2, 2, 2, 2), mode="reflect")
    return F.conv2d(padded, kernel.expand(channels, 1, -1, -1), groups=channels)


def laplacian_loss(prediction: Tensor, target: Tensor, levels: int = 5) -> Tensor:
    """Return the sum over the levels of the mean absolute difference of both pyramids."""
    pairs = zip(laplacian_pyramid(prediction, levels), laplacian_pyramid(target, levels), strict=True)
    return torch.stack([(x - y).abs().mean() for x, y in pairs]).sum()
