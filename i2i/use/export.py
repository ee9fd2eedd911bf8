"""Export a trained translator to a file that runs without i2i: ONNX, or PyTorch's `.pt2`."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from i2i.errors import I2IError
from i2i.methods.translator import Translator
from i2i.nn.functional.optimizations import disable_optimizations
from i2i.use.loaded import Loaded

Format = Literal["onnx", "pt2"]
TOLERANCE = 1e-5
"""Largest error that is written, relative to the largest absolute value of the translation."""


@dataclass(frozen=True)
class Exported:
    """What an exported file holds; everything but `path` also stands in the file's metadata.

    Args:
        path: the file.
        recipe: name of the recipe.
        step: number of training steps taken.
        to: domain to translate to.
        inputs: names of the inputs, in order: `image` [B, C, H, W], and `style` where the method has one.
        range: range of images and translations.
        multiple: number that divides height and width of images.
        size: the only legal height and width; None for any size.
        batch: the only legal batch size; None for any.
        error: largest measured difference from i2i's own translation, relative to its largest absolute value.
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
    error: float
    weights_sha256: str

    def metadata(self) -> dict[str, str]:
        """Return the metadata as texts, which is what both formats store."""
        return {name: json.dumps(value) for name, value in asdict(self).items() if name != "path"}


class _Translation(nn.Module):
    """A translator as one forward pass: image and style in, image out."""

    def __init__(self, translator: Translator, to: str) -> None:
        super().__init__()
        self.translator, self.to_domain = translator, to

    def forward(self, image: Tensor, style: Tensor | None = None) -> Tensor:
        condition = {} if style is None else {"style": style}
        return self.translator.translate(image, self.to_domain, **condition).image


def export(loaded: Loaded, path: str | Path, to: str = "b", format: Format | None = None) -> Exported:
    """Export the translation to one domain and prove that the file computes the same.

    The file is compared with i2i's own translation at another batch size and another image size than those of the
    export, and only written if it agrees to 1e-5 of the largest value.

    Args:
        loaded: the trained translator, in float32.
        path: file to write.
        to: domain to translate to.
        format: `onnx` or `pt2`; from the suffix of the path when None.

    Returns:
        exported: what was written, and the measured error.

    Raises:
        I2IError: the translation cannot be exported, or the exported one differs.

    Example:
        >>> export(i2i.load("runs/quickstart"), "quickstart.onnx").error  # doctest: +SKIP
        4.1e-07
    """
    path = Path(path)
    format = format or ("pt2" if path.suffix == ".pt2" else "onnx")
    loaded.check(to, {})
    if next(loaded.translator.parameters()).dtype != torch.float32:
        raise I2IError('export: expected a translator in float32; load it with precision="fp32"')
    translation = _Translation(copy.deepcopy(loaded.translator).cpu(), to).eval()
    batch, height, width = 1 if loaded.constraints.batch_dependent else 2, *_size(loaded)
    sample, other = _inputs(loaded, batch, (height, width)), _inputs(loaded, *_other(loaded, batch, (height, width)))
    with torch.no_grad():
        _check_deterministic(translation, sample)
        expected = [translation(*inputs) for inputs in (sample, other)]
    with torch.no_grad(), disable_optimizations():
        _prune(translation, sample)
        dynamic = _dynamic_shapes(loaded, sample)
        # The optimized path chooses algorithms by size, which would fix the size; the reference path does not.
        program = torch.export.export(translation, sample, dynamic_shapes=dynamic)
        for node in program.graph.nodes:
            node.meta.pop("stack_trace", None)  # holds paths of this machine
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".export-") as folder:
            file = Path(folder) / path.name
            writer = _OnnxFile(program, file, dynamic) if format == "onnx" else _Pt2File(program, file)
            results = [writer.run(inputs) for inputs in (sample, other)]
            error = max(
                float((result - wanted).abs().max() / wanted.abs().max())
                for result, wanted in zip(results, expected, strict=True)
            )
            if not error <= TOLERANCE:
                raise I2IError(
                    f"export: the {format} file differs from i2i's own translation by {error:.1e} of its largest "
                    f"value, more than {TOLERANCE:.0e}, and was not written"
                )
            exported = Exported(
                path=path,
                recipe=loaded.recipe.name,
                step=loaded.step,
                to=to,
                inputs=("image", "style")[: len(sample)],
                range=(-1.0, 1.0),
                multiple=loaded.constraints.multiple,
                size=loaded.constraints.fixed_size,
                batch=1 if loaded.constraints.batch_dependent else None,
                error=error,
                weights_sha256=_digest(loaded.translator),
            )
            writer.save(exported.metadata())
            os.replace(file, path)
    return exported


class _Pt2File:
    """A `.pt2` file of `torch.export`."""

    def __init__(self, program: torch.export.ExportedProgram, file: Path) -> None:
        self.program, self.file = program, file
        torch.export.save(program, file)
        self.loaded = torch.export.load(file).module()

    def run(self, inputs: Sequence[Tensor]) -> Tensor:
        result: Tensor = self.loaded(*inputs)
        return result

    def save(self, metadata: Mapping[str, str]) -> None:
        torch.export.save(self.program, self.file, extra_files={"i2i.json": json.dumps(dict(metadata))})


class _OnnxFile:
    """An ONNX file, run by onnxruntime."""

    def __init__(self, program: torch.export.ExportedProgram, file: Path, dynamic: Any) -> None:
        try:
            import onnx
            import onnxruntime
        except ImportError as error:
            raise I2IError(f"export: onnx needs {error.name}; install i2i[export], or use --format pt2") from error
        self.onnx, self.file = onnx, file
        names = ["image", "style"][: len(dynamic)]
        written = torch.onnx.export(
            program, dynamo=True, input_names=names, output_names=["translation"], optimize=True, verbose=False
        )
        assert written is not None  # with dynamo=True it returns a program
        written.save(str(file), external_data=False)
        self.session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        self.names = names

    def run(self, inputs: Sequence[Tensor]) -> Tensor:
        feed = {name: value.numpy() for name, value in zip(self.names, inputs, strict=True)}
        return torch.from_numpy(self.session.run(None, feed)[0])

    def save(self, metadata: Mapping[str, str]) -> None:
        model = self.onnx.load(str(self.file))
        for part in (*model.graph.node, *model.graph.value_info, model.graph):
            del part.metadata_props[:]  # notes of the exporter on the source code
        self.onnx.helper.set_model_props(model, dict(metadata))
        self.onnx.save(model, str(self.file))


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


def _inputs(loaded: Loaded, batch: int, size: tuple[int, int]) -> tuple[Tensor, ...]:
    """Return random inputs: an image, and a style where the method has style codes or needs a reference image."""
    draws = torch.Generator().manual_seed(batch)
    image = torch.rand(batch, 3, *size, generator=draws) * 2 - 1
    translator: Any = loaded.translator
    if "style" not in translator.conditions():
        return (image,)
    if translator.requires_condition:
        return image, torch.rand(1, 3, *size, generator=draws) * 2 - 1
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
        reason = f"it has dropout that stays on in translation ({layers[0]})" if layers else "it draws random numbers"
        raise I2IError(
            f"export: two translations of one image differ, since {reason}; an exported file could not compute the "
            f"same. Train without it to export"
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
