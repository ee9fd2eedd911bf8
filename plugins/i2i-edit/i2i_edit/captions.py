"""A small encoder of captions and images, which i2i trains on captions of drawn portraits: `caption_encoder`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import i2i
from i2i.core.bounds import Positive
from i2i.core.contracts import Phase, Stream
from i2i.demo.attributes import COLOR_NAMES, EYE_COLORS
from i2i.demo.portrait_truth import caption_tokens
from i2i.errors import I2IError
from i2i.methods.outputs import Outputs, output
from i2i.use.loaded import load
from i2i_edit.clip import Transformer

IMAGE = "image"


class CaptionNetwork(nn.Module):
    """Embeds images by convolutions and captions by attention between their words.

    Args:
        words: number of different words.
        length: number of words of a caption.
        size: side of the images in pixels; others are resized.
        channels: of the first layer for images.
        width: length of the vectors of words.
        embedding: length of embeddings.
    """

    def __init__(
        self, words: int, length: int, size: int, channels: int = 32, width: int = 64, embedding: int = 64
    ) -> None:
        super().__init__()
        self.size = size
        widths = (3, channels, 2 * channels, 4 * channels)
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            layers += [nn.Conv2d(inputs, outputs, 4, 2, 1), nn.GroupNorm(4, outputs), nn.ReLU()]
        side = size // 8
        self.image = nn.Sequential(*layers, nn.Flatten(), nn.Linear(widths[-1] * side**2, embedding))
        self.words = nn.Embedding(words, width)
        self.places = nn.Parameter(0.1 * torch.randn(length, width))
        self.text = Transformer(width, 2, 2)
        self.project = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, embedding))
        self.logit_scale = nn.Parameter(torch.tensor(10.0).log())

    def embed_image(self, image: Tensor) -> Tensor:
        """Return unit embeddings [B, embedding] of images [B, 3, H, W] in [-1, 1]."""
        if image.shape[2:] != (self.size, self.size):
            size = (self.size, self.size)
            image = F.interpolate(image, size, mode="bilinear", antialias=True, align_corners=False)
        return F.normalize(self.image(image), dim=1)

    def embed_tokens(self, tokens: Tensor) -> Tensor:
        """Return unit embeddings [n, embedding] of the words' numbers [n, length], padded with 0."""
        present = (tokens > 0).to(self.places.dtype)[..., None]
        x = self.text((self.words(tokens) + self.places) * present)
        return F.normalize(self.project((x * present).sum(1) / present.sum(1)), dim=1)


class CaptionOutputs(Outputs):
    """Embeddings of images and captions, by the domain `image`."""

    translator: CaptionTranslator

    @output(reuse="phase")
    def image_embedding(self) -> dict[str, Tensor]:
        """Unit embeddings [B, D] of the images."""
        image = self.batch.streams[IMAGE]
        if self.translator.noise:
            image = image + self.translator.noise * self.randn("noise", IMAGE, image)
        return {IMAGE: self.translator.encoder.embed_image(image)}

    @output(reuse="phase")
    def text_embedding(self) -> dict[str, Tensor]:
        """Embeddings [B, D] of the captions, times the learned factor of the logits."""
        encoder = self.translator.encoder
        text = encoder.embed_tokens(self.batch.streams["text"].flatten(1))
        return {IMAGE: text * encoder.logit_scale.exp().clamp(max=100)}


class CaptionTranslator(i2i.Translator):
    """Trains an encoder of images and captions, so that an image is nearest to its own caption in the batch.

    Args:
        channels: of the first layer for images.
        width: length of the vectors of words.
        embedding: length of embeddings.
        noise: standard deviation of noise on images in training, so that details of pixels do not count.
        streams: specifications of the data's streams; `text` names the words.

    Source: Radford et al., ICML 2021, arXiv:2103.00020, section 2.3, for the loss.
    """

    Outputs = CaptionOutputs
    phases: Mapping[str, Phase] = {"generator": Phase(("encoder",))}
    generator_modules: ClassVar[tuple[str, ...]] = ()
    domains: tuple[str, ...] = (IMAGE,)
    required_streams: ClassVar[Mapping[str, str]] = {IMAGE: "image", "text": "label"}
    not_exportable: ClassVar[str] = "it embeds images and captions, and generates no images"
    """Why `i2i export` refuses such runs."""

    def __init__(
        self,
        channels: Positive = 32,
        width: Positive = 64,
        embedding: Positive = 64,
        noise: float = 0.05,
        streams: Mapping[str, Stream] | None = None,
    ) -> None:
        super().__init__(streams)
        image, text = self.streams[IMAGE], self.streams["text"]
        self.noise = noise
        length, size = (text.size or (1, 16))[1], (image.size or (32, 32))[0]
        self.encoder = CaptionNetwork(max(text.channels, 2), length, size, channels, width, embedding)
        self.length = length

    @property
    def inference_modules(self) -> tuple[str, ...]:
        return ("encoder",)

    @property
    def targets(self) -> tuple[str, ...]:
        return ()

    def translate(self, image: Tensor, to: str) -> i2i.GeneratorOutput:
        raise I2IError("this run embeds images and captions, and translates none; give it to --text-encoder")

    def preview(self, images: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
        """Return the images alone."""
        return {"image": {IMAGE: images[IMAGE]}}


class Contrastive(nn.Module):
    """Cross entropy of each image's own text among those of the batch, and of each text's own image."""

    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        """Return the mean of both, for embeddings [B, D] whose products are logits."""
        logits = image @ text.T
        own = torch.arange(len(logits), device=logits.device)
        return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2


class CaptionEncoder(nn.Module):
    """A trained run of `caption_encoder` as an encoder of texts and images.

    Args:
        run: the run folder.

    Raises:
        I2IError: it is another run.
    """

    neutral: ClassVar[tuple[str, ...]] = (
        *(f"{name} hair" for name in COLOR_NAMES),
        *(f"{name} eyes" for name in dict.fromkeys(EYE_COLORS.values())),
        *("glasses", "no glasses", "smile", "open mouth"),
    )
    """Texts whose mean says nothing of an image."""

    def __init__(self, run: Path) -> None:
        super().__init__()
        loaded = load(run, "cpu")
        if not isinstance(loaded.translator, CaptionTranslator):
            raise I2IError(f"{run}: expected a run of caption_encoder, found one of {loaded.recipe.name}")
        self.translator = loaded.translator
        self.words = loaded.translator.streams["text"].names

    def embed_image(self, image: Tensor) -> Tensor:
        """Return embeddings [B, D] of images [B, 3, H, W] in [-1, 1], to which generated ones are clamped."""
        return self.translator.encoder.embed_image(image.clamp(-1, 1))

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        """Return embeddings [n, D] of captions."""
        tokens = torch.stack([caption_tokens(text, self.words, self.translator.length) for text in texts])
        return self.translator.encoder.embed_tokens(tokens.to(self.translator.encoder.places.device))
