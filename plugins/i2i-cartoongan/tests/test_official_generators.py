"""Both generators against the official ones at their only size: forward, gradients, names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from i2i_cartoongan.anime_generator import AnimeGenerator
from i2i_cartoongan.cartoon_generator import CartoonGenerator
from i2i_cartoongan.importers import animegan2_pytorch, cartoongan_pytorch
from official_figures import Figures, OfficialNames, read, relative_error
from torch import Tensor

CASES = [
    ("cartoongan", "gen_0"),
    ("cartoongan", "gen_1"),
    ("animegan2", "gen_0"),
    ("animegan2", "gen_1"),
    ("animegan2", "gen_1_no_align_corners"),
    ("animegan2", "gen_2"),
]
METHODS: dict[str, tuple[Any, Any]] = {
    "cartoongan": (CartoonGenerator, cartoongan_pytorch),
    "animegan2": (AnimeGenerator, animegan2_pytorch),
}


def hashed(name: str, shape: list[int], index: int, seed: int) -> Tensor:
    """A weight of the larger set, which does not store them: a hash of its place."""
    count, mask = int(np.prod(shape)), 0xFFFFFFFF
    x = (np.arange(count, dtype=np.uint64) + (index + 1) * 0x9E3779B1 + seed * 0x85EBCA77) & mask
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        x = ((x ^ (x >> shift)) * factor) & mask
    w = 2 * ((x.astype(np.float64) + 0.5) / 2**32) - 1
    # Vectors are near 1 for the scales of norms, near 0 else; kernels keep the variance of their input.
    w = w * np.sqrt(3 / np.prod(shape[1:])) if len(shape) > 1 else 0.25 * w + name.endswith(("scale", "weight"))
    return torch.from_numpy(w.reshape(shape).astype(np.float32))


def official_state(folder: Path, figures: Figures) -> dict[str, Tensor]:
    stored = figures.tensors("param/")
    if not (table := folder / "weights_check.json").is_file():
        return stored
    shapes = json.loads(table.read_text())["tensors"]
    seed = figures.config["seed"]
    return {name: hashed(name, entry["shape"], entry["index"], seed) for name, entry in shapes.items()}


@pytest.mark.parametrize(("method", "file"), CASES)
def test_generators_are_the_official_ones(golden: Path, method: str, file: str, tmp_path: Path) -> None:
    figures = read(golden / method, file)
    network, importer = METHODS[method]
    state = official_state(golden / method, figures)

    def to_ours(official: dict[str, Tensor]) -> dict[str, Tensor]:
        torch.save(official, tmp_path / "net_G.pth")
        weights = importer(tmp_path / "net_G.pth").weights
        return {name.removeprefix("generator."): value for name, value in weights.items()}

    options = {key: figures.config[key] for key in ("align_corners",) if key in figures.config}
    model = network(**options)
    model.load_state_dict(to_ours(state))
    names = OfficialNames(to_ours, state)
    assert relative_error(model(figures.tensor("input")).image, figures["out64"]) < 1e-5
    model.double()
    image = figures.tensor("input").double().requires_grad_()
    generated = model(image).image
    assert relative_error(generated, figures["out64"]) < 1e-10
    (generated * figures.tensor("cot")).sum().backward()
    assert relative_error(image.grad, figures["grad64/input"]) < 1e-10
    gradients = names({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    assert gradients.keys() == state.keys()
    for name, gradient in gradients.items():
        if f"grad64/param/{name}" in figures:
            assert relative_error(gradient, figures[f"grad64/param/{name}"]) < 1e-10, name
        else:
            expected = float(figures.tensor(f"grad64_norm/{name}"))
            assert float(gradient.norm()) == pytest.approx(expected, rel=1e-10)
            assert relative_error(gradient.flatten()[:16], figures[f"grad64_head/{name}"]) < 1e-10, name
