"""Where each way of convolving wins over oneDNN's: CPU time of `i2i.nn.functional.convolution` against `F.conv2d`.

    OMP_WAIT_POLICY=PASSIVE GOMP_SPINCOUNT=0 python benchmarks/convolutions.py

Forwards and backwards, the best of several turns. The bounds in `functional/convolution.py` come from this table, with
`--all`, which takes a way beyond its bounds, too.
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
    "Winograd": [
        (1, 256, 256, 3, 64),
        (2, 256, 256, 3, 64),
        (1, 256, 256, 3, 32),
        (1, 512, 512, 3, 32),
        (2, 128, 128, 3, 32),
        (1, 128, 128, 3, 64),
    ],
}
EVERYWHERE = {"FEW_POSITIONS": 10**9, "HEAVY_WEIGHT": 2**18, "DEEP": 1, "LARGE": 1}


def seconds(way: object, x: Tensor, weight: Tensor, turns: int) -> tuple[float, float]:
    best = [float("inf")] * 2
    for _ in range(turns):
        began = time.process_time()
        y = way(x, weight)  # type: ignore[operator]
        made = time.process_time()
        y.backward(torch.ones_like(y))
        best = [min(best[0], made - began), min(best[1], time.process_time() - made)]
        x.grad = weight.grad = None
    return best[0], best[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--turns", type=int, default=6)
    parser.add_argument("--all", action="store_true", help="each way for each of its rows, also where it loses")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| way | batch, channels, kernel, side | conv2d, ms | this, ms | conv2d / this |\n|---|---|---|---|---|")
    for name, cases in CASES.items():
        bounds = {"Winograd": ("DEEP", "LARGE"), "matrix product": ("FEW_POSITIONS",), "blocks": ()}[name]
        for batch, channels, out, kernel, side in cases:
            x = torch.randn(batch, channels, side + kernel - 1, side + kernel - 1, requires_grad=True)
            weight = torch.randn(out, channels, kernel, kernel, requires_grad=True)
            widened = {bound: EVERYWHERE[bound] for bound in bounds if options.all}
            with patch.multiple(convolution, **widened) if widened else nullcontext():
                ours = seconds(convolution.convolve, x, weight, options.turns)
            torchs = seconds(F.conv2d, x, weight, options.turns)
            shape = f"{batch}, {channels} to {out}, {kernel}, {side}"
            both = [f"{1000 * one:.1f} + {1000 * two:.1f}" for one, two in (torchs, ours)]
            print(f"| {name} | {shape} | {both[0]} | {both[1]} | {sum(torchs) / sum(ours):.2f} |", flush=True)


if __name__ == "__main__":
    main()
