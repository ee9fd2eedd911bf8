"""Differences between a checkpoint and the run that resumes from it, in hardware, batch size, precision and recipe."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from i2i.errors import CheckpointError
from i2i.nn.weight_files import few
from i2i.recipe.writing import shown

EXPECTED = ("train.steps", "train.checkpoint_every", "train.sample_every", "train.log_every", "train.workers")
"""Keys whose changes are not reported, because they only affect length, output or speed."""


def surroundings(processes: int, device: str, batch_size: int, accumulate: int, precision: str) -> dict[str, Any]:
    """Return the execution settings that a checkpoint records.

    Args:
        processes: number of processes.
        device: type of the device, such as `cuda`.
        batch_size: images of each domain per process and micro-batch.
        accumulate: micro-batches per step.
        precision: `train.precision` of the recipe.
    """
    return {
        "processes": processes,
        "device": device,
        "batch": processes * batch_size * accumulate,
        "precision": precision,
    }


def what_changes(before: Mapping[str, Any], now: Mapping[str, Any], pools: int) -> list[str]:
    """Return a sentence for each difference between two `surroundings` that changes the computation.

    Args:
        before: settings of the checkpoint; keys that are missing there are not compared.
        now: settings of the resumed run.
        pools: number of processes whose local state, such as image pools, the checkpoint contains.
    """
    old = {**now, **{key: value for key, value in before.items() if key in now}}
    changes = []
    if old["processes"] != now["processes"]:
        changes.append(
            f"processes: {now['processes']} instead of {old['processes']}: the order of the samples is kept, but "
            f"random draws of each process differ"
        )
        if now["processes"] > pools > 0:
            changes.append(f"image pools of the processes from {pools} on start empty")
        if now["processes"] < pools:
            changes.append(f"image pools of the processes from {now['processes']} on are discarded")
    if old["batch"] != now["batch"]:
        changes.append(
            f"a step takes {now['batch']} images of each domain instead of {old['batch']}: the step number "
            f"and the learning rate of the recipe are kept"
        )
    if old["device"] != now["device"]:
        changes.append(f"{now['device']} instead of {old['device']}: floating-point sums are rounded differently")
    if old["precision"] != now["precision"]:
        loss = "; weights are rounded to float32" if old["precision"] == "fp64" else ""
        scale = "; gradient scaling is reset" if now["precision"] == "fp16" else ""
        changes.append(f"{now['precision']} instead of {old['precision']}{loss}{scale}")
    return changes


def recipe_changes(before: str, now: str) -> list[str]:
    """Return `key: old -> new` for each value in which two resolved recipes differ.

    Args:
        before: recipe of the checkpoint as TOML.
        now: recipe of the resumed run as TOML.
    """
    old, new = (dict(_flat(tomllib.loads(text))) for text in (before, now))
    keys = [key for key in {**old, **new} if old.get(key) != new.get(key) and key not in EXPECTED]
    return [f"{key}: {_shown(old, key)} -> {_shown(new, key)}" for key in keys]


def _shown(values: Mapping[str, Any], key: str) -> str:
    return shown(values[key]) if key in values else "missing"


def _flat(table: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    flat: list[tuple[str, Any]] = []
    for key, value in table.items():
        name = f"{prefix}{key}"
        flat.extend(_flat(value, f"{name}.") if isinstance(value, dict) else [(name, value)])
    return flat


def check_networks(saved: dict[str, Tensor], expected: dict[str, Tensor], folder: Path) -> None:
    """Refuse to resume from a checkpoint of other networks.

    Args:
        saved: state dict of the checkpoint.
        expected: state dict of the recipe's translator.
        folder: the checkpoint's folder, for the message.

    Raises:
        CheckpointError: names or shapes of tensors differ.
    """
    differing = [
        f"{name} {list(saved[name].shape)} instead of {list(value.shape)}"
        for name, value in expected.items()
        if name in saved and saved[name].shape != value.shape
    ]
    missing, unknown = expected.keys() - saved.keys(), saved.keys() - expected.keys()
    parts = {"of another shape": differing, "missing": missing, "not in the recipe": unknown}
    differences = [f"{len(names)} tensors {what}: {few(names)}" for what, names in parts.items() if names]
    if differences:
        raise CheckpointError(
            f"{folder} has other networks than the recipe ({'; '.join(differences)}), so the run cannot be resumed; to "
            f"start a new run from the weights that fit, use i2i train RECIPE --set train.init={folder}"
        )
