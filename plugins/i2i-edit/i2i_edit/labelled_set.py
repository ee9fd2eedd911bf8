"""A set of generated images with label maps, which recipes for label maps train on."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch

from i2i.data.images import to_image
from i2i.data.writing import write_image, write_whole
from i2i.errors import I2IError
from i2i_edit.labelled_samples import CLASSES, write_classes
from i2i_edit.pixel_features import render
from i2i_edit.segmentation import Classes, Segmenter

RECIPE = "train.toml"
OFFICIAL_MARGIN, OFFICIAL_SIDE = 30, 256
"""pix2pix resizes images of 256 px to 286 px before the random crop."""


@torch.no_grad()
def write_labelled_set(
    segmenter: Segmenter,
    seeds: Iterable[int],
    folder: Path,
    discard: float = 0.1,
    truncation: float = 1.0,
    progress: Callable[[int], Any] = lambda done: None,
) -> int:
    """Generate and segment images, and keep those of which the classifiers are most certain.

    The folder appears when it is complete: `images`, `labels`, `classes.csv`, `uncertainty.csv` of all images, and
    `train.toml`, a recipe that trains on them.

    Args:
        segmenter: of the run.
        seeds: of the images, in any number; memory does not grow with it.
        folder: for the files; it must not exist.
        discard: share of the images, the most uncertain ones, that is left out; DatasetGAN uses 0.1.
        truncation: distance from the average style that is kept.
        progress: called after each image with the number of finished ones.

    Returns:
        count: of kept images.

    Raises:
        I2IError: the folder exists, or no image would be kept.

    Source: Zhang et al., DatasetGAN, CVPR 2021, arXiv:2104.06490, section 3.2.
    """
    seeds = list(seeds)
    kept_count = len(seeds) - int(len(seeds) * discard)
    if kept_count < 1:
        raise I2IError(f"discard: expected a share that leaves an image of {len(seeds)}, got {discard}")
    if folder.exists():
        raise I2IError(f"{folder}: expected a folder that does not exist yet; remove it or choose another name")
    unfinished = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    scores: dict[int, float] = {}
    translator, size = segmenter.translator, (0, 0)
    try:
        for number, seed in enumerate(seeds, 1):
            rendered = render(translator, translator.styles([seed], None, truncation))
            image = translator.output_image(rendered.image)[0].float().cpu()
            size = (image.shape[1], image.shape[2])
            found = segmenter.segment(rendered.features, size)
            scores[seed] = found.uncertainty
            name = f"seed{seed:07d}.png"
            write_image(to_image(image), unfinished / "images" / name)
            write_image(segmenter.classes.image_of(found.labels), unfinished / "labels" / name)
            progress(number)
        order = sorted(seeds, key=lambda seed: (scores[seed], seed))
        for seed in order[kept_count:]:
            for part in ("images", "labels"):
                (unfinished / part / f"seed{seed:07d}.png").unlink()
        _write_scores(scores, set(order[:kept_count]), unfinished / "uncertainty.csv")
        write_classes(segmenter.classes, unfinished / CLASSES)
        _write_recipe(segmenter.classes, size, folder, unfinished / RECIPE)
        os.replace(unfinished, folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return kept_count


def _write_scores(scores: dict[int, float], kept: set[int], path: Path) -> None:
    def write(temporary: Path) -> None:
        with temporary.open("w", newline="", encoding="utf-8") as file:
            rows = ((f"seed{seed:07d}.png", f"{value:.6g}", int(seed in kept)) for seed, value in scores.items())
            csv.writer(file).writerows([("file", "uncertainty", "kept"), *rows])

    write_whole(path, write)


def _write_recipe(classes: Classes, size: tuple[int, int], folder: Path, path: Path) -> None:
    side = min(size)
    levels = min(side.bit_length() - 1, 8)
    place = {name: json.dumps(str((folder / name).resolve())) for name in ("images", "labels")}
    text = f"""# Trains pix2pix from label maps on generated images. Classes: {", ".join(classes.described)}
#
#   i2i train {RECIPE}                                  label maps to images
#   i2i train {RECIPE} --set translator.source=a        images to label maps, which are segmentations
extends = "pix2pix_labels"

[translator.generator]
levels = {levels}

[translator.discriminators.local]
layers = {5 if side >= 64 else 4}

[data]
a = {place["images"]}
b = {place["labels"]}
colors = {json.dumps(classes.hex_colors)}
tolerance = 0
size = {side}
margin = {side * OFFICIAL_MARGIN // OFFICIAL_SIDE}
"""

    def write(temporary: Path) -> None:
        temporary.write_text(text, encoding="utf-8")

    write_whole(path, write)
