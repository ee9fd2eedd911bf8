"""Export a generator to a file that runs without i2i."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from i2i.errors import I2IError
from i2i.use.export import export
from i2i_stylegan.translators import GAN


def export_generator(
    loaded: Any,
    path: str | Path,
    format: Literal["onnx", "pt2"] = "onnx",
    noise: Literal["constant", "input"] = "constant",
) -> float:
    """Export the generator of a run and prove that the file computes the same, as `i2i.use.export.export` does.

    The inputs are those that the translator's `sample_inputs` names: `latent`, and its conditions.

    Args:
        loaded: the trained run, in float32.
        path: file to write.
        format: of the file.
        noise: whether noise maps stand in the file, or are an input.

    Returns:
        The largest error, relative to the largest absolute value of an image.

    Raises:
        I2IError: the run generates no images from noise, or the exported file differs.
    """
    if not isinstance(loaded.translator, GAN):
        raise I2IError("export-generator: this run generates no images from noise; use i2i export")
    return export(loaded, path, format=format, noise=noise).error
