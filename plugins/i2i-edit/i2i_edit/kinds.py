"""The kinds of components that this plugin adds: encoders of texts and images, and taggers of images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import i2i

if TYPE_CHECKING:
    from torch import Tensor


class TextImageEncoder(Protocol):
    """Embeds images and texts in one space, so that the cosine of two embeddings says how well they fit."""

    def embed_image(self, image: Tensor) -> Tensor:
        """Return embeddings [B, D] of images [B, 3, H, W] in [-1, 1]; gradients flow to the images."""

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        """Return embeddings [n, D] of texts.

        Raises:
            I2IError: a text is empty, or has words that the encoder does not know.
        """


class Tagger(Protocol):
    """Scores images by tags; stands where published work uses illustration2vec."""

    @property
    def tags(self) -> tuple[str, ...]:
        """Names of the tags."""

    def __call__(self, image: Tensor) -> Tensor:
        """Return scores [B, tags] in [0, 1] of images [B, 3, H, W] in [-1, 1]."""


TEXT_IMAGE_ENCODER: i2i.Kind[TextImageEncoder] = i2i.Kind("text_image_encoder", TextImageEncoder)
TAGGER: i2i.Kind[Tagger] = i2i.Kind("tagger", Tagger)
