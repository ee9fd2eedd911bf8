"""Whether training images are where a recipe says, found without torch, whose import takes seconds."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from i2i.data.sources.archives import COMPRESSED, TAR, ZIP
from i2i.data.sources.tables import PARQUET, is_table
from i2i.data.sources.tree import SourcePath
from i2i.errors import DataError

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")  # two letters at least: C:/ is a drive
_PACKED = (TAR, ZIP, PARQUET, *COMPRESSED)


def is_url(location: Path | str) -> bool:
    """Whether a location is a URL, such as `s3://bucket/folder`."""
    return _URL.match(str(location)) is not None


Location = Annotated[str | Path, AfterValidator(lambda value: str(value) if is_url(value) else Path(value))]
"""An option that names a folder or file wherever `i2i.data.images.as_path` finds it: paths, archives, tables, URLs."""

_EXPECTED = {
    "folders": "expected two folders of training images, got {given}; give data.a and data.b, a folder each, or "
    "data.root, a folder that holds trainA and trainB",
    "domains": "expected a folder for each domain, got {given}; give data.root, a folder that holds a folder for each "
    "name in data.domains",
    "single_image": "expected two images, got {given}; give data.a and data.b, a file each",
    "paired": "expected pairs of images, got {given}; give data.root, a folder of side-by-side images, or data.a and "
    "data.b, two folders with the same file names",
}
"""What the data sets that read files say when none were given."""


def not_given(type: str, given: Iterable[str]) -> DataError:
    """Return the error for a data set whose files or folders were not given, or not in a combination that it takes.

    Args:
        type: name of the data set.
        given: the options that were.
    """
    return DataError(_EXPECTED[type].format(given=" and ".join(given) or "none"))


def check_locations(data: Mapping[str, object]) -> None:
    """Check a recipe's table `[data]` as it was written: an early answer, which the data set itself repeats in full.

    Raises:
        DataError: files or folders were not given, or do not exist.
    """
    type = data.get("type", "folders")
    if type not in _EXPECTED:
        return
    names = ("root", "a", "b")
    paths = {name: str(data[name]) for name in names if data.get(name) not in (None, "none")}
    if "root" not in paths and not {"a", "b"} <= paths.keys():
        raise not_given(str(type), [f"data.{name}" for name in paths])
    problems = []
    for path in map(Path, filter(_is_folder, paths.values())):
        try:
            if type != "single_image":
                check_folder(path)
        except DataError as error:
            problems.append(str(error))
    if problems:
        raise DataError("\n".join(problems))


def _is_folder(location: str) -> bool:
    """Whether a location can only be a folder of the system: no URL, no archive, and not in a table."""
    path = Path(location).expanduser()
    if is_url(location) or any(part.lower().endswith(_PACKED) for part in path.parts):
        return False
    nearest = next((parent for parent in path.absolute().parents if parent.is_dir()), path)
    return path.exists() or not is_table(nearest)


def check_folder(folder: Path | SourcePath) -> None:
    """Check that a folder exists.

    Raises:
        DataError: names the nearest existing folder.
    """
    if folder.is_dir():
        return
    if isinstance(folder, SourcePath):
        entries = ", ".join(entry.name for entry in islice(SourcePath(folder.source).iterdir(), 8)) or "nothing"
        kind = "is a file" if folder.is_file() else "does not exist"
        raise DataError(f"folder {folder} {kind}; {folder.source.name} holds {entries}")
    if folder.exists():
        raise DataError(f"{folder} is a file, where a folder was expected; perhaps you mean {folder.parent}")
    first = folder  # the first part of the path that is missing
    while not first.parent.exists():
        first = first.parent
    siblings = sorted(entry.name for entry in first.parent.iterdir() if entry.is_dir()) if first.parent.is_dir() else []
    near = difflib.get_close_matches(first.name, siblings, n=1)
    hint = f"did you mean {first.parent / near[0]}?" if near else f"the nearest folder that exists is {first.parent}"
    raise DataError(f"folder {folder} does not exist; {hint}")
