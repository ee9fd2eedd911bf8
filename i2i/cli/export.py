"""`i2i export`: a trained translator as an ONNX or .pt2 file."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Literal

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--to", "domain", default="b", show_default=True, help="Domain to translate to.")
@click.option(
    "--format",
    type=click.Choice(["onnx", "pt2"]),
    default="onnx",
    show_default=True,
    help="onnx needs i2i[export]; pt2 is loaded with torch.export.load.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="File to write; RUN-DOMAIN.FORMAT in the current folder by default.",
)
def export(run: Path, domain: str, format: Literal["onnx", "pt2"], output: Path | None) -> None:
    """Export the translation of RUN to one domain into a file that runs without i2i.

    \b
      i2i export runs/quickstart --to b
      i2i export runs/quickstart --to b --format pt2 --output anime.pt2

    The input `image` and the output are float32 [B, 3, H, W] in [-1, 1]; methods with styles have a second input,
    `style`. Before the file is written it is compared with i2i's own translation at another batch and image size, and
    refused if it differs by more than 1e-5. Its metadata hold recipe, step, domain, range and legal sizes.
    """
    from i2i.use.export import export as write
    from i2i.use.loaded import load

    for name in ("onnxscript", "onnx_ir", "torch.onnx"):
        logging.getLogger(name).setLevel(logging.ERROR)  # notes on single operations
    loaded = load(run, device="cpu")
    exported = write(loaded, output or Path(f"{run.resolve().name}-{domain}.{format}"), domain, format)
    if exported.size is not None:
        sizes = f"{exported.size[1]} x {exported.size[0]} pixels only"
    else:
        sizes = f"any size divisible by {exported.multiple}"
    batches = "" if exported.batch is None else f", batches of {exported.batch}"
    click.echo(
        f"{exported.path}: {exported.recipe} at step {exported.step} to {domain}; inputs {', '.join(exported.inputs)}; "
        f"{sizes}{batches}; differs from i2i by {exported.error:.1e}"
    )
