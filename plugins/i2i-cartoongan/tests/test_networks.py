"""Both generators against the official ones, the discriminator, and what any network here must do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from i2i_cartoongan.anime_generator import AnimeGenerator
from i2i_cartoongan.cartoon_generator import CartoonGenerator
from i2i_cartoongan.importers import ANIMEGAN2, CARTOONGAN
from i2i_cartoongan.shallow import Shallow, smallest_image
from safetensors import safe_open
from torch import Tensor, nn

from i2i.core.kinds import NORM
from i2i.errors import OptionError, ShapeError
from i2i.methods.weights.weight_map import Format

CASES = [
    ("cartoongan", "gen_0", CARTOONGAN, CartoonGenerator),
    ("cartoongan", "gen_1", CARTOONGAN, CartoonGenerator),
    ("animegan2", "gen_0", ANIMEGAN2, AnimeGenerator),
    ("animegan2", "gen_1", ANIMEGAN2, AnimeGenerator),
    ("animegan2", "gen_1_no_align_corners", ANIMEGAN2, AnimeGenerator),
    ("animegan2", "gen_2", ANIMEGAN2, AnimeGenerator),
]


def drawn(name: str, shape: list[int], index: int, seed: int) -> Tensor:
    """The weights that the figures were made with: a hash of their place, as the figures' README says."""
    count, mask = int(np.prod(shape)), 0xFFFFFFFF
    x = (np.arange(count, dtype=np.uint64) + (index + 1) * 0x9E3779B1 + seed * 0x85EBCA77) & mask
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        x = ((x ^ (x >> shift)) * factor) & mask
    w = 2 * ((x.astype(np.float64) + 0.5) / 2**32) - 1
    # Vectors are near 1 for the scales of norms, near 0 else; the others keep the variance of what goes in.
    w = w * np.sqrt(3 / np.prod(shape[1:])) if len(shape) > 1 else 0.25 * w + name.endswith(("scale", "weight"))
    return torch.from_numpy(w.reshape(shape).astype(np.float32))


def error(got: Tensor, expected: Tensor) -> float:
    norm = float(expected.norm())
    return float((got.detach().double() - expected).norm()) / (norm if norm > 1e-9 else 1.0)


@pytest.mark.parametrize(("folder", "file", "official", "network"), CASES)
def test_generators_are_the_official_ones(golden: Path, folder: str, file: str, official: Format, network: Any) -> None:
    with safe_open(golden / folder / f"{file}.safetensors", "pt") as figures_file:
        figures = {name: figures_file.get_tensor(name) for name in figures_file.keys()}  # noqa: SIM118  # no dict
        config = json.loads(figures_file.metadata()["config"])
    shapes = json.loads((golden / folder / "weights_check.json").read_text())["tensors"]
    options: dict[str, Any] = {key: config[key] for key in ("align_corners",) if key in config}
    model = network(**options)
    state = {name: drawn(name, one["shape"], one["index"], config["seed"]) for name, one in shapes.items()}
    names = official.networks["G"].names(state)
    model.load_state_dict(official.networks["G"].convert(state))
    assert error(model(figures["input"]).image, figures["out64"]) < 1e-5
    model.double()
    image = figures["input"].double().requires_grad_()
    made = model(image).image
    assert error(made, figures["out64"]) < 1e-10
    (made * figures["cot"]).sum().backward()
    assert image.grad is not None
    assert error(image.grad, figures["grad64/input"]) < 1e-10
    parameters = dict(model.named_parameters())
    assert len(parameters) == len(names)
    for name, ours in names.items():
        assert ours is not None
        gradient = parameters[ours].grad
        assert gradient is not None, name
        if f"grad64/param/{name}" in figures:
            assert error(gradient, figures[f"grad64/param/{name}"]) < 1e-10, name
        else:
            torch.testing.assert_close(gradient.norm(), figures[f"grad64_norm/{name}"].squeeze(), rtol=1e-10, atol=0)
            assert error(gradient.flatten()[:16], figures[f"grad64_head/{name}"]) < 1e-10, name


def test_the_default_sizes_are_the_papers() -> None:
    with torch.device("meta"):
        counts = [sum(p.numel() for p in model.parameters()) for model in (CartoonGenerator(), AnimeGenerator())]
    assert counts == [11_129_667, 2_143_552]


SMALL: list[nn.Module] = [CartoonGenerator(4, 1), AnimeGenerator(4, 2)]


@pytest.mark.parametrize("model", SMALL, ids=lambda model: type(model).__name__)
@pytest.mark.parametrize("size", [(16, 16), (32, 20)])
def test_generators_keep_the_size_and_train_all_of_themselves(model: nn.Module, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    model.zero_grad()
    made = model(torch.rand(2, 3, *size) * 2 - 1).image
    assert made.shape == (2, 3, *size)
    assert made.abs().max() <= 1
    (made * torch.randn_like(made)).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


@pytest.mark.parametrize("build", [CartoonGenerator, AnimeGenerator])
def test_bgr_is_the_same_network_on_exchanged_colours(build: Any) -> None:
    rgb, bgr = build(4, 1), build(4, 1, channel_order="bgr")
    bgr.load_state_dict(rgb.state_dict())
    image = torch.rand(1, 3, 16, 16) * 2 - 1
    torch.testing.assert_close(bgr(image.flip(1)).image, rgb(image).image.flip(1))
    assert not torch.allclose(bgr(image).image, rgb(image).image)


def test_any_size_comes_back_from_animegan_and_multiples_of_4_from_cartoongan() -> None:
    assert AnimeGenerator(4, 1)(torch.rand(1, 3, 19, 33)).image.shape == (1, 3, 19, 33)
    with pytest.raises(ShapeError, match="multiples of 4"):
        CartoonGenerator(4, 1)(torch.rand(1, 3, 18, 32))
    with pytest.raises(OptionError, match="try 32 or 36"):
        CartoonGenerator.check(34)
    with pytest.raises(ShapeError, match="at least 8"):
        AnimeGenerator(4, 1)(torch.rand(1, 3, 4, 32))


def test_taps_lie_between_the_layers() -> None:
    model = CartoonGenerator(4, 2)
    taps = ("image", "down.0", "blocks.1", "up.1")
    features = model.features(torch.rand(1, 3, 16, 16), taps)
    assert [tuple(f.shape[1:]) for f in features] == [(3, 22, 22), (8, 8, 8), (16, 4, 4), (4, 16, 16)]
    assert model.tapped_channels(taps) == (3, 8, 16, 4)


def test_the_discriminators_widths_and_sizes() -> None:
    model = Shallow(32)
    convolutions = [(b.conv.in_channels, b.conv.out_channels, b.conv.stride[0], b.norm is None) for b in model.blocks]
    assert convolutions == [
        (3, 32, 1, True),
        (32, 64, 2, True),
        (64, 128, 1, False),
        (128, 128, 2, True),
        (128, 256, 1, False),
        (256, 256, 1, False),
    ]
    assert model(torch.rand(2, 3, 64, 48)).logits["patch"].shape == (2, 1, 12, 8)
    assert Shallow(4, pad_last=True)(torch.rand(1, 3, 64, 48)).logits["patch"].shape == (1, 1, 16, 12)


def test_a_logit_sees_37_pixels() -> None:
    model = Shallow(4, norm=None, padding="zeros")
    image = torch.zeros(1, 3, 80, 80).requires_grad_()
    model(image).logits["patch"][0, 0, 8, 8].backward()
    assert image.grad is not None
    rows = image.grad.abs().sum((0, 1, 3)).nonzero().flatten()
    assert int(rows.max() - rows.min()) + 1 == 37


@pytest.mark.parametrize("halvings", [1, 2, 3])
@pytest.mark.parametrize("pad_last", [False, True])
def test_the_smallest_image_is_told_before_anything_is_built(halvings: int, pad_last: bool) -> None:
    model, smallest = Shallow(4, halvings, norm=None, pad_last=pad_last), smallest_image(halvings, pad_last)
    assert model(torch.rand(1, 3, smallest, smallest)).logits["patch"].numel() >= 1
    Shallow.check(smallest, halvings, pad_last)
    with pytest.raises(OptionError, match=f"at least {smallest} px, got {smallest - 1} px"):
        Shallow.check(smallest - 1, halvings, pad_last)
    with pytest.raises(ShapeError, match=f"at least {smallest}"):
        model(torch.rand(1, 3, smallest - 1, smallest - 1))
    model.smallest_image = 0
    with pytest.raises(RuntimeError):
        model(torch.rand(1, 3, smallest - 1, smallest - 1))


def test_the_discriminator_trains_all_of_itself() -> None:
    model = Shallow(4, norm=NORM("gn", groups=1), spectral_norm=True)
    model(torch.rand(2, 3, 32, 32)).logits["patch"].square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
