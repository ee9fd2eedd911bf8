"""Networks and functions against the official figures."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from i2i_frames.rife import RIFE4, IFNet
from i2i_frames.warping import (
    adaptive_warping,
    depth_aware_projection,
    laplacian_loss,
    laplacian_pyramid,
    splat,
    warp,
)
from official_figures import read, relative_error


def test_warping_and_the_pyramid(golden: Path) -> None:
    figures = read(golden, "warp_laplacian")
    image, flow = (figures.tensor(f"input/{name}").double().requires_grad_() for name in ("image", "flow"))
    warped = warp(image, flow)
    assert relative_error(warped, figures["out64"]) <= 1e-10
    with torch.no_grad():
        assert relative_error(warp(image, flow), figures["out64"]) <= 1e-10
    (warped * figures.tensor("cot").double()).sum().backward()
    assert relative_error(image.grad, figures["grad64/image"]) <= 1e-10
    assert relative_error(flow.grad, figures["grad64/flow"]) <= 1e-10
    before, target = (figures.tensor(f"laplacian/{name}").double() for name in ("input", "target"))
    levels = len(figures.part("laplacian/pyramid64/"))
    for number, level in enumerate(laplacian_pyramid(before, levels)):
        assert relative_error(level, figures[f"laplacian/pyramid64/{number}"]) <= 1e-10
    loss = laplacian_loss(before, target, levels)
    assert float(loss) == pytest.approx(float(figures.tensor("laplacian/loss64")), rel=1e-10)


def test_splatting(golden: Path) -> None:
    figures = read(golden, "forward_splatting")
    image, flow, metric = (figures.tensor(f"input/{name}").double() for name in ("image", "flow", "metric"))
    names: dict[Any, str] = {
        "sum": "summation",
        "average": "average",
        "linear": "linear_abs_metric",
        "softmax": "softmax",
    }
    for mode, name in names.items():
        assert relative_error(splat(image, flow, metric, mode), figures[name]) <= 1e-10, mode


def test_depth_aware_projection(golden: Path) -> None:
    figures = read(golden, "depth_aware_projection")
    flow, depth = figures.tensor("input/flow_to_t"), figures.tensor("input/inverse_depth")
    projected, count = depth_aware_projection(flow, depth, fill=False)
    assert relative_error(projected, figures["projected_no_fill"]) <= 1e-10
    assert relative_error(count, figures["count"]) <= 1e-10
    assert relative_error(depth_aware_projection(flow, depth)[0], figures["projected_filled"]) <= 1e-10
    uniform = depth_aware_projection(flow, torch.ones_like(depth))[0]
    assert relative_error(uniform, figures["projected_uniform_filled"]) <= 1e-10


def test_adaptive_warping(golden: Path) -> None:
    figures = read(golden, "depth_aware_projection")
    image, flow, kernel = (figures.tensor(f"adaptive/input/{name}") for name in ("image", "flow", "kernel"))
    assert relative_error(adaptive_warping(image, flow, kernel), figures["adaptive/out"]) <= 1e-10


def test_ifnet(golden: Path) -> None:
    figures = read(golden, "ifnet")
    widths = figures.config["widths"]
    network = IFNet(widths["blocks"], widths["context"])
    network.load_state_dict(figures.tensors("param/"))
    network.double()
    first, second, truth = figures.tensor("input/imgs_gt").double().split(3, 1)
    scales = figures.config["scale"]
    found, teacher = network(first, second, truth, scales)
    assert teacher is not None
    for number in range(3):
        assert relative_error(found.flows[number], figures[f"out64/flow/{number}"]) <= 1e-10
        assert relative_error(found.merged[number], figures[f"out64/merged/{number}"]) <= 1e-10
    assert relative_error(found.mask, figures["out64/mask"]) <= 1e-10
    assert relative_error(teacher.flow, figures["out64/flow_teacher"]) <= 1e-10
    assert relative_error(teacher.image, figures["out64/merged_teacher"]) <= 1e-10
    assert relative_error(teacher.distillation, figures["out64/loss_distill"]) <= 1e-10
    # Weight and levels stand in words in the file's configuration.
    weight, levels = re.search(r"([\d.]+) \* distill.* (\d+) levels", figures.config["loss"]).groups()  # type: ignore[union-attr]
    student, taught = (laplacian_loss(image, truth, int(levels)) for image in (found.image, teacher.image))
    assert relative_error(student, figures["loss64/l1"]) <= 1e-10
    assert relative_error(taught, figures["loss64/teacher"]) <= 1e-10
    (student + taught + float(weight) * teacher.distillation).backward()
    parameters = dict(network.named_parameters())
    for key, value in figures.part("grad64/param/").items():
        assert relative_error(parameters[key].grad, value) <= 1e-9, key


def test_rife_4(golden: Path) -> None:
    figures = read(golden, "rife_v4")
    widths = figures.config["widths"]
    network = RIFE4(widths["blocks"], widths["context"])
    network.load_state_dict(figures.tensors("param/"))
    network.double()
    first, second = figures.tensor("input/imgs").double().split(3, 1)
    tags = {key.split("/")[0] for key in figures if key.endswith("/image64")}
    assert tags
    for tag in tags:
        time = float(tag.rpartition("_t")[2])
        scales = figures.config["scale_list"]
        scales = [scale / 2 for scale in scales] if tag.startswith("scale_half") else scales
        with torch.no_grad():
            found = network(first, second, time, scales, tag.startswith("context"), tag.startswith("ensemble"))
        assert relative_error(found.flows[-1], figures[f"{tag}/flow64"]) <= 1e-10, tag
        assert relative_error(found.mask, figures[f"{tag}/mask64"]) <= 1e-10, tag
        assert relative_error(found.image, figures[f"{tag}/image64"]) <= 1e-10, tag
