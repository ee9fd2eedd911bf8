"""Translate large images in overlapping windows, with norms and poolings computed over the whole image."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from i2i.errors import I2IError
from i2i.nn.functional.whole_image import MissingStatistics, Region, WholeImage

TOLERANCE = 1e-5
"""Influence of pixels outside a window that counts as none, for outputs in [-1, 1]: float32 rounding of a network."""
STRIP, FARTHEST = 64, 512
"""Pixels: height of the strip on which a network's reach is measured, and the longest distance measured."""

Generate = Callable[[Tensor], Tensor]
log = logging.getLogger("i2i")


class Span(NamedTuple):
    """A window along one axis, from `start` to `stop`, and the part of it that is kept, from `first` to `last`."""

    start: int
    stop: int
    first: int
    last: int


def spans(length: int, tile: int, halo: int, multiple: int) -> list[Span]:
    """Windows along an axis whose kept parts cover it; the first and the last are kept up to the border.

    Example:
        >>> spans(20, 12, 2, 4)
        [Span(start=0, stop=12, first=0, last=10), Span(start=8, stop=20, first=10, last=20)]
    """
    tile = min(tile, length)
    step = (tile - 2 * halo) // multiple * multiple
    starts = [*range(0, length - tile, step), length - tile] if length > tile else [0]
    firsts = [0, *(start + halo for start in starts[1:]), length]
    return [Span(start, start + tile, firsts[i], firsts[i + 1]) for i, start in enumerate(starts)]


def influence(generate: Generate, image: Tensor, multiple: int = 1, farthest: int = FARTHEST) -> Tensor:
    """Measure how much distant pixels change a network's output, with the statistics of norms held fixed.

    The left half of a strip of uniform noise is replaced by other noise. Two passes of 64 rows suffice, since distance
    alone matters.

    Args:
        generate: the network, [B, C, h, w] to [B, C', h, w].
        image: decides channels, device and type.
        multiple: divides both sides of images.
        farthest: the longest distance to measure, in pixels.

    Returns:
        influence: [farthest or a little more]; element d is the largest change of any output pixel whose distance from
            the replaced pixels is d or more, for outputs in [-1, 1].
    """
    height, half = (-(-side // multiple) * multiple for side in (STRIP, farthest))
    draws = torch.Generator().manual_seed(0)
    noise = (torch.rand(2, image.shape[1], height, 2 * half, generator=draws) * 2 - 1).to(image)
    first, second = noise[:1], torch.cat([noise[1:, ..., :half], noise[:1, ..., half:]], 3)
    whole = WholeImage()
    with whole.window(Region(), complete=True):
        before = generate(first)
    with whole.window(Region()):
        after = generate(second)
    change = (after - before).abs().amax((0, 1, 2))[half:].float()
    return change.flip(0).cummax(0).values.flip(0)


def choose_halo(generate: Generate, image: Tensor, tile: int, multiple: int = 1) -> int:
    """Choose how many pixels around the kept part of a window the network is given.

    The halo is as wide as the measured reach of the network. Where the tile has no room for that, it is three eighths
    of the tile, and one warning names the difference from the untiled image that was measured at this distance.
    """
    changes = influence(generate, image, multiple, min(tile, FARTHEST))
    halo = int((changes > TOLERANCE).sum())
    if tile - 2 * halo >= max(multiple, tile // 8):
        return halo
    room = min(tile * 3 // 8, (tile - multiple) // 2)
    if float(changes[room]) <= TOLERANCE:
        return room
    enough = -(-(2 * halo + max(multiple, halo // 4)) // 64) * 64
    advice = f"tiles of {enough} pixels would be exact" if halo < len(changes) else "translate without tiles if you can"
    log.warning(
        "tiles of %d pixels are not exact: this network depends on pixels farther away than %d; output differs by up "
        "to about %.1g of 2 near the edges of tiles; %s",
        tile,
        room,
        float(changes[room]),
        advice,
    )
    return room


def translate_in_tiles(
    generate: Generate, image: Tensor, tile: int, multiple: int = 1, halo: int | None = None
) -> Tensor:
    """Translate an image in windows of `tile` pixels, so that memory does not grow with the image.

    Instance norm, layer norm and the poolings of an attention depend on all pixels. All windows are visited once for
    each such layer, up to that layer, so that the result is that of the untiled image up to rounding. That costs about
    half as many times the untiled work as the network has such layers.

    Args:
        generate: the network, [B, C, h, w] to [B, C', h, w].
        image: [B, C, H, W] with sides that `multiple` divides.
        tile: side of the windows in pixels.
        multiple: divides both sides of images that the network takes.
        halo: pixels around the kept part of each window; measured by `choose_halo` when None.

    Raises:
        I2IError: the tile is too small for its halo.
    """
    height, width = image.shape[2:]
    tile = tile // multiple * multiple
    if max(height, width) <= tile:
        return generate(image)
    if tile < 2 * multiple:
        raise I2IError(f"expected tiles of at least {2 * multiple} pixels for this network, got {tile}")
    halo = choose_halo(generate, image, tile, multiple) if halo is None else halo
    if (tile - 2 * halo) // multiple < 1:
        raise I2IError(f"expected tiles of at least {2 * halo + multiple} pixels for a halo of {halo}, got {tile}")
    windows = [(y, x) for y in spans(height, tile, halo, multiple) for x in spans(width, tile, halo, multiple)]
    whole, translated = WholeImage(), image.new_empty(0)
    while True:
        complete = True
        for y, x in windows:
            kept = _visit(whole, generate, image, y, x)
            if kept is None:
                complete = False
                continue
            if not translated.numel():  # the network decides how many channels there are
                translated = kept.new_empty(len(image), kept.shape[1], height, width)
            translated[:, :, y.first : y.last, x.first : x.last] = kept
        if complete:
            return translated
        whole.combine()


def _visit(whole: WholeImage, generate: Generate, image: Tensor, y: Span, x: Span) -> Tensor | None:
    """Translate one window and return what is kept of it; None where statistics are missing, which are recorded."""
    rows, columns = (slice(span.first - span.start, span.last - span.start) for span in (y, x))
    height, width = y.stop - y.start, x.stop - x.start
    region = Region(rows.start / height, rows.stop / height, columns.start / width, columns.stop / width)
    try:
        with whole.window(region):
            translated = generate(image[:, :, y.start : y.stop, x.start : x.stop])
    except MissingStatistics:
        return None
    return translated[:, :, rows, columns]
