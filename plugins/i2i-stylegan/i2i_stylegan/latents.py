"""Work in the space of styles of a trained run: mix, interpolate and breed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from i2i.core.bounds import finite
from i2i.errors import I2IError
from i2i_stylegan.mapping import truncate
from i2i_stylegan.style_translators import StyleGAN
from i2i_stylegan.translators import GAN

BATCH = 8
"""Images that are generated together."""
MEASURED = 64
"""Number of steps between two keys in which distances of images are measured for even animations."""


class Mixed(NamedTuple):
    """Result of `mix`: images in [-1, 1].

    Args:
        rows: unmixed images of the rows [R, C, H, W].
        columns: unmixed images of the columns [K, C, H, W].
        mixed: [R, K, C, H, W].
    """

    rows: Tensor
    columns: Tensor
    mixed: Tensor


def style_translator(loaded: Any) -> StyleGAN:
    """Return the translator of a run whose generator has styles.

    Raises:
        I2IError: it has none.
    """
    translator = loaded.translator
    if not isinstance(translator, StyleGAN):
        raise I2IError(f"this needs a generator with styles, such as StyleGAN2; {loaded.recipe.name} has none")
    return translator


def check_seeds(name: str, seeds: Sequence[int]) -> None:
    """Refuse an empty list of seeds, and negative ones."""
    if not seeds or any(seed < 0 for seed in seeds):
        raise I2IError(f"{name}: expected seeds, whole numbers from 0 on, got {list(seeds)}")


@torch.inference_mode()
def mix(
    loaded: Any,
    rows: Sequence[int],
    columns: Sequence[int],
    layers: Sequence[int],
    truncation: float = 1.0,
    classes: tuple[int, ...] | None = None,
) -> Mixed:
    """Mix styles: each row's image takes the style vectors of some layers from each column's image.

    Args:
        loaded: a run whose generator has styles.
        rows: seeds.
        columns: seeds.
        layers: numbers of the layers that come from the columns, 0 for the coarsest.
        truncation: distance from the average style that is kept.
        classes: numbers of the classes, in turn by seed.

    Raises:
        I2IError: the generator has no such layer.

    Source: Karras et al., StyleGAN, CVPR 2019, arXiv:1812.04948, figure 3.
    """
    translator = style_translator(loaded)
    check_seeds("rows", rows), check_seeds("columns", columns)
    count = translator.generator.num_ws
    if wrong := [layer for layer in layers if not 0 <= layer < count]:
        raise I2IError(f"layers: this generator has the layers 0 to {count - 1}, got {wrong[0]}")
    left, top = (translator.styles(seeds, classes, truncation) for seeds in (rows, columns))
    ws = left[:, None].repeat(1, len(columns), 1, 1)
    ws[:, :, list(layers)] = top[None, :, list(layers)].expand(len(rows), -1, -1, -1)
    mixed = images_of(translator, ws.flatten(0, 1))
    return Mixed(images_of(translator, left), images_of(translator, top), mixed.unflatten(0, (len(rows), len(columns))))


def interpolate(
    loaded: Any,
    seeds: Sequence[int],
    space: Literal["w", "z"] = "w",
    frames: int = 120,
    truncation: float = 1.0,
    classes: tuple[int, ...] | None = None,
    even: bool = False,
    grid: tuple[int, int] = (1, 1),
) -> Iterator[Tensor]:
    """Yield the frames [C, H, W] in [-1, 1] of a closed way through the images of seeds.

    Args:
        loaded: a run that generates images from noise; `w` needs a generator with styles.
        seeds: at least two for each cell of the grid, the first ones for the first cell.
        space: `w` for a closed cubic spline through the styles, `z` for great circles between latent codes.
        frames: number of frames from one seed to the next.
        truncation: distance from the average style that is kept.
        classes: numbers of the classes, in turn by seed; between two seeds classes change gradually.
        even: frames at equal distances, measured between images, in place of equal steps of the codes.
        grid: columns and rows of animations side by side.

    Raises:
        I2IError: too few seeds, or no such space.
    """
    check_seeds("seeds", seeds)
    finite("truncation", truncation)
    cells = grid[0] * grid[1]
    per_cell = len(seeds) // cells
    if per_cell < 2 or len(seeds) % cells:
        raise I2IError(
            f"seeds: expected at least two for each of the {cells} animations, equally many, got {len(seeds)}"
        )
    ways = [
        _way(loaded, seeds[cell * per_cell : (cell + 1) * per_cell], space, truncation, classes)
        for cell in range(cells)
    ]
    places = torch.arange(frames * per_cell, dtype=torch.float64) / frames
    schedules = [_even(loaded, way, per_cell, places) if even else places for way in ways]
    for index in range(len(places)):
        with torch.inference_mode():
            images = [way(schedule[index : index + 1]) for way, schedule in zip(ways, schedules, strict=True)]
            yield _side_by_side(torch.cat(images), grid[0])


def coarse_layers(loaded: Any) -> range:
    """Return the numbers of the layers of at most 8 px and a quarter of the image, which determine pose and shape.

    These are the layers 0 to 3 of images of 32 px and more, and 0 and 1 of smaller ones: an object in an image of 16 px
    is as large as a pixel of the layers of 4 px, so that its colour is a matter of those of 8 px.
    """
    # Each size from 4 px on has two layers.
    return range(min(4, max(2, style_translator(loaded).generator.num_ws - 4)))


@torch.inference_mode()
def breed(
    loaded: Any,
    parents: Mapping[int, float],
    layers: Mapping[int, Mapping[int, float]] | None = None,
    mutation: float = 0.0,
    count: int = 1,
    seed: int = 0,
    truncation: float = 1.0,
    classes: tuple[int, ...] | None = None,
) -> Tensor:
    """Return children [count, C, H, W] in [-1, 1]: weighted means of the styles of several seeds, with random changes.

    Args:
        loaded: a run whose generator has styles.
        parents: weights by seed, at least one above 0; they are divided by their sum.
        layers: other weights for some layers, by their numbers.
        mutation: standard deviation of random changes, as a multiple of that of all styles.
        count: number of children.
        seed: of the changes.
        truncation: distance from the average style that is kept.
        classes: numbers of the classes, in turn by seed.

    Raises:
        I2IError: weights that are not valid, or a layer that the generator has not.
    """
    translator = style_translator(loaded)
    number = translator.generator.num_ws
    finite("mutation", mutation)
    for layer in layers or {}:
        if not 0 <= layer < number:
            raise I2IError(f"layers: this generator has the layers 0 to {number - 1}, got {layer}")

    def mean(weights: Mapping[int, float]) -> Tensor:
        check_seeds("parents", list(weights))
        total = sum(finite("weight", weight) for weight in weights.values())
        if total <= 0 or min(weights.values()) < 0:
            raise I2IError(f"parents: expected weights from 0 on with a sum above 0, got {dict(weights)}")
        styles = translator.styles(list(weights), classes, truncation)
        shares = styles.new_tensor(list(weights.values())) / total
        return (styles * shares[:, None, None]).sum(0)

    ws = mean(parents)
    for layer, weights in (layers or {}).items():
        ws[layer] = mean(weights)[layer]
    return images_of(translator, mutated(translator, ws, mutation, count, seed, truncation))


@torch.inference_mode()
def mutated(
    translator: StyleGAN, ws: Tensor, mutation: float, count: int, seed: int, truncation: float = 1.0
) -> Tensor:
    """Return copies [count, L, w_dim] of style vectors [L, w_dim] with random changes, the same in all layers.

    Args:
        translator: gives the spread of all styles.
        ws: style vectors.
        mutation: standard deviation of the changes, as a multiple of that of all styles.
        count: number of copies.
        seed: of the changes.
        truncation: of the styles whose spread counts.
    """
    ws = ws.expand(count, -1, -1).clone()
    if mutation:
        spread = translator.styles(range(256), None, truncation).std(0)  # of each layer: their styles may differ
        draws = torch.Generator().manual_seed(seed)
        noise = torch.randn(count, ws.shape[2], generator=draws, dtype=torch.float64).to(ws)
        ws += mutation * spread * noise[:, None]
    return ws


@torch.inference_mode()
def images_of(translator: StyleGAN, ws: Tensor) -> Tensor:
    """Return images [B, C, H, W] for style vectors [B, L, w_dim], float32, on the CPU."""
    return torch.cat([translator.synthesize(part).float().cpu() for part in ws.split(BATCH)])


def slerp(first: Tensor, second: Tensor, share: Tensor) -> Tensor:
    """Interpolate between directions [N] along a great circle, and between their lengths linearly.

    Args:
        first: at share 0.
        second: at share 1.
        share: [B].

    Returns:
        [B, N].
    """
    lengths = first.norm(), second.norm()
    a, b = first / lengths[0], second / lengths[1]
    angle = torch.arccos((a @ b).clamp(-1, 1))
    share = share[:, None].to(first)
    if float(angle) < 1e-6:
        return (1 - share) * first + share * second
    direction = (torch.sin((1 - share) * angle) * a + torch.sin(share * angle) * b) / torch.sin(angle)
    return direction * ((1 - share) * lengths[0] + share * lengths[1])


class _Way:
    """A closed way through codes: a function of the place, which is k at the k-th code."""

    def __init__(self, translator: Any, space: str, codes: Tensor, classes: Tensor | None, truncation: float) -> None:
        self.translator, self.space, self.codes, self.classes = translator, space, codes, classes
        self.truncation = truncation

    def __call__(self, places: Tensor) -> Tensor:
        """Return images [B, C, H, W] on the CPU."""
        count = len(self.codes)
        if self.space == "w":
            return images_of(self.translator, closed_spline(self.codes, places))
        start = places.floor().long() % count
        share = places - places.floor()
        z = torch.cat(
            [slerp(self.codes[k], self.codes[(k + 1) % count], s[None]) for k, s in zip(start, share, strict=True)]
        )
        c = None
        if self.classes is not None:
            weight = share[:, None].to(self.classes)
            c = (1 - weight) * self.classes[start] + weight * self.classes[(start + 1) % count]
        if isinstance(self.translator, StyleGAN):
            ws = self.translator.generator.mapping(z, c)
            ws = truncate(ws, self.translator.generator.mapping.w_avg, self.truncation)
            return images_of(self.translator, ws)
        image: Tensor = self.translator.generate(z, c).float().cpu()
        return image


def closed_spline(keys: Tensor, places: Tensor, wraps: int | None = None) -> Tensor:
    """Interpolate keys [K, ...] by the closed cubic spline that passes them at 0, 1, ...: [B, ...].

    The second derivatives m solve m[k-1] + 4 m[k] + m[k+1] = 6 (y[k-1] - 2 y[k] + y[k+1]), as a cycle by default.

    Args:
        keys: any shape after the first axis.
        places: [B].
        wraps: None for a spline that closes exactly; otherwise the keys are repeated so often on both sides of an open
            spline, at whose second and last but one key the third derivative is continuous. NVlabs/stylegan3's
            `gen_video.py` has 2, which differs in the fifth digit.
    """
    flat = keys.flatten(1).double().cpu()
    if wraps is not None:
        places = places + wraps * len(keys)
        flat = flat.repeat(2 * wraps + 1, 1)
    count = len(flat)
    eye = torch.eye(count, dtype=torch.float64)
    around = eye.roll(1, 0) + eye.roll(-1, 0)
    system, bends = around + 4 * eye, 6 * (around - 2 * eye) @ flat
    if wraps is not None:
        system[0], system[-1] = eye[0] - 2 * eye[1] + eye[2], eye[-1] - 2 * eye[-2] + eye[-3]
        bends[0] = bends[-1] = 0
    curvature = torch.linalg.solve(system, bends)
    start = places.floor().long() % count
    end = (start + 1) % count
    t = (places - places.floor())[:, None]
    s = 1 - t
    value = s * flat[start] + t * flat[end]
    value = value + ((s**3 - s) * curvature[start] + (t**3 - t) * curvature[end]) / 6
    return value.unflatten(1, keys.shape[1:]).to(keys)


@torch.inference_mode()
def _way(loaded: Any, seeds: Sequence[int], space: str, truncation: float, classes: tuple[int, ...] | None) -> _Way:
    if space == "w":
        translator = style_translator(loaded)
        return _Way(translator, space, translator.styles(seeds, classes, truncation), None, truncation)
    if space != "z":
        raise I2IError(f"space: expected w or z, got {space!r}")
    if not isinstance(loaded.translator, GAN):
        raise I2IError("this run generates no images from noise")
    if truncation != 1 and not isinstance(loaded.translator, StyleGAN):
        raise I2IError("truncation: this generator has no average style")
    codes, one_hot = loaded.translator.latents(seeds, classes)
    return _Way(loaded.translator, space, codes, one_hot, truncation)


def _even(loaded: Any, way: _Way, count: int, places: Tensor) -> Tensor:
    """Return places at equal distances of the images, measured between neighbouring images on the way."""
    fine = torch.arange(count * MEASURED + 1, dtype=torch.float64) / MEASURED
    with torch.inference_mode():
        images = torch.cat([way(part) for part in fine.split(BATCH)])
    steps = (images[1:] - images[:-1]).square().mean((1, 2, 3)).sqrt().double()
    travelled = torch.cat([torch.zeros(1, dtype=torch.float64), steps.cumsum(0)])
    wanted = places / count * travelled[-1]
    return torch.from_numpy(np.interp(wanted.numpy(), travelled.numpy(), fine.numpy()))


def _side_by_side(images: Tensor, columns: int) -> Tensor:
    count, channels, height, width = images.shape
    rows = count // columns
    return (
        images.view(rows, columns, channels, height, width)
        .permute(2, 0, 3, 1, 4)
        .reshape(channels, rows * height, columns * width)
    )
