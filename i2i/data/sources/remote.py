"""Folders and archives behind URLs, through fsspec."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from urllib.parse import unquote

from i2i.data.decoding import SUFFIXES
from i2i.data.sources.archives import ArchiveSource, reject_compressed
from i2i.data.sources.blobs import Blob, RemoteBlob, attempt, file_system_of
from i2i.data.sources.patterns import expand_braces, split_at_archive
from i2i.data.sources.tree import Source, SourcePath
from i2i.errors import SourceError


class FileSource(Source):
    """Files by name, each a file of its own.

    Args:
        name: the location as it was given.
        blobs: the files.
        notes: see `Source`.
    """

    def __init__(self, name: str, blobs: Mapping[str, Blob], notes: tuple[str, ...] = ()) -> None:
        self.blobs = dict(blobs)
        super().__init__(name, self.blobs, notes)

    def read(self, name: str) -> bytes:
        return self.blobs[name].read_all()


def locate_url(url: str) -> SourcePath:
    """A folder or archive behind a URL.

    Args:
        url: `PROTOCOL://...`: a folder, an image, or an archive and perhaps a folder in it; shards as `{0000..0009}` or
            `*`.

    Raises:
        SourceError: it does not exist or cannot be read.
    """
    reject_compressed([url])
    archive, inside = split_at_archive(url)
    if archive is not None:
        urls = [one for pattern in expand_braces(archive) for one in _matches(pattern)]
        return SourcePath(ArchiveSource(archive, [RemoteBlob(one) for one in urls]), inside)
    file_system, path = file_system_of(url)
    parent, _, name = url.rpartition("/")
    if PurePosixPath(name).suffix.lower() in SUFFIXES:
        return SourcePath(FileSource(parent, {name: RemoteBlob(url)}), name)
    home = path.rstrip("/")
    found: Mapping[str, object] = attempt(url, lambda: file_system.find(path, detail=True))
    if not found:
        attempt(url, lambda: file_system.ls(path))  # where `find` returns nothing, `ls` may say why
        raise SourceError(f"{url} does not exist, or holds no file")
    decode = unquote if url.lower().startswith(("http://", "https://")) else str  # only these write %20 for a blank
    names = {file: decode(file[len(home) :].lstrip("/")) for file in found if file.startswith(f"{home}/")}
    blobs = {name: RemoteBlob(str(file_system.unstrip_protocol(file))) for file, name in names.items()}
    return SourcePath(FileSource(url.rstrip("/"), blobs))


def _matches(url: str) -> list[str]:
    if "*" not in url and "?" not in url:
        return [url]
    file_system, path = file_system_of(url)
    found = sorted(attempt(url, lambda: file_system.glob(path)))
    if not found:
        raise SourceError(f"{url} matches no file")
    return [str(file_system.unstrip_protocol(file)) for file in found]
