"""Reading safetensors, also such as somebody else wrote."""

from __future__ import annotations

import struct
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

LARGEST = 2**24
"""Bytes of a header, which has about a hundred for each tensor."""


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a file.

    The reader itself refuses places that overlap, lie outside of the file or do not fit the shapes.

    Raises:
        ValueError: the file is something else, damaged, or its header is no header.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        begin = file.read(8)
    if len(begin) < 8 or (size := struct.unpack("<Q", begin)[0]) > LARGEST:
        told = f"a header of {size} bytes, expected at most {LARGEST}" if len(begin) == 8 else "no header"
        raise ValueError(told)
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(str(error)[:200]) from error
