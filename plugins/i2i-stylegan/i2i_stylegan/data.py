"""Data of one domain: a folder of images, with classes if wanted, or the domains of another data set as classes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import islice
from random import Random
from typing import Annotated, Any

import torch
from annotated_types import Ge
from torch import Tensor

from i2i.core.bounds import Positive
from i2i.core.contracts import Dataset, Stream
from i2i.core.factory import Factory
from i2i.core.kinds import DATASET
from i2i.core.signature import declared_values
from i2i.data.base import ImageDataset
from i2i.data.files import ImageFiles, read_as
from i2i.data.images import as_path, find_images
from i2i.data.locations import Location, check_folder
from i2i.data.pixels import PixelFormat, size_of, to_tensor
from i2i.data.sampler import epoch_order
from i2i.data.transforms import Resample, SampleTransform
from i2i.errors import DataError, OptionError


class ImageFolder(ImageDataset):
    """Images of a folder, subfolders included, as the stream `image`; with `classes`, also their `label`.

    Images are resized and cropped to squares. Each epoch shows all of them in a new order.

    Args:
        root: the folder.
        classes: names of the subfolders whose images are the classes, in the order of their numbers; none for images
            without classes.
        size: height and width of the images in pixels.
        flip: whether half of the images are mirrored left to right.
        resample: Pillow's filter for resizing.
        cache: MiB of memory for resized images; 0 for none.
        seed: of order and flips, >= 0.
        channels: of the images: 3 for RGB, 1 for grey; files of these two are converted to each other.

    Raises:
        DataError: the folder, or that of a class, is missing or holds no image.
    """

    domains = ("image",)

    def __init__(
        self,
        root: Location,
        classes: tuple[str, ...] = (),
        size: Annotated[int, Ge(8)] = 256,
        flip: bool = True,
        resample: Resample = "lanczos",
        cache: Annotated[int, Ge(0)] = 1024,
        seed: int = 0,
        channels: Positive = 3,
    ) -> None:
        self.classes, self.size, self.flip, self.resample, self.seed = classes, size, flip, resample, seed
        self.channels = channels
        folder = as_path(root)
        assert folder is not None
        check_folder(folder)
        folders = [folder / name for name in classes] or [folder]
        for one in folders:
            check_folder(one)
        found = [find_images(one) for one in folders]
        self.folder, self.files = folder, [file for files in found for file in files]
        self.labels = [label for label, files in enumerate(found) for _ in files]
        read = partial(read_as, PixelFormat(channels))
        everything = ImageFiles([(file,) for files in found for file in files], str(folder), read)
        self.test = everything
        self.transform = SampleTransform.of(size, resize="short_side", flip=flip, resample=resample)
        self.train = everything.resized(self.transform, cache * 2**20)

    @classmethod
    def declare_streams(cls, options: Mapping[str, Any]) -> dict[str, Stream]:
        """Return the stream `image`, and `label` where there are classes."""
        streams = {"image": Stream("image", options["channels"], (options["size"], options["size"]))}
        return streams | ({"label": Stream("label", len(options["classes"]))} if options["classes"] else {})

    def __len__(self) -> int:
        """Number of images: the samples of one epoch."""
        return len(self.train)

    def __getitem__(self, number: int) -> dict[str, object]:
        """Sample `number` >= 0: `image` [channels, size, size] in [-1, 1], and `label` where there are classes."""
        skipped: list[str] = []
        epoch, index, (decoded,) = self.train.draw(number, self.seed, "image", skipped)
        draws = Random(f"{self.seed} image {epoch} {index}")
        cut = self.transform.cut(decoded, self.transform.draw(draws, size_of(decoded)))
        sample: dict[str, object] = {"image": to_tensor(cut), "skipped": skipped}
        return sample | self._labelled(index)

    def _labelled(self, index: int) -> dict[str, Tensor]:
        """What is known of an image next to its pixels."""
        return {"label": torch.tensor(self.labels[index])} if self.classes else {}

    def preview(self, count: int) -> dict[str, Tensor]:
        """Return the first images [n, channels, size, size]."""
        readable = islice(self.test.readable(range(len(self.test)), []), count)
        return {"image": torch.stack([to_tensor(self.transform.preview(image)) for _, (image,) in readable])}


class OneDomain:
    """Images of another data set's domains as one domain: the stream `image`, and `label`, the number of the domain.

    Args:
        data: factory of the data set, such as `{ type = "shapes", size = 32 }`.
        of: its domains that are taken, in the order of their numbers; all of them when empty. One has no label.
        cache: whether the samples of the first epoch are kept in memory and shown in a new order in each further one,
            for data that is slow to draw.
        seed: of the data set and of the order, >= 0.

    Example:
        >>> from i2i.core.kinds import DATASET
        >>> data = OneDomain(DATASET("shapes", size=16))
        >>> data[0]["image"].shape, data[1]["label"]
        (torch.Size([3, 16, 16]), tensor(1))
    """

    domains = ("image",)

    def __init__(
        self,
        data: Factory[Dataset] = DATASET("portraits"),  # noqa: B008  # a factory, which builds nothing yet
        of: tuple[str, ...] = (),
        cache: bool = False,
        seed: int = 0,
    ) -> None:
        self.data = data(seed=seed)
        self.seed = seed
        self.kept: dict[int, dict[str, Any]] | None = {} if cache else None
        self.of = of or tuple(self.data.domains)
        if unknown := [name for name in self.of if name not in self.data.domains]:
            raise OptionError("of", f"no domain {unknown[0]!r}; there are {', '.join(self.data.domains)}")

    @classmethod
    def declare_streams(cls, options: Mapping[str, Any]) -> dict[str, Stream]:
        """Return the stream `image`, and `label` where several domains are taken."""
        data = options["data"]
        component = data.component
        streams = component.declare_streams(declared_values(component, data.options))
        images = [name for name, stream in streams.items() if stream.role == "image"]
        of = options["of"] or tuple(images)
        if not of or of[0] not in streams:
            raise OptionError("of", f"no domain {of[0]!r}; there are {', '.join(images)}" if of else "no images")
        return {"image": streams[of[0]]} | ({"label": Stream("label", len(of))} if len(of) > 1 else {})

    @property
    def streams(self) -> Mapping[str, Stream]:
        """Specification of each stream of a sample."""
        image = self.data.streams[self.of[0]]
        return {"image": image} | ({"label": Stream("label", len(self.of))} if len(self.of) > 1 else {})

    def __len__(self) -> int:
        """Samples of one epoch."""
        return len(self.data) * len(self.of)

    def __getitem__(self, number: int) -> dict[str, Any]:
        """Sample `number` >= 0: the domains in turn, or those of the first epoch in a new order with `cache`."""
        if self.kept is None:
            return self._sample(number)
        epoch, place = divmod(number, len(self))
        chosen = int(epoch_order(self.seed, "image", epoch, len(self))[place])
        if chosen not in self.kept:
            self.kept[chosen] = self._sample(chosen)
        return dict(self.kept[chosen])

    def _sample(self, number: int) -> dict[str, Any]:
        inner, label = divmod(number, len(self.of))
        sample = self.data[inner]
        taken = {"image": sample[self.of[label]], "skipped": list(sample.get("skipped", []))}
        return taken | ({"label": torch.tensor(label)} if len(self.of) > 1 else {})

    def preview(self, count: int) -> dict[str, Tensor]:
        """Return at most `count` held-out images of the domains in turn."""
        previews = self.data.preview(count)
        images = [image for group in zip(*(previews[name] for name in self.of), strict=False) for image in group]
        if not images:
            raise DataError("the data set has no images to preview")
        return {"image": torch.stack(images[:count])}
