"""The reader of TensorFlow's checkpoints, on files that the test writes byte by byte."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from i2i.errors import CheckpointError
from i2i.methods.weights.ugatit_tf import ugatit_tensorflow
from i2i.nn.tensorflow_bundle import DTYPES, MAGIC, crc32c, read_bundle


def varint(value: int) -> bytes:
    parts = []
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def block(entries: Mapping[bytes, bytes], kind: int = 0) -> bytes:
    """A block whose keys share what they have in common with the one before, then its type and checksum."""
    content, before = b"", b""
    for key, value in entries.items():
        shared = next(
            (i for i, (x, y) in enumerate(zip(key, before, strict=False)) if x != y), min(len(key), len(before))
        )
        content += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        before = key
    content += struct.pack("<II", 0, 1)
    crc = crc32c(content + bytes([kind]))
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    return content + bytes([kind]) + struct.pack("<I", masked)


def write(prefix: Path, variables: Mapping[str, Tensor], kind: int = 0, shards: int = 1, extra: bytes = b"") -> None:
    entries, data = {b"": field(1, shards)}, b""
    for name, value in sorted(variables.items()):
        raw = value.contiguous().view(torch.uint8).numpy().tobytes() if value.ndim else value.numpy().tobytes()
        dtype = next(number for number, dtype in DTYPES.items() if dtype == value.dtype)
        shape = b"".join(field(2, field(1, size)) for size in value.shape)
        entry = field(1, dtype) + field(2, shape) + field(4, len(data)) + field(5, len(raw))
        entries[name.encode()] = entry + varint(6 << 3 | 5) + b"\0\0\0\0" + extra
        data += raw
    table = block(entries, kind)
    index = block({b"~": varint(0) + varint(len(table) - 5)})
    metadata = block({})
    handles = varint(len(table)) + varint(len(metadata) - 5)
    handles += varint(len(table) + len(metadata)) + varint(len(index) - 5)
    prefix.with_name(f"{prefix.name}.index").write_bytes(table + metadata + index + handles.ljust(40, b"\0") + MAGIC)
    prefix.with_name(f"{prefix.name}.data-00000-of-00001").write_bytes(data)


VARIABLES = {
    "net/conv/kernel": torch.randn(3, 3, 2, 300),
    "net/conv/bias": torch.arange(7.0),
    "net/count": torch.tensor(5),
    "net/flag": torch.tensor([True]),
    "net/wide": torch.randn(2, 2, dtype=torch.float64),
}


def test_variables_are_read_to_the_bit_and_the_file_never_changes(tmp_path: Path) -> None:
    write(tmp_path / "model-1", VARIABLES)
    found = read_bundle(tmp_path / "model-1")
    assert found.keys() == VARIABLES.keys()
    for name, value in VARIABLES.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=0)
    before = (tmp_path / "model-1.data-00000-of-00001").read_bytes()
    found["net/conv/kernel"].zero_()
    assert (tmp_path / "model-1.data-00000-of-00001").read_bytes() == before


def damaged(prefix: Path, how: str) -> None:
    index, data = prefix.with_name("model-1.index"), prefix.with_name("model-1.data-00000-of-00001")
    options: dict[str, Any] = {
        "compressed": {"kind": 1},
        "shards": {"shards": 3},
        "slices": {"extra": field(7, b"\x0a\x00")},
    }
    write(prefix, VARIABLES, **options.get(how, {}))
    if how == "cut data":
        data.write_bytes(data.read_bytes()[:-8])
    elif how == "no data":
        data.unlink()
    elif how == "cut index":
        index.write_bytes(index.read_bytes()[:-9])
    elif how == "flipped":
        content = bytearray(index.read_bytes())
        content[20] ^= 1
        index.write_bytes(bytes(content))
    elif how == "other":
        index.write_bytes(b"PK\3\4" * 40)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("compressed", r"model-1\.index: the index is compressed \(type 1\), which is not supported"),
        ("shards", "the checkpoint is partitioned into 3 data files; save it into one"),
        ("slices", "the variable 'net/conv/bias' is partitioned; save it whole"),
        ("cut data", "the file is cut off: expected 21669 bytes of variables, got 21661"),
        ("no data", r"model-1\.data-00000-of-00001: no such file; it belongs next to model-1\.index"),
        ("cut index", "expected the index of a TensorFlow checkpoint"),
        ("flipped", "the index is damaged: wrong checksum"),
        ("other", "expected the index of a TensorFlow checkpoint"),
        ("networks", "expected variables such as generator_B/conv/conv2d/kernel, got net/conv/bias"),
    ],
)
def test_files_that_are_refused(how: str, message: str, tmp_path: Path) -> None:
    damaged(tmp_path / "model-1", how)
    with pytest.raises(CheckpointError, match=message):
        ugatit_tensorflow(tmp_path)


def test_any_damage_of_an_index_is_refused(tmp_path: Path) -> None:
    """Each cut and each changed byte: a sentence, or the same variables where the byte does not matter."""
    write(tmp_path / "model-1", {"a": torch.arange(3.0), "ab": torch.tensor(2)})
    index = tmp_path / "model-1.index"
    content = index.read_bytes()
    refused = 0
    for position in range(len(content)):
        for changed in (
            content[:position],
            content[:position] + bytes([content[position] ^ 255]) + content[position + 1 :],
        ):
            index.write_bytes(changed)
            try:
                assert read_bundle(tmp_path / "model-1").keys() == {"a", "ab"}
            except CheckpointError:
                refused += 1
    assert refused > 1.5 * len(content)
