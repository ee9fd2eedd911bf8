"""`i2i compare`: runs side by side."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN...")
@click.option("--all", "everything", is_flag=True, help="Also list the options that are equal in all runs.")
def compare(runs: tuple[Path, ...], everything: bool) -> None:
    """Put runs side by side: steps, last losses, metrics, best checkpoints, and the options that differ.

    \b
      i2i compare runs/first runs/second

    It reads the runs' files alone; `i2i evaluate RUN --against RUN` measures them on the same images.
    """
    from i2i.use.comparison import compared

    rows = compared(runs, everything)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
