"""Export a generator to a file that runs without i2i."""

from __future__ import annotations

import copy
import json
import os
import tempfile
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from i2i.errors import I2IError
from i2i.nn.functional.optimizations import disable_optimizations
from i2i.use.export_formats import WRITERS
from i2i_stylegan.translators import GAN, StyleGAN

TOLERANCE = 1e-5
"""Largest error that is written, relative to the largest absolute value of an image."""


class _Generation(nn.Module):
    """A generator as one forward pass: latent code, one-hot class and truncation in, image out."""

    def __init__(self, translator: Any) -> None:
        super().__init__()
        self.generator, self.full_size = translator.generator, translator.full_size
        self.styled = isinstance(translator, StyleGAN)
        self.conditional = translator.conditional

    def forward(self, *inputs: Tensor) -> Tensor:
        latent, *rest = inputs
        classes = rest.pop(0) if self.conditional else None
        if not self.styled:
            image = self.generator(latent, classes)
        else:
            ws = self.generator.mapping(latent, classes)
            average = self.generator.mapping.w_avg
            image = self.generator.synthesis(average + rest[0] * (ws - average), "const")
        clamped: Tensor = self.full_size(image.clamp(-1, 1))
        return clamped


def export_generator(loaded: Any, path: str | Path, format: Literal["onnx", "pt2"] = "onnx") -> float:
    """Export the generator of a run and prove that the file computes the same.

    The inputs are `latent` [B, z_dim], normal random numbers; `classes` [B, n], one-hot, where there are classes; and
    `truncation`, a number [1], for generators with styles. The file is compared with i2i at another batch size, and
    only written if it agrees to 1e-5 of the largest value.

    Args:
        loaded: the trained run, in float32.
        path: file to write.
        format: of the file.

    Returns:
        The largest error, relative to the largest absolute value of an image.

    Raises:
        I2IError: the run generates no images from noise, or the exported file differs.
    """
    path, translator = Path(path), loaded.translator
    if not isinstance(translator, GAN):
        raise I2IError("export-generator: this run generates no images from noise; use i2i export")
    generation = _Generation(copy.deepcopy(translator).cpu().float()).eval()
    used = {"latent": True, "classes": generation.conditional, "truncation": generation.styled}
    names = tuple(name for name, is_used in used.items() if is_used)

    def inputs(count: int) -> tuple[Tensor, ...]:
        draws = torch.Generator().manual_seed(count)
        values = [torch.randn(count, translator.generator.z_dim, generator=draws)]
        if generation.conditional:
            values.append(torch.eye(translator.num_classes)[torch.arange(count) % translator.num_classes])
        return (*values, *((torch.tensor([0.7]),) if generation.styled else ()))

    samples = inputs(2), inputs(3)
    dynamic = tuple({} if name == "truncation" else {0: torch.export.Dim.DYNAMIC} for name in names)
    with torch.no_grad(), disable_optimizations():
        expected = [generation(*sample) for sample in samples]
        program = torch.export.export(generation, samples[0], dynamic_shapes=(dynamic,))
        for node in program.graph.nodes:
            node.meta.pop("stack_trace", None)  # holds paths of this machine
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".export-") as folder:
            file = Path(folder) / path.name
            writer = WRITERS[format](program, file, names, "fp32")
            pairs = zip((writer.run(sample) for sample in samples), expected, strict=True)
            error = max(float((result - wanted).abs().max() / wanted.abs().max()) for result, wanted in pairs)
            if not error <= TOLERANCE:
                raise I2IError(f"export-generator: the file differs by {error:.1e} and was not written")
            metadata = {"recipe": loaded.recipe.name, "step": loaded.step, "inputs": names, "range": [-1, 1]}
            writer.save({name: json.dumps(value) for name, value in (metadata | {"error": error}).items()})
            for written in sorted(Path(folder).iterdir(), key=lambda other: other == file):
                os.replace(written, path.with_name(written.name))
    return error
