"""The networks against the official figures: outputs, gradients and running statistics."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from i2i_paints.networks import AlternatingUNet, LineNetwork, PaintsDiscriminator
from official_figures import Figures, read, relative_error
from torch import Tensor, nn

Outputs = dict[str, Any]


def unet(state: dict[str, Tensor], x: Tensor) -> nn.Module:
    return AlternatingUNet(state["c0.weight"].shape[1], state["dc0.weight"].shape[0], state["c0.weight"].shape[0])


def line_network(state: dict[str, Tensor], x: Tensor) -> nn.Module:
    return LineNetwork(state["c0.weight"].shape[1], state["dc0.weight"].shape[0], state["c0.weight"].shape[0])


def discriminator(state: dict[str, Tensor], x: Tensor) -> nn.Module:
    return PaintsDiscriminator(len(state["c1.weight"]), x.shape[1], (x.shape[2], x.shape[3]))


def run_unet(network: Any, x: Tensor) -> Outputs:
    return {"yuv": network.run(x)}


def run_lines(network: Any, x: Tensor) -> Outputs:
    features = network.encode(x)
    return {"line": network.decode(features), "features/0": features[0], "features/5": features[8]}


def run_discriminator(network: Any, x: Tensor) -> Outputs:
    logits = network(x).logits["class"]
    real = torch.zeros(len(x), dtype=torch.long)
    return {"logits": logits, "loss_as_real": nn.functional.cross_entropy(logits, real)}


CASES = {
    ("unet", "train/"): (unet, run_unet),
    ("unet", "eval/"): (unet, run_unet),
    ("lnet", "eval/"): (line_network, run_lines),
    ("discriminator", "train/"): (discriminator, run_discriminator),
}


def official_state(figures: Figures) -> dict[str, Tensor]:
    names = {"l8l.W": "l8l.weight", "l8l.b": "l8l.bias"}
    return {names.get(key, key): value for key, value in figures.tensors("param/").items()}


@pytest.mark.parametrize(("name", "tag"), CASES)
def test_networks_are_the_official_ones(golden: Path, name: str, tag: str) -> None:
    figures = read(golden, name)
    build, run = CASES[name, tag]
    state, x = official_state(figures), figures.tensor(f"{tag}input/x")
    network = build(state, x)
    network.load_state_dict(state)
    network.train(tag == "train/")
    single = run(copy.deepcopy(network), x)
    for key, value in figures.part(f"{tag}out/").items():
        assert relative_error(single[key], value) <= 1e-5, key
    network.double()
    x = x.double().requires_grad_()
    outputs = run(network, x)
    expected = figures.part(f"{tag}out64/")
    assert expected
    for key, value in expected.items():
        assert relative_error(outputs[key], value) <= 1e-10, key
    cotangents = figures.tensors(f"{tag}cot/")
    torch.stack([(outputs[key] * cotangent.double()).sum() for key, cotangent in cotangents.items()]).sum().backward()
    assert x.grad is not None
    if name == "lnet":
        # The figures' scalar also has terms of the features between those two, whose cotangents the file lacks: what
        # is missing must be a gradient that came through the third layer's features.
        missing = figures.tensor(f"{tag}grad64/input/x") - x.grad
        jacobian = torch.autograd.functional.jacobian(lambda z: network.encode(z)[2].flatten(), x.detach())
        basis = jacobian.reshape(-1, x.numel()).T
        solution = torch.linalg.lstsq(basis, missing.reshape(-1, 1), driver="gelsd").solution
        assert (basis @ solution - missing.reshape(-1, 1)).norm() <= 1e-10 * missing.norm()
        return
    assert relative_error(x.grad, figures[f"{tag}grad64/input/x"]) <= 1e-10
    parameters = dict(network.named_parameters())
    names = {"l8l.W": "l8l.weight", "l8l.b": "l8l.bias"}
    for key, value in figures.part(f"{tag}grad64/param/").items():
        assert relative_error(parameters[names.get(key, key)].grad, value) <= 1e-10, key
    for key, value in figures.part(f"{tag}buffer64_after/").items():
        if not key.endswith("num_batches_tracked"):
            assert relative_error(network.state_dict()[key], value) <= 1e-10, key
