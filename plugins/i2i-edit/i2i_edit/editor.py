"""Edit images with a trained run whose generator is a StyleGAN2."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from i2i_stylegan.latents import style_translator
from i2i_stylegan.translators import finite
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from i2i.data.images import to_image
from i2i.data.writing import write_whole
from i2i.errors import I2IError
from i2i.nn.weight_files import printable
from i2i.use.loaded import Loaded, load
from i2i_edit import style_space
from i2i_edit.perceptual import PerceptualDistance
from i2i_edit.projection import Options, Statistics, optimize, style_statistics
from i2i_edit.style_encoder import StyleEncoder
from i2i_edit.text import (
    channel_relevance,
    global_direction,
    identity_distance,
    optimize_text,
    text_change,
    text_distance,
)
from i2i_edit.vectors import EditVector, generator_hash, load_vector

BATCH = 16
"""Images that are generated together."""
DIRECTIONS = "directions"
"""Subfolder of a run with its directions."""
PROJECTION = "i2i-edit projection 1"


@dataclass(frozen=True)
class Latent:
    """An image in the space of a generator.

    Args:
        ws: style vectors [1, num_ws, w_dim].
        noise: noise maps [1, 1, S, S] of the layers; the generator's own when empty.
        distance: perceptual distance of the generated image from the projected one; NaN for seeds.
    """

    ws: Tensor
    noise: tuple[Tensor, ...] = ()
    distance: float = float("nan")


class Editor:
    """Edits images with one run.

    Args:
        run: a loaded run, or its folder.
        device: of the networks, if `run` is a folder.

    Raises:
        I2IError: the run's generator has no style vectors.

    Example:
        editor = Editor("runs/portraits")
        editor.edit("face.png", {"smile": 2}).save("out.png")
    """

    def __init__(self, run: Loaded | str | Path, device: str | None = None) -> None:
        loaded = run if isinstance(run, Loaded) else load(run, device)
        self.loaded, self.translator = loaded, style_translator(loaded)
        self.generator: Any = self.translator.generator
        self.hash = generator_hash(self.generator)
        self._statistics: Statistics | None = None

    @property
    def device(self) -> torch.device:
        """Device of the generator."""
        return self.loaded.device

    @property
    def noise_sides(self) -> list[int]:
        """Sides of the noise maps in pixels; none for a generator without noise."""
        return [module.resolution for module in self.generator.modules() if hasattr(module, "noise_const")]

    def statistics(self) -> Statistics:
        """Return mean and deviation of the style vectors, computed once."""
        if self._statistics is None:
            like = self.generator.mapping.w_avg
            classes = self.translator.num_classes

            def mapping(z: Tensor) -> Tensor:
                c = z.new_full((len(z), classes), 1 / classes) if classes else None
                ws: Tensor = self.generator.mapping(z, c)[:, 0]
                return ws

            with torch.no_grad():
                self._statistics = style_statistics(mapping, self.generator.z_dim, like)
        return self._statistics

    @torch.no_grad()
    def seed(self, seed: int, truncation: float = 1.0) -> Latent:
        """Return the latent of a seed."""
        if seed < 0:
            raise I2IError(f"seed: expected a whole number from 0 on, got {seed}")
        return Latent(self.translator.styles([seed], None, truncation))

    @torch.no_grad()
    def generate(self, latent: Latent | Tensor, change: EditVector | None = None) -> Tensor:
        """Return images [B, C, H, W] in [-1, 1], float32, on the CPU.

        Args:
            latent: of an image, or style vectors [B, num_ws, w_dim].
            change: added to style vectors and styles; see `check`.
        """
        latent = latent if isinstance(latent, Latent) else Latent(latent)
        if change is not None:
            self.check(change)
        noise: Any = list(latent.noise) or "const"
        parts = [self._generate(ws, noise, change).clamp(-1, 1).float().cpu() for ws in latent.ws.split(BATCH)]
        return torch.cat(parts)

    def _generate(self, ws: Tensor, noise: Any, change: EditVector | None) -> Tensor:
        """Return images for a batch of style vectors, with gradients."""
        if change is not None and change.ws is not None:
            ws = ws + change.ws.to(ws)
        if change is None or not change.styles:
            image: Tensor = self.generator.synthesis(ws, noise)
            return image
        styles = style_space.styles_of(self.generator.synthesis, ws)
        added = {name: value + change.styles[name].to(value) for name, value in styles.items() if name in change.styles}
        return style_space.synthesize(self.generator.synthesis, {**styles, **added}, noise)

    def check(self, change: EditVector) -> None:
        """Check that a vector belongs to this generator.

        Raises:
            I2IError: it belongs to another one, or has other sizes.
        """
        if change.generator != self.hash:
            raise I2IError(
                f"vector {change.name}: it belongs to another generator, {change.generator[:12]}; this run's is "
                f"{self.hash[:12]}"
            )
        shape = (self.generator.num_ws, self.generator.w_dim)
        if change.ws is not None and tuple(change.ws.shape) != shape:
            raise I2IError(f"vector {change.name}: expected {list(shape)} numbers, got {list(change.ws.shape)}")
        if change.styles:
            known = {one.name: len(one.module.affine.weight) for one in style_space.layers(self.generator.synthesis)}
            for name, value in change.styles.items():
                if tuple(value.shape) != (known.get(name),):
                    raise I2IError(
                        f"vector {change.name}: layer {name}: expected {known.get(name, 'no')} styles, got {len(value)}"
                    )

    def direction(self, name: str, folder: Path | None = None) -> EditVector:
        """Return a direction of the run by its name, as `i2i directions` wrote it.

        Raises:
            I2IError: there is none of this name.
        """
        folder = folder or (self.loaded.folder and self.loaded.folder / DIRECTIONS)
        if folder is None:
            raise I2IError(f"direction {name}: this run has no folder; load a vector from its file")
        path = folder / f"{name}.safetensors"
        if "/" in name or "\\" in name or not path.is_file():
            known = ", ".join(sorted(file.stem for file in folder.glob("*.safetensors"))) if folder.is_dir() else ""
            raise I2IError(
                f"{folder} has no direction {name!r}; it has {known or 'none'}, and i2i directions finds more"
            )
        return load_vector(path, self.hash)

    def edit(
        self,
        image: Any,
        directions: Mapping[str, float] | None = None,
        vectors: Sequence[EditVector] = (),
        **projection: Any,
    ) -> Image.Image:
        """Edit an image: project it, add directions and vectors, and generate it again.

        Args:
            image: a file, a PIL image, a `Latent`, or a seed.
            directions: strengths by the names of the run's directions.
            vectors: further changes, scaled already.
            projection: options of `project`.
        """
        latent = self.latent(image, **projection)
        changes = [self.direction(name) * finite(name, value) for name, value in (directions or {}).items()]
        return to_image(self.generate(latent, combined([*changes, *vectors]))[0])

    def latent(self, image: Any, **projection: Any) -> Latent:
        """Return the latent of a seed, of a projection's file, or of an image, which is projected."""
        if isinstance(image, Latent):
            return image
        if isinstance(image, int):
            return self.seed(image)
        if isinstance(image, str | Path) and Path(image).suffix == ".safetensors":
            return self.load_projection(Path(image))
        return self.project(self.prepare(image), **projection)

    def prepare(self, image: Any) -> Tensor:
        """Return an image [1, C, S, S] in [-1, 1], cropped to a square and resized to the generator's size."""
        if isinstance(image, Tensor):
            return image if image.ndim == 4 else image[None]
        from i2i.data.transforms import eval_transform

        if isinstance(image, str | Path):
            from i2i.use.image_files import source_of

            source = source_of(image, self.loaded.format_of("image"))
            assert source is not None
            image = source.pages[0]
        size = self.generator.synthesis.resolutions[-1]
        return eval_transform(image, size, "lanczos")[None]

    def project(
        self,
        image: Tensor,
        options: Options | None = None,
        encoder: StyleEncoder | None = None,
        distance: PerceptualDistance | None = None,
        pixel_weight: float = 0.0,
        identity: Callable[[Tensor], Tensor] | None = None,
        identity_weight: float = 0.1,
        seed: int = 0,
        progress: Callable[[int, float], None] | None = None,
    ) -> Latent:
        """Find the style vectors of images; several images are projected together, each as if it were alone.

        Args:
            image: [B, C, H, W] in [-1, 1].
            options: of the optimization; no steps leave what the encoder finds.
            encoder: where to start; from the mean style vector when None.
            distance: perceptual distance; the default one when None.
            pixel_weight: weight of the mean squared error of pixels, next to the perceptual distance.
            identity: features [B, D] of aligned faces [B, 3, 112, 112], whose cosine distance is added.
            identity_weight: its weight.
            seed: of the noise.
            progress: called after each step with its number and the mean distance.

        Raises:
            I2IError: the image has another size, or the encoder belongs to another generator.
        """
        options = options or Options()
        side, channels = self.generator.synthesis.resolutions[-1], self.generator.synthesis.img_channels
        if tuple(image.shape[1:]) != (channels, side, side):
            raise I2IError(f"expected images [B, {channels}, {side}, {side}], got {list(image.shape)}")
        like = self.generator.mapping.w_avg
        image = image.to(like)
        statistics = self.statistics()
        start = statistics.mean.expand(len(image), 1, -1)
        if encoder is not None:
            start = self.encoded(encoder, image)
        if not options.steps:
            return Latent(start.expand(-1, self.generator.num_ws, -1))
        perceptual = (distance or PerceptualDistance(device=self.device)).to(image)
        noise = self.noise_sides

        def total(generated: Tensor) -> Tensor:
            found = perceptual(generated)
            if pixel_weight:
                found = found + pixel_weight * (generated - image).square().mean((1, 2, 3))
            if identity is not None:
                found = found + identity_weight * identity_distance(generated, image, identity)
            return found

        def synthesis(ws: Tensor, maps: list[Tensor]) -> Tensor:
            return self._generate(ws, maps or "const", None)

        result = None
        for step, result in enumerate(  # the last one is the result
            optimize(synthesis, total, start, self.generator.num_ws, statistics.deviation, noise, options, seed=seed)
        ):
            if progress is not None:
                progress(step, float(result[2].mean()))
        assert result is not None
        ws, maps, _ = result
        with torch.no_grad():
            final = perceptual(synthesis(ws, maps))
        return Latent(ws, tuple(maps), float(final.mean()))

    @torch.no_grad()
    def encoded(self, encoder: StyleEncoder, image: Tensor) -> Tensor:
        """Return the style vectors [B, num_ws, w_dim] that an encoder finds.

        Raises:
            I2IError: the encoder was trained for another generator.
        """
        if generator_hash(encoder.generator) != self.hash:
            raise I2IError("encoder: it was trained for another generator; train one with train.init = this run")
        return encoder.encode(image)

    def save_projection(self, latent: Latent, path: Path) -> None:
        """Write a projection as safetensors."""
        if path.suffix != ".safetensors":
            raise I2IError(f"{path}: expected a file that ends in .safetensors")
        tensors = {"ws": latent.ws.detach().cpu().contiguous()}
        tensors |= {f"noise.{index}": one.detach().cpu().contiguous() for index, one in enumerate(latent.noise)}
        facts = json.dumps({"generator": self.hash, "distance": latent.distance})
        write_whole(path, lambda temporary: save_file(tensors, temporary, {"format": PROJECTION, "projection": facts}))

    def load_projection(self, path: Path) -> Latent:
        """Read a projection.

        Raises:
            I2IError: the file is something else, or belongs to another generator.
        """
        try:
            with safe_open(path, "pt") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no dict
            if metadata.get("format") != PROJECTION:
                raise ValueError(f"its format is {metadata.get('format', 'not given')}")
            facts = json.loads(metadata["projection"])
            ws, maps = tensors["ws"], tuple(tensors[f"noise.{index}"] for index in range(len(tensors) - 1))
            generator, distance = str(facts["generator"]), float(facts["distance"])
        except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
            raise I2IError(
                f"{path}: expected a projection of i2i project, found something else: {printable(error)}"
            ) from error
        if generator != self.hash:
            raise I2IError(
                f"{path}: this projection belongs to another generator, {generator[:12]}; this one is {self.hash[:12]}"
            )
        return Latent(ws.to(self.device), tuple(one.to(self.device) for one in maps), distance)

    def text_edit(
        self,
        latent: Latent,
        text: str,
        encoder: Any,
        steps: int = 300,
        keep: float = 0.008,
        rate: float = 0.1,
        identity: Callable[[Tensor], Tensor] | None = None,
        identity_weight: float = 0.005,
    ) -> EditVector:
        """Find a change of one image by a text: StyleCLIP's optimizer.

        Args:
            latent: of the image; of several images, each gets a change of its own, [B, num_ws, w_dim].
            text: what the image should show.
            encoder: of texts and images.
            steps: number of steps.
            keep: weight of the squared distance from the start.
            rate: largest learning rate.
            identity: features of aligned faces; see `project`.
            identity_weight: its weight.

        Raises:
            I2IError: the text is empty, or has words that the encoder does not know.
        """
        wanted = embedding_of(encoder, (text,))[None]
        scale = float(getattr(encoder, "scale", 1.0))
        noise: Any = list(latent.noise) or "const"

        def synthesis(ws: Tensor) -> Tensor:
            return self._generate(ws, noise, None)

        def distance(image: Tensor) -> Tensor:
            return text_distance(encoder.embed_image(image), wanted, scale)[:, 0]

        face = None
        if identity is not None:
            reference = synthesis(latent.ws).detach()

            def face(image: Tensor) -> Tensor:
                return identity_distance(image, reference, identity)

        ws = latent.ws
        for step in optimize_text(synthesis, distance, latent.ws, steps, rate, keep, face, identity_weight):
            ws = step.ws
        change = (ws - latent.ws)[0] if len(ws) == 1 else ws - latent.ws
        return EditVector(text, self.hash, change, {}, "text optimizer")

    @torch.no_grad()
    def relevance(self, encoder: Any, samples: int = 100, seed: int = 0) -> tuple[Tensor, dict[str, Tensor]]:
        """Return how each channel of the styles changes embeddings, and the channels' standard deviations by layer.

        Args:
            encoder: of texts and images.
            samples: number of images that each channel is changed in.
            seed: of the first image.

        Source: Patashnik et al., StyleCLIP, ICCV 2021, arXiv:2103.17249, section 6: 100 images, 5 deviations.
        """
        synthesis = self.generator.synthesis
        layers = [one for one in style_space.layers(synthesis) if not one.is_rgb]
        many = style_space.styles_of(synthesis, self.translator.styles(range(seed, seed + 1000)))
        deviations = {one.name: style_space.deviation_of(many[one.name]) for one in layers}
        means = {one.name: many[one.name].mean(0) for one in layers}
        base = style_space.styles_of(synthesis, self.translator.styles(range(seed, seed + samples)))
        found = []
        for one in layers:
            for channel in range(len(means[one.name])):
                ends = []
                for sign in (-5, 5):
                    styles = base[one.name].clone()
                    styles[:, channel] = means[one.name][channel] + sign * deviations[one.name][channel]
                    image = style_space.synthesize(synthesis, {**base, one.name: styles}).clamp(-1, 1)
                    ends.append(encoder.embed_image(image))
                found.append(torch.stack(ends, 1))
        return channel_relevance(torch.stack(found)), deviations

    def text_direction(
        self,
        text: str,
        encoder: Any,
        neutral: Sequence[str] = (),
        beta: float = 0.1,
        relevance: tuple[Tensor, dict[str, Tensor]] | None = None,
        samples: int = 100,
    ) -> EditVector:
        """Find a change of any image by a text: StyleCLIP's global direction. Strength 1 is its official alpha of 1.

        Args:
            text: what images should show.
            encoder: of texts and images.
            neutral: texts that say nothing of it, whose embeddings are averaged; those of the encoder when empty.
            beta: channels below this relevance do not change.
            relevance: of the channels; computed when None.
            samples: images for it.

        Raises:
            I2IError: no channel is as relevant as `beta`.
        """
        neutral = tuple(neutral) or tuple(getattr(encoder, "neutral", ("a photo",)))
        change = text_change(embedding_of(encoder, (text,)), embedding_of(encoder, neutral))
        found, deviations = relevance or self.relevance(encoder, samples)
        styles, count = global_direction(found, change, deviations, beta)
        if not count:
            most = float((found @ change).abs().max())
            raise I2IError(
                f"beta: no channel of the styles is as relevant as {beta:g}; the most relevant has {most:.3f}"
            )
        return EditVector(text, self.hash, None, styles, "text direction", {"channels": count, "beta": beta})


@torch.no_grad()
def embedding_of(encoder: Any, texts: Sequence[str]) -> Tensor:
    """Return the mean of the unit embeddings of texts, [D].

    Raises:
        I2IError: a text is empty.
    """
    if not texts or not all(text.strip() for text in texts):
        raise I2IError("text: expected words such as red hair, got an empty text")
    embeddings: Tensor = encoder.embed_text(list(texts))
    return F.normalize(embeddings, dim=1).mean(0)


def combined(vectors: Sequence[EditVector]) -> EditVector | None:
    """Return the sum of vectors; None of none."""
    total: EditVector | None = None
    for vector in vectors:
        total = vector if total is None else total + vector
    return total
