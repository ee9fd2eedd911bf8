"""DiffAugment against the official code, and its draws."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from i2i.nn.augmentation.diffaugment import DiffAugment


@pytest.mark.parametrize("prefix", ["", "projected_gan/"])
@pytest.mark.parametrize(
    "name", ["color", "translation", "cutout", "color_translation_cutout", "translation_cutout_color"]
)
def test_official_images_and_gradients(golden: Path, name: str, prefix: str) -> None:
    path = golden / "diffaugment" / f"{name}.safetensors"
    if not path.is_file():
        pytest.skip("the figures of diffaugment are in the larger set alone (I2I_GOLDEN)")
    with safe_open(path, "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        config = json.loads(file.metadata()["config"])
    if f"{prefix}out64" not in tensors:
        assert "cutout" not in name
        return
    cutout = config["cutout_ratio_projected_gan" if prefix else "cutout_ratio"]
    augment = DiffAugment(tuple(config["policy"].split(",")), config["translation_ratio"], cutout)
    start = f"{prefix}draw/"
    draws = {key.removeprefix(start): value for key, value in tensors.items() if key.startswith(start)}
    image = tensors["input"].double().requires_grad_()
    drawn = augment.draw(image, torch.Generator())
    assert {key: value.shape for key, value in drawn.items()} == {key: value.shape for key, value in draws.items()}
    result = augment.apply_draws(image, {key: v.double() if v.is_floating_point() else v for key, v in draws.items()})
    (gradient,) = torch.autograd.grad((result * tensors["cot"].double()).sum(), image)
    assert torch.allclose(result, tensors[f"{prefix}out64"], rtol=0, atol=1e-12)
    assert torch.allclose(gradient, tensors[f"{prefix}grad64/input"], rtol=0, atol=1e-12)


@pytest.mark.parametrize(("side", "cut"), [(15, 8), (12, 6), (10, 5)])
def test_draws_reach_their_bounds_and_nothing_beyond(side: int, cut: int) -> None:
    drawn = DiffAugment().draw(torch.zeros(4000, 3, side, side), torch.Generator().manual_seed(0))
    most = int(side * 0.125 + 0.5)
    assert set(drawn["translation_rows"].flatten().tolist()) == set(range(-most, most + 1))
    assert set(drawn["cutout_cols"].flatten().tolist()) == set(range(side + 1 - cut % 2))
    assert float(drawn["contrast"].min()) >= 0
    assert float(drawn["contrast"].max()) < 1
    assert drawn["brightness"].unique().numel() > 3900


def test_one_seed_gives_one_result_and_samples_differ() -> None:
    image = torch.rand(1, 3, 16, 16).expand(3, -1, -1, -1)
    first, again, other = (DiffAugment()(image, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first[0], first[1])
