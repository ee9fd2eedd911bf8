"""Steps of NICE-GAN through the shipped recipe, against the official code's own numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from i2i.engine.stepper import Stepper
from i2i.methods.weights.nicegan import PREFIXES, convert
from i2i.recipe.recipe import Recipe

LETTERS = {"local": "ad_loss_L", "global": "ad_loss_G", "cam": "ad_cam_loss_"}


def recipe_of(config: dict[str, Any], precision: str) -> Recipe:
    return Recipe.read(
        "nicegan",
        {
            "translator.generator.channels": config["ch"],
            "translator.generator.blocks": config["n_res"],
            "translator.generator.light": config["light"],
            "translator.discriminator.channels": config["ch"],
            "translator.discriminator.layers": config["n_dis"],
            "losses.gan.weight": config["adv_weight"],
            "losses.cycle.weight": config["cycle_weight"],
            "losses.reconstruction.weight": config["recon_weight"],
            "data.size": config["img_size"],
            **{
                f"optimizers.{phase}.{name}": config[name]
                for phase in ("generator", "discriminator")
                for name in ("lr", "weight_decay")
            },
            "train.batch_size": config["batch_size"],
            "train.precision": precision,
        },
    )


def networks_of(path: Path) -> dict[str, dict[str, Tensor]]:
    networks: dict[str, dict[str, Tensor]] = {network: {} for network in PREFIXES}
    for name, tensor in load_file(path).items():
        network, _, key = name.partition("/")
        networks[network][key] = tensor
    return networks


def official_losses(terms: dict[str, dict[str, Tensor]], phase: str) -> dict[str, float]:
    """Our unweighted values under the official variables' names."""
    found = {}
    for name, parts in terms.items():
        for key, value in parts.items():
            letter = key[0].upper()
            if name == "gan":
                found[f"{phase[0].upper()}_{LETTERS[key.rpartition('/')[2]]}{letter}"] = float(value.detach())
            else:
                found[f"G_{'recon' if name == 'reconstruction' else name}_loss_{letter}"] = float(value.detach())
    return found


def ours_of(names: list[str], networks: dict[str, dict[str, Tensor]]) -> set[str]:
    """Our names of official `network/tensor`, found by marking the tensors."""
    marked = {
        network: {key: torch.full_like(value, float(f"{network}/{key}" in names)) for key, value in state.items()}
        for network, state in networks.items()
    }
    return {name for name, value in convert(marked).items() if value.any()}


def norm(tensors: Any) -> float:
    return float(sum(float(tensor.double().square().sum()) for tensor in tensors) ** 0.5)


def test_float64_steps_are_the_official_ones(golden: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = golden / "nicegan"
    expected = json.loads((folder / "traj_losses.json").read_text())
    config = expected["config"]
    start, end = (convert(networks_of(folder / f"traj_{name}.safetensors")) for name in ("init", "final_f64"))
    batches, fakes = (load_file(folder / f"traj_{name}.safetensors") for name in ("batches", "fakes_step0"))
    stepper = Stepper(recipe_of(config, "fp64"))
    translator = stepper.translator
    translator.load_state_dict(start)
    seen: dict[str, float] = {}
    generated: dict[str, Tensor] = {}
    gradients: dict[str, Tensor] = {}
    loss_values = translator.loss_values

    def spy(batch: Any, phase: str) -> dict[str, dict[str, Tensor]]:
        terms = loss_values(batch, phase)
        seen.update(official_losses(terms, phase))
        if phase == "generator" and not generated:
            made: Any = batch.outputs
            for ours, official in (("fake", "A2B B2A"), ("cycle", "B2A2B A2B2A"), ("reconstruction", "B2B A2A")):
                for domain, name in zip("ba", official.split(), strict=True):
                    generated[f"fake_{name}"] = getattr(made, ours)[domain].detach()
        return terms

    def watch(phase: str) -> Any:
        def look(*_: Any) -> None:
            for name, parameter in translator.named_parameters():
                if name.startswith(f"{phase}s.") and name not in gradients:
                    gradients[name] = (
                        torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.detach().clone()
                    )

        return look

    monkeypatch.setattr(translator, "loss_values", spy)
    for phase, optimizer in stepper.optimizers.items():
        cast(Any, optimizer).optimizer.register_step_pre_hook(watch(phase))
    for step in range(config["steps"]):
        terms = stepper.step({"a": batches[f"real_A/{step}"], "b": batches[f"real_B/{step}"]})
        wanted = expected["losses_f64"][step]
        for name, value in seen.items():
            assert value == pytest.approx(wanted[name], rel=1e-10), (step, name)
        for phase, name in (("discriminator", "Discriminator_loss"), ("generator", "Generator_loss")):
            total = sum(float(value) for key, value in terms.items() if key.startswith(phase))
            assert total == pytest.approx(wanted[name], rel=1e-10), (step, name)
        assert len(seen) == 16  # all of the reference's losses but the six sums of them
    assert generated.keys() == fakes.keys()
    for name, image in fakes.items():
        assert torch.allclose(generated[name].float(), image, atol=2e-6), name

    initial = networks_of(folder / "traj_init.safetensors")
    zero = ours_of(expected["zero_gradient_tensors"], initial)
    first = networks_of(folder / "traj_grad_step0.safetensors")
    # Vectors of spectral norm have no gradient; they only make the official table whole.
    official = convert({network: {**state, **first[network]} for network, state in initial.items()})
    assert len(gradients) == len(list(translator.parameters()))
    for name in gradients.keys() - zero:
        assert norm([gradients[name] - official[name]]) <= 1e-9 * norm([official[name]]) + 1e-12, name

    weights = translator.state_dict()
    assert set(weights) == set(end)
    kept = [name for name in end if name not in zero]
    error = norm([weights[name] - end[name].double() for name in kept])
    moved = norm([end[name].double() - start[name].double() for name in kept])
    assert error / moved <= 1e-9


def test_float32_starts_like_the_official_code(golden: Path) -> None:
    folder = golden / "nicegan"
    expected = json.loads((folder / "traj_losses.json").read_text())
    batches = load_file(folder / "traj_batches.safetensors")
    stepper = Stepper(recipe_of(expected["config"], "fp32"))
    stepper.translator.load_state_dict(convert(networks_of(folder / "traj_init.safetensors")))
    for step, tolerance in enumerate([1e-5, 1e-2]):
        terms = stepper.step({"a": batches[f"real_A/{step}"], "b": batches[f"real_B/{step}"]})
        for phase, name in (("discriminator", "Discriminator_loss"), ("generator", "Generator_loss")):
            total = sum(float(value) for key, value in terms.items() if key.startswith(phase))
            assert total == pytest.approx(expected["losses_f32"][step][name], rel=tolerance)
