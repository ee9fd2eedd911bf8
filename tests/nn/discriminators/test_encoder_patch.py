"""The discriminator that encodes, against NICE-GAN's: two training forwards, buffers, eval, gradients, legal sizes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from i2i.core.contracts import DiscriminatorOutput
from i2i.errors import OptionError, ShapeError
from i2i.methods.weights.nicegan import NICEGAN
from i2i.nn.discriminators.encoder_patch import EncoderPatch


def figures_of(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, json.loads(file.metadata()["config"])  # noqa: SIM118  # no dict


def part(figures: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in figures.items() if name.startswith(prefix)}


def ours(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return NICEGAN.networks["disA"].convert(state)


def error(got: Tensor | None, expected: Tensor) -> float:
    assert got is not None
    norm = float(expected.norm())
    return float((got.detach().double() - expected).norm()) / (norm if norm > 1e-9 else 1.0)


def outputs_of(output: DiscriminatorOutput) -> dict[str, Tensor]:
    assert output.heatmap is not None
    assert output.code is not None
    return {
        **{f"{k}_logit": v for k, v in output.logits.items()},
        "heatmap": output.heatmap,
        "z": output.code,
    }


@pytest.mark.parametrize("name", ["dis_n7", "dis_n6"])
def test_official_figures(golden: Path, name: str) -> None:
    figures, config = figures_of(golden / "nicegan" / f"{name}.safetensors")
    model = EncoderPatch(config["ch"], config["n_dis"])
    official = part(figures, "param/")
    for dtype, tolerance in ((torch.float64, 1e-10), (torch.float32, 2e-5)):
        model.to(dtype).load_state_dict(ours(official))
        scalar = torch.zeros((), dtype=dtype)
        images = [figures[f"input{call}"].to(dtype).requires_grad_() for call in (1, 2)]
        # Both forwards stand before the backward, as real and fake do in a discriminator's step.
        for call, image in enumerate(images, 1):
            outputs = outputs_of(model(image))
            assert outputs.keys() == part(figures, f"train{call}_64/").keys()
            for key, got in outputs.items():
                assert error(got, figures[f"train{call}_64/{key}"]) < tolerance, key
                scalar = scalar + (got * figures[f"cot{call}/{key}"].to(dtype)).sum()
            expected = ours({**official, **part(figures, f"train{call}_buf/")})
            for key, buffer in model.named_buffers():
                assert error(buffer, expected[key].double()) < 1e-5, key
        state = {key: value.clone() for key, value in model.state_dict().items()}
        for key, got in outputs_of(model.eval()(figures["input1"].to(dtype))).items():
            assert error(got, figures[f"eval/{key}"]) < 2e-5, key
        for key, value in model.train().state_dict().items():
            assert torch.equal(value, state[key]), f"{key} changed in eval mode"
        model.zero_grad()
        torch.autograd.backward(scalar)
        if dtype == torch.float64:
            assert error(images[1].grad, figures["grad64/input2"]) < tolerance
            expected = ours({**official, **part(figures, "grad64/param/")})  # vectors have no gradient
            for key, parameter in model.named_parameters():
                stored = tolerance if expected[key].dtype == torch.float64 else 1e-6
                assert error(parameter.grad, expected[key]) < stored, key


def test_official_size() -> None:
    with torch.device("meta"):
        assert sum(parameter.numel() for parameter in EncoderPatch().parameters()) == 46_874_433


@pytest.mark.parametrize(("layers", "deeper"), [(7, 2), (6, 2), (5, 1), (6, 1), (4, 0), (5, 0)])
def test_smallest_image_by_brute_force(layers: int, deeper: int) -> None:
    model = EncoderPatch(1, layers, deeper).eval()
    smallest = model.smallest_image
    assert smallest == 3 * 2 ** (layers - 2)
    output = model(torch.zeros(1, 3, smallest, smallest))
    assert output.logits.keys() == {"local", "cam"} | ({"global"} if deeper else set())
    assert all(logits.numel() for logits in output.logits.values())
    assert output.code is not None
    assert output.code.shape == (1, 2, smallest // 4, smallest // 4)
    EncoderPatch.check(smallest, layers, deeper)
    model.smallest_image = 0  # let the convolutions speak
    with pytest.raises(RuntimeError):
        model(torch.zeros(1, 3, smallest - 4, smallest - 4))


@pytest.mark.parametrize(
    ("size", "layers", "deeper", "message"),
    [
        (64, 7, 2, "layers: 7 layers need images of at least 96 px, got 64 px; layers = 6 works at 64 px"),
        (
            32,
            7,
            2,
            "layers: 7 layers need images of at least 96 px, got 32 px; layers = 5 with deeper = 1 works at 32 px",
        ),
        (8, 4, 0, "layers: 4 layers need images of at least 12 px, got 8 px; nothing works at 8 px"),
        (256, 5, 2, "layers: expected at least 6 with deeper = 2, got 5"),
        (98, 7, 2, "image_size: expected a multiple of 4, got 98"),
    ],
)
def test_check(size: int, layers: int, deeper: int, message: str) -> None:
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        EncoderPatch.check(size, layers, deeper)


def test_wrong_images() -> None:
    model = EncoderPatch(1, 5, 1)
    assert model.encode(torch.zeros(1, 3, 8, 12)).features.shape == (1, 2, 2, 3)  # codes need no heads
    message = "encoder_patch: expected images with sides of at least 24, got [1, 3, 8, 12]"
    with pytest.raises(ShapeError, match=f"^{re.escape(message)}$"):
        model(torch.zeros(1, 3, 8, 12))
    message = (
        "encoder: expected images [B, 3, H, W] with sides that are multiples of 4 and at least 8, got [1, 3, 10, 12]"
    )
    with pytest.raises(ShapeError, match=f"^{re.escape(message)}$"):
        model.encode(torch.zeros(1, 3, 10, 12))


def test_without_attention_and_spectral_norm() -> None:
    output = EncoderPatch(2, 5, 1, spectral_norm=False, attention=None)(torch.randn(2, 3, 32, 32))
    assert output.logits.keys() == {"local", "global"}
    assert output.heatmap is None
    sum((logits * torch.randn_like(logits)).sum() for logits in output.logits.values()).backward()
