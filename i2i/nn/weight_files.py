"""Weights that other programs wrote with `torch.save` or as safetensors, read without running or trusting anything."""

from __future__ import annotations

import argparse
import mmap
import pickletools
import re
import struct
import warnings
import zipfile
from collections.abc import Iterable, Mapping
from io import BytesIO
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from i2i.errors import CheckpointError

MAX_HEADER_BYTES = 2**24
"""Of a safetensors header or a zip directory, which need about a hundred bytes for each tensor."""
MAX_PICKLE_BYTES = 2**26
"""Of one pickle, which needs a few hundred bytes for each tensor."""
MAX_OPCODES = 2**19
"""Of one pickle, which needs about thirty for each tensor."""
MAX_VALUES = 2**17
"""Of the loaded containers, which can contain each other many times."""
MAX_DEPTH = 64
"""Of containers inside each other."""
MAX_REUSE = 4
"""How many times the file's size all of its tensors together may have; tied weights count each time."""
LEGACY_START = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""The first pickle of files that torch before 1.6 wrote."""
MEMO_PUT, MEMO_GET = {"BINPUT", "LONG_BINPUT"}, {"BINGET", "LONG_BINGET"}
MUTATING = {"APPEND", "APPENDS", "SETITEM", "SETITEMS", "BUILD"}
OPCODES = {
    *("PROTO", "STOP", "MARK", "GLOBAL", "REDUCE", "BINPERSID", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"),
    *("EMPTY_LIST", "EMPTY_DICT", "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
    *("BINUNICODE", "SHORT_BINSTRING", *MEMO_PUT, *MEMO_GET, *MUTATING),
}
STORAGES = ("Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool")
GLOBALS = {
    *(
        "collections OrderedDict",
        "collections Counter",
        "argparse Namespace",
        "torch Size",
        "torch device",
        "builtins set",
        "__builtin__ set",
    ),
    *(f"torch._utils _rebuild_{what}" for what in ("tensor", "tensor_v2", "parameter")),
    *(f"torch {kind}Storage" for kind in STORAGES),
}
"""All that a pickle of tensors and plain values may name; narrower than torch's own list."""


class _UnsafeError(ValueError):
    """A pickle that names something else than tensors and plain containers."""


def load_weight_file(path: Path) -> object:
    """Read a safetensors file, or what `torch.save` wrote in its present or its older format.

    torch's `weights_only` runs no foreign code, but a crafted pickle can still make it hash nested tuples for years,
    allocate what no file backs, or build objects that are no tensors. So the pickle's opcodes are checked before, and
    the loaded tensors after.

    Returns:
        Tensors on the CPU and plain values in plain dicts, lists and tuples; a safetensors file gives a flat dict.

    Raises:
        CheckpointError: there is no such file, or it is damaged, unsafe, or expands to much more than its size.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: expected a checkpoint file, found {'a folder' if path.is_dir() else 'nothing'}")
    with path.open("rb") as file:
        start = file.read(16)
    is_zip = start.startswith(b"PK\3\4")
    try:
        if path.suffix == ".safetensors" or start[8:9] == b"{":
            return load_safetensors(path)
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            if is_zip and data.rfind(b"PK\5\6", max(0, len(data) - 2**16)) < 0:
                raise CheckpointError(f"{path}: the file is cut off: an archive without its end")
            if is_zip:
                check_pickle(_archived_pickle(path, data))
            elif start.startswith(LEGACY_START):
                position = 0
                for _ in range(5):  # magic number, protocol, system, the value itself, keys of storages; then storages
                    position += check_pickle(data[position : position + MAX_PICKLE_BYTES])
            else:
                raise ValueError("an unknown format")
            size = len(data)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickles that torch did not write
            # A mapped storage cannot reach beyond the file, whatever size the pickle claims.
            with torch.serialization.safe_globals([argparse.Namespace]):  # options of a program, nothing but attributes
                return _Plain(size)(torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip))
    except _UnsafeError as error:
        raise CheckpointError(
            f"{path}: refused, since it holds more than tensors: loading it would call {error}"
        ) from error
    except CheckpointError:
        raise
    except Exception as error:  # damaged files raise nearly anything: IndexError, KeyError, UnicodeError
        expected = "a safetensors file" if path.suffix == ".safetensors" else "a file written by torch.save"
        reason = f": {printable(error)}" if type(error) is ValueError else ""
        raise CheckpointError(f"{path}: expected {expected}, found something else or a damaged one{reason}") from error


def load_safetensors(path: Path) -> dict[str, Tensor]:
    """Read all tensors of a safetensors file; the format's library checks their places and sizes.

    Raises:
        ValueError: the file is something else or damaged.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(8)
    if len(start) < 8:
        raise ValueError("no header")
    if (size := struct.unpack("<Q", start)[0]) > MAX_HEADER_BYTES:
        raise ValueError(f"a header of {size} bytes, expected at most {MAX_HEADER_BYTES}")
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(str(error)[:200]) from error


def check_pickle(data: bytes) -> int:
    """Check a pickle's opcodes without running them, and return its length.

    Each value on the stack is followed by the number of values that it unfolds to and by its depth, which bounds what
    hashing it could cost. What a memoized list or dict gets later is not followed: only tuples can be hashed.

    Raises:
        ValueError: too many opcodes or values, or an opcode that torch's own files do not have.
    """
    stack: list[tuple[int, int]] = []
    marks: list[int] = []
    memo: dict[object, tuple[int, int]] = {}
    stream = BytesIO(data)
    for number, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
        name = opcode.name
        if number > MAX_OPCODES:
            raise ValueError(f"a pickle of more than {MAX_OPCODES} opcodes")
        if name == "GLOBAL" and argument not in GLOBALS:
            raise _UnsafeError(printable(re.sub(r"^(builtins|__builtin__)\.", "", str(argument).replace(" ", ".", 1))))
        if name not in OPCODES:
            raise ValueError(f"the opcode {name} in a pickle")
        if name == "MARK":
            marks.append(len(stack))
        elif name in MEMO_PUT:
            memo[argument] = stack[-1]
        elif name in MEMO_GET:
            stack.append(memo[argument])
        elif not opcode.stack_before:
            stack.extend([(1, 1)] * len(opcode.stack_after))
        else:
            taken = len(opcode.stack_before)
            if pickletools.markobject in opcode.stack_before:
                taken = len(stack) - marks.pop() + taken - 2  # "mark" and "what follows it" are two of the entries
            if taken > len(stack):
                raise ValueError("a pickle that takes more values than it has")
            parts = stack[len(stack) - taken :]
            del stack[len(stack) - taken :]
            mutated = name in MUTATING  # the first part then stays on the stack, and the others are one level deeper
            depth = max((deep + (not mutated or place > 0) for place, (_, deep) in enumerate(parts)), default=1)
            count = 1 + sum(unfolded for unfolded, _ in parts)
            if count > MAX_OPCODES or depth > MAX_DEPTH:
                raise ValueError(f"containers that unfold to {count} values in {depth} levels")
            stack.extend([(count, depth)] * len(opcode.stack_after))
    return stream.tell()


class _Plain:
    """Turns a loaded value into plain containers, and adds up what it unfolds to.

    A pickle may set attributes of an OrderedDict, such as `items`, so its methods are not called on it.

    Args:
        size: bytes of the file.
    """

    def __init__(self, size: int) -> None:
        self.size, self.values, self.bytes = size, 0, 0

    def __call__(self, value: object, depth: int = 0) -> object:
        self.values += 1
        if self.values > MAX_VALUES or depth > MAX_DEPTH:
            raise ValueError("containers that contain themselves, or each other too many times")
        if isinstance(value, argparse.Namespace):
            value = vars(value)
        if isinstance(value, dict):
            return {key: self(inner, depth + 1) for key, inner in dict.items(value)}
        if isinstance(value, list | tuple | set):
            inner = [self(one, depth + 1) for one in value]
            return tuple(inner) if isinstance(value, tuple) else inner
        if isinstance(value, Tensor):
            # A stride of 0 makes a tensor of any shape from four bytes; copying or comparing it would take them all.
            self.bytes += value.numel() * value.element_size()
            if self.bytes > MAX_REUSE * self.size or value.ndim > 8 or max(value.shape, default=0) > 2**31:
                raise ValueError(f"a tensor {list(value.shape[:8])} of more numbers than are in the file")
            return value.detach()
        if value is None or isinstance(value, bool | int | float | str | torch.device):
            return value
        raise ValueError(f"a {type(value).__name__} among tensors and plain values")


def _archived_pickle(path: Path, data: mmap.mmap) -> bytes:
    """The pickle of an archive that Python's and torch's zip readers understand alike.

    torch's reader takes the directory from where the end record points, Python's from right before that record, and
    torch's ignores the case of names. A file that uses such a difference could show this check a harmless pickle.
    """
    end = len(data) - 22
    size, offset = struct.unpack("<II", data[end + 12 : end + 20])
    if data[end : end + 4] != b"PK\5\6" or data[-2:] != b"\0\0":
        raise ValueError("an archive with something after its end")
    if data[end - 20 : end - 16] == b"PK\6\7":  # the second end record of archives of more than 4 GiB
        end -= 76
        wide = struct.unpack("<QQ", data[end + 40 : end + 56])
        pointer = struct.unpack("<Q", data[end + 64 : end + 72])[0]
        if data[end : end + 4] != b"PK\6\6" or pointer != end or size not in (wide[0], 2**32 - 1):
            raise ValueError("an archive with two ends")
        if offset not in (wide[1], 2**32 - 1):
            raise ValueError("an archive with two ends")
        size, offset = wide
    if size > MAX_HEADER_BYTES or offset + size != end:
        raise ValueError(f"an archive's directory of {size} bytes elsewhere than expected")
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        names = [entry.filename.lower() for entry in entries]
        pickles = [entry for entry in entries if entry.filename.split("/")[-1] == "data.pkl"]
        if not all(entry.filename == entry.orig_filename and entry.filename.isascii() for entry in entries):
            raise ValueError("an archive with unreadable names")
        if len(set(names)) < len(names) or [name.split("/")[-1] for name in names].count("data.pkl") != 1:
            raise ValueError("an archive with two entries of one name, or without data.pkl")
        if any(entry.compress_type for entry in entries) or sum(entry.file_size for entry in entries) > len(data):
            raise ValueError("a compressed archive; torch.save does not compress")
        if pickles[0].file_size > MAX_PICKLE_BYTES:
            raise ValueError(f"a pickle of {pickles[0].file_size} bytes")
        return archive.read(pickles[0])


def printable(text: object, length: int = 80) -> str:
    """Somebody else's text as a short line that cannot steer a terminal."""
    line = str(text)[:length].encode("unicode_escape").decode("ascii")
    return line if len(line) < length else f"{line[: length - 3]}..."


def few(names: Iterable[object]) -> str:
    """Up to four names in their order, and how many more there are."""
    ordered = sorted(map(printable, names))
    more = f" and {len(ordered) - 4} more" if len(ordered) > 4 else ""
    return (", ".join(ordered[:4]) or "nothing") + more


def is_state(value: object) -> bool:
    """Whether a value is a state dict: a mapping to tensors alone, and not empty."""
    return isinstance(value, Mapping) and bool(value) and all(isinstance(one, Tensor) for one in value.values())
