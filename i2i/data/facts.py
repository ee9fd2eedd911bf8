"""What can be said about one image: size, mode, depth, hashes, and whether it is damaged or of one color."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from i2i.data.decoding import Decoded, UnreadableImage, decode
from i2i.data.modes import composite
from i2i.data.sources.locate import Place

HASH_BITS = 128
_SIDE = 8
_BIT_COUNTS = np.array([number.bit_count() for number in range(256)], np.uint8)
_THREADS = 8
_COLOR_DIFFERENCE = 8.0
"""Mean difference at 8 x 8 pixels, of 255, from which on two images are not nearly equal."""
_MODES = {"L": "gray", "LA": "gray with alpha", "1": "bilevel", "P": "palette", "RGBA": "RGB with alpha"}


@dataclass(frozen=True)
class ImageFacts:
    """Facts of one image file.

    Args:
        path: the file.
        problem: why it cannot be read, or None; then all other facts are unknown.
        size: width and height in pixels.
        kind: mode and depth, such as `RGB 8 bit`.
        digest: SHA-256 of the decoded pixels, so that copies under other names and metadata are equal.
        fingerprint: 128 bits that change little when the image is resized or compressed.
        tiny: the image at 8 x 8 pixels, RGB.
        one_color: whether all pixels are nearly equal.
        note: what is unusual about its values, or None.
    """

    path: Place
    problem: str | None = None
    size: tuple[int, int] = (0, 0)
    kind: str = ""
    digest: bytes = b""
    fingerprint: int = 0
    tiny: bytes = b""
    one_color: bool = False
    note: str | None = None

    @property
    def aspect(self) -> float:
        """Width by height."""
        return self.size[0] / max(1, self.size[1])


def facts_of(path: Place) -> ImageFacts:
    """Read an image and return its facts."""
    try:
        decoded = decode(path)
    except UnreadableImage as error:
        return ImageFacts(path, error.reason)
    height, width = decoded.size
    small = _eight_bits(decoded)
    array = np.asarray(decoded.pixels)
    digest = hashlib.sha256(f"{array.shape} {array.dtype}".encode() + np.ascontiguousarray(array).tobytes()).digest()
    # Of deep images a few stored values may be a whole image that is merely dark.
    deep = not isinstance(decoded.pixels, Image.Image)
    spread = np.ptp(array) if deep else max(high - low for low, high in small.getextrema())  # type: ignore[misc]
    return ImageFacts(
        path,
        None,
        (width, height),
        _kind(decoded),
        digest,
        fingerprint(small),
        small.resize((_SIDE, _SIDE), Image.Resampling.BOX).tobytes(),
        bool(spread == 0 if deep else spread <= 4),
        _note(decoded),
    )


def all_facts(paths: Iterable[Place]) -> Iterator[ImageFacts]:
    """Facts of each image, in order; several are read at a time, and few wait in memory."""
    waiting = iter(paths)
    with ThreadPoolExecutor(_THREADS) as pool:
        while group := list(islice(waiting, 8 * _THREADS)):
            yield from pool.map(facts_of, group)


def fingerprint(image: Image.Image) -> int:
    """Whether each of 8 x 8 cells is brighter than the next one to the right, and than the next one below: 128 bits."""
    gray = image.convert("L")
    across = np.asarray(gray.resize((_SIDE + 1, _SIDE), Image.Resampling.BOX), np.int16)
    down = np.asarray(gray.resize((_SIDE, _SIDE + 1), Image.Resampling.BOX), np.int16)
    bits = np.concatenate([(across[:, :-1] > across[:, 1:]).ravel(), (down[:-1] > down[1:]).ravel()])
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def _eight_bits(decoded: Decoded) -> Image.Image:
    """An image as RGB, small enough to be hashed quickly."""
    image = decoded.pixels
    if not isinstance(image, Image.Image):
        values: NDArray[Any] = image[..., :3] if image.shape[2] >= 3 else image[..., :1].repeat(3, 2)
        floats = values.astype(np.float64)
        low, high = decoded.window or (float(np.nanmin(floats)), float(np.nanmax(floats)))
        floats = np.nan_to_num((floats - low) / max(high - low, 1e-12) * 255)
        image = Image.fromarray(floats.clip(0, 255).astype(np.uint8))
    return composite(image).convert("RGB")


def _kind(decoded: Decoded) -> str:
    image = decoded.pixels
    if isinstance(image, Image.Image):
        return f"{_MODES.get(image.mode, image.mode)} 8 bit"
    bits = image.dtype.itemsize * 8
    form = "float" if image.dtype.kind == "f" else "bit" if image.dtype.kind == "u" else "bit signed"
    colors = image.shape[2] - decoded.alpha
    name = {1: "gray", 3: "RGB"}.get(colors, f"{colors} channels") + (" with alpha" if decoded.alpha else "")
    return f"{name} {bits} {form}"


def _note(decoded: Decoded) -> str | None:
    image = decoded.pixels
    if isinstance(image, Image.Image):
        return None
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        return "NaN or infinite values"
    most, white = float(image.max()), decoded.window[1] if decoded.window else None
    if white is not None and image.dtype.kind in "ui" and image.dtype.itemsize > 1 and 0 < most < white / 4:
        return f"dark: the largest value is {most:g} of {white:g}"
    return None


def near_duplicates(facts: Sequence[ImageFacts], distance: int = 8) -> list[tuple[int, int]]:
    """Pairs of images that look the same: at most `distance` of 128 bits differ, and little at 8 x 8 pixels.

    Images of one color are left out, because all of them look the same. Of two fingerprints with at most 8 different
    bits, one of 9 bands is equal, so only images that share a band are compared.

    Returns:
        pairs: numbers of two images each, the smaller first.
    """
    bands = distance + 1
    buckets: dict[tuple[int, int], list[int]] = {}
    for number, fact in enumerate(facts):
        if fact.problem is None and not fact.one_color:
            for band in range(bands):
                first, last = HASH_BITS * band // bands, HASH_BITS * (band + 1) // bands
                key = (fact.fingerprint >> first) & ((1 << (last - first)) - 1)
                buckets.setdefault((band, key), []).append(number)
    words = np.array([_words(fact.fingerprint) for fact in facts], np.uint64).reshape(-1, 2)
    found: set[tuple[int, int]] = set()
    for numbers in buckets.values():
        for place, one in enumerate(numbers[:-1]):
            others = np.array(numbers[place + 1 :])
            differing = _BIT_COUNTS[(words[others] ^ words[one]).view(np.uint8)].sum(1)
            near = (int(other) for other in others[differing <= distance])
            found.update((one, other) for other in near if _nearly_equal(facts[one], facts[other]))
    return sorted(found)


def _words(bits: int) -> tuple[int, int]:
    return bits >> 64, bits & (2**64 - 1)


def _nearly_equal(one: ImageFacts, other: ImageFacts) -> bool:
    if not 0.8 < one.aspect / other.aspect < 1.25:
        return False
    first, second = (np.frombuffer(fact.tiny, np.uint8).astype(np.int16) for fact in (one, other))
    return float(np.abs(first - second).mean()) < _COLOR_DIFFERENCE
