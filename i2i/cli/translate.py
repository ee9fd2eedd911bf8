"""`i2i translate`: translate files and folders with a trained run."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from i2i.cli.bulk import Work, concerns_shards, results_exist, translate_shards
from i2i.cli.clips import concerns_clips, translate_clips
from i2i.cli.conditions import BLEND, conditions_of
from i2i.cli.jobs import WRITABLE, is_image_file, plan
from i2i.cli.translation import Session, batches
from i2i.errors import I2IError

SMALLEST_TILE = 64
_FORMATS = sorted(suffix.removeprefix(".") for suffix in WRITABLE)


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("inputs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="INPUT...")
@click.option("--to", "domain", default="b", show_default=True, help="Domain to translate to.")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("translated"),
    show_default=True,
    help="Folder for the results, where names and subfolders of INPUT are kept; or a file for one image or clip.",
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
@click.option(
    "--format",
    type=click.Choice(_FORMATS),
    help="Format of the results; that of each input by default, or PNG where it cannot be written.",
)
@click.option(
    "--half",
    type=click.Choice(["left", "right", "none"]),
    help="Translate one half of side-by-side images. By default the source's half of images twice as wide as high, if "
    "the run was trained on side-by-side images; `none` translates whole images.",
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
@click.option(
    "--skip-existing/--overwrite",
    default=None,
    help="Omit images whose translation exists, or write it again; omitted by default under torchrun and for tar "
    "archives.",
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
    format: str | None,
    half: Literal["left", "right", "none"] | None,
    heatmap: bool,
    side_by_side: bool,
    batch_size: int,
    tile: int | None,
    precision: Literal["fp32", "bf16"],
    compiled: bool,
    device: str | None,
    fps: float | None,
    reduce_flicker: float,
    skip_existing: bool | None,
) -> None:
    """Translate images and clips with RUN, a run folder or one of its checkpoints.

    \b
      i2i translate runs/my_recipe selfie.jpg --to b --output anime.png
      i2i translate runs/my_recipe album --to b --side-by-side --heatmap
      i2i translate runs/with_styles album --to b --style 5
      i2i translate runs/with_styles album --blend one.jpg=0.7,two.jpg=0.3 --with alpha=0.5
      i2i translate runs/my_recipe scans --size original --format tif
      i2i translate runs/my_recipe clip.mp4 --to b --output clip.webm
      torchrun --nproc_per_node 4 -m i2i translate runs/my_recipe album shards --to b

    INPUT is an image or a folder, whose images are all translated, subfolders included. An image that cannot be read,
    translated or written is skipped and named; the others are translated. Results have the depth, opacity, colour
    profile, EXIF data and pages of their input; one line says what could not be kept. A video or an animation keeps its
    time stamps and audio, and is resumed after an interruption. Of a tar archive, all images are translated into an
    archive of the same name. Processes that torchrun starts share the work, and a second call continues it.
    """
    if concerns_clips(inputs, output):
        given = click.get_current_context().params
        translate_clips(**{**given, "size": _size(size), "device": usable(device)})
        return
    is_one_file = is_image_file(output)
    if is_one_file and skip_existing:
        raise click.UsageError(f"--skip-existing is for folders; {output} is one file")
    if output.is_file() and not is_one_file:
        raise click.BadParameter(f"{output} is a file; give a folder for images", param_hint="--output")
    shards = concerns_shards(inputs)
    if not shards:
        plan(inputs, output, format=format)  # before torch is imported: a wrong path is answered at once
    wanted = _size(size)
    if tile is not None and heatmap:
        raise click.UsageError("--heatmap needs whole images; omit --tile or --heatmap")
    from rich.console import Console
    from rich.progress import track

    from i2i.use.digest import digest_of
    from i2i.use.loaded import load

    if is_one_file:
        work = Work(output.parent, skip=False)
    else:
        work = Work(output, True if shards and skip_existing is None else skip_existing)
    loaded = load(run, usable(work.device(device)), precision=precision, compile=compiled)
    conditions = conditions_of(loaded.translator, style, seed, blend, more)
    for condition in conditions.values():
        loaded.check(domain, condition)
    loaded.check_size(wanted)
    if shards:
        if heatmap or side_by_side or len(conditions) > 1:
            raise click.UsageError("--heatmap, --side-by-side and several styles are not for tar archives")
        translate_shards(loaded, inputs, work, domain, wanted, batch_size, tile, *conditions.values())
        return
    jobs = plan(inputs, output, conditions, heatmap and not side_by_side, format)
    session = Session(loaded, domain, conditions, tile, heatmap, side_by_side, half)
    session.taken = {job.source.resolve() for job in jobs} | {job.marked(mark) for job in jobs for mark in conditions}
    options = domain, wanted, tile, conditions, heatmap, side_by_side, half
    digest = digest_of(loaded, *options) if work.skip else ""
    jobs = work.select(jobs, digest, lambda job: results_exist(job, conditions))
    terminal = Console(stderr=True, highlight=False, soft_wrap=True)
    pages = session.pages(jobs, wanted)
    bar = track(pages, "translating", len(jobs), console=terminal, disable=not terminal.is_terminal)
    finished = 0
    for batch in batches(bar, 1 if loaded.constraints.batch_dependent else batch_size):
        session.translate(batch)
        work.count(finished := finished + len(batch))
    for line in session.skipped:
        click.echo(f"skipped: {line}", err=True)
    for line in session.remarks():
        click.echo(line, err=True)
    done = len(jobs) - len(session.skipped)
    if jobs and not done:
        raise I2IError(
            "the image could not be translated" if len(jobs) == 1 else f"none of {len(jobs)} images could be translated"
        )
    count = f", {len(session.skipped)} skipped" if session.skipped else ""
    click.echo(f"{done} translated to {domain} in {output}{count}{work.closed()}")


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
        from i2i.use.devices import check_device

        check_device(name, "--device")
    return name
