"""CycleGAN's and pix2pix's steps through the shipped recipes, against the official code's own numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from i2i.engine.stepper import Stepper
from i2i.methods.cyclic import Cyclic
from i2i.methods.weights import cyclegan, official, pix2pix
from i2i.methods.weights.official_layers import layers_of
from i2i.recipe.recipe import Recipe

Networks = dict[str, dict[str, Tensor]]
CYCLEGAN = {"lsgan": "lsgan", "vanilla": "bce_gan"}


def networks_of(path: Path) -> Networks:
    networks: Networks = {}
    for name, tensor in load_file(path).items():
        network, _, key = name.partition("/")
        networks.setdefault(network, {})[key] = tensor
    return networks


def ours(networks: Networks, prefixes: Mapping[str, str]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The translator's state, and the settings of generator and discriminator."""
    weights: dict[str, Tensor] = {}
    settings: dict[str, Any] = {}
    for name, state in networks.items():
        part = "generator" if name.startswith("G") else "discriminator"
        found = official.convert(state, part)
        weights |= {prefixes[name] + key: value for key, value in found.state.items()}
        settings |= found.settings("translator.generator" if part == "generator" else "translator.discriminators.local")
    return weights, settings


def stepper_of(name: str, settings: dict[str, Any], config: dict[str, Any], precision: str) -> Stepper:
    optimizer = {"lr": config["lr"], "betas": [config["beta1"], 0.999]}
    common = {
        "losses.gan.type": CYCLEGAN[config["gan_mode"]],
        **{
            f"optimizers.{phase}.{key}": value
            for phase in ("generator", "discriminator")
            for key, value in optimizer.items()
        },
        "schedule.type": "constant",
        "data.size": config["img_size"],
        "train.batch_size": config["batch_size"],
        "train.precision": precision,
    }
    return Stepper(Recipe.read(name, {**settings, **common}))


def cyclegan_stepper(config: dict[str, Any], settings: dict[str, Any], precision: str) -> Stepper:
    weights = {domain: config[f"lambda_{domain.upper()}"] for domain in "ab"}
    weighed: dict[str, Any] = {"translator.pool": config["pool_size"]}
    for loss, factor in (("cycle", 1), ("identity", config["lambda_identity"])):
        weighed[f"losses.{loss}.weight"] = {domain: weight * factor for domain, weight in weights.items()}
    return stepper_of("cyclegan", {**settings, **weighed}, config, precision)


class Recorded:
    """Draws that were written down, in their order."""

    def __init__(self, draws: list[tuple[str, float]]) -> None:
        self.draws = iter(draws)

    def uniform(self, low: float, high: float) -> float:
        kind, value = next(self.draws)
        assert kind == "uniform"
        return value

    def randint(self, low: int, high: int) -> int:
        kind, value = next(self.draws)
        assert kind == "randint"
        return int(value)


def shared_out(draws: list[tuple[str, float]], batch: int, full: int, seen: int) -> dict[str, Recorded]:
    """The draws of one step by pool: first all of fake_B's, then those of fake_A's."""
    rest = list(draws)
    found = {}
    for domain in "ba":
        mine = []
        for image in range(batch if full else 0):
            if seen + image >= full:
                mine.append(rest.pop(0))
                if mine[-1][1] > 0.5:
                    mine.append(rest.pop(0))
        found[domain] = Recorded(mine)
    assert not rest
    return found


def follow(stepper: Stepper, monkeypatch: pytest.MonkeyPatch) -> dict[str, Tensor]:
    """Takes the unweighted values of each step, by `loss/domain...`."""
    seen: dict[str, Tensor] = {}
    loss_values = stepper.translator.loss_values

    def spy(batch: Any, phase: str) -> dict[str, dict[str, Tensor]]:
        terms = loss_values(batch, phase)
        seen.update({f"{phase}/{name}/{key}": value for name, parts in terms.items() for key, value in parts.items()})
        return terms

    monkeypatch.setattr(stepper.translator, "loss_values", spy)
    return seen


def compare_weights(stepper: Stepper, start: dict[str, Tensor], end: dict[str, Tensor], skipped: set[str]) -> None:
    """The whole of what counts to 1e-9 of its movement; what counts nothing stays near where it was."""
    weights = stepper.translator.state_dict()
    assert weights.keys() == end.keys()
    kept = [name for name in end if name not in skipped]
    moved = torch.stack([(end[name].double() - start[name].double()).square().sum() for name in kept]).sum().sqrt()
    wrong = torch.stack([(end[name].double() - weights[name].double()).square().sum() for name in kept]).sum().sqrt()
    assert float(wrong / moved) <= 1e-9


@pytest.mark.parametrize("traj", ["traj", "traj_small_pool"])
def test_cyclegan_float64_steps(golden: Path, traj: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = golden / "cyclegan"
    expected = json.loads((folder / f"{traj}_losses.json").read_text())
    config = expected["config"]
    start, settings = ours(networks_of(folder / f"{traj}_init.safetensors"), cyclegan.PREFIXES)
    end, _ = ours(networks_of(folder / f"{traj}_final_f64.safetensors"), cyclegan.PREFIXES)
    batches = load_file(folder / f"{traj}_batches.safetensors")
    stepper = cyclegan_stepper(config, settings, "fp64")
    stepper.translator.load_state_dict(start)
    assert isinstance(stepper.translator, Cyclic)
    seen = follow(stepper, monkeypatch)
    weights = {"a": config["lambda_A"], "b": config["lambda_B"]}
    for step in range(config["steps"]):
        size = config["batch_size"]
        draws = shared_out(expected["recorded"][step]["pool_draws"], size, config["pool_size"], step * size)
        monkeypatch.setattr(stepper.translator, "pool_draws", lambda _, domain, draws=draws: draws[domain])
        seen.clear()
        terms = stepper.step({"a": batches[f"real_A/{step}"], "b": batches[f"real_B/{step}"]})
        wanted = expected["losses_f64"][step]
        found = {"G": sum(value for name, value in terms.items() if name.startswith("generator/"))}
        for direction, generated, source in (("A", "b", "a"), ("B", "a", "b")):
            found[f"D_{direction}"] = 0.5 * seen[f"discriminator/gan/{generated}/local/patch"]
            found[f"G_{direction}"] = seen[f"generator/gan/{generated}/local/patch"]
            found[f"cycle_{direction}"] = weights[source] * seen[f"generator/cycle/{source}"]
            if config["lambda_identity"]:
                factor = weights[generated] * config["lambda_identity"]
                found[f"idt_{direction}"] = factor * seen[f"generator/identity/{generated}"]
        for name, value in wanted.items():
            assert float(torch.as_tensor(found.get(name, 0.0)).detach()) == pytest.approx(value, rel=1e-10), (
                step,
                name,
            )
    zero = (name.split("/") for name in expected["zero_gradient_tensors"])
    compare_weights(stepper, start, end, {our_name(cyclegan.PREFIXES, *name, settings) for name in zero})


def our_name(prefixes: Mapping[str, str], network: str, key: str, settings: dict[str, Any]) -> str:
    part = "translator.generator." if network.startswith("G") else "translator.discriminators.local."
    options = {name.removeprefix(part): value for name, value in settings.items() if name.startswith(part)}
    layer, _, leaf = key.rpartition(".")
    return f"{prefixes[network]}{layers_of(options)[layer]}.{leaf}"


def test_cyclegan_first_gradients_and_fakes(golden: Path) -> None:
    folder = golden / "cyclegan"
    expected = json.loads((folder / "traj_losses.json").read_text())
    start, settings = ours(networks_of(folder / "traj_init.safetensors"), cyclegan.PREFIXES)
    batches = load_file(folder / "traj_batches.safetensors")
    stepper = cyclegan_stepper(expected["config"], settings, "fp64")
    stepper.translator.load_state_dict(start)
    gradients: dict[str, Tensor] = {}
    for phase, optimizer in stepper.optimizers.items():
        keep_gradients(stepper, phase, optimizer, gradients)
    stepper.step({"a": batches["real_A/0"], "b": batches["real_B/0"]})
    compare_gradients(gradients, folder, expected["zero_gradient_tensors"], cyclegan.PREFIXES, settings)
    fakes = load_file(folder / "traj_fakes_step0.safetensors")
    fresh = cyclegan_stepper(expected["config"], settings, "fp64").translator
    fresh.load_state_dict(start)
    made = fresh.translate(batches["real_A/0"].double(), "b").image
    assert (
        float((made.detach() - fakes["fake_B"]).norm() / fakes["fake_B"].norm()) <= 1e-6
    )  # the figures are single precision


def compare_gradients(
    gradients: dict[str, Tensor], folder: Path, zero: list[str], prefixes: Mapping[str, str], settings: dict[str, Any]
) -> None:
    for network, state in networks_of(folder / "traj_grad_step0.safetensors").items():
        for key, value in state.items():
            got = gradients[our_name(prefixes, network, key, settings)]
            if f"{network}/{key}" not in zero:
                assert float((got - value).norm() / value.norm()) <= 1e-10, (network, key)


def keep_gradients(stepper: Stepper, phase: str, optimizer: Any, kept: dict[str, Tensor]) -> None:
    parameters = {id(parameter): name for name, parameter in stepper.translator.named_parameters()}

    def hook(*_: Any) -> None:
        for parameter in stepper.phase_parameters(phase):
            assert parameter.grad is not None
            kept[parameters[id(parameter)]] = parameter.grad.clone()

    optimizer.optimizer.register_step_pre_hook(hook)


def test_pix2pix_float64_steps(golden: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = golden / "pix2pix"
    expected = json.loads((folder / "traj_losses.json").read_text())
    config = expected["config"]
    start, settings = ours(networks_of(folder / "traj_init.safetensors"), pix2pix.PREFIXES)
    end, _ = ours(networks_of(folder / "traj_final_f64.safetensors"), pix2pix.PREFIXES)
    batches = load_file(folder / "traj_batches.safetensors")
    settings |= {"translator.generator.dropout": 0, "losses.l1.weight": config["lambda_L1"]}
    stepper = stepper_of("pix2pix", settings, config, "fp64")
    stepper.translator.load_state_dict(start)
    seen = follow(stepper, monkeypatch)
    gradients: dict[str, Tensor] = {}
    for phase, optimizer in stepper.optimizers.items():
        keep_gradients(stepper, phase, optimizer, gradients)
    for step in range(config["steps"]):
        terms = stepper.step({"a": batches[f"real_A/{step}"], "b": batches[f"real_B/{step}"]})
        wanted = expected["losses_f64"][step]
        assert float(terms["discriminator/gan"]) == pytest.approx(wanted["D"], rel=1e-10)
        assert seen["discriminator/gan/b/local/patch"].item() == pytest.approx(
            wanted["D_real"] + wanted["D_fake"], rel=1e-10
        )
        assert float(terms["generator/gan"]) == pytest.approx(wanted["G_GAN"], rel=1e-10)
        assert float(terms["generator/l1"]) == pytest.approx(wanted["G_L1"], rel=1e-10)
        if step == 0:
            compare_gradients(gradients, folder, expected["zero_gradient_tensors"], pix2pix.PREFIXES, settings)
    zero = (name.split("/") for name in expected["zero_gradient_tensors"])
    compare_weights(stepper, start, end, {our_name(pix2pix.PREFIXES, *name, settings) for name in zero})
    for name, value in stepper.translator.state_dict().items():
        if "running" in name or "tracked" in name:  # they tell whether D saw fake, real and fake in this order
            assert float((value - end[name]).double().norm()) <= 1e-12 * float(end[name].double().norm()), name


@pytest.mark.parametrize("method", ["cyclegan", "pix2pix"])
def test_float32_starts_like_the_official_code(golden: Path, method: str) -> None:
    folder = golden / method
    expected = json.loads((folder / "traj_losses.json").read_text())
    prefixes = cyclegan.PREFIXES if method == "cyclegan" else pix2pix.PREFIXES
    start, settings = ours(networks_of(folder / "traj_init.safetensors"), prefixes)
    batches = load_file(folder / "traj_batches.safetensors")
    if method == "cyclegan":
        stepper = cyclegan_stepper(expected["config"], settings, "fp32")
    else:
        settings |= {"translator.generator.dropout": 0, "losses.l1.weight": expected["config"]["lambda_L1"]}
        stepper = stepper_of("pix2pix", settings, expected["config"], "fp32")
    stepper.translator.load_state_dict(start)
    for step, tolerance in enumerate([1e-5, *[1e-2] * (expected["config"]["steps"] - 1)]):
        terms = stepper.step({"a": batches[f"real_A/{step}"], "b": batches[f"real_B/{step}"]})
        total = sum(float(value) for name, value in terms.items() if name.startswith("generator/"))
        assert total == pytest.approx(expected["losses_f32"][step]["G"], rel=tolerance)
