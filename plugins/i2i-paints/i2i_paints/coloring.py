"""Colour one drawing with a trained run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image, ImageChops
from torch import Tensor
from torch.nn import functional as F

from i2i.data.decoding import decode
from i2i.data.images import to_image
from i2i.errors import DataError, I2IError
from i2i_paints.color import hints_from_rgba
from i2i_paints.translators import LineColoring

if TYPE_CHECKING:
    from i2i.use.loaded import Loaded


def read_hints(path: Path, size: tuple[int, int]) -> Image.Image:
    """Read drawn hints, RGB with opacity.

    Args:
        path: an image with an alpha channel.
        size: width and height that it must have.

    Raises:
        DataError: the file cannot be read, has another size, or has no transparent pixel.
    """
    pixels = decode(path, channels=4).pixels
    if not isinstance(pixels, Image.Image):
        raise DataError(f"{path}: expected hints of 8 bits for each channel")
    hints = pixels.convert("RGBA")
    if hints.size != size:
        raise DataError(f"{path}: expected hints of {size[0]} x {size[1]} pixels like the lines, got {hints.size}")
    if hints.getextrema()[3][0] > 0:  # type: ignore[index]
        raise DataError(f"{path}: every pixel is drawn; expected a transparent ground with some colours on it")
    return hints


def color_lines(
    loaded: Loaded, lines: Image.Image, hints: Image.Image | None = None, keep_lines: bool = False
) -> Image.Image:
    """Return a coloured drawing of the size of its lines.

    Args:
        loaded: a run of `paints` or `paints_refinement`.
        lines: dark lines on white.
        hints: RGBA of the same size; every pixel that is not transparent is a hint.
        keep_lines: whether the colours are multiplied by the lines, which are then as sharp as in the drawing.

    Raises:
        I2IError: the run is one of another method.
    """
    translator = loaded.translator
    if not isinstance(translator, LineColoring):
        raise I2IError(f"colour: expected a run of PaintsChainer's recipes, got {loaded.recipe.name}")
    side = min(loaded.recipe.image_size or (128, 128))
    scale = side / min(lines.size)
    width, height = (max(16, round(length * scale / 16) * 16) for length in lines.size)
    like = next(translator.parameters())
    gray = lines.convert("L")
    if scale < 1:
        # A mean over each block would turn thin lines into a faint gray, which no run was trained on.
        small = -F.adaptive_max_pool2d(-_tensor(gray), (height, width)).to(like)
    else:
        small = _tensor(gray.resize((width, height), Image.Resampling.BOX)).to(like)
    hint = None
    if hints is not None:
        # Averages over opaque pixels alone, so that the smallest dab of colour is still there in a smaller image.
        smaller = hints.convert("RGBa").resize((width, height), Image.Resampling.BOX).convert("RGBA")
        hint = hints_from_rgba(_tensor(smaller)).to(like)
    with torch.inference_mode():
        image = translator.translate(small, "color", hint).image[0]
    colored = to_image(image).resize(lines.size, Image.Resampling.BICUBIC)
    return ImageChops.multiply(colored, gray.convert("RGB")) if keep_lines else colored


def _tensor(image: Image.Image) -> Tensor:
    pixels = torch.from_numpy(np.array(image, dtype=np.float32))
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    return pixels.permute(2, 0, 1)[None] / 127.5 - 1
