"""Variables of a TensorFlow checkpoint (`NAME.index` and `NAME.data-00000-of-00001`), read without TensorFlow.

The index is a table of LevelDB: blocks of sorted keys, of which each stores only what differs from the one before it.
Its values are protocol buffers that say where in the data file the bytes of a variable are. The data file is mapped
into memory, so that reading 8 GB of variables allocates nothing before they are used.

Source: tensorflow/core/util/tensor_bundle, tensorflow/core/protobuf/tensor_bundle.proto, LevelDB's table format.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from i2i.errors import CheckpointError

DTYPES = {
    1: torch.float32,
    2: torch.float64,
    3: torch.int32,
    4: torch.uint8,
    6: torch.int8,
    9: torch.int64,
    10: torch.bool,
    14: torch.bfloat16,
    19: torch.float16,
}
"""Types of variables by their numbers in TensorFlow's types.proto."""
MAGIC = struct.pack("<Q", 0xDB4775248B80FB57)
"""Last bytes of a table."""
FOOTER = 48
"""Bytes at the end of a table: two block handles, padding, and `MAGIC`."""
MAX_INDEX_BYTES = 2**25
"""Largest size of an index that is read; one needs about sixty bytes for each variable."""
Message = dict[int, list[int | bytes]]


def read_bundle(prefix: Path) -> dict[str, Tensor]:
    """Read all variables of a checkpoint.

    Args:
        prefix: path of the checkpoint without `.index`.

    Returns:
        The variables by name, mapped from the file; writing to one copies its pages and never changes the file.

    Raises:
        CheckpointError: a file is missing, damaged, compressed, partitioned or cut off.
    """
    index = prefix.with_name(f"{prefix.name}.index")
    try:
        if not index.is_file():
            raise ValueError("no such file; give NAME.index of a checkpoint, or its folder")
        if (size := index.stat().st_size) > MAX_INDEX_BYTES:
            raise ValueError(f"expected at most {MAX_INDEX_BYTES} bytes, got {size}")
        entries = dict(_table(index.read_bytes()))
        shards = _number(_message(entries.pop(b"", b"")), 1)
        if shards != 1:
            raise ValueError(f"the checkpoint is partitioned into {shards} data files; save it into one")
        variables = {name.decode(): _message(entry) for name, entry in entries.items()}
    except (ValueError, IndexError, struct.error) as error:
        raise CheckpointError(f"{index}: {error or 'damaged'}") from error
    data = prefix.with_name(f"{prefix.name}.data-00000-of-00001")
    if not data.is_file() or not data.stat().st_size:
        raise CheckpointError(
            f"{data}: {'empty' if data.is_file() else 'no such file'}; it belongs next to {index.name}"
        )
    try:
        with data.open("rb") as file:
            memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        if (claimed := sum(_number(entry, 5) for entry in variables.values())) > len(memory):
            raise ValueError(f"the file is cut off: expected {claimed} bytes of variables, got {len(memory)}")
        return {name: _variable(name, entry, memory) for name, entry in variables.items()}
    except ValueError as error:
        raise CheckpointError(f"{data}: {error}") from error


def _variable(name: str, entry: Message, memory: mmap.mmap) -> Tensor:
    """Return a variable as a view of the data file's memory."""
    if 7 in entry:
        raise ValueError(f"the variable {name!r} is partitioned; save it whole")
    dtype = DTYPES.get(_number(entry, 1))
    if dtype is None:
        raise ValueError(f"the variable {name!r} has TensorFlow's type number {_number(entry, 1)}, expected numbers")
    dimensions = _message(_bytes(entry, 2)).get(2, [])
    shape = [_number(_message(size), 1) for size in dimensions if isinstance(size, bytes)]
    offset, size, count = _number(entry, 4), _number(entry, 5), math.prod(shape)
    if count * dtype.itemsize != size or len(shape) > 8:
        raise ValueError(f"the variable {name!r} of shape {shape[:8]} cannot have {size} bytes")
    if offset + size > len(memory):
        raise ValueError(f"the file is cut off inside of the variable {name!r}")
    if offset % dtype.itemsize or not count:  # torch maps aligned numbers only
        return torch.frombuffer(bytearray(memory[offset : offset + size]) or bytearray(8), dtype=dtype)[:count].view(
            shape
        )
    return torch.frombuffer(memory, dtype=dtype, count=count, offset=offset).view(shape)


def _table(table: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the keys and values of a LevelDB table in their order."""
    if len(table) < FOOTER or not table.endswith(MAGIC):
        raise ValueError("expected the index of a TensorFlow checkpoint, found something else or a cut file")
    position = len(table) - FOOTER
    for _ in range(2):  # the handle of the metadata, which is empty
        _, position = _varint(table, position)
    for _, handle in _block(table, *_handle(table, position)):
        yield from _block(table, *_handle(handle, 0))


def _handle(data: bytes, position: int) -> tuple[int, int]:
    """Return offset and size of a block."""
    offset, position = _varint(data, position)
    return offset, _varint(data, position)[0]


def _block(table: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield the keys and values of a block, which is followed by its compression and its checksum."""
    block = table[offset : offset + size]
    kind, checksum = struct.unpack("<BI", table[offset + size : offset + size + 5])
    if kind:
        raise ValueError(f"the index is compressed (type {kind}), which is not supported; save it without compression")
    rotated = crc32c(block + bytes([kind]))
    if ((rotated >> 15 | rotated << 17) + 0xA282EAD8) & 0xFFFFFFFF != checksum:
        raise ValueError("the index is damaged: wrong checksum")
    end = size - 4 - 4 * struct.unpack("<I", block[-4:])[0]  # the positions of full keys are not needed
    position, key = 0, b""
    while position < end:
        shared, position = _varint(block, position)
        rest, position = _varint(block, position)
        length, position = _varint(block, position)
        key = key[:shared] + block[position : position + rest]
        position += rest + length
        yield key, block[position - length : position]


def _message(data: int | bytes) -> Message:
    """Return the fields of a protocol buffer by number: integers, and bytes of everything else."""
    fields: Message = {}
    position = 0
    assert isinstance(data, bytes)
    while position < len(data):
        tag, position = _varint(data, position)
        value: int | bytes
        if tag & 7 == 0:
            value, position = _varint(data, position)
        elif tag & 7 == 2:
            length, position = _varint(data, position)
            value, position = data[position : position + length], position + length
        elif tag & 7 in (1, 5):
            width = 8 if tag & 7 == 1 else 4
            value, position = data[position : position + width], position + width
        else:
            raise ValueError(f"the index is damaged: a field of type {tag & 7}")
        fields.setdefault(tag >> 3, []).append(value)
    return fields


def _number(message: Message, field: int) -> int:
    """Return an integer field, 0 where it is missing."""
    value = message.get(field, [0])[-1]
    if not isinstance(value, int) or value >= 2**63:
        raise ValueError(f"the index is damaged: field {field} is not a non-negative integer")
    return value


def _bytes(message: Message, field: int) -> bytes:
    value = message.get(field, [b""])[-1]
    if not isinstance(value, bytes):
        raise ValueError(f"the index is damaged: field {field} is a number")
    return value


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """Return an integer whose bytes hold seven bits each, the lowest first, and the position after it."""
    value = 0
    for shift in range(0, 70, 7):
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
    raise ValueError("the index is damaged: an integer of more than 64 bits")


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


_CRC_TABLE = _crc_table()


def crc32c(data: bytes) -> int:
    """Compute the CRC-32C (Castagnoli) of some bytes.

    Example:
        >>> hex(crc32c(b"123456789"))
        '0xe3069283'
    """
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC_TABLE[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF
