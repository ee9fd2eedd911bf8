"""Files that run without i2i: ONNX, PyTorch's `.pt2` and OpenVINO, each written, run and described."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from i2i.errors import I2IError

Format = Literal["onnx", "pt2", "openvino"]
Precision = Literal["fp32", "fp16", "int8"]
SUFFIXES: Mapping[Format, str] = {"onnx": ".onnx", "pt2": ".pt2", "openvino": ".xml"}
"""Usual suffixes of the formats."""


class Writer(Protocol):
    """A format.

    Args:
        program: the translation, exported by torch.
        file: file to write, in a temporary folder; further files of the format lie next to it.
        inputs: names of the inputs.
        precision: precision of the file.
    """

    def __init__(
        self, program: torch.export.ExportedProgram, file: Path, inputs: Sequence[str], precision: Precision
    ) -> None: ...

    def run(self, inputs: Sequence[Tensor]) -> Tensor:
        """Return the file's own translation."""
        ...

    def save(self, metadata: Mapping[str, str]) -> None:
        """Store metadata in the file."""
        ...


class Pt2File:
    """A `.pt2` file of `torch.export`."""

    def __init__(
        self, program: torch.export.ExportedProgram, file: Path, inputs: Sequence[str], precision: Precision
    ) -> None:
        if precision == "int8":
            raise I2IError("export: int8 is available for onnx; choose --format onnx, or --precision fp16")
        self.program, self.file = program, file
        torch.export.save(program, file)
        self.loaded = torch.export.load(file).module()

    def run(self, inputs: Sequence[Tensor]) -> Tensor:
        result: Tensor = self.loaded(*inputs)
        return result

    def save(self, metadata: Mapping[str, str]) -> None:
        torch.export.save(self.program, self.file, extra_files={"i2i.json": json.dumps(dict(metadata))})


class OnnxFile:
    """An ONNX file, run by onnxruntime; `int8` quantizes the weights of convolutions and linear layers."""

    def __init__(
        self, program: torch.export.ExportedProgram, file: Path, inputs: Sequence[str], precision: Precision
    ) -> None:
        try:
            import onnx
            import onnxruntime
            from onnxscript import optimizer
        except ImportError as error:
            raise I2IError(f"export: onnx needs {error.name}; install i2i[export], or use --format pt2") from error
        self.onnx, self.file, self.names = onnx, file, list(inputs)
        written = torch.onnx.export(
            program, dynamo=True, input_names=self.names, output_names=["translation"], optimize=False, verbose=False
        )
        assert written is not None  # with dynamo=True it returns a program
        # The exporter's own optimization takes constants up to 1e-8 for 0, and so drops what norms add to a variance.
        for simplify in (optimizer.inline, optimizer.fold_constants, optimizer.remove_unused_nodes):
            simplify(written.model)
        written.save(str(file), external_data=False)
        if precision == "int8":
            from onnxruntime.quantization import QuantType, quantize_dynamic

            quantized = file.with_name(f"int8-{file.name}")
            # Unsigned weights are what all CPU kernels of convolutions take.
            quantize_dynamic(file, quantized, weight_type=QuantType.QUInt8)
            os.replace(quantized, file)
        self.session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])

    def run(self, inputs: Sequence[Tensor]) -> Tensor:
        feed = {name: value.numpy() for name, value in zip(self.names, inputs, strict=True)}
        return torch.from_numpy(self.session.run(None, feed)[0])

    def save(self, metadata: Mapping[str, str]) -> None:
        model = self.onnx.load(str(self.file))
        for part in (*model.graph.node, *model.graph.value_info, model.graph):
            del part.metadata_props[:]  # notes of the exporter on the source code
        self.onnx.helper.set_model_props(model, dict(metadata))
        self.onnx.save(model, str(self.file))


class OpenVinoFile:
    """An OpenVINO model: an .xml file, and its weights in a .bin file of the same name."""

    def __init__(
        self, program: torch.export.ExportedProgram, file: Path, inputs: Sequence[str], precision: Precision
    ) -> None:
        if precision == "int8":
            raise I2IError("export: int8 is available for onnx; choose --format onnx, or --precision fp16")
        try:
            import openvino
        except ImportError as error:
            raise I2IError("export: openvino needs the package openvino; install i2i[openvino]") from error
        # Through ONNX, since the importer of exported programs fixes sizes.
        path = file.with_suffix(".onnx")
        OnnxFile(program, path, inputs, "fp32")
        self.openvino, self.file = openvino, file
        self.model = openvino.convert_model(path)
        path.unlink()
        self.half = precision == "fp16"
        self.compiled = self._written()

    def _written(self) -> Any:
        self.openvino.save_model(self.model, self.file, compress_to_fp16=self.half)
        # Without the hint, some CPUs compute in bfloat16.
        return self.openvino.Core().compile_model(self.file, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def run(self, inputs: Sequence[Tensor]) -> Tensor:
        return torch.from_numpy(self.compiled([value.numpy() for value in inputs])[0].copy())

    def save(self, metadata: Mapping[str, str]) -> None:
        for name, value in metadata.items():
            self.model.set_rt_info(value, ["i2i", name])
        self.compiled = self._written()


WRITERS: Mapping[Format, type[Writer]] = {"onnx": OnnxFile, "pt2": Pt2File, "openvino": OpenVinoFile}
