"""A Gradio app for runs of i2i: `i2i demo RUN...`."""

from __future__ import annotations

import click

import i2i


@i2i.hookimpl
def register_commands(cli: click.Group) -> None:
    """Add `i2i demo`."""
    from i2i_demo.command import demo

    cli.add_command(demo)
