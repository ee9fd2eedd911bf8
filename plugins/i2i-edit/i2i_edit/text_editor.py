"""Edit images of a run by texts, in two of StyleCLIP's ways: an optimization for one image, directions for any."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from i2i.errors import I2IError
from i2i_edit import style_space
from i2i_edit.editor import Editor, Latent
from i2i_edit.finding import layer_rows
from i2i_edit.text import (
    channel_relevance,
    embedding_of,
    global_direction,
    identity_distance,
    optimize_text,
    text_change,
    text_distance,
)
from i2i_edit.vectors import EditVector


class TextEditor:
    """Finds changes of one run's images by texts.

    Args:
        editor: of the run.
        encoder: of texts and images, a component of the kind `text_image_encoder`.

    Source: Patashnik et al., StyleCLIP, ICCV 2021, arXiv:2103.17249.
    """

    def __init__(self, editor: Editor, encoder: Any) -> None:
        self.editor, self.encoder = editor, encoder

    def edit(
        self,
        latent: Latent,
        text: str,
        steps: int = 300,
        keep: float = 0.008,
        rate: float = 0.1,
        identity: Callable[[Tensor], Tensor] | None = None,
        identity_weight: float = 0.005,
        layers: Sequence[int] | None = None,
    ) -> EditVector:
        """Find a change of one image by a text: StyleCLIP's optimizer.

        Args:
            latent: of the image; of several images, each gets a change of its own, [B, num_ws, w_dim].
            text: what the image should show.
            steps: number of steps.
            keep: weight of the squared distance from the start.
            rate: largest learning rate.
            identity: features of aligned faces; see `Editor.project`.
            identity_weight: its weight.
            layers: numbers of the style vectors that change; all when None. Those of high resolutions change colours.

        Raises:
            I2IError: the text is empty, has words that the encoder does not know, or the generator has no such layer.
        """
        wanted = embedding_of(self.encoder, (text,))[None]
        scale = float(getattr(self.encoder, "scale", 1.0))
        noise: Any = list(latent.noise) or "const"

        def synthesis(ws: Tensor) -> Tensor:
            return self.editor.synthesize(ws, noise)

        def distance(image: Tensor) -> Tensor:
            return text_distance(self.encoder.embed_image(image), wanted, scale)[:, 0]

        face = None
        if identity is not None:
            reference = synthesis(latent.ws).detach()

            def face(image: Tensor) -> Tensor:
                return identity_distance(image, reference, identity)

        ws = latent.ws
        options = (steps, rate, keep, face, identity_weight, layer_rows(self.editor, layers))
        for step in optimize_text(synthesis, distance, latent.ws, *options):
            ws = step.ws
        change = (ws - latent.ws)[0] if len(ws) == 1 else ws - latent.ws
        return EditVector(text, self.editor.hash, change, {}, "text optimizer")

    @torch.no_grad()
    def relevance(self, samples: int = 100, seed: int = 0, rgb: bool = False) -> tuple[Tensor, dict[str, Tensor]]:
        """Return how each channel of the styles changes embeddings, and the channels' standard deviations by layer.

        Args:
            samples: number of images that each channel is changed in.
            seed: of the first image.
            rgb: whether the channels of conversions to RGB count, which the official code omits. They change colours
                (Wu et al., StyleSpace, CVPR 2021, arXiv:2011.12799), in small generators often they alone.

        Source: Patashnik et al., StyleCLIP, ICCV 2021, arXiv:2103.17249, section 6: 100 images, 5 deviations.
        """
        synthesis = self.editor.generator.synthesis
        layers = [one for one in style_space.layers(synthesis) if rgb or not one.is_rgb]
        many = style_space.styles_of(synthesis, self.editor.translator.styles(range(seed, seed + 1000)))
        deviations = {one.name: style_space.deviation_of(many[one.name]) for one in layers}
        means = {one.name: many[one.name].mean(0) for one in layers}
        base = style_space.styles_of(synthesis, self.editor.translator.styles(range(seed, seed + samples)))
        found = []
        for one in layers:
            for channel in range(len(means[one.name])):
                ends = []
                for sign in (-5, 5):
                    styles = base[one.name].clone()
                    styles[:, channel] = means[one.name][channel] + sign * deviations[one.name][channel]
                    image = style_space.synthesize(synthesis, {**base, one.name: styles}).clamp(-1, 1)
                    ends.append(self.encoder.embed_image(image))
                found.append(torch.stack(ends, 1))
        return channel_relevance(torch.stack(found)), deviations

    def direction(
        self,
        text: str,
        neutral: Sequence[str] = (),
        beta: float = 0.1,
        relevance: tuple[Tensor, dict[str, Tensor]] | None = None,
        samples: int = 100,
        rgb: bool = False,
    ) -> EditVector:
        """Find a change of any image by a text: StyleCLIP's global direction. Strength 1 is its official alpha of 1.

        Args:
            text: what images should show.
            neutral: texts that say nothing of it, whose embeddings are averaged; those of the encoder when empty.
            beta: channels below this relevance do not change.
            relevance: of the channels; computed when None.
            samples: images for it.
            rgb: see `relevance`, for which it is an option.

        Raises:
            I2IError: no channel is as relevant as `beta`.
        """
        neutral = tuple(neutral) or tuple(getattr(self.encoder, "neutral", ("a photo",)))
        change = text_change(embedding_of(self.encoder, (text,)), embedding_of(self.encoder, neutral))
        found, deviations = relevance or self.relevance(samples, rgb=rgb)
        styles, count = global_direction(found, change, deviations, beta)
        if not count:
            most = float((found @ change).abs().max())
            raise I2IError(
                f"beta: no channel of the styles is as relevant as {beta:g}; the most relevant has {most:.3f}"
            )
        return EditVector(text, self.editor.hash, None, styles, "text direction", {"channels": count, "beta": beta})
