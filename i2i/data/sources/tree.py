"""Files by name that lie in no folder of the system, with the part of `pathlib.Path` that data sets use."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import BinaryIO

from i2i.errors import DataError


class Source(ABC):
    """Files by name, read at random; a subclass says where their bytes are.

    A source is pickled with the data set, and forked workers share it, so it holds no open file and no connection.

    Args:
        name: the location as it was given, for messages.
        names: of the files, with `/` between folders, in any order.
        notes: what else is worth knowing, one line each, such as a revision and a licence.
        links: how many links were passed over.
    """

    def __init__(self, name: str, names: Iterable[str], notes: Iterable[str] = (), links: int = 0) -> None:
        self.name = name
        self.names = sorted(names)
        self.notes, self.links = tuple(notes), links
        folders = {""}
        for file in self.names:
            end = file.rfind("/")
            while end > 0 and file[:end] not in folders:
                folders.add(file[:end])
                end = file.rfind("/", 0, end)
        self.folders = frozenset(folders)

    @abstractmethod
    def read(self, name: str) -> bytes:
        """The bytes of a file.

        Raises:
            SourceError: the source cannot be read.
            DataError: this file is damaged.
        """

    def has_file(self, name: str) -> bool:
        place = bisect_left(self.names, name)
        return place < len(self.names) and self.names[place] == name

    def below(self, folder: str) -> list[str]:
        """Names of all files in a folder and its subfolders."""
        if not folder:
            return self.names
        first = bisect_left(self.names, f"{folder}/")
        return self.names[first : bisect_left(self.names, f"{folder}0")]  # "0" is the code point after "/"


class SourcePath:
    """A file or folder of a source; it may not exist.

    It has the methods of `pathlib.Path` that data sets use, so that they need not know where their images lie.

    Args:
        source: what it lies in.
        inside: its name there, `""` for the source as a whole.
    """

    __slots__ = ("inside", "source")

    def __init__(self, source: Source, inside: str = "") -> None:
        self.source, self.inside = source, inside

    def __str__(self) -> str:
        return f"{self.source.name}/{self.inside}" if self.inside else self.source.name

    def __repr__(self) -> str:
        return f"SourcePath({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SourcePath) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __lt__(self, other: SourcePath) -> bool:
        return self._key() < other._key()

    def __truediv__(self, name: str | PurePosixPath) -> SourcePath:
        inside = (PurePosixPath(self.inside) / name).as_posix()
        return SourcePath(self.source, "" if inside == "." else inside)

    def _key(self) -> tuple[str, str]:
        return self.source.name, self.inside

    @property
    def name(self) -> str:
        """Last part of the path."""
        return PurePosixPath(self.inside or self.source.name).name

    @property
    def stem(self) -> str:
        """Name without suffix."""
        return PurePosixPath(self.name).stem

    @property
    def suffix(self) -> str:
        """Ending of the name, with its dot."""
        return PurePosixPath(self.name).suffix

    @property
    def parent(self) -> SourcePath:
        """Folder that it lies in; the source's own is itself."""
        return SourcePath(self.source, self.inside.rpartition("/")[0])

    def relative_to(self, folder: SourcePath) -> PurePosixPath:
        """Path from a folder of the same source."""
        return PurePosixPath(self.inside).relative_to(folder.inside)

    def resolve(self) -> SourcePath:
        """The path itself: a source has no links."""
        return self

    def exists(self) -> bool:
        return self.is_dir() or self.is_file()

    def is_dir(self) -> bool:
        return self.inside in self.source.folders

    def is_file(self) -> bool:
        return self.source.has_file(self.inside)

    def iterdir(self) -> Iterator[SourcePath]:
        """Files and folders of a folder, by name."""
        start = len(self.inside) + 1 if self.inside else 0
        heads = (file[start:].partition("/")[0] for file in self.source.below(self.inside))
        return (self / head for head in dict.fromkeys(heads))

    def files(self) -> Iterator[SourcePath]:
        """All files of a folder and its subfolders, by name."""
        return (SourcePath(self.source, name) for name in self.source.below(self.inside))

    def read_bytes(self) -> bytes:
        if not self.is_file():
            raise DataError(f"{self} does not exist")
        return self.source.read(self.inside)

    def open(self, mode: str = "rb") -> BinaryIO:
        """The file's bytes as a stream; it can only be read."""
        if mode != "rb":
            raise ValueError(f"{self}: expected mode 'rb', got {mode!r}")
        return io.BytesIO(self.read_bytes())


def clean_name(name: str) -> str | None:
    """A name as archives write it, without a leading `/` or `./`; None if it leads out of the archive or nowhere."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    return None if not parts or ".." in parts else "/".join(parts)
