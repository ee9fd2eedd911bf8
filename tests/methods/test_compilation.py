"""Compiled blocks: alike ones share what is compiled, and so do all sizes of images."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch._dynamo.testing import CompileCounter

from i2i.core.kinds import ACTIVATION, NORM
from i2i.methods.compilation import compile_blocks
from i2i.nn.generators.blocks import ResidualBlock
from i2i.nn.layers.convolution import ConvBlock


@pytest.mark.thorough
def test_blocks_are_compiled_once_for_each_kind_and_not_for_each_size() -> None:
    norm, activation = NORM("in"), ACTIVATION("relu")
    blocks = [ResidualBlock(4, norm, activation, bias=False) for _ in range(3)]
    network = nn.Sequential(ConvBlock(3, 4, 3, padding=1, norm=norm, activation=activation), *blocks)
    images = [torch.rand(1, 3, side, side) for side in (16, 24, 20, 32, 28)]
    expected = [network(image) for image in images]
    names = [*network.state_dict()]
    counter = CompileCounter()
    assert compile_blocks(network, backend=counter) == 4  # the blocks inside of the residual ones are not counted
    counts = []
    for image, wanted in zip(images, expected, strict=True):
        torch.testing.assert_close(network(image), wanted)
        counts.append(counter.frame_count)
    assert counts == [2, 4, 4, 4, 4]  # once for the first size, and once for any
    assert [*network.state_dict()] == names
