"""Reading what other programs wrote with `torch.save`, once it is known what it would unfold to."""

from __future__ import annotations

import mmap
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch

from i2i.errors import CheckpointError
from i2i.nn.foreign.bounds import Bounds
from i2i.nn.foreign.files import of_archive, of_stream
from i2i.nn.foreign.pickles import Damaged, Refused, printable


def load(path: Path) -> object:
    """What `torch.save` wrote to a file, in its present or its older format; no code in it is run.

    Raises:
        CheckpointError: there is no such file, or it is something else, damaged, or larger than it looks.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: expected a checkpoint file, found {'a folder' if path.is_dir() else 'nothing'}")
    archive = _is_archive(path)
    try:
        with path.open("rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        found, places = of_archive(path, data) if archive else of_stream(data)
        Bounds(len(data), places).keep(found.value)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on pickles that torch has not written
            # Files from before torch 1.6 are no archives and cannot be mapped. weights_only: a pickle runs anything.
            return torch.load(path, map_location="cpu", weights_only=True, mmap=archive)
    except CheckpointError:
        raise
    except Refused as error:
        what = f"refused, since it holds more than tensors: loading it would call {error}"
        raise CheckpointError(f"{path}: {what}") from error
    except Exception as error:  # damaged files make nearly anything be raised: IndexError, KeyError, UnicodeError
        what = f": {error}" if isinstance(error, Damaged) else ""
        raise CheckpointError(f"{path}: {_reason(path, archive)}{what}") from error


def _is_archive(path: Path) -> bool:
    try:
        return zipfile.is_zipfile(path)
    except Exception:  # Python's own look at a damaged end raises, though it should only say no
        return True


def _reason(path: Path, archive: bool) -> str:
    with path.open("rb") as file:
        starts_as_archive = file.read(2) == b"PK"
    if starts_as_archive and not archive:
        return "the file is cut off: an archive without its end"
    return "expected a file written by torch.save, found something else or a damaged one"


def few(names: Any) -> str:
    """Up to four names, and how many more."""
    ordered = sorted(map(printable, names))
    more = f" and {len(ordered) - 4} more" if len(ordered) > 4 else ""
    return (", ".join(ordered[:4]) or "nothing") + more
