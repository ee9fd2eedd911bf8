"""The U-Net: official figures, its levels, its skips, dropout and batch statistics."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from i2i.core.kinds import ATTENTION, NORM
from i2i.errors import OptionError, ShapeError
from i2i.methods.weights.pix2pix import PIX2PIX
from i2i.nn.discriminators.patch import Patch
from i2i.nn.discriminators.pixel import Pixel
from i2i.nn.generators.unet import Unet


def figures_of(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, json.loads(file.metadata()["config"])  # noqa: SIM118  # no dict


def part(figures: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in figures.items() if name.startswith(prefix)}


def error(got: Tensor | None, expected: Tensor) -> float:
    assert got is not None
    norm = float(expected.norm())
    return float((got.detach().double() - expected).norm()) / (norm if norm > 1e-9 else 1.0)


def compare(model: torch.nn.Module, figures: dict[str, Tensor], train: bool) -> None:
    """Forward, gradients and running statistics; official gradients are renamed as the weights are."""
    start = part(figures, "param/")
    for dtype, tolerance in ((torch.float64, 1e-10), (torch.float32, 1e-5)):
        network = PIX2PIX.networks["G" if isinstance(model, Unet) else "D"]
        model.load_state_dict(network.convert(start))
        model.to(dtype).train(train)
        image = figures["input"].to(dtype).requires_grad_()
        made = model(image)
        output = made.image if isinstance(model, Unet) else made.logits["patch"]
        assert error(output, figures["out64"]) < tolerance
        after = network.export(model.state_dict())
        for name, value in part(figures, "after64/").items():
            assert error(after[name], value.double()) < tolerance, name
        if dtype == torch.float32 or "cot" not in figures:
            continue
        model.zero_grad()
        (output * figures["cot"]).sum().backward()
        # The file of the deepest network stores single precision.
        exact = figures["grad64/input"].dtype == torch.float64
        assert error(image.grad, figures["grad64/input"].double()) < (tolerance if exact else 1e-6)
        gradients = network.export({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
        for name, value in part(figures, "grad64/param/").items():
            assert error(gradients[name], value) < tolerance, name


def test_official_unets(golden: Path) -> None:
    files = sorted((golden / "pix2pix").glob("unet*.safetensors"))
    assert len(files) >= 4
    for file in files:
        figures, config = figures_of(file)
        model = Unet(
            config["ngf"],
            config["num_downs"],
            norm=NORM("bn"),
            dropout=0.5 if config["use_dropout"] else 0.0,
            dropout_at_inference=False,
            in_channels=config["input_nc"],
            out_channels=config["output_nc"],
        )
        compare(model, figures, config["train"])


def test_official_conditional_discriminators(golden: Path) -> None:
    files = sorted((golden / "pix2pix").glob("dis6ch_*.safetensors"))
    assert files
    for file in files:
        figures, config = figures_of(file)
        layers = config["n_layers_D"] + 2
        model = Patch(config["ndf"], layers, config["input_nc"], norm=NORM("bn"), bias=False)
        compare(model, figures, config["train"])


def test_official_pixel_discriminator(golden: Path) -> None:
    figures, config = figures_of(golden / "cyclegan" / "dis_pixel.safetensors")
    compare(Pixel(config["ndf"], config["input_nc"]), figures, train=True)


def test_default_sizes_and_names(golden: Path) -> None:
    tables = json.loads((golden / "pix2pix" / "state_dict_names_default_size.json").read_text())
    tables |= json.loads((golden / "cyclegan" / "state_dict_names_default_size.json").read_text())
    compared = 0
    for name, table in tables.items():
        (names,) = (value for value in table.values() if isinstance(value, dict | list))
        entries = dict(names)
        with torch.device("meta"):
            state = {key: torch.empty(shape, dtype=getattr(torch, dtype)) for key, (shape, dtype) in entries.items()}
            network = PIX2PIX.networks["G" if name.startswith(("unet", "resnet")) else "D"]
            found = network.convert(state)
            parameters = sum(
                value.numel() for key, value in found.items() if not key.endswith(("_mean", "_var", "_tracked"))
            )
        back = network.export(found, network.traces(state))
        assert {key: (list(value.shape), value.dtype) for key, value in back.items()} == {
            key: (list(value.shape), value.dtype) for key, value in state.items()
        }
        assert parameters == table["parameters"], name
        compared += 1
    assert compared >= 8


def test_batch_statistics_at_inference() -> None:
    model = Unet(4, 5, dropout=0.0).eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    image = torch.rand(1, 3, 32, 64) * 2 - 1
    generated = model(image).image
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(generated, model.train()(image).image)
    moved = Unet(4, 5, norm=NORM("bn"), dropout=0.0).eval()
    moved.load_state_dict(before)
    assert not torch.allclose(generated, moved(image).image)


def test_dropout_stays_on_where_it_should() -> None:
    image = torch.rand(1, 3, 64, 64)
    noisy = Unet(4, 6, norm=NORM("in")).eval()
    assert [up.dropout is not None for up in noisy.up] == [False, False, False, False, True, False]
    assert not torch.equal(noisy(image).image, noisy(image).image)
    torch.manual_seed(3)
    first = noisy(image).image
    torch.manual_seed(3)
    assert torch.equal(first, noisy(image).image)
    still = Unet(4, 6, norm=NORM("in"), dropout_at_inference=False).eval()
    assert torch.equal(still(image).image, still(image).image)
    assert sum(up.dropout is not None for up in Unet(1, 8).up) == 3
    assert all(up.dropout is None for up in Unet(1, 5).up)


def test_attention_sees_the_level_asked_for() -> None:
    model = Unet(4, 4, norm=NORM("in"), attention=ATTENTION("cam"), attention_level=2, bias=True)
    made = model(torch.rand(2, 3, 32, 32))
    assert made.cam is not None
    assert made.cam.shape == (2, 2)
    assert made.heatmap is not None
    assert made.heatmap.shape == (2, 1, 8, 8)
    (made.image.square().mean() + made.cam.sum()).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    with pytest.raises(OptionError, match="expected a level from 1 to 4, got 5"):
        Unet(4, 4, attention=ATTENTION("cam"), attention_level=5)


def test_sizes() -> None:
    with pytest.raises(ShapeError, match=r"sides that are multiples of 32, got \[1, 3, 48, 32\]"):
        Unet(2, 5)(torch.rand(1, 3, 48, 32))
    with pytest.raises(
        OptionError, match="8 levels need images whose sides are multiples of 256, got 96 px; at most 5"
    ):
        Unet.check(96, 8)
    with pytest.raises(ShapeError, match=r"expected images \[B, 6, H, W\]"):
        Pixel(4, 6)(torch.rand(1, 3, 8, 8))
