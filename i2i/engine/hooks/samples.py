"""Sample grids: translations of a few fixed images as one PNG with captions."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import torch
from einops import rearrange
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn.functional import interpolate, pad

from i2i.core.hookspecs import hookimpl
from i2i.data.pixels import visible
from i2i.data.writing import write_image
from i2i.engine.run import Run
from i2i.nn.layers.frozen import image_metadata

GAP = 4
"""Space between two images in pixels."""
CELL = 64
"""Height of the images in a grid, about; smaller images are enlarged by a whole factor, without smoothing."""


log = logging.getLogger("i2i")


class Samples:
    """Hook that writes `samples/step-*.png` into the run folder; of images of many channels, the first three."""

    @hookimpl
    def training_started(self, run: Run) -> None:
        # Label maps are shown in the colours of their classes.
        images = [one for one in run.translator.streams.values() if one.role == "image" and not one.colors]
        counts = {stream.channels for stream in images} - {1, 3}
        if run.is_main and counts:
            shown = "channels 1 to 3" if max(counts) > 3 else "channel 1"
            log.warning("sample grids show %s of %d", shown, max(counts))

    @hookimpl
    def images_sampled(self, run: Run, images: Mapping[str, Tensor]) -> None:
        target = run.folder / "samples" / f"step-{run.step:07d}.png"
        write_image(grid(images), target, image_metadata(run.feature_extractors))


def grid(images: Mapping[str, Tensor]) -> Image.Image:
    """Arrange images in a grid with one column per domain and one row per caption.

    Args:
        images: [n, C, H, W] in [-1, 1] by `caption · domain`; see `visible`. Small ones are enlarged; see `CELL`.
    """
    tallest = max(CELL, *(row.shape[-2] for row in images.values()))
    images = {key: _enlarged(visible(row), tallest) for key, row in images.items()}
    columns: dict[str, dict[str, Tensor]] = {}
    for key, row in images.items():
        caption, _, domain = key.rpartition(" · ")
        columns.setdefault(domain, {})[caption] = row
    captions = list(dict.fromkeys(caption for column in columns.values() for caption in column))
    blocks = [_strip(column, captions) for column in columns.values()]
    size = max(row.shape[-2] for row in images.values())
    points = max(10, min(16, size // 5))
    font = ImageFont.load_default(points)
    margin = int(max(font.getlength(caption) for caption in captions)) + 3 * GAP
    top = points + 2 * GAP
    width = margin + sum(block.width + 2 * GAP for block in blocks)
    sheet = Image.new("RGB", (width, top + blocks[0].height), "white")
    draw = ImageDraw.Draw(sheet)
    for index, caption in enumerate(captions):
        draw.text((GAP, top + index * (size + GAP) + size // 2), caption, "black", font, anchor="lm")
    left = margin
    for domain, block in zip(columns, blocks, strict=True):
        draw.text((left, GAP), f"from {domain}", "black", font)
        sheet.paste(block, (left, top))
        left += block.width + 2 * GAP
    return sheet


def _enlarged(image: Tensor, height: int) -> Tensor:
    return interpolate(image, scale_factor=max(1, round(height / image.shape[-2])), mode="nearest")


def _strip(rows: Mapping[str, Tensor], captions: list[str]) -> Image.Image:
    sizes = [row.shape[-2:] for row in rows.values()]
    height, width = (GAP + max(sides) for sides in zip(*sizes, strict=True))
    white = torch.ones_like(next(iter(rows.values())))
    shown = [rows.get(caption, white) for caption in captions]
    padded = [pad(row, (0, width - row.shape[-1], 0, height - row.shape[-2]), value=1.0) for row in shown]
    pixels = rearrange(torch.stack(padded), "row n c h w -> (row h) (n w) c")
    return Image.fromarray(((pixels.clamp(-1, 1) + 1) * 127.5).round().byte().numpy())
