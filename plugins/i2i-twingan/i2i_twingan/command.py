"""The command `i2i search`: images of one domain that are nearest to images of the other."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from i2i.cli.translate import usable
from i2i.errors import I2IError

if TYPE_CHECKING:
    from PIL.Image import Image

    from i2i_twingan.search import Embedded, Neighbour

GRID_COLUMNS = 16
"""Largest number of queries in the image grid; the CSV file has all of them."""
COLLAPSED = 0.999
"""Mean cosine of different images above which the latent has collapsed: the skips carry all information."""


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("queries", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="QUERY...")
@click.option("--among", required=True, type=click.Path(path_type=Path), help="Folder of images to search in.")
@click.option("--top", type=click.IntRange(min=1), default=5, show_default=True, help="Images for each query.")
@click.option("--domain", default="a", show_default=True, help="Domain of the queries.")
@click.option("--among-domain", help="Domain of the folder's images; by default the other one.")
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), default=Path("found"), show_default=True)
@click.option("--batch-size", type=click.IntRange(min=1), default=16, show_default=True)
@click.option("--device", help="Such as cpu, cuda:1 or mps; by default the machine's accelerator.")
def search(
    run: Path,
    queries: tuple[Path, ...],
    among: Path,
    top: int,
    domain: str,
    among_domain: str | None,
    output: Path,
    batch_size: int,
    device: str | None,
) -> None:
    """Find images like QUERY in a folder of the other domain, with RUN, a run folder or one of its checkpoints.

    \b
      i2i search runs/twingan selfie.jpg --among photos/anime
      i2i search runs/twingan photos/anime --domain b --among photos/selfie --top 3 --output found

    QUERY is an image or a folder. Images are encoded with the norms of their domains, and their latents are compared by
    cosine. Writes neighbours.csv and neighbours.png to --output. Works with every translator whose domains share a
    latent, such as UNIT.
    """
    from rich.console import Console
    from rich.progress import track

    from i2i.data.images import find_images
    from i2i.use.loaded import load

    query_files = _images(queries)
    files = find_images(among)
    loaded = load(run, usable(device))
    other = among_domain or next((name for name in loaded.translator.domains if name != domain), domain)
    from i2i_twingan.search import embed, mean_cosine, neighbours

    terminal = Console(stderr=True, highlight=False, soft_wrap=True)
    skipped: list[str] = []

    def tracked(paths: Sequence[Path], label: str) -> Iterable[Path]:
        return track(paths, label, len(paths), console=terminal, disable=not terminal.is_terminal)

    query_images = embed(loaded, tracked(query_files, "queries"), domain, batch_size, skipped)
    images = embed(loaded, tracked(files, "images"), other, batch_size, skipped)
    rows, selected = neighbours(query_images, images, top)
    _write(output, rows, _grid(query_images, images, selected))
    for line in skipped:
        click.echo(f"skipped: {line}", err=True)
    if mean_cosine(images.vectors) > COLLAPSED:
        click.echo(f"warning: {run}'s latents hardly differ between images, so distances mean little", err=True)
    for line in _table(rows):
        click.echo(line)
    click.echo(f"{len(query_images.paths)} searched among {len(images.paths)}: {output}/neighbours.csv, neighbours.png")


def _images(inputs: Iterable[Path]) -> list[Path]:
    from i2i.data.images import find_images

    files: list[Path] = []
    for path in inputs:
        if not path.exists():
            raise I2IError(f"{path} does not exist; expected images or folders of images")
        files += find_images(path) if path.is_dir() else [path]
    return files


def _table(rows: Sequence[Neighbour]) -> list[str]:
    """Return lines of query, rank, cosine and image; the name of a query is only in its first line."""
    names = [row.query.name if row.rank == 1 else "" for row in rows]
    width = max(len(name) for name in [*names, "query"])
    lines = [f"{'query':{width}}  rank   cosine  image"]
    for name, row in zip(names, rows, strict=True):
        lines.append(f"{name:{width}}  {row.rank:4}  {row.cosine:7.4f}  {row.image}")
    return lines


def _grid(queries: Embedded, among: Embedded, selected: Sequence[Sequence[int]]) -> Image:
    """Return an image of the queries in the first row, and their results below them."""
    import torch

    from i2i.engine.hooks.samples import grid

    columns = selected[:GRID_COLUMNS]
    rows = {"query · queries": queries.images[:GRID_COLUMNS]}
    for rank in range(max(map(len, columns))):
        white = torch.ones_like(among.images[0])
        results = [among.images[column[rank]] if rank < len(column) else white for column in columns]
        rows[f"{rank + 1} · queries"] = torch.stack(results)
    return grid(rows)


def _write(folder: Path, rows: Sequence[Neighbour], image: Image) -> None:
    """Write both files, each atomically."""
    text = io.StringIO(newline="")
    table = csv.writer(text)
    table.writerow(["query", "rank", "image", "cosine"])
    table.writerows([row.query, row.rank, row.image, f"{row.cosine:.6f}"] for row in rows)
    encoded = io.BytesIO()
    image.save(encoded, "PNG")
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (("neighbours.csv", text.getvalue().encode()), ("neighbours.png", encoded.getvalue())):
        partial = folder / f".{name}.part"
        try:
            partial.write_bytes(content)
            os.replace(partial, folder / name)
        finally:
            partial.unlink(missing_ok=True)
