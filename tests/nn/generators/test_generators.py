"""Both generators: sizes, options, gradients, state, and what they say to a wrong size."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from i2i.core.factory import Factory
from i2i.core.kinds import ADAPTIVE_NORM, ATTENTION, NORM
from i2i.errors import OptionError, ShapeError
from i2i.nn.generators.resnet import Resnet
from i2i.nn.generators.resnet_adalin import ResnetAdaLIN
from i2i.nn.layers.initialization import initialize

BUILDS: dict[str, Any] = {
    "resnet": lambda: Resnet(4, 2),
    "resnet, other options": lambda: Resnet(
        4,
        1,
        NORM("bn"),
        dropout=0.5,
        upsample="nearest",
        down_padding="reflect",
        bias=False,
        attention=ATTENTION("cam"),
    ),
    "light": lambda: ResnetAdaLIN(4, 2, light=True),
    "full": lambda: ResnetAdaLIN(4, 2, image_size=16),
    "adain": lambda: ResnetAdaLIN(4, 1, light=True, decoder_norm=ADAPTIVE_NORM("adain")),
    "in": lambda: ResnetAdaLIN(4, 1, decoder_norm=NORM("in", affine=True)),
    "ln": lambda: ResnetAdaLIN(4, 1, decoder_norm=NORM("ln")),
    "gn": lambda: ResnetAdaLIN(8, 1, decoder_norm=NORM("gn")),
    "no attention": lambda: ResnetAdaLIN(4, 1, attention=None, image_size=16),
}


@pytest.mark.parametrize("name", BUILDS)
def test_shapes_gradients_and_state(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = BUILDS[name]()
    initialize(model, "orthogonal", gain=1.0)  # so that no gradient vanishes in rounding
    for shape in [(1, 3, 16, 16)] + ([(2, 3, 12, 20)] if model.fixed_size is None else []):
        made = model(torch.rand(shape) * 2 - 1)
        assert made.image.shape == shape
        assert made.image.abs().max() <= 1
        outputs: list[Tensor] = [output for output in made if output is not None]
        assert len(outputs) == (1 if model.attention is None else 3)
    sum((output * torch.randn_like(output)).sum() for output in outputs).backward()
    assert [key for key, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []
    torch.save(model.state_dict(), tmp_path / "generator.pt")
    again = BUILDS[name]()
    again.load_state_dict(torch.load(tmp_path / "generator.pt"))
    image = torch.rand(1, 3, 16, 16)
    assert torch.equal(model.eval()(image).image, again.eval()(image).image)


def test_a_plain_decoder_norm_builds_no_gamma_and_beta() -> None:
    model = ResnetAdaLIN(4, 1, decoder_norm=NORM("ln"))
    assert model.modulation is None
    assert model.fixed_size is None
    assert not any(name.startswith("modulation") for name in model.state_dict())


def test_only_the_full_generator_is_bound_to_a_size() -> None:
    assert ResnetAdaLIN(4, 1, image_size=16).fixed_size == (16, 16)
    assert ResnetAdaLIN(4, 1, light=True, image_size=16).fixed_size is None
    assert Resnet(4, 1).fixed_size is None
    assert (ResnetAdaLIN.multiple, Resnet.multiple) == (4, 4)


def test_official_sizes() -> None:
    def parameters(build: Factory[Any] | Any) -> int:
        with torch.device("meta"):
            return sum(parameter.numel() for parameter in build().parameters())

    assert parameters(Resnet) == 11_378_179
    assert round(parameters(lambda: Resnet(blocks=6)) / 1e6, 3) == 7.838
    assert round(parameters(lambda: ResnetAdaLIN(light=True)) / 1e6, 2) == 10.59
    assert round(parameters(lambda: ResnetAdaLIN(image_size=256)) / 1e6, 2) == 278.96


@pytest.mark.parametrize(
    ("model", "shape", "message"),
    [
        ("light", (1, 3, 18, 16), "sides that are multiples of 4 and at least 8, got 18 x 16"),
        ("resnet", (1, 3, 4, 4), "sides that are multiples of 4 and at least 8, got 4 x 4"),
        ("resnet", (3, 16, 16), "images [B, 3, H, W], got [3, 16, 16]"),
        (
            "full",
            (1, 3, 32, 16),
            "images of 16 x 16, the size it was built for, got 32 x 16; only light = true, or a decoder_norm that is "
            "not adaptive, takes any size",
        ),
    ],
)
def test_wrong_images(model: str, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ShapeError, match=f"^{re.escape('generator: expected ' + message)}$"):
        BUILDS[model]()(torch.zeros(shape))


def test_smallest_image_works() -> None:
    for name in ("resnet", "light"):
        assert BUILDS[name]()(torch.rand(1, 3, 8, 8)).image.isfinite().all()


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (30, "expected a multiple of 4, at least 8, got 30; try 28 or 32"),
        (4, "expected a multiple of 4, at least 8, got 4; try 8"),
    ],
)
def test_check(size: int, message: str) -> None:
    for check in (Resnet.check, ResnetAdaLIN.check, lambda size: ResnetAdaLIN(image_size=size)):
        with pytest.raises(OptionError, match=f"^{re.escape('image_size: ' + message)}$"):
            check(size)
    Resnet.check(256)


def test_full_generator_needs_a_size() -> None:
    message = "image_size: expected the side of the images, which the full generator needs; or set light = true"
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        ResnetAdaLIN(4, 1)


def test_rhos_can_be_constrained() -> None:
    model = ResnetAdaLIN(4, 1, light=True)
    rhos = [module for module in model.modules() if hasattr(module, "constrain_")]
    assert len(rhos) == 4
    assert sum(name.endswith("rho") for name, _ in model.named_parameters()) == 4
