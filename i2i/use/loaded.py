"""Load a trained run and translate tensors, images, arrays and files."""

from __future__ import annotations

import copy
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from i2i.core.bounds import describe_size
from i2i.core.contracts import GeneratorOutput
from i2i.data.base import of_domain
from i2i.data.decoding import Decoded
from i2i.data.label_maps import filter_for, input_format, to_input
from i2i.data.pixels import PixelFormat, Pixels, to_image
from i2i.data.transforms import resize_short_side, resized
from i2i.engine import checkpoint
from i2i.engine.adapters import full_weights
from i2i.errors import CheckpointError, I2IError, ShapeError
from i2i.methods.assembly import build
from i2i.methods.compilation import compile_networks, explain_compile_failure
from i2i.methods.networks import image_constraints
from i2i.methods.translator import Translator
from i2i.nn.layers.frozen import extractor_sources
from i2i.recipe.recipe import Recipe
from i2i.use.image_files import decoded_image, source_of, stored_pages
from i2i.use.padding import cropped, reflect_to
from i2i.use.sampling import sample
from i2i.use.shared_files import OMITTED, local_files, recipe_in
from i2i.use.tiling import translate_in_tiles

Size = int | Literal["original"] | None
"""Length of the shorter side in pixels, the image's own size, or the recipe's size."""


class Loaded:
    """A trained translator, ready to use from any number of threads.

    A translation changes neither the networks nor any global state, so threads may share one object. Inputs in float64
    are translated by a float64 copy of the networks, which is made at the first of them and kept.

    Args:
        recipe: the recipe of the training.
        translator: the networks with their weights, in evaluation mode and on their device.
        step: number of training steps taken.
        feature_extractors: sources of the frozen networks that take part in translation, by submodule, as recorded in
            the checkpoint; those of the translator itself by default.
        folder: the run folder, in which plugins keep what they learn about the run; None for archives and downloads.
    """

    def __init__(
        self,
        recipe: Recipe,
        translator: Translator,
        step: int,
        feature_extractors: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        self.recipe, self.translator, self.step, self.folder = recipe, translator, step, folder
        self.constraints = image_constraints(translator)
        self.feature_extractors = {**extractor_sources(translator), **(feature_extractors or {})}
        self._lock = threading.Lock()
        self._double: Translator | None = None
        self._smallest: int | None = None

    def __repr__(self) -> str:
        size = f"{describe_size(self.constraints.fixed_size or self.recipe.image_size)} px"
        domains = f"to {'/'.join(self.translator.targets)}" if self.translator.targets else "from noise"
        return f"<i2i.Loaded {self.recipe.name}: step {self.step}, {domains}, {size}, {self.device}>"

    @property
    def device(self) -> torch.device:
        """The device of the networks."""
        return next(self.translator.parameters()).device

    @property
    def smallest_size(self) -> int:
        """Smallest legal value of `size` in pixels, found by trying."""
        if self._smallest is None:
            fixed = self.constraints.fixed_size
            self._smallest = self._find_smallest() if fixed is None else min(fixed)
        return self._smallest

    @overload
    def translate(
        self, image: Tensor, to: str = "b", *, size: Size = None, tile: int | None = None, **condition: Any
    ) -> Tensor: ...
    @overload
    def translate(
        self,
        image: Image.Image | str | Path,
        to: str = "b",
        *,
        size: Size = None,
        tile: int | None = None,
        **condition: Any,
    ) -> Image.Image: ...
    @overload
    def translate(
        self, image: NDArray[Any], to: str = "b", *, size: Size = None, tile: int | None = None, **condition: Any
    ) -> NDArray[np.uint8]: ...

    def translate(
        self, image: Any, to: str = "b", *, size: Size = None, tile: int | None = None, **condition: Any
    ) -> Any:
        """Translate one image or one batch.

        Args:
            image: a float tensor [B, C, H, W] (or [C, H, W]) in [-1, 1], which is not resized; a PIL image, a file or
                an array [H, W, C] of stored values, which go through the recipe's preprocessing.
            to: domain to translate to.
            size: length of the shorter side in pixels, or "original"; the recipe's size when None. Not for tensors.
            tile: side in pixels of the windows in which larger images are translated, so that memory does not grow
                with the image.
            condition: further inputs of the translator, such as a style; `translator.conditions()` lists the names,
                its `translate` documents them. Images may be files, PIL images, arrays or tensors.

        Returns:
            The same type as `image`, with the height and width of the input (of the resized input, for images). An
            array keeps its type of values; a file or PIL image becomes a PIL image if the translation has 8 bits and
            one or three channels, otherwise an array [H, W, C].

        Raises:
            I2IError: no such domain or condition, or an image that the networks cannot take.
        """
        if isinstance(image, Tensor):
            if size is not None:
                raise I2IError("size: a tensor is not resized; omit size, or resize the tensor first")
            if image.ndim not in (3, 4):
                raise ShapeError(f"expected a tensor [B, C, H, W] or [C, H, W], got {list(image.shape)}")
            batch = image if image.ndim == 4 else image.unsqueeze(0)
            translated = self.run(batch, to, tile=tile, **condition).image.to(image.device, image.dtype)
            return translated if image.ndim == 4 else translated[0]
        source = source_of(image, self.format_of(self.source_of(to)))
        if source is None:
            raise I2IError(f"expected a tensor, a PIL image, an array or a file's path, got {type(image).__name__}")
        batch = self.resize(source.pages[0], size).unsqueeze(0)
        translated = self.run(batch, to, tile=tile, **condition).image[0].float().cpu()
        (stored,) = stored_pages([translated], source.first(), self.window_of(to))
        if isinstance(image, np.ndarray):
            return stored[..., 0] if image.ndim == 2 and stored.shape[2] == 1 else stored
        return to_image(translated) if stored.dtype == np.uint8 and stored.shape[2] in (1, 3) else stored

    def source_of(self, to: str) -> str:
        """Return the domain whose images are translated to a domain: the first other one."""
        return next((domain for domain in self.translator.domains if domain != to), to)

    def format_of(self, domain: str) -> PixelFormat:
        """Return how images of a domain are read, as the recipe's data set does it."""
        return input_format(self.translator.streams[domain], domain, self.recipe.data.options)

    def window_of(self, domain: str) -> tuple[float, float] | None:
        """Return the stored values that -1 and 1 stand for in a domain; None where the recipe does not say it."""
        window: tuple[float, float] | None = of_domain(self.recipe.data.options.get("range"), domain, None)
        return window

    def sample(self, count: int = 1, seed: int = 0, **condition: Any) -> Tensor:
        """Generate images from noise; see `i2i.use.sampling.sample`.

        Args:
            count: number of images.
            seed: of the first image; each further one has the next number.
            condition: conditions of the translator's `sample`, such as `truncation` or `classes`.

        Returns:
            [count, C, H, W] in [-1, 1], float32, on the CPU.
        """
        return sample(self, range(seed, seed + count), **condition)

    @torch.inference_mode()
    def run(self, batch: Tensor, to: str, *, tile: int | None = None, **condition: Any) -> GeneratorOutput:
        """Translate a batch and return all outputs of the generator: the image, and the attention's where there is one.

        Sides that the networks cannot take are padded by reflection, and the translation is cropped.

        Args:
            batch: [B, C, H, W] in [-1, 1].
            to: domain to translate to.
            tile: side in pixels of the windows in which larger images are translated; their output has no heat map.
            condition: further inputs of the translator.

        Returns:
            output: `image` is [B, C', H, W]; a heat map is cropped like it.

        Raises:
            I2IError: no such domain or condition, or a batch that the networks cannot take.
        """
        self.check(to, condition)
        if not batch.is_floating_point():
            raise I2IError(f"expected a float tensor in [-1, 1], got {batch.dtype}; give uint8 images as NumPy arrays")
        translator = self._double_precision() if batch.dtype == torch.float64 else self.translator
        like = next(translator.parameters())
        placed = {name: self._placed(value, like, to) for name, value in condition.items()}
        with explain_compile_failure():
            return self._translate(translator, batch.to(like.device, like.dtype), to, tile, placed)

    def check(self, to: str, condition: Mapping[str, Any]) -> None:
        """Check the domain and the names of the conditions of a translation.

        Raises:
            I2IError: the translator does not know one of them.
        """
        targets = self.translator.targets
        if not targets:
            raise I2IError("this run generates images from noise and translates none; use i2i sample")
        if to not in targets:
            kind = "translates only to" if to in self.translator.domains else f"has no domain {to!r}; domains:"
            raise I2IError(f"this translator {kind} {', '.join(targets)}")
        known = self.translator.conditions()
        for name in condition:
            if name not in known:
                takes = f"it takes {', '.join(known)}" if known else "it takes only the image and the domain"
                raise I2IError(f"this translator takes no {name}; {takes}")

    def prepare(self, image: Image.Image | Decoded, size: Size = None, domain: str | None = None) -> Tensor:
        """Apply the recipe's preprocessing to one image: `format_of(domain)`, then `resize`.

        Args:
            image: of any mode or depth.
            size: as for `translate`.
            domain: of the image; the source of the last target by default.

        Raises:
            I2IError: a size that the network cannot take, or channels or values that the domain has not.
        """
        format = self.format_of(domain or self.source_of(self.translator.targets[-1]))
        return self.resize(format.convert(decoded_image(image) if isinstance(image, Image.Image) else image), size)

    def resize(self, image: Pixels, size: Size = None) -> Tensor:
        """Resize one image as the networks need it.

        A network of one fixed size gets the size that it was trained on, as in the official test code. Any other gets
        the shorter side at the recipe's size (or `size`), with the aspect kept to half a pixel. An image for networks
        that were trained on crops at native resolution (`data.resize = "none"`) keeps its size.

        Returns:
            image: [C, H, W] in [-1, 1].

        Raises:
            I2IError: a size that the network cannot take.
        """
        self.check_size(size)
        options, fixed = self.recipe.data.options, self.constraints.fixed_size
        resample = filter_for(image, options.get("resample", "bilinear"))
        if fixed is not None:
            image = resized(image, fixed, resample)
        elif size != "original" and (size is not None or options.get("resize") != "none"):
            image = resize_short_side(image, size or min(self.recipe.image_size), 1, resample)
        return to_input(image, self.translator.streams)

    def check_size(self, size: Size) -> None:
        """Check a requested size.

        Raises:
            I2IError: it is smaller than the networks allow, or they have one fixed size.
        """
        fixed = self.constraints.fixed_size
        if fixed is not None and size not in (None, *fixed):
            raise I2IError(
                f"this translator takes only {fixed[0]} x {fixed[1]} pixels: its generator's weights depend on the "
                f"size. Omit the size, or train a generator with light = true, which takes any size"
            )
        if size is None or size == "original":
            return
        if not (isinstance(size, int) and (size >= min(self.recipe.image_size) or size >= self.smallest_size)):
            raise I2IError(f'expected a size of at least {self.smallest_size} pixels or "original", got {size!r}')

    def _translate(
        self, translator: Translator, batch: Tensor, to: str, tile: int | None, condition: dict[str, Any]
    ) -> GeneratorOutput:
        height, width = batch.shape[2:]
        if self.constraints.fixed_size is None:
            batch = self._pad(batch)
        if tile is None or max(height, width) <= tile:
            return cropped(translator.translate(batch, to, **condition), height, width)
        if self.constraints.batch_dependent or self.constraints.fixed_size is not None:
            raise I2IError("tile: this translator's networks take only whole images of one size")
        if any(isinstance(value, Tensor | list) for value in condition.values()):
            raise I2IError("tile: a reference image cannot be combined with tiles; give a style's number, or omit tile")
        image = translate_in_tiles(
            lambda window: translator.translate(window, to, **condition).image, batch, tile, self.constraints.multiple
        )
        return cropped(GeneratorOutput(image), height, width)

    def _double_precision(self) -> Translator:
        """The networks in float64: a copy made once, so that other threads keep theirs."""
        with self._lock, torch.inference_mode(False):
            if self._double is None:
                double = next(self.translator.parameters()).dtype == torch.float64
                self._double = self.translator if double else copy.deepcopy(self.translator).double()
            return self._double

    def _pad(self, batch: Tensor) -> Tensor:
        """Reflect a batch at its right and bottom edges up to the next size that the networks take."""
        multiple, (height, width) = self.constraints.multiple, batch.shape[2:]
        # The recipe's size is legal, so that only smaller images need the search for the smallest.
        least = self.smallest_size if min(height, width) < min(self.recipe.image_size) else 1
        return reflect_to(batch, *(-(-max(side, least) // multiple) * multiple for side in (height, width)))

    @torch.inference_mode()
    def _find_smallest(self) -> int:
        multiple, like = self.constraints.multiple, next(self.translator.parameters())
        target = self.translator.targets[-1]
        channels = self.translator.input_stream(target).channels
        for side in range(multiple, 16 * multiple + 1, multiple):
            try:
                self.translator.translate(torch.zeros(1, channels, side, side).to(like), target)
            except (ShapeError, RuntimeError):
                continue
            except (I2IError, TypeError):  # it needs a condition, so that its networks cannot be tried
                break
            return side
        return multiple

    def _placed(self, value: Any, like: Tensor, to: str) -> Any:
        """Bring one condition to the networks, images as [1, C, H, W], also those of a blend; keep other values."""
        pairs = list(value.items()) if isinstance(value, Mapping) else value
        if isinstance(pairs, list | tuple) and all(isinstance(item, tuple) and len(item) == 2 for item in pairs):
            return [(self._placed(key, like, to), share) for key, share in pairs]
        if not isinstance(value, str) or Path(value).is_file():
            source = source_of(value, self.format_of(to))
            value = value if source is None else self._pad(self.resize(source.pages[0]).unsqueeze(0))
        if isinstance(value, Tensor):  # numbers of classes or styles stay int64
            value = value.to(like.device, value.dtype if value.dtype == torch.int64 else like.dtype)
        return value


def load(
    path: str | Path,
    device: str | torch.device | None = None,
    averaged: bool = True,
    precision: Literal["fp32", "bf16"] = "fp32",
    compile: bool = False,  # torch's word
) -> Loaded:
    """Load a run's newest checkpoint, or one checkpoint.

    Args:
        path: a run folder, one of its checkpoints, an archive of `i2i pack`, or `hf://user/name` of a hub.
        device: device of the networks; the machine's accelerator when None, or the CPU where there is none.
        averaged: use the moving average of the weights where the run has one.
        precision: `bf16` rounds weights and features to eight bits of precision; images differ by up to some percent.
        compile: pass the networks through `torch.compile`, which takes about a minute at the first image of each shape.

    Raises:
        CheckpointError: there is no checkpoint, or it is damaged.
        RecipeError: its recipe names a component that is not installed.
    """
    with local_files(path) as folder:
        saved = checkpoint.find(folder, needed=(checkpoint.WEIGHTS, checkpoint.AVERAGE, checkpoint.RECIPE))
        recipe = recipe_in(saved.folder, path)
        found = full_weights(saved, averaged)
    weights = {name: value for name, value in found.items() if not name.startswith("losses.")}
    # Adapters are merged into the weights, so the networks are built without them.
    train = replace(recipe.train, adapter=None)
    recipe = replace(recipe, name=str(saved.state.get("recipe", recipe.name)), train=train)
    translator = build(recipe, training=False, streams={**recipe.streams, **saved.streams()})
    if problems := _differences(translator, weights, saved.lines(OMITTED)):
        rest = f"; and {len(problems) - 3} more" if problems[3:] else ""
        raise CheckpointError(
            f"{saved.folder}: the weights do not fit the {checkpoint.RECIPE} next to them: "
            f"{'; '.join(problems[:3])}{rest}"
        )
    translator.load_state_dict(weights, strict=False)
    dtype = next(value.dtype for value in weights.values() if value.is_floating_point())
    dtype = torch.bfloat16 if precision == "bf16" else dtype
    translator.to(device or default_device(), dtype).eval().requires_grad_(False)
    compile_networks(translator, compile)
    translator.at_step_(max(saved.step - 1, 0))  # the last step that was taken
    noted = saved.state.get("feature_extractors")
    noted = noted if isinstance(noted, dict) else {}
    extractors = {name: noted[name] for name in extractor_sources(translator) if name in noted}
    run = saved.folder.parents[1] if saved.folder.is_dir() and saved.folder.parent.name == "checkpoints" else None
    return Loaded(recipe, translator, saved.step, extractors, run)


def _differences(translator: Translator, weights: Mapping[str, Tensor], omitted: Sequence[str]) -> list[str]:
    """What keeps weights from being loaded, a sentence for each name outside of `omitted` submodules."""
    expected = {name: list(value.shape) for name, value in translator.state_dict().items()}
    expected = {name: shape for name, shape in expected.items() if name.partition(".")[0] not in omitted}
    given = {name: list(value.shape) for name, value in weights.items()}
    return [
        f"{name}: expected {expected.get(name, 'no such weight')}, got {given.get(name, 'none')}"
        for name in {**expected, **given}
        if expected.get(name) != given.get(name)
    ]


def default_device() -> torch.device:
    """Return the accelerator that torch finds, or the CPU."""
    return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
