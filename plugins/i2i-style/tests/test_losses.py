"""The losses `mean_std` and `tv`: formulas, gradients, and what is saved."""

from __future__ import annotations

import pytest
import torch
from i2i_style.losses import MeanStd, TotalVariation
from torch import Tensor

from i2i.core.kinds import FEATURE_EXTRACTOR
from i2i.nn.features.timm_features import TimmFeatures

UNTRAINED = FEATURE_EXTRACTOR("timm", model="test_efficientnet", weights="untrained")
TAPS = ("bn1", "blocks.1.0.bn1")
WEIGHTS = (2.0, 0.5)


def image(seed: int) -> Tensor:
    return torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_mean_std_is_a_weighted_distance_of_means_and_deviations() -> None:
    features = TimmFeatures(TAPS, "test_efficientnet", "untrained")
    expected = 0.0
    for weight, x, y in zip(WEIGHTS, features(image(0)), features(image(1)), strict=True):
        expected += weight * float((x.mean((2, 3)) - y.mean((2, 3))).square().mean())
        expected += weight * float((x.std((2, 3)) - y.std((2, 3))).square().mean())
    assert float(MeanStd(TAPS, WEIGHTS, UNTRAINED)(image(0), image(1))) == pytest.approx(expected, rel=1e-3)


def test_mean_std_trains_the_image_only_and_saves_nothing() -> None:
    loss = MeanStd(TAPS, features=UNTRAINED).train()
    x = image(0).requires_grad_()
    loss(x, image(1)).backward()
    assert x.grad is not None
    assert (x.grad != 0).float().mean() > 0.9
    assert loss.state_dict() == {}
    assert list(loss.parameters()) == []


def test_mean_std_compares_images_of_two_sizes() -> None:
    larger = torch.nn.functional.interpolate(image(1), 48)
    assert MeanStd(TAPS, features=UNTRAINED)(image(0), larger).isfinite()


def test_total_variation_is_zero_for_flat_colour_and_two_for_a_fine_checkerboard() -> None:
    board = (torch.arange(8)[:, None] + torch.arange(8)) % 2 * 1.0
    assert float(TotalVariation()(torch.full((1, 3, 8, 8), 0.7))) == 0
    assert float(TotalVariation()(board.expand(1, 3, 8, 8))) == 2
