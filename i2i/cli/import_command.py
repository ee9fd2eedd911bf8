"""`i2i import-command`: command lines of other codes as recipes."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from i2i.errors import I2IError
from i2i.use.command_lines import CODES, Code


@click.command("import-command", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option(
    "--from",
    "code",
    type=click.Choice(CODES),
    help="Whose command it is; by default its program and flags tell.",
)
@click.option(
    "--images",
    type=click.IntRange(min=1),
    help="Images of the larger domain; then learning rates change once an epoch, as in the other code.",
)
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), help="File to write; standard output by default."
)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def import_command(code: Code | None, images: int | None, output: Path | None, command: tuple[str, ...]) -> None:
    """Turn a COMMAND of pytorch-CycleGAN-and-pix2pix, CUT or U-GAT-IT into a recipe.

    \b
      i2i import-command --output maps.toml \\
          python train.py --dataroot ./datasets/maps --name maps --model cycle_gan
      i2i train maps.toml

    Options of i2i stand before COMMAND. Each of its flags becomes a key of the recipe, or is named with the reason
    why no key is needed; a flag that cannot be converted is an error.
    """
    from i2i.use.command_lines.convert import convert

    if output is not None and output.exists():
        raise I2IError(f"{output} exists; choose another file")
    text = command[0] if len(command) == 1 else shlex.join(command)
    converted = convert(text, code, images)
    recipe = converted.to_toml(text, str(output or f"{converted.name}.toml"))
    for note in converted.notes:
        click.echo(note, err=True)
    if output is None:
        click.echo(recipe, nl=False)
    else:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(recipe, encoding="utf-8")
        click.echo(output)
