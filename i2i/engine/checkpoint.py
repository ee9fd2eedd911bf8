"""Checkpoints: safetensors and JSON, written beside their place and renamed, read back without unpickling anything."""

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
MOST = 2**53
"""Larger numbers no training counts to."""
LARGEST = 2**23
"""Bytes of the state and of the recipe; what is larger is neither."""
_NAME = re.compile(r"step-(\d+)")
log = logging.getLogger("i2i")


class WriteError(TrainingError):
    """A checkpoint cannot be written; what stood before still stands."""


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
        return self.count("step")

    def count(self, name: str, default: int | None = None) -> int:
        """A whole number from 0 on in its state.

        Raises:
            CheckpointError: it is missing and has no default, or is something else.
        """
        value = self.state.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MOST:
            raise CheckpointError(
                f"{self.folder} is damaged: {STATE}: {name}: expected a whole number from 0 on, got {str(value)[:40]!r}"
            )
        return value

    def lines(self, name: str) -> list[str]:
        """Sentences in its state; none where an older i2i wrote none.

        Raises:
            CheckpointError: it is something else.
        """
        value = self.state.get(name, [])
        if not isinstance(value, list) or not all(isinstance(line, str) for line in value):
            raise CheckpointError(
                f"{self.folder} is damaged: {STATE}: {name}: expected a list of texts, got {str(value)[:40]!r}"
            )
        return [line.encode(errors="backslashreplace").decode() for line in value]

    def streams(self) -> dict[str, Stream]:
        """Specifications of the data's streams that the networks were built for; empty for imported weights.

        Raises:
            CheckpointError: they are damaged.
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
        """One file's tensors, or nothing where the file does not exist.

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
        """The resolved recipe that travels with it, as TOML.

        Raises:
            CheckpointError: it is missing.
        """
        try:
            return (self.folder / RECIPE).read_text(encoding="utf-8")
        except (OSError, UnicodeError) as error:
            raise CheckpointError(f"{self.folder / RECIPE} cannot be read: {error}") from error

    def weights(self, averaged: bool = False) -> dict[str, Tensor]:
        """Return the translator's weights; with `averaged`, the generators' moving averages where they exist."""
        found = self.tensors(WEIGHTS)
        if not found:
            raise CheckpointError(f"{self.folder} holds no {WEIGHTS}; use another checkpoint")
        found = {**found, **self.tensors(AVERAGE)} if averaged else found
        bad = [name for name, value in found.items() if value.is_floating_point() and not value.isfinite().all()]
        if bad:
            raise CheckpointError(f"{self.folder} is damaged: {bad[0]} holds values that are no numbers; move it away")
        return found


def write(
    folder: Path, step: int, files: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any], recipe: str
) -> Path:
    """Writes a checkpoint that either stands whole or not at all.

    Args:
        folder: of all checkpoints of a run.
        files: tensors by file name; empty ones are left out.
        state: what is not a tensor.
        recipe: the resolved recipe as TOML.

    Raises:
        WriteError: it cannot be written; what stood before still stands.
    """
    final = folder / f"step-{step:07d}"
    beside = folder / f".{final.name}.part"
    before = folder / f".{final.name}.old"
    try:
        remove(beside)
        beside.mkdir(parents=True)
        for name, tensors in files.items():
            if tensors:
                save_file({key: value.detach().contiguous().cpu() for key, value in tensors.items()}, beside / name)
        (beside / RECIPE).write_text(recipe, encoding="utf-8")
        sums = {path.name: _checksum(path) for path in beside.iterdir()}
        whole = {"format": FORMAT, "step": step, "sha256": sums, **state}
        text = json.dumps({**whole, "own": _own_checksum(whole)}, indent=1)
        (beside / STATE).write_text(text, encoding="utf-8")
        for path in [*beside.iterdir(), beside]:
            _sync(path)
        if final.exists():
            os.replace(final, before)
        os.replace(beside, final)
        _sync(folder)
    except (OSError, SafetensorError) as error:
        remove(beside)
        raise WriteError(
            f"the checkpoint of step {step} cannot be written to {folder}: {error}. Earlier ones stand; make room (or "
            f"lower train.keep_last) and go on with --resume"
        ) from error
    for left in folder.glob(".step-*"):  # the one that was replaced, and what killed runs have left
        remove(left)
    return final


def find(path: Path, needed: Collection[str] | None = None) -> Checkpoint:
    """The newest sound checkpoint of a run folder, or the one that a checkpoint's own folder holds.

    Args:
        needed: files whose checksums must be right; all of them when None.

    Raises:
        CheckpointError: there is none, it is damaged, or it is of a later format.
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
            found = _read(steps[step], needed)
        except CheckpointError as error:
            problems.append(str(error))
            continue
        for problem in problems:
            log.warning("%s; going back to step %d", problem, step)
        return found
    raise CheckpointError("\n".join(problems))


def _read(folder: Path, needed: Collection[str] | None) -> Checkpoint:
    try:
        check_regular(folder)
        for name in (STATE, RECIPE):
            if (size := (folder / name).stat().st_size) > LARGEST:
                raise ValueError(f"{name} has {size} bytes, expected at most {LARGEST}")
        state = json.loads((folder / STATE).read_text(encoding="utf-8"))
        version, sums = int(state["format"]), dict(state["sha256"])
        if version > FORMAT:
            raise CheckpointError(f"{folder} was written by a newer i2i: format {version}, expected {FORMAT}")
        if state.get("own", own := _own_checksum(state)) != own:
            raise CheckpointError(f"{folder} is damaged: {STATE} is not as it was written")
        checked = {name: digest for name, digest in sums.items() if needed is None or name in needed}
        damaged = [name for name, digest in checked.items() if _checksum(folder / Path(name).name) != digest]
        found = Checkpoint(folder, dict(state))
        _ = found.step
    except (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise CheckpointError(f"{folder} is damaged: {type(error).__name__}: {error}") from error
    if damaged:
        raise CheckpointError(f"{folder} is damaged: {', '.join(damaged)} is not as it was written")
    return found


def _own_checksum(state: Mapping[str, Any]) -> str:
    """Of the state file's content, however it is laid out."""
    content = json.dumps({key: value for key, value in state.items() if key != "own"}, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def listed(run: Path) -> dict[int, Path]:
    """A run's checkpoints by step."""
    found = {}
    for path in (run / "checkpoints").glob("step-*"):
        match = _NAME.fullmatch(path.name)
        if match and (path / STATE).is_file():
            found[int(match[1])] = path
    return found


def _sync(path: Path) -> None:
    if path.is_dir() and os.name == "nt":
        return  # Windows cannot open folders
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
