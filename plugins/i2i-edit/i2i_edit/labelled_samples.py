"""A folder of images of one generator that a person labels, and the style vectors that they were made of.

`images/NAME.png`, `labels/NAME.png` in the colours of `classes.csv` (columns `name` and `color`), and
`latents.safetensors` with the style vectors [num_ws, w_dim] by NAME and the generator's hash.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from i2i.data.images import to_image
from i2i.data.writing import write_image, write_whole
from i2i.errors import DataError, I2IError
from i2i_edit.classifier_training import LabelledPixels, train_ensemble, without_small_classes
from i2i_edit.pixel_features import render
from i2i_edit.segmentation import Classes, Segmenter
from i2i_edit.vectors import generator_hash

LATENTS = "latents.safetensors"
CLASSES = "classes.csv"
OFFICIAL_SIDE = 512
"""Side of the images that the official smallest number of pixels of a class is meant for."""
OFFICIAL_MIN_PIXELS = 30


@torch.no_grad()
def write_samples(translator: Any, latents: Mapping[str, Tensor], classes: Classes, folder: Path) -> None:
    """Write images to label: `images`, the style vectors and the classes.

    Args:
        translator: of a run whose generator has styles.
        latents: style vectors [num_ws, w_dim] by the image's name.
        classes: that pixels may have.
        folder: for the files; images of the same names are replaced.
    """
    for name, ws in latents.items():
        image = translator.output_image(render(translator, ws[None]).image)
        write_image(to_image(image[0].float().cpu()), folder / "images" / f"{name}.png")
    tensors = {name: ws.cpu().contiguous() for name, ws in latents.items()}
    metadata = {"generator": generator_hash(translator.generator)}
    write_whole(folder / LATENTS, lambda temporary: save_file(tensors, temporary, metadata))
    write_classes(classes, folder / CLASSES)
    (folder / "labels").mkdir(exist_ok=True)


def write_classes(classes: Classes, path: Path) -> None:
    """Write classes as CSV with the columns `name` and `color`."""

    def write(temporary: Path) -> None:
        with temporary.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("name", "color"), *zip(classes.names, classes.hex_colors, strict=True)])

    write_whole(path, write)


def read_classes(path: Path) -> Classes:
    """Read classes from CSV.

    Raises:
        I2IError: the file is missing or has no such columns.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [(row["name"] or "", row["color"] or "") for row in csv.DictReader(file)]
    except (OSError, KeyError, UnicodeDecodeError, csv.Error) as error:
        raise I2IError(f"{path}: expected a table of classes with the columns name and color") from error
    return Classes.parse(rows, str(path))


def read_labels(translator: Any, folder: Path, tolerance: int = 0) -> tuple[Classes, dict[str, Tensor], Tensor]:
    """Read labelled samples.

    Args:
        translator: of the run that made the samples.
        folder: as `write_samples` left it, with label maps in `labels`.
        tolerance: largest difference of a channel from a class's colour.

    Returns:
        classes: of the pixels.
        latents: style vectors [num_ws, w_dim] of the labelled images by name.
        labels: class numbers [N, H, W] in the same order.

    Raises:
        I2IError: something is missing, or the samples are of another generator.
        DataError: a label map of another size, with an unknown colour, or a class that no label map has.
    """
    classes = read_classes(folder / CLASSES)
    try:
        with safe_open(folder / LATENTS, "pt") as file:
            expected = (file.metadata() or {}).get("generator", "")
            latents = {name: file.get_tensor(name) for name in sorted(file.keys())}
    except (SafetensorError, OSError) as error:
        raise I2IError(
            f"{folder / LATENTS}: expected the style vectors of samples; i2i dataset-gan samples writes them"
        ) from error
    if expected != (found := generator_hash(translator.generator)):
        raise I2IError(f"{folder}: these are samples of another generator, {expected[:12]}; this run's is {found[:12]}")
    files = {path.stem: path for path in sorted((folder / "labels").glob("*.png"))}
    if unknown := sorted(files.keys() - latents.keys()):
        raise I2IError(f"{files[unknown[0]]}: there is no sample {unknown[0]!r}; samples: {', '.join(latents)}")
    if len(files) < 2:
        raise I2IError(
            f"{folder / 'labels'}: expected label maps of at least 2 samples, named as in images, such as "
            f"{next(iter(latents))}.png; found {len(files)}"
        )
    kept = {name: ws for name, ws in latents.items() if name in files}
    size = render(translator, next(iter(kept.values()))[None].to(device_of(translator))).image.shape[2:]
    labels = torch.stack([classes.read(files[name], (size[0], size[1]), tolerance) for name in kept])
    present = set(labels.unique().tolist())
    if missing := [name for number, name in enumerate(classes.names) if number not in present]:
        raise DataError(
            f"{folder}: no label map has the class {', '.join(missing)}; label more samples, or remove it from "
            f"{CLASSES}"
        )
    return classes, kept, labels


def device_of(translator: Any) -> torch.device:
    """Return the device of a translator's networks."""
    device: torch.device = next(translator.parameters()).device
    return device


def train_segmenter(
    translator: Any,
    folder: Path,
    members: int = 10,
    memory: int = 2**30,
    seed: int = 0,
    min_pixels: int | None = None,
    tolerance: int = 0,
    progress: Any = lambda done: None,
    **options: int,
) -> Segmenter:
    """Train classifiers of pixels on labelled samples.

    Args:
        translator: of the run that made the samples.
        folder: of labelled samples.
        members: number of classifiers.
        memory: bytes for features.
        seed: of everything that is drawn.
        min_pixels: classes with fewer pixels in an image become the first class there. None for 30 of 512 · 512
            pixels, the official number, in proportion to the size.
        tolerance: largest difference of a channel from a class's colour.
        progress: called after each classifier with the number of finished ones.
        options: `max_epochs` and `patience` of `train_member`.
    """
    classes, latents, labels = read_labels(translator, folder, tolerance)
    if min_pixels is None:
        min_pixels = labels[0].numel() * OFFICIAL_MIN_PIXELS // OFFICIAL_SIDE**2
    labels = without_small_classes(labels, min_pixels)
    device = device_of(translator)

    def maker(ws: Tensor) -> Any:
        return lambda: render(translator, ws[None].to(device)).features

    pixels = LabelledPixels([maker(ws) for ws in latents.values()], labels, memory)
    ensemble = train_ensemble(pixels, len(classes.names), members, seed, progress, **options)
    return Segmenter(translator, ensemble, classes)
