"""StyleSpace of a StyleGAN2: the styles of single layers, read from style vectors and changed before synthesis."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from i2i_stylegan.layers import activate, modulated_conv, scale_and_clamp
from i2i_stylegan.resampling import upsample
from torch import Tensor

from i2i.errors import I2IError


class Layer(NamedTuple):
    """A layer with styles.

    Args:
        name: such as `b8.conv0`.
        module: the layer.
        index: number of the style vector that it takes.
    """

    name: str
    module: Any
    index: int

    @property
    def is_rgb(self) -> bool:
        """Whether it is a conversion to RGB, whose styles are not edited."""
        return self.name.endswith("torgb")


def layers(synthesis: Any) -> list[Layer]:
    """Return the layers of a StyleGAN2's synthesis network in the order in which they take style vectors.

    Raises:
        I2IError: it is another network.
    """
    if not hasattr(synthesis, "blocks") or any(block.architecture != "skip" for block in synthesis.blocks):
        raise I2IError("styles of single layers need a StyleGAN2 with the architecture skip")
    return list(_layers(synthesis))


def _layers(synthesis: Any) -> Iterator[Layer]:
    index = 0
    for resolution, block in zip(synthesis.resolutions, synthesis.blocks, strict=True):
        for name in ("conv0", "conv1"):
            if hasattr(block, name):
                yield Layer(f"b{resolution}.{name}", getattr(block, name), index)
                index += 1
        yield Layer(f"b{resolution}.torgb", block.torgb, index)


def styles_of(synthesis: Any, ws: Tensor) -> dict[str, Tensor]:
    """Return the styles [B, C] of each layer for style vectors [B, num_ws, w_dim], without ToRGB's factor."""
    return {layer.name: layer.module.affine(ws[:, layer.index]) for layer in layers(synthesis)}


def synthesize(
    synthesis: Any,
    styles: Mapping[str, Tensor],
    noise: str | list[Tensor] = "const",
    features: list[Tensor] | None = None,
) -> Tensor:
    """Return images [B, C, H, W] for the styles [B, C] of each layer; equal to synthesis for unchanged ones.

    Args:
        synthesis: a StyleGAN2's synthesis network.
        styles: of all layers, as `styles_of` returns them.
        noise: `const`, `none`, or one map for each layer with noise.
        features: a list that gets the features of all layers, as that of the synthesis network.
    """
    maps = iter([] if isinstance(noise, str) else noise)
    image: Tensor | None = None
    x = synthesis.blocks[0].const.expand(len(next(iter(styles.values()))), -1, -1, -1)
    kept = [x]
    for layer in layers(synthesis):
        module, style = layer.module, styles[layer.name]
        if layer.is_rgb:
            rgb = modulated_conv(x, module.weight, style * module.scale, demodulate=False)
            rgb = scale_and_clamp(rgb + module.bias[:, None, None], 1.0, module.clamp)
            image = rgb if image is None else upsample(image, module_filter(synthesis)) + rgb
            continue
        added = None
        if module.use_noise and noise != "none":
            added = (module.noise_const if noise == "const" else next(maps)) * module.noise_strength
        x = modulated_conv(x, module.weight, style, added, module.resample_filter, module.up, padding=1, eps=module.eps)
        x = activate(x + module.bias[:, None, None], 1.0, module.clamp)
        if features is not None:
            kept.append(x)
    if features is not None:
        features += kept
    assert image is not None
    return image


def module_filter(synthesis: Any) -> Tensor:
    """Return the filter with which images of lower resolutions are doubled."""
    resample_filter: Tensor = synthesis.blocks[-1].resample_filter
    return resample_filter


def deviation_of(styles: Tensor) -> Tensor:
    """Return the standard deviation [C] of each channel of styles [N, C], that of the whole population."""
    return styles.std(0, unbiased=False)
