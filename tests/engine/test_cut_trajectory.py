"""Steps of CUT and FastCUT through the shipped recipes, against the official code's own numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from i2i.engine.stepper import Stepper
from i2i.methods.one_sided import OneSided
from i2i.methods.weights import cut_names
from i2i.methods.weights.cut import PREFIXES, cut_pytorch
from i2i.recipe.recipe import Recipe


def networks_of(translator: OneSided) -> dict[str, nn.Module]:
    return {"G": translator.generator, "D": translator.get_submodule("discriminators.b.local"), "F": translator.heads}


def state_of(path: Path, translator: OneSided) -> dict[str, Tensor]:
    tensors = load_file(path)
    state = {}
    for network, module in networks_of(translator).items():
        official = {name[2:]: tensor for name, tensor in tensors.items() if name.startswith(f"{network}/")}
        ours = cut_names.names_of(module).to_ours(official, module.state_dict())
        state |= {PREFIXES[network] + name: value for name, value in ours.items()}
    return state


def stepper_of(golden: Path, variant: str, precision: str) -> tuple[Stepper, OneSided, dict[str, Any]]:
    """The recipe with the fixture's sizes, and the translator with its first weights."""
    folder = golden / "cut"
    expected = json.loads((folder / f"traj_{variant}_losses.json").read_text())
    config = expected["config"]
    terms = 2 if config["nce_idt"] else 1
    losses = ["nce", "nce_identity"][:terms]
    settings = {
        **cut_pytorch(folder / f"traj_{variant}_checkpoint").settings,
        **{f"losses.{name}.temperature": config["nce_T"] for name in losses},
        **{f"losses.{name}.weight": config["lambda_NCE"] / terms for name in losses},
        **{f"optimizers.{phase}.lr": config["lr"] for phase in ("generator", "discriminator")},
        "translator.patches": config["num_patches"],
        "translator.identity": config["nce_idt"],
        "translator.flip_equivariance": config["flip_equivariance"],
        "data.size": config["img_size"],
        "train.batch_size": config["batch_size"],
        "train.precision": precision,
    }
    stepper = Stepper(Recipe.read(variant, settings))
    assert isinstance(stepper.translator, OneSided)
    stepper.translator.load_state_dict(state_of(folder / f"traj_{variant}_init.safetensors", stepper.translator))
    return stepper, stepper.translator, expected


def replay(translator: OneSided, recorded: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Replaces what the translator draws by what was recorded."""
    layers = len(translator.taps)
    ids = [torch.tensor(places) for places in recorded["patch_ids"]]
    drawn = {"fake": ids[:layers], "identity": ids[layers:]}
    monkeypatch.setattr(translator, "draw_places", lambda term, seed, pixels: drawn[term])
    monkeypatch.setattr(translator, "draw_flip", lambda seed: recorded["flipped"])


def steps(
    stepper: Stepper, translator: OneSided, folder: Path, expected: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> list[dict[str, float]]:
    """Our losses under their official names, step by step."""
    batches = load_file(folder / f"{expected['config']['tag']}_batches.safetensors")
    found = []
    for step, recorded in enumerate(expected["recorded"]):
        replay(translator, recorded, monkeypatch)
        terms = stepper.step({"a": batches[f"real_A/{step}"], "b": batches[f"real_B/{step}"]})
        values = {name: float(value) for name, value in terms.items()}
        losses = {"D": values["discriminator/gan"], "G_GAN": values["generator/gan"]}
        parts = [name for name in ("generator/nce", "generator/nce_identity") if name in values]
        losses |= {official: values[name] * len(parts) for official, name in zip(("NCE", "NCE_Y"), parts, strict=False)}
        found.append({**losses, "G": sum(value for name, value in values.items() if name.startswith("generator"))})
    return found


@pytest.mark.parametrize("variant", ["cut", "fastcut"])
def test_float64_steps_are_the_official_ones(golden: Path, variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = golden / "cut"
    stepper, translator, expected = stepper_of(golden, variant, "fp64")
    start = {name: value.clone() for name, value in translator.state_dict().items()}
    end = state_of(folder / f"traj_{variant}_final_f64.safetensors", translator)
    for step, losses in enumerate(steps(stepper, translator, folder, expected, monkeypatch)):
        wanted = expected["losses_f64"][step]
        assert losses.keys() == wanted.keys() - {"D_real", "D_fake"}
        for name, value in losses.items():
            assert value == pytest.approx(wanted[name], rel=1e-10), (step, name)

    zero = set(expected["zero_gradient_tensors"])
    compared = [
        PREFIXES[network] + ours
        for network, module in networks_of(translator).items()
        for official, ours in cut_names.names_of(module).tensors.items()
        if f"{network}/{official}" not in zero
    ]
    weights = translator.state_dict()
    moved = sum((end[name] - start[name]).square().sum() for name in compared) ** 0.5
    error = sum((weights[name] - end[name]).square().sum() for name in compared) ** 0.5
    assert error / moved <= 1e-9
    assert weights.keys() == end.keys()


@pytest.mark.parametrize("variant", ["cut", "fastcut"])
def test_float32_starts_like_the_official_code(golden: Path, variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stepper, translator, expected = stepper_of(golden, variant, "fp32")
    for step, losses in enumerate(steps(stepper, translator, golden / "cut", expected, monkeypatch)):
        for name, value in losses.items():
            tolerance = 1e-5 if step == 0 else 1e-2
            assert value == pytest.approx(expected["losses_f32"][step][name], rel=tolerance), (step, name)


@pytest.mark.parametrize("variant", ["cut", "fastcut"])
def test_first_fakes_and_gradients(golden: Path, variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = golden / "cut"
    stepper, translator, expected = stepper_of(golden, variant, "fp64")
    batches = load_file(folder / f"traj_{variant}_batches.safetensors")
    replay(translator, expected["recorded"][0], monkeypatch)
    fakes: dict[str, Tensor] = {}
    gradients: dict[str, Tensor] = {}
    loss_values = translator.loss_values

    def spy(batch: Any, phase: str) -> dict[str, dict[str, Tensor]]:
        terms = loss_values(batch, phase)
        fakes["fake_B"] = batch.outputs.fake["b"].detach()
        if translator.identity:
            fakes["idt_B"] = batch.outputs.identity["b"].detach()
        return terms

    monkeypatch.setattr(translator, "loss_values", spy)
    for phase, optimizer in stepper.optimizers.items():
        step = optimizer.step

        def keep(step: Any = step, phase: str = phase) -> None:
            trained = tuple(translator.phases[phase])
            gradients.update(
                {
                    name: parameter.grad.clone()
                    for name, parameter in translator.named_parameters()
                    if name.startswith(trained) and parameter.grad is not None
                }
            )
            step()

        monkeypatch.setattr(optimizer, "step", keep)
    stepper.step({"a": batches["real_A/0"], "b": batches["real_B/0"]})

    wanted = load_file(folder / f"traj_{variant}_fakes_step0.safetensors")
    assert fakes.keys() == wanted.keys()
    for name, image in wanted.items():
        torch.testing.assert_close(fakes[name], image, rtol=1e-12, atol=1e-12)
    expected_gradients = load_file(folder / f"traj_{variant}_grad_step0.safetensors")
    zero = set(expected["zero_gradient_tensors"])
    for network, module in networks_of(translator).items():
        for official, ours in cut_names.names_of(module).tensors.items():
            if f"{network}/{official}" not in zero:
                wanted_gradient = expected_gradients[f"{network}/{official}"]
                error = (gradients[PREFIXES[network] + ours] - wanted_gradient).norm() / wanted_gradient.norm()
                assert error <= 1e-10, (network, official)
