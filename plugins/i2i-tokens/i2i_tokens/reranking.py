"""Reranking: of several images for a text, the one that an encoder of texts and images finds closest to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from i2i.errors import I2IError


class Encoder(Protocol):
    """Embeds texts and images in one space, as components of i2i-edit's kind `text_image_encoder` do."""

    def embed_image(self, image: Tensor) -> Tensor:
        """Return embeddings [B, D] of images [B, 3, H, W] in [-1, 1]."""

    def embed_text(self, texts: list[str]) -> Tensor:
        """Return embeddings [n, D] of texts."""


def open_encoder(name: str) -> Any:
    """Return an encoder: a run folder of `caption_encoder`, or a component of the kind `text_image_encoder` by name.

    Raises:
        I2IError: the plugin i2i-edit is missing, or there is no such run or component.
    """
    try:
        from i2i_edit.kinds import TEXT_IMAGE_ENCODER
    except ImportError as error:
        raise I2IError("encoder: reranking needs the plugin i2i-edit, which is not installed") from error
    if Path(name).exists():
        return TEXT_IMAGE_ENCODER("captions", run=Path(name))()
    return TEXT_IMAGE_ENCODER(name)()


@torch.no_grad()
def closeness(images: Tensor, text: str, encoder: Encoder) -> Tensor:
    """Return the cosine [n] of the embeddings of images [n, 3, H, W] and of a text.

    Source: Ramesh et al., ICML 2021, arXiv:2102.12092, section 2.6, with CLIP as encoder.
    """
    image, (words,) = encoder.embed_image(images), encoder.embed_text([text])
    return F.cosine_similarity(image, words[None].to(image), dim=1)


def best_of(candidates: Tensor, text: str, encoder: Encoder) -> Tensor:
    """Return the closest candidate of each image.

    Args:
        candidates: [n, k, C, H, W] in [-1, 1].
        text: what they should show.
        encoder: of texts and images.

    Returns:
        images [n, C, H, W].
    """
    scores = closeness(candidates.flatten(0, 1), text, encoder).unflatten(0, candidates.shape[:2])
    return candidates[torch.arange(len(candidates)), scores.argmax(1)]
