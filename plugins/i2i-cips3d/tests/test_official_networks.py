"""Every part of the generator against the official figures: outputs and gradients in float64."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from i2i_cips3d.camera import camera_origin, camera_rays, camera_to_world
from i2i_cips3d.layers import EqualizedModulatedLinear, FiLMSine, HeadMapping, ModulatedLinear
from i2i_cips3d.networks import PixelGenerator, ShallowNeRF
from i2i_cips3d.volume import integrate, resample
from official_figures import Figures, read, relative_error
from torch import Tensor, nn

TOLERANCE = 1e-10
UNUSED = (".norm.weight", ".norm.bias")
"""Parameters of a norm that the released layer has and does not use."""


def leaves(figures: Figures, prefix: str = "input/") -> dict[str, Tensor]:
    return {name: value.double().requires_grad_() for name, value in figures.tensors(prefix).items()}


def check_gradients(figures: Figures, inputs: Mapping[str, Tensor], parameters: Mapping[str, Tensor]) -> None:
    for prefix, tensors in (("grad64/input/", inputs), ("grad64/param/", parameters)):
        expected = figures.part(prefix)
        assert expected
        for name, value in expected.items():
            assert relative_error(tensors[name].grad, value) <= TOLERANCE, name


def load(network: nn.Module, state: Mapping[str, Tensor]) -> nn.Module:
    network.load_state_dict({name: value for name, value in state.items() if not f".{name}".endswith(UNUSED)})
    return network.double()


LAYERS = {
    "film_sine": FiLMSine,
    "modulated_linear": ModulatedLinear,
    "modulated_linear_equalised": EqualizedModulatedLinear,
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers(golden: Path, name: str) -> None:
    figures = read(golden, name)
    x, style = figures.tensor("input/x"), figures.tensor("input/style")
    layer = LAYERS[name](x.shape[-1], figures.tensor("cot/y").shape[-1], style.shape[-1])
    load(layer, figures.tensors("param/"))
    inputs = leaves(figures)
    found = layer(inputs["x"], inputs["style"])
    assert relative_error(found, figures["out64/y"]) <= TOLERANCE
    assert relative_error(layer.float()(x, style), figures["out/y"]) <= 1e-5
    layer.double()
    (layer(inputs["x"], inputs["style"]) * figures.tensor("cot/y").double()).sum().backward()
    check_gradients(figures, inputs, dict(layer.named_parameters()))


def test_mapping(golden: Path) -> None:
    figures = read(golden, "mapping")
    options = figures.config["arguments"]
    network = HeadMapping(
        options["z_dim"], options["hidden_dim"], options["base_layers"], options["add_norm"], options["norm_out"]
    )
    load(network, figures.tensors("param/"))
    inputs = leaves(figures)
    style = network(inputs["z"])
    assert relative_error(style, figures["out64/style"]) <= TOLERANCE
    (style * figures.tensor("cot/style").double()).sum().backward()
    check_gradients(figures, inputs, dict(network.named_parameters()))


def test_camera(golden: Path) -> None:
    """Fixed settings stand in words in the file's configuration; the figures are float32."""
    figures = read(golden, "camera")
    words = figures.config["function"]
    width, height = (int(words.split(f"{side} ")[1].split(",")[0].rstrip(")")) for side in "WH")
    samples, fov = (float(words.split(f"{name} ")[1].split(",")[0]) for name in ("num_steps", "fov"))
    near, far = (float(part) for part in words.split("), ")[1].split(") ")[0].split(", "))
    rays = camera_rays(height, width, fov, near, far, int(samples))
    assert relative_error(rays.directions[None], figures["directions"]) <= 1e-5
    assert relative_error(rays.points[None], figures["points"]) <= 1e-5
    depth = rays.depths.view(1, 1, -1, 1).expand(1, height * width, -1, 1)
    assert relative_error(depth, figures["depth"]) <= 1e-5
    origin = camera_origin(figures.tensor("pitch")[:, 0], figures.tensor("yaw")[:, 0])
    assert relative_error(origin, figures["origin"]) <= 1e-5
    assert relative_error(camera_to_world(origin), figures["cam2world"]) <= 1e-5


def test_integrals(golden: Path) -> None:
    figures = read(golden, "volume_rendering")
    cases = [key.removesuffix("/feature64") for key in figures if key.endswith("/feature64")]
    assert cases
    for case in cases:
        given = figures.tensor("input/feature_sigma").double().requires_grad_()
        found = integrate(
            given[..., :-1],
            given[..., -1:],
            figures.tensor("input/depth").double(),
            "softplus" if case.startswith("softplus") else "relu",
            last_back="last_back" in case,
            white_back="white_back" in case,
        )
        for name, value in found._asdict().items():
            assert relative_error(value, figures[f"{case}/{name}64"]) <= TOLERANCE, (case, name)
        if f"{case}/grad64" in figures:
            (found.feature * figures.tensor(f"{case}/cot").double()).sum().backward()
            assert relative_error(given.grad, figures[f"{case}/grad64"]) <= TOLERANCE, case


def test_resampling(golden: Path) -> None:
    figures = read(golden, "volume_rendering")
    bins, weights = (figures.tensor(f"resample/{name}").double() for name in ("bins", "weights"))
    keys = [name for name in figures if name.startswith("resample/deterministic")]
    assert keys
    for key in keys:
        expected = figures.tensor(key)
        uniform = torch.linspace(0, 1, expected.shape[1], dtype=torch.float32).expand(len(bins), -1)
        assert relative_error(resample(bins, weights, uniform.double()), expected) <= TOLERANCE


def test_points_become_pixels(golden: Path) -> None:
    figures = read(golden, "points_to_pixels")
    nerf, inr = figures.config["nerf"], figures.config["inr"]
    networks = nn.ModuleDict(
        {
            "siren": ShallowNeRF(nerf["hidden_dim"], nerf["hidden_layers"], nerf["rgb_dim"], nerf["style_dim"]),
            "inr_net": PixelGenerator(inr["input_dim"], inr["hidden_dim"], inr["style_dim"], 1024, inr["pre_rgb_dim"]),
            "aux_to_rbg": nn.Sequential(nn.Linear(nerf["rgb_dim"], 3)),
        }
    )
    unused = tuple(f"inr_net.to_rgbs.{size}." for size in (4, 8, 16))
    load(networks, {name: value for name, value in figures.tensors("param/").items() if not name.startswith(unused)})
    inputs = leaves(figures)
    styles = {name.removeprefix("style/"): value for name, value in inputs.items() if name.startswith("style/")}
    points, depth = inputs["points"], inputs["depth"]
    batch, rays, samples, _ = points.shape
    of_nerf = [
        styles[f"{nerf['name_prefix']}_{name}"]
        for name in (*(f"w{index}" for index in range(nerf["hidden_layers"])), "rgb")
    ]
    at_points = networks["siren"](points.flatten(1, 2), of_nerf).view(batch, rays, samples, -1)
    feature = integrate(at_points[..., :-1], at_points[..., -1:], depth).feature
    of_pixels = [styles[f"{inr['name_prefix']}_w{2**power}_{index}"] for power in range(2, 11) for index in (0, 1)]
    found = {
        "point_output": at_points,
        "feature": feature,
        "image": networks["inr_net"](feature, of_pixels, 1024),
        "auxiliary": networks["aux_to_rbg"](feature).tanh(),
    }
    for name, value in figures.part("out64/").items():
        assert relative_error(found[name], value) <= TOLERANCE, name
    cotangents = figures.tensors("cot/")
    torch.stack([(found[name] * value.double()).sum() for name, value in cotangents.items()]).sum().backward()
    check_gradients(figures, inputs, dict(networks.named_parameters()))
