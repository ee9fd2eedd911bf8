"""The command line: `i2i`."""

from __future__ import annotations

import logging
import os
import sys
import traceback

import click

from i2i.core.plugins import default_plugins
from i2i.core.version import __version__
from i2i.errors import I2IError, is_out_of_memory
from i2i.recipe.source import RecipeError

USER_ERROR, FAILURE, INTERRUPTED = 2, 1, 130
MEMORY = (
    "To translate, choose a smaller --size or --batch-size. To train, lower train.batch_size, data.size or the "
    "networks' channels, raise train.accumulate instead of the batch, or use train.precision=bf16"
)

INTRODUCTION = """Image-to-image translation from recipes and plugins.

\b
First steps:
  i2i train quickstart              train on portraits that i2i generates (three minutes)
  i2i recipes list                  the recipes that are included
  i2i train RECIPE --set data.a=photos/selfie --set data.b=photos/anime
  i2i translate runs/RECIPE image.jpg --to b --output translated
"""


@click.group(help=INTRODUCTION, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="i2i")
def cli() -> None:  # noqa: D103  # its help is INTRODUCTION
    pass


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 2 user error, 130 interrupted, 1 anything else."""
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    # OpenMP's threads wait by spinning unless this is set before torch is loaded: on a machine with other work, a
    # step of a tenth of a second has been seen to take ten.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    try:
        default_plugins().register_commands(cli)
        status = cli.main(arguments, prog_name="i2i", standalone_mode=False)
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return USER_ERROR
    except RecipeError as error:
        return _report(str(error), USER_ERROR)  # a line for each problem, with file and line
    except I2IError as error:
        return _report(f"error: {error}", error.status)
    except OSError as error:
        return _report(f"error: {error.strerror or error}: {error.filename or ''}".rstrip(": "), FAILURE)
    except Exception as error:
        if is_out_of_memory(error):
            return _report(
                f"error: out of memory: {str(error).splitlines()[0] if str(error) else ''}. {MEMORY}", FAILURE
            )
        traceback.print_exc()
        return FAILURE
    return status if isinstance(status, int) else 0


def _report(message: str, status: int) -> int:
    if os.environ.get("I2I_TRACEBACK"):
        traceback.print_exc()
    click.echo(message, err=True)
    return status
