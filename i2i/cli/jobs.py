"""Input and output files of `i2i translate`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence, Set
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


def is_image_file(output: Path) -> bool:
    """Whether `--output` names the file of one image and not a folder."""
    return output.suffix.lower() in WRITABLE and not output.is_dir()


def check_output(inputs: Sequence[Path], output: Path, formats: Set[str], frames: bool = False) -> None:
    """Refuse an output file for several inputs, and the output of one file whose name ends in an unknown format.

    Args:
        inputs: files and folders.
        output: file or folder of the results.
        formats: suffixes of files that can be written, in lower case.
        frames: whether a folder holds the frames of one clip.

    Raises:
        I2IError: the output is refused.
    """
    suffix = output.suffix.lower()
    if output.is_dir():
        return
    if suffix in formats and (len(inputs) != 1 or (inputs[0].is_dir() and not frames)):
        several = f"there are {len(inputs)} inputs" if len(inputs) != 1 else f"{inputs[0]} is a folder"
        raise I2IError(f"--output {output} is one file, but {several}; give a folder")
    names_format = re.fullmatch(r"\.[a-z][a-z0-9]{1,4}", suffix) and suffix not in formats
    if names_format and len(inputs) == 1 and inputs[0].is_file():
        raise I2IError(
            f"--output {output}: files of the format {suffix} cannot be written, only {', '.join(sorted(formats))}; "
            "for a folder of that name, create it first"
        )


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
        output: folder of the results, or the file for the only image.
        marks: suffixes of the outputs that each image has.
        heatmaps: whether each output has a heat map.
        format: suffix of all outputs without the dot; None keeps that of each image.

    Raises:
        I2IError: two inputs have the same output, an output would overwrite an input, or one file is named for several.
    """
    from i2i.data.images import find_images

    inputs, jobs = list(inputs), list[Job]()
    one = is_image_file(output)
    check_output(inputs, output, WRITABLE)
    if one and format is not None:
        raise I2IError(f"--format {format} is for folders; --output {output} says the format by its name")
    for path in inputs:
        if path.is_dir():
            jobs += [Job(found, output / _named(found.relative_to(path), format)) for found in find_images(path)]
        elif path.is_file():
            jobs.append(Job(path, output if one else output / _named(Path(path.name), format)))
        else:
            remote = " on this machine" if ":" in path.parts[0] else ""
            raise I2IError(f"{path} does not exist{remote}; give images or folders of images")
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
