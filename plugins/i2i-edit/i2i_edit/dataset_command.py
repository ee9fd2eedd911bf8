"""`i2i dataset-gan`: label a few images of a generator, and get labels for as many as wanted."""

from __future__ import annotations

from pathlib import Path

import click

from i2i.cli.sample import numbers
from i2i.errors import I2IError

DEVICE = click.option("--device", help="Such as cpu, cuda:1 or mps; the machine's accelerator by default.")
RUN = click.argument("run", type=click.Path(path_type=Path))
FOLDER = click.argument("folder", type=click.Path(path_type=Path, file_okay=False))


@click.group("dataset-gan")
def dataset_gan() -> None:
    """Label a few images of a generator, and get label maps for as many as wanted.

    \b
      i2i dataset-gan samples runs/faces labelled --seeds 0-15 --class background=#000000 --class hair=#7d4d2b
      (draw labelled/labels/seed0000.png and so on, in these colours)
      i2i dataset-gan train runs/faces labelled
      i2i dataset-gan generate runs/faces faces-labelled --count 1000
      i2i train faces-labelled/train.toml
    """


@dataset_gan.command()
@RUN
@FOLDER
@click.option("--seeds", default="0-15", show_default=True, metavar="N-N", help="Seeds of the images.")
@click.option("--truncation", type=float, default=1.0, show_default=True, help="1 for all variety.")
@click.option(
    "--class",
    "classes",
    multiple=True,
    required=True,
    metavar="NAME=#RRGGBB",
    help="A class and its colour in label maps, the background first; several times.",
)
@DEVICE
def samples(
    run: Path, folder: Path, seeds: str, truncation: float, classes: tuple[str, ...], device: str | None
) -> None:
    """Write images of RUN into FOLDER, to be labelled."""
    chosen = numbers(seeds, "--seeds")
    given = [tuple(text.split("=", 1)) for text in classes]
    if wrong := [text for text, parts in zip(classes, given, strict=True) if len(parts) != 2]:
        raise click.BadParameter(f"expected NAME=#RRGGBB, got {wrong[0]!r}", param_hint="--class")
    import torch
    from i2i_stylegan.command import load
    from i2i_stylegan.latents import style_translator

    from i2i_edit.labelled_samples import write_samples
    from i2i_edit.segmentation import Classes

    parsed = Classes.parse([(name, color) for name, color in given], "--class")
    translator = style_translator(load(run, device))
    with torch.no_grad():
        ws = translator.styles(chosen, None, truncation)
    write_samples(translator, {f"seed{seed:04d}": one for seed, one in zip(chosen, ws, strict=True)}, parsed, folder)
    click.echo(
        f"{len(chosen)} images in {folder / 'images'}; draw a label map for each under the same name in "
        f"{folder / 'labels'}, with the colours of {folder / 'classes.csv'}"
    )


@dataset_gan.command()
@RUN
@FOLDER
@click.option("--members", type=click.IntRange(min=1), default=10, show_default=True, help="Number of classifiers.")
@click.option("--memory", type=click.IntRange(min=1), default=1024, show_default=True, help="MiB for features.")
@click.option(
    "--min-pixels",
    type=click.IntRange(min=0),
    help="Classes with fewer pixels in an image become the first class there; in proportion 30 of 512 x 512 pixels.",
)
@click.option(
    "--tolerance",
    type=click.IntRange(0, 255),
    default=0,
    show_default=True,
    help="Largest difference of a channel from a class's colour; soft brushes need some.",
)
@click.option(
    "--max-epochs", type=click.IntRange(min=1), default=100, show_default=True, help="Passes over the pixels at most."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of all that is drawn.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File of the classifiers; pixel_classifiers.safetensors in RUN by default.",
)
@DEVICE
def train(
    run: Path,
    folder: Path,
    members: int,
    memory: int,
    min_pixels: int | None,
    tolerance: int,
    max_epochs: int,
    seed: int,
    output: Path | None,
    device: str | None,
) -> None:
    """Train classifiers of RUN's pixels on the labelled samples in FOLDER."""
    from i2i_stylegan.command import load
    from i2i_stylegan.latents import style_translator

    from i2i_edit.labelled_samples import train_segmenter

    target = classifier_file(run, output)
    translator = style_translator(load(run, device))
    with click.progressbar(length=members, label="classifiers") as bar:
        segmenter = train_segmenter(
            translator,
            folder,
            members,
            memory * 2**20,
            seed,
            min_pixels,
            tolerance,
            lambda done: bar.update(1),
            max_epochs=max_epochs,
        )
    segmenter.save(target)
    click.echo(f"{members} classifiers of {len(segmenter.classes.names)} classes in {target}")


@dataset_gan.command()
@RUN
@FOLDER
@click.option("--count", type=click.IntRange(min=1), default=1000, show_default=True, help="Images to generate.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=10**6, show_default=True, help="Of the first image; the next has +1."
)
@click.option(
    "--discard",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.1,
    show_default=True,
    help="Share of the images that is left out, the most uncertain ones.",
)
@click.option("--truncation", type=float, default=1.0, show_default=True, help="1 for all variety.")
@click.option("--classifiers", type=click.Path(path_type=Path, dir_okay=False), help="File of `train --output`.")
@DEVICE
def generate(
    run: Path,
    folder: Path,
    count: int,
    seed: int,
    discard: float,
    truncation: float,
    classifiers: Path | None,
    device: str | None,
) -> None:
    """Generate images with label maps into FOLDER, with a recipe that trains on them."""
    from i2i_stylegan.command import load
    from i2i_stylegan.latents import style_translator

    from i2i_edit.labelled_set import write_labelled_set
    from i2i_edit.segmentation import Segmenter

    segmenter = Segmenter.load(style_translator(load(run, device)), classifier_file(run, classifiers))
    with click.progressbar(length=count, label="images") as bar:
        kept = write_labelled_set(
            segmenter, range(seed, seed + count), folder, discard, truncation, lambda done: bar.update(1)
        )
    click.echo(f"{kept} images with label maps in {folder}; train on them with: i2i train {folder / 'train.toml'}")


def classifier_file(run: Path, given: Path | None) -> Path:
    """Return the file of a run's classifiers: the given one, or that in the run's folder.

    Raises:
        I2IError: no file is given, and the run is none of folders.
    """
    from i2i_edit.segmentation import CLASSIFIERS

    if given is not None:
        return given
    if not run.is_dir():
        raise I2IError(f"{run}: expected a run folder; name the file of the classifiers for other runs")
    return run / CLASSIFIERS
