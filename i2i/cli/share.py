"""`i2i push` and `i2i pack`: share a trained run."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from i2i.errors import I2IError


def _card_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--license", help="Licence of the weights, as an SPDX identifier such as CC-BY-4.0."),
        click.option("--intended-use", metavar="TEXT", help="What the model is meant for, for its card."),
        click.option(
            "--figures",
            multiple=True,
            type=click.Path(path_type=Path, exists=True, dir_okay=False),
            help="File of `i2i evaluate --output`; may be repeated. Those in the run folder are found.",
        ),
        click.option(
            "--share-samples", is_flag=True, help="Include the newest sample grid although it shows your own images."
        ),
    ):
        command = option(command)
    return command


def _say_if_unmeasured(run: Path, figures: tuple[Path, ...], **_: Any) -> None:
    from i2i.use.package import figures_of

    if not figures and not figures_of(run):
        measured = f"`i2i evaluate {run} --output {run / 'figures.html'}` before it, or --figures FILE, adds them"
        click.echo(f"note: the model card holds no figures; {measured}", err=True)


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("archive", type=click.Path(path_type=Path, dir_okay=False))
@_card_options
def pack(run: Path, archive: Path, **card: Any) -> None:
    """Write RUN as one zip archive, with a model card and without optimizers and local paths.

    \b
      i2i pack runs/quickstart quickstart.zip --license CC0-1.0
      i2i translate quickstart.zip photo.jpg --to b
    """
    from i2i.use.package import pack as write
    from i2i.use.package import write_package

    if archive.suffix != ".zip":
        raise I2IError(f"expected a name that ends in .zip, got {archive}")
    with tempfile.TemporaryDirectory(prefix="i2i-") as folder:
        write(write_package(run, Path(folder) / "package", **card), archive)
    _say_if_unmeasured(run, **card)
    click.echo(f"{archive}: {archive.stat().st_size / 1e6:.1f} MB; load it with i2i.load, or unpack it")


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("name", metavar="USER/NAME")
@click.option("--private", is_flag=True, help="Make a new repository private.")
@_card_options
def push(run: Path, name: str, private: bool, **card: Any) -> None:
    """Upload RUN to the Hugging Face hub, with a model card and without optimizers and local paths.

    \b
      hf auth login
      i2i push runs/quickstart user/quickstart --license CC0-1.0
      i2i translate hf://user/quickstart photo.jpg --to b

    The hub is that of the variable HF_ENDPOINT; needs i2i[hub].
    """
    from i2i.use.hub import upload
    from i2i.use.package import write_package

    with tempfile.TemporaryDirectory(prefix="i2i-") as folder:
        address = upload(write_package(run, Path(folder) / "package", **card), name, private)
    _say_if_unmeasured(run, **card)
    click.echo(f"{address}; load it with hf://{name}")
