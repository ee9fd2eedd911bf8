"""The patch discriminator against U-GAT-IT's and CycleGAN's: two training forwards, buffers, eval, every gradient."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from i2i.core.contracts import DiscriminatorOutput
from i2i.core.kinds import ATTENTION
from i2i.methods.weights.ugatit import UGATIT
from i2i.nn.discriminators.patch import Patch


def figures_of(path: Path) -> tuple[dict[str, Tensor], dict[str, int]]:
    with safe_open(path, "pt") as file:
        names = list(file.keys())
        return {name: file.get_tensor(name) for name in names}, json.loads(file.metadata()["config"])


def part(figures: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in figures.items() if name.startswith(prefix)}


def error(got: Tensor | None, expected: Tensor) -> float:
    assert got is not None
    norm = float(expected.norm())
    return float((got.detach().double() - expected).norm()) / (norm if norm > 1e-9 else 1.0)


def outputs_of(output: DiscriminatorOutput) -> dict[str, Tensor]:
    assert output.heatmap is not None
    return {
        "logit": output.logits["patch"],
        "cam_logit": output.logits["cam"],
        "heatmap": output.heatmap,
    }


@pytest.mark.parametrize("name", ["dis_local", "dis_global"])
def test_ugatit(golden: Path, name: str) -> None:
    figures, config = figures_of(golden / "ugatit" / f"{name}.safetensors")
    model = Patch(
        config["ch"],
        config["n_layers"],
        norm=None,
        spectral_norm=True,
        padding="reflect",
        max_multiplier=None,
        attention=ATTENTION("cam"),
        final_bias=False,
        init="default",
    )
    start = UGATIT.networks["disLA"].convert(part(figures, "param/"))
    # The global one's second logit is a single number near 0, of which single precision leaves 5 digits.
    for dtype, tolerance in ((torch.float64, 1e-10), (torch.float32, 2e-5)):
        model.to(dtype).load_state_dict(start)
        scalar = torch.zeros((), dtype=dtype)
        # Both forwards stand before the backward, as real and fake do in a discriminator's step.
        for call in (1, 2):
            outputs = outputs_of(model(figures[f"input{call}"].to(dtype)))
            for key, got in outputs.items():
                assert error(got, figures[f"train{call}_64/{key}"]) < tolerance, key
                scalar = scalar + (got * figures[f"cot{call}/{key}"].to(dtype)).sum()
            buffers = part(figures, f"train{call}_buf/")
            everything = {**part(figures, "param/"), **buffers}
            expected = UGATIT.networks["disLA"].convert(everything)
            for key, buffer in model.named_buffers():
                assert error(buffer, expected[key].double()) < 1e-5, key
        state = {key: value.clone() for key, value in model.state_dict().items()}
        # The figures of eval mode stand for the vectors after both forwards (the fixture's README says: before).
        for key, got in outputs_of(model.eval()(figures["input1"].to(dtype))).items():
            assert error(got, figures[f"eval/{key}"]) < 2e-5, key
        for key, value in model.train().state_dict().items():
            assert torch.equal(value, state[key]), f"{key} changed in eval mode"
        model.zero_grad()
        scalar.backward()
        # Gradients are stored in single precision; vectors have none and are only there to make the table whole.
        gradients = {**part(figures, "param/"), **part(figures, "grad64/param/")}
        expected = UGATIT.networks["disLA"].convert(gradients)
        for key, parameter in model.named_parameters():
            assert error(parameter.grad, expected[key].double()) < (1e-7 if dtype == torch.float64 else 1e-4), key


@pytest.mark.parametrize("name", ["dis_n2", "dis_n3"])
def test_cyclegan(golden: Path, name: str) -> None:
    figures, config = figures_of(golden / "cyclegan" / f"{name}.safetensors")
    layers = config["n_layers_D"] + 2
    model = Patch(config["ndf"], layers)
    names = {"model.0": "blocks.0.conv"}
    names |= {f"model.{3 * i - 1}": f"blocks.{i}.conv" for i in range(1, layers - 1)}
    names[f"model.{3 * layers - 4}"] = "final"

    def to_ours(state: dict[str, Tensor]) -> dict[str, Tensor]:
        return {f"{names[name.rpartition('.')[0]]}.{name.rpartition('.')[2]}": value for name, value in state.items()}

    for dtype, tolerance in ((torch.float64, 1e-10), (torch.float32, 1e-5)):
        model.to(dtype).load_state_dict(to_ours(part(figures, "param/")))
        image = figures["input"].to(dtype).requires_grad_()
        logits = model(image).logits
        assert logits.keys() == {"patch"}
        assert error(logits["patch"], figures["out64"]) < tolerance
        if dtype == torch.float64:
            (logits["patch"] * figures["cot"]).sum().backward()
            assert error(image.grad, figures["grad64/input"]) < tolerance
            expected = to_ours(part(figures, "grad64/param/"))
            for key, parameter in model.named_parameters():
                assert error(parameter.grad, expected[key]) < tolerance, key
