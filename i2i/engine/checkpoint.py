"""Checkpoints of safetensors and JSON files, written under a temporary name, renamed, and read without unpickling."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from i2i.core.contracts import Stream
from i2i.engine.disk import check_regular, remove
from i2i.errors import CheckpointError, TrainingError
from i2i.nn.weight_files import load_safetensors

FORMAT = 1
RECIPE = "recipe.toml"
STATE = "state.json"
WEIGHTS = "translator.safetensors"
AVERAGE = "ema.safetensors"
MAX_COUNT = 2**53
"""Largest value accepted for a counter, such as the step number, in a state file."""
MAX_BYTES = 2**23
"""Largest size of a state or recipe file in bytes; a larger file is treated as damaged."""
_NAME = re.compile(r"step-(\d+)")
log = logging.getLogger("i2i")


class WriteError(TrainingError):
    """Raised when a checkpoint cannot be written; earlier checkpoints are unchanged."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on disk.

    Args:
        folder: folder that contains its files.
        state: content of its state file: step, format, checksums, options of the optimizers and other non-tensor state.
    """

    folder: Path
    state: dict[str, Any]

    @property
    def step(self) -> int:
        """Number of training steps taken before the checkpoint."""
        return self.count("step")

    def count(self, name: str, default: int | None = None) -> int:
        """Return a non-negative integer of the state.

        Args:
            name: key of the state.
            default: value where the key is missing.

        Raises:
            CheckpointError: the key is missing without a default, or its value is not a non-negative integer.
        """
        value = self.state.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_COUNT:
            raise CheckpointError(
                f"{self.folder} is damaged: {STATE}: {name}: expected a non-negative integer, got {str(value)[:40]!r}"
            )
        return value

    def lines(self, name: str) -> list[str]:
        """Return a list of strings of the state, empty if the key is missing.

        Args:
            name: key of the state.

        Raises:
            CheckpointError: the value is not a list of strings.
        """
        value = self.state.get(name, [])
        if not isinstance(value, list) or not all(isinstance(line, str) for line in value):
            raise CheckpointError(
                f"{self.folder} is damaged: {STATE}: {name}: expected a list of strings, got {str(value)[:40]!r}"
            )
        return [line.encode(errors="backslashreplace").decode() for line in value]

    def streams(self) -> dict[str, Stream]:
        """Return the specifications of the data streams that the networks were built for, empty for imported weights.

        Raises:
            CheckpointError: the specifications are damaged.
        """
        streams: dict[str, Stream] = {}
        try:
            for name, saved in dict(self.state.get("streams", {})).items():
                values = dict(saved)
                size, span = values.pop("size"), values.pop("range")
                streams[str(name)] = Stream(
                    **values, size=size and (int(size[0]), int(size[1])), range=(span[0], span[1])
                )
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            raise CheckpointError(f"{self.folder} is damaged: {STATE}: streams: {error}") from error
        return streams

    def tensors(self, name: str) -> dict[str, Tensor]:
        """Return the tensors of a file, empty if the file does not exist.

        Args:
            name: file name in the folder.

        Raises:
            CheckpointError: the file is damaged.
        """
        path = self.folder / name
        if not path.exists():
            return {}
        try:
            return load_safetensors(path)
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{path} is damaged: {error}; use an older checkpoint of this run") from error

    def recipe(self) -> str:
        """Return the resolved recipe of the checkpoint as TOML.

        Raises:
            CheckpointError: the recipe file cannot be read.
        """
        try:
            return (self.folder / RECIPE).read_text(encoding="utf-8")
        except (OSError, UnicodeError) as error:
            raise CheckpointError(f"{self.folder / RECIPE} cannot be read: {error}") from error

    def weights(self, averaged: bool = False) -> dict[str, Tensor]:
        """Return the translator's weights.

        Args:
            averaged: replace weights by their exponential moving averages where these exist.

        Raises:
            CheckpointError: the weights are missing, damaged or not finite.
        """
        weights = self.tensors(WEIGHTS)
        if not weights:
            raise CheckpointError(f"{self.folder} holds no {WEIGHTS}; use another checkpoint")
        weights = {**weights, **self.tensors(AVERAGE)} if averaged else weights
        bad = [name for name, value in weights.items() if value.is_floating_point() and not value.isfinite().all()]
        if bad:
            raise CheckpointError(f"{self.folder} is damaged: {bad[0]} contains NaN or Inf; use another checkpoint")
        return weights


def write(
    folder: Path, step: int, files: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any], recipe: str
) -> Path:
    """Write a checkpoint atomically: after a crash it is either complete or absent.

    Args:
        folder: folder of all checkpoints of a run.
        step: number of training steps taken.
        files: tensors by file name; files without tensors are not written.
        state: non-tensor state, as JSON types.
        recipe: the resolved recipe as TOML.

    Returns:
        The checkpoint's folder.

    Raises:
        WriteError: the checkpoint cannot be written; earlier checkpoints are unchanged.
    """
    final = folder / f"step-{step:07d}"
    part = folder / f".{final.name}.part"
    replaced = folder / f".{final.name}.old"
    try:
        remove(part)
        part.mkdir(parents=True)
        for name, tensors in files.items():
            if tensors:
                save_file({key: value.detach().contiguous().cpu() for key, value in tensors.items()}, part / name)
        (part / RECIPE).write_text(recipe, encoding="utf-8")
        sums = {path.name: _checksum(path) for path in part.iterdir()}
        content = {"format": FORMAT, "step": step, "sha256": sums, **state}
        text = json.dumps({**content, "own": _state_checksum(content)}, indent=1)
        (part / STATE).write_text(text, encoding="utf-8")
        for path in [*part.iterdir(), part]:
            _sync(path)
        if final.exists():
            os.replace(final, replaced)
        os.replace(part, final)
        _sync(folder)
    except (OSError, SafetensorError) as error:
        remove(part)
        earlier = listed(folder.parent)
        resume = f"; --resume continues from step {max(earlier)}" if earlier else ""
        raise WriteError(
            f"the checkpoint of step {step} cannot be written to {folder}: {error}. Free disk space or lower "
            f"train.keep_last{resume}"
        ) from error
    for leftover in folder.glob(".step-*"):  # the replaced checkpoint, and remains of runs that were killed
        remove(leftover)
    return final


def find(path: Path, needed: Collection[str] | None = None) -> Checkpoint:
    """Return the newest undamaged checkpoint of a run folder, or the checkpoint in a given checkpoint folder.

    Args:
        path: a run folder or the folder of one checkpoint.
        needed: names of the files whose checksums are verified; all files when None.

    Raises:
        CheckpointError: there is no checkpoint, or each is damaged or has a newer format.
    """
    if not path.exists():
        raise CheckpointError(f"{path} does not exist; give a run folder or one of its checkpoints")
    if (path / STATE).is_file():
        return _read(path, needed)
    steps = listed(path)
    if not steps:
        raise CheckpointError(
            f"{path} holds no checkpoint: expected checkpoints/step-*/{STATE}, as `i2i train` writes them"
        )
    problems = []
    for step in sorted(steps, reverse=True):
        try:
            newest = _read(steps[step], needed)
        except CheckpointError as error:
            problems.append(str(error))
            continue
        for problem in problems:
            log.warning("%s; using the checkpoint of step %d", problem, step)
        return newest
    raise CheckpointError("\n".join(problems))


def _read(folder: Path, needed: Collection[str] | None) -> Checkpoint:
    try:
        check_regular(folder)
        for name in (STATE, RECIPE):
            if (size := (folder / name).stat().st_size) > MAX_BYTES:
                raise ValueError(f"{name} has {size} bytes, expected at most {MAX_BYTES}")
        state = json.loads((folder / STATE).read_text(encoding="utf-8"))
        version, sums = int(state["format"]), dict(state["sha256"])
        if version > FORMAT:
            raise CheckpointError(f"{folder} was written by a newer i2i: format {version}, expected {FORMAT}")
        if state.get("own", checksum := _state_checksum(state)) != checksum:
            raise CheckpointError(f"{folder} is damaged: {STATE} has a wrong checksum")
        checked = {name: digest for name, digest in sums.items() if needed is None or name in needed}
        damaged = [name for name, digest in checked.items() if _checksum(folder / Path(name).name) != digest]
        saved = Checkpoint(folder, dict(state))
        _ = saved.step  # raises if it is missing or invalid
    except (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise CheckpointError(f"{folder} is damaged: {type(error).__name__}: {error}") from error
    if damaged:
        raise CheckpointError(f"{folder} is damaged: wrong checksum of {', '.join(damaged)}")
    return saved


def _state_checksum(state: Mapping[str, Any]) -> str:
    """Return the checksum of a state, independent of the layout of its file."""
    content = json.dumps({key: value for key, value in state.items() if key != "own"}, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def listed(run: Path) -> dict[int, Path]:
    """Return the folders of a run's checkpoints by step.

    Args:
        run: the run folder.
    """
    folders = {}
    for path in (run / "checkpoints").glob("step-*"):
        match = _NAME.fullmatch(path.name)
        if match and (path / STATE).is_file():
            folders[int(match[1])] = path
    return folders


def _sync(path: Path) -> None:
    if path.is_dir() and os.name == "nt":
        return  # Windows cannot open folders
    # Windows flushes only what is open for writing.
    handle = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
