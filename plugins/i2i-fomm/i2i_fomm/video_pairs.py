"""The data set `video_pairs`: two frames of one clip."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor

import i2i
from i2i.core.contracts import Augmentation
from i2i.data.augmentation import augment_batch
from i2i.data.base import ImageDataset
from i2i.data.decoding import UnreadableImage, open_limited
from i2i.data.images import SUFFIXES, as_path, find_images
from i2i.data.pixels import PixelFormat
from i2i.data.sampler import epoch_order
from i2i.data.transforms import eval_transform
from i2i.errors import DataError

Frame = tuple[Path, int]
"""A file, and the number of the frame in it."""


class VideoPairs(ImageDataset):
    """Pairs of frames of clips: a folder with a subfolder of frames, or an animated GIF, WebP or PNG, for each clip.

    Both frames of a pair are drawn from one clip with replacement and put in their order in time. Half of the pairs are
    then reversed in time, and half of the others are mirrored left to right.

    Args:
        root: folder of training clips, or one that holds `train` and `test`.
        size: side in pixels to which frames are resized.
        repeats: how often each clip is visited in an epoch.
        augment: further augmentation of both frames alike; the reference's is `kornia.augmentation.ColorJiggle` with
            0.1 for each of brightness, contrast, saturation and hue.
        seed: of order and augmentation, >= 0.

    Raises:
        DataError: the folder holds no clip of at least two frames.

    Source: AliaksandrSiarohin/first-order-model c027484, frames_dataset.py.
    """

    domains = ("source", "driving")

    def __init__(
        self,
        root: Path | None = None,
        size: Annotated[int, Ge(16)] = 256,
        repeats: Annotated[int, Ge(1)] = 1,
        augment: tuple[i2i.Factory[Augmentation], ...] = (),
        seed: Annotated[int, Ge(0)] = 0,
    ) -> None:
        folder = as_path(root)
        if folder is None:
            raise DataError("data.root: expected a folder with a subfolder of frames for each clip, got nothing")
        self.size, self.repeats, self.seed = size, repeats, seed
        self.augment = [build() for build in augment]
        train = folder / "train" if (folder / "train").is_dir() else folder
        self.clips = find_clips(train)
        self.test = find_clips(folder / "test") if (folder / "test").is_dir() else self.clips

    def __len__(self) -> int:
        """Return the number of pairs in an epoch."""
        return len(self.clips) * self.repeats

    def __getitem__(self, number: int) -> dict[str, object]:
        """Return pair `number` >= 0: "source" and "driving", each [3, size, size] in [-1, 1].

        In place of a clip with a damaged frame comes the next one of the epoch's order; "skipped" has a line for each.
        """
        epoch, start = divmod(number, len(self))
        order = [int(index) for index in epoch_order(self.seed, "clips", epoch, len(self))]
        skipped: list[str] = []
        for index in order[start:] + order[:start]:
            draws = random.Random(f"{self.seed} {epoch} {index}")
            clip = self.clips[index % len(self.clips)]
            first, second = sorted(int(draws.random() * len(clip)) for _ in range(2))
            reverse, mirror = draws.random() < 0.5, draws.random() < 0.5
            try:
                frames = torch.stack(
                    [self._frame(clip[second if reverse else first]), self._frame(clip[first if reverse else second])]
                )
            except UnreadableImage as error:
                skipped.append(str(error))
                continue
            frames = frames.flip(-1) if mirror and not reverse else frames
            if self.augment:
                frames = augment_batch(frames, self.augment, torch.full((2,), draws.getrandbits(63)))
            return {"source": frames[0], "driving": frames[1], "skipped": skipped}
        raise DataError(f"no clip can be read: {'; '.join(skipped[:3])}")

    def preview(self, count: int) -> dict[str, Tensor]:
        """Return the first and the middle frame of the first test clips, [n, 3, size, size] in [-1, 1]."""
        clips = self.test[:count]
        frames = {"source": [clip[0] for clip in clips], "driving": [clip[len(clip) // 2] for clip in clips]}
        return {domain: torch.stack([self._frame(frame) for frame in chosen]) for domain, chosen in frames.items()}

    def _frame(self, frame: Frame) -> Tensor:
        path, number = frame
        return eval_transform(PixelFormat(page=number or None).read(path), self.size)


def find_clips(folder: Path) -> list[Sequence[Frame]]:
    """Return the frames of each clip: of a subfolder's images in their order, or of an animated file.

    Raises:
        DataError: there is no clip of at least two frames.
    """
    if not folder.is_dir():
        raise DataError(f"data.root: there is no folder {folder}")
    clips: list[Sequence[Frame]] = []
    for entry in sorted(folder.iterdir()):
        if entry.is_dir() and not entry.name.startswith("."):
            clips.append([(path, 0) for path in find_images(entry)])
        elif entry.suffix.lower() in SUFFIXES:
            clips.append([(entry, number) for number in range(_frame_count(entry))])
    clips = [clip for clip in clips if len(clip) > 1]
    if not clips:
        raise DataError(
            f"data.root: {folder} holds no clip; expected a subfolder of at least two frames for each clip, or "
            f"animated GIF, WebP or PNG files"
        )
    return clips


def _frame_count(path: Path) -> int:
    try:
        with path.open("rb") as stream, open_limited(stream) as image:
            return int(getattr(image, "n_frames", 1))
    except OSError:
        return 0
