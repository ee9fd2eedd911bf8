"""The losses `token_kl` and `value`."""

from __future__ import annotations

from torch import Tensor, nn

from i2i_tokens.dvae import kl_from_uniform


class TokenKL(nn.Module):
    """KL divergence of the tokens' distributions from the uniform one, summed over the image, mean over the batch."""

    def forward(self, logits: Tensor) -> Tensor:
        """Return the divergence of logits [B, tokens, h, w]."""
        return kl_from_uniform(logits) / len(logits)


class Value(nn.Module):
    """A term that the translator has computed already, such as a cross entropy."""

    def forward(self, value: Tensor) -> Tensor:
        return value.mean()
