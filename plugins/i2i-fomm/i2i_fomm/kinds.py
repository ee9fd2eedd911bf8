"""The three kinds of networks of motion transfer, which recipes and other plugins can replace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import i2i

if TYPE_CHECKING:
    from torch import Tensor

    from i2i_fomm.geometry import Keypoints


class KeypointDetector(Protocol):
    """Finds the keypoints of images [B, C, H, W] in [0, 1]."""

    def __call__(self, image: Tensor) -> Keypoints: ...


class MotionGenerator(Protocol):
    """Moves source images [B, C, H, W] in [0, 1] to driving keypoints; see `i2i_fomm.networks.Animated`."""

    def __call__(self, source: Tensor, driving_points: Keypoints, source_points: Keypoints) -> Any: ...


class MotionDiscriminator(Protocol):
    """Gives features of each layer and logits, by scale, of images by scale; `scales` names those it needs."""

    scales: tuple[float, ...]

    def __call__(self, images: dict[float, Tensor], points: Keypoints | None = None) -> dict[float, list[Tensor]]: ...


KEYPOINT_DETECTOR: i2i.Kind[KeypointDetector] = i2i.Kind(
    "keypoint_detector", KeypointDetector, offered=("keypoints",), suggested=("in_channels",)
)
MOTION_GENERATOR: i2i.Kind[MotionGenerator] = i2i.Kind(
    "motion_generator", MotionGenerator, offered=("keypoints",), suggested=("in_channels",)
)
MOTION_DISCRIMINATOR: i2i.Kind[MotionDiscriminator] = i2i.Kind(
    "motion_discriminator", MotionDiscriminator, offered=("keypoints",), suggested=("in_channels",)
)
