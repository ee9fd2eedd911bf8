"""CUT's generator, discriminator and heads against the official ones: forward, features and every gradient."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn

from i2i.methods.weights.cut import CUT
from i2i.methods.weights.weight_map import Network
from i2i.nn.discriminators.patch import Patch
from i2i.nn.generators.resnet import Resnet
from i2i.nn.layers.projection import PatchHeads

Figures = dict[str, Tensor]


def figures_of(path: Path) -> tuple[Figures, dict[str, object]]:
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, json.loads(file.metadata()["config"])  # noqa: SIM118  # no dict


def part(figures: Figures, prefix: str) -> Figures:
    return {name.removeprefix(prefix): value for name, value in figures.items() if name.startswith(prefix)}


def error(got: Tensor | None, expected: Tensor) -> float:
    assert got is not None
    norm = float(expected.norm())
    return float((got.detach().double() - expected).norm()) / (norm if norm > 1e-9 else 1.0)


def network_of(model: nn.Module) -> Network:
    return CUT.networks["G" if isinstance(model, Resnet) else "D" if isinstance(model, Patch) else "F"]


def load(model: nn.Module, figures: Figures, dtype: torch.dtype) -> None:
    model.to(dtype).load_state_dict(network_of(model).convert(part(figures, "param/")))


def options_of(network: Network, state: Figures) -> dict[str, Any]:
    options = network.options(network.convert(state), network.traces(state))
    return {name: value for name, value in options.items() if name not in ("type", "norm", "bias", "in_channels")}


def check_gradients(model: nn.Module, figures: Figures) -> None:
    expected = part(figures, "grad64/param/")
    state = part(figures, "param/")
    names = {official: ours for official, ours in network_of(model).names(state).items() if official in expected}
    assert names.keys() == expected.keys()
    parameters = dict(model.named_parameters())
    assert len(parameters) == len(names)
    for official, ours in names.items():
        assert error(parameters[ours].grad, expected[official]) < 1e-10, official


@pytest.mark.parametrize("name", ["gen_antialias_resnet9", "gen_antialias_down_only_resnet6", "gen_plain_resnet6"])
def test_generator(golden: Path, name: str) -> None:
    figures, config = figures_of(golden / "cut" / f"{name}.safetensors")
    options = options_of(CUT.networks["G"], part(figures, "param/"))
    assert options == {
        "channels": config["ngf"],
        "blocks": 9 if config["netG"] == "resnet_9blocks" else 6,
        "dropout": 0.0,
        "down": "strided" if config["no_antialias"] else "blur",
        "upsample": "transposed" if config["no_antialias_up"] else "blur",
    }
    model = Resnet(**options)
    layers: list[int] = config["nce_layers"]  # type: ignore[assignment]
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.float64, 1e-10)):
        load(model, figures, dtype)
        image = figures["input"].clone().to(dtype).requires_grad_()
        generated, features = model(image).image, model.features(image, layers)
        assert error(generated, figures["out64"]) < tolerance
        for layer, feature in zip(layers, features, strict=True):
            assert error(feature, figures[f"feat64/{layer}"]) < tolerance, layer
    scalar = (generated * figures["cot"]).sum()
    for layer, feature in zip(layers, features, strict=True):
        scalar = scalar + (feature * figures[f"cot_feat/{layer}"]).sum()
    scalar.backward()
    assert error(image.grad, figures["grad64/input"]) < 1e-10
    check_gradients(model, figures)


@pytest.mark.parametrize("name", ["dis_antialias", "dis_plain"])
def test_discriminator(golden: Path, name: str) -> None:
    figures, config = figures_of(golden / "cut" / f"{name}.safetensors")
    options = options_of(CUT.networks["D"], part(figures, "param/"))
    down = "strided" if config["no_antialias"] else "blur"
    assert options == {"channels": config["ndf"], "layers": 5, "down": down}
    model = Patch(**options)
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.float64, 1e-10)):
        load(model, figures, dtype)
        image = figures["input"].clone().to(dtype).requires_grad_()
        logits = model(image).logits["patch"]
        assert error(logits, figures["out64"]) < tolerance
    (logits * figures["cot"]).sum().backward()
    assert error(image.grad, figures["grad64/input"]) < 1e-10
    check_gradients(model, figures)


@pytest.mark.parametrize("name", ["netF_mlp_sample", "netF_sample"])
def test_heads(golden: Path, name: str) -> None:
    figures, config = figures_of(golden / "cut" / f"{name}.safetensors")
    numbers = range(config["n_layers"])  # type: ignore[call-overload]
    features = [figures[f"feat/{i}"].double().requires_grad_() for i in numbers]
    width = config["netF_nc"] if config["use_mlp"] else None
    heads = PatchHeads([feature.shape[1] for feature in features], width)  # type: ignore[arg-type]
    load(heads, figures, torch.float64)
    vectors = heads(features, [figures[f"ids/{i}"] for i in numbers])
    for i, vector in enumerate(vectors):
        assert error(vector.flatten(0, 1), figures[f"out64/{i}"]) < 1e-10
    torch.stack([(vectors[i].flatten(0, 1) * figures[f"cot/{i}"]).sum() for i in numbers]).sum().backward()
    for i in numbers:
        assert error(features[i].grad, figures[f"grad64/feat/{i}"]) < 1e-10
    check_gradients(heads, figures)


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"down": "blur", "upsample": "blur"}, "G resnet_9blocks ngf=64 antialias"),
        ({}, "G resnet_9blocks ngf=64 no_antialias no_antialias_up"),
    ],
)
def test_default_size_has_the_official_names_and_shapes(golden: Path, options: dict[str, str], key: str) -> None:
    expected = json.loads((golden / "cut" / "state_dict_names_default_size.json").read_text())[key]
    with torch.device("meta"):
        model = Resnet(**options)  # type: ignore[arg-type]
    assert sum(parameter.numel() for parameter in model.parameters()) == expected["parameters"]
    official = CUT.networks["G"].export(model.state_dict(), options)
    assert {name: list(value.shape) for name, value in official.items()} == {
        name: shape for name, (shape, _) in expected["state_dict"].items()
    }
