"""Lists the images of a folder, and counts the files that are passed over."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from i2i.data.decoding import SUFFIXES
from i2i.data.locations import check_folder
from i2i.data.sources.locate import Place
from i2i.data.sources.tree import SourcePath
from i2i.errors import DataError

_MOST_KINDS = 8
_HELD_OUT = frozenset(("test", "testing", "val", "valid", "validation"))
"""Names of folders, in any case, whose images are never meant for training."""


@dataclass
class Listing:
    """The files of a folder and its subfolders.

    Args:
        folder: where they are.
        images: files whose names end in the suffix of an image format, in an order that is the same on every system.
        passed_over: how many other files there are by suffix; hidden ones do not count.
        links: how many links lead to folders or out of the folder; they are not followed.
    """

    folder: Place
    images: list[Place]
    passed_over: Counter[str] = field(default_factory=Counter)
    links: int = 0

    def relative(self, image: Place) -> PurePath:
        """Path of an image from the folder."""
        return relative_path(image, self.folder)

    def describe(self, held_back: int = 0) -> str:
        """Counts in one line, such as `1 image; passed over .HEIC 5, no suffix 5`.

        Args:
            held_back: how many of the images are held back for validation.
        """
        count = len(self.images) - held_back
        parts = [f"{suffix} {number}" for suffix, number in self.passed_over.most_common(_MOST_KINDS)]
        if (more := len(self.passed_over) - _MOST_KINDS) > 0:
            parts.append(f"{more} other suffixes")
        if self.links:
            parts.append(f"links {self.links}")
        line = f"{count} image{'' if count == 1 else 's'}" + (f", {held_back} for validation" if held_back else "")
        return f"{line}; passed over {', '.join(parts)}" if parts else line


def list_images(folder: Place, training: str | None = None) -> Listing:
    """Lists the images in a folder and its subfolders.

    A file is an image if its name ends in one of `SUFFIXES`, in upper or lower case. Hidden files and folders (`.name`)
    are passed over, and so are links to folders and links to files outside `folder`.

    Args:
        folder: where to look.
        training: what the recipe calls the folder, if its images are trained on. Then a subfolder of test images is an
            error.

    Raises:
        DataError: the folder is missing, is a file, cannot be listed, or holds no image, or test images in training.
    """
    check_folder(folder)
    listing = _of_source(folder) if isinstance(folder, SourcePath) else _of_system(folder)
    if not listing.images:
        raise DataError(_no_image(listing))
    # By code points of the relative path in NFC, because macOS may hand out NFD.
    start = len(folder.inside) + bool(folder.inside) if isinstance(folder, SourcePath) else 0

    def key(image: Place) -> tuple[str, str]:
        name = image.inside[start:] if isinstance(image, SourcePath) else listing.relative(image).as_posix()
        return unicodedata.normalize("NFC", name), name

    listing.images.sort(key=key)
    if training is not None:
        _refuse_held_out(listing, training)
    return listing


def relative_path(path: Place, folder: Place) -> PurePath:
    """Path of a file from a folder that it lies in."""
    if isinstance(path, SourcePath):
        assert isinstance(folder, SourcePath)
        return path.relative_to(folder)
    assert isinstance(folder, Path)
    return path.relative_to(folder)


def lies_in(inner: Place, outer: Place) -> bool:
    """Whether a folder is another one, or lies in it."""
    if isinstance(inner, SourcePath) and isinstance(outer, SourcePath):
        same = inner.source.name == outer.source.name
        return same and (inner.inside == outer.inside or f"{inner.inside}/".startswith(f"{outer.inside}/".lstrip("/")))
    if isinstance(inner, Path) and isinstance(outer, Path):
        return inner.resolve().is_relative_to(outer.resolve())
    return False


def _of_source(folder: SourcePath) -> Listing:
    listing = Listing(folder, [], links=folder.source.links)
    for path in folder.files():
        if "/." not in f"/{path.inside[len(folder.inside) :].lstrip('/')}":
            _sort_in(listing, path)
    return listing


def _of_system(folder: Path) -> Listing:
    home = folder.resolve()
    listing = Listing(folder, [])
    for parent, folders, names in os.walk(folder, onerror=_cannot_list):
        folders[:] = [name for name in folders if not name.startswith(".")]
        listing.links += sum(Path(parent, name).is_symlink() for name in folders)  # os.walk does not enter them
        for name in names:
            path = Path(parent, name)
            if name.startswith("."):
                continue
            if path.suffix.lower() in SUFFIXES and path.is_symlink() and not _target(path).is_relative_to(home):
                listing.links += 1
            else:
                _sort_in(listing, path)
    return listing


def _sort_in(listing: Listing, path: Place) -> None:
    if path.suffix.lower() in SUFFIXES:
        listing.images.append(path)
    else:
        listing.passed_over[path.suffix or "no suffix"] += 1


def _target(link: Path) -> Path:
    # Path.resolve() raises on a link to itself up to Python 3.12.
    return Path(os.path.realpath(link))


def _cannot_list(error: OSError) -> None:
    raise DataError(f"cannot list folder {error.filename}: the system says {error.strerror!r}") from error


def _no_image(listing: Listing) -> str:
    found = "nothing"
    if total := listing.passed_over.total():
        kinds = ", ".join(f"{suffix} {count}" for suffix, count in listing.passed_over.most_common(_MOST_KINDS))
        found = f"{total} file{'s' * (total > 1)}, none of them an image: {kinds}"
    if links := listing.links:
        found += f"; and {links} link{'s' * (links > 1)} to folders or out of the folder, which are not followed"
    packed = next((end for end in (".tar", ".zip", ".tgz", ".parquet") if listing.passed_over[end]), None)
    hint = f". For shards, give {listing.folder}/*{packed}" if packed in (".tar", ".zip") else ""
    return f"folder {listing.folder} holds no image; looked for {' '.join(sorted(SUFFIXES))}, found {found}{hint}"


def _refuse_held_out(listing: Listing, training: str) -> None:
    for image in listing.images:
        parts: Sequence[str] = listing.relative(image).parts[:-1]
        found = next((number for number, part in enumerate(parts) if part.lower() in _HELD_OUT), None)
        if found is not None:
            inner = "/".join(parts[: found + 1])
            raise DataError(
                f"{listing.folder} holds a folder {inner!r}, whose images would be trained on; put the training images "
                f"into a folder 'train' next to it, or give {training} and its test folder by their options"
            )
