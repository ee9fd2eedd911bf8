"""Commands for generators with styles: mix, interpolate, breed, and export to rosinality's layout."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Literal

import click

from i2i.cli.conditions import weights_by
from i2i.cli.sample import finite_option, numbers
from i2i.errors import I2IError

DEVICE = click.option("--device", help="Such as cpu, cuda:1 or mps; the machine's accelerator by default.")
TRUNCATION = click.option(
    "--truncation", type=float, default=1.0, show_default=True, callback=finite_option, help="1 for all variety."
)
CLASSES = click.option("--classes", metavar="N,N", help="Numbers of the classes, in turn by seed; all by default.")
WEIGHTS = "SEED=WEIGHT,SEED=WEIGHT with weights >= 0, such as 3=0.7,8=0.3"


def seed_of(text: str) -> int:
    """Return the seed of an image, a whole number from 0 on.

    Raises:
        ValueError: the text is none.
    """
    if not re.fullmatch(r"\d{1,18}", text):
        raise ValueError(text)
    return int(text)


def load(run: Path, device: str | None) -> Any:
    """Load a run on a device."""
    from i2i.cli.translate import usable
    from i2i.use.loaded import load

    return load(run, usable(device))


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--rows", required=True, metavar="N,N", help="Seeds of the images whose styles are kept.")
@click.option("--columns", required=True, metavar="N,N", help="Seeds of the images that give the styles of --layers.")
@click.option("--layers", default="0-6", show_default=True, metavar="N-N", help="Layers from the coarsest, 0, on.")
@TRUNCATION
@CLASSES
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), default=Path("mix.png"), show_default=True)
@DEVICE
def mix(
    run: Path,
    rows: str,
    columns: str,
    layers: str,
    truncation: float,
    classes: str | None,
    output: Path,
    device: str | None,
) -> None:
    """Mix styles: each row's image with the layers of each column's image.

    \b
      i2i mix runs/stylegan2_small --rows 1,2 --columns 5,6 --layers 0-1

    The first row and the first column of OUTPUT show the unmixed images.
    """
    left, top, taken = numbers(rows, "--rows"), numbers(columns, "--columns"), numbers(layers, "--layers")
    import torch

    from i2i.cli.sample import tiled
    from i2i.data.images import to_image
    from i2i.data.writing import write_image
    from i2i_stylegan.latents import mix as mixed

    chosen = None if classes is None else numbers(classes, "--classes")
    loaded = load(run, device)
    images = mixed(loaded, left, top, taken, truncation, chosen)
    corner = torch.ones_like(images.rows[:1])
    lines = [torch.cat([corner, images.columns])]
    lines += [torch.cat([row[None], line]) for row, line in zip(images.rows, images.mixed, strict=True)]
    write_image(to_image(tiled(torch.cat(lines), len(top) + 1, len(left) + 1)), output)
    click.echo(f"{len(left)} x {len(top)} mixed images in {output}")


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--seeds", required=True, metavar="N,N", help="Seeds of the images that the animation passes.")
@click.option("--space", type=click.Choice(["w", "z"]), default="w", show_default=True, help="w is smoother.")
@click.option("--frames", type=click.IntRange(min=1), default=120, show_default=True, help="Frames per pair of seeds.")
@click.option("--fps", type=click.IntRange(min=1, max=240), default=30, show_default=True, help="Frames per second.")
@click.option("--grid", metavar="COLUMNSxROWS", help="Several animations side by side, each of equally many seeds.")
@click.option("--even", is_flag=True, help="Frames at equal distances of the images, not of the codes.")
@TRUNCATION
@CLASSES
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("interpolation.webp"),
    show_default=True,
    help="A .webp, .gif or video file such as .mp4 or .webm, or a folder of PNG files.",
)
@DEVICE
def interpolate(
    run: Path,
    seeds: str,
    space: Literal["w", "z"],
    frames: int,
    fps: int,
    grid: str | None,
    even: bool,
    truncation: float,
    classes: str | None,
    output: Path,
    device: str | None,
) -> None:
    """Animate the way through the images of several seeds and back to the first.

    \b
      i2i interpolate runs/stylegan2_small --seeds 1,5,9 --frames 60 --output out.webp
      i2i interpolate runs/stylegan2_small --seeds 0-11 --grid 2x2 --output out.webm

    In w the way is a closed cubic spline through the truncated styles, in z it follows great circles.
    """
    keys = numbers(seeds, "--seeds")
    from i2i.cli.sample import _grid
    from i2i_stylegan.animation import write_animation
    from i2i_stylegan.latents import interpolate as interpolated

    columns, rows = _grid(grid, 1)
    columns, rows = (1, 1) if grid is None else (columns, rows)
    chosen = None if classes is None else numbers(classes, "--classes")
    loaded = load(run, device)
    images = interpolated(loaded, keys, space, frames, truncation, chosen, even, (columns, rows))
    count = write_animation(images, output, fps)
    click.echo(f"{count} frames in {output}")


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--parents", required=True, metavar="SEED=WEIGHT,...", help="Seeds with weights, such as 3=0.7,8=0.3.")
@click.option("--coarse", metavar="SEED=WEIGHT,...", help="Other weights for the coarse layers: pose and shape.")
@click.option(
    "--mutation",
    type=float,
    default=0.0,
    show_default=True,
    callback=finite_option,
    help="Standard deviation of random changes.",
)
@click.option("--count", type=click.IntRange(min=1), default=1, show_default=True, help="Children.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the changes.")
@TRUNCATION
@CLASSES
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), default=Path("children.png"), show_default=True
)
@DEVICE
def breed(
    run: Path,
    parents: str,
    coarse: str | None,
    mutation: float,
    count: int,
    seed: int,
    truncation: float,
    classes: str | None,
    output: Path,
    device: str | None,
) -> None:
    """Breed images: weighted means of the styles of several seeds, with random changes.

    \b
      i2i breed runs/stylegan2_small --parents 3=0.7,8=0.3 --mutation 0.2 --count 4
    """
    by_parent = weights_by(seed_of, parents, "--parents", WEIGHTS)
    by_coarse = None if coarse is None else weights_by(seed_of, coarse, "--coarse", WEIGHTS)
    from i2i.cli.sample import tiled
    from i2i.data.images import to_image
    from i2i.data.writing import write_image
    from i2i_stylegan.latents import breed as bred
    from i2i_stylegan.latents import coarse_layers

    chosen = None if classes is None else numbers(classes, "--classes")
    loaded = load(run, device)
    per_layer = None
    if by_coarse is not None:
        per_layer = dict.fromkeys(coarse_layers(loaded), by_coarse)
    images = bred(loaded, by_parent, per_layer, mutation, count, seed, truncation, chosen)
    write_image(to_image(tiled(images, count, 1)), output)
    click.echo(f"{count} children in {output}")


@click.command("export-rosinality")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def export_rosinality(run: Path, file: Path) -> None:
    """Write a StyleGAN2 RUN as a FILE that rosinality/stylegan2-pytorch reads, such as stylegan2.pt."""
    import torch

    from i2i.engine import checkpoint
    from i2i_stylegan.importers import check_rosinality, to_rosinality

    loaded = load(run, "cpu")
    saved = checkpoint.find(run)
    content = to_rosinality(saved.weights(averaged=True), loaded.recipe.image_size[0])
    check_rosinality(loaded.translator.generator)
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        torch.save(content, temporary)
        os.replace(temporary, file)
    except OSError as error:
        raise I2IError(f"{file} cannot be written: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)
    click.echo(f"wrote {', '.join(content)} to {file}")
