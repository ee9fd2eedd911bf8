"""`i2i import`: convert official checkpoints."""

from __future__ import annotations

from pathlib import Path

import click

from i2i.cli.train import settings


@click.command("import")
@click.argument("format", metavar="FORMAT")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Run folder to write; it must not hold a run yet.",
)
@settings
def import_checkpoint(format: str, file: Path, output: Path, settings: tuple[str, ...]) -> None:
    """Convert an official checkpoint FILE into a run folder that translates and can be trained further.

    \b
      i2i import FORMAT selfie2anime_params_0100000.pt --output runs/selfie2anime
      i2i translate runs/selfie2anime portrait.jpg --to b --output translated
      i2i train --resume runs/selfie2anime --set data.root=selfie2anime

    FORMAT names the program that wrote FILE; `i2i list importer` lists all. FILE was written by torch.save or is a
    safetensors file, or it is the folder of a program that writes one file for each network. Prefixes of
    DataParallel and wrappers such as {"state_dict": ...} are removed. Sizes come from the shapes of the weights; what
    the file does not tell, such as the image size, can be set with --set. Nothing in FILE is executed.
    """
    from i2i.core import kinds
    from i2i.core.plugins import default_registry
    from i2i.engine.importing import write_run

    importer = default_registry().get(kinds.IMPORTER, format).load()
    imported = importer(file)
    checkpoint = write_run(imported, output, settings)
    click.echo(imported.summary)
    for line in (*imported.notes, f"wrote {checkpoint}"):
        click.echo(f"  {line}")
