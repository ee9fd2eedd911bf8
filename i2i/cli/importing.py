"""`i2i import`: other people's checkpoints."""

from __future__ import annotations

from pathlib import Path

import click

from i2i.cli.train import settings


@click.command("import")
@click.argument("format", metavar="FORMAT")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), required=True, help="Run folder to make.")
@settings
def import_checkpoint(format: str, file: Path, output: Path, settings: tuple[str, ...]) -> None:
    """Turn a checkpoint FILE of another program into a run that translates and trains on.

    \b
      i2i import FORMAT selfie2anime_params_0100000.pt --output runs/selfie2anime
      i2i translate runs/selfie2anime portrait.jpg --to b --output translated

    `i2i list importer` names the formats. Nothing in FILE is executed.
    """
    from i2i.core import kinds
    from i2i.core.plugins import default_registry
    from i2i.engine.importing import write_run

    importer = default_registry().get(kinds.IMPORTER, format).load()
    imported = importer(file)
    write_run(imported, output, settings)
    click.echo(imported.summary)
    click.echo(output)
