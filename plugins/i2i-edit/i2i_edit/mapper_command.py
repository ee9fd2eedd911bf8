"""`i2i text-mapper`: train a network that changes any image of a run by one text."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from i2i_edit.command import DEVICE, RUN, TEXT_ENCODER, WITH
from i2i_edit.command import text_encoder as open_text_encoder

LEVELS: tuple[Literal["coarse", "medium", "fine"], ...] = ("coarse", "medium", "fine")


@click.command("text-mapper")
@RUN
@click.option("--text", required=True, help="What images should show.")
@TEXT_ENCODER
@click.option("--steps", type=click.IntRange(min=1), default=50_000, show_default=True, help="Of the training.")
@click.option("--batch-size", type=click.IntRange(min=1), default=2, show_default=True, help="Images in a step.")
@click.option(
    "--lr", type=click.FloatRange(min=0, min_open=True), default=0.5, show_default=True, help="Learning rate."
)
@click.option("--keep", type=click.FloatRange(min=0), default=0.8, show_default=True, help="Larger: less change.")
@click.option(
    "--level",
    "levels",
    multiple=True,
    type=click.Choice(LEVELS),
    help="Layers that are changed, in three groups: four vectors each, fine the rest; repeatable; all by default.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of weights and images.")
@WITH
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), default=Path("mapper.safetensors"), show_default=True
)
@DEVICE
def text_mapper(
    run: Path,
    text: str,
    text_encoder: str | None,
    steps: int,
    batch_size: int,
    lr: float,
    keep: float,
    levels: tuple[Literal["coarse", "medium", "fine"], ...],
    seed: int,
    more: tuple[str, ...],
    output: Path,
    device: str | None,
) -> None:
    """Train StyleCLIP's mapper for RUN and a text: a network that changes any image at once.

    \b
      i2i text-mapper runs/portraits --text "red hair" --text-encoder runs/caption_encoder --steps 2000
      i2i edit runs/portraits --seed 3 --mapper mapper.safetensors:1
    """
    if not text.strip():
        raise click.BadParameter("expected words such as red hair, got an empty text", param_hint="--text")
    embed = open_text_encoder(text_encoder, more)
    from i2i.cli.translate import usable
    from i2i_edit.editor import Editor
    from i2i_edit.text_mapper import save_mapper, train_mapper

    editor = Editor(run, usable(device))

    def progress(step: int, loss: float) -> None:
        if step % 100 == 0:
            click.echo(f"step {step}: loss {loss:.4f}", err=True)

    levels = levels or LEVELS
    mapper = train_mapper(
        editor, text, embed, steps, batch_size, rate=lr, keep=keep, levels=levels, seed=seed, progress=progress
    )
    save_mapper(mapper, output)
    click.echo(f"mapper in {output}")
