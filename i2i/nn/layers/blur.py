"""Antialiased halving and doubling as layers; they learn nothing and leave nothing in the state."""

from __future__ import annotations

from torch import Tensor, nn

from i2i.nn.functional.blur import DOUBLING, HALVING, blur_down, blur_kernel, blur_up


class BlurDown(nn.Module):
    """Halves the sides of a feature map; see `i2i.nn.functional.blur.blur_down`."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", blur_kernel(HALVING), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return blur_down(x, self.kernel)


class BlurUp(nn.Module):
    """Doubles the sides of a feature map; see `i2i.nn.functional.blur.blur_up`."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", blur_kernel(DOUBLING), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return blur_up(x, self.kernel)
