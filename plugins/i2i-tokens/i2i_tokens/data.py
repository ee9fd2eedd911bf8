"""Images with captions: drawn shapes, and a folder with a table of captions."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from annotated_types import Ge
from torch import Tensor

from i2i.core.contracts import Stream
from i2i.data.base import ImageDataset
from i2i.data.files import ImageFiles
from i2i.data.images import as_path
from i2i.data.pixels import Pixels
from i2i.data.transforms import eval_transform
from i2i.errors import DataError
from i2i_tokens.text import PADDING, tokenize

_PREVIEW = 2**60  # drawings from here on are not used in training
COLORS = {
    "red": (0.9, 0.1, 0.1),
    "green": (0.1, 0.75, 0.2),
    "blue": (0.15, 0.25, 0.95),
    "yellow": (0.95, 0.9, 0.15),
    "white": (0.95, 0.95, 0.95),
}
FORMS = ("circle", "square", "cross")
WORDS = (PADDING, *COLORS, *FORMS)


class CaptionedShapes(ImageDataset):
    """Drawn shapes, each with its colour and form as caption, such as "red circle".

    Args:
        size: side of the images in pixels.
        count: number of samples in an epoch; the stream itself is endless.
        seed: seed of all drawings, >= 0.
    """

    domains = ("image",)

    def __init__(
        self,
        size: Annotated[int, Ge(16)] = 32,
        count: Annotated[int, Ge(1)] = 2000,
        seed: Annotated[int, Ge(0)] = 0,
    ) -> None:
        self.size, self.count, self.seed = size, count, seed

    @classmethod
    def declare_streams(cls, options: Mapping[str, Any]) -> dict[str, Stream]:
        """Declare images and captions of two words, [1, 2]."""
        return super().declare_streams(options) | {"text": Stream("label", len(WORDS), (1, 2), names=WORDS)}

    def __len__(self) -> int:
        """Return the number of samples in an epoch."""
        return self.count

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        """Return sample `number` >= 0: "image" [3, size, size] in [-1, 1], and "text", two tokens [1, 2]."""
        if number < 0:
            raise IndexError(f"captioned_shapes: samples are numbered from 0, got {number}")
        draws = np.random.Generator(np.random.PCG64([self.seed, number]))
        color, form = list(COLORS)[int(draws.integers(len(COLORS)))], FORMS[int(draws.integers(len(FORMS)))]
        radius = float(draws.uniform(0.35, 0.6))
        x, y = (float(value) for value in draws.uniform(radius - 1, 1 - radius, 2))
        image = draw(form, color, (x, y), radius, self.size)
        return {"image": image, "text": tokenize(f"{color} {form}", WORDS, 2)[None]}

    def preview(self, count: int) -> dict[str, Tensor]:
        """Return drawings that are not trained on, by stream."""
        samples = [self[number] for number in range(_PREVIEW, _PREVIEW + count)]
        return {name: torch.stack([sample[name] for sample in samples]) for name in ("image", "text")}


def draw(form: str, color: str, center: tuple[float, float], radius: float, size: int) -> Tensor:
    """Return one shape before a dark ground, [3, size, size] in [-1, 1]."""
    axis = (np.arange(size) + 0.5) * (2 / size) - 1
    x, y = np.meshgrid(axis - center[0], axis - center[1])
    across, down = np.abs(x), np.abs(y)
    distance = {
        "circle": np.hypot(x, y) - radius,
        "square": np.maximum(across, down) - 0.8 * radius,
        "cross": np.minimum(
            np.maximum(across - 0.3 * radius, down - radius), np.maximum(down - 0.3 * radius, across - radius)
        ),
    }[form]
    inside = np.clip(0.5 - distance * size / 2, 0, 1)
    ground = np.full((3, 1, 1), 0.12)
    image = ground + inside * (np.array(COLORS[color])[:, None, None] - ground)
    return torch.from_numpy((2 * image - 1).astype(np.float32))


class CaptionedImages(ImageDataset):
    """A folder of images with `captions.csv`, whose lines are a file's name and its caption.

    The vocabulary is all words of all captions, in lower case.

    Args:
        root: the folder.
        size: side in pixels to which images are resized.
        seed: seed of the order, >= 0.

    Raises:
        DataError: there is no such folder or table, or a line of it names no file.
    """

    domains = ("image",)

    def __init__(
        self, root: Path | None = None, size: Annotated[int, Ge(16)] = 32, seed: Annotated[int, Ge(0)] = 0
    ) -> None:
        folder = as_path(root)
        if folder is None:
            raise DataError("data.root: expected a folder with images and captions.csv, got nothing")
        self.size, self.seed = size, seed
        self.items = _read_captions(folder)
        self.files = ImageFiles([(path,) for path, _ in self.items], str(folder))
        words = sorted({word for _, caption in self.items for word in caption.lower().split()})
        self.words = (PADDING, *words)
        self.length = max(len(caption.split()) for _, caption in self.items)

    @classmethod
    def declare_streams(cls, options: Mapping[str, Any]) -> dict[str, Stream]:
        """Declare images and captions; only the table says how many words there are."""
        return super().declare_streams(options) | {"text": Stream("label", 0, (1, 1))}

    @property
    def streams(self) -> dict[str, Stream]:
        """Specifications of images and captions."""
        declared = self.declare_streams(vars(self))
        return declared | {"text": Stream("label", len(self.words), (1, self.length), names=self.words)}

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.items)

    def __getitem__(self, number: int) -> dict[str, object]:
        """Return sample `number` >= 0; in place of a damaged file comes the next one of the epoch's order."""
        skipped: list[str] = []
        _, index, (image,) = self.files.draw(number, self.seed, "images", skipped)
        return {**self._sample(index, image), "skipped": skipped}

    def preview(self, count: int) -> dict[str, Tensor]:
        """Return the first images, by stream."""
        readable = self.files.readable(range(min(count, len(self))), [])
        samples = [self._sample(index, image) for index, (image,) in readable]
        return {name: torch.stack([sample[name] for sample in samples]) for name in ("image", "text")}

    def _sample(self, index: int, image: Pixels) -> dict[str, Tensor]:
        text = tokenize(self.items[index][1], self.words, self.length)
        return {"image": eval_transform(image, self.size), "text": text[None]}


def _read_captions(folder: Path) -> list[tuple[Path, str]]:
    table = folder / "captions.csv"
    if not table.is_file():
        raise DataError(f"data.root: expected {table}, with lines such as cat.png,a black cat")
    items = []
    with table.open(encoding="utf-8", newline="") as file:
        for line, row in enumerate(csv.reader(file), 1):
            if len(row) < 2 or not row[1].strip():
                raise DataError(f"{table}:{line}: expected a file's name and its caption, got {row}")
            path = folder / row[0]
            if not path.resolve().is_relative_to(folder.resolve()) or not path.is_file():
                raise DataError(f"{table}:{line}: there is no file {row[0]} in {folder}")
            items.append((path, ",".join(row[1:]).strip()))
    if not items:
        raise DataError(f"{table}: expected at least one line")
    return items
