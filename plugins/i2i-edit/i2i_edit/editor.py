"""Edit images with a trained run whose generator is a StyleGAN2."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from i2i_stylegan.latents import style_translator
from PIL import Image
from torch import Tensor

from i2i.core.bounds import finite
from i2i.data.images import to_image
from i2i.errors import I2IError
from i2i.use.loaded import Loaded, load
from i2i_edit import style_space
from i2i_edit.generator_files import GeneratorFile, check_suffix
from i2i_edit.perceptual import PerceptualDistance
from i2i_edit.projection import Options, Statistics, optimize, style_statistics
from i2i_edit.style_encoder import StyleEncoder
from i2i_edit.text import identity_distance
from i2i_edit.vectors import EditVector, combined, generator_hash, load_vector

BATCH = 16
"""Images that are generated together."""
DIRECTIONS = "directions"
"""Subfolder of a run with its directions."""
PROJECTION = GeneratorFile(
    "projection", "i2i-edit projection 1", "a projection of i2i project", "this projection belongs"
)


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
        parts = [self.synthesize(ws, noise, change).clamp(-1, 1).float().cpu() for ws in latent.ws.split(BATCH)]
        return torch.cat(parts)

    def synthesize(self, ws: Tensor, noise: Any = "const", change: EditVector | None = None) -> Tensor:
        """Return images [B, C, H, W] for a batch of style vectors, with gradients and without clamping.

        Args:
            ws: style vectors [B, num_ws, w_dim].
            noise: a noise mode, or noise maps.
            change: added to style vectors and styles.
        """
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
            return self.synthesize(ws, maps or "const")

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
        check_suffix(path)
        maps = {f"noise.{index}": one for index, one in enumerate(latent.noise)}
        PROJECTION.write(path, {"ws": latent.ws, **maps}, {"generator": self.hash, "distance": latent.distance})

    def load_projection(self, path: Path) -> Latent:
        """Read a projection.

        Raises:
            I2IError: the file is missing, is something else, or belongs to another generator.
        """

        def parsed(facts: dict[str, Any], tensors: dict[str, Tensor]) -> Latent:
            maps = tuple(tensors[f"noise.{index}"].to(self.device) for index in range(len(tensors) - 1))
            return Latent(tensors["ws"].to(self.device), maps, float(facts["distance"]))

        return PROJECTION.read(path, self.hash, parsed)
