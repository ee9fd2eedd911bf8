"""Using what was trained: load a run or a checkpoint, translate tensors, images and files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from i2i.core.contracts import GeneratorOutput
from i2i.data.images import read_image, to_image, to_tensor
from i2i.data.modes import to_rgb, upright
from i2i.data.transforms import Resample, eval_transform, resize_short_side
from i2i.engine import checkpoint
from i2i.errors import CheckpointError, I2IError
from i2i.methods.assembly import build
from i2i.methods.compilation import compile_networks, explain_compile_failure
from i2i.methods.networks import image_constraints
from i2i.methods.translator import Translator
from i2i.nn.layers.frozen import extractor_sources
from i2i.recipe.recipe import Recipe
from i2i.use.tiling import translate_in_tiles

Size = int | str | None
SMALLEST = 8


class Loaded:
    """A trained translator, ready to use.

    Args:
        recipe: what it was trained with.
        translator: with its weights, in evaluation mode, on its device.
        step: steps that it was trained for.
        feature_extractors: frozen networks that it translates with, by submodule, as training noted them.
    """

    def __init__(
        self, recipe: Recipe, translator: Translator, step: int, feature_extractors: Mapping[str, str] | None = None
    ) -> None:
        self.recipe, self.translator, self.step = recipe, translator, step
        self.constraints = image_constraints(translator)
        self.feature_extractors = {**extractor_sources(translator), **(feature_extractors or {})}

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
        self, image: NDArray[np.uint8], to: str = "b", *, size: Size = None, tile: int | None = None, **condition: Any
    ) -> NDArray[np.uint8]: ...

    def translate(
        self, image: Any, to: str = "b", *, size: Size = None, tile: int | None = None, **condition: Any
    ) -> Any:
        """Translates one image or one batch.

        Args:
            image: a float tensor [B, 3, H, W] (or [3, H, W]) in [-1, 1], taken as it is; a PIL image or a file, which
                go through the recipe's preprocessing; or an array [H, W, 3] of uint8, treated like a PIL image.
            to: the domain to paint.
            size: length of the shorter side in pixels, or "original"; the recipe's size when None. Only for images.
            tile: side of the windows in which larger images are painted, so that memory does not grow with them.
            condition: what else the translator takes, such as a style; `translator.conditions()` lists the names, its
                `translate` says what each means. Images may be files, PIL images, arrays or tensors.

        Returns:
            The same sort of thing as `image`; a file becomes a PIL image.

        Raises:
            I2IError: no such domain or condition, or an image that the networks cannot take.
        """
        if isinstance(image, Tensor):
            if size is not None:
                raise I2IError("a tensor is taken as it is; leave size away, or resize it before")
            batch = image if image.ndim == 4 else image.unsqueeze(0)
            made = self.run(batch, to, tile=tile, **condition).image.to(image.device, image.dtype)
            return made if image.ndim == 4 else made[0]
        if isinstance(image, np.ndarray):
            return np.asarray(self.translate(_from_array(image), to, size=size, tile=tile, **condition))
        if isinstance(image, str | Path):
            image = read_image(Path(image))
        if not isinstance(image, Image.Image):
            raise I2IError(f"expected a tensor, a PIL image, an array or a file's path, got {type(image).__name__}")
        return to_image(
            self.run(self.prepare(image, size).unsqueeze(0), to, tile=tile, **condition).image[0].float().cpu()
        )

    @torch.inference_mode()
    def run(self, batch: Tensor, to: str, *, tile: int | None = None, **condition: Any) -> GeneratorOutput:
        """Translates a batch [B, 3, H, W] in [-1, 1]; also gives the attention's heat map, where there is one.

        Args:
            tile: side of the windows in which larger images are painted; they have no heat map. None paints whole ones.
        """
        targets = self.translator.targets
        if to not in targets:
            what = "paints only the domain" if to in self.translator.domains else f"knows no domain {to!r}; domains:"
            raise I2IError(f"this translator {what} {', '.join(targets)}")
        if not batch.is_floating_point():
            raise I2IError(
                f"expected a float tensor in [-1, 1], got {batch.dtype}; an array of uint8 may be given as it is"
            )
        known = self.translator.conditions()
        for name in condition:
            if name not in known:
                takes = f"it takes {', '.join(known)}" if known else "it takes nothing beside the image and the domain"
                raise I2IError(f"this translator takes no {name}; {takes}")
        weight = next(self.translator.parameters())
        own = weight.dtype
        if batch.dtype == torch.float64:
            weight = next(self.translator.double().parameters())
        try:
            given = {name: self._placed(value, weight) for name, value in condition.items()}
            with explain_compile_failure():
                return self._generated(batch.to(weight.device, weight.dtype), to, tile, given)
        finally:
            self.translator.to(own)  # float32 weights come back from float64 as they were

    def _generated(self, batch: Tensor, to: str, tile: int | None, given: dict[str, Any]) -> GeneratorOutput:
        if tile is None or max(batch.shape[2:]) <= tile:
            return self.translator.translate(batch, to, **given)
        if self.constraints.batch_dependent or self.constraints.fixed_size is not None:
            raise I2IError("this translator cannot paint in tiles: its network is bound to whole images of one size")
        if any(isinstance(value, Tensor | list) for value in given.values()):
            raise I2IError("tiles cannot follow a reference image; give a style's number, or leave the tile away")
        image = translate_in_tiles(
            lambda window: self.translator.translate(window, to, **given).image, batch, tile, self.constraints.multiple
        )
        return GeneratorOutput(image)

    def _placed(self, value: Any, weight: Tensor) -> Any:
        """One condition, images as [1, 3, H, W], also those of a blend; text that names no file stays as it is."""
        if isinstance(value, Mapping):
            return [(self._placed(key, weight), share) for key, share in value.items()]
        if isinstance(value, list | tuple) and all(isinstance(item, tuple) and len(item) == 2 for item in value):
            return [(self._placed(key, weight), share) for key, share in value]
        if isinstance(value, Path) or (isinstance(value, str) and Path(value).is_file()):
            value = read_image(Path(value))
        elif isinstance(value, np.ndarray):
            value = _from_array(value)
        if isinstance(value, Image.Image):
            value = self.prepare(value).unsqueeze(0)
        return value.to(weight.device, weight.dtype) if isinstance(value, Tensor) else value

    def prepare(self, image: Image.Image, size: Size = None) -> Tensor:
        """The recipe's preprocessing of one image: [3, H, W] in [-1, 1].

        A network of one fixed size gets the square that it was trained on, as in the official test code. Any other gets
        the shorter side at the recipe's size (or `size`), with the aspect kept.

        Raises:
            I2IError: another size was asked of a network that has one of its own.
        """
        image.load()  # a PNG tells of its orientation after its pixels
        image = to_rgb(upright(image))
        if size is not None and size != "original" and not (isinstance(size, int) and size >= SMALLEST):
            raise I2IError(f'expected a size of at least {SMALLEST} pixels or "original", got {size!r}')
        resample: Resample = self.recipe.data.options.get("resample", "bilinear")
        fixed = self.constraints.fixed_size
        if fixed is not None:
            if size not in (None, fixed):
                raise I2IError(
                    f"this translator is bound to {fixed} x {fixed} pixels: its generator's weights depend on the "
                    f"size. Leave the size away, or train a generator with light = true, which takes any size"
                )
            return eval_transform(image, fixed, resample)
        short = min(image.size) if size == "original" else int(size or self.recipe.image_size)
        return to_tensor(resize_short_side(image, short, self.constraints.multiple, resample))


def load(
    path: str | Path,
    device: str | torch.device | None = None,
    averaged: bool = True,
    precision: Literal["fp32", "bf16"] = "fp32",
    compile: bool = False,  # torch's word
) -> Loaded:
    """Loads a run's newest checkpoint, or one checkpoint's folder.

    Args:
        path: a run folder, or one of its checkpoints.
        device: where to; the machine's accelerator when None, else the CPU.
        averaged: use the moving average of the weights where the run has one.
        precision: with `bf16` weights and features have eight bits of precision: images differ by up to some percent.
        compile: the networks go through torch's compiler, which takes a minute at the first image of each shape.

    Raises:
        CheckpointError: there is no checkpoint, or it is damaged.
        RecipeError: the recipe beside it names a component that is not installed.
    """
    saved = checkpoint.find(Path(path), needed=(checkpoint.WEIGHTS, checkpoint.AVERAGE, checkpoint.RECIPE))
    recipe = Recipe.read(saved.folder / checkpoint.RECIPE)
    translator = build(recipe, training=False)
    weights = {name: value for name, value in saved.weights(averaged).items() if not name.startswith("losses.")}
    try:
        translator.load_state_dict(weights)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()]
        reason = "; ".join(lines[:3])[:400] + (f" ... ({len(lines)} lines)" if lines[3:] else "")
        raise CheckpointError(f"{saved.folder}: the weights do not fit the recipe beside them: {reason}") from error
    dtype = next(value.dtype for value in weights.values() if value.is_floating_point())
    dtype = torch.bfloat16 if precision == "bf16" else dtype
    translator.to(device or default_device(), dtype).eval().requires_grad_(False)
    compile_networks(translator, compile)
    translator.at_step_(max(saved.step - 1, 0))  # the step that made these weights
    noted = saved.state.get("feature_extractors")
    noted = noted if isinstance(noted, dict) else {}
    return Loaded(
        recipe, translator, saved.step, {name: noted[name] for name in extractor_sources(translator) if name in noted}
    )


def _from_array(array: NDArray[Any]) -> Image.Image:
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3:
        raise I2IError(f"expected an array [H, W, 3] of uint8, got {list(array.shape)} of {array.dtype}")
    return Image.fromarray(array)


def default_device() -> torch.device:
    """The accelerator that torch finds, else the CPU."""
    return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
