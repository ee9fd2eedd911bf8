"""Reduce flicker between the frames of a translated clip."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from i2i.errors import OptionError

WINDOW = 9


class FlickerReduction:
    """Mix each translated frame with the frame before where the input has not changed.

    A translator sees single frames, so small changes of the input, such as noise, can change the translation of regions
    that stand still. With input x_t, translation y_t and result z_t,

        z_t = (1 - w_t) y_t + w_t z_(t-1),   w_t = strength * exp(-(d_t / threshold)^2),

    where d_t is |x_t - x_(t-1)| as a mean over channels and windows of 9 x 9 pixels. Where the input moves, w_t is
    about 0, so that moving edges leave no trail; with an infinite threshold it is a plain moving average, which does.

    Args:
        strength: largest share of the frame before, in [0, 1).
        threshold: change of the input, in units of images in [-1, 1], at which the share has fallen to 37 %.

    Raises:
        OptionError: an option is out of its range.
    """

    def __init__(self, strength: float, threshold: float = 0.1) -> None:
        if not 0 <= strength < 1:
            raise OptionError("strength", f"expected a number >= 0 and < 1, got {strength}")
        if not threshold > 0:
            raise OptionError("threshold", f"expected a number > 0, got {threshold}")
        self.strength, self.threshold = strength, threshold
        self.previous: tuple[Tensor, Tensor] | None = None
        """The last input and the last result, each [3, H, W]; None before the first frame."""

    def __call__(self, source: Tensor, translated: Tensor) -> Tensor:
        """Return the result for the next frame.

        Args:
            source: input frame [3, H, W] in [-1, 1].
            translated: its translation [3, H, W] in [-1, 1].
        """
        result = translated
        if self.strength and self.previous is not None and self.previous[0].shape == source.shape:
            change = (source - self.previous[0]).abs().mean(dim=0, keepdim=True)
            change = F.avg_pool2d(change[None], WINDOW, 1, WINDOW // 2, count_include_pad=False)
            if change.shape[2:] != translated.shape[1:]:
                change = F.interpolate(change, translated.shape[1:], mode="bilinear", align_corners=False)
            weight = self.strength * torch.exp(-((change[0] / self.threshold) ** 2))
            result = (1 - weight) * translated + weight * self.previous[1]
        self.previous = source, result
        return result
