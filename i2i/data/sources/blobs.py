"""Byte ranges of local and remote files, read without any state that processes could share."""

from __future__ import annotations

import io
import os
import time
from abc import ABC, abstractmethod
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO, cast

from i2i.errors import DataError, SourceError

ATTEMPTS = 4
"""How often a remote range is requested before the error counts."""
FIRST_PAUSE = 0.5
"""Seconds before the second attempt; each later pause is twice as long."""
HEADER_BLOCK = 2**16
"""Bytes that a remote file is read ahead by while its index is made: most are the images between two headers."""


class Blob(ABC):
    """A file of bytes that can be read from any position.

    Nothing is kept open: a forked worker shares no file position and no connection with its parent, and a pickled one
    reads the same bytes.

    Args:
        name: path or URL, for messages.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def open(self) -> BinaryIO:
        """The file as a seekable stream, for reading an index."""

    @abstractmethod
    def read(self, offset: int, size: int) -> bytes:
        """Bytes `offset` to `offset + size`; fewer where the file ends."""

    @abstractmethod
    def read_all(self) -> bytes:
        """All bytes."""


class LocalBlob(Blob):
    """A file of this machine.

    Args:
        path: the file; its size and time of change are noted, and a file that changes later is refused.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self.path = path
        self._state = _state(path.stat())

    def open(self) -> BinaryIO:
        return self.path.open("rb")

    def read(self, offset: int, size: int) -> bytes:
        with self.path.open("rb", buffering=0) as file:
            if _state(os.fstat(file.fileno())) != self._state:
                raise SourceError(
                    f"{self.name} has changed since its index was read; start again with the new file, and write a "
                    "changed archive under a new name"
                )
            parts: list[bytes] = []
            while size > 0:
                part = _pread(file, size, offset)  # one call reads at most 2 GiB on Linux
                if not part:
                    break
                parts.append(part)
                offset, size = offset + len(part), size - len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def read_all(self) -> bytes:
        return self.read(0, self._state[0])


def _state(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns


def _pread(file: io.FileIO, size: int, offset: int) -> bytes:
    if hasattr(os, "pread"):
        return os.pread(file.fileno(), size, offset)
    file.seek(offset)  # Windows has no pread; the position belongs to this call alone, because the file does
    return file.read(size)


class RemoteBlob(Blob):
    """A file that fsspec reads.

    Args:
        url: with its protocol, such as `s3://bucket/shard.tar`.
    """

    def open(self) -> BinaryIO:
        file_system, path = file_system_of(self.name)
        return cast(BinaryIO, attempt(self.name, lambda: file_system.open(path, block_size=HEADER_BLOCK)))

    def read(self, offset: int, size: int) -> bytes:
        if size == 0:
            return b""  # an empty range is not a legal request
        file_system, path = file_system_of(self.name)
        data = bytes(attempt(self.name, lambda: file_system.cat_file(path, start=offset, end=offset + size)))
        if len(data) > size:  # a server that ignores the range sends the whole file
            data = data[offset : offset + size]
        return data

    def read_all(self) -> bytes:
        file_system, path = file_system_of(self.name)
        return bytes(attempt(self.name, lambda: file_system.cat_file(path)))


def fsspec() -> ModuleType:
    """The library, imported when it is first needed.

    Raises:
        DataError: it is not installed.
    """
    try:
        import fsspec as library
    except ImportError as error:
        raise DataError("URLs are read with fsspec, which is not installed; pip install 'i2i[remote]'") from error
    return cast(ModuleType, library)


def file_system_of(url: str) -> tuple[Any, str]:
    """fsspec's file system for a URL, and the path there; fsspec keeps one for each process.

    Raises:
        SourceError: the protocol is unknown, or its package is not installed.
    """
    try:
        file_system, path = fsspec().core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise SourceError(
            f"{url} cannot be read: {_words(error)}; pip install 'i2i[remote]' reads http and https, and fsspec names "
            "the package for other protocols"
        ) from error
    return file_system, str(path)


def attempt(url: str, request: Any) -> Any:
    """What a request returns; it is repeated after errors that may pass."""
    for number in range(ATTEMPTS):
        try:
            return request()
        except FileNotFoundError as error:
            raise SourceError(f"{url} does not exist") from error
        except PermissionError as error:
            raise SourceError(f"{url} may not be read: {_words(error)}") from error
        except Exception as error:  # each protocol has its own exceptions
            if number + 1 == ATTEMPTS:
                raise SourceError(f"{url} cannot be read after {ATTEMPTS} attempts: {_words(error)}") from error
            time.sleep(FIRST_PAUSE * 2**number)
    raise AssertionError


def _words(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
