"""The two formats of `torch.save`: where a file's pickle and its storages lie."""

from __future__ import annotations

import mmap
import zipfile
from collections.abc import Sequence
from pathlib import Path

from i2i.errors import CheckpointError
from i2i.nn.foreign.bounds import size_of
from i2i.nn.foreign.pickles import MOST_BYTES, Damaged, Pickle, read

BEGINNING = (0x1950A86A20F9469CFC6C, 1001)
"""Files from before torch 1.6 hold these, the system, the value and its storages' keys as pickles; then storages."""
DIRECTORY = 2**24
"""Bytes of an archive's directory; Python makes some objects of each of its entries."""


def of_archive(path: Path, data: mmap.mmap) -> tuple[Pickle, dict[str, int]]:
    """Its pickle, and where each storage begins."""
    _check_end(data)
    with zipfile.ZipFile(path) as archive:
        _check_names(archive.infolist())
        entries = {entry.filename: entry for entry in archive.infolist()}
        unpacked = sum(entry.file_size for entry in archive.infolist())
        if unpacked > len(data) or any(entry.compress_type for entry in archive.infolist()):
            raise CheckpointError(
                f"{path}: refused, since it would unpack to {unpacked} bytes; torch.save does not compress"
            )
        main = next(name for name in entries if name.split("/")[-1] == "data.pkl")
        root = main.removesuffix("data.pkl")
        if f"{root}byteorder" in entries and archive.read(f"{root}byteorder") != b"little":
            raise Damaged("numbers that are not little-endian")
        if entries[main].file_size > MOST_BYTES:
            raise Damaged(f"a pickle of {entries[main].file_size} bytes")
        pickle = read(archive.read(main))
    places = {}
    for key, storage in pickle.storages.items():
        entry = entries[f"{root}data/{key}"]
        if entry.file_size != size_of(storage):
            raise Damaged(f"a storage of {entry.file_size} bytes that should have {size_of(storage)}")
        begin = entry.header_offset
        lengths = (int.from_bytes(data[begin + at : begin + at + 2], "little") for at in (26, 28))
        places[key] = begin + 30 + sum(lengths)  # behind the entry's own header, name and padding
    return pickle, places


def _check_end(data: mmap.mmap) -> None:
    """Sees that every reader finds the same directory: at the file's end, where it says to be, and no other.

    Python takes what lies before the end for the directory and moves all places accordingly; torch's reader goes where
    the end points. A file with two directories would show the one a good pickle and the other one a bad one.
    """
    end = len(data) - 22
    size, offset = (int.from_bytes(data[end + at : end + at + 4], "little") for at in (12, 16))
    if data[end : end + 4] != b"PK\5\6" or data[-2:] != b"\0\0":
        raise Damaged("an archive with something behind its end")
    if data[end - 20 : end - 16] == b"PK\6\7":  # of many GiB
        end -= 76
        if data[end : end + 4] != b"PK\6\6" or int.from_bytes(data[end + 64 : end + 72], "little") != end:
            raise Damaged("an archive of two ends")
        wide = tuple(int.from_bytes(data[end + at : end + at + 8], "little") for at in (40, 48))
        if any(short not in (one, 2**32 - 1) for short, one in zip((size, offset), wide, strict=True)):
            raise Damaged("an archive of two ends")
        size, offset = wide
    if size > DIRECTORY:
        raise Damaged(f"an archive's directory of {size} bytes")
    if offset + size != end:
        raise Damaged("an archive whose directory is elsewhere than it says")


def _check_names(entries: Sequence[zipfile.ZipInfo]) -> None:
    """Sees that every reader finds the same entry by a name; torch's does not tell large letters from small ones."""
    names = [entry.filename.lower() for entry in entries]
    plain = all(entry.filename == entry.orig_filename and entry.filename.isascii() for entry in entries)
    if not plain or len(set(names)) < len(names) or [name.split("/")[-1] for name in names].count("data.pkl") > 1:
        raise Damaged("an archive with two entries of one name")


def of_stream(data: mmap.mmap) -> tuple[Pickle, dict[str, int]]:
    """Its fourth pickle, and where each storage begins."""
    begin, found = 0, []
    for number in range(5):
        found.append(read(data[begin : begin + MOST_BYTES]))
        begin += found[-1].size
        if number < len(BEGINNING) and found[number].value != BEGINNING[number]:
            raise Damaged("another beginning")
    system, pickle, keys = found[2].value, found[3], found[4].value
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise Damaged("numbers that are not little-endian")
    if not isinstance(keys, list) or sorted(keys) != sorted(pickle.storages):
        raise Damaged("other storages than its tensors have")
    places = {}
    for key in keys:
        storage = pickle.storages[key]
        if int.from_bytes(data[begin : begin + 8], "little") != storage.count:
            raise Damaged(f"a storage that does not have {storage.count} numbers")
        places[key] = begin + 8
        begin += 8 + size_of(storage)
    return pickle, places
