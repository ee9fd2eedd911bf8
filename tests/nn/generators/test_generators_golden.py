"""Generators against the official ones: forward and every gradient."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn

from i2i.methods.weights.ugatit import UGATIT
from i2i.nn.generators.resnet import Resnet
from i2i.nn.generators.resnet_adalin import ResnetAdaLIN


def figures_of(path: Path) -> tuple[dict[str, Tensor], dict[str, object]]:
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, json.loads(file.metadata()["config"])  # noqa: SIM118  # no dict


def part(figures: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in figures.items() if name.startswith(prefix)}


def error(got: Tensor, expected: Tensor) -> float:
    """Relative norm of the difference; absolute where there is nothing to be relative to (biases before a norm)."""
    norm = float(expected.norm())
    return float((got.detach().double() - expected).norm()) / (norm if norm > 1e-9 else 1.0)


def compare(model: nn.Module, figures: dict[str, Tensor], to_ours: object, outputs: dict[str, str]) -> None:
    """`to_ours` renames official tensors; `outputs` says under which key each output's figures are."""
    for dtype, tolerance in ((torch.float64, 1e-10), (torch.float32, 1e-5)):
        model.to(dtype).load_state_dict(to_ours(part(figures, "param/")))  # type: ignore[operator]
        image = figures["input"].to(dtype).requires_grad_()
        made = model(image)
        scalar = torch.zeros((), dtype=dtype)
        for name, key in outputs.items():
            output = getattr(made, name)
            assert error(output, figures[f"out64{key}"]) < tolerance, name
            scalar = scalar + (output * figures[f"cot{key}"].to(dtype)).sum()
        model.zero_grad()
        scalar.backward()
        if dtype == torch.float32:
            continue  # the fixtures' gradients are meant for double precision
        assert image.grad is not None
        assert error(image.grad, figures["grad64/input"]) < tolerance
        expected = to_ours(part(figures, "grad64/param/"))  # type: ignore[operator]
        got = {name: parameter.grad for name, parameter in model.named_parameters()}
        assert got.keys() == expected.keys()
        for name, gradient in got.items():
            assert gradient is not None
            assert error(gradient, expected[name]) < tolerance, name


@pytest.mark.parametrize("name", ["gen_light", "gen_full"])
def test_ugatit(golden: Path, name: str) -> None:
    figures, config = figures_of(golden / "ugatit" / f"{name}.safetensors")
    size = config["img_size"]
    model = ResnetAdaLIN(config["ch"], config["n_res"], config["light"], image_size=size)  # type: ignore[arg-type]

    compare(
        model,
        figures,
        UGATIT.networks["genA2B"].convert,
        {"image": "/image", "cam": "/cam_logit", "heatmap": "/heatmap"},
    )


@pytest.mark.parametrize("name", ["gen_resnet9", "gen_resnet6", "gen_resnet6_dropout_layout_eval"])
def test_cyclegan(golden: Path, name: str) -> None:
    figures, config = figures_of(golden / "cyclegan" / f"{name}.safetensors")
    blocks = 9 if config["netG"] == "resnet_9blocks" else 6
    second = 6 if config["use_dropout"] else 5
    model = Resnet(config["ngf"], blocks, dropout=0.5 if config["use_dropout"] else 0).eval()  # type: ignore[arg-type]
    stages = {1: "encoder.stem", 4: "encoder.down.0", 7: "encoder.down.1"}
    layers = {f"model.{index}": f"{stage}.conv" for index, stage in stages.items()}
    for i in range(blocks):
        layers[f"model.{10 + i}.conv_block.1"] = f"encoder.blocks.{i}.first.conv"
        layers[f"model.{10 + i}.conv_block.{second}"] = f"encoder.blocks.{i}.second.conv"
    layers |= {f"model.{10 + blocks + 3 * i}": f"image_decoder.up.{i}.conv" for i in range(2)}
    layers[f"model.{17 + blocks}"] = "image_decoder.head"

    def to_ours(state: dict[str, Tensor]) -> dict[str, Tensor]:
        return {f"{layers[name.rpartition('.')[0]]}.{name.rpartition('.')[2]}": value for name, value in state.items()}

    compare(model, figures, to_ours, {"image": ""})
