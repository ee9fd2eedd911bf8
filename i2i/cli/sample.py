"""`i2i sample`: images from noise with a trained run."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import click

from i2i.cli.conditions import named_conditions
from i2i.errors import I2IError

FRAMES_PER_SECOND = 24


def numbers(text: str, option: str) -> tuple[int, ...]:
    """Parse `1,2,5-8`: whole numbers from 0 on and ranges of them, both ends included."""
    found: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,18})(?:-(\d{1,18}))?\s*", part)
        if match is None or int(match[2] or match[1]) < int(match[1]) or int(match[2] or 0) - int(match[1]) > 10**6:
            raise click.BadParameter(f"expected numbers such as 1,5 or 0-6, got {text!r}", param_hint=option)
        found.extend(range(int(match[1]), int(match[2] or match[1]) + 1))
    return tuple(found)


def finite_option(context: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    """Refuse NaN and infinities as the value of an option, before anything is loaded."""
    from i2i.core.bounds import finite

    return None if value is None else finite(str(parameter.name), value)


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--count", type=click.IntRange(min=1), help="Number of images: 16, or 1 for a clip.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the first image; the next has +1."
)
@click.option("--truncation", type=float, callback=finite_option, help="1 for all variety, 0 for the average image.")
@click.option("--classes", metavar="N,N", help="Numbers of the classes, in turn; all by default.")
@click.option("--text", help="Words that describe the images, for methods that take a text.")
@click.option("--yaw", metavar="DEGREES", help="Side of the camera; -20:20 for a clip, for methods that render views.")
@click.option("--frames", type=click.IntRange(min=2), default=48, show_default=True, help="Frames of a clip.")
@click.option("--with", "more", multiple=True, metavar="NAME=VALUE", help="Another condition of the method.")
@click.option("--grid", metavar="COLUMNSxROWS", help="Write one image of all, such as 4x4.")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("samples"),
    show_default=True,
    help="Folder for seed0000.png, ...; with --grid, also a file such as grid.png; a clip such as turn.webm.",
)
@click.option("--batch-size", type=click.IntRange(min=1), default=8, show_default=True, help="Images at a time.")
@click.option("--device", help="Such as cpu, cuda:1 or mps; the machine's accelerator by default.")
def sample(
    run: Path,
    count: int | None,
    seed: int,
    truncation: float | None,
    classes: str | None,
    text: str | None,
    yaw: str | None,
    frames: int,
    more: tuple[str, ...],
    grid: str | None,
    output: Path,
    batch_size: int,
    device: str | None,
) -> None:
    """Generate images from noise with RUN, a run folder or one of its checkpoints.

    \b
      i2i sample runs/stylegan2_small --count 16 --seed 0 --truncation 0.7 --grid 4x4
      i2i sample runs/cgan_small --classes 0,1 --count 8 --output shapes
      i2i sample runs/cips3d_small --yaw -20:20 --output turn.webm
    """
    angles = _angles(yaw)
    count = count or (16 if len(angles) < 2 else 1)
    columns, rows = _grid(grid, count)
    condition: dict[str, Any] = {}
    if truncation is not None:
        condition["truncation"] = truncation
    if classes is not None:
        condition["classes"] = numbers(classes, "--classes")
    if text is not None:
        condition["text"] = text
    if len(angles) == 1:
        condition["yaw"] = angles[0]
    import numpy as np

    from i2i.cli.translate import usable
    from i2i.data.images import to_image
    from i2i.data.writing import write_image
    from i2i.use.loaded import load
    from i2i.use.sampling import sample as generate
    from i2i.use.sampling import sample_conditions

    loaded = load(run, usable(device))
    names = sample_conditions(loaded.translator)
    condition |= named_conditions(type(loaded.translator).sample, names, more)  # type: ignore[attr-defined]
    seeds = range(seed, seed + count)
    if len(angles) == 2:
        from i2i.use.clip_writer import ClipWriter

        start, end = angles
        with ClipWriter(output, FRAMES_PER_SECOND) as clip:
            for frame in range(frames):
                condition["yaw"] = start + (end - start) * frame / (frames - 1)
                images = generate(loaded, seeds, batch_size, **condition)
                clip.write(np.asarray(to_image(tiled(images, columns, rows))))
        click.echo(f"{frames} frames in {output}")
        return
    images = generate(loaded, seeds, batch_size, **condition)
    if grid is not None:
        path = output if output.suffix else output / "grid.png"
        write_image(to_image(tiled(images, columns, rows)), path)
        click.echo(f"{count} images in {path}")
        return
    if output.suffix and output.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp"):
        raise I2IError(f"--output {output}: several images go into a folder; add --grid for one file")
    for number, image in zip(seeds, images, strict=True):
        write_image(to_image(image), output / f"seed{number:04d}.png")
    click.echo(f"{count} images in {output}")


def _angles(text: str | None) -> list[float]:
    """Parse `--yaw`: nothing, one angle, or the first and the last one of a clip."""
    try:
        angles = [] if text is None else [float(part) for part in text.split(":")]
    except ValueError:
        angles = [math.nan]
    if len(angles) > 2 or not all(map(math.isfinite, angles)):
        raise click.BadParameter(
            f"expected degrees such as 15, or a range such as -20:20, got {text!r}", param_hint="--yaw"
        )
    return angles


def _grid(text: str | None, count: int) -> tuple[int, int]:
    if text is None:
        return count, 1
    match = re.fullmatch(r"(\d{1,4})x(\d{1,4})", text)
    if match is None or int(match[1]) * int(match[2]) < count or not int(match[1]):
        raise click.BadParameter(
            f"expected COLUMNSxROWS with room for {count} images, such as {count}x1, got {text!r}", param_hint="--grid"
        )
    return int(match[1]), int(match[2])


def tiled(images: Any, columns: int, rows: int) -> Any:
    """Return one image [C, H · rows, W · columns] of images [n, C, H, W]; missing ones are white."""
    import torch
    from einops import rearrange

    missing = columns * rows - len(images)
    filled = torch.cat([images, images.new_ones(missing, *images.shape[1:])])
    return rearrange(filled, "(rows columns) c h w -> c (rows h) (columns w)", columns=columns)
