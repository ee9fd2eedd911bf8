"""Flicker against ghosting of the flicker reduction, on a drawn clip whose truth is known.

    uv run python benchmarks/flicker.py

A square moves over a static background. The "translation" of each frame is the truth plus noise of its own, filtered to
blobs of about 5 pixels, which is how a network reacts to noise of its input. The input has noise, too.
Flicker: mean change between results in the static part. Ghosting: mean brightness left behind the square, in both cases
of images in [-1, 1].
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch.nn import functional as F

from i2i.use.flicker import FlickerReduction


def clip(count: int = 40) -> tuple[list[torch.Tensor], list[torch.Tensor], list[torch.Tensor]]:
    draws = torch.Generator().manual_seed(0)
    truth = torch.full((count, 3, 64, 128), -0.5)
    for index, frame in enumerate(truth):
        frame[:, 16:40, 2 * index : 2 * index + 24] = 0.5
    blobs = F.avg_pool2d(torch.randn(truth.shape, generator=draws), 5, 1, 2) * 5 * 0.1
    inputs = truth + 0.02 * torch.randn(truth.shape, generator=draws)
    return list(truth), list(inputs), list((truth + blobs).clamp(-1, 1))


def measured(reduction: FlickerReduction) -> tuple[float, float]:
    truth, inputs, translated = clip()
    results = [reduction(source, frame) for source, frame in zip(inputs, translated, strict=True)]
    still = [(a - b).abs()[:, 48:].mean() for a, b in pairwise(results)]
    behind = [
        (result - wanted).mean(0)[16:40, max(2 * index - 8, 0) : 2 * index].mean()
        for index, (result, wanted) in enumerate(zip(results, truth, strict=True))
        if index > 4
    ]
    return float(torch.stack(still).mean()), float(torch.stack(behind).mean())


def main() -> None:
    print("| strength | threshold | flicker | ghosting |\n|---|---|---|---|")
    for strength, threshold in (
        (0.0, 0.1),
        (0.3, 0.1),
        (0.5, 0.1),
        (0.8, 0.1),
        (0.5, float("inf")),
        (0.8, float("inf")),
    ):
        flicker, ghosting = measured(FlickerReduction(strength, threshold))
        print(f"| {strength} | {threshold} | {flicker:.3f} | {ghosting:.3f} |")


if __name__ == "__main__":
    main()
