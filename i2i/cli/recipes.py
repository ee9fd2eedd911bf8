"""`i2i check`, `i2i recipes` and `i2i schema`: check and list recipes without training."""

from __future__ import annotations

import json
from pathlib import Path

import click

from i2i.cli.train import settings
from i2i.core.plugins import default_plugins
from i2i.core.spelling import did_you_mean
from i2i.errors import I2IError
from i2i.recipe.files import shipped
from i2i.recipe.source import RecipeError


@click.command()
@click.argument("recipe", nargs=-1, required=True)
@settings
@click.option("--resolved", is_flag=True, help="Print the recipe with the value of every option.")
def check(recipe: tuple[str, ...], settings: tuple[str, ...], resolved: bool) -> None:
    """Check RECIPE and print all problems at once, each with file and line.

    \b
      i2i check my_recipe.toml
      i2i check quickstart --set train.batch_size=4 --resolved

    One training step is computed on tensors without values, so shapes and losses are checked too. The data are not.
    """
    from i2i.core.bounds import describe_size
    from i2i.methods.assembly import count_parameters, dry_run
    from i2i.recipe.recipe import Recipe

    problems = []
    for name in recipe:
        try:
            checked = Recipe.read(name, settings)
            dry_run(checked)
        except RecipeError as error:
            problems += error.problems
            continue
        if resolved:
            click.echo(checked.to_toml())
            continue
        counts = ", ".join(f"{part} {number / 1e6:.2f} M" for part, number in count_parameters(checked).items())
        click.echo(f"{name}: ok ({describe_size(checked.image_size)} px; parameters: {counts})")
        for note in checked.weight_schedules:
            click.echo(f"  {note}")
    if problems:
        raise RecipeError(problems)


@click.group()
def recipes() -> None:
    """List, show and copy the included recipes."""


@recipes.command("list")
def list_recipes() -> None:
    """List the included recipes with their first line."""
    found = shipped(default_plugins().recipe_folders())
    width = max(map(len, found), default=0)
    for name, path in sorted(found.items()):
        first = path.read_text(encoding="utf-8", errors="replace").partition("\n")[0].lstrip("# ")
        click.echo(f"{name:{width}}  {first}")


@recipes.command()
@click.argument("name")
def show(name: str) -> None:
    """Print the recipe NAME."""
    click.echo(_path(name).read_text(encoding="utf-8"), nl=False)


@recipes.command()
@click.argument("name")
@click.argument("target", type=click.Path(path_type=Path), default=Path())
def copy(name: str, target: Path) -> None:
    """Copy the recipe NAME to TARGET, a file or a folder, to change it.

    A recipe that it extends is found by name, so the copy works in any folder.
    """
    source = _path(name)
    target = target / source.name if target.is_dir() or not target.suffix else target
    if target.exists():
        raise I2IError(f"{target} exists; choose another file")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
    click.echo(target)


@click.command()
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), help="File to write; standard output by default."
)
def schema(output: Path | None) -> None:
    """Print the JSON Schema of recipes with all installed components, for completion and checks in editors.

    Write `#:schema ./recipe.schema.json` into the first line of a recipe for taplo or Even Better TOML.
    """
    from i2i.recipe.schema import schema as recipe_schema

    text = json.dumps(recipe_schema(default_plugins().registry), indent=2)
    if output is None:
        click.echo(text)
    else:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text + "\n", encoding="utf-8")
        click.echo(output)


def _path(name: str) -> Path:
    found = shipped(default_plugins().recipe_folders())
    stem = name.removesuffix(".toml")
    if stem not in found:
        raise I2IError(f"no recipe {name!r}.{did_you_mean(stem, found)} Recipes: {', '.join(found)}")
    return found[stem]
