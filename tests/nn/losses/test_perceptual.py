"""Losses over a frozen network's features: formulas, gradients, what they keep and what they refuse."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from i2i.core.kinds import FEATURE_EXTRACTOR, NORM
from i2i.errors import OptionError
from i2i.nn.features.timm_features import TimmFeatures
from i2i.nn.layers.frozen import extractor_sources
from i2i.nn.losses.perceptual import Gram, Perceptual

UNTRAINED = FEATURE_EXTRACTOR("timm", model="test_efficientnet", weights="untrained")
TAPS = ("bn1", "blocks.1.0.bn1")
WEIGHTS = (2.0, 0.5)


def image(seed: int, count: int = 2) -> Tensor:
    return torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.fixture(scope="module")
def seen() -> list[tuple[float, Tensor, Tensor]]:
    features = TimmFeatures(TAPS, "test_efficientnet", "untrained")
    return list(zip(WEIGHTS, features(image(0)), features(image(1)), strict=True))


@pytest.mark.parametrize("distance", ["l1", "l2"])
def test_perceptual_is_a_weighted_distance_of_features(seen: Any, distance: Any) -> None:
    loss = Perceptual(TAPS, WEIGHTS, distance, features=UNTRAINED)
    power = 1 if distance == "l1" else 2
    expected = sum(weight * float((x - y).abs().pow(power).mean()) for weight, x, y in seen)
    assert float(loss(image(0), image(1))) == pytest.approx(expected, rel=1e-5)
    assert float(loss(image(0), image(0))) == 0


def test_normalized_features_do_not_know_contrast() -> None:
    loss = Perceptual(("conv_stem",), norm=NORM("in"), features=UNTRAINED)  # before anything that is not linear
    flat = Perceptual(("conv_stem",), features=UNTRAINED)
    x, y = image(0), 0.5 * image(0)
    assert float(loss(x, y)) < 0.05 * float(loss(x, image(1)))
    assert float(flat(x, y)) > 0.05 * float(flat(x, image(1)))


@pytest.mark.parametrize("distance", ["l1", "l2"])
@pytest.mark.parametrize("relative", [False, True])
def test_gram(seen: Any, relative: bool, distance: Any) -> None:
    power = 1 if distance == "l1" else 2
    expected = 0.0
    for weight, x, y in seen:
        one, other = (torch.einsum("bihw,bjhw->bij", z, z) / z[0].numel() for z in (x, y))
        error = (one - other).abs().pow(power).mean((1, 2))
        expected += weight * float((error / other.abs().pow(power).mean((1, 2)) if relative else error).mean())
    loss = Gram(TAPS, WEIGHTS, distance, relative, UNTRAINED)
    assert float(loss(image(0), image(1))) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("loss", [Perceptual, Gram])
def test_gradients_reach_the_image_alone_and_nothing_is_saved(loss: Any) -> None:
    made = loss(TAPS, features=UNTRAINED).train()
    x = image(0).requires_grad_()
    made(x, image(1)).backward()
    assert x.grad is not None
    assert (x.grad != 0).float().mean() > 0.9
    assert made.state_dict() == {}
    assert list(made.parameters()) == []
    assert not made.features.module.training
    assert extractor_sources(made) == {"features": "test_efficientnet, untrained"}


def test_style_images_may_have_another_size() -> None:
    small = torch.nn.functional.interpolate(image(1), 48)
    assert Gram(TAPS, features=UNTRAINED)(image(0), small).isfinite()


@pytest.mark.parametrize(
    ("options", "option", "message"),
    [
        ({"taps": ()}, "taps", "expected at least one layer of the feature extractor, got none"),
        ({"taps": TAPS, "weights": (1.0,)}, "weights", "expected one for each of 2 taps, got 1"),
    ],
)
def test_what_does_not_fit_is_said(options: dict[str, Any], option: str, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        Gram(**options, features=UNTRAINED)
    assert (caught.value.option, caught.value.message) == (option, message)
