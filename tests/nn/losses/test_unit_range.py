"""Criteria that assume images in [0, 1] get them, and are kornia's there; so does the loss `ssim`."""

from __future__ import annotations

from typing import Any

import kornia
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from i2i.core.kinds import LOSS
from i2i.engine.stepper import Stepper
from i2i.errors import OptionError
from i2i.nn.losses.reconstruction import SSIM
from i2i.recipe.recipe import Recipe


def soft_image() -> Tensor:
    noise = torch.rand(1, 3, 70, 70, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1
    image = F.avg_pool2d(noise, 7, 1)
    return image / image.abs().max()


CRITERIA: list[tuple[str, dict[str, Any], float]] = [
    ("SSIMLoss", {"window_size": 11}, 1.0),
    ("SSIMLoss", {"window_size": 5, "max_val": 255.0}, 255.0),
    ("MS_SSIMLoss", {}, 1.0),
    ("MS_SSIMLoss", {"data_range": 2.0}, 2.0),
    ("PSNRLoss", {"max_val": 1.0}, 1.0),
    ("PSNRLoss", {"max_val": 2.0}, 2.0),
]


@pytest.mark.thorough
@pytest.mark.parametrize(("name", "options", "largest"), CRITERIA)
def test_images_are_rescaled(name: str, options: dict[str, Any], largest: float) -> None:
    x = soft_image().float()
    criterion: Any = LOSS(f"kornia.losses.{name}", **options)()
    reference = getattr(kornia.losses, name)(**options)
    assert isinstance(criterion, getattr(kornia.losses, name))
    for y in (-x, 0.9 * x):
        expected = reference((x + 1) / 2 * largest, (y + 1) / 2 * largest)
        torch.testing.assert_close(criterion(x, y), expected)
        assert float(criterion(x, y)) != pytest.approx(float(reference(x, y)), rel=1e-3) or name == "PSNRLoss"


def test_only_the_image_is_rescaled() -> None:
    depth, image = torch.rand(1, 1, 8, 8), torch.rand(1, 3, 8, 8) * 2 - 1
    criterion: Any = LOSS("kornia.losses.InverseDepthSmoothnessLoss")()
    expected = kornia.losses.InverseDepthSmoothnessLoss()(depth, (image + 1) / 2)
    torch.testing.assert_close(criterion(depth, image), expected)


def test_volumes_are_rescaled() -> None:
    x, y = torch.rand(2, 1, 1, 12, 12, 12) * 2 - 1
    criterion: Any = LOSS("kornia.losses.SSIM3DLoss", window_size=5)()
    torch.testing.assert_close(criterion(x, y), kornia.losses.SSIM3DLoss(5)((x + 1) / 2, (y + 1) / 2))


def test_every_criterion_of_kornia_with_a_range_is_adapted() -> None:
    """A criterion whose options or documentation name a range of images is in the table."""
    ranged = {
        name
        for name, criterion in vars(kornia.losses).items()
        if isinstance(criterion, type) and {"max_val", "data_range"} & set(criterion.__init__.__annotations__)
    }
    adapted = {full.rpartition(".")[2] for full, _ in LOSS.adapters}
    assert ranged <= adapted
    assert adapted - ranged == {"InverseDepthSmoothnessLoss"}


def test_a_recipe_trains_on_the_rescaled_criterion() -> None:
    settings = {
        "losses.ssim": {
            "type": "kornia.losses.SSIMLoss",
            "window_size": 5,
            "weight": 1,
            "inputs": {"img1": "cycle", "img2": "real"},
        },
        "translator.generator": {"type": "resnet", "channels": 4, "blocks": 1},
        "translator.discriminators.local.channels": 4,
        "data.type": "shapes",
        "data.size": 32,
        "train.batch_size": 1,
    }
    stepper = Stepper(Recipe.read("cyclegan_small", settings))
    criterion = stepper.translator.losses["ssim"]
    inputs: list[tuple[Tensor, Tensor]] = []
    values: list[Tensor] = []

    def hook(module: Any, args: Any, kwargs: Any, output: Tensor) -> None:
        inputs.append((kwargs["img1"].detach(), kwargs["img2"]))
        values.append(output.detach())

    criterion.register_forward_hook(hook, with_kwargs=True)
    stepper.step({domain: torch.rand(1, 3, 32, 32) * 2 - 1 for domain in "ab"})
    assert len(values) == 2
    for (cycle, real), value in zip(inputs, values, strict=True):
        assert float(real.min()) < 0
        torch.testing.assert_close(value, kornia.losses.SSIMLoss(5)((cycle + 1) / 2, (real + 1) / 2))


@pytest.mark.parametrize("window", [5, 11])
def test_our_ssim_is_the_mean_over_windows_inside(window: int) -> None:
    """Against the formula over explicit windows."""
    x = soft_image()[..., :24, :20]
    y = -0.5 * x
    place = torch.arange(window, dtype=torch.float64) - (window - 1) / 2
    bell = torch.exp(-place.square() / (2 * 1.5**2))
    weight = torch.outer(bell, bell).flatten() / bell.sum() ** 2
    p, q = (F.unfold((image + 1) / 2, window).view(1, 3, window**2, -1) for image in (x, y))

    def mean(values: Tensor) -> Tensor:
        return (values * weight[:, None]).sum(2, keepdim=True)

    mean_p, mean_q = mean(p), mean(q)
    covariance = mean((p - mean_p) * (q - mean_q))
    spread = mean((p - mean_p).square()) + mean((q - mean_q).square())
    similarity = (2 * mean_p * mean_q + 1e-4) * (2 * covariance + 9e-4)
    similarity = similarity / ((mean_p.square() + mean_q.square() + 1e-4) * (spread + 9e-4))
    assert float(SSIM(window)(x, y)) == pytest.approx(float((1 - similarity.mean()) / 2), rel=1e-6)


def test_our_ssim_of_equal_images_and_its_gradient() -> None:
    x = soft_image().float()
    assert abs(float(SSIM()(x, x))) < 1e-6
    y = x.flip(3).requires_grad_()
    SSIM(5)(y, x).backward()
    assert y.grad is not None
    assert y.grad.abs().sum() > 0
    with pytest.raises(OptionError, match="odd"):
        SSIM(4)
