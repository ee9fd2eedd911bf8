"""The data set `degraded`: sharp images, and small ones that are made of them by random degradations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Annotated, Any, Literal

import numpy as np
import torch
from annotated_types import Ge
from kornia.filters import gaussian_blur2d, unsharp_mask
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from i2i.core.contracts import Stream
from i2i.data.base import ImageDataset
from i2i.data.files import ImageFiles
from i2i.data.images import as_path, find_images
from i2i.data.pixels import to_tensor
from i2i.data.transforms import SampleTransform
from i2i.errors import OptionError

_PREVIEW = 2**60
Degradation = Literal["bicubic", "real_esrgan"]


class Degraded(ImageDataset):
    """Pairs of a small, degraded image (`a`) and the sharp one that it was made of (`b`).

    Args:
        root: folder of sharp images, or one that holds `train` and `test`; drawn portraits when None.
        size: side of the sharp images in pixels, a multiple of `scale`.
        scale: how many times smaller the degraded ones are.
        degradation: `bicubic` reduction alone, or the blurs, noises, sizes and JPEG artefacts of `real_esrgan`.
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
        """Declare the small images `a` and the sharp images `b`."""
        small = options["size"] // options["scale"]
        return super().declare_streams(options) | {"a": Stream("image", 3, (small, small))}

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
        return {"a": self.degrade(sharp, random), "b": sharp, "skipped": skipped}

    def preview(self, count: int) -> dict[str, Tensor]:
        """Return the first test images with fixed degradations."""
        if self.files is None:
            sharp = list(self.drawn.preview(count)["a"])
        else:
            readable = self.test.readable(range(min(count, len(self.test))), [])
            sharp = [to_tensor(self.transform.preview(image)) for _, (image,) in readable]
        small = [self.degrade(image, Random(f"{self.seed} {_PREVIEW} {n}")) for n, image in enumerate(sharp)]
        return {"a": torch.stack(small), "b": torch.stack(sharp)}

    def degrade(self, sharp: Tensor, random: Random) -> Tensor:
        """Return the small image of a sharp one, both [3, H, W] in [-1, 1]."""
        image = (sharp[None] + 1) / 2
        side = sharp.shape[1] // self.scale
        if self.degradation == "bicubic":
            small = F.interpolate(image, (side, side), mode="bicubic", antialias=True).clamp(0, 1)
        else:
            small = real_esrgan(image, side, random)
        return 2 * small[0] - 1


def real_esrgan(image: Tensor, side: int, random: Random) -> Tensor:
    """Return a degraded image: twice blur, resizing, noise and JPEG, after sharpening.

    The order and the ranges are Real-ESRGAN's; blurs are isotropic Gaussians, where the paper also draws anisotropic,
    generalized and sinc kernels.

    Args:
        image: [1, 3, H, W] in [0, 1].
        side: height and width of the result in pixels.
        random: generator of all numbers.

    Source: Wang et al., Real-ESRGAN, arXiv:2107.10833, section 3; xinntao/Real-ESRGAN a4abfb2.
    """
    first, target = image.shape[-1], side
    image = unsharp_mask(image, (5, 5), (1.5, 1.5)).clamp(0, 1)
    image = _blur(image, random.uniform(0.2, 3.0))
    image = _resize(image, first, random, up=0.2, down=0.7, smallest=0.15, largest=1.5)
    image = _noise(image, random, sigma=(1, 30), shot=(0.05, 3.0))
    image = _jpeg(image, random.randint(30, 95))
    if random.random() < 0.8:
        image = _blur(image, random.uniform(0.2, 1.5))
    image = _resize(image, target, random, up=0.3, down=0.4, smallest=0.3, largest=1.2)
    image = _noise(image, random, sigma=(1, 25), shot=(0.05, 2.5))
    last: list[Callable[[Tensor], Tensor]] = [
        lambda x: F.interpolate(x, (target, target), mode="bicubic", antialias=True).clamp(0, 1),
        lambda x: _jpeg(x, random.randint(30, 95)),
    ]
    for step in last if random.random() < 0.5 else reversed(last):
        image = step(image)
    return image


def _blur(image: Tensor, sigma: float) -> Tensor:
    kernel = 2 * max(1, round(3 * sigma)) + 1
    kernel = min(kernel, 2 * ((min(image.shape[-2:]) - 1) // 2) + 1)
    return gaussian_blur2d(image, (kernel, kernel), (sigma, sigma))


def _resize(
    image: Tensor, base: int, random: Random, up: float, down: float, smallest: float, largest: float
) -> Tensor:
    kind = random.random()
    factor = random.uniform(1, largest) if kind < up else random.uniform(smallest, 1) if kind < up + down else 1.0
    side = max(4, round(base * factor))
    mode = random.choice(("area", "bilinear", "bicubic"))
    options: dict[str, Any] = {} if mode == "area" else {"antialias": True}
    return F.interpolate(image, (side, side), mode=mode, **options).clamp(0, 1)


def _noise(image: Tensor, random: Random, sigma: tuple[float, float], shot: tuple[float, float]) -> Tensor:
    generator = torch.Generator().manual_seed(random.getrandbits(48))
    gray = random.random() < 0.4
    shape = (1, 1 if gray else 3, *image.shape[2:])
    if random.random() < 0.5:
        noise = torch.randn(shape, generator=generator) * random.uniform(*sigma) / 255
    else:
        levels = (image.mean(1, keepdim=True) if gray else image) * 255
        noise = (torch.poisson(levels, generator=generator) - levels) / 255 * random.uniform(*shot)
    return (image + noise).clamp(0, 1)


def _jpeg(image: Tensor, quality: int) -> Tensor:
    pixels = (image[0] * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    decoded = np.array(Image.open(buffer), dtype=np.float32) / 255
    return torch.from_numpy(decoded).permute(2, 0, 1)[None]
