"""Compare the convolution algorithms of `i2i.nn.functional.convolution` with `F.conv2d`: CPU time of both.

    OMP_WAIT_POLICY=PASSIVE GOMP_SPINCOUNT=0 python benchmarks/convolutions.py

Forward and backward, the best of several turns. The bounds in `functional/convolution.py` come from this table, with
`--all`, which uses the matrix product beyond its bounds, too.
"""

from __future__ import annotations

import argparse
import time
from contextlib import nullcontext
from unittest.mock import patch

import torch
from torch import Tensor
from torch.nn import functional as F

from i2i.nn.functional import convolution

CASES: dict[str, list[tuple[int, int, int, int, int]]] = {  # batch, channels in and out, kernel, side of what comes out
    "matrix product": [
        (2, 512, 1024, 4, 3),
        (1, 512, 1024, 4, 3),
        (2, 1024, 2048, 4, 7),
        (2, 256, 512, 4, 7),
        (2, 256, 512, 4, 15),
    ],
    "blocks": [(2, 32, 3, 7, 128), (1, 64, 3, 7, 256)],
}


def seconds(algorithm: object, x: Tensor, weight: Tensor, turns: int) -> tuple[float, float]:
    best = [float("inf")] * 2
    for _ in range(turns):
        began = time.process_time()
        y = algorithm(x, weight)  # type: ignore[operator]
        forward_end = time.process_time()
        y.backward(torch.ones_like(y))
        best = [min(best[0], forward_end - began), min(best[1], time.process_time() - forward_end)]
        x.grad = weight.grad = None
    return best[0], best[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--turns", type=int, default=6)
    parser.add_argument(
        "--all", action="store_true", help="each algorithm in each of its rows, also where it is slower"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(
        "| algorithm | batch, channels, kernel, side | conv2d, ms | this, ms | conv2d / this |\n|---|---|---|---|---|"
    )
    for name, cases in CASES.items():
        for batch, channels, out, kernel, side in cases:
            x = torch.randn(batch, channels, side + kernel - 1, side + kernel - 1, requires_grad=True)
            weight = torch.randn(out, channels, kernel, kernel, requires_grad=True)
            with patch.object(convolution, "FEW_POSITIONS", 10**9) if options.all else nullcontext():
                ours = seconds(convolution.convolve, x, weight, options.turns)
            torchs = seconds(F.conv2d, x, weight, options.turns)
            shape = f"{batch}, {channels} to {out}, {kernel}, {side}"
            both = [f"{1000 * one:.1f} + {1000 * two:.1f}" for one, two in (torchs, ours)]
            print(f"| {name} | {shape} | {both[0]} | {both[1]} | {sum(torchs) / sum(ours):.2f} |", flush=True)


if __name__ == "__main__":
    main()
