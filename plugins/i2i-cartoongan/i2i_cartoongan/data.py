"""Data sets with a third stream: the cartoons of domain b with their edges smoothed away."""

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
    """Streams of a data set, and `smooth` with the specification of b."""
    return streams | {"smooth": streams["b"]}


class SmoothFolders(Folders):
    """`folders` with a third stream, `smooth`: each sample's image of b, its edges smoothed.

    It is made from the very sample, after crop and flip, at the size that the networks see; so it needs no files of its
    own, follows every augmentation, and depends on the sample's number alone.
    """

    @classmethod
    def declare_streams(cls, options: Mapping[str, Any]) -> dict[str, Stream]:
        """The images, and the smoothed one."""
        return add_smooth(super().declare_streams(options))

    def __getitem__(self, number: int) -> dict[str, object]:
        return with_smooth(super().__getitem__(number))

    def device_transform(self, batch: dict[str, Tensor], seeds: Tensor) -> dict[str, Tensor]:
        """Augments a batch, and smooths the edges of what came of it."""
        made = super().device_transform(batch, seeds)
        smooth = torch.stack([smooth_edges(image) for image in made["b"].cpu()])
        return made | {"smooth": smooth.to(made["b"].device)}


class SmoothPortraits(Portraits):
    """`portraits` with a third stream, `smooth`: each sample's drawing, its edges smoothed."""

    @classmethod
    def declare_streams(cls, options: Mapping[str, Any]) -> dict[str, Stream]:
        """The images, and the smoothed one."""
        return add_smooth(super().declare_streams(options))

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        return with_smooth(super().__getitem__(number))


class SmoothShapes(Shapes):
    """`shapes` with a third stream, `smooth`: each sample's object of b, its edges smoothed."""

    @classmethod
    def declare_streams(cls, options: Mapping[str, Any]) -> dict[str, Stream]:
        """The images, and the smoothed one."""
        return add_smooth(super().declare_streams(options))

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        return with_smooth(super().__getitem__(number))


def with_smooth(sample: dict[str, Any]) -> dict[str, Any]:
    """A sample and, as `smooth`, its image of b with smoothed edges."""
    return sample | {"smooth": smooth_edges(sample["b"])}
