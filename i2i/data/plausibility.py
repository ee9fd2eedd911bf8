"""Whether data can be what a recipe means by it: folders that overlap, images that are no pairs, too few images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

from i2i.data.decoding import open_limited
from i2i.data.layouts import find_splits, find_unpaired
from i2i.data.listing import Listing, lies_in, list_images
from i2i.data.sources.locate import Place
from i2i.data.sources.tree import SourcePath
from i2i.errors import DataError, SourceError

MIN_IMAGES, MIN_PAIRS = 3, 2
"""Fewer images of a domain, or pairs, are refused unless `min_images` says otherwise."""
_SAMPLE = 16


def summary_lines(option: str, listing: Listing, held_back: int = 0) -> list[str]:
    """What is in a folder, for the console and the log: counts, what was passed over, and notes of its source.

    Args:
        option: what the recipe calls the folder.
        listing: its files.
        held_back: how many of the images are held back for validation.
    """
    lines = [f"{option}: {listing.describe(held_back)}"]
    if isinstance(listing.folder, SourcePath) and listing.folder.source.notes:
        lines.append(f"{listing.folder.source.name}: {'; '.join(listing.folder.source.notes)}")
    return lines


def find_overlap(folders: Mapping[str, Place]) -> str | None:
    """A sentence on one folder under two names, or on a folder inside another one, whose images include it.

    Args:
        folders: by option.
    """
    for (first, one), (second, other) in combinations(folders.items(), 2):
        held_out = "_" in first or "_" in second
        if held_out and {first[-1], second[-1]} == {"a", "b"}:
            continue  # a test folder of one domain may hold what the other one trains on
        if lies_in(one, other) and lies_in(other, one):
            return f"{first} and {second} are one folder, {one}, so each image would be in both; give two"
        for (inner, inside), (outer, around) in (((first, one), (second, other)), ((second, other), (first, one))):
            if lies_in(inside, around):
                return (
                    f"{inner}, {inside}, lies in {outer}, {around}, whose subfolders are included, so its images would "
                    f"be in both; give two folders next to each other"
                )
    return None


def sample_sizes(images: Sequence[Place], count: int = _SAMPLE) -> list[tuple[int, int]]:
    """Widths and heights of at most `count` images, evenly spaced among all; those that cannot be read are missing."""
    sizes = []
    for image in images[:: max(1, len(images) // count)][:count]:
        try:
            with image.open("rb") as stream, open_limited(stream) as opened:
                sizes.append(opened.size)
        except SourceError:
            raise
        except Exception:  # of arrays, deep TIFFs and damaged files, which reading reports
            continue
    return sizes


def refuse_unpaired(folder: Place, option: str) -> None:
    """Refuses a folder that holds a folder for each of two domains, where side-by-side pairs were expected.

    Raises:
        DataError: names both folders.
    """
    found = find_unpaired(folder)
    if found is not None:
        raise DataError(
            f"{option}: expected side-by-side pairs, but {folder} holds {found['a'].name} and {found['b'].name}, whose "
            f"images would be cut in two; if they are unpaired, train a recipe for unpaired images (data.type = "
            f"'folders'); if images of equal names are pairs, give data.a = '{found['a']}' and data.b = '{found['b']}'"
        )


def unknown_layout(root: Place) -> str:
    """Say what a root holds in which two unpaired folders were expected; side-by-side pairs are recognized."""
    entries = ", ".join(sorted(entry.name for entry in root.iterdir())[:8]) or "nothing"
    pairs = ""
    try:
        listing = list_images(find_splits(root).get("train", root))
        sizes = sample_sizes([image for image in listing.images if len(listing.relative(image).parts) == 1])
    except DataError:
        sizes = []
    if sizes and sum(1.9 < width / height < 2.1 for width, height in sizes) > len(sizes) / 2:
        width, height = sizes[0]
        pairs = (
            f"; its images are {width} x {height}, twice as wide as high: for side-by-side pairs, train a recipe for "
            f"pairs (data.type = 'paired')"
        )
    return (
        f"data.root: expected {root} to hold trainA and trainB, got {entries}{pairs}; give data.a and data.b, a folder "
        f"each, or data.root, a folder that holds trainA and trainB"
    )


def refuse_aspect(listing: Listing, option: str, limits: tuple[float, float]) -> None:
    """Refuses images of which most cannot be two images side by side.

    Args:
        listing: the images.
        option: what the recipe calls their folder.
        limits: smallest and largest width by height.

    Raises:
        DataError: names the size of one, and the limits.
    """
    sizes = sample_sizes(listing.images)
    unlikely = [(width, height) for width, height in sizes if not limits[0] <= width / height <= limits[1]]
    if len(unlikely) > len(sizes) / 2:
        width, height = unlikely[0]
        raise DataError(
            f"{option}: expected side-by-side pairs, which are about twice as wide as high, but most images in "
            f"{listing.folder} are not (one has {width} x {height} pixels), and would be cut in two; give data.a and "
            f"data.b, two folders with the same file names, or if they are pairs, data.aspect = [0.1, 10]"
        )


def too_few(counts: Mapping[str, int], minimum: int, summary: Sequence[str]) -> str | None:
    """Why there are too few images to train on, as a sentence; None if there are enough.

    Args:
        counts: training images by domain, or pairs under `""`.
        minimum: fewest of each.
        summary: lines of `summary_lines`, which say what was passed over.
    """
    few = [domain for domain, count in counts.items() if count < minimum]
    if not few:
        return None
    found = [line for line in summary if not few[0] or any(line.startswith(f"data.{domain}: ") for domain in few)]
    return (
        f"{'. '.join(found)}. Expected at least {minimum} {'images of each domain' if few[0] else 'pairs'}, because "
        f"networks memorize fewer; to train on one image of each domain, use the recipe sincut, or set "
        f"data.min_images = {min(counts.values())} to train on these"
    )
