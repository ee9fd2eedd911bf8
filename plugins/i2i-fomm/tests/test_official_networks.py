"""Networks and geometry against the official figures: outputs, gradients and buffers in float64, outputs in float32."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from i2i_fomm.equivariance import ThinPlateSpline
from i2i_fomm.geometry import Antialias, Keypoints, coordinate_grid, gaussian_heatmaps, normalized_motion
from i2i_fomm.importer import our_names
from i2i_fomm.networks import DenseMotion, KeypointDetector, MotionDiscriminator, MotionGenerator
from official_figures import Figures, read, relative_error
from torch import Tensor, nn

Inputs = dict[str, Tensor]


def detector(arguments: dict[str, Any], align: bool) -> nn.Module:
    return KeypointDetector(
        arguments["num_kp"],
        arguments["block_expansion"],
        arguments["max_features"],
        arguments["num_blocks"],
        arguments.get("scale_factor", 1),
        arguments["temperature"],
        arguments.get("estimate_jacobian", False),
        arguments.get("single_jacobian_map", False),
        arguments.get("pad", 0),
        arguments["num_channels"],
    )


def dense_motion(arguments: dict[str, Any], align: bool) -> nn.Module:
    return DenseMotion(
        arguments["num_kp"],
        arguments["block_expansion"],
        arguments["max_features"],
        arguments["num_blocks"],
        arguments.get("scale_factor", 1),
        arguments.get("kp_variance", 0.01),
        arguments.get("estimate_occlusion_map", False),
        arguments["num_channels"],
        align,
    )


def generator(arguments: dict[str, Any], align: bool) -> nn.Module:
    motion = arguments["dense_motion_params"]
    return MotionGenerator(
        arguments["num_kp"],
        arguments["block_expansion"],
        arguments["max_features"],
        arguments["num_down_blocks"],
        arguments["num_bottleneck_blocks"],
        motion["block_expansion"],
        motion["max_features"],
        motion["num_blocks"],
        motion.get("scale_factor", 1),
        motion.get("kp_variance", 0.01),
        arguments.get("estimate_occlusion_map", False),
        arguments["num_channels"],
        align,
    )


def discriminator(arguments: dict[str, Any], align: bool) -> nn.Module:
    return MotionDiscriminator(
        arguments["block_expansion"],
        arguments["max_features"],
        arguments["num_blocks"],
        tuple(arguments["scales"]),
        arguments.get("sn", False),
        arguments.get("use_kp", False),
        arguments.get("num_kp", 10),
        arguments.get("kp_variance", 0.01),
        arguments.get("num_channels", 3),
    )


def points(inputs: Inputs, side: str) -> Keypoints:
    return Keypoints(inputs[f"{side}_value"], inputs.get(f"{side}_jacobian"))


def detect(network: Any, inputs: Inputs) -> Inputs:
    found, heatmap = network.with_heatmaps(inputs["image"])
    return {"heatmap": heatmap, "value": found.value, "jacobian": found.jacobian}


def move(network: Any, inputs: Inputs) -> Inputs:
    motion = network(inputs["source"], points(inputs, "driving"), points(inputs, "source"))
    return {
        "mask": motion.mask,
        "deformation": motion.flow,
        "occlusion_map": motion.occlusion,
        "sparse_deformed": motion.warped,
        "heatmap_representation": motion.heatmaps[:, :, None],
        "sparse_motion": motion.sparse,
    }


def animate(network: Any, inputs: Inputs) -> Inputs:
    animated = network(inputs["source"], points(inputs, "driving"), points(inputs, "source"))
    motion = animated.motion
    outputs = {"prediction": animated.image, "deformed": animated.warped, "mask": motion.mask}
    return outputs | {"occlusion_map": motion.occlusion}


def classify(network: Any, inputs: Inputs) -> Inputs:
    image = inputs["image"]
    reduced = {
        scale: image if scale == 1 else Antialias(image.shape[1], scale).to(image)(image) for scale in network.scales
    }
    keypoints = Keypoints(inputs["kp_value"]) if "kp_value" in inputs else None
    outputs = {}
    for scale, (*features, logits) in network(reduced, keypoints).items():
        outputs[f"prediction_map_{scale:g}"] = logits
        outputs |= {f"feature_maps_{scale:g}/{i}": value for i, value in enumerate(features)}
    return outputs


CASES: dict[str, tuple[Callable[..., nn.Module], Callable[[Any, Inputs], Inputs]]] = {
    "kp_detector": (detector, detect),
    "dense_motion": (dense_motion, move),
    "generator": (generator, animate),
    "discriminator": (discriminator, classify),
}
"""How each network is built and called; a set holds one file or several of each, `NAME*.safetensors`."""


def official_state(figures: Figures) -> dict[str, Tensor]:
    return our_names(figures.tensors("param/"))


@pytest.mark.parametrize("kind", CASES)
def test_networks_are_the_official_ones(golden: Path, kind: str) -> None:
    files = sorted(golden.glob(f"{kind}*.safetensors"))
    assert files
    for file in files:
        figures = read(golden, file.stem)
        for tag in {key.partition("input/")[0] for key in figures if key.startswith("input/") or "/input/" in key}:
            if not tag.endswith("grad64/"):
                check_network(figures, kind, tag)


def check_network(figures: Figures, kind: str, tag: str) -> None:
    """Compare one call, whose keys begin with `tag`: outputs, gradients and buffers."""
    build, run = CASES[kind]
    network = build(figures.config["arguments"], "align1" in tag)
    network.load_state_dict(official_state(figures))
    # Modes were not noted; running statistics and singular vectors move in train mode only.
    network.train(any(key.startswith(f"{tag}buffer64_after/") for key in figures))
    given = figures.tensors(f"{tag}input/")
    single = run(copy.deepcopy(network), given)
    for key, value in figures.part(f"{tag}out/").items():
        assert relative_error(single[key], value) <= 1e-5, (tag, key)
    network.double()
    inputs = {key: value.double().requires_grad_() for key, value in given.items()}
    outputs = run(network, inputs)
    expected = figures.part(f"{tag}out64/")
    assert expected
    assert expected.keys() <= outputs.keys()
    for key, value in expected.items():
        assert relative_error(outputs[key], value) <= 1e-10, (tag, key)
    cotangents = figures.tensors(f"{tag}cot/")
    total = sum(((outputs[key] * value.double()).sum() for key, value in cotangents.items()), torch.zeros(()))
    if cotangents:
        total.backward()
    for key, value in figures.part(f"{tag}grad64/input/").items():
        assert relative_error(inputs[key].grad, value) <= 1e-10, (tag, key)
    parameters = dict(network.named_parameters())
    for key, value in figures.part(f"{tag}grad64/param/").items():
        parameter = parameters[key.replace("weight_orig", "weight")]
        if parameter.grad is not None or relative_error(torch.zeros_like(parameter), value) > 1e-9:
            assert relative_error(parameter.grad, value) <= 1e-10, (tag, key)
    state = network.state_dict()
    for key, value in figures.part(f"{tag}buffer64_after/").items():
        ours = key.replace("weight_u", "u").replace("weight_v", "v")
        if not ours.endswith("num_batches_tracked"):
            assert relative_error(state[ours], value) <= 1e-10, (tag, key)


def test_geometry(golden: Path) -> None:
    figures = read(golden, "antialias_gaussian_grid")
    scales = {key.removesuffix("/weight") for key in figures if key.endswith("/weight")}
    assert scales
    for scale in scales:
        image = figures.tensor(f"{scale}/input").double()
        reduce = Antialias(image.shape[1], float(scale))
        assert relative_error(reduce.weight, figures[f"{scale}/weight"]) <= 1e-6
        reduce.weight.copy_(figures.tensor(f"{scale}/weight"))
        assert relative_error(reduce.double()(image), figures[f"{scale}/out64"]) <= 1e-10
    value = figures.tensor("gaussian/value").double()
    heatmaps, grids = figures.part("gaussian/out64_"), figures.part("grid/")
    assert heatmaps
    assert grids
    for key, expected in heatmaps.items():
        size, variance = key.split("_variance")
        height, width = (int(side) for side in size.split("x"))
        assert relative_error(gaussian_heatmaps(value, height, width, float(variance)), expected) <= 1e-10
    for key, expected in grids.items():
        height, width = (int(side) for side in key.split("x"))
        assert relative_error(coordinate_grid(height, width, value), expected) <= 1e-10


def test_relative_motion(golden: Path) -> None:
    figures = read(golden, "relative_motion")
    source, driving, initial = (
        Keypoints(figures.tensor(f"{name}_value").double(), figures.tensor(f"{name}_jacobian").double())
        for name in ("source", "driving", "initial")
    )
    for case in figures.config["cases"]:
        adapt, relative, jacobian = (part[-1] == "1" for part in case.split("_"))
        found = normalized_motion(source, driving, initial, relative, jacobian, adapt)
        assert relative_error(found.value, figures[f"{case}/value64"]) <= 1e-10, case
        assert relative_error(found.jacobian, figures[f"{case}/jacobian64"]) <= 1e-10, case


@pytest.mark.parametrize("tag", ["affine", "tps"])
def test_random_transforms(golden: Path, tag: str) -> None:
    figures = read(golden, "equivariance")
    given = {key: value.double() for key, value in figures.tensors(f"{tag}/").items()}
    weights = given.get("control_params")
    spline = ThinPlateSpline(
        given["theta"],
        given["control_points"].view(-1, 2) if weights is not None else None,
        weights[:, 0] if weights is not None else None,
    )
    assert relative_error(spline.warp_points(given["coordinates"]), figures[f"{tag}/warped64"]) <= 1e-10
    if f"{tag}/jacobian64" in figures:
        assert relative_error(spline.jacobian(given["coordinates"]), figures[f"{tag}/jacobian64"]) <= 1e-10
    for align in (False, True):
        found = spline.warp_images(given["frame"], align)
        assert relative_error(found, figures[f"{tag}/transformed_frame64_align{align:d}"]) <= 1e-10
