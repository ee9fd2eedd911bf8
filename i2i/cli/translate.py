"""`i2i translate`: translate files and folders with a trained run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from i2i.cli.clips import concerns_clips, translate_clips
from i2i.cli.conditions import BLEND, conditions_of
from i2i.cli.jobs import Job, plan
from i2i.errors import DataError, I2IError, ShapeError, is_out_of_memory

if TYPE_CHECKING:
    from torch import Tensor

    from i2i.core.contracts import GeneratorOutput
    from i2i.use.loaded import Loaded

SMALLEST_TILE = 64


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("inputs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="INPUT...")
@click.option("--to", "domain", default="b", show_default=True, help="Domain to translate to.")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("translated"),
    show_default=True,
    help="Folder for the results, where names and subfolders of INPUT are kept; or a file for one clip.",
)
@click.option(
    "--style",
    help="Depends on the method: random, N for N random styles (NAME.1.png, NAME.2.png, ...), a reference image, the "
    "number of a learnt style, or all.",
)
@click.option("--blend", metavar=BLEND, help="Mix several styles: numbers or images with weights.")
@click.option(
    "--with",
    "more",
    multiple=True,
    metavar="NAME=VALUE",
    help="Another condition of the method, such as alpha=0.5; may be repeated.",
)
@click.option("--seed", type=click.IntRange(min=0), help="Seed of random styles; 0 by default.")
@click.option(
    "--size",
    metavar="PIXELS|original",
    help="Shorter side of the results; the recipe's size by default. The aspect is kept; `original` does not resize.",
)
@click.option("--heatmap", is_flag=True, help="Also write NAME.heatmap.png: the generator's attention.")
@click.option(
    "--side-by-side", is_flag=True, help="Write input, heat map (with --heatmap) and translation into one image."
)
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    default=4,
    show_default=True,
    help="Images of one size that are translated together.",
)
@click.option(
    "--tile",
    type=click.IntRange(min=SMALLEST_TILE),
    metavar="PIXELS",
    help="Translate larger images in windows of this side, such as 512: less memory, about ten times the time, and the "
    "same result unless a warning says otherwise.",
)
@click.option(
    "--precision",
    type=click.Choice(["fp32", "bf16"]),
    default="fp32",
    show_default=True,
    help="bf16 is faster on most machines; results differ slightly.",
)
@click.option(
    "--compile",
    "compiled",
    is_flag=True,
    help="Compile the networks first, which takes about a minute; worth it for many images.",
)
@click.option(
    "--fps",
    type=click.FloatRange(min=0, min_open=True),
    help="Frames per second of a folder that is written as a clip; 25 by default.",
)
@click.option(
    "--reduce-flicker",
    type=click.FloatRange(min=0, max=1, max_open=True),
    default=0.0,
    metavar="SHARE",
    help="Mix each frame of a clip with the one before where the input does not change, such as 0.5; 0 by default.",
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
    fps: float | None,
    reduce_flicker: float,
) -> None:
    """Translate images and clips with RUN, a run folder or one of its checkpoints.

    \b
      i2i translate runs/my_recipe selfie.jpg --to b --output translated
      i2i translate runs/my_recipe album --to b --side-by-side --heatmap
      i2i translate runs/with_styles album --to b --style 5
      i2i translate runs/with_styles album --blend one.jpg=0.7,two.jpg=0.3 --with alpha=0.5
      i2i translate runs/my_recipe clip.mp4 --to b --output clip.webm

    INPUT is an image or a folder, whose images are all translated, subfolders included. An image that cannot be read,
    translated or written is skipped and named; the others are translated. A video or an animation keeps its time stamps
    and audio, and is resumed after an interruption.
    """
    if concerns_clips(inputs, output):
        given = click.get_current_context().params
        translate_clips(**{**given, "size": _size(size), "device": usable(device)})
        return
    if output.is_file():
        raise click.BadParameter(f"{output} is a file; give a folder for images", param_hint="--output")
    plan(inputs, output)  # before torch is imported: a wrong path is answered at once
    wanted = _size(size)
    if tile is not None and heatmap:
        raise click.UsageError("--heatmap needs whole images; omit --tile or --heatmap")
    from rich.console import Console
    from rich.progress import track

    from i2i.nn.layers.frozen import image_metadata
    from i2i.use.loaded import load

    loaded = load(run, usable(device), precision=precision, compile=compiled)
    conditions = conditions_of(loaded.translator, style, seed, blend, more)
    for condition in conditions.values():
        loaded.check(domain, condition)
    loaded.check_size(wanted)
    jobs = plan(inputs, output, conditions, heatmap and not side_by_side)
    notes = image_metadata(loaded.feature_extractors)
    skipped: list[str] = []

    def translate_batch(batch: list[tuple[Job, Tensor]]) -> None:
        for mark, condition in conditions.items():
            result = loaded.run(_stack(batch), domain, tile=tile, **condition)
            if heatmap and result.heatmap is None:
                raise I2IError("this generator has no attention and so no heat map; omit --heatmap")
            for index, (job, image) in enumerate(batch):
                _write(job.marked(mark), image, result, index, heatmap, side_by_side, notes)

    terminal = Console(stderr=True, highlight=False, soft_wrap=True)
    images = _prepared(loaded, jobs, wanted, skipped)
    bar = track(images, "translating", len(jobs), console=terminal, disable=not terminal.is_terminal)
    for batch in _batches(bar, 1 if loaded.constraints.batch_dependent else batch_size):
        try:
            translate_batch(batch)
        except _SKIPPED as error:
            if len(batch) == 1:
                skipped.append(_reason(batch[0][0], error))
                continue
            for single in batch:  # the others of the batch may be fine, and one at a time may fit into memory
                try:
                    translate_batch([single])
                except _SKIPPED as inner:
                    skipped.append(_reason(single[0], inner))
    for line in skipped:
        click.echo(f"skipped {line}", err=True)
    done = len(jobs) - len(skipped)
    if not done:
        raise I2IError(f"none of the {len(jobs)} images could be translated")
    click.echo(f"{done} translated to {domain} in {output}" + (f", {len(skipped)} skipped" if skipped else ""))


# What concerns one image: its shape, memory, reading and writing. Other errors concern the command as a whole.
_SKIPPED = (DataError, ShapeError, RuntimeError, MemoryError, OSError)


def _reason(job: Job, error: Exception) -> str:
    """One line that names the image; an error about reading it names it already."""
    from i2i.data.images import UnreadableImage

    text = " ".join(str(error).split()) or type(error).__name__
    if is_out_of_memory(error):
        text = f"out of memory: {text[:200]}; try a smaller --size, --tile or --batch-size"
    line = text if isinstance(error, UnreadableImage) else f"cannot translate {job.source}: {text}"
    return line.encode("utf-8", "backslashreplace").decode()


def _size(text: str | None) -> int | Literal["original"] | None:
    if text is None:
        return None
    if text == "original":
        return "original"
    if not text.isdecimal():
        raise click.BadParameter(f'expected a number of pixels or "original", got {text!r}', param_hint="--size")
    return int(text)


def usable(name: str | None) -> str | None:
    """Return the name of a device after checking that it can be used.

    Raises:
        I2IError: it cannot, and why.
    """
    if name is not None:
        import torch

        try:
            torch.empty(1, device=name)
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            reason = str(error).partition("\n")[0]
            raise I2IError(f"--device {name}: not available: {reason}; try --device cpu") from error
    return name


def _prepared(
    loaded: Loaded, jobs: Iterable[Job], size: int | Literal["original"] | None, skipped: list[str]
) -> Iterator[tuple[Job, Tensor] | None]:
    """Read and resize images; None for one that was skipped, which the progress bar counts too."""
    from i2i.data.images import read_image

    for job in jobs:
        try:
            yield job, loaded.prepare(read_image(job.source), size)
        except _SKIPPED as error:
            skipped.append(_reason(job, error))
            yield None


def _batches(images: Iterable[tuple[Job, Tensor] | None], batch_size: int) -> Iterator[list[tuple[Job, Tensor]]]:
    """Group consecutive images of one shape, up to `batch_size` of them."""
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
    result: GeneratorOutput,
    index: int,
    heatmap: bool,
    side_by_side: bool,
    notes: dict[str, str],
) -> None:
    import torch

    from i2i.data.images import to_image
    from i2i.data.writing import write_image
    from i2i.nn.functional.heatmap import draw_heatmap

    translated = result.image[index].float().cpu()
    heat = None
    if heatmap and result.heatmap is not None:
        heat = draw_heatmap(result.heatmap[index : index + 1].float().cpu(), translated.shape[-2:])[0]
    if side_by_side:
        parts = [source, translated] if heat is None else [source, heat, translated]
        write_image(to_image(torch.cat(parts, dim=2)), target, notes)
        return
    write_image(to_image(translated), target, notes)
    if heat is not None:
        write_image(to_image(heat), target.with_name(f"{target.stem}.heatmap.png"))
