"""`i2i export`: a trained translator as a file that runs without i2i."""

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
    type=click.Choice(["onnx", "pt2", "openvino"]),
    default="onnx",
    show_default=True,
    help="onnx needs i2i[export], openvino also i2i[openvino]; pt2 is loaded with torch.export.load.",
)
@click.option(
    "--precision",
    type=click.Choice(["fp32", "fp16", "int8"]),
    default="fp32",
    show_default=True,
    help="fp16 halves the file, int8 (onnx only) quarters it; the error is measured, printed and stored.",
)
@click.option(
    "--without-dropout",
    is_flag=True,
    help="Export a method that draws dropout in translation without it, which is refused otherwise.",
)
@click.option(
    "--noise",
    type=click.Choice(["constant", "input"]),
    default="constant",
    show_default=True,
    help="Of a generator with noise maps: the run's maps stand in the file, or are an input `noise`.",
)
@click.option("--license", default="not stated", help="Licence of the weights, for the metadata of the file.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="File to write; RUN-DOMAIN.FORMAT in the current folder by default.",
)
def export(
    run: Path,
    domain: str,
    format: Literal["onnx", "pt2", "openvino"],
    precision: Literal["fp32", "fp16", "int8"],
    without_dropout: bool,
    noise: Literal["constant", "input"],
    license: str,
    output: Path | None,
) -> None:
    """Export the translation of RUN to one domain, or its generator, into a file that runs without i2i.

    \b
      i2i export runs/quickstart --to b
      i2i export runs/quickstart --to b --format pt2 --output anime.pt2
      i2i export runs/stylegan2_small --noise input

    The input `image` and the output `translation` are float32 [B, 3, H, W] in [-1, 1]; methods with styles have a
    second input, `style`. A run that generates images from noise has the inputs `latent` and its conditions. Before
    the file is written it is compared with i2i's own translation at another batch and image size, and an fp32 file is
    refused if it differs by more than 1e-5. Its metadata hold recipe, step, domain, range, legal sizes, the measured
    error, the licence and the digest of the weights.
    """
    from i2i.use.export import export as write
    from i2i.use.export_formats import SUFFIXES
    from i2i.use.loaded import load

    for name in ("onnxscript", "onnx_ir", "torch.onnx"):
        logging.getLogger(name).setLevel(logging.ERROR)  # notes on single operations
    loaded = load(run, device="cpu")
    domain = domain if loaded.translator.targets else loaded.translator.domains[0]
    path = output or Path(f"{run.resolve().name}-{domain}{SUFFIXES[format]}")
    exported = write(loaded, path, domain, format, precision, license, without_dropout, noise)
    if exported.size is not None:
        sizes = f"{exported.size[1]} x {exported.size[0]} pixels only"
    else:
        sizes = f"any size divisible by {exported.multiple}"
    batches = "" if exported.batch is None else f", batches of {exported.batch}"
    click.echo(
        f"{exported.path}: {exported.recipe} at step {exported.step} to {domain}; inputs {', '.join(exported.inputs)}; "
        f"{sizes}{batches}; {precision}{'' if exported.dropout == 'none' else ', dropout removed'}; "
        f"differs from i2i by {exported.error:.1e} at most, {exported.mean_error:.1e} on average"
    )
