"""Projection: find style vectors, and noise maps, from which a generator generates a given image."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from i2i.core.randomness import seed_of
from i2i.errors import I2IError

Synthesis = Callable[[Tensor, list[Tensor]], Tensor]
"""From style vectors [B, num_ws, w_dim] and noise maps to images in [-1, 1]."""
Distance = Callable[[Tensor], Tensor]
"""Distances [B] of images in [-1, 1] from the targets."""


class Options(NamedTuple):
    """Options of the optimization; the defaults are the official ones.

    Args:
        steps: number of steps.
        rate: largest learning rate of Adam.
        ramp_down: share of the steps in which the learning rate falls at the end.
        ramp_up: share of the steps in which it rises at the start.
        noise: noise on style vectors at the first step, as a multiple of their standard deviation.
        noise_ramp: share of the steps after which there is none.
        regularize_noise: weight of the correlation of noise maps.
        space: `w` for one style vector for all layers, `w+` for one for each.
        unbiased: divide noise maps by their unbiased standard deviation, as rosinality's projector does.
    """

    steps: int = 1000
    rate: float = 0.1
    ramp_down: float = 0.25
    ramp_up: float = 0.05
    noise: float = 0.05
    noise_ramp: float = 0.75
    regularize_noise: float = 1e5
    space: Literal["w", "w+"] = "w"
    unbiased: bool = False


def learning_rate(share: float, rate: float, ramp_down: float = 0.25, ramp_up: float = 0.05) -> float:
    """Return the learning rate after a share of the steps: a linear rise from 0 and a fall by half a cosine.

    Args:
        share: finished share of the steps, in [0, 1).
        rate: largest learning rate.
        ramp_down: share of the fall at the end.
        ramp_up: share of the rise at the start.
    """
    fall = min(1.0, (1 - share) / ramp_down)
    return rate * (0.5 - 0.5 * math.cos(fall * math.pi)) * min(1.0, share / ramp_up)


def style_statistics(mapping: Callable[[Tensor], Tensor], z_dim: int, like: Tensor, count: int = 10_000) -> Statistics:
    """Return mean and deviation of the style vectors of random codes, those of NumPy's RandomState(123).

    Args:
        mapping: from codes [N, z_dim] to style vectors [N, w_dim].
        z_dim: length of a code.
        like: tensor whose device and dtype the codes get.
        count: number of codes.
    """
    z = torch.from_numpy(np.random.RandomState(123).randn(count, z_dim)).to(like)
    ws = torch.cat([mapping(part) for part in z.split(1000)])
    mean = ws.mean(0)
    return Statistics(mean, float(((ws - mean).square().sum() / count).sqrt()))


class Statistics(NamedTuple):
    """Statistics of style vectors.

    Args:
        mean: [w_dim].
        deviation: root of the mean squared distance from the mean, over all numbers of a vector together.
    """

    mean: Tensor
    deviation: float


def noise_correlation(maps: Sequence[Tensor]) -> Tensor:
    """Return the squared correlations of noise maps with themselves, shifted by a pixel, summed over maps and scales.

    Each map [B, 1, S, S] is halved until its side is 8 or less; the result is summed over the batch.

    Source: Karras et al., StyleGAN2, CVPR 2020, arXiv:1912.04958, appendix D.
    """
    total = torch.zeros((), dtype=maps[0].dtype, device=maps[0].device)
    for noise in maps:
        while True:
            for axis in (3, 2):
                total = total + (noise * noise.roll(1, axis)).mean((1, 2, 3)).square().sum()
            if noise.shape[2] <= 8:
                break
            noise = F.avg_pool2d(noise, 2)
    return total


def normalize_noise(noise: Tensor, unbiased: bool = False) -> Tensor:
    """Return noise maps [B, 1, S, S] with a mean of 0 and a standard deviation of 1, each by itself.

    Args:
        noise: the maps.
        unbiased: whether the deviation is that of a sample, by one number less than there are.
    """
    centred = noise - noise.mean((1, 2, 3), keepdim=True)
    variance = centred.square().sum((1, 2, 3), keepdim=True) / (noise[0].numel() - int(unbiased))
    return centred * variance.rsqrt()


def optimize(
    synthesis: Synthesis,
    distance: Distance,
    start: Tensor,
    layers: int,
    deviation: float,
    noise_sides: Sequence[int],
    options: Options | None = None,
    draw: Callable[[tuple[int, ...]], Tensor] | None = None,
    seed: int = 0,
) -> Iterator[tuple[Tensor, list[Tensor], Tensor]]:
    """Optimize style vectors and noise maps so that the images come near to targets; images do not influence others.

    Args:
        synthesis: the generator.
        distance: from the targets.
        start: style vectors [B, 1 or layers, w_dim].
        layers: number of style vectors that the generator takes.
        deviation: of style vectors, see `Statistics`.
        noise_sides: sides of the noise maps in pixels; none for a generator without noise.
        options: of the optimization.
        draw: draws standard normal numbers of a shape; from `seed` when None.
        seed: of the draws.

    Yields:
        After each step style vectors [B, layers, w_dim], noise maps [B, 1, S, S], and the distances [B] before it.

    Source: Karras et al., StyleGAN2, CVPR 2020, arXiv:1912.04958, appendix D; NVlabs/stylegan2-ada-pytorch d72cc7d.
    """
    options = options or Options()
    if options.steps < 1:
        raise I2IError(f"steps: expected at least 1, got {options.steps}")
    generator = torch.Generator().manual_seed(seed_of(seed, "projection"))
    batch, width = len(start), start.shape[2]

    def drawn(shape: tuple[int, ...]) -> Tensor:
        values = torch.randn(shape, generator=generator, dtype=torch.float64) if draw is None else draw(shape)
        return values.to(start)

    rows = 1 if options.space == "w" else layers
    w = start.detach().mean(1, keepdim=True) if rows == 1 else start.detach().expand(-1, layers, -1)
    w = w.clone().requires_grad_()
    maps = [drawn((batch, 1, side, side)).requires_grad_() for side in noise_sides]
    adam = torch.optim.Adam([w, *maps], lr=options.rate, betas=(0.9, 0.999))
    for step in range(options.steps):
        share = step / options.steps
        spread = deviation * options.noise * max(0.0, 1 - share / options.noise_ramp) ** 2
        adam.param_groups[0]["lr"] = learning_rate(share, options.rate, options.ramp_down, options.ramp_up)
        ws = (w + drawn((batch, rows, width)) * spread).expand(-1, layers, -1)
        with torch.enable_grad():
            distances = distance(synthesis(ws, maps))
            loss = distances.sum()
            if maps:
                loss = loss + options.regularize_noise * noise_correlation(maps)
        for parameter, gradient in zip((w, *maps), torch.autograd.grad(loss, (w, *maps)), strict=True):
            parameter.grad = gradient
        adam.step()
        with torch.no_grad():
            for noise in maps:
                noise.copy_(normalize_noise(noise, options.unbiased))
        yield w.detach().expand(-1, layers, -1).clone(), [noise.detach() for noise in maps], distances.detach()
