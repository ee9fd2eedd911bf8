"""Three steps of U-GAT-IT through the shipped recipe, against the official code's own numbers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from i2i.engine.stepper import Stepper
from i2i.methods.weights.ugatit import PREFIXES, convert
from i2i.recipe.recipe import Recipe

NETWORKS = tuple(PREFIXES)


def recipe_of(config: dict[str, object], weights: dict[str, Tensor], precision: str) -> Recipe:
    channels = weights["discriminators.a.local.blocks.0.conv.weight"].shape[0]
    return Recipe.read(
        "ugatit",
        {
            "translator.generator.channels": config["ch"],
            "translator.generator.blocks": config["n_res"],
            "translator.generator.light": config["light"],
            "translator.discriminators.global_.channels": channels,
            "translator.discriminators.local.channels": channels,
            "data.size": config["img_size"],
            "optimizers.generator.lr": config["lr"],
            "optimizers.discriminator.lr": config["lr"],
            "train.batch_size": config["batch_size"],
            "train.precision": precision,
        },
    )


def networks_of(path: Path) -> dict[str, dict[str, Tensor]]:
    tensors = load_file(path)
    return {
        network: {name.partition("/")[2]: tensor for name, tensor in tensors.items() if name.startswith(f"{network}/")}
        for network in NETWORKS
    }


def official_losses(terms: dict[str, dict[str, Tensor]], phase: str) -> dict[str, float]:
    """Our unweighted values under the official variables' names."""
    found = {}
    for name, parts in terms.items():
        for key, value in parts.items():
            domain, _, head = key.partition("/")
            letter = domain.upper()
            if name == "gan":
                which, _, kind = head.partition("/")
                cam = "_cam" if kind == "cam" else ""
                found[f"{phase[0].upper()}_ad{cam}_loss_{which[0].upper()}{letter}"] = float(value.detach())
            else:
                official = {"cycle": "recon", "identity": "identity", "cam": "cam"}[name]
                found[f"G_{official}_loss_{letter}"] = float(value.detach())
    return found


@pytest.mark.parametrize("variant", ["light", "full"])
def test_three_float64_steps_are_the_official_ones(golden: Path, variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = golden / "ugatit"
    expected = json.loads((folder / f"traj_{variant}_losses.json").read_text())
    start = convert(networks_of(folder / f"traj_{variant}_init.safetensors"))
    end = convert(networks_of(folder / f"traj_{variant}_final_f64.safetensors"))
    batches = load_file(folder / f"traj_{variant}_batches.safetensors")

    stepper = Stepper(recipe_of(expected["config"], start, "fp64"))
    stepper.translator.load_state_dict(start)
    seen: dict[str, float] = {}
    loss_values = stepper.translator.loss_values

    def spy(batch: object, phase: str) -> dict[str, dict[str, Tensor]]:
        terms = loss_values(batch, phase)  # type: ignore[arg-type]
        seen.update(official_losses(terms, phase))
        return terms

    monkeypatch.setattr(stepper.translator, "loss_values", spy)
    for step in range(expected["config"]["steps"]):
        terms = stepper.step({"a": batches[f"real_A/{step}"], "b": batches[f"real_B/{step}"]})
        wanted = expected["losses_f64"][step]
        for name, value in seen.items():
            assert value == pytest.approx(wanted[name], rel=1e-10), (step, name)
        for phase, name in (("discriminator", "Discriminator_loss"), ("generator", "Generator_loss")):
            total = sum(float(value) for key, value in terms.items() if key.startswith(phase))
            assert total == pytest.approx(wanted[name], rel=1e-10), (step, name)
        assert len(seen) == 22  # all of the reference's losses but the six sums of them

    weights = stepper.translator.state_dict()
    assert set(weights) == set(end)
    moved = sum((end[name].double() - start[name].double()).square().sum() for name in end) ** 0.5
    error = sum((weights[name] - end[name].double()).square().sum() for name in end) ** 0.5
    assert error / moved <= 1e-6
    for name in end:
        assert (
            torch.linalg.vector_norm(weights[name] - end[name])
            <= 1e-6 * torch.linalg.vector_norm(end[name].double() - start[name].double()) + 1e-12
        ), name


@pytest.mark.parametrize("variant", ["light", "full"])
def test_float32_starts_like_the_official_code(golden: Path, variant: str) -> None:
    folder = golden / "ugatit"
    expected = json.loads((folder / f"traj_{variant}_losses.json").read_text())
    start = convert(networks_of(folder / f"traj_{variant}_init.safetensors"))
    batches = load_file(folder / f"traj_{variant}_batches.safetensors")
    stepper = Stepper(recipe_of(expected["config"], start, "fp32"))
    stepper.translator.load_state_dict(start)
    for step, tolerance in enumerate([1e-5, 1e-2, 1e-2]):
        terms = stepper.step({"a": batches[f"real_A/{step}"], "b": batches[f"real_B/{step}"]})
        for phase, name in (("discriminator", "Discriminator_loss"), ("generator", "Generator_loss")):
            total = sum(float(value) for key, value in terms.items() if key.startswith(phase))
            assert total == pytest.approx(expected["losses_f32"][step][name], rel=tolerance)
