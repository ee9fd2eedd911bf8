"""The blocks of all networks, and the hourglass. Names of submodules are those of official checkpoints."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Block(nn.Module):
    """Convolution, batch norm and ReLU; before them nearest upsampling, or after them average pooling.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        resize: 2 doubles the sides first, 0.5 halves them at the end, 1 keeps them.
        kernel_size: odd side of the kernel.
    """

    def __init__(self, in_channels: int, out_channels: int, resize: float = 1, kernel_size: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2)
        self.norm = nn.BatchNorm2d(out_channels)
        self.resize = resize

    def forward(self, x: Tensor) -> Tensor:
        x = F.interpolate(x, scale_factor=2.0) if self.resize == 2 else x
        x = F.relu(self.norm(self.conv(x)))
        return F.avg_pool2d(x, 2) if self.resize == 0.5 else x


class ResidualBlock(nn.Module):
    """Two times batch norm, ReLU and a 3x3 convolution, added to the input.

    Args:
        channels: channels of input and output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm1, self.norm2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(F.relu(self.norm1(x)))
        return x + self.conv2(F.relu(self.norm2(y)))


def widths(channels: int, count: int, most: int) -> list[int]:
    """Return `channels` doubled once, twice and so on, `count` times, and none above `most`."""
    return [min(most, channels * 2 ** (depth + 1)) for depth in range(count)]


class Encoder(nn.Module):
    """Blocks that halve the sides; returns the input and every block's output.

    Args:
        channels: half of the first block's channels.
        in_channels: channels of the input.
        blocks: number of blocks.
        max_channels: upper bound of the channels.
    """

    def __init__(self, channels: int, in_channels: int, blocks: int, max_channels: int) -> None:
        super().__init__()
        sizes = [in_channels, *widths(channels, blocks, max_channels)]
        self.down_blocks = nn.ModuleList(Block(*pair, resize=0.5) for pair in pairwise(sizes))

    def forward(self, x: Tensor) -> list[Tensor]:
        outputs = [x]
        for block in self.down_blocks:
            outputs.append(block(outputs[-1]))
        return outputs


class Decoder(nn.Module):
    """Blocks that double the sides, each followed by the concatenation of the encoder's features of that size.

    Args:
        channels: channels of the last block, before the input is concatenated.
        in_channels: channels of the hourglass's input.
        blocks: number of blocks.
        max_channels: upper bound of the channels.
    """

    def __init__(self, channels: int, in_channels: int, blocks: int, max_channels: int) -> None:
        super().__init__()
        sizes = [min(max_channels, channels * 2**depth) for depth in range(blocks + 1)]
        self.up_blocks = nn.ModuleList(
            # The deepest block sees the encoder's output alone, every other one also the skip connection before it.
            Block(sizes[depth + 1] * (1 if depth == blocks - 1 else 2), sizes[depth], resize=2)
            for depth in reversed(range(blocks))
        )
        self.out_channels = channels + in_channels

    def forward(self, features: list[Tensor]) -> Tensor:
        *skips, x = features
        for block, skip in zip(self.up_blocks, reversed(skips), strict=True):
            x = torch.cat([block(x), skip], 1)
        return x


class Hourglass(nn.Module):
    """A U-Net whose last skip connection is its input: `channels + in_channels` channels at the input's size.

    Args:
        channels: see `Decoder`.
        in_channels: channels of the input.
        blocks: halvings.
        max_channels: upper bound of the channels.
    """

    def __init__(self, channels: int, in_channels: int, blocks: int, max_channels: int) -> None:
        super().__init__()
        self.encoder = Encoder(channels, in_channels, blocks, max_channels)
        self.decoder = Decoder(channels, in_channels, blocks, max_channels)
        self.out_channels = self.decoder.out_channels

    def forward(self, x: Tensor) -> Tensor:
        decoded: Tensor = self.decoder(self.encoder(x))
        return decoded
