"""From the location in a recipe to a folder: of the system, in shards or an archive, of a table, or behind a URL."""

from __future__ import annotations

import glob
from pathlib import Path

from i2i.data.locations import is_url
from i2i.data.sources.archives import COMPRESSED, TAR, ZIP, ArchiveSource, reject_compressed
from i2i.data.sources.blobs import LocalBlob
from i2i.data.sources.hub import SCHEME, locate_hub
from i2i.data.sources.patterns import expand_braces, split_at_archive
from i2i.data.sources.remote import locate_url
from i2i.data.sources.tables import PARQUET, is_table, open_tables
from i2i.data.sources.tree import SourcePath
from i2i.errors import DataError

Place = Path | SourcePath
"""A file or folder, of the system or of a source."""


def locate(location: Place | str) -> Place:
    """The folder or file that a location names.

    Args:
        location: a path; a tar or zip archive, and perhaps a folder in it (`pairs.tar/a`); shards
            (`train-{0000..0009}.tar`, `train-*.tar`); a data set saved by Hugging Face `datasets` or as Parquet;
            `hf://datasets/OWNER/NAME`; or a URL that fsspec reads.

    Returns:
        place: a `Path` where it is one, which need not exist, or else a `SourcePath`.

    Raises:
        DataError: an archive, table or URL cannot be read; names it and says why.
    """
    if isinstance(location, SourcePath):
        return location
    text = str(location)
    if text.startswith(SCHEME):
        return locate_hub(text)
    if text.startswith("file://"):
        text = text.removeprefix("file://")
    elif is_url(text):
        return locate_url(text)
    path = Path(text).expanduser()
    if path.is_dir():
        return SourcePath(open_tables(path, str(path))) if is_table(path) else path
    if path.is_file() and not path.name.lower().endswith((TAR, ZIP, PARQUET, *COMPRESSED)):
        return path
    reject_compressed([path.name])
    archive, inside = split_at_archive(path.as_posix())
    if archive is not None:
        return SourcePath(ArchiveSource(archive, [LocalBlob(Path(file)) for file in _shards(archive)]), inside)
    table, inside = split_at_archive(path.as_posix(), (PARQUET,))
    if table is not None and Path(table).is_file():
        return SourcePath(open_tables(Path(table), table), inside)
    return path if path.exists() else _inside_table(path)


def _inside_table(path: Path) -> Place:
    """A folder of a table, whose splits, columns and classes are no folders of the system; else the path itself."""
    nearest = next(parent for parent in path.parents if parent.exists())
    if nearest.is_dir() and is_table(nearest):
        return SourcePath(open_tables(nearest, str(nearest)), path.relative_to(nearest).as_posix())
    return path


def _shards(pattern: str) -> list[str]:
    """The files of a set of shards, in the order of their names.

    Raises:
        DataError: one is missing, or a wildcard matches nothing.
    """
    files: list[str] = []
    for name in [pattern] if Path(pattern).is_file() else expand_braces(pattern):
        matches = [name] if Path(name).is_file() else sorted(glob.glob(name))  # noqa: PTH207  # the pattern is a whole path
        if not matches:
            where = f"{name}, which {pattern} names," if name != pattern else name
            raise DataError(f"{where} {'matches no file' if glob.has_magic(name) else 'does not exist'}")
        files += matches
    return files
