"""Input and output files of `i2i translate`."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import NamedTuple

from i2i.errors import I2IError

WRITABLE = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".npy", ".npz"}


class Job(NamedTuple):
    """One image and the file for its translation."""

    source: Path
    target: Path

    def marked(self, mark: str) -> Path:
        """Return the file of one of several outputs: NAME.png with mark ".2" is NAME.2.png."""
        return self.target.with_name(f"{self.target.stem}{mark}{self.target.suffix}")

    def heatmap(self, mark: str) -> Path:
        """Return the file of an output's heat map."""
        return self.target.with_name(f"{self.target.stem}{mark}.heatmap.png")


def plan(
    inputs: Iterable[Path],
    output: Path,
    marks: Iterable[str] = ("",),
    heatmaps: bool = False,
    format: str | None = None,
) -> list[Job]:
    """Choose an output file for each image.

    Args:
        inputs: files and folders of images.
        output: folder of the results.
        marks: suffixes of the outputs that each image has.
        heatmaps: whether each output has a heat map.
        format: suffix of all outputs without the dot; None keeps that of each image.

    Raises:
        I2IError: two inputs have the same output, or an output would overwrite an input.
    """
    from i2i.data.images import find_images

    jobs: list[Job] = []
    for path in inputs:
        if path.is_dir():
            jobs += [Job(found, output / _named(found.relative_to(path), format)) for found in find_images(path)]
        elif path.is_file():
            jobs.append(Job(path, output / _named(Path(path.name), format)))
        else:
            raise I2IError(f"{path} does not exist; give images or folders of images")
    sources = {job.source.resolve(): job.source for job in jobs}
    taken: dict[Path, Path] = {}
    names = [Job.marked, Job.heatmap] if heatmaps else [Job.marked]
    for job, mark, name in product(jobs, marks, names):
        target = name(job, mark)
        if target in taken:
            raise I2IError(
                f"{taken[target]} and {job.source} would both be written to {target}; translate them separately"
            )
        if target.resolve() in sources:
            raise I2IError(f"{sources[target.resolve()]} would be overwritten; choose another --output")
        taken[target] = job.source
    return jobs


def _named(path: Path, format: str | None) -> Path:
    """Keep the name, with another suffix if one is wanted; use PNG where the format cannot be written well."""
    if format is not None:
        return path.with_suffix(f".{format}")
    return path if path.suffix.lower() in WRITABLE else path.with_suffix(".png")
