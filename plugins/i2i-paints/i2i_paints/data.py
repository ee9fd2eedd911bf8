"""Data sets of colour images with their lines and random hints: a folder of images, and drawn regions."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Annotated, Any

import numpy as np
import torch
from annotated_types import Ge, Le
from torch import Tensor

from i2i.core.contracts import Stream
from i2i.data.base import ImageDataset
from i2i.data.files import ImageFiles
from i2i.data.images import as_path, find_images
from i2i.data.locations import Location
from i2i.data.pixels import to_tensor
from i2i.data.transforms import SampleTransform
from i2i.errors import DataError
from i2i_paints.color import BLANK, no_hints
from i2i_paints.hints import dabs, random_hints
from i2i_paints.lines import xdog

_PREVIEW = 2**60  # drawings from here on are not used in training


class LineArt(ImageDataset):
    """Base of data sets whose samples are a colour image, its lines, and hints drawn from its colours.

    Args:
        size: side of the samples in pixels, a multiple of 16.
        most_hints: largest number of hints in a sample; 0 trains without hints, as the released script did.
        seed: seed of order, augmentation and hints, >= 0.
    """

    domains: tuple[str, ...] = ("line", "color")

    def __init__(self, size: int, most_hints: int, seed: int) -> None:
        self.size, self.most_hints, self.seed = size, most_hints, seed

    @classmethod
    def declare_streams(cls, options: Mapping[str, Any]) -> dict[str, Stream]:
        """Declare lines [1, H, W] and colours [3, H, W] in [-1, 1], and hints [3, H, W] in YUV."""
        images = super().declare_streams({**options, "channels": {"line": 1}})
        return images | {"hint": Stream("raw", 3, images["color"].size, (BLANK[0], 255.0))}

    def sample(self, color: Tensor, draws: np.random.Generator, line: Tensor | None = None) -> dict[str, Tensor]:
        """Return a sample.

        Args:
            color: [3, H, W] in [-1, 1].
            draws: generator of the hints and the lines' noise.
            line: lines [1, H, W] in [-1, 1]; extracted from the colours if None.
        """
        if line is None:
            luminance = (color * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(0, keepdim=True)
            line = 2 * xdog((luminance[None] + 1) / 2)[0] - 1
        hint = random_hints(color, draws, self.most_hints) if self.most_hints else no_hints(color)
        return {"line": line, "color": color, "hint": hint}


class LineArtFolder(LineArt):
    """A folder of colour images; lines are extracted by differences of Gaussians.

    Args:
        root: folder of training images, or one that holds `train` and `test`.
        size: side of the samples in pixels, a multiple of 16.
        load_size: side to which an image is resized before the random crop; `size` if None.
        flip: whether half of the images are mirrored left to right.
        most_hints: largest number of hints in a sample; 0 trains without hints.
        cache: MiB of memory for resized images.
        seed: seed of order, augmentation and hints, >= 0.

    Raises:
        DataError: there is no folder, or no image that can be read.
    """

    def __init__(
        self,
        root: Location | None = None,
        size: Annotated[int, Ge(16)] = 128,
        load_size: int | None = None,
        flip: bool = True,
        most_hints: Annotated[int, Ge(0)] = 150,
        cache: Annotated[int, Ge(0)] = 1024,
        seed: Annotated[int, Ge(0)] = 0,
    ) -> None:
        super().__init__(size, most_hints, seed)
        folder = as_path(root)
        if folder is None:
            raise DataError("data.root: expected a folder of colour images, got nothing")
        self.transform = SampleTransform.of(size, load_size or size, 0, flip)
        parts = [folder / "train", folder / "test"] if (folder / "train").is_dir() else [folder, folder]
        self.files, self.test = (
            ImageFiles([(path,) for path in find_images(part)], str(part))
            for part in (parts if parts[-1].is_dir() else parts[:1] * 2)
        )
        self.train = self.files.resized(self.transform, cache * 2**20)

    def __len__(self) -> int:
        """Return the number of training images."""
        return len(self.files)

    def __getitem__(self, number: int) -> dict[str, object]:
        """Return sample `number` >= 0; in place of a damaged file comes the next one of the epoch's order."""
        skipped: list[str] = []
        epoch, index, (image,) = self.train.draw(number, self.seed, "color", skipped)
        cut = self.transform.cut(image, self.transform.draw(Random(f"{self.seed} {epoch} {index}")))
        draws = np.random.Generator(np.random.PCG64([self.seed, epoch, index]))
        return {**self.sample(to_tensor(cut), draws), "skipped": skipped}

    def preview(self, count: int) -> dict[str, Tensor]:
        """Return the first test images with fixed hints, by stream [n, C, size, size]."""
        samples = []
        for index, (image,) in self.test.readable(range(min(count, len(self.test))), []):
            draws = np.random.Generator(np.random.PCG64([self.seed, _PREVIEW, index]))
            samples.append(self.sample(to_tensor(self.transform.preview(image)), draws))
        return {name: torch.stack([sample[name] for sample in samples]) for name in ("line", "color", "hint")}


class DrawnRegions(LineArt):
    """Drawn regions of plain colour with black outlines: ellipses before a background, whose areas are known.

    Args:
        size: side of the samples in pixels, a multiple of 16.
        count: number of samples in an epoch; the stream itself is endless.
        regions: number of ellipses.
        most_hints: largest number of hints in a sample; 0 trains without hints.
        dabbed: share of the samples whose hints are one dab of 3 x 3 px in most regions, as a person would give them,
            in place of random pixels.
        seed: seed of all drawings, >= 0.
    """

    def __init__(
        self,
        size: Annotated[int, Ge(16)] = 32,
        count: Annotated[int, Ge(1)] = 2000,
        regions: Annotated[int, Ge(1)] = 3,
        most_hints: Annotated[int, Ge(0)] = 40,
        dabbed: Annotated[float, Ge(0), Le(1)] = 0.0,
        seed: Annotated[int, Ge(0)] = 0,
    ) -> None:
        super().__init__(size, most_hints, seed)
        self.count, self.regions, self.dabbed = count, regions, dabbed

    def __len__(self) -> int:
        """Return the number of samples in an epoch."""
        return self.count

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        """Return sample `number` >= 0."""
        if number < 0:
            raise IndexError(f"drawn_regions: samples are numbered from 0, got {number}")
        draws = np.random.Generator(np.random.PCG64([self.seed, number]))
        color, line, labels = self.drawing(draws)
        sample = self.sample(color, draws, line)
        if self.dabbed and draws.random() < self.dabbed:
            sample["hint"] = dabs(color, (line[0] > 0.9) * (labels + 1), draws)
        return sample

    def preview(self, count: int) -> dict[str, Tensor]:
        """Return drawings that are not trained on, by stream [count, C, size, size]."""
        samples = [self[number] for number in range(_PREVIEW, _PREVIEW + count)]
        return {name: torch.stack([sample[name] for sample in samples]) for name in samples[0]}

    def drawing(self, draws: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Return colours [3, H, W], lines [1, H, W], both in [-1, 1], and the number of each pixel's region [H, W]."""
        axis = (np.arange(self.size) + 0.5) * (2 / self.size) - 1
        x, y = np.meshgrid(axis, axis)
        labels, inside = np.zeros((self.size, self.size), np.int64), np.full((self.size, self.size), np.inf)
        for number in range(1, self.regions + 1):
            (cx, cy), (a, b) = draws.uniform(-0.6, 0.6, 2), draws.uniform(0.35, 0.6, 2)
            distance = (np.hypot((x - cx) / a, (y - cy) / b) - 1) * min(a, b)
            labels[distance < 0] = number
            # Where a later ellipse covers an earlier one, the earlier outline is hidden.
            inside = np.where(distance < 0, -distance, np.minimum(inside, distance))
        colors = draws.uniform(-0.6, 1, (self.regions + 1, 3)).astype(np.float32)
        line = np.clip(inside * self.size / 2 - 0.25, 0, 1).astype(np.float32)
        image = torch.from_numpy(colors[labels]).permute(2, 0, 1)
        lines = torch.from_numpy(2 * line - 1)[None]
        return torch.minimum(image, lines), lines, torch.from_numpy(labels)
