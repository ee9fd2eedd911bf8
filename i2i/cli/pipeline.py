"""`i2i pipeline`: send a clip through several stages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click


@click.command()
@click.argument("file")
@click.option("--plan", "only_plan", is_flag=True, help="Check everything and print a line for each stage; no frames.")
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change one value, such as source.path=face.png."
)
def pipeline(file: str, only_plan: bool, settings: tuple[str, ...]) -> None:
    """Send an image or a clip through the stages of FILE, such as translate, animate, interpolate and upscale.

    FILE may be the name of a pipeline that i2i ships, such as chain.

    \b
      [source]
      path = "clip.mp4"
      [[stages]]
      type = "translate"
      run = "runs/my_recipe"
      to = "b"
      [output]
      path = "out.webm"

    All problems are reported before the first frame. An interrupted call continues where it stopped.
    `i2i list stage` names the stages.
    """
    from rich.console import Console
    from rich.progress import track

    from i2i.use.pipeline import Pipeline

    checked = Pipeline.read(file, settings)
    shapes = checked.plan()
    if checked.source is not None:
        click.echo(f"{checked.source}: {shapes[0]}")
    for number, (stage, shape) in enumerate(zip(checked.stages, shapes[1:], strict=True), 1):
        click.echo(f"{number}. {stage.name}: {shape}")
    if only_plan:
        return
    terminal = Console(stderr=True, highlight=False, soft_wrap=True)

    def progress(frames: Iterator[Any], count: int | None) -> Iterator[Any]:
        return iter(track(frames, "frames", count, console=terminal, disable=not terminal.is_terminal))

    click.echo(f"{checked.run(progress)} frames: {checked.output}")
