"""The command `i2i animate`."""

import click


@click.command()
def animate() -> None:
    """Animate."""
