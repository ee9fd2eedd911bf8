"""Networks against the official figures: outputs, gradients and singular vectors."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from i2i_upscale.networks import SRVGG, RRDBNet, UNetDiscriminatorSN
from official_figures import Figures, read, relative_error
from torch import nn

ACTIVATIONS = {"prelu": "prelu", "relu": "relu", "leakyrelu": "leaky_relu"}


def rrdb(options: dict[str, Any]) -> Any:
    scale: Any = {3: 4, 12: 2, 48: 1}[options["num_in_ch"]]
    return RRDBNet(scale, options["num_feat"], options["num_block"], options["num_grow_ch"])


def srvgg(options: dict[str, Any]) -> Any:
    activation: Any = ACTIVATIONS[options["act_type"]]
    return SRVGG(options["upscale"], options["num_feat"], options["num_conv"], activation)


def discriminator(options: dict[str, Any]) -> Any:
    return UNetDiscriminatorSN(options["num_feat"], options["skip_connection"], options["num_in_ch"])


CASES = {"rrdbnet": (rrdb, "enlarge"), "srvgg": (srvgg, "enlarge"), "unet_discriminator": (discriminator, "classify")}
"""How each network is built and called; a set holds one file or several of each, `NAME*.safetensors`."""


def ours(name: str) -> str:
    return name.replace("weight_orig", "weight").replace("weight_u", "u").replace("weight_v", "v")


@pytest.mark.parametrize("kind", CASES)
def test_networks_are_the_official_ones(golden: Path, kind: str) -> None:
    files = sorted(golden.glob(f"{kind}*.safetensors"))
    assert files
    for file in files:
        check_network(read(golden, file.stem), kind)


def check_network(figures: Figures, kind: str) -> None:
    """Compare outputs, gradients and singular vectors."""
    build, method = CASES[kind]
    network: nn.Module = build(figures.config["arguments"])
    network.load_state_dict({ours(key): value for key, value in figures.tensors("param/").items()})
    image = figures.tensor("input/image")
    single = getattr(copy.deepcopy(network), method)(image)
    assert relative_error(single, figures["out/image"]) <= 1e-5
    network.double()
    image = image.double().requires_grad_()
    output = getattr(network, method)(image)
    assert relative_error(output, figures["out64/image"]) <= 1e-10
    (output * figures.tensor("cot/image").double()).sum().backward()
    assert relative_error(image.grad, figures["grad64/input/image"]) <= 1e-10
    parameters = dict(network.named_parameters())
    for key, value in figures.part("grad64/param/").items():
        assert relative_error(parameters[ours(key)].grad, value) <= 1e-10, key
    for key, value in figures.part("buffer64_after/").items():
        assert relative_error(network.state_dict()[ours(key)], value) <= 1e-10, key


def test_a_scale_of_two_folds_the_image() -> None:
    network = RRDBNet(2, channels=4, blocks=1, growth=2)
    image = torch.rand(1, 3, 8, 6)
    assert network.enlarge(image).shape == (1, 3, 16, 12)
