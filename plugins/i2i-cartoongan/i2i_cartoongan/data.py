"""Data sets with a third stream `smooth`: the images of b with smoothed edges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from i2i.core.contracts import Stream
from i2i.data.folders import Folders
from i2i.demo.portraits import Portraits
from i2i.demo.shapes import Shapes
from i2i_cartoongan.edges import smooth_edges


def add_smooth(streams: dict[str, Stream]) -> dict[str, Stream]:
    """Add the stream `smooth` with the specification of b."""
    return streams | {"smooth": streams["b"]}


class SmoothFolders(Folders):
    """`folders` with a third stream `smooth`: the sample's image of b with smoothed edges.

    It is computed from the sample after crop, flip and augmentation, at the size of the networks, so it needs no files
    and depends on the sample's number only.
    """

    @classmethod
    def declare_streams(cls, options: Mapping[str, Any]) -> dict[str, Stream]:
        """Declare the images and the smoothed image."""
        return add_smooth(super().declare_streams(options))

    def __getitem__(self, number: int) -> dict[str, object]:
        return with_smooth(super().__getitem__(number))

    def device_transform(self, batch: dict[str, Tensor], seeds: Tensor) -> dict[str, Tensor]:
        """Augment a batch, and smooth the edges of the augmented images of b."""
        augmented = super().device_transform(batch, seeds)
        smooth = torch.stack([smooth_edges(image) for image in augmented["b"].cpu()])
        return augmented | {"smooth": smooth.to(augmented["b"].device)}


class SmoothPortraits(Portraits):
    """`portraits` with a third stream `smooth`: the sample's image of b with smoothed edges."""

    @classmethod
    def declare_streams(cls, options: Mapping[str, Any]) -> dict[str, Stream]:
        """Declare the images and the smoothed image."""
        return add_smooth(super().declare_streams(options))

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        return with_smooth(super().__getitem__(number))


class SmoothShapes(Shapes):
    """`shapes` with a third stream `smooth`: the sample's image of b with smoothed edges."""

    @classmethod
    def declare_streams(cls, options: Mapping[str, Any]) -> dict[str, Stream]:
        """Declare the images and the smoothed image."""
        return add_smooth(super().declare_streams(options))

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        return with_smooth(super().__getitem__(number))


def with_smooth(sample: dict[str, Any]) -> dict[str, Any]:
    """Add the sample's image of b with smoothed edges as `smooth`."""
    return sample | {"smooth": smooth_edges(sample["b"])}
