"""The data set `degraded`: sharp images, and small ones that are made of them by random degradations."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge
from torch import Tensor
from torch.nn import functional as F

from i2i.core.contracts import Stream
from i2i.data.base import ImageDataset
from i2i.data.files import ImageFiles
from i2i.data.images import as_path, find_images
from i2i.data.pixels import to_tensor
from i2i.data.transforms import SampleTransform
from i2i.errors import OptionError
from i2i_upscale import degradation as degradations

_PREVIEW = 2**60
Degradation = Literal["bicubic", "real_esrgan"]


class Degraded(ImageDataset):
    """Pairs of a small, degraded image (`a`) and the sharp one that it was made of (`b`), which is also `sharpened`.

    Args:
        root: folder of sharp images, or one that holds `train` and `test`; drawn portraits when None.
        size: side of the sharp images in pixels, a multiple of `scale`.
        scale: how many times smaller the degraded ones are.
        degradation: `bicubic` reduction alone, or `real_esrgan`: the image is sharpened, and then twice blurred,
            resized, made noisy and compressed.
        count: number of samples of an epoch of drawn portraits.
        cache: MiB of memory for decoded images.
        seed: seed of order, crops and degradations, >= 0.

    Raises:
        OptionError: `scale` does not divide `size`.
        DataError: there is no image that can be read.
    """

    paired = True

    def __init__(
        self,
        root: Path | None = None,
        size: Annotated[int, Ge(16)] = 128,
        scale: Annotated[int, Ge(1)] = 4,
        degradation: Degradation = "real_esrgan",
        count: Annotated[int, Ge(1)] = 1000,
        cache: Annotated[int, Ge(0)] = 1024,
        seed: Annotated[int, Ge(0)] = 0,
    ) -> None:
        self.check(size, scale)
        self.size, self.scale, self.degradation, self.seed, self.count = size, scale, degradation, seed, count
        self.files: ImageFiles | None = None
        folder = as_path(root)
        if folder is None:
            from i2i.demo.portraits import Portraits

            self.drawn = Portraits(size=size, count=count, seed=seed)
            return
        self.transform = SampleTransform.of(size, size + size // 8, 0, True)
        parts = [folder / "train", folder / "test"] if (folder / "train").is_dir() else [folder, folder]
        train, test = parts if parts[1].is_dir() else parts[:1] * 2
        self.files = ImageFiles([(path,) for path in find_images(train)], str(train))
        self.train = self.files.resized(self.transform, cache * 2**20)
        self.test = ImageFiles([(path,) for path in find_images(test)], str(test))

    @classmethod
    def check(cls, size: int, scale: int) -> None:
        """Refuse sizes that the scale does not divide."""
        if size % scale:
            near = size // scale * scale
            raise OptionError("size", f"expected a multiple of the scale, {scale}, got {size}; try {near}")

    @classmethod
    def declare_streams(cls, options: Mapping[str, Any]) -> dict[str, Stream]:
        """Declare the small images `a`, the sharp images `b`, and these `sharpened`."""
        small, size = options["size"] // options["scale"], options["size"]
        streams = super().declare_streams(options) | {"a": Stream("image", 3, (small, small))}
        return streams | {"sharpened": Stream("image", 3, (size, size))}

    def __len__(self) -> int:
        """Return the number of samples in an epoch."""
        return len(self.files) if self.files is not None else self.count

    def __getitem__(self, number: int) -> dict[str, object]:
        """Return sample `number` >= 0; in place of a damaged file comes the next one of the epoch's order."""
        skipped: list[str] = []
        if self.files is None:
            sharp, random = self.drawn[number]["a"], Random(f"{self.seed} {number}")
        else:
            epoch, index, (image,) = self.train.draw(number, self.seed, "b", skipped)
            random = Random(f"{self.seed} {epoch} {index}")
            sharp = to_tensor(self.transform.cut(image, self.transform.draw(random)))
        assert isinstance(sharp, Tensor)
        truth = self.sharpened(sharp)
        return {"a": self.degrade(truth, random), "b": sharp, "sharpened": truth, "skipped": skipped}

    def preview(self, count: int) -> dict[str, Tensor]:
        """Return the first test images with fixed degradations."""
        if self.files is None:
            sharp = list(self.drawn.preview(count)["a"])
        else:
            readable = self.test.readable(range(min(count, len(self.test))), [])
            sharp = [to_tensor(self.transform.preview(image)) for _, (image,) in readable]
        draws = [Random(f"{self.seed} {_PREVIEW} {number}") for number in range(len(sharp))]
        small = [self.degrade(self.sharpened(image), draw) for image, draw in zip(sharp, draws, strict=True)]
        return {"a": torch.stack(small), "b": torch.stack(sharp)}

    def sharpened(self, sharp: Tensor) -> Tensor:
        """Return an image [3, H, W] in [-1, 1] as Real-ESRGAN sharpens it; as it is with `bicubic` reduction."""
        if self.degradation == "bicubic":
            return sharp
        return 2 * degradations.sharpened((sharp[None] + 1) / 2)[0] - 1

    def degrade(self, sharp: Tensor, random: Random) -> Tensor:
        """Return the small image of a sharp one, both [3, H, W] in [-1, 1]."""
        image = (sharp[None] + 1) / 2
        side = sharp.shape[1] // self.scale
        if self.degradation == "bicubic":
            small = F.interpolate(image, (side, side), mode="bicubic", antialias=True).clamp(0, 1)
        else:
            small = degradations.real_esrgan(image, side, random)
        return 2 * small[0] - 1
