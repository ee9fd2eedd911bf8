"""Constants and defaults that the papers and official codes give, each by what it does to the numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from i2i.core.kinds import ADAPTIVE_NORM, ATTENTION, DISCRIMINATOR, GENERATOR, LOSS, NORM
from i2i.nn.functional import normalization
from i2i.nn.functional.contrastive import patch_nce
from i2i.nn.functional.spectral import power_iteration
from i2i.nn.layers.projection import PatchHeads
from i2i.nn.layers.stylegan2 import MinibatchDeviation, ScaledLeakyReLU

X = torch.randn(2, 4, 6, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 3e-3
"""Features with a variance of about 1e-5, in which eps counts as much as they do."""
ONE, ZERO = torch.ones(2, 4, dtype=torch.float64), torch.zeros(2, 4, dtype=torch.float64)


def expected(dims: tuple[int, ...], eps: float = 1e-5, unbiased: bool = False) -> Tensor:
    return (X - X.mean(dims, keepdim=True)) / (X.var(dims, unbiased=unbiased, keepdim=True) + eps).sqrt()


NORMS: dict[str, tuple[Callable[[], Any], Callable[[], Tensor]]] = {
    "in": (lambda: NORM("in")(4), lambda: expected((2, 3))),
    "ln": (lambda: NORM("ln")(4), lambda: expected((1, 2, 3))),
    "gn": (lambda: NORM("gn", groups=1)(4), lambda: expected((1, 2, 3))),
    "bn": (lambda: NORM("bn")(4), lambda: expected((0, 2, 3))),
    "iln": (lambda: NORM("iln")(4), lambda: expected((1, 2, 3), unbiased=True)),
    "adain": (lambda: ADAPTIVE_NORM("adain")(4), lambda: expected((2, 3))),
    "adalin": (
        lambda: ADAPTIVE_NORM("adalin")(4),
        lambda: 0.9 * expected((2, 3), unbiased=True) + 0.1 * expected((1, 2, 3), unbiased=True),
    ),
    "instance_norm": (lambda: normalization.instance_norm, lambda: expected((2, 3))),
    "layer_norm": (lambda: normalization.layer_norm, lambda: expected((1, 2, 3))),
    "layer_instance_norm": (
        lambda: lambda x: normalization.layer_instance_norm(x, torch.ones(4, dtype=x.dtype)),
        lambda: expected((2, 3), unbiased=True),
    ),
}


@pytest.mark.parametrize("name", NORMS)
def test_norms_have_an_eps_of_1e_5_and_their_initial_mix(name: str) -> None:
    build, formula = NORMS[name]
    norm = build()
    norm = norm.double() if isinstance(norm, nn.Module) else norm
    y = norm(X, ONE, ZERO) if name.startswith("ada") else norm(X)
    torch.testing.assert_close(y, formula(), rtol=1e-6, atol=1e-9)


def test_batch_norm_moves_its_statistics_by_a_tenth() -> None:
    norm: Any = NORM("bn")(4).double()  # type: ignore[attr-defined]
    norm(X + 1)
    torch.testing.assert_close(norm.running_mean, 0.1 * (X + 1).mean((0, 2, 3)))


def test_softmax_mixes_start_at_one_and_three_point_two() -> None:
    iln: Any = NORM("iln", mix="softmax")(4)
    assert iln.rho[0].tolist() == pytest.approx([1.0, 3.2])
    adalin: Any = ADAPTIVE_NORM("adalin", mix="softmax")(4)
    assert adalin.rho[0].tolist() == pytest.approx([3.2, 1.0])


def test_eps_of_the_remaining_layers() -> None:
    deviation = MinibatchDeviation()(torch.ones(4, 1, 2, 2, dtype=torch.float64))[:, 1]
    torch.testing.assert_close(deviation, torch.full_like(deviation, 1e-4))  # the root of 1e-8
    (vectors,) = PatchHeads((1,), None)([torch.full((1, 1, 1, 1), 1e-7)], [torch.tensor([0])])
    assert float(vectors) == pytest.approx(0.5)
    _, v = power_iteration(torch.full((1, 1), 1e-13, dtype=torch.float64), torch.ones(1, dtype=torch.float64))
    assert float(v) == pytest.approx(0.1)


@pytest.mark.parametrize("name", ["patch", "pixel", "multiscale", "encoder_patch"])
def test_discriminators_have_leaky_relus_of_slope_a_fifth(name: str) -> None:
    network: Any = DISCRIMINATOR(name, channels=2)()
    slopes = {layer.negative_slope for layer in network.modules() if isinstance(layer, nn.LeakyReLU)}
    assert slopes == {0.2}


def test_other_slopes() -> None:
    attention: Any = ATTENTION("residual_cam")(2)
    assert attention.activation(torch.tensor(-1.0)).item() == pytest.approx(-0.2)
    assert ScaledLeakyReLU()(torch.tensor(-1.0)).item() == pytest.approx(-0.2 * math.sqrt(2))
    unet: Any = GENERATOR("unet", channels=2, levels=6)()
    assert {layer.negative_slope for layer in unet.modules() if isinstance(layer, nn.LeakyReLU)} == {0.2}
    assert unet.up[4].dropout.probability == 0.5


@pytest.mark.parametrize(
    ("kind", "name", "scale"),
    [(GENERATOR, "resnet", 0.02), (GENERATOR, "unet", 0.02), (DISCRIMINATOR, "patch", 0.02)],
)
def test_normal_weights_start_with_a_deviation_of_two_hundredths(kind: Any, name: str, scale: float) -> None:
    torch.manual_seed(0)
    network: Any = kind(name, channels=16)()
    weights = [p for p in network.parameters() if p.ndim == 4]
    values = torch.cat([weight.detach().flatten() for weight in weights])
    assert float(values.std()) == pytest.approx(scale, rel=0.02)
    assert float(values.mean()) == pytest.approx(0, abs=scale / 50)


def test_the_projection_starts_by_glorots_rule_with_a_gain_of_two_hundredths() -> None:
    torch.manual_seed(0)
    heads = PatchHeads((256,))
    assert heads.mlps is not None
    weight = heads.mlps[0].get_parameter("first.weight").detach()
    assert float(weight.std()) == pytest.approx(0.02 * math.sqrt(2 / 512), rel=0.02)


def linear(image: Tensor) -> dict[str, Tensor]:
    """A discriminator whose gradient is 3 everywhere."""
    return {"patch": 3 * image}


def test_defaults_of_losses() -> None:
    real = torch.zeros(1, 3, 4, 4, dtype=torch.float64)
    length = 3 * math.sqrt(48)
    r1: Any = LOSS("r1")()
    assert float(r1.discriminator(real, linear)) == pytest.approx(10 / 2 * length**2)
    wgan: Any = LOSS("wgan_gp")()
    assert float(wgan.discriminator(real, real, linear, 1)) == pytest.approx(10 * (length - 1) ** 2)
    dragan: Any = LOSS("dragan")()
    assert float(dragan.discriminator(real, linear, 1)) == pytest.approx(10 * (length - 1) ** 2)
    assert dragan.noise == 0.5
    nce: Any = LOSS("patch_nce")()
    assert nce.temperature == 0.07
    ssim: Any = LOSS("ssim")()
    assert ssim.window == 11


def test_a_patchs_own_key_counts_as_a_similarity_of_minus_ten() -> None:
    one = torch.ones(1, 1, 1, dtype=torch.float64)
    expected = math.log(math.exp(1 / 5) + math.exp(-10 / 5)) - 1 / 5
    assert float(patch_nce(one, one, temperature=5.0)) == pytest.approx(expected)
