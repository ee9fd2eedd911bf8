"""Features of a generator at the pixels of its image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from i2i_edit.style_space import styles_of, synthesize

Upsampling = Literal["bilinear", "nearest"]


class Rendered(NamedTuple):
    """An image and the features that it was made of.

    Args:
        image: [B, C, H, W], about [-1, 1], not clamped, so that gradients flow everywhere.
        features: [B, c, h, w] each, two of each resolution from the smallest on.
    """

    image: Tensor
    features: list[Tensor]


def render(translator: Any, ws: Tensor, noise: Any = "const", styles: Mapping[str, Tensor] | None = None) -> Rendered:
    """Generate images together with the features of all layers.

    Args:
        translator: that of a run whose generator has styles.
        ws: style vectors [B, num_ws, w_dim].
        noise: a mode or maps, as the generator's synthesis network takes them.
        styles: added to the styles of single layers, by their names; see `i2i_edit.style_space`.
    """
    features: list[Tensor] = []
    synthesis = translator.generator.synthesis
    if styles:
        found = styles_of(synthesis, ws)
        added = {name: value + styles[name].to(value) for name, value in found.items() if name in styles}
        image = synthesize(synthesis, {**found, **added}, noise, features)
    else:
        image = synthesis(ws, noise, features=features)
    return Rendered(translator.full_size(image), features)


def upsampled(features: Sequence[Tensor], size: tuple[int, int], mode: Upsampling = "bilinear") -> Tensor:
    """Resize all features to one size and concatenate them, from the coarsest on: [B, sum of c, H, W].

    This is a tensor of gigabytes for large generators; `features_at` gives the same numbers for some pixels.

    Args:
        features: [B, c, h, w] each.
        size: H and W.
        mode: DatasetGAN upsamples bilinearly, the optimization of EditGAN to the nearest pixel.
    """
    align = {"align_corners": False} if mode == "bilinear" else {}
    return torch.cat([F.interpolate(one, size, mode=mode, **align) for one in features], 1)


def features_at(
    features: Sequence[Tensor], size: tuple[int, int], pixels: Tensor, mode: Upsampling = "bilinear"
) -> Tensor:
    """Return the rows of `upsampled` for some pixels of one image: [n, sum of c].

    Args:
        features: [1, c, h, w] each.
        size: H and W of the image.
        pixels: [n], row · W + column.
        mode: see `upsampled`.
    """
    height, width = size
    row, column = pixels // width, pixels % width
    found = []
    for one in features:
        h, w = one.shape[2:]
        if mode == "nearest":
            found.append(one[0][:, row * h // height, column * w // width].t())
            continue
        # With a clamped border, sampling at the centres of pixels is what bilinear interpolation computes.
        wide = torch.promote_types(one.dtype, torch.float32)
        x, y = ((2 * place + 1).to(wide) / side - 1 for place, side in ((column, width), (row, height)))
        grid = torch.stack([x, y], 1).to(one)[None, None]
        sampled = F.grid_sample(one, grid, mode="bilinear", padding_mode="border", align_corners=False)
        found.append(sampled[0, :, 0].t())
    return torch.cat(found, 1)
