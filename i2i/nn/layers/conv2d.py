"""The convolution that i2i's networks are made of."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F

from i2i.nn.functional.convolution import convolve


class Conv2d(nn.Conv2d):
    """`nn.Conv2d`, with the same options, weights and results, by the fastest way for the shapes at hand."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:  # torch's name
        stride = self.stride[0]
        special = self.groups > 1 or self.dilation != (1, 1) or self.stride != (stride, stride)
        if special or isinstance(self.padding, str):
            plain: Tensor = super()._conv_forward(input, weight, bias)
            return plain
        if self.padding_mode != "zeros":
            padded = F.pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode)
            return convolve(padded, weight, bias, stride)
        return convolve(input, weight, bias, stride, cast("tuple[int, int]", self.padding))
