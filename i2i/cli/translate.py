"""`i2i translate`: files and folders through a trained translator."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from i2i.cli.conditions import BLEND, conditions_of
from i2i.cli.jobs import Job, plan
from i2i.errors import DataError, I2IError

if TYPE_CHECKING:
    from torch import Tensor

    from i2i.core.contracts import GeneratorOutput
    from i2i.use.loaded import Loaded

SMALLEST_TILE = 200
"""A little more than the borders of a window, which are looked at and not painted."""


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("inputs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="INPUT...")
@click.option("--to", "domain", default="b", show_default=True, help="Domain to paint.")
@click.option(
    "--output", type=click.Path(path_type=Path, file_okay=False), default=Path("translated"), show_default=True
)
@click.option(
    "--style",
    help="What the method knows: random, N for N random styles (NAME.1.png and so on), an image whose style is taken, "
    "the number of a learnt style, or all of them.",
)
@click.option("--blend", metavar=BLEND, help="Several styles mixed: numbers or images with their weights.")
@click.option("--with", "more", multiple=True, metavar="NAME=VALUE", help="What else the method takes: alpha=0.5.")
@click.option("--seed", type=click.IntRange(min=0), help="Other random styles; 0 by default.")
@click.option(
    "--size", help='Shorter side in pixels, or "original"; the recipe\'s size by default. The aspect is kept.'
)
@click.option("--heatmap", is_flag=True, help="Also write NAME.heatmap.png: where the generator's attention looked.")
@click.option("--side-by-side", is_flag=True, help="Write input, heat map (if asked for) and translation in one image.")
@click.option(
    "--batch-size", type=click.IntRange(min=1), default=4, show_default=True, help="Images of one size at a time."
)
@click.option(
    "--tile",
    type=click.IntRange(min=SMALLEST_TILE),
    help="Paint larger images in windows of so many pixels, such as 512: the same image with less memory and in "
    "about ten times the time.",
)
@click.option(
    "--precision",
    type=click.Choice(["fp32", "bf16"]),
    default="fp32",
    show_default=True,
    help="bf16 is faster on most machines; images differ a little.",
)
@click.option(
    "--compile", "compiled", is_flag=True, help="Compile the network first: worth its minute for many images."
)
@click.option("--device", help="Such as cpu, cuda:1 or mps; the machine's accelerator by default.")
def translate(
    run: Path,
    inputs: tuple[Path, ...],
    domain: str,
    output: Path,
    style: str | None,
    blend: str | None,
    more: tuple[str, ...],
    seed: int | None,
    size: str | None,
    heatmap: bool,
    side_by_side: bool,
    batch_size: int,
    tile: int | None,
    precision: Literal["fp32", "bf16"],
    compiled: bool,
    device: str | None,
) -> None:
    """Translate images with RUN, a run folder or one of its checkpoints.

    \b
      i2i translate runs/my_recipe selfie.jpg --to b --output translated
      i2i translate runs/my_recipe album --to b --side-by-side --heatmap
      i2i translate runs/with_styles album --to b --style 5
      i2i translate runs/with_styles album --blend one.jpg=0.7,two.jpg=0.3 --with alpha=0.5

    INPUT is a file or a folder, of which all images are taken, subfolders included. Names are kept. Images that
    cannot be read are named, skipped and counted.
    """
    plan(inputs, output)  # what can be said of the files is said before anything is loaded
    wanted = _size(size)
    if tile is not None and heatmap:
        raise click.UsageError("--heatmap shows whole images; leave --tile or --heatmap away")
    from rich.console import Console
    from rich.progress import track

    from i2i.nn.layers.frozen import image_metadata
    from i2i.use.loaded import load

    loaded = load(run, usable(device), precision=precision, compile=compiled)
    conditions = conditions_of(loaded.translator, style, seed, blend, more)
    jobs = plan(inputs, output, conditions, heatmap and not side_by_side)
    notes = image_metadata(loaded.feature_extractors)
    terminal = Console(stderr=True, highlight=False, soft_wrap=True)
    skipped: list[str] = []
    done = 0
    images = _prepared(loaded, jobs, wanted, skipped)
    bar = track(images, "translating", len(jobs), console=terminal, disable=not terminal.is_terminal)
    for batch in _batches(bar, 1 if loaded.constraints.batch_dependent else batch_size):
        for mark, condition in conditions.items():
            made = loaded.run(_stack(batch), domain, tile=tile, **condition)
            if heatmap and made.heatmap is None:
                raise I2IError("this generator has no attention, so there is no heat map; leave --heatmap away")
            for index, (job, image) in enumerate(batch):
                _write(job.marked(mark), image, made, index, heatmap, side_by_side, notes)
        done += len(batch)
    for line in skipped:
        click.echo(f"skipped {line}", err=True)
    if not done:
        raise I2IError(f"none of the {len(jobs)} images could be read")
    click.echo(f"{done} translated to {domain} in {output}" + (f", {len(skipped)} skipped" if skipped else ""))


def _size(text: str | None) -> int | str | None:
    if text is None or text == "original":
        return text
    if not text.isdecimal() or int(text) < 8:
        raise click.BadParameter(
            f'expected a number of pixels from 8 on, or "original", got {text!r}', param_hint="--size"
        )
    return int(text)


def usable(name: str | None) -> str | None:
    """A device's name, if there is such a device.

    Raises:
        I2IError: there is not, and why.
    """
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
        except DataError as error:  # which names the file if it is about reading it
            about = "" if isinstance(error, UnreadableImage) else f"cannot translate {job.source}: "
            skipped.append(f"{about}{error}".encode("utf-8", "backslashreplace").decode())
            yield None  # still one of the images that the progress bar counts


def _batches(images: Iterable[tuple[Job, Tensor] | None], batch_size: int) -> Iterator[list[tuple[Job, Tensor]]]:
    """Neighbours of one shape together, as many as `batch_size`."""
    readable = (image for image in images if image is not None)
    for _, alike in groupby(readable, key=lambda image: image[1].shape):
        while batch := list(islice(alike, batch_size)):
            yield batch


def _stack(batch: list[tuple[Job, Tensor]]) -> Tensor:
    import torch

    return torch.stack([image for _, image in batch])


def _write(
    target: Path,
    source: Tensor,
    made: GeneratorOutput,
    index: int,
    heatmap: bool,
    side_by_side: bool,
    notes: dict[str, str],
) -> None:
    import torch

    from i2i.data.images import to_image
    from i2i.data.writing import write_image
    from i2i.nn.functional.heatmap import draw_heatmap

    translated = made.image[index].float().cpu()
    heat = None
    if heatmap and made.heatmap is not None:
        heat = draw_heatmap(made.heatmap[index : index + 1].float().cpu(), translated.shape[-2:])[0]
    if side_by_side:
        parts = [source, translated] if heat is None else [source, heat, translated]
        write_image(to_image(torch.cat(parts, dim=2)), target, notes)
        return
    write_image(to_image(translated), target, notes)
    if heat is not None:
        write_image(to_image(heat), target.with_name(f"{target.stem}.heatmap.png"))
