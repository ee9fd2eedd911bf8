"""ADA against the official code: transformations, draws and the controller of their probability."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from i2i.errors import ShapeError
from i2i.nn.augmentation.ada import ADA, GROUPS, AdaptiveProbability
from i2i.nn.functional import ada


def figures(golden: Path, name: str = "augment") -> tuple[dict[str, Tensor], dict[str, Any]]:
    path = golden / "stylegan2_ada" / f"{name}.safetensors"
    if not path.is_file():
        pytest.skip("the figures of stylegan2_ada are in the larger set alone (I2I_GOLDEN)")
    with safe_open(path, "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        return tensors, json.loads(file.metadata()["config"])


def augmentation(enabled: list[str], p: float) -> ADA:
    """Augmentation of the groups of some transformations, without the others of these groups."""
    augment = ADA(tuple(group for group in GROUPS if set(GROUPS[group]) & set(enabled)), p=p)  # type: ignore[arg-type]
    augment.transformations = tuple(name for name in augment.transformations if name in enabled)
    assert set(augment.transformations) == set(enabled)
    return augment.double()


def test_official_images_gradients_and_draws(golden: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tensors, config = figures(golden)
    for case, options in config["cases"].items():
        with monkeypatch.context() as patch:
            check_case(tensors, case, augmentation(options["enabled"], options["p"]), patch)


def check_case(tensors: dict[str, Tensor], case: str, augment: ADA, monkeypatch: pytest.MonkeyPatch) -> None:
    start = f"{case}/value/"
    values = {key.removeprefix(start): v.double() for key, v in tensors.items() if key.startswith(start)}
    image = tensors["input"].double().requires_grad_()
    result = augment.apply_draws(image, values)
    (gradient,) = torch.autograd.grad(result.square().sum(), image)
    for found, key in ((result, "out64"), (gradient, "grad64_of_sum_of_squares")):
        expected = tensors[f"{case}/{key}"]
        assert float((found - expected).norm()) <= 1e-10 * float(expected.norm()), key
    if f"{case}/G_inv" in tensors:
        matrix = augment.matrix(values, (image.shape[2], image.shape[3]))
        assert matrix is not None
        assert torch.allclose(matrix, tensors[f"{case}/G_inv"], rtol=0, atol=1e-10)

    recorded: Iterator[Tensor] = iter([tensors[key] for key in sorted(tensors) if key.startswith(f"{case}/draw/")])

    def replay(*shape: int, **_: Any) -> Tensor:
        drawn = next(recorded)
        assert drawn.shape == shape
        return drawn

    monkeypatch.setattr(torch, "rand", replay)
    monkeypatch.setattr(torch, "randn", replay)
    drawn = augment.draw(tensors["input"], torch.Generator())
    assert next(recorded, None) is None
    assert drawn.keys() == values.keys()
    for name, value in values.items():
        assert torch.allclose(drawn[name].double(), value, rtol=0, atol=1e-6), name


def test_official_percentiles(golden: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each transformation at a percentile of its distribution; the official code takes erfinv(2 q - 1) as deviation."""
    tensors, config = figures(golden, "augment_percentile")
    for key in tensors:
        if key.startswith("percentile"):
            percentile = torch.tensor(float(key.removeprefix("percentile").partition("/")[0]), dtype=torch.float64)
            deviation = torch.erfinv(2 * percentile - 1)
            monkeypatch.setattr(torch, "rand", lambda *shape, value=percentile, **_: value.expand(shape))
            monkeypatch.setattr(torch, "randn", lambda *shape, value=deviation, **_: value.expand(shape))
            augment = augmentation(config["enabled"], p=2)  # above every percentile
            values = augment.draw(tensors["input"], torch.Generator())
            values |= {name: torch.zeros_like(values[name]) for name in values if name == "rotate_theta_post"}
            result, expected = augment.apply_draws(tensors["input"].double(), values), tensors[key]
            assert float((result - expected).norm()) <= 1e-10 * float(expected.norm()), key


def test_official_filters(golden: Path) -> None:
    tensors, _ = figures(golden)
    assert torch.allclose(ada.band_filters(), tensors["Hz_fbank"], rtol=0, atol=1e-12)
    sym6 = torch.tensor(ada.SYM6, dtype=torch.float64)
    assert torch.allclose(sym6 / sym6.sum(), tensors["Hz_geom"], rtol=0, atol=1e-12)


def test_official_trace_of_the_probability(golden: Path) -> None:
    path = golden / "stylegan2_ada" / "schedules.json"
    if not path.is_file():
        pytest.skip("the figures of stylegan2_ada are in the larger set alone (I2I_GOLDEN)")
    schedule = json.loads(path.read_text())["ada"]
    controller = AdaptiveProbability(0, schedule["target"], schedule["interval"], schedule["ada_kimg"]).double()
    for mean, expected in schedule["trace_mean_sign_then_p"]:
        positive = round((mean + 1) * 1000)  # of 2000, as the means have three digits
        logits = torch.cat([torch.ones(positive), -torch.ones(2000 - positive)]).expand(schedule["batch"], -1)
        for _ in range(schedule["interval"]):
            controller.observe_(logits)
        controller.update_()
        assert float(controller.p) == pytest.approx(expected, abs=1e-10)


def test_the_controller_follows_the_steps_and_its_state_is_saved() -> None:
    def run(controller: AdaptiveProbability, steps: range) -> float:
        for step in steps:
            controller.at_step_(step)
            controller.observe_(torch.ones(8, 1, 2, 2))
        return float(controller.p)

    whole = AdaptiveProbability(kimg=1)
    assert run(whole, range(1)) == 0
    assert run(whole, range(1, 2)) == pytest.approx(0.032)  # 8 images, 4 steps, of 1000 images
    assert run(whole, range(2, 7)) == pytest.approx(0.064)
    half = AdaptiveProbability(kimg=1)
    run(half, range(3))
    resumed = AdaptiveProbability(kimg=1)
    resumed.load_state_dict(half.state_dict())
    assert run(resumed, range(3, 7)) == pytest.approx(0.064)
    fixed = AdaptiveProbability(0.3, kimg=0)
    assert run(fixed, range(7)) == pytest.approx(0.3)


@pytest.mark.thorough
def test_second_derivatives_and_probability_0() -> None:
    image = torch.rand(2, 3, 16, 16, dtype=torch.float64, requires_grad=True)
    augment = ADA(("blit", "geometry", "color"), p=1.0, kimg=0).double()
    result = augment(image, torch.Generator().manual_seed(0))
    assert not torch.allclose(result, image)
    (gradient,) = torch.autograd.grad(result.pow(3).sum(), image, create_graph=True)
    (second,) = torch.autograd.grad(gradient.square().sum(), image)
    assert float(second.abs().sum()) > 0
    values = augment.draw(image, torch.Generator().manual_seed(1))
    small = image.detach()[:, :, :5, :5].clone().requires_grad_()
    assert torch.autograd.gradgradcheck(lambda x: augment.apply_draws(x, values).pow(2), (small,))
    unchanged = ADA(("color", "noise", "cutout"), p=0.0).double()(image, torch.Generator().manual_seed(0))
    assert torch.allclose(unchanged, image)


def test_images_that_a_group_cannot_take() -> None:
    draws = torch.Generator().manual_seed(0)
    with pytest.raises(ShapeError, match="'filter' needs sides of at least 22 pixels, got 16 x 16"):
        ADA(("filter",))(torch.rand(1, 3, 16, 16), draws)
    with pytest.raises(ShapeError, match="'color' needs gray or RGB images, got 5 channels"):
        ADA(("color",))(torch.rand(1, 5, 16, 16), draws)
    assert ADA(("color",), p=1)(torch.rand(2, 6, 16, 16), draws).shape == (2, 6, 16, 16)
    assert ADA(("color",), p=1)(torch.rand(2, 1, 16, 16), draws).shape == (2, 1, 16, 16)


def test_gray_images_draw_neither_hue_nor_saturation() -> None:
    image = torch.rand(2, 1, 8, 8)
    drawn = ADA(("color", "cutout"), p=1).draw(image, torch.Generator().manual_seed(0))
    assert drawn.keys() == {"brightness_b", "contrast_c", "lumaflip_i", "cutout_size", "cutout_center"}
    assert ADA(("color",), p=1).draw(image.expand(-1, 3, -1, -1), torch.Generator()).keys() >= {"hue_theta"}
