"""Tar shards and zip archives, read at random through an index of offsets."""

from __future__ import annotations

import struct
import tarfile
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import BinaryIO, NamedTuple

from i2i.data.sources.blobs import Blob
from i2i.data.sources.tree import Source, clean_name
from i2i.errors import DataError, SourceError

TAR, ZIP = ".tar", ".zip"
COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")
"""Tar files that cannot be read at random."""
_MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
_BLOCK = 512
_LOCAL_HEADER = 30
_STORED, _DEFLATED = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED


class Extent(NamedTuple):
    """Where the bytes of a file are.

    Args:
        blob: number of the shard.
        offset: of the first byte; in a zip archive that of the file's header.
        size: in bytes, as stored.
        full_size: in bytes, once decompressed.
        crc: CRC-32 of the file, or None where the archive holds none.
        deflated: whether the bytes are compressed.
    """

    blob: int
    offset: int
    size: int
    full_size: int
    crc: int | None = None
    deflated: bool = False


class ArchiveSource(Source):
    """The files of one or more archives as one tree.

    Shards in the layout of webdataset may hold several images under one key, `0001.a.jpg` and `0001.b.jpg`. Where every
    key has the same two or more of them, each is presented as a folder: `a/0001.jpg` and `b/0001.jpg`.

    Args:
        name: the location as it was given.
        blobs: the shards, all tar or all zip.

    Raises:
        DataError: a shard is cut off, damaged, compressed or encrypted, or two shards hold a file of the same name.
    """

    def __init__(self, name: str, blobs: Sequence[Blob]) -> None:
        self.blobs = list(blobs)
        self.extents: dict[str, Extent] = {}
        links = 0
        for number, blob in enumerate(self.blobs):
            own: dict[str, Extent] = {}
            index = _index_zip if blob.name.lower().endswith(ZIP) else _index_tar
            with blob.open() as file:
                links += index(file, blob.name, number, own)
            if twice := next((name for name in own if name in self.extents), None):
                first = self.blobs[self.extents[twice].blob].name
                raise DataError(
                    f"{first} and {blob.name} both hold {twice}, so one of the two would be lost; give each file of a "
                    "set of shards a name of its own"
                )
            self.extents |= own
        if (fields := _fields(self.extents)) is not None:
            self.extents = fields
        shards = [f"{len(self.blobs)} shards"] if len(self.blobs) > 1 else []
        super().__init__(name, self.extents, shards, links)

    def read(self, name: str) -> bytes:
        extent = self.extents[name]
        blob = self.blobs[extent.blob]
        offset = extent.offset
        if extent.crc is not None:  # a zip archive: the lengths in the local header differ from those of the index
            header = blob.read(offset, _LOCAL_HEADER)
            if len(header) < _LOCAL_HEADER or not header.startswith(b"PK\x03\x04"):
                raise DataError(f"{blob.name} is damaged: it holds no file at byte {offset}")
            offset += _LOCAL_HEADER + sum(struct.unpack("<HH", header[26:30]))
        data = blob.read(offset, extent.size)
        if len(data) < extent.size:
            raise SourceError(f"{blob.name} is cut off: {name} needs byte {offset + extent.size}")
        if extent.deflated:
            try:
                # The index says the size, so that a small file cannot fill the memory.
                data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, extent.full_size + 1)
            except zlib.error as error:
                raise DataError(f"it is damaged in {blob.name} ({error})") from error
        if extent.crc is not None and (len(data) != extent.full_size or zlib.crc32(data) != extent.crc):
            raise DataError(f"it is damaged in {blob.name}: its checksum is wrong")
        return data


def _index_tar(file: BinaryIO, name: str, number: int, extents: dict[str, Extent]) -> int:
    """Adds the files of a tar archive; returns how many links were passed over."""
    links = 0
    try:
        with tarfile.open(fileobj=file, mode="r:") as archive:
            while (member := archive.next()) is not None:
                archive.members = []  # type: ignore[attr-defined]  # or it keeps an object for each file
                links += member.issym() or member.islnk()
                inside = clean_name(member.name)
                if inside is not None and member.isreg() and not member.issparse():
                    extents[inside] = Extent(number, member.offset_data, member.size, member.size)
            # tarfile ends at anything that is no header, without an error; a whole archive ends with empty blocks.
            file.seek(archive.offset)
            rest = file.read(_BLOCK)
    except tarfile.ReadError as error:
        if str(error) == "unexpected end of data":
            raise _cut_off(name, len(extents)) from error
        raise DataError(_not_an_archive(file, name, "tar", str(error))) from error
    if len(rest) < _BLOCK:
        raise _cut_off(name, len(extents))
    if any(rest):
        raise DataError(f"{name} is damaged at byte {archive.offset}, after {len(extents)} files; copy it again")
    return links


def _cut_off(name: str, files: int) -> DataError:
    return DataError(f"{name} is cut off: it ends after {files} files, without the end of an archive; copy it again")


def _index_zip(file: BinaryIO, name: str, number: int, extents: dict[str, Extent]) -> int:
    """Adds the files of a zip archive; its links are files of text, which are no images."""
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise DataError(_not_an_archive(file, name, "zip", str(error))) from error
    for member in members:
        inside = clean_name(member.filename)
        if inside is None or member.is_dir():
            continue
        if member.flag_bits & 1:
            raise DataError(f"{name} is encrypted ({member.filename}); extract it into a folder")
        if member.compress_type not in (_STORED, _DEFLATED):
            kind = zipfile.compressor_names.get(member.compress_type, f"method {member.compress_type}")  # type: ignore[attr-defined]
            raise DataError(f"{name} is compressed with {kind} ({member.filename}); extract it, or zip it with deflate")
        extents[inside] = Extent(
            number,
            member.header_offset,
            member.compress_size,
            member.file_size,
            member.CRC,
            member.compress_type == _DEFLATED,
        )
    return 0


def _not_an_archive(file: BinaryIO, name: str, kind: str, reason: str) -> str:
    file.seek(0)
    start = file.read(6)
    if not start:
        return f"{name} is empty (0 bytes)"
    compression = next((word for magic, word in _MAGIC.items() if start.startswith(magic)), None)
    if kind == "tar" and compression is not None:
        return f"{name} is compressed with {compression}, so it cannot be read at random; decompress it to a .tar file"
    if kind == "zip" and start.startswith(b"PK"):
        return f"{name} is cut off or damaged ({reason}); copy it again"
    return f"{name} is no {kind} archive ({reason})"


def _fields(extents: dict[str, Extent]) -> dict[str, Extent] | None:
    """Files by field and key, where every key has the same two or more fields `KEY.FIELD.SUFFIX`; else None."""
    by_key: dict[str, dict[str, str]] = defaultdict(dict)
    for name in extents:
        folder, _, base = name.rpartition("/")
        key, *rest = base.split(".")
        if key and len(rest) == 2:
            by_key[f"{folder}/{key}" if folder else key][rest[0]] = name
    sets = {frozenset(fields) for fields in by_key.values()}
    if len(by_key) < 2 or len(sets) != 1 or len(next(iter(sets))) < 2:
        return None
    renamed = {
        name: (PurePosixPath(field) / f"{key}{PurePosixPath(name).suffix}").as_posix()
        for key, fields in by_key.items()
        for field, name in fields.items()
    }
    return {renamed.get(name, name): extent for name, extent in extents.items()}


def reject_compressed(names: Iterable[str]) -> None:
    """Refuses tar files that cannot be read at random.

    Raises:
        DataError: names the first.
    """
    for name in names:
        if name.lower().endswith(COMPRESSED):
            raise DataError(f"{name} is compressed, so it cannot be read at random; decompress it to a .tar file")
