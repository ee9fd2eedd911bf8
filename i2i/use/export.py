"""Export a trained translator to a file that runs without i2i, after comparing it with i2i's own translation."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from i2i.errors import I2IError
from i2i.nn.functional.optimizations import disable_optimizations
from i2i.use.export_formats import SUFFIXES, WRITERS, Format, Precision, Writer
from i2i.use.export_graphs import ForwardPass, Graph, generation_graph, translation_graph
from i2i.use.loaded import Loaded

TOLERANCE = 1e-5
"""Largest error of an fp32 file that is written, relative to the largest absolute value of the translation."""


@dataclass(frozen=True)
class Exported:
    """What an exported file holds; everything but `path` also stands in the file's metadata.

    Args:
        path: the file.
        recipe: name of the recipe.
        step: number of training steps taken.
        to: domain to translate to, or that of the images that are generated from noise.
        inputs: names of the inputs, in order: `image` [B, C, H, W], and that of the condition, such as `style`; of a
            generator, `latent` [B, z_dim] and its conditions.
        range: range of images and translations.
        multiple: number that divides height and width of images.
        size: the only legal height and width; None for any size. Of a generator, the size of its images.
        batch: the only legal batch size; None for any.
        precision: precision of the file; `int8` has weights of 8 bits.
        error: largest measured difference from i2i's own translation, relative to its largest absolute value.
        mean_error: mean of the differences, relative to the same value.
        dropout: `removed` where the translator draws dropout in translation and the file does not; else `none`.
        noise: `constant` where the file holds a generator's noise maps, `input` where it takes them, else `none`.
        license: licence of the weights, as given by whoever exports them.
        weights_sha256: digest of the weights.
    """

    path: Path
    recipe: str
    step: int
    to: str
    inputs: tuple[str, ...]
    range: tuple[float, float]
    multiple: int
    size: tuple[int, int] | None
    batch: int | None
    precision: Precision
    error: float
    mean_error: float
    dropout: str
    noise: str
    license: str
    weights_sha256: str

    def metadata(self) -> dict[str, str]:
        """Return the metadata as texts, which is what both formats store."""
        return {name: json.dumps(value) for name, value in asdict(self).items() if name != "path"}


def switch_off_dropout(module: nn.Module) -> bool:
    """Switch off dropout that is drawn in translation; return whether there was any."""
    drawing = [layer for layer in module.modules() if getattr(layer, "at_inference", False)]
    for layer in drawing:
        layer.__dict__["at_inference"] = False
    return bool(drawing)


def export(
    loaded: Loaded,
    path: str | Path,
    to: str = "b",
    format: Format | None = None,
    precision: Precision = "fp32",
    license: str = "not stated",
    without_dropout: bool = False,
    noise: Literal["constant", "input"] = "constant",
) -> Exported:
    """Export the translation to one domain, or a generator of images from noise, and prove that the file computes it.

    The file is compared with i2i's own translation at another batch size and another image size than those of the
    export, and only written if it agrees to 1e-5 of the largest value. Of fp16 and int8, the error is stored.

    Args:
        loaded: the trained translator, in float32.
        path: file to write.
        to: domain to translate to.
        format: from the suffix of the path when None, `onnx` for unknown ones.
        precision: `fp16` halves the file; `int8` (onnx only) quantizes the weights dynamically.
        license: licence of the weights, for the file's metadata.
        without_dropout: export a translator that draws dropout in translation, without it; refused otherwise.
        noise: whether a generator's noise maps stand in the file, or are an input `noise` [B, N] of normal numbers.

    Returns:
        exported: what was written, and the measured error.

    Raises:
        I2IError: the translation cannot be exported, or the exported one differs. A translator says so itself by an
            attribute `not_exportable`, the reason. One that computes sizes from the image's, as no file can, sets
            `exported_at_one_size`; its file takes the recipe's size alone.

    Example:
        >>> export(i2i.load("runs/quickstart"), "quickstart.onnx").error  # doctest: +SKIP
        4.1e-07
    """
    path = Path(path)
    by_suffix: dict[str, Format] = {suffix: name for name, suffix in SUFFIXES.items()}
    format = format or by_suffix.get(path.suffix, "onnx")
    if format == "openvino" and path.suffix != ".xml":
        raise I2IError(f"export: expected a name that ends in .xml for openvino, got {path}")
    translator = copy.deepcopy(loaded.translator).cpu().eval()
    if reason := getattr(translator, "not_exportable", ""):
        raise I2IError(f"export: {loaded.recipe.name} cannot be exported: {reason}")
    if getattr(translator, "exported_at_one_size", False):
        loaded = copy.copy(loaded)
        loaded.constraints = loaded.constraints._replace(fixed_size=loaded.recipe.image_size)
    if next(translator.parameters()).dtype != torch.float32:
        raise I2IError('export: expected a translator in float32; load it with precision="fp32"')
    graph = (
        translation_graph(loaded, translator, to)
        if translator.targets
        else generation_graph(loaded, translator, noise == "input")
    )
    if without_dropout:
        switch_off_dropout(graph.module)
    with torch.no_grad():
        _check_deterministic(graph.module, graph.samples[0])
        expected = [graph.module(*inputs) for inputs in graph.samples]
    with torch.no_grad(), disable_optimizations():
        _prune(graph.module, graph.samples[0])
        # OpenVINO rounds the weights itself.
        half = precision == "fp16" and format != "openvino"
        module = ForwardPass(translator.half(), graph.module.names, graph.module.to_domain) if half else graph.module
        # The optimized path chooses algorithms by size, which would fix the size; the reference path does not.
        program = _program(module.eval(), graph)
        for node in program.graph.nodes:
            node.meta.pop("stack_trace", None)  # holds paths of this machine
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".export-") as folder:
            file = Path(folder) / path.name
            try:
                writer = WRITERS[format](program, file, graph.module.names, precision)
            except I2IError:
                raise
            except Exception as problem:  # of the packages that write the format
                raise I2IError(
                    f"export: these networks cannot be written as {format}: {_reason(problem)}; try another --format"
                ) from problem
            found = _run(writer, graph.samples)
            error, mean_error = _errors(found, expected)
            if not error <= (TOLERANCE if precision == "fp32" else float("inf")):
                exact = _exact(graph)
                (theirs, _), (ours, _) = _errors(found, exact), _errors(expected, exact)
                raise I2IError(
                    f"export: the {format} file differs from i2i's own translation by {error:.1e} of its largest "
                    f"value, more than {TOLERANCE:.0e}, and was not written; from the same translation in fp64 the "
                    f"file differs by {theirs:.1e}, i2i's own in fp32 by {ours:.1e}"
                    f"{'' if format == 'pt2' else '; try --format pt2'}"
                )
            exported = Exported(
                path=path,
                recipe=loaded.recipe.name,
                step=loaded.step,
                to=to if translator.targets else translator.domains[0],
                inputs=graph.module.names,
                range=(-1.0, 1.0),
                multiple=loaded.constraints.multiple,
                size=loaded.constraints.fixed_size if translator.targets else loaded.recipe.image_size,
                batch=1 if loaded.constraints.batch_dependent else None,
                precision=precision,
                error=error,
                mean_error=mean_error,
                dropout="removed" if without_dropout else "none",
                noise=noise if getattr(translator, "has_noise_maps", False) else "none",
                license=license,
                weights_sha256=_digest(loaded.translator),
            )
            writer.save(exported.metadata())
            for written in sorted(
                Path(folder).iterdir(), key=lambda other: other == file
            ):  # the file itself comes last
                os.replace(written, path.with_name(written.name))
    return exported


def _program(module: nn.Module, graph: Graph) -> torch.export.ExportedProgram:
    """Return the forward pass as torch exports it, with the first free dimensions that its networks allow."""
    for number, dynamic in enumerate(graph.dynamic):
        try:
            return torch.export.export(module, graph.samples[0], dynamic_shapes=dynamic)
        except Exception as problem:  # of several packages inside torch
            if number == len(graph.dynamic) - 1:
                raise I2IError(f"export: torch cannot export this method's networks: {_reason(problem)}") from problem
    raise AssertionError("there is at least one choice of free dimensions")


def _reason(problem: Exception) -> str:
    """Return the line of an error of torch that says what is wrong."""
    lines = [line for line in str(problem).strip().splitlines() if line.startswith("<class")]
    return (lines or str(problem).strip().splitlines() or [type(problem).__name__])[0]


def _run(writer: Writer, samples: Sequence[tuple[Tensor, ...]]) -> list[Tensor]:
    """Return the file's own translations."""
    found = []
    for inputs in samples:
        try:
            found.append(writer.run(inputs))
        except Exception as problem:  # of the runtime, such as a guard that a shape violates
            shape = "x".join(map(str, inputs[0].shape))
            raise I2IError(
                f"export: the file does not run on images {shape}, and was not written: {_reason(problem)}"
            ) from problem
    return found


def _errors(found: Sequence[Tensor], expected: Sequence[Tensor]) -> tuple[float, float]:
    """Return the largest and the mean difference, relative to the largest expected value."""
    worst, means = 0.0, []
    for image, wanted in zip(found, expected, strict=True):
        difference = (image - wanted).abs() / wanted.abs().max()
        worst = max(worst, float(difference.max())) if difference.isfinite().all() else float("nan")
        means.append(float(difference.mean()))
    return worst, sum(means) / len(means)


def _exact(graph: Graph) -> list[Tensor]:
    """Return i2i's own translations, computed in float64."""
    module = ForwardPass(graph.module.translator.double(), graph.module.names, graph.module.to_domain)
    return [
        module(*(value.double() if value.is_floating_point() else value for value in inputs))
        for inputs in graph.samples
    ]


def _check_deterministic(translation: nn.Module, inputs: Sequence[Tensor]) -> None:
    """Refuse random operations, which an exported file would drop without a word.

    Raises:
        I2IError: two translations of one image differ.
    """
    results = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        results.append(translation(*inputs))
    if not torch.equal(*results):
        layers = [name for name, module in translation.named_modules() if "dropout" in type(module).__name__.lower()]
        remedy = "; --without-dropout exports the translation without dropout" if layers else ""
        reason = f"it has dropout that stays on in translation ({layers[0]})" if layers else "it draws random numbers"
        raise I2IError(
            f"export: two translations of one image differ, since {reason}; an exported file could not compute the "
            f"same{remedy}"
        )


def _prune(translation: ForwardPass, inputs: Sequence[Tensor]) -> None:
    """Remove the networks that take no part in the translation, such as discriminators and the other direction."""
    called: set[nn.Module] = set()
    hooks = [module.register_forward_pre_hook(lambda module, _: called.add(module)) for module in translation.modules()]
    translation(*inputs)
    for hook in hooks:
        hook.remove()
    # A network may read weights of its layers without calling them, so only whole networks are removed.
    containers: list[nn.Module] = [translation.translator]
    while containers:
        container = containers.pop()
        for name, child in list(container.named_children()):
            if called.isdisjoint(child.modules()):
                delattr(container, name)
            elif isinstance(child, nn.ModuleDict):
                containers.append(child)


def _digest(translator: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(translator.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
