"""What changes when a run goes on elsewhere or otherwise than it began, in sentences."""

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
"""Changes that mean what they say."""


def surroundings(processes: int, device: str, batch_size: int, accumulate: int, precision: str) -> dict[str, Any]:
    """What a checkpoint notes of where and how it was made."""
    return {
        "processes": processes,
        "device": device,
        "batch": processes * batch_size * accumulate,
        "precision": precision,
    }


def what_changes(before: Mapping[str, Any], now: Mapping[str, Any], pools: int) -> list[str]:
    """A sentence for each difference between two `surroundings` that changes what is computed.

    Args:
        before: of the checkpoint; keys that an older i2i did not write are not compared.
        pools: processes whose own state, such as image pools, the checkpoint holds.
    """
    old = {**now, **{key: value for key, value in before.items() if key in now}}
    found = []
    if old["processes"] != now["processes"]:
        found.append(
            f"processes: {now['processes']} instead of {old['processes']}: samples go on in their order, but what is "
            f"drawn for each process differs"
        )
        if now["processes"] > pools > 0:
            found.append(f"image pools of the processes from {pools} on begin empty")
        if now["processes"] < pools:
            found.append(f"image pools of the processes from {now['processes']} on are let go")
    if old["batch"] != now["batch"]:
        found.append(
            f"a step takes {now['batch']} images of each domain instead of {old['batch']}: steps count on, and the "
            f"learning rate stays as the recipe says"
        )
    if old["device"] != now["device"]:
        found.append(f"{now['device']} instead of {old['device']}: sums round differently")
    if old["precision"] != now["precision"]:
        loss = "; weights are rounded to float32" if old["precision"] == "fp64" else ""
        scale = "; gradient scaling begins anew" if now["precision"] == "fp16" else ""
        found.append(f"{now['precision']} instead of {old['precision']}{loss}{scale}")
    return found


def recipe_changes(before: str, now: str) -> list[str]:
    """`key: old -> new` for each value in which two resolved recipes differ.

    Args:
        before, now: as TOML.
    """
    old, new = (dict(_flat(tomllib.loads(text))) for text in (before, now))
    keys = [key for key in {**old, **new} if old.get(key) != new.get(key) and key not in EXPECTED]
    return [f"{key}: {_shown(old, key)} -> {_shown(new, key)}" for key in keys]


def _shown(values: Mapping[str, Any], key: str) -> str:
    return shown(values[key]) if key in values else "not there"


def _flat(table: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in table.items():
        name = f"{prefix}{key}"
        found.extend(_flat(value, f"{name}.") if isinstance(value, dict) else [(name, value)])
    return found


def check_networks(found: dict[str, Tensor], expected: dict[str, Tensor], folder: Path) -> None:
    """Refuse to resume from a checkpoint of other networks.

    Raises:
        CheckpointError: names the tensors that differ, and how to start a new run from those that do not.
    """
    differing = [
        f"{name} {list(found[name].shape)} instead of {list(value.shape)}"
        for name, value in expected.items()
        if name in found and found[name].shape != value.shape
    ]
    missing, unknown = expected.keys() - found.keys(), found.keys() - expected.keys()
    parts = {"of another shape": differing, "missing": missing, "not in the recipe": unknown}
    differences = [f"{len(names)} tensors {what}: {few(names)}" for what, names in parts.items() if names]
    if differences:
        raise CheckpointError(
            f"{folder} has other networks than the recipe ({'; '.join(differences)}), so the run cannot be resumed; to "
            f"start a new run from the weights that fit, use i2i train RECIPE --set train.init={folder}"
        )
