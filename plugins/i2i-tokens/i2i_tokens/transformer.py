"""A causal transformer over the tokens of a text and of an image, with a cache for generation.

Source: Ramesh et al., ICML 2021, arXiv:2102.12092, section 2.2; the layout of kakaobrain/minDALL-E e548007.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.core.bounds import Depth, Positive
from i2i.errors import OptionError
from i2i.nn.layers.sigmoid_gelu import SigmoidGELU

Cache = list[tuple[Tensor, Tensor]]
"""Keys and values [B, heads, n, c] of each layer for the tokens so far."""
TEXT_WEIGHT, IMAGE_WEIGHT = 1 / 8, 7 / 8
"""DALL-E's weights of both cross entropies."""


class _Attention(nn.Module):
    def __init__(self, channels: int, heads: int, bias: bool) -> None:
        super().__init__()
        self.heads = heads
        self.key, self.query, self.value, self.proj = (nn.Linear(channels, channels, bias) for _ in range(4))

    def forward(self, x: Tensor, past: tuple[Tensor, Tensor] | None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        query, key, value = (
            layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for layer in (self.query, self.key, self.value)
        )
        if past is not None:
            key, value = torch.cat([past[0], key], 2), torch.cat([past[1], value], 2)
        # Tokens are generated one by one, so a query with a past may see all keys.
        attended = F.scaled_dot_product_attention(query, key, value, is_causal=past is None)
        return self.proj(attended.transpose(1, 2).flatten(2)), (key, value)


class _Block(nn.Module):
    def __init__(self, channels: int, heads: int, attention_bias: bool, mlp_bias: bool, sigmoid_gelu: bool) -> None:
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.attn = _Attention(channels, heads, attention_bias)
        wide = 4 * channels
        activation = SigmoidGELU() if sigmoid_gelu else nn.GELU()
        self.mlp = nn.Sequential(nn.Linear(channels, wide, mlp_bias), activation, nn.Linear(wide, channels, mlp_bias))

    def forward(self, x: Tensor, past: tuple[Tensor, Tensor] | None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        attended, present = self.attn(self.ln1(x), past)
        x = x + attended
        return x + self.mlp(self.ln2(x)), present


class TokenTransformer(nn.Module):
    """Predicts each token of a text, then of an image, from those before it.

    Args:
        text_tokens: number of different text tokens.
        image_tokens: number of different image tokens.
        text_length: tokens of a text.
        image_length: tokens of an image.
        channels: length of all vectors.
        layers: number of layers.
        heads: attention heads; they divide `channels`.
        attention_bias: whether the four linear layers of an attention have biases.
        mlp_bias: whether the two linear layers after it have.
        sigmoid_gelu: whether GELU is approximated by x sigmoid(1.702 x).

    Raises:
        OptionError: `heads` does not divide `channels`.
    """

    def __init__(
        self,
        text_tokens: Positive,
        image_tokens: Positive,
        text_length: Positive,
        image_length: Positive,
        channels: Positive = 128,
        layers: Depth = 4,
        heads: Positive = 4,
        attention_bias: bool = True,
        mlp_bias: bool = True,
        sigmoid_gelu: bool = False,
    ) -> None:
        super().__init__()
        if channels % heads:
            raise OptionError("heads", f"expected a divisor of the {channels} channels, got {heads}")
        self.text_length, self.image_length = text_length, image_length
        self.tok_emb_txt, self.tok_emb_img = nn.Embedding(text_tokens, channels), nn.Embedding(image_tokens, channels)
        self.pos_emb_txt, self.pos_emb_img = nn.Embedding(text_length, channels), nn.Embedding(image_length, channels)
        self.blocks = nn.ModuleList(
            _Block(channels, heads, attention_bias, mlp_bias, sigmoid_gelu) for _ in range(layers)
        )
        self.ln_f = nn.LayerNorm(channels)
        self.head_txt = nn.Linear(channels, text_tokens, bias=False)
        self.head_img = nn.Linear(channels, image_tokens, bias=False)
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(self, text: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits of all tokens but the text's first one.

        Args:
            text: tokens [B, text_length].
            image: tokens [B, image_length].

        Returns:
            text: [B, text_length - 1, text_tokens]; at i those of text token i + 1.
            image: [B, image_length, image_tokens]; at i those of image token i, predicted before it is seen.
        """
        x = torch.cat([self._embedded_text(text), self._embedded_image(image, 0)], 1)
        for block in self.blocks:
            x, _ = block(x, None)
        x = self.ln_f(x)
        length = text.shape[1]
        return self.head_txt(x[:, : length - 1]), self.head_img(x[:, length - 1 : length - 1 + image.shape[1]])

    def loss(self, text: Tensor, image: Tensor) -> Tensor:
        """Return the weighted cross entropies of text and image tokens."""
        text_logits, image_logits = self(text, image)
        of_text = F.cross_entropy(text_logits.transpose(1, 2), text[:, 1:])
        return TEXT_WEIGHT * of_text + IMAGE_WEIGHT * F.cross_entropy(image_logits.transpose(1, 2), image)

    def generate(
        self,
        text: Tensor,
        uniform: Tensor | None = None,
        top_k: int | None = None,
        temperature: float = 1.0,
        first: Tensor | None = None,
        cached: bool = True,
    ) -> Tensor:
        """Generate the tokens of images, one after the other.

        Args:
            text: tokens [B, text_length].
            uniform: numbers from (0, 1), [B, image_length], that choose tokens; None takes the likeliest ones.
            top_k: number of likeliest tokens to choose from; None for all.
            temperature: divides the logits.
            first: image tokens [B, n] that are given; the rest is generated.
            cached: whether keys and values of earlier tokens are kept; without, everything is computed again.

        Returns:
            tokens [B, image_length], `first` included.
        """
        tokens = text.new_zeros(len(text), 0) if first is None else first
        cache: Cache | None = None
        while tokens.shape[1] < self.image_length:
            logits, cache = self._next(text, tokens, cache if cached else None)
            place = tokens.shape[1]
            chosen = _choose(logits / temperature, None if uniform is None else uniform[:, place], top_k)
            tokens = torch.cat([tokens, chosen[:, None]], 1)
        return tokens

    def _next(self, text: Tensor, tokens: Tensor, cache: Cache | None) -> tuple[Tensor, Cache]:
        """Return the logits [B, image_tokens] of the next token, and the cache with all tokens so far."""
        if cache is None:
            x = torch.cat([self._embedded_text(text), self._embedded_image(tokens, 0)], 1)
        else:
            x = self._embedded_image(tokens[:, -1:], tokens.shape[1] - 1)
        present: Cache = []
        for number, block in enumerate(self.blocks):
            x, kept = block(x, None if cache is None else cache[number])
            present.append(kept)
        return self.head_img(self.ln_f(x[:, -1])), present

    def _embedded_text(self, text: Tensor) -> Tensor:
        embedded: Tensor = self.tok_emb_txt(text) + self.pos_emb_txt.weight[: text.shape[1]]
        return embedded

    def _embedded_image(self, tokens: Tensor, start: int) -> Tensor:
        embedded: Tensor = self.tok_emb_img(tokens) + self.pos_emb_img.weight[start : start + tokens.shape[1]]
        return embedded


def _choose(logits: Tensor, uniform: Tensor | None, top_k: int | None) -> Tensor:
    """Return a token for each row of logits, by inverse transform sampling."""
    if uniform is None:
        return logits.argmax(-1)
    if top_k is not None and top_k < logits.shape[-1]:
        least = logits.topk(top_k).values[:, -1:]
        logits = logits.masked_fill(logits < least, float("-inf"))
    cumulative = F.softmax(logits, -1).cumsum(-1)
    # The last sum may be a little less than one.
    return torch.searchsorted(cumulative, (uniform[:, None] * cumulative[:, -1:]).to(cumulative)).squeeze(1)
