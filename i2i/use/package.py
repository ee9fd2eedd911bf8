"""Packages of a trained run: recipe, averaged weights and a model card, without optimizers and local paths."""

from __future__ import annotations

import os
import tempfile
import tomllib
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import tomli_w
import torch
from torch import Tensor

from i2i.engine import checkpoint
from i2i.engine.adapters import full_weights
from i2i.engine.checkpoint import Checkpoint
from i2i.errors import I2IError
from i2i.use.card import CARD, write_card
from i2i.use.loaded import Loaded, load
from i2i.use.shared_files import FILES, OMITTED

KEPT = ("recipe", "streams", "feature_extractors")
"""Keys of a checkpoint's state that are needed to load it."""
SAMPLES = "samples.png"
DRAWN = ("portraits", "portrait_pairs", "shapes")
"""Data sets that are drawn, whose samples show nobody's photographs."""


def write_package(
    run: Path,
    folder: Path,
    license: str | None = None,
    intended_use: str | None = None,
    figures: Sequence[Path] = (),
    share_samples: bool = False,
) -> Path:
    """Write a package of a run, which `i2i.load` takes like a run.

    It holds the averaged weights of the modules that translate, where the run has averages; optimizers, discriminators
    and losses are omitted, and absolute paths of the recipe are reduced to their last part. The package is loaded and
    compared with the run before it appears.

    Args:
        run: a run folder or one of its checkpoints.
        folder: folder to write; it must not exist.
        license: licence of the weights, as an SPDX identifier.
        intended_use: a sentence for the model card.
        figures: files of `i2i evaluate --output`, for the card.
        share_samples: include the run's newest sample grid although the data are the user's own images. Grids of drawn
            data are always included.

    Returns:
        folder: the package.

    Raises:
        CheckpointError: there is no checkpoint, or it is damaged.
        I2IError: the folder exists, or the package would translate differently.
    """
    if folder.exists():
        raise I2IError(f"{folder} already exists; choose another name")
    saved = checkpoint.find(run, needed=(*FILES, checkpoint.AVERAGE))
    folder.parent.mkdir(parents=True, exist_ok=True)
    original = load(saved.folder, device="cpu")
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".package-") as temporary:
        for reduced in (True, False):  # a method may translate with a module that it does not list
            part = Path(temporary) / ("reduced" if reduced else "whole")
            _write_checkpoint(saved, original, part, reduced)
            if _same(original, load(part, device="cpu")):
                break
        else:
            raise I2IError(f"{run}: its package does not translate as the run does, and was not written")
        sample = _samples(run)
        drawn = original.recipe.data.name in DRAWN
        if sample is not None and (drawn or share_samples):
            (part / SAMPLES).write_bytes(sample.read_bytes())
        found = [*figures, *figures_of(run)]
        write_card(part / CARD, original, saved, license, intended_use, found, (part / SAMPLES).exists(), drawn)
        os.replace(part, folder)
    return folder


def _write_checkpoint(saved: Checkpoint, original: Loaded, folder: Path, reduced: bool) -> None:
    weights = {
        name: value for name, value in full_weights(saved, averaged=True).items() if not name.startswith("losses.")
    }
    kept = {module.split(".")[0] for module in original.translator.inference_modules}
    omitted: set[str] = set()
    if reduced:
        omitted = {name.split(".")[0] for name in weights if "." in name} - kept
    chosen: dict[str, Tensor] = {name: value for name, value in weights.items() if name.split(".")[0] not in omitted}
    state = {name: saved.state[name] for name in KEPT if name in saved.state}
    state |= {OMITTED: sorted(omitted), "averaged": (saved.folder / checkpoint.AVERAGE).exists()}
    recipe = tomli_w.dumps(_without_paths(tomllib.loads(saved.recipe())))
    written = checkpoint.write(folder.parent / "checkpoints", saved.step, {checkpoint.WEIGHTS: chosen}, state, recipe)
    os.replace(written, folder)


def _without_paths(value: Any) -> Any:
    """Replace absolute paths, which name folders of the user, by their last part."""
    if isinstance(value, Mapping):
        return {name: _without_paths(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_without_paths(inner) for inner in value]
    if isinstance(value, str):
        for kind in (PurePosixPath, PureWindowsPath):
            if kind(value).is_absolute() and kind(value).name:
                return kind(value).name
        return PurePosixPath(value).name if value.startswith("~") else value
    return value


def _same(one: Loaded, other: Loaded) -> bool:
    """Whether two models translate an image equally to the bit; True where a translation needs a condition."""
    if one.translator.requires_condition:
        return True
    size = one.constraints.fixed_size or one.recipe.image_size
    for to in one.translator.targets:
        channels = one.translator.input_stream(to).channels
        image = torch.rand(1, channels, *size, generator=torch.Generator().manual_seed(0)) * 2 - 1
        try:
            results = []
            for model in (one, other):
                torch.manual_seed(0)  # some methods draw noise in translation
                results.append(model.run(image, to).image)
        except TypeError:  # a required condition that the method does not declare
            return True
        if not torch.equal(*results):
            return False
    return True


def _run_folder(run: Path) -> Path:
    return run.parent.parent if run.parent.name == "checkpoints" else run


def figures_of(run: Path) -> list[Path]:
    """Return the files of figures in a run folder."""
    return sorted(_run_folder(run).glob("figures*.json"))


def _samples(run: Path) -> Path | None:
    return max((_run_folder(run) / "samples").glob("step-*.png"), default=None)


def pack(package: Path, archive: Path) -> Path:
    """Write a package as a zip archive, completely or not at all.

    Args:
        package: folder of `write_package`.
        archive: file to write.
    """
    archive.parent.mkdir(parents=True, exist_ok=True)
    part = archive.with_name(f".{archive.name}.part")
    try:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as file:  # weights hardly shrink
            for path in sorted(package.iterdir()):
                file.write(path, path.name)
        os.replace(part, archive)
    finally:
        part.unlink(missing_ok=True)
    return archive
