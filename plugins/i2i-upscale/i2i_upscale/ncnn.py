"""Networks in the format of ncnn: a text file of layers (`.param`) and a file of weights (`.bin`), run by torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.errors import CheckpointError

_MAGIC = "7767517"
_HALF, _FLOAT = 0x01306B47, 0
_REFERENCE = -233
_LARGEST = 2**26
"""Numbers of one weight; more than any layer of an image network has."""


@dataclass(frozen=True)
class Layer:
    """One line of a `.param` file.

    Args:
        kind: type of the layer, such as Convolution.
        name: its name in the file.
        inputs: names of the tensors that it reads.
        outputs: names of those that it writes.
        numbers: its options by number.
        lists: its options that are lists.
    """

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    numbers: dict[int, float]
    lists: dict[int, list[float]] = field(default_factory=dict)

    def count(self, option: int, default: int = 0) -> int:
        """Return an option that is a whole number."""
        return int(self.numbers.get(option, default))


class NcnnNetwork(nn.Module):
    """A network of ncnn for images.

    Layers that upscaling networks have are known: convolutions, transposed convolutions, activations, resizing, pixel
    shuffle, sums, products, concatenation, cropping, global pooling and dense layers.

    Args:
        param: the text file; the weights lie next to it in the file with the suffix `.bin`.

    Attributes:
        scale: factor of both sides.
        margin: pixels of the input around an image that the network needs and that its result leaves out.

    Raises:
        CheckpointError: a file is missing, damaged, or has a layer that is not known.
    """

    def __init__(self, param: Path) -> None:
        super().__init__()
        self.path = param
        self.layers = read_layers(param)
        weights = _Weights(param.with_suffix(".bin"))
        for layer in self.layers:
            for part, value in _weights_of(layer, weights).items():
                self.register_buffer(f"{_safe(layer.name)}_{part}", value)
        weights.check_end()
        self.scale, self.margin = self._measure()

    def forward(self, image: Tensor) -> Tensor:
        """Return the result for images [B, 3, H, W] in [0, 1]."""
        known: dict[str, Tensor] = {}
        for layer in self.layers:
            if layer.kind == "Input":
                known[layer.outputs[0]] = image
                continue
            results = self._compute(layer, [known[name] for name in layer.inputs])
            for name in layer.outputs:
                known[name] = results
        return known[self.layers[-1].outputs[0]]

    def enlarge(self, image: Tensor) -> Tensor:
        """Return images [B, 3, scale·H, scale·W] for images [B, 3, H, W], whose border is replicated."""
        pad = (self.margin,) * 4
        return self(F.pad(image, pad, mode="replicate") if self.margin else image)

    def _measure(self) -> tuple[float, int]:
        """Return scale and margin from the sizes of two results."""
        metas = {name: value.to("meta") for name, value in self.state_dict().items()}
        sides = []
        for side in (200, 240):
            image = torch.empty(1, 3, side, side, device="meta")
            try:
                sides.append(int(torch.func.functional_call(self, metas, (image,)).shape[-1]))
            except (RuntimeError, ValueError, IndexError, KeyError) as error:
                raise CheckpointError(f"{self.path}: its layers do not fit each other ({error})") from error
        scale = (sides[1] - sides[0]) / 40
        margin = (scale * 200 - sides[0]) / (2 * scale) if scale > 0 else -1.0
        if margin < 0 or margin != int(margin):
            raise CheckpointError(f"{self.path}: expected a network that enlarges images")
        return scale, int(margin)

    def _compute(self, layer: Layer, inputs: list[Tensor]) -> Tensor:
        stored = {
            part: getattr(self, f"{_safe(layer.name)}_{part}")
            for part in ("weight", "bias", "slope")
            if hasattr(self, f"{_safe(layer.name)}_{part}")
        }
        return _LAYERS[layer.kind](layer, inputs, stored)


def read_layers(path: Path) -> list[Layer]:
    """Read a `.param` file.

    Raises:
        CheckpointError: it is none, or has a layer that is not known.
    """
    try:
        lines = path.read_text(encoding="ascii").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path}: cannot be read as a text file of ncnn ({error})") from error
    if lines[0].strip() != _MAGIC:
        raise CheckpointError(f"{path}: expected a text file of ncnn, whose first line is {_MAGIC}")
    layers: list[Layer] = []
    written: set[str] = set()
    for number, line in enumerate(lines[2:], 3):
        words = line.split()
        if not words:
            continue
        try:
            kind, name, reads, writes = words[0], words[1], int(words[2]), int(words[3])
            names, rest = words[4 : 4 + reads + writes], words[4 + reads + writes :]
            options = [(int(key), value) for key, value in (word.split("=") for word in rest)]
            lists = {-key - 23300: [float(x) for x in value.split(",")[1:]] for key, value in options if key < -100}
            numbers = {key: float(value) for key, value in options if key >= -100}
        except (ValueError, IndexError) as error:
            raise CheckpointError(f"{path}, line {number}: expected a layer of ncnn, got {line[:60]!r}") from error
        layer = Layer(kind, name, tuple(names[:reads]), tuple(names[reads:]), numbers, lists)
        if kind not in _LAYERS and kind != "Input":
            raise CheckpointError(f"{path}, line {number}: the layer {kind} is not known")
        if missing := [one for one in layer.inputs if one not in written]:
            raise CheckpointError(f"{path}, line {number}: no layer before writes {missing[0]!r}")
        written.update(layer.outputs)
        layers.append(layer)
    if not layers or not layers[-1].outputs:
        raise CheckpointError(f"{path}: it has no layers")
    return layers


class _Weights:
    """Reads a `.bin` file from its start to its end."""

    def __init__(self, path: Path) -> None:
        self.path, self._at = path, 0
        try:
            self._bytes = path.read_bytes()
        except OSError as error:
            raise CheckpointError(f"{path}: cannot be read ({error.strerror})") from error

    def tagged(self, count: int) -> Tensor:
        """Return numbers that begin with a tag of their type."""
        tag = int(self._take(1, np.dtype("<u4"))[0])
        if tag == _HALF:
            values = self._take(count, np.dtype("<f2"))
            self._at += -2 * count % 4
        elif tag == _FLOAT:
            values = self._take(count, np.dtype("<f4"))
        else:
            raise CheckpointError(f"{self.path}: weights of 16 or 32 bits are known, got the tag {tag:#010x}")
        return torch.from_numpy(values.astype(np.float32))

    def plain(self, count: int) -> Tensor:
        """Return numbers of 32 bits."""
        return torch.from_numpy(self._take(count, np.dtype("<f4")).astype(np.float32))

    def check_end(self) -> None:
        """Refuse a file with more weights than the layers have."""
        if self._at != len(self._bytes):
            extra = len(self._bytes) - self._at
            raise CheckpointError(f"{self.path}: {extra} bytes are left over; it belongs to another .param file")

    def _take(self, count: int, dtype: np.dtype[np.generic]) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
        end = self._at + count * dtype.itemsize
        if not 0 <= count <= _LARGEST or end > len(self._bytes):
            raise CheckpointError(f"{self.path}: expected at least {end} bytes, got {len(self._bytes)}")
        values = np.frombuffer(self._bytes, dtype, count, self._at)
        self._at = end
        return values


def _weights_of(layer: Layer, file: _Weights) -> dict[str, Tensor]:
    if layer.kind == "PReLU":
        return {"slope": file.plain(layer.count(0))}
    if layer.kind not in ("Convolution", "Deconvolution", "InnerProduct"):
        return {}
    out_channels, dense = layer.count(0), layer.kind == "InnerProduct"
    size = layer.count(2 if dense else 6)
    width, height = (1, 1) if dense else (layer.count(1), layer.count(11, layer.count(1)))
    if out_channels < 1 or size < 1 or width * height < 1 or size % (out_channels * width * height):
        raise CheckpointError(f"{file.path}: the sizes of layer {layer.name} do not fit each other")
    weight = file.tagged(size).view(out_channels, -1, height, width)
    weight = weight.flatten(1) if dense else weight.transpose(0, 1) if layer.kind == "Deconvolution" else weight
    parts = {"weight": weight.contiguous()}
    if layer.count(1 if dense else 5):
        parts["bias"] = file.plain(out_channels)
    return parts


def _safe(name: str) -> str:
    """Return a name without dots, which torch's modules do not take."""
    return "layer_" + name.replace(".", "_")


def _activated(layer: Layer, x: Tensor) -> Tensor:
    kind, options = layer.count(9), layer.lists.get(10, [])
    if kind == 0:
        return x
    if kind == 1:
        return F.relu(x)
    if kind == 2 and options:
        return F.leaky_relu(x, options[0])
    if kind == 3 and len(options) == 2:
        return x.clamp(*options)
    if kind == 4:
        return torch.sigmoid(x)
    raise CheckpointError(f"layer {layer.name}: the activation {kind} is not known")


def _convolution(layer: Layer, inputs: list[Tensor], stored: dict[str, Tensor]) -> Tensor:
    stride, dilation, padding = layer.count(3, 1), layer.count(2, 1), layer.count(4)
    return _activated(layer, F.conv2d(inputs[0], stored["weight"], stored.get("bias"), stride, padding, dilation))


def _deconvolution(layer: Layer, inputs: list[Tensor], stored: dict[str, Tensor]) -> Tensor:
    stride, padding = layer.count(3, 1), layer.count(4)
    return _activated(layer, F.conv_transpose2d(inputs[0], stored["weight"], stored.get("bias"), stride, padding))


def _dense(layer: Layer, inputs: list[Tensor], stored: dict[str, Tensor]) -> Tensor:
    return _activated(layer, F.linear(inputs[0].flatten(1), stored["weight"], stored.get("bias")))


def _interpolate(layer: Layer, inputs: list[Tensor], stored: dict[str, Tensor]) -> Tensor:
    mode = {1: "nearest", 2: "bilinear", 3: "bicubic"}.get(layer.count(0))
    if mode is None or layer.count(6):
        raise CheckpointError(f"layer {layer.name}: this resizing is not known")
    factors = (layer.numbers.get(1, 1.0), layer.numbers.get(2, 1.0))
    options = {} if mode == "nearest" else {"align_corners": False}
    return F.interpolate(inputs[0], scale_factor=factors, mode=mode, **options)  # type: ignore[arg-type]


def _sum(layer: Layer, inputs: list[Tensor], stored: dict[str, Tensor]) -> Tensor:
    operation, factors = layer.count(0), layer.lists.get(1, [1.0, 1.0])
    if operation == 0:
        return inputs[0] * inputs[1]
    if operation == 1 and len(factors) == len(inputs) == 2:
        return factors[0] * inputs[0] + factors[1] * inputs[1]
    raise CheckpointError(f"layer {layer.name}: this operation on tensors is not known")


def _binary(layer: Layer, inputs: list[Tensor], stored: dict[str, Tensor]) -> Tensor:
    operation = {0: torch.add, 1: torch.sub, 2: torch.mul}.get(layer.count(0))
    if operation is None:
        raise CheckpointError(f"layer {layer.name}: this operation on tensors is not known")
    return operation(inputs[0], layer.numbers.get(2, 0.0) if layer.count(1) else inputs[1])


def _crop(layer: Layer, inputs: list[Tensor], stored: dict[str, Tensor]) -> Tensor:
    left, top = layer.count(0), layer.count(1)
    height, width = inputs[1].shape[2:]
    return inputs[0][..., top : top + height, left : left + width]


def _scale(layer: Layer, inputs: list[Tensor], stored: dict[str, Tensor]) -> Tensor:
    if layer.count(0) != _REFERENCE:
        raise CheckpointError(f"layer {layer.name}: a scale without a second input is not known")
    return inputs[0] * inputs[1][:, :, None, None]


def _pool(layer: Layer, inputs: list[Tensor], stored: dict[str, Tensor]) -> Tensor:
    if layer.count(0) != 1 or not layer.count(4):
        raise CheckpointError(f"layer {layer.name}: a pooling other than the mean of the image is not known")
    return inputs[0].mean((2, 3))


_LAYERS: dict[str, Callable[[Layer, list[Tensor], dict[str, Tensor]], Tensor]] = {
    "Convolution": _convolution,
    "Deconvolution": _deconvolution,
    "InnerProduct": _dense,
    "Interp": _interpolate,
    "Eltwise": _sum,
    "BinaryOp": _binary,
    "Crop": _crop,
    "Scale": _scale,
    "Pooling": _pool,
    "Split": lambda layer, inputs, stored: inputs[0],
    "Concat": lambda layer, inputs, stored: torch.cat(inputs, 1),
    "PReLU": lambda layer, inputs, stored: F.prelu(inputs[0], stored["slope"]),
    "PixelShuffle": lambda layer, inputs, stored: F.pixel_shuffle(inputs[0], layer.count(0, 1)),
}
