"""How published data sets name the folders of their domains, and of training, validation and test images."""

from __future__ import annotations

from collections.abc import Sequence

from i2i.data.sources.locate import Place
from i2i.errors import DataError

# Training, then test and validation in the place of {split}; {D} is A or B, {d} is a or b.
_UNPAIRED = (
    ("train{D}", "{split}{D}"),
    ("train_{d}", "{split}_{d}"),
    ("train/{D}", "{split}/{D}"),
    ("train/{d}", "{split}/{d}"),
    ("train/image{D}", "{split}/image{D}"),
    ("image{D}", "{split}_image{D}"),
    ("train/train{D}", "train/{split}{D}"),
    ("{d}", "{split}_{d}"),
    ("{D}", "{split}{D}"),
)
SPLITS = {"test": ("test", "testing"), "val": ("val", "valid", "validation")}
"""Names of the folders of test and validation images, in lower case or capitalized."""


def find_unpaired(root: Place, domains: Sequence[str] = ("a", "b")) -> dict[str, Place] | None:
    """The folders of a root that holds a folder for each of two domains; None if it has no known layout.

    Returns:
        folders: by domain; those of `test_DOMAIN` and `val_DOMAIN` where there are any.
    """
    for train, held_out in _UNPAIRED:
        folders: dict[str, Place] = {domain: root / train.format(d=domain, D=domain.upper()) for domain in domains}
        if all(folder.is_dir() for folder in folders.values()):
            for domain in domains:
                for split, names in SPLITS.items():
                    candidates = (root / held_out.format(split=name, d=domain, D=domain.upper()) for name in names)
                    found = next((folder for folder in candidates if folder.is_dir()), None)
                    if found is not None:
                        folders[f"{split}_{domain}"] = found
            return folders
    return None


def find_splits(folder: Place) -> dict[str, Place]:
    """Folders `train`, `test` and `val` of a folder, in any of their spellings."""
    names = {"train": ("train", "training"), **SPLITS}
    found: dict[str, Place] = {}
    for split, spellings in names.items():
        candidates = (folder / form(name) for name in spellings for form in (str.lower, str.capitalize))
        existing = next((place for place in candidates if place.is_dir()), None)
        if existing is not None:
            found[split] = existing
    return found


def divide(folder: Place, option: str, test_option: str) -> dict[str, Place]:
    """A folder's parts `train`, `test` and `val`, if it is divided; otherwise the folder itself as `train`.

    Args:
        folder: a folder of training images.
        option: what the recipe calls it.
        test_option: what it calls the folder of test images.

    Raises:
        DataError: it holds test images and no folder `train`.
    """
    parts = find_splits(folder)
    if "train" in parts:
        return parts
    if parts:
        held_out = next(iter(parts.values()))
        raise DataError(
            f"{folder} holds a folder {held_out.name!r}, whose images would be trained on; put the training images "
            f"into a folder 'train' next to it, or give {option} and {test_option}"
        )
    return {"train": folder}
