"""Pad images to sizes that networks take, and crop what they give."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from i2i.core.contracts import GeneratorOutput
from i2i.errors import ShapeError


def reflect_to(batch: Tensor, height: int, width: int) -> Tensor:
    """Pad images [B, C, H, W] at the right and bottom by reflection, repeated where one reflection is not enough.

    Raises:
        ShapeError: a side of one pixel, which has nothing to reflect.
    """
    rows, columns = batch.shape[2:]
    if (rows == 1 < height) or (columns == 1 < width):
        raise ShapeError(f"expected sides of at least 2 pixels, got {columns} x {rows}")
    while (rows, columns) != (height, width):
        bottom, right = min(height - rows, rows - 1), min(width - columns, columns - 1)
        batch = F.pad(batch, (0, right, 0, bottom), mode="reflect")
        rows, columns = batch.shape[2:]
    return batch


def cropped(output: GeneratorOutput, height: int, width: int) -> GeneratorOutput:
    """Crop the padding from an output; a heat map has a resolution of its own."""
    padded = output.image.shape[2:]
    if padded == (height, width):
        return output
    heatmap = output.heatmap
    if heatmap is not None:
        rows, columns = -(-heatmap.shape[2] * height // padded[0]), -(-heatmap.shape[3] * width // padded[1])
        heatmap = heatmap[..., :rows, :columns]
    return output._replace(image=output.image[..., :height, :width], heatmap=heatmap)
