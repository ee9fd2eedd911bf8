"""`i2i weights`: weight files of the networks that measure."""

from __future__ import annotations

from pathlib import Path

import click


@click.group()
def weights() -> None:
    """Weight files of networks that measure: what is needed, from where, and where your copies are.

    i2i downloads none of them: download a file in your browser and add it.
    """


@weights.command("list")
def list_weights() -> None:
    """List all weight files, what they are for, where they come from, and which are there."""
    from i2i.evaluation.weights import KNOWN, cached, is_published, sha256

    for name, known in KNOWN.items():
        path = cached(name)
        state = "not there"
        if path is not None:
            verdict = {True: "as published", False: "not the published file", None: "published hash unknown"}
            state = f"{path} ({verdict[is_published(name, sha256(path))]})"
        expected = f"SHA-256 begins with {known.sha256}" if known.sha256 else "no published SHA-256"
        click.echo(f"{name}: {known.purpose}\n  {known.url}\n  {expected}; {state}")


@weights.command("path")
@click.argument("name")
def path_of_weights(name: str) -> None:
    """Print the path of your copy of NAME."""
    from i2i.evaluation.weights import find

    click.echo(find(name))


@weights.command("add")
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--any-hash", is_flag=True, help="Accept a file whose hash is not that of the published one.")
def add_weights(name: str, file: Path, any_hash: bool) -> None:
    """Check FILE and copy it into the cache as weights NAME."""
    from i2i.evaluation.weights import add

    click.echo(add(name, file, any_hash))
