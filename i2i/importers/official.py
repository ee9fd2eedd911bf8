"""What readers of official checkpoints share: loading without running code, and finding the networks."""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from i2i.errors import CheckpointError

State = Mapping[str, Tensor]


def load(path: Path) -> object:
    """What `torch.save` wrote, in its present or its older format; no code in it is run.

    Raises:
        CheckpointError: the file is missing, something else, damaged, or would run code.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: expected a checkpoint file, found {'a folder' if path.is_dir() else 'nothing'}")
    archive = zipfile.is_zipfile(path)
    try:
        # Files from before torch 1.6 are no archives and cannot be mapped. weights_only: a pickle could run anything.
        return torch.load(path, map_location="cpu", weights_only=True, mmap=archive)
    except pickle.UnpicklingError as error:
        raise CheckpointError(f"{path}: {_reason(path, archive, str(error))}") from error
    except Exception as error:  # damaged archives raise nearly anything: RuntimeError, EOFError, KeyError, UnicodeError
        raise CheckpointError(f"{path}: {_reason(path, archive, '')}") from error


def _reason(path: Path, archive: bool, message: str) -> str:
    if named := re.search(r"GLOBAL ([\w.]+)", message):
        return f"refused, since it holds more than tensors: loading it would call {named[1]}"
    with path.open("rb") as file:
        starts_as_archive = file.read(2) == b"PK"
    if starts_as_archive and not archive:
        return "the file is cut off: an archive without its end"
    return "expected a file written by torch.save, found something else or a damaged one"


def networks_in(
    path: Path, loaded: object, names: Iterable[str], method: str
) -> dict[str, dict[str, Tensor]]:
    """The state dicts of the networks that a checkpoint must hold.

    Args:
        names: of the networks, as the checkpoint calls them.
        method: whose networks they are, for messages.

    Raises:
        CheckpointError: they are not there; says what was found.
    """
    wanted = list(names)
    expected = f"expected {method}'s networks {', '.join(wanted)}"
    if not isinstance(loaded, Mapping):
        raise CheckpointError(f"{path}: {expected}, found a {type(loaded).__name__}")
    if loaded and all(isinstance(value, Tensor) for value in loaded.values()):
        raise CheckpointError(f"{path}: {expected}, found the plain state of one network: {few(loaded)}")
    if missing := [network for network in wanted if network not in loaded]:
        raise CheckpointError(f"{path}: {expected}, found {few(loaded)}; missing: {', '.join(missing)}")
    for network in wanted:
        state = loaded[network]
        if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
            raise CheckpointError(f"{path}: expected {network} to be a state dict, found a {type(state).__name__}")
    return {network: dict(loaded[network]) for network in wanted}


def count(state: State, pattern: str) -> int:
    """How many names a pattern matches whole."""
    return sum(re.fullmatch(pattern, str(name)) is not None for name in state)


def few(names: Iterable[object]) -> str:
    """Up to four names, and how many more."""
    ordered = sorted(map(str, names))
    more = f" and {len(ordered) - 4} more" if len(ordered) > 4 else ""
    return (", ".join(ordered[:4]) or "nothing") + more
