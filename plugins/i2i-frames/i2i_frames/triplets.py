"""The data set `frame_triplets`: three frames of a clip, of which the middle one is to be found."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Annotated, Any

import torch
from annotated_types import Ge
from torch import Tensor

from i2i.core.contracts import Stream
from i2i.data.base import ImageDataset
from i2i.data.files import ImageFiles
from i2i.data.images import as_path, find_images
from i2i.data.pixels import size_of, to_tensor
from i2i.data.transforms import ResizeMode, SampleTransform
from i2i.errors import DataError


class FrameTriplets(ImageDataset):
    """Three frames `first`, `between` and `last` of clips, and the `time` of the middle one.

    Every folder of at least `gap + 1` images is a clip, its frames in the order of their names; Vimeo-90K's triplets
    are clips of three. Both outer frames lie `gap` frames apart; the one between is drawn.

    Args:
        root: folder that holds the clips' folders at any depth, or `train` and `test` with them.
        size: side of the crops in pixels.
        resize: `none` crops at the frames' own resolution; the others are those of the data set `paired`.
        gap: distance of the outer frames; 2 gives the time 1/2 alone.
        augment: whether samples are mirrored, turned by quarter turns, reversed in time, and their colour channels
            reversed, as in RIFE.
        cache: MiB of memory for decoded frames.
        seed: seed of order and augmentation, >= 0.

    Raises:
        DataError: there is no clip.

    Source: hzwer/ECCV2022-RIFE 5d8adbd, dataset.py.
    """

    domains = ("first", "last", "between")

    def __init__(
        self,
        root: Path | None = None,
        size: Annotated[int, Ge(16)] = 224,
        resize: ResizeMode = "none",
        gap: Annotated[int, Ge(2)] = 2,
        augment: bool = True,
        cache: Annotated[int, Ge(0)] = 0,
        seed: Annotated[int, Ge(0)] = 0,
    ) -> None:
        folder = as_path(root)
        if folder is None:
            raise DataError("data.root: expected a folder with a subfolder of frames for each clip, got nothing")
        self.size, self.resize, self.gap, self.augment, self.seed = size, resize, gap, augment, seed
        self.transform = SampleTransform.of(size, size, 0, resize, augment)
        train = folder / "train" if (folder / "train").is_dir() else folder
        test = folder / "test" if (folder / "test").is_dir() else train
        self.train = ImageFiles(windows(train, gap), str(train)).resized(self.transform, cache * 2**20)
        self.test = ImageFiles(windows(test, gap), str(test))

    @classmethod
    def declare_streams(cls, options: Mapping[str, Any]) -> dict[str, Stream]:
        """Declare the frames, and `time` as a plane in [0, 1]."""
        return super().declare_streams(options) | {"time": Stream("image", 1, (options["size"],) * 2, (0.0, 1.0))}

    def __len__(self) -> int:
        """Return the number of samples in an epoch."""
        return len(self.train)

    def __getitem__(self, number: int) -> dict[str, object]:
        """Return sample `number` >= 0; in place of a damaged frame's clip comes the next one of the epoch's order."""
        skipped: list[str] = []
        epoch, index, images = self.train.draw(number, self.seed, "clips", skipped)
        random = Random(f"{self.seed} {epoch} {index}")
        chosen = [0, random.randint(1, self.gap - 1), self.gap]
        draw = self.transform.draw(random, size_of(images[0]))
        frames = torch.stack([to_tensor(self.transform.cut(images[k], draw)) for k in chosen])
        time = chosen[1] / self.gap
        if self.augment:
            frames = frames.rot90(random.randrange(4), (2, 3))
            frames = frames.flip(2) if random.random() < 0.5 else frames
            frames = frames.flip(1) if random.random() < 0.5 else frames  # red and blue
            if random.random() < 0.5:
                frames, time = frames.flip(0), 1 - time
        return self._sample(frames, time) | {"skipped": skipped}

    def preview(self, count: int) -> dict[str, Tensor]:
        """Return the first test samples, with the frame nearest to the middle, by stream."""
        middle = self.gap // 2
        samples = []
        for _, images in self.test.readable(range(min(count, len(self.test))), []):
            frames = [to_tensor(self.transform.preview(images[k])) for k in (0, middle, self.gap)]
            samples.append(self._sample(torch.stack(frames), middle / self.gap))
        return {name: torch.stack([sample[name] for sample in samples]) for name in samples[0]}

    def _sample(self, frames: Tensor, time: float) -> dict[str, Tensor]:
        plane = torch.full((1, self.size, self.size), time)
        return {"first": frames[0], "between": frames[1], "last": frames[2], "time": plane}


def windows(root: Path, gap: int) -> list[tuple[Path, ...]]:
    """Return all runs of `gap + 1` successive frames of the clips in a folder.

    Raises:
        DataError: there is none.
    """
    if not root.is_dir():
        raise DataError(f"data.root: there is no folder {root}")
    clips: dict[Path, list[Path]] = {}
    for path in find_images(root):
        clips.setdefault(path.parent, []).append(path)
    found = [tuple(frames[start : start + gap + 1]) for frames in clips.values() for start in range(len(frames) - gap)]
    if not found:
        raise DataError(f"data.root: {root} holds no folder of at least {gap + 1} frames")
    return found
