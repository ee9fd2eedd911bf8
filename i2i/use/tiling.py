"""Large images window by window, with norms and poolings that know the whole image."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from i2i.errors import I2IError
from i2i.nn.functional.whole_image import Core, NotKnownYet, WholeImage

HALO = 96
"""Pixels around what a window paints: more than the residual generators see to each side."""


class Span(NamedTuple):
    """A window along one axis, from `start` to `stop`, and the part that it paints."""

    start: int
    stop: int
    first: int
    last: int


def spans(length: int, tile: int, halo: int, multiple: int) -> list[Span]:
    """Windows along an axis whose parts cover it; those at the ends paint up to the border.

    Example:
        >>> spans(20, 12, 2, 4)
        [Span(start=0, stop=12, first=0, last=10), Span(start=8, stop=20, first=10, last=20)]
    """
    tile = min(tile, length)
    step = (tile - 2 * halo) // multiple * multiple
    starts = [*range(0, length - tile, step), length - tile] if length > tile else [0]
    firsts = [0, *(start + halo for start in starts[1:]), length]
    return [Span(start, start + tile, firsts[i], firsts[i + 1]) for i, start in enumerate(starts)]


def translate_in_tiles(
    generate: Callable[[Tensor], Tensor], image: Tensor, tile: int, multiple: int = 1, halo: int = HALO
) -> Tensor:
    """Paints an image in windows of `tile` pixels, so that memory does not grow with it.

    Instance norm, layer norm and the poolings of an attention depend on all pixels. The windows are gone over once for
    each of them, as far as it needs, so that the image is the untiled one but for rounding. That costs half as many
    times the untiled work as the network has such places.

    Args:
        paint: the network, [B, 3, h, w] to [B, 3, h, w].
        image: [B, 3, H, W].
        multiple: what sides must divide by.
        halo: pixels around what each window paints; what a network sees further away is lost.

    Raises:
        I2IError: the tile is too small for its halo.
    """
    height, width = image.shape[2:]
    tile = tile // multiple * multiple
    if max(height, width) <= tile:
        return generate(image)
    if (tile - 2 * halo) // multiple < 1:
        raise I2IError(f"expected tiles of more than {2 * halo + multiple} pixels, got {tile}; give larger ones")
    windows = [(y, x) for y in spans(height, tile, halo, multiple) for x in spans(width, tile, halo, multiple)]
    whole, generated = WholeImage(), torch.empty_like(image)
    while True:
        done = [_look(whole, generate, image, generated, y, x) for y, x in windows]
        if all(done):
            return generated
        whole.learn()


def _look(
    whole: WholeImage, generate: Callable[[Tensor], Tensor], image: Tensor, out: Tensor, y: Span, x: Span
) -> bool:
    """Paints one window into `out`, if enough is known for it."""
    rows, columns = (slice(span.first - span.start, span.last - span.start) for span in (y, x))
    high, wide = y.stop - y.start, x.stop - x.start
    with whole.looking(Core(rows.start / high, rows.stop / high, columns.start / wide, columns.stop / wide)):
        try:
            made = generate(image[:, :, y.start : y.stop, x.start : x.stop])
        except NotKnownYet:
            return False
    out[:, :, y.first : y.last, x.first : x.last] = made[:, :, rows, columns]
    return True
