"""The translators `discrete_vae`, images as tokens and back, and `text_to_image`, tokens from a text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

import torch
from annotated_types import Gt
from torch import Tensor

import i2i
from i2i.core.bounds import Count, Depth, Positive
from i2i.core.contracts import Phase, Stream
from i2i.core.randomness import seed_of
from i2i.methods.outputs import Outputs, output
from i2i.nn.functional.precision import to_like
from i2i_tokens.dvae import DiscreteVAE, gumbel_noise
from i2i_tokens.reranking import best_of, open_encoder
from i2i_tokens.text import tokenize
from i2i_tokens.transformer import TokenTransformer

Temperature = Annotated[float, Gt(0)]
MOST_CANDIDATES = 1024


class VAEOutputs(Outputs):
    """Outputs of the discrete VAE, by the domain `image`."""

    translator: DiscreteVAETranslator

    @output(reuse="phase")
    def logits(self) -> dict[str, Tensor]:
        """Logits of the tokens, [B, tokens, h, w]."""
        return {"image": self.translator.vae.logits(self.real["image"])}

    @output(reuse="phase")
    def reconstruction(self) -> dict[str, Tensor]:
        """Images decoded from the Gumbel softmax of the logits, [B, C, H, W]."""
        logits = self.logits["image"]
        # Standard normal numbers become uniform ones by their distribution function.
        normal = self.randn("gumbel", "image", logits)
        uniform = 0.5 * (1 + torch.erf(normal / math.sqrt(2)))
        noise = gumbel_noise(uniform)
        vae = self.translator.vae
        return {"image": vae.relaxed(logits, noise, self.translator.temperature, self.translator.hard)}


class DiscreteVAETranslator(i2i.Translator):
    """Training of a discrete VAE: images are reconstructed from tokens that are drawn by a Gumbel softmax.

    Args:
        tokens: number of different tokens.
        codebook: length of each token's vector.
        hidden: channels of all layers.
        layers: halvings.
        blocks: residual blocks in encoder and decoder.
        temperature: of the Gumbel softmax at the first step.
        final_temperature: below which it does not fall.
        anneal: steps in which it falls by the factor e; 0 for a constant temperature.
        hard: whether single tokens are decoded in training (straight-through).
        streams: specifications of the data's streams.

    Source: Ramesh et al., ICML 2021, arXiv:2102.12092, section 2.1; lucidrains/DALLE-pytorch 58c1e1a.
    """

    Outputs = VAEOutputs
    phases: Mapping[str, Phase] = {"generator": Phase(("vae",))}
    generator_modules: ClassVar[tuple[str, ...]] = ("vae",)
    domains: ClassVar[tuple[str, ...]] = ("image",)
    required_streams: ClassVar[Mapping[str, str]] = {"image": "image"}

    def __init__(
        self,
        tokens: Positive = 512,
        codebook: Positive = 256,
        hidden: Positive = 64,
        layers: Depth = 3,
        blocks: Count = 0,
        temperature: Temperature = 1.0,
        final_temperature: Temperature = 0.5,
        anneal: Count = 0,
        hard: bool = False,
        streams: Mapping[str, Stream] | None = None,
    ) -> None:
        super().__init__(streams)
        self.vae = DiscreteVAE(tokens, codebook, hidden, layers, blocks, self.streams["image"].channels)
        self.first_temperature, self.final_temperature, self.anneal = temperature, final_temperature, anneal
        self.temperature, self.hard = temperature, hard

    def at_step_(self, step: int) -> None:
        """Lower the temperature."""
        falling = self.first_temperature * math.exp(-step / self.anneal) if self.anneal else self.first_temperature
        self.temperature = max(falling, min(self.final_temperature, self.first_temperature))

    def translate(self, image: Tensor, to: str) -> i2i.GeneratorOutput:
        """Return images [B, C, H, W] after their tokens."""
        if to != "image":
            raise i2i.I2IError(f"this translator reconstructs images: expected the domain image, got {to!r}")
        tokens = self.vae.encode(image)
        return i2i.GeneratorOutput(self.vae.decode(tokens, image.shape[2] // self.vae.multiple).clamp(-1, 1))

    def preview(self, images: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
        """Return images and their reconstructions from tokens."""
        image = images["image"]
        return {"input": {"image": image}, "reconstruction": {"image": self.translate(image, "image").image}}


class TextOutputs(Outputs):
    """Outputs of the transformer, by the domain `image`."""

    translator: TextToImage

    @output(reuse="phase")
    def _tokens(self) -> Tensor:
        with torch.no_grad():
            return self.translator.vae.encode(self.batch.streams["image"])

    @output(reuse="phase")
    def cross_entropy(self) -> dict[str, Tensor]:
        """DALL-E's weighted cross entropy of text and image tokens, a scalar."""
        text = self.batch.streams["text"].flatten(1)
        return {"image": self.translator.transformer.loss(text, self._tokens)}


class TextToImage(i2i.Translator):
    """A transformer that generates the tokens of an image after those of a text; the discrete VAE is frozen.

    Give the discrete VAE's weights by `train.init`, a run of `discrete_vae` with the same options.

    Args:
        tokens: number of different image tokens.
        codebook: length of each token's vector in the discrete VAE.
        hidden: channels of the discrete VAE.
        layers: its halvings.
        blocks: its residual blocks.
        channels: length of all vectors of the transformer.
        depth: its layers.
        heads: its attention heads.
        streams: specifications of the data's streams; `text` names the words.

    Source: Ramesh et al., ICML 2021, arXiv:2102.12092, section 2.2; kakaobrain/minDALL-E e548007.
    """

    Outputs = TextOutputs
    phases: Mapping[str, Phase] = {"generator": Phase(("transformer",))}
    generator_modules: ClassVar[tuple[str, ...]] = ("transformer",)
    domains: ClassVar[tuple[str, ...]] = ("image",)
    required_streams: ClassVar[Mapping[str, str]] = {"image": "image", "text": "label"}
    not_exportable: ClassVar[str] = (
        "its images come token by token, each drawn at random given those before, which is no fixed graph of operations"
    )
    """Why `i2i export` refuses such runs."""

    def __init__(
        self,
        tokens: Positive = 512,
        codebook: Positive = 256,
        hidden: Positive = 64,
        layers: Depth = 3,
        blocks: Count = 0,
        channels: Positive = 128,
        depth: Depth = 4,
        heads: Positive = 4,
        streams: Mapping[str, Stream] | None = None,
    ) -> None:
        super().__init__(streams)
        image, text = self.streams["image"], self.streams["text"]
        self.vae = DiscreteVAE(tokens, codebook, hidden, layers, blocks, image.channels).requires_grad_(False)
        height, width = image.size or (32, 32)
        self.rows, self.columns = height // self.vae.multiple, width // self.vae.multiple
        self.text_length = (text.size or (1, 1))[1]
        self.transformer = TokenTransformer(
            max(text.channels, 1), tokens, self.text_length, self.rows * self.columns, channels, depth, heads
        )

    @property
    def inference_modules(self) -> tuple[str, ...]:
        return ("vae", "transformer")

    @property
    def words(self) -> tuple[str, ...]:
        """Words that a text may have; the first one is padding."""
        return tuple(self.streams["text"].names or ())

    def sample(
        self,
        seeds: Sequence[int],
        text: str = "",
        temperature: float = 1.0,
        top_k: int | None = None,
        candidates: int = 1,
        encoder: Any = None,
    ) -> Tensor:
        """Return images [n, C, H, W] in [-1, 1] for a text.

        Args:
            seeds: one for each image, >= 0.
            text: words of this run's vocabulary.
            temperature: divides the logits; below 1 for the likelier tokens, above 0.
            top_k: number of likeliest tokens to choose from; None for all.
            candidates: number of images from which `encoder` chooses each; the first one is that without reranking.
            encoder: run folder of `caption_encoder`, name of a component of the kind `text_image_encoder`, or an object
                with `embed_image` and `embed_text`.

        Raises:
            I2IError: more than one candidate without an encoder, a word that the run or the encoder does not know, or
                another value that is not legal.
        """
        if not 1 <= candidates <= MOST_CANDIDATES:
            raise i2i.I2IError(f"candidates: expected 1 to {MOST_CANDIDATES}, got {candidates}")
        if candidates == 1:
            return self._generated(self._text(text, len(seeds)), seeds, temperature, top_k, None)
        if encoder is None:
            raise i2i.I2IError("candidates: choosing among images needs an encoder, such as a run of caption_encoder")
        opened = open_encoder(str(encoder)) if isinstance(encoder, str | Path) else encoder
        words = self._text(text, len(seeds))
        rows = [
            self._generated(
                words, [seed_of(seed, number) if number else seed for seed in seeds], temperature, top_k, None
            )
            for number in range(candidates)
        ]
        return best_of(torch.stack(rows, 1), text, opened)

    def translate(
        self, image: Tensor, to: str, text: str = "", rows: int = 1, temperature: float = 1.0, seed: int = 0
    ) -> i2i.GeneratorOutput:
        """Continue images below their first rows of tokens.

        Args:
            image: [B, C, H, W] in [-1, 1].
            to: `image`.
            text: words of this run's vocabulary.
            rows: rows of tokens that are kept, from the top; each is as high as the discrete VAE's reduction.
            temperature: divides the logits.
            seed: of the first image; each further one has the next number.
        """
        if to != "image":
            raise i2i.I2IError(f"this translator generates images: expected the domain image, got {to!r}")
        if not 0 <= rows <= self.rows:
            raise i2i.I2IError(f"rows: expected 0 to {self.rows} rows of tokens to keep, got {rows}")
        first = self.vae.encode(image)[:, : rows * self.columns]
        seeds = range(seed, seed + len(image))
        return i2i.GeneratorOutput(self._generated(self._text(text, len(image)), seeds, temperature, None, first))

    def preview(self, images: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
        """Return images, their reconstructions from tokens, and images generated for their texts."""
        image, text = images["image"], images["text"].flatten(1)
        reconstruction = self.vae.decode(self.vae.encode(image), self.rows).clamp(-1, 1)
        generated = self._generated(text, range(len(image)), 1.0, None, None)
        rows = {"input": image, "reconstruction": reconstruction, "from text": generated}
        return {caption: {"image": row} for caption, row in rows.items()}

    def _text(self, text: str, count: int) -> Tensor:
        device = self.transformer.head_img.weight.device
        return tokenize(text, self.words, self.text_length).to(device).expand(count, -1)

    def _generated(
        self, text: Tensor, seeds: Sequence[int], temperature: float, top_k: int | None, first: Tensor | None
    ) -> Tensor:
        if not 0 < temperature < math.inf:
            raise i2i.I2IError(f"temperature: expected a number above 0, got {temperature}")
        like: Any = self.transformer.head_img.weight
        uniform = torch.stack(
            [torch.rand(self.rows * self.columns, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        )
        tokens = self.transformer.generate(text, to_like(uniform, like), top_k, temperature, first)
        return self.vae.decode(tokens, self.rows).clamp(-1, 1)
