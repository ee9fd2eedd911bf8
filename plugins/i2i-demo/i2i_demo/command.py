"""`i2i demo`: a Gradio app, or the files of a Space."""

from __future__ import annotations

import os
from pathlib import Path

import click

from i2i.errors import I2IError


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option("--port", type=click.IntRange(1, 65535), default=7860, show_default=True, help="Port on this machine.")
@click.option("--device", help="Such as cpu, cuda:1 or mps; the machine's accelerator by default.")
@click.option(
    "--space",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Write the files of a Hugging Face Space for one run hf://user/name, and start nothing.",
)
@click.option("--license", default="other", show_default=True, help="Licence for the Space's card.")
def demo(runs: tuple[str, ...], port: int, device: str | None, space: Path | None, license: str) -> None:
    """Show one or several RUNs in a Gradio app, on this machine only.

    \b
      i2i demo runs/quickstart
      i2i demo hf://user/quickstart --space my-space
    """
    if space is not None:
        from i2i_demo.space import write_space

        if len(runs) != 1:
            raise I2IError(f"--space: expected one run, got {len(runs)}")
        for path in write_space(runs[0], space, license):
            click.echo(path)
        return
    # Gradio looks up addresses of its makers at start unless this is set before it is imported.
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    from i2i.use.loaded import load
    from i2i_demo.app import create_app

    models = {}
    for run in runs:
        name = run if run.startswith("hf:") else Path(run).resolve().name
        while name in models:
            name += "+"
        models[name] = load(run, device)
    create_app(models).launch(server_name="127.0.0.1", server_port=port, share=False)
