"""Animate a source image by the frames of a driving clip."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from i2i.data.images import to_image
from i2i.data.transforms import eval_transform
from i2i.errors import I2IError
from i2i_fomm.geometry import Keypoints, normalized_motion
from i2i_fomm.translator import FirstOrderMotion, to_unit

if TYPE_CHECKING:
    from i2i.use.loaded import Loaded

Pixels = NDArray[np.uint8]


class Animator:
    """Moves one source image as driving frames move.

    Args:
        loaded: a run of `first_order_motion` or `adversarial_motion`.
        source: image to animate; resized to the size that the run was trained with.
        relative: whether the source moves as each frame against the first one; otherwise its keypoints are put where
            the frame's are, which fits only if both objects are alike.
        adapt_scale: with `relative`, whether movements are scaled by the ratio of the sizes of both objects.

    Raises:
        I2IError: the run is one of another method.
    """

    def __init__(self, loaded: Loaded, source: Image.Image, relative: bool = True, adapt_scale: bool = False) -> None:
        if not isinstance(loaded.translator, FirstOrderMotion):
            raise I2IError(f"animate: expected a run of the First Order Motion Model, got {loaded.recipe.name}")
        self.translator, self.relative, self.adapt_scale = loaded.translator, relative, adapt_scale
        self.size = loaded.recipe.image_size or (256, 256)
        parameter = next(self.translator.parameters())
        self.device, self.dtype = parameter.device, parameter.dtype
        with torch.inference_mode():
            self.source = self._image(source)
            self.source_points = self.translator.keypoints(self.source)

    def points(self, frame: Pixels) -> Keypoints:
        """Return the keypoints of a driving frame, [H, W, 3]."""
        with torch.inference_mode():
            return self.translator.keypoints(self._image(Image.fromarray(frame)))

    def frames(self, driving: Iterable[Pixels]) -> Iterator[Pixels]:
        """Yield the animated source for each driving frame, [H, W, 3]; the first frame is the reference of motion."""
        initial: Keypoints | None = None
        for frame in driving:
            points = self.points(frame)
            initial = initial or points
            yield self._animated(points, initial)

    def best_start(self, driving: Iterable[Pixels]) -> int:
        """Return the number of the driving frame whose keypoints are arranged most like the source's.

        Both arrangements are centred, and scaled by the extent of their keypoints.
        """
        source = _arrangement(self.source_points)
        distances = [float((_arrangement(self.points(frame)) - source).square().sum()) for frame in driving]
        if not distances:
            raise I2IError("the driving clip has no frame")
        return min(range(len(distances)), key=distances.__getitem__)

    def frames_around(self, driving: list[Pixels], start: int) -> Iterator[Pixels]:
        """Yield the animated source for all frames in order, with frame `start` as the reference of motion."""
        initial = self.points(driving[start])
        for frame in driving:
            yield self._animated(self.points(frame), initial)

    def _animated(self, points: Keypoints, initial: Keypoints) -> Pixels:
        with torch.inference_mode():
            target = normalized_motion(
                self.source_points, points, initial, self.relative, self.relative, self.adapt_scale
            )
            image = self.translator.generator(self.source, target, self.source_points).image[0]
        return np.asarray(to_image(2 * image - 1))

    def _image(self, image: Image.Image) -> Tensor:
        return to_unit(eval_transform(image.convert("RGB"), self.size)[None]).to(self.device, self.dtype)


def _arrangement(points: Keypoints) -> Tensor:
    centred = points.value[0] - points.value[0].mean(0)
    extent = centred.amax(0) - centred.amin(0)
    return centred / extent.prod().sqrt().clamp_min(1e-6)
