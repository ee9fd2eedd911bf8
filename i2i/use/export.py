"""Export a trained translator to a file that runs without i2i, after comparing it with i2i's own translation."""

from __future__ import annotations

import copy
import hashlib
import inspect
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from i2i.errors import I2IError
from i2i.methods.translator import Translator
from i2i.nn.functional.optimizations import disable_optimizations
from i2i.use.export_formats import SUFFIXES, WRITERS, Format, Precision, Writer
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
        to: domain to translate to.
        inputs: names of the inputs, in order: `image` [B, C, H, W], and that of the condition, such as `style`.
        range: range of images and translations.
        multiple: number that divides height and width of images.
        size: the only legal height and width; None for any size.
        batch: the only legal batch size; None for any.
        precision: precision of the file; `int8` has weights of 8 bits.
        error: largest measured difference from i2i's own translation, relative to its largest absolute value.
        mean_error: mean of the differences, relative to the same value.
        dropout: `removed` where the translator draws dropout in translation and the file does not; else `none`.
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
    license: str
    weights_sha256: str

    def metadata(self) -> dict[str, str]:
        """Return the metadata as texts, which is what both formats store."""
        return {name: json.dumps(value) for name, value in asdict(self).items() if name != "path"}


class _Translation(nn.Module):
    """A translator as one forward pass: image and style in, image out."""

    def __init__(self, translator: Translator, to: str, half: bool = False) -> None:
        super().__init__()
        self.condition = condition_input(translator)
        self.translator, self.to_domain = translator.half() if half else translator, to
        self.dtype = torch.float16 if half else torch.float32

    def forward(self, image: Tensor, value: Tensor | None = None) -> Tensor:
        condition = (
            {} if value is None else {str(self.condition): value.to(self.dtype) if value.is_floating_point() else value}
        )
        return self.translator.translate(image.to(self.dtype), self.to_domain, **condition).image.float()


def condition_input(translator: Translator) -> str | None:
    """Return the condition that becomes an input of an exported file: the required one, else `style`, else None."""
    parameters = inspect.signature(translator.translate).parameters
    names = [name for name in translator.conditions() if name in parameters]
    required = [name for name in names if parameters[name].default is inspect.Parameter.empty]
    if len(required) > 1:
        raise I2IError(f"export: expected a method with one required condition, got {', '.join(required)}")
    if translator.requires_condition and not required and len(names) == 1:
        return names[0]
    return required[0] if required else "style" if "style" in names else None


def export(
    loaded: Loaded,
    path: str | Path,
    to: str = "b",
    format: Format | None = None,
    precision: Precision = "fp32",
    license: str = "not stated",
    without_dropout: bool = False,
) -> Exported:
    """Export the translation to one domain and prove that the file computes the same.

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

    Returns:
        exported: what was written, and the measured error.

    Raises:
        I2IError: the translation cannot be exported, or the exported one differs.

    Example:
        >>> export(i2i.load("runs/quickstart"), "quickstart.onnx").error  # doctest: +SKIP
        4.1e-07
    """
    path = Path(path)
    by_suffix: dict[str, Format] = {suffix: name for name, suffix in SUFFIXES.items()}
    format = format or by_suffix.get(path.suffix, "onnx")
    if format == "openvino" and path.suffix != ".xml":
        raise I2IError(f"export: expected a name that ends in .xml for openvino, got {path}")
    loaded.check(to, {})
    if next(loaded.translator.parameters()).dtype != torch.float32:
        raise I2IError('export: expected a translator in float32; load it with precision="fp32"')
    translation = _Translation(copy.deepcopy(loaded.translator).cpu(), to).eval()
    if without_dropout:
        for module in translation.modules():
            if getattr(module, "at_inference", False):
                module.__dict__["at_inference"] = False
    batch, height, width = 1 if loaded.constraints.batch_dependent else 2, *_size(loaded)
    sample, other = (
        _inputs(loaded, to, batch, (height, width)),
        _inputs(loaded, to, *_other(loaded, batch, (height, width))),
    )
    with torch.no_grad():
        _check_deterministic(translation, sample)
        names = ("image", str(translation.condition))[: len(sample)]
        expected = [translation(*inputs) for inputs in (sample, other)]
    with torch.no_grad(), disable_optimizations():
        _prune(translation, sample)
        # OpenVINO rounds the weights itself.
        translation = _Translation(translation.translator, to, half=precision == "fp16" and format != "openvino").eval()
        dynamic = _dynamic_shapes(loaded, sample)
        # The optimized path chooses algorithms by size, which would fix the size; the reference path does not.
        try:
            program = torch.export.export(translation, sample, dynamic_shapes=dynamic)
        except Exception as problem:  # of several packages inside torch
            reason = str(problem).strip().splitlines()[0] if str(problem).strip() else type(problem).__name__
            raise I2IError(f"export: torch cannot export this method's networks: {reason}") from problem
        for node in program.graph.nodes:
            node.meta.pop("stack_trace", None)  # holds paths of this machine
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".export-") as folder:
            file = Path(folder) / path.name
            writer = WRITERS[format](program, file, names, precision)
            error, mean_error = _errors(writer, (sample, other), expected)
            if not error <= (TOLERANCE if precision == "fp32" else float("inf")):
                raise I2IError(
                    f"export: the {format} file differs from i2i's own translation by {error:.1e} of its largest "
                    f"value, more than {TOLERANCE:.0e}, and was not written"
                )
            exported = Exported(
                path=path,
                recipe=loaded.recipe.name,
                step=loaded.step,
                to=to,
                inputs=names,
                range=(-1.0, 1.0),
                multiple=loaded.constraints.multiple,
                size=loaded.constraints.fixed_size,
                batch=1 if loaded.constraints.batch_dependent else None,
                precision=precision,
                error=error,
                mean_error=mean_error,
                dropout="removed" if without_dropout else "none",
                license=license,
                weights_sha256=_digest(loaded.translator),
            )
            writer.save(exported.metadata())
            for written in sorted(
                Path(folder).iterdir(), key=lambda other: other == file
            ):  # the file itself comes last
                os.replace(written, path.with_name(written.name))
    return exported


def _errors(writer: Writer, inputs: Sequence[tuple[Tensor, ...]], expected: Sequence[Tensor]) -> tuple[float, float]:
    """Return the largest and the mean difference from i2i's own translation, relative to its largest value."""
    worst, means = 0.0, []
    for sample, wanted in zip(inputs, expected, strict=True):
        try:
            difference = (writer.run(sample) - wanted).abs() / wanted.abs().max()
        except Exception as problem:  # of the runtime, such as a guard that a shape violates
            shape = "x".join(map(str, sample[0].shape))
            reason = str(problem).strip().splitlines()[0] if str(problem).strip() else type(problem).__name__
            raise I2IError(
                f"export: the file does not run on images {shape}, and was not written: {reason}"
            ) from problem
        worst = max(worst, float(difference.max())) if difference.isfinite().all() else float("nan")
        means.append(float(difference.mean()))
    return worst, sum(means) / len(means)


def _size(loaded: Loaded) -> tuple[int, int]:
    """Return height and width of the example: the fixed size, or a legal one whose sides differ."""
    if loaded.constraints.fixed_size is not None:
        return loaded.constraints.fixed_size
    multiple = loaded.constraints.multiple
    side = -(-max(loaded.smallest_size, 4 * multiple) // multiple) * multiple
    return side + multiple, side + 2 * multiple


def _other(loaded: Loaded, batch: int, size: tuple[int, int]) -> tuple[int, tuple[int, int]]:
    """Return another batch size and another image size, where the networks take them."""
    multiple = loaded.constraints.multiple
    other = size if loaded.constraints.fixed_size else (size[0] + 3 * multiple, size[1] + multiple)
    return (1 if loaded.constraints.batch_dependent else batch + 1), other


def _inputs(loaded: Loaded, to: str, batch: int, size: tuple[int, int]) -> tuple[Tensor, ...]:
    """Return random inputs: an image, and the condition: a style code, a class, or an image where one is needed."""
    draws = torch.Generator().manual_seed(batch)
    translator: Any = loaded.translator
    image = torch.rand(batch, translator.input_stream(to).channels, *size, generator=draws) * 2 - 1
    name = condition_input(translator)
    if name is None:
        return (image,)
    stream = translator.streams.get(name)
    if stream is not None and stream.role == "label":
        return image, torch.randint(max(2, stream.channels), (1,), generator=draws)
    if name != "style" or translator.requires_condition:
        return image, torch.rand(
            1, translator.streams[to].channels if to in translator.streams else 3, *size, generator=draws
        ) * 2 - 1
    codes = getattr(translator, "style_channels", None) or getattr(translator, "styles", None)
    if codes is None:
        return (image,)
    return image, torch.rand(1, int(codes), generator=draws)


def _dynamic_shapes(loaded: Loaded, inputs: Sequence[Tensor]) -> tuple[Any, ...]:
    """Return for each input the dimensions that may change."""
    free = torch.export.Dim.DYNAMIC
    image: dict[int, Any] = {} if loaded.constraints.batch_dependent else {0: free}
    if loaded.constraints.fixed_size is None:
        image |= {2: free, 3: free}
    styles = [{2: free, 3: free} if style.ndim == 4 else {} for style in inputs[1:]]
    return (image, *styles)


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


def _prune(translation: _Translation, inputs: Sequence[Tensor]) -> None:
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
