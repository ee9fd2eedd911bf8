"""A discrete VAE: images as a grid of tokens, with a Gumbel softmax in training.

Source: Ramesh et al., ICML 2021, arXiv:2102.12092, section 2.1; the layout of lucidrains/DALLE-pytorch 58c1e1a.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.core.bounds import Count, Depth, Positive
from i2i.errors import ShapeError


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.net(x) + x
        return y


class DiscreteVAE(nn.Module):
    """Encoder to tokens, codebook, and decoder.

    Args:
        tokens: number of different tokens.
        codebook: length of each token's vector.
        hidden: channels of all layers.
        layers: halvings, so a token stands for 2^layers pixels squared.
        blocks: residual blocks in encoder and decoder.
        in_channels: channels of the image.
    """

    def __init__(
        self,
        tokens: Positive = 512,
        codebook: Positive = 256,
        hidden: Positive = 64,
        layers: Depth = 3,
        blocks: Count = 0,
        in_channels: Positive = 3,
    ) -> None:
        super().__init__()
        self.tokens, self.multiple = tokens, 2**layers
        residual = [_Residual(hidden) for _ in range(blocks)]
        down = [
            nn.Sequential(nn.Conv2d(in_channels if i == 0 else hidden, hidden, 4, 2, 1), nn.ReLU())
            for i in range(layers)
        ]
        self.encoder = nn.Sequential(*down, *residual, nn.Conv2d(hidden, tokens, 1))
        first = codebook if blocks == 0 else hidden
        up = [
            nn.Sequential(nn.ConvTranspose2d(first if i == 0 else hidden, hidden, 4, 2, 1), nn.ReLU())
            for i in range(layers)
        ]
        enter = [nn.Conv2d(codebook, hidden, 1)] if blocks else []
        residual = [_Residual(hidden) for _ in range(blocks)]
        self.decoder = nn.Sequential(*enter, *residual, *up, nn.Conv2d(hidden, in_channels, 1))
        self.codebook = nn.Embedding(tokens, codebook)

    def logits(self, image: Tensor) -> Tensor:
        """Return logits of tokens [B, tokens, h, w] of images [B, C, H, W] in [-1, 1]."""
        if any(side % self.multiple for side in image.shape[2:]):
            raise ShapeError(
                f"discrete VAE: expected images with sides divisible by {self.multiple}, got {list(image.shape)}"
            )
        logits: Tensor = self.encoder(image)
        return logits

    def encode(self, image: Tensor) -> Tensor:
        """Return the tokens of images, row by row, [B, h·w]."""
        return self.logits(image).argmax(1).flatten(1)

    def decode(self, tokens: Tensor, height: int) -> Tensor:
        """Return images [B, C, H, W] for tokens [B, h·w] that form `height` rows."""
        codes = self.codebook(tokens).transpose(1, 2).unflatten(2, (height, -1))
        image: Tensor = self.decoder(codes)
        return image

    def relaxed(self, logits: Tensor, gumbel: Tensor, temperature: float, hard: bool = False) -> Tensor:
        """Return reconstructions from the Gumbel softmax of logits, which has gradients.

        Args:
            logits: [B, tokens, h, w].
            gumbel: noise of the same shape from the standard Gumbel distribution.
            temperature: smaller values come closer to single tokens.
            hard: whether single tokens are decoded, with the gradient of the softmax (straight-through).
        """
        weights = F.softmax((logits + gumbel) / temperature, 1)
        if hard:
            chosen = F.one_hot(weights.argmax(1), self.tokens).movedim(-1, 1).to(weights)
            weights = chosen - weights.detach() + weights
        image: Tensor = self.decoder(torch.einsum("bthw,tc->bchw", weights, self.codebook.weight))
        return image


def kl_from_uniform(logits: Tensor) -> Tensor:
    """Return the KL divergence of the tokens' distributions from the uniform one, summed over batch and positions.

    Args:
        logits: [B, tokens, h, w].
    """
    log = F.log_softmax(logits, 1)
    return (log.exp() * (log + math.log(logits.shape[1]))).sum()


def gumbel_noise(uniform: Tensor) -> Tensor:
    """Return standard Gumbel noise for numbers from (0, 1)."""
    return -torch.log(-torch.log(uniform.clamp(1e-20, 1 - 1e-7)))
