"""`i2i colour`: colour line art, with drawn hints."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("lines", type=click.Path(path_type=Path))
@click.option(
    "--hints",
    type=click.Path(path_type=Path),
    help="PNG of the same size with dabs of colour on a transparent ground.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("coloured.png"),
    show_default=True,
    help="PNG to write.",
)
@click.option("--keep-lines", is_flag=True, help="Multiply the colours by the lines, which stay as sharp as they are.")
@click.option("--device", help="Such as cpu, cuda:1 or mps; the machine's accelerator by default.")
def colour(run: Path, lines: Path, hints: Path | None, output: Path, keep_lines: bool, device: str | None) -> None:
    """Colour the image LINES, dark lines on white, with RUN, a run of `paints` or `paints_512`.

    \b
      i2i colour runs/paints drawing.png --hints dabs.png --output coloured.png
    """
    import i2i
    from i2i.cli.translate import usable
    from i2i.data.images import read_image
    from i2i.data.writing import write_image
    from i2i_paints.coloring import color_lines, read_hints

    image = read_image(lines)
    drawn = None if hints is None else read_hints(hints, image.size)
    write_image(color_lines(i2i.load(run, usable(device)), image, drawn, keep_lines), output)
    click.echo(f"coloured: {output}")
