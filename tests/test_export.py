"""Exported files compute what i2i computes, at sizes that they were not exported at, or are not written."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import openvino
import pytest
import torch

from i2i.cli import run as run_command
from i2i.engine.run import Run
from i2i.engine.stepper import Stepper
from i2i.errors import I2IError
from i2i.methods.assembly import build
from i2i.recipe.recipe import Recipe
from i2i.use import export as exporting
from i2i.use.export import Exported, export
from i2i.use.export_formats import SUFFIXES, Format, Precision
from i2i.use.loaded import Loaded

NETWORK = {"translator.generator.channels": 4, "translator.generator.blocks": 1}
UGATIT: dict[str, Any] = NETWORK | {
    "data.size": 32,
    "data.type": "portraits",
    "translator.discriminators.global_.layers": 5,
    "translator.discriminators.global_.channels": 4,
    "translator.discriminators.local.channels": 4,
}
PORTRAITS: dict[str, Any] = NETWORK | {"data.size": 32, "data.type": "portraits"}
CORE: dict[str, dict[str, Any]] = {
    "cut": PORTRAITS | {"translator.taps": ["image", "blocks.0"]},
    "cyclegan": PORTRAITS,
    "cyclegan_small": {},
    "cyclegan_masked_small": {},
    "quickstart": {},
    "cut_small": {},
    "munit": PORTRAITS | {"data.size": 64},
    "munit_small": {},
    "nicegan_small": {},
    "pix2pix_classes_small": {},
    "pix2pix_small": {},
    "sincut_small": {},
    "unit": PORTRAITS | {"data.size": 64},
    "unit_small": {},
    "ugatit_small": {},
    **{f"ugatit{variant}": UGATIT for variant in ("", "_adain", "_iln", "_in", "_light", "_ln")},
    "ugatit_gn": UGATIT | {"translator.generator.channels": 32},
}


def loaded(name: str, settings: dict[str, Any]) -> Loaded:
    recipe = Recipe.read(name, settings)
    return Loaded(recipe, build(recipe, training=False).eval().requires_grad_(False), 0)


def check(model: Loaded, exported: Exported, format: Format) -> None:
    """Compare the file with the model at sizes that neither the export nor its proof has seen."""
    multiple = exported.multiple
    height, width = exported.size or (max(model.smallest_size, 8 * multiple), max(model.smallest_size, 11 * multiple))
    for batch in (1, 5) if exported.batch is None else (1,):
        inputs: dict[str, Any] = {"image": torch.rand(batch, 3, height, width) * 2 - 1}
        if "style" in exported.inputs:
            inputs["style"] = torch.randn(1, model.translator.style_channels)  # type: ignore[arg-type]
        if "label" in exported.inputs:
            inputs["label"] = torch.tensor([1])
        if format == "onnx":
            session = onnxruntime.InferenceSession(str(exported.path), providers=["CPUExecutionProvider"])
            (array,) = session.run(["translation"], {name: value.numpy() for name, value in inputs.items()})
            result = torch.from_numpy(array)
        elif format == "openvino":
            compiled = openvino.Core().compile_model(exported.path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
            result = torch.from_numpy(compiled([value.numpy() for value in inputs.values()])[0])
        else:
            result = torch.export.load(exported.path).module()(*inputs.values())
        image = inputs.pop("image")
        if "label" in inputs:
            inputs["label"] = 1  # i2i takes the number itself
        expected = model.run(image, exported.to, **inputs).image
        assert result.shape == expected.shape
        assert (result - expected).abs().max() <= 1e-5 * expected.abs().max()


@pytest.mark.slow
@pytest.mark.parametrize("format", ["onnx", "pt2", pytest.param("openvino", marks=pytest.mark.slow)])
def test_a_translator_is_exported(format: Format, tmp_path: Path) -> None:
    model = loaded("cyclegan_small", NETWORK)
    path = tmp_path / f"deep/x{SUFFIXES[format]}"
    exported = export(model, path, to="a", license="CC0-1.0")
    assert exported.error <= 1e-5
    assert (exported.inputs, exported.multiple, exported.size, exported.batch) == (("image",), 4, None, None)
    check(model, exported, format)
    files = {path.name, "x.bin"} if format == "openvino" else {path.name}
    assert {written.name for written in path.parent.iterdir()} == files
    if format == "openvino":
        described = openvino.Core().read_model(path)
        stored = {name: described.get_rt_info(["i2i", name]).astype(str) for name in exported.metadata()}
    elif format == "onnx":
        stored = {entry.key: entry.value for entry in onnx.load(str(exported.path)).metadata_props}
    else:
        extra = {"i2i.json": ""}
        torch.export.load(exported.path, extra_files=extra)
        stored = json.loads(extra["i2i.json"])
    assert stored == exported.metadata()
    assert json.loads(stored["recipe"]) == "cyclegan_small"
    assert json.loads(stored["range"]) == [-1, 1]
    assert json.loads(stored["license"]) == "CC0-1.0"
    content = b"".join(written.read_bytes() for written in path.parent.iterdir())
    assert str(Path(exporting.__file__).parents[1]).encode() not in content  # no paths of this machine
    # The other direction and the discriminators are not part of the file.
    parameters = [
        p for name in ("generators", "discriminators") for p in model.translator.get_submodule(name).parameters()
    ]
    generator = sum(p.nbytes for p in model.translator.get_submodule("generators.a").parameters())
    assert generator < len(content) < sum(p.nbytes for p in parameters)


@pytest.mark.slow
@pytest.mark.parametrize("format", ["onnx", "pt2"])
@pytest.mark.parametrize("name", CORE)
def test_every_core_recipe_is_exported(name: str, format: Format, tmp_path: Path) -> None:
    model = loaded(name, CORE[name])
    exported = export(model, tmp_path / f"x.{format}")
    check(model, exported, format)


@pytest.mark.thorough
def test_a_file_that_differs_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "TOLERANCE", -1.0)
    message = r"the pt2 file differs from i2i's own translation by .* and was not written; from the same translation "
    figures = r"in fp64 the file differs by \d\.\de-0[67], i2i's own in fp32 by \d\.\de-0[67]$"
    with pytest.raises(I2IError, match=message + figures):
        export(loaded("cyclegan_small", NETWORK), tmp_path / "x.pt2")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("format", "precision", "size", "error"),
    [
        ("onnx", "int8", 0.5, 0.2),
        pytest.param("onnx", "fp16", 0.6, 0.02, marks=pytest.mark.slow),
        pytest.param("pt2", "fp16", 0.8, 0.02, marks=pytest.mark.slow),
        pytest.param("openvino", "fp16", 0.8, 0.02, marks=pytest.mark.slow),
    ],
)
def test_smaller_files_state_their_error(
    format: Format, precision: Precision, size: float, error: float, tmp_path: Path
) -> None:
    model = loaded("cyclegan_small", {**NETWORK, "translator.generator.channels": 16})
    exported = export(model, tmp_path / f"small{SUFFIXES[format]}", precision=precision)
    assert 1e-5 < exported.error < error
    assert 0 < exported.mean_error < exported.error
    parameters = sum(p.nbytes for p in model.translator.get_submodule("generators.b").parameters())
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < size * parameters + 100_000
    assert json.loads(exported.metadata()["precision"]) == precision


@pytest.mark.thorough
def test_dropout_in_translation_is_refused_or_removed(tmp_path: Path) -> None:
    settings = {"data.size": 64, "data.type": "portrait_pairs", "translator.generator.levels": 6}
    settings |= {"translator.generator.channels": 4}
    with pytest.raises(I2IError, match=r"two translations of one image differ, since it has dropout that stays on"):
        export(loaded("pix2pix", settings), tmp_path / "x.pt2")
    model = loaded("pix2pix", settings)
    exported = export(model, tmp_path / "x.pt2", without_dropout=True)
    assert (exported.dropout, exported.error <= 1e-5) == ("removed", True)
    assert any(getattr(module, "at_inference", False) for module in model.translator.modules())  # ours keeps it


@pytest.mark.thorough
def test_one_size_is_exported_where_sizes_are_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = loaded("cyclegan_small", NETWORK)
    monkeypatch.setattr(type(model.translator), "exported_at_one_size", True, raising=False)
    exported = export(model, tmp_path / "x.pt2")
    assert exported.size == model.recipe.image_size
    assert model.constraints.fixed_size is None


@pytest.mark.thorough
def test_what_cannot_be_exported_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = loaded("cyclegan_small", NETWORK)
    with monkeypatch.context() as patch:
        patch.setattr(type(model.translator), "not_exportable", "it has no images", raising=False)
        with pytest.raises(I2IError, match="export: cyclegan_small cannot be exported: it has no images"):
            export(model, tmp_path / "x.onnx")
    with monkeypatch.context() as patch:
        patch.setattr(type(model.translator), "targets", ())
        with pytest.raises(I2IError, match="cyclegan_small translates no images, and its translator has no sample_fro"):
            export(model, tmp_path / "x.onnx")
    with pytest.raises(I2IError, match="this translator has no domain 'c'; domains: a, b"):
        export(model, tmp_path / "x.onnx", to="c")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(I2IError, match=r"export: onnx needs onnxruntime; install i2i\[export\], or use --format pt2"):
        export(model, tmp_path / "x.onnx")
    model.translator.double()
    with pytest.raises(I2IError, match="expected a translator in float32"):
        export(model, tmp_path / "x.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.thorough
def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = Recipe.read("cyclegan_small", NETWORK)
    Run(tmp_path / "run", recipe, Stepper(recipe), dataset=None).save()
    monkeypatch.chdir(tmp_path)
    assert run_command(["export", "run", "--to", "a", "--format", "pt2"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(
        "run-a.pt2: cyclegan_small at step 0 to a; inputs image; any size divisible by 4; fp32; differs from i2i by "
    )
    assert (tmp_path / "run-a.pt2").is_file()
    assert run_command(["export", "run", "--to", "c"]) == 2
