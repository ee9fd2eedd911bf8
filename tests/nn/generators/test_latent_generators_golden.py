"""MUNIT's and UNIT's generators and their layer norm against the official ones: forward and every gradient."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn

from i2i.methods.weights.munit import MUNIT, UNIT
from i2i.nn.generators.content_style import ContentStyle
from i2i.nn.generators.shared_latent import SharedLatent
from i2i.nn.norms.layer import LayerNorm


def figures_of(path: Path) -> tuple[dict[str, Tensor], dict[str, dict[str, int]]]:
    with safe_open(path, "pt") as file:
        names = list(file.keys())
        return {name: file.get_tensor(name) for name in names}, json.loads(file.metadata()["config"])


def part(figures: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in figures.items() if name.startswith(prefix)}


def error(got: Tensor | None, expected: Tensor) -> float:
    assert got is not None
    norm = float(expected.norm())
    return float((got.detach().double() - expected).norm()) / (norm if norm > 1e-9 else 1.0)


def ours(figures: dict[str, Tensor], prefix: str, method: str) -> dict[str, Tensor]:
    state = {name: value for name, value in part(figures, prefix).items() if ".running_" not in name}
    return {"munit": MUNIT, "unit": UNIT}[method].networks["gen.a"].convert(state)


def check_gradients(model: nn.Module, scalar: Tensor, figures: dict[str, Tensor], method: str) -> None:
    model.zero_grad()
    scalar.backward()
    expected = ours(figures, "grad64/param/", method)
    got = {name: parameter.grad for name, parameter in model.named_parameters()}
    assert got.keys() == expected.keys()
    for name, gradient in got.items():
        assert error(gradient, expected[name]) < 1e-10, name


@pytest.mark.parametrize("name", ["gen_adain_batch1", "gen_adain_batch2"])
def test_munit(golden: Path, name: str) -> None:
    figures, config = figures_of(golden / "munit" / f"{name}.safetensors")
    gen = config["gen"]
    model = ContentStyle(gen["dim"], gen["n_downsample"], gen["n_res"], gen["style_dim"], mlp_channels=gen["mlp_dim"])
    for dtype, tolerance in ((torch.float64, 1e-10), (torch.float32, 1e-5)):
        model.to(dtype).load_state_dict(ours(figures, "param/", "munit"))
        image = figures["input"].detach().clone().to(dtype).requires_grad_()
        given = figures["style"].detach().clone().to(dtype).requires_grad_()
        content, style = model.encode_content(image), model.encode_style(image)
        made = {
            "content": content,
            "style": style[..., None, None],
            "recon": model.decode(content, style),
            "random": model.decode(content, given.flatten(1)),
        }
        for key, value in made.items():
            assert error(value, figures[f"out64/{key}"]) < tolerance, key
        assert torch.equal(model(image).image, made["recon"])
    for index, (gamma, beta) in enumerate(model.double().mlp(figures["style"].double().flatten(1))):
        layer = f"dec.model.0.model.{index // 2}.model.{index % 2}.norm"
        assert error(beta.flatten(), figures[f"assigned64/{layer}.bias"]) < 1e-6
        assert error(gamma.flatten(), figures[f"assigned64/{layer}.weight"]) < 1e-6

    model.load_state_dict(ours(figures, "param/", "munit"))
    image, given = (figures[key].detach().double().requires_grad_() for key in ("input", "style"))
    content, style = model.encode_content(image), model.encode_style(image)
    made = {
        "content": content,
        "style": style[..., None, None],
        "recon": model.decode(content, style),
        "random": model.decode(content, given.flatten(1)),
    }
    scalar = torch.stack([(made[key] * figures[f"cot/{key}"].double()).sum() for key in made]).sum()
    check_gradients(model, scalar, figures, "munit")
    assert error(image.grad, figures["grad64/input"]) < 1e-10
    assert error(given.grad, figures["grad64/style"]) < 1e-10


@pytest.mark.parametrize("name", ["gen_vae_batch1", "gen_vae_batch2"])
def test_unit(golden: Path, name: str) -> None:
    figures, config = figures_of(golden / "unit" / f"{name}.safetensors")
    gen = config["gen"]
    model = SharedLatent(gen["dim"], gen["n_downsample"], gen["n_res"])
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.float64, 1e-10)):
        model.to(dtype).load_state_dict(ours(figures, "param/", "unit"))
        image = figures["input"].detach().clone().to(dtype).requires_grad_()
        hidden = model.encode(image)
        noisy = hidden + figures["noise"].to(dtype)
        made = {"hidden": hidden, "recon_mean": model.decode(hidden), "recon_noise": model.decode(noisy)}
        for key, value in made.items():
            assert error(value, figures[f"out64/{key}"]) < tolerance, key
        assert torch.equal(model(image).image, made["recon_mean"])
    scalar = torch.stack([(made[key] * figures[f"cot/{key}"].double()).sum() for key in made]).sum()
    check_gradients(model, scalar, figures, "unit")
    assert error(image.grad, figures["grad64/input"]) < 1e-10


@pytest.mark.parametrize("method", ["munit", "unit"])
def test_layer_norm(golden: Path, method: str) -> None:
    figures, _ = figures_of(golden / method / "layernorm.safetensors")
    norm = LayerNorm(len(figures["gamma"]), unbiased=True, eps_on="std", init="uniform").double()
    norm.load_state_dict({"weight": figures["gamma"].double(), "bias": figures["beta"].double()})
    for case in ("b1", "b3"):
        norm.zero_grad()
        x = figures[f"input_{case}"].double().requires_grad_()
        made = norm(x)
        (made * figures[f"cot_{case}"].double()).sum().backward()
        assert error(made, figures[f"{case}/out64"]) < 1e-10
        for got, key in ((x.grad, "input"), (norm.weight.grad, "gamma"), (norm.bias.grad, "beta")):  # type: ignore[union-attr]
            assert error(got, figures[f"{case}/grad64/{key}"]) < 1e-10, key
