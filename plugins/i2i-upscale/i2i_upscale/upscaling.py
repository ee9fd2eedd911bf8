"""Enlarge images with trained runs, official checkpoints, or any network that spandrel reads, in tiles."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from i2i.data.images import to_image
from i2i.errors import CheckpointError, I2IError
from i2i.nn.weight_files import load_weight_file
from i2i_upscale.ncnn import NcnnNetwork
from i2i_upscale.networks import SRVGG, RRDBNet
from i2i_upscale.packaged import located

Enlarge = Callable[[Tensor], Tensor]
"""From images [B, 3, H, W] in [0, 1] to [B, 3, scale·H, scale·W]."""


class Upscaler:
    """Enlarges images by a network.

    Args:
        weights: a run of `super_resolution`, a checkpoint of ESRGAN, Real-ESRGAN or its compact network, the `.param`
            file of a network of ncnn, PACKAGE/NETWORK for one that an installed package carries, or, with the package
            `spandrel`, a checkpoint of any architecture that it knows. None for bicubic interpolation.
        scale: factor of both sides; the network's own when None. Where they differ, the result is resized (Lanczos).
        tile: side of the windows of larger images in pixels of the input; 0 for none.
        overlap: pixels of the input that each window sees around its part of the result.
        device: such as `cuda:1`; the machine's accelerator when None.

    Raises:
        CheckpointError: the file is none of them.
    """

    def __init__(
        self,
        weights: Path | str | None = None,
        scale: float | None = None,
        tile: int = 256,
        overlap: int = 16,
        device: str | None = None,
    ) -> None:
        from i2i.use.loaded import default_device

        self.device = torch.device(device) if device else default_device()
        self.tile, self.overlap = tile, overlap
        self.network_scale, self.enlarge = (
            self._bicubic(scale or 2) if weights is None else self._load(located(weights))
        )
        self.scale = scale or self.network_scale

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return an enlarged image, [scale·H, scale·W, 3] of uint8 for [H, W, 3]."""
        image = torch.from_numpy(np.array(pixels)).permute(2, 0, 1)[None].float().div(255).to(self.device)
        with torch.inference_mode():
            result = self._tiled(image)
        enlarged = to_image(2 * result[0] - 1)
        height, width = (round(side * self.scale) for side in pixels.shape[:2])
        if enlarged.size != (width, height):
            enlarged = enlarged.resize((width, height), Image.Resampling.LANCZOS)
        return np.asarray(enlarged)

    def _tiled(self, image: Tensor) -> Tensor:
        height, width = image.shape[2:]
        if not self.tile or max(height, width) <= self.tile:
            return self._padded(image)
        scale = round(self.network_scale)
        if scale != self.network_scale:
            raise I2IError(f"tile: a scale of {self.network_scale:g} cannot be computed in windows; set it to 0")
        result = image.new_empty(1, image.shape[1], height * scale, width * scale)
        for top in range(0, height, self.tile):
            for left in range(0, width, self.tile):
                bottom, right = min(top + self.tile, height), min(left + self.tile, width)
                y, x = max(top - self.overlap, 0), max(left - self.overlap, 0)
                window = image[..., y : min(bottom + self.overlap, height), x : min(right + self.overlap, width)]
                part = self._padded(window)[..., (top - y) * scale :, (left - x) * scale :]
                result[..., top * scale : bottom * scale, left * scale : right * scale] = part[
                    ..., : (bottom - top) * scale, : (right - left) * scale
                ]
        return result

    def _padded(self, image: Tensor) -> Tensor:
        """Enlarge an image whose sides are padded to multiples of 4, as networks that fold pixels need."""
        height, width = image.shape[2:]
        padded = F.pad(image, (0, -width % 4, 0, -height % 4), mode="replicate")
        scale = self.network_scale
        return self.enlarge(padded)[..., : round(height * scale), : round(width * scale)]

    @staticmethod
    def _bicubic(scale: float) -> tuple[float, Enlarge]:
        return scale, lambda x: F.interpolate(x, scale_factor=scale, mode="bicubic").clamp(0, 1)

    def _load(self, path: Path) -> tuple[float, Enlarge]:
        if path.is_dir():
            from i2i.use.loaded import load

            generator: Any = load(path, self.device).translator.get_submodule("generator")
            if not hasattr(generator, "enlarge"):
                raise I2IError(f"{path}: expected a run of super_resolution, got one whose generator does not enlarge")
            return float(generator.scale), generator.enlarge
        if path.suffix == ".param":
            ncnn = NcnnNetwork(path).to(self.device).eval()
            return ncnn.scale, ncnn.enlarge
        state = load_weight_file(path)
        if isinstance(state, dict):
            state = next((state[key] for key in ("params_ema", "params") if key in state), state)
        network = recognize(state) if isinstance(state, dict) else None
        if network is not None:
            network.to(self.device).eval().requires_grad_(False)
            return float(network.scale), network.enlarge
        return self._spandrel(path)

    def _spandrel(self, path: Path) -> tuple[float, Enlarge]:
        try:
            from spandrel import ImageModelDescriptor, ModelLoader, UnsupportedModelError
        except ImportError as error:
            raise CheckpointError(
                f"{path}: expected weights of ESRGAN or of the compact Real-ESRGAN; for other networks: "
                f"pip install 'i2i-upscale[spandrel]'"
            ) from error
        try:
            model = ModelLoader(device=self.device).load_from_file(path)
        except (UnsupportedModelError, RuntimeError, ValueError, KeyError) as error:
            raise CheckpointError(f"{path}: no network that spandrel knows ({error})") from error
        if not isinstance(model, ImageModelDescriptor) or model.input_channels != 3:
            raise CheckpointError(f"{path}: expected a network from RGB images to RGB images")
        model.eval()
        return float(model.scale), model


def recognize(state: dict[str, Any]) -> RRDBNet | SRVGG | None:
    """Return the network of an official state dict, with its weights; None for other networks."""
    if "conv_first.weight" in state and "body.0.rdb1.conv1.weight" in state:
        first, growth = state["conv_first.weight"], len(state["body.0.rdb1.conv1.weight"])
        blocks = len({name.split(".")[1] for name in state if name.startswith("body.")})
        folds: dict[int, Any] = {3: 4, 12: 2, 48: 1}
        if first.shape[1] not in folds:
            return None
        rrdb = RRDBNet(folds[first.shape[1]], len(first), blocks, growth)
        rrdb.load_state_dict(state)
        return rrdb
    if "body.0.weight" in state and "conv_first.weight" not in state:
        numbers = sorted({int(name.split(".")[1]) for name in state if name.startswith("body.")})
        channels, last = len(state["body.0.weight"]), state[f"body.{numbers[-1]}.weight"]
        if last.ndim != 4 or last.shape[0] % 3 or round((last.shape[0] / 3) ** 0.5) ** 2 * 3 != last.shape[0]:
            return None
        layers = (numbers[-1] // 2) - 1
        activation: Any = "prelu" if "body.1.weight" in state else "leaky_relu"
        srvgg = SRVGG(round((last.shape[0] / 3) ** 0.5), channels, layers, activation)
        srvgg.load_state_dict(state)
        return srvgg
    return None
