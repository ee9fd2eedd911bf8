"""Reading files of other programs safely."""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch

from i2i.errors import CheckpointError


def load(path: Path) -> object:
    """What `torch.save` wrote to a file, in its present or its older format; no code in it is run.

    Raises:
        CheckpointError: there is no such file, or it is something else, damaged, or larger than it looks.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: expected a checkpoint file, found {'a folder' if path.is_dir() else 'nothing'}")
    archive = _is_archive(path)
    try:
        if archive and (unpacked := _unpacked(path)) > path.stat().st_size:
            raise CheckpointError(
                f"{path}: refused, since it would unpack to {unpacked} bytes; torch.save does not compress"
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on pickles that torch has not written; what is wrong is said below
            # Files from before torch 1.6 are no archives and cannot be mapped. weights_only: a pickle runs anything.
            return torch.load(path, map_location="cpu", weights_only=True, mmap=archive)
    except CheckpointError:
        raise
    except pickle.UnpicklingError as error:
        raise CheckpointError(f"{path}: {_reason(path, archive, str(error))}") from error
    except Exception as error:  # damaged archives raise nearly anything: RuntimeError, EOFError, KeyError, UnicodeError
        raise CheckpointError(f"{path}: {_reason(path, archive, '')}") from error


def _is_archive(path: Path) -> bool:
    try:
        return zipfile.is_zipfile(path)
    except Exception:  # Python's own look at a damaged end raises, though it should only say no
        return True


def _unpacked(path: Path) -> int:
    """Bytes of all that an archive says to hold."""
    with zipfile.ZipFile(path) as archive:
        return sum(entry.file_size for entry in archive.infolist())


def _reason(path: Path, archive: bool, message: str) -> str:
    if named := re.search(r"GLOBAL ([\w.]+)", message):
        return f"refused, since it holds more than tensors: loading it would call {named[1]}"
    with path.open("rb") as file:
        starts_as_archive = file.read(2) == b"PK"
    if starts_as_archive and not archive:
        return "the file is cut off: an archive without its end"
    return "expected a file written by torch.save, found something else or a damaged one"


def few(names: Any) -> str:
    """Up to four names, and how many more."""
    ordered = sorted(map(str, names))
    more = f" and {len(ordered) - 4} more" if len(ordered) > 4 else ""
    return (", ".join(ordered[:4]) or "nothing") + more
