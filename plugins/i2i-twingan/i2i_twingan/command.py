"""`i2i search`: which images of one domain are nearest to images of the other."""

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

SHOWN = 16
"""Queries in the image grid; the CSV has all of them."""
ALIKE = 0.999
"""Mean cosine of different images from which on a latent has collapsed: what it knew went through the skips."""


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("queries", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="QUERY...")
@click.option("--among", required=True, type=click.Path(path_type=Path), help="Folder of images to search in.")
@click.option("--top", type=click.IntRange(min=1), default=5, show_default=True, help="Images for each query.")
@click.option("--domain", default="a", show_default=True, help="Domain of the queries.")
@click.option("--among-domain", help="Domain of the folder's images; the other one by default.")
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), default=Path("found"), show_default=True)
@click.option("--batch-size", type=click.IntRange(min=1), default=16, show_default=True)
@click.option("--device", help="Such as cpu, cuda:1 or mps; the machine's accelerator by default.")
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

    QUERY is an image or a folder. Both are encoded with the norms of their domains; near is a large cosine between the
    latents. Writes neighbours.csv and neighbours.png to --output. Works with every translator whose latent both domains
    share, UNIT's too.
    """
    from rich.console import Console
    from rich.progress import track

    from i2i.data.images import find_images
    from i2i.use.loaded import load

    asked = _images(queries)
    files = find_images(among)
    loaded = load(run, usable(device))
    other = among_domain or next((name for name in loaded.translator.domains if name != domain), domain)
    from i2i_twingan.search import alike, embed, neighbours

    terminal = Console(stderr=True, highlight=False, soft_wrap=True)
    skipped: list[str] = []

    def shown(paths: Sequence[Path], what: str) -> Iterable[Path]:
        return track(paths, what, len(paths), console=terminal, disable=not terminal.is_terminal)

    wanted = embed(loaded, shown(asked, "queries"), domain, batch_size, skipped)
    known = embed(loaded, shown(files, "images"), other, batch_size, skipped)
    rows, chosen = neighbours(wanted, known, top)
    _write(output, rows, _grid(wanted, known, chosen))
    for line in skipped:
        click.echo(f"skipped {line}", err=True)
    if alike(known.vectors) > ALIKE:
        click.echo(f"warning: {run}'s latents hardly differ from image to image, so near means little", err=True)
    for line in _table(rows):
        click.echo(line)
    click.echo(f"{len(wanted.paths)} searched among {len(known.paths)}: {output}/neighbours.csv, neighbours.png")


def _images(inputs: Iterable[Path]) -> list[Path]:
    from i2i.data.images import find_images

    found: list[Path] = []
    for path in inputs:
        if not path.exists():
            raise I2IError(f"{path} does not exist; give images or folders of images")
        found += find_images(path) if path.is_dir() else [path]
    return found


def _table(rows: Sequence[Neighbour]) -> list[str]:
    """Query, rank, cosine and image in columns; a query's name stands in its first line alone."""
    names = [row.query.name if row.rank == 1 else "" for row in rows]
    wide = max((len(name) for name in [*names, "query"]), default=0)
    lines = [f"{'query':{wide}}  rank   cosine  image"]
    for name, row in zip(names, rows, strict=True):
        lines.append(f"{name:{wide}}  {row.rank:4}  {row.cosine:7.4f}  {row.image}")
    return lines


def _grid(queries: Embedded, among: Embedded, chosen: Sequence[Sequence[int]]) -> Image:
    """Queries in the first row, what was found for each below it."""
    import torch

    from i2i.engine.hooks.samples import grid

    few = chosen[:SHOWN]
    rows = {"query · queries": queries.images[:SHOWN]}
    for rank in range(max(map(len, few))):
        white = torch.ones_like(among.images[0])
        found = [among.images[column[rank]] if rank < len(column) else white for column in few]
        rows[f"{rank + 1} · queries"] = torch.stack(found)
    return grid(rows)


def _write(folder: Path, rows: Sequence[Neighbour], image: Image) -> None:
    """Both files, each whole or not at all."""
    text = io.StringIO(newline="")
    table = csv.writer(text)
    table.writerow(["query", "rank", "image", "cosine"])
    table.writerows([row.query, row.rank, row.image, f"{row.cosine:.6f}"] for row in rows)
    encoded = io.BytesIO()
    image.save(encoded, "PNG")
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (("neighbours.csv", text.getvalue().encode()), ("neighbours.png", encoded.getvalue())):
        beside = folder / f".{name}.part"
        try:
            beside.write_bytes(content)
            os.replace(beside, folder / name)
        finally:
            beside.unlink(missing_ok=True)
