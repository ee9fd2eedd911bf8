"""Checkpoints: safetensors and JSON, written beside their place and renamed, read back without unpickling anything."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.optim import Optimizer

from i2i.errors import CheckpointError

FORMAT = 1
RECIPE = "recipe.toml"
STATE = "state.json"
WEIGHTS = "translator.safetensors"
AVERAGE = "ema.safetensors"
_NAME = re.compile(r"step-(\d+)")


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that stands on disk.

    Args:
        folder: holds the files.
        state: step, format, what the optimizers are set to.
    """

    folder: Path
    state: dict[str, Any]

    @property
    def step(self) -> int:
        """Steps that had been taken."""
        return int(self.state["step"])

    def tensors(self, name: str) -> dict[str, Tensor]:
        """One file's tensors, or nothing where the file does not exist.

        Raises:
            CheckpointError: the file is damaged.
        """
        path = self.folder / name
        if not path.exists():
            return {}
        try:
            return load_file(path)
        except (SafetensorError, OSError, ValueError) as error:
            raise CheckpointError(f"{path} is damaged: {error}; use an older checkpoint of this run") from error

    def weights(self, averaged: bool = False) -> dict[str, Tensor]:
        """The translator's weights; with `averaged`, those of the makers from the moving average where there is one."""
        found = self.tensors(WEIGHTS)
        if not found:
            raise CheckpointError(f"{self.folder} holds no {WEIGHTS}; use another checkpoint")
        return {**found, **self.tensors(AVERAGE)} if averaged else found


def write(folder: Path, step: int, files: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any], recipe: str) -> Path:
    """Writes a checkpoint that either stands whole or not at all.

    Args:
        folder: of all checkpoints of a run.
        files: tensors by file name; empty ones are left out.
        state: what is not a tensor.
        recipe: the resolved recipe as TOML.
    """
    final = folder / f"step-{step:07d}"
    beside = folder / f".{final.name}.part"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    for name, tensors in files.items():
        if tensors:
            save_file({key: value.detach().contiguous().cpu() for key, value in tensors.items()}, beside / name)
    (beside / RECIPE).write_text(recipe, encoding="utf-8")
    (beside / STATE).write_text(json.dumps({"format": FORMAT, "step": step, **state}, indent=1), encoding="utf-8")
    for path in [*beside.iterdir(), beside]:
        _sync(path)
    if final.exists():
        shutil.rmtree(final)
    os.replace(beside, final)
    _sync(folder)
    return final


def find(path: Path) -> Checkpoint:
    """The newest checkpoint of a run folder, or the one that a checkpoint's own folder holds.

    Raises:
        CheckpointError: there is none, or it is of a later format.
    """
    if not path.exists():
        raise CheckpointError(f"{path} does not exist; give a run folder or one of its checkpoints")
    folder = path
    if not (path / STATE).is_file():
        steps = listed(path)
        if not steps:
            raise CheckpointError(
                f"{path} holds no checkpoint: expected checkpoints/step-*/{STATE}, as `i2i train` and `i2i import` write them"
            )
        folder = steps[max(steps)]
    try:
        state = json.loads((folder / STATE).read_text(encoding="utf-8"))
        step, version = int(state["step"]), int(state["format"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{folder / STATE} cannot be read: {error}; use an older checkpoint") from error
    if version > FORMAT:
        raise CheckpointError(f"{folder} (step {step}) was written by a newer i2i: format {version}, expected {FORMAT}")
    return Checkpoint(folder, state)


def listed(run: Path) -> dict[int, Path]:
    """A run's checkpoints by step."""
    found = {}
    for path in (run / "checkpoints").glob("step-*"):
        match = _NAME.fullmatch(path.name)
        if match and (path / STATE).is_file():
            found[int(match[1])] = path
    return found


def prune(run: Path, keep: int) -> None:
    """Removes all but the newest checkpoints."""
    steps = listed(run)
    for step in sorted(steps)[:-keep]:
        shutil.rmtree(steps[step], ignore_errors=True)


def split_optimizer(optimizer: Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """An optimizer's state as tensors, by `parameter.name`, and as what JSON can hold."""
    state = optimizer.state_dict()
    tensors, plain = {}, {}
    for index, entries in state["state"].items():
        for name, value in entries.items():
            key = f"{index}.{name}"
            if isinstance(value, Tensor):
                tensors[key] = value
            else:
                plain[key] = value
    groups = [{k: v for k, v in group.items() if not isinstance(v, Tensor)} for group in state["param_groups"]]
    return tensors, {"state": plain, "param_groups": groups}


def join_optimizer(optimizer: Optimizer, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> None:
    """Gives an optimizer back what `split_optimizer` took apart."""
    state: dict[int, dict[str, Any]] = {}
    for key, value in {**plain["state"], **tensors}.items():
        index, _, name = key.partition(".")
        state.setdefault(int(index), {})[name] = value
    groups = [
        {key: tuple(value) if isinstance(value, list) and key != "params" else value for key, value in group.items()}
        for group in plain["param_groups"]
    ]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:  # some file systems cannot sync a folder
        pass
    finally:
        os.close(handle)


