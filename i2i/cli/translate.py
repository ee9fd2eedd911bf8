"""`i2i translate`: files and folders through a trained translator."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from i2i.errors import I2IError

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from i2i.contracts import Translation
    from i2i.inference import Loaded

WRITABLE = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"}


class Job(NamedTuple):
    """One picture: where it is, and where its translation goes."""

    source: Path
    target: Path


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("inputs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="INPUT...")
@click.option("--to", "domain", default="b", show_default=True, help="Domain to paint.")
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), default=Path("translated"), show_default=True)
@click.option("--size", help='Shorter side in pixels, or "original"; the recipe\'s size by default. The aspect is kept.')
@click.option("--heatmap", is_flag=True, help="Also write NAME.heatmap.png: where the generator's attention looked.")
@click.option("--side-by-side", is_flag=True, help="Write input, heat map (if asked for) and translation in one picture.")
@click.option("--batch-size", type=click.IntRange(min=1), default=4, show_default=True, help="Pictures of one size at a time.")
@click.option("--device", help="Such as cpu, cuda:1 or mps; the machine's accelerator by default.")
def translate(
    run: Path,
    inputs: tuple[Path, ...],
    domain: str,
    output: Path,
    size: str | None,
    heatmap: bool,
    side_by_side: bool,
    batch_size: int,
    device: str | None,
) -> None:
    """Translate pictures with RUN, a run folder or one of its checkpoints.

    \b
      i2i translate runs/ugatit_light selfie.jpg --to b --output translated
      i2i translate runs/ugatit_light album --to b --side-by-side --heatmap

    INPUT is a file or a folder, of which all pictures are taken, subfolders included. Names are kept. Pictures that
    cannot be read are named, skipped and counted.
    """
    jobs = plan(inputs, output)
    wanted = _size(size)
    from rich.console import Console
    from rich.progress import track

    from i2i.inference import load

    loaded = load(run, _device(device))
    terminal = Console(stderr=True, highlight=False, soft_wrap=True)
    skipped: list[str] = []
    done = 0
    pictures = _prepared(loaded, jobs, wanted, skipped)
    bar = track(pictures, "translating", len(jobs), console=terminal, disable=not terminal.is_terminal)
    for batch in _batches(bar, 1 if loaded.translator.one_by_one else batch_size):
        made = loaded.run(_stack(batch), domain)
        if heatmap and made.heatmap is None:
            raise I2IError("this generator has no attention, so there is no heat map; leave --heatmap away")
        for index, (job, picture) in enumerate(batch):
            _write(job.target, picture, made, index, heatmap, side_by_side)
        done += len(batch)
    for line in skipped:
        click.echo(f"skipped {line}", err=True)
    if not done:
        raise I2IError(f"none of the {len(jobs)} pictures could be read")
    click.echo(f"{done} translated to {domain} in {output}" + (f", {len(skipped)} skipped" if skipped else ""))


def plan(inputs: Iterable[Path], output: Path) -> list[Job]:
    """Which files become which; a name that two inputs share, or an output over its own input, is refused."""
    from i2i.data.images import find_images

    jobs: list[Job] = []
    for path in inputs:
        if path.is_dir():
            jobs += [Job(found, output / _named(found.relative_to(path))) for found in find_images(path)]
        elif path.is_file():
            jobs.append(Job(path, output / _named(Path(path.name))))
        else:
            raise I2IError(f"{path} does not exist; give pictures or folders of pictures")
    taken: dict[Path, Path] = {}
    for source, target in jobs:
        if target in taken:
            raise I2IError(f"{taken[target]} and {source} would both be written to {target}; translate them separately")
        if target.resolve() == source.resolve():
            raise I2IError(f"{source} would be written over; choose another --output")
        taken[target] = source
    return jobs


def _named(path: Path) -> Path:
    """The same name; as PNG where the format cannot be written well."""
    return path if path.suffix.lower() in WRITABLE else path.with_suffix(".png")


def _size(text: str | None) -> int | str | None:
    if text is None or text == "original":
        return text
    if not text.isdecimal() or int(text) < 8:
        raise click.BadParameter(f'expected a number of pixels from 8 on, or "original", got {text!r}', param_hint="--size")
    return int(text)


def _device(name: str | None) -> str | None:
    if name is not None:
        import torch

        try:
            torch.empty(1, device=name)
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            reason = str(error).partition("\n")[0]
            raise I2IError(f"--device {name}: not to be had here: {reason}; try --device cpu") from error
    return name


def _prepared(
    loaded: Loaded, jobs: Iterable[Job], size: int | str | None, skipped: list[str]
) -> Iterator[tuple[Job, Tensor] | None]:
    from i2i.data.images import UnreadableImage, read_image

    for job in jobs:
        try:
            yield job, loaded.prepare(read_image(job.source), size)
        except UnreadableImage as error:
            skipped.append(str(error))
            yield None  # still one of the pictures that the progress bar counts


def _batches(
    pictures: Iterable[tuple[Job, Tensor] | None], batch_size: int
) -> Iterator[list[tuple[Job, Tensor]]]:
    """Neighbours of one shape together, as many as `batch_size`."""
    readable = (picture for picture in pictures if picture is not None)
    for _, alike in groupby(readable, key=lambda picture: picture[1].shape):
        while batch := list(islice(alike, batch_size)):
            yield batch


def _stack(batch: list[tuple[Job, Tensor]]) -> Tensor:
    import torch

    return torch.stack([picture for _, picture in batch])


def _write(target: Path, picture: Tensor, made: Translation, index: int, heatmap: bool, side_by_side: bool) -> None:
    import torch

    from i2i.data.images import to_image
    from i2i.functional.heatmap import draw_heatmap

    image = made.image[index].float().cpu()
    heat = None
    if heatmap and made.heatmap is not None:
        heat = draw_heatmap(made.heatmap[index : index + 1].float().cpu(), picture.shape[-2:])[0]
    if side_by_side:
        parts = [picture, image] if heat is None else [picture, heat, image]
        _save(to_image(torch.cat(parts, dim=2)), target)
        return
    _save(to_image(image), target)
    if heat is not None:
        _save(to_image(heat), target.with_name(f"{target.stem}.heatmap.png"))


def _save(image: Image, target: Path) -> None:
    """Writes a picture that stands whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.part{target.suffix}")
    try:
        image.save(beside, quality=95)
        os.replace(beside, target)
    finally:
        beside.unlink(missing_ok=True)
