"""Three steps of MUNIT and of UNIT through the shipped recipes, against the official code's own numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from i2i.engine.stepper import Stepper
from i2i.methods.weights.munit_names import DISCRIMINATORS, GENERATORS, convert, counts, names_of, our_counts
from i2i.recipe.recipe import Recipe

OFFICIAL = {
    "munit": {"gan": "adv", "image": "recon_x", "style": "recon_s", "content": "recon_c", "cycle": "cycrecon_x"},
    "unit": {"gan": "adv", "image": "recon_x", "kl": "recon_kl", "cycle": "cyc_x", "kl_cycle": "recon_kl_cyc"},
}
"""Our loss: what the reference calls it, without its domain."""

WEIGHTS = {
    "munit": {"gan": "gan", "image": "recon_x", "style": "recon_s", "content": "recon_c", "cycle": "recon_x_cyc"},
    "unit": {"gan": "gan", "image": "recon_x", "kl": "recon_kl", "cycle": "recon_x_cyc", "kl_cycle": "recon_kl_cyc"},
}


def recipe_of(method: str, config: Mapping[str, Any], precision: str) -> Recipe:
    given, gen, dis = (config["hyperparameters"], *(config["hyperparameters"][part] for part in ("gen", "dis")))
    settings: dict[str, Any] = {
        "translator.generator.channels": gen["dim"],
        "translator.generator.downsamplings": gen["n_downsample"],
        "translator.generator.blocks": gen["n_res"],
        "translator.discriminators.multiscale.channels": dis["dim"],
        "translator.discriminators.multiscale.layers": dis["n_layer"],
        "translator.discriminators.multiscale.scales": dis["num_scales"],
        "losses.gan.type": {"lsgan": "lsgan", "nsgan": "bce_gan"}[dis["gan_type"]],
        "data.size": config["img_size"],
        "schedule.every": given["step_size"],
        "schedule.gamma": given["gamma"],
        "train.batch_size": given["batch_size"],
        "train.precision": precision,
    }
    if method == "munit":
        settings["translator.generator.style_channels"] = gen["style_dim"]
        settings["translator.generator.mlp_channels"] = gen["mlp_dim"]
    settings |= {f"losses.{ours}.weight": given[f"{official}_w"] for ours, official in WEIGHTS[method].items()}
    for phase in ("discriminator", "generator"):
        settings |= {
            f"optimizers.{phase}.lr": given["lr"],
            f"optimizers.{phase}.betas": [given["beta1"], given["beta2"]],
            f"optimizers.{phase}.weight_decay": given["weight_decay"],
        }
    return Recipe.read(method, settings)


def weights_of(path: Path, method: str) -> dict[str, Tensor]:
    """The translator's state from `gen_a/<official name>` and so on."""
    tensors = load_file(path)
    weights: dict[str, Tensor] = {}
    for kind, short, prefixes in (
        ("generator", "gen", GENERATORS[method]),
        ("discriminator", "dis", DISCRIMINATORS),
    ):
        for domain, prefix in prefixes.items():
            mine = f"{short}_{domain}/"
            state = {name.removeprefix(mine): value for name, value in tensors.items() if name.startswith(mine)}
            names = names_of(counts(state), kind, method)
            weights |= {prefix + ours: value for ours, value in convert(state, names).items()}
    return weights


def without_gradient(expected: Mapping[str, Any], method: str, weights: Mapping[str, Tensor]) -> set[str]:
    """Our names of the tensors whose true gradient is zero."""
    found = set()
    for name in expected["zero_gradient_tensors"]:
        network, _, official = name.partition("/")
        kind = "generator" if network.startswith("gen") else "discriminator"
        prefix = (GENERATORS[method] if kind == "generator" else DISCRIMINATORS)[network[-1]]
        mine = {key: value for key, value in weights.items() if key.startswith(prefix)}
        mine = {name.removeprefix(prefix): value for name, value in mine.items()}
        table = names_of(our_counts(mine), kind, method)
        found.add(prefix + table[official])
    return found


def replay(figures: Mapping[str, Tensor], step: int) -> Any:
    """The translator's draws, replaced by the recorded ones; keeps count of those that were asked for."""
    asked: list[str] = []

    def randn(name: str, shape: Sequence[int], seed: int) -> Tensor:
        phase, what, domain = name.split("/")
        official = {
            "style": f"s_{domain}",
            "noise": f"n_{domain}",
            # the noise on the latent of a's translation is drawn when b's generator encodes it
            "cycle_noise": f"n_{domain}_recon",
        }[what]
        asked.append(name)
        found = figures[f"noise/{step}/{phase[:3]}/{official}"].flatten(1 if what == "style" else 3)
        assert found.numel() == torch.Size(shape).numel()
        return found.reshape(*shape)

    return randn, asked


@pytest.fixture(params=["munit", "unit"])
def method(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def run(golden: Path, method: str, precision: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Each step's expected losses, unweighted values by official name, and weighted terms."""
    folder = golden / method
    expected = json.loads((folder / "traj_losses.json").read_text())
    figures = load_file(folder / "traj_batches.safetensors")
    stepper = Stepper(recipe_of(method, expected["config"], precision))
    stepper.translator.load_state_dict(weights_of(folder / "traj_init.safetensors", method))
    seen: dict[str, float] = {}
    loss_values = stepper.translator.loss_values

    def spy(batch: object, phase: str) -> dict[str, dict[str, Tensor]]:
        terms = loss_values(batch, phase)  # type: ignore[arg-type]
        for name, parts in terms.items():
            for key, value in parts.items():
                domain = key[0]
                official = f"gen_{OFFICIAL[method][name]}_{domain}" if phase == "generator" else f"dis_{domain}"
                official = official.replace("kl_cyc_a", "kl_cyc_aba").replace("kl_cyc_b", "kl_cyc_bab")
                seen[official] = seen.get(official, 0.0) + float(value.detach())
        return terms

    monkeypatch.setattr(stepper.translator, "loss_values", spy)
    for step in range(expected["config"]["steps"]):
        seen.clear()
        randn, asked = replay(figures, step)
        monkeypatch.setattr(stepper.translator, "randn", randn)
        terms = stepper.step({"a": figures[f"x_a/{step}"], "b": figures[f"x_b/{step}"]})
        drawn = [name for name in figures if name.startswith(f"noise/{step}/")]
        assert len(asked) == len(set(asked)) == len(drawn)
        assert stepper.learning_rates()["generator"] == pytest.approx(expected["recorded"][step]["lr"], rel=1e-12)
        yield stepper, expected, step, dict(seen), terms


def test_three_float64_steps_are_the_official_ones(golden: Path, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for state in run(golden, method, "fp64", monkeypatch):
        stepper, expected, step, seen, terms = state
        wanted = expected["losses_f64"][step]
        assert len(seen) >= 8
        for name, value in seen.items():
            assert value == pytest.approx(wanted[name], rel=1e-10), (step, name)
        for phase, name in (("discriminator", "dis_total"), ("generator", "gen_total")):
            total = sum(float(value) for key, value in terms.items() if key.startswith(phase))
            assert total == pytest.approx(wanted[name], rel=1e-10), (step, name)
        unseen = {name for name, value in wanted.items() if value != 0} - seen.keys() - {"dis_total", "gen_total"}
        assert not unseen

    weights = stepper.translator.state_dict()
    start = weights_of(golden / method / "traj_init.safetensors", method)
    end = weights_of(golden / method / "traj_final_f64.safetensors", method)
    assert set(weights) == set(end)
    compared = set(end) - without_gradient(expected, method, end)
    moved = sum((end[name].double() - start[name].double()).square().sum() for name in compared) ** 0.5
    error = sum((weights[name] - end[name].double()).square().sum() for name in compared) ** 0.5
    assert error / moved <= 1e-9


def test_float32_starts_like_the_official_code(golden: Path, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for _, expected, step, seen, _ in run(golden, method, "fp32", monkeypatch):
        for name, value in seen.items():
            assert value == pytest.approx(expected["losses_f32"][step][name], rel=1e-2 if step else 1e-5), (step, name)


def test_gradients_of_the_first_step(golden: Path, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before either optimizer moves, with its own networks' gradients in place."""
    expected = weights_of(golden / method / "traj_grad_step0.safetensors", method)
    caught: dict[str, Tensor] = {}
    original = torch.optim.Adam.step

    def catch(optimizer: torch.optim.Adam, *args: Any, **options: Any) -> Any:
        trained = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
        caught.update({name: p.grad.clone() for name, p in holder[0].translator.named_parameters() if id(p) in trained})
        return original(optimizer, *args, **options)

    monkeypatch.setattr(torch.optim.Adam, "step", catch)
    holder: list[Stepper] = []
    init = Stepper.__init__

    def remember(self: Stepper, *args: Any, **options: Any) -> None:
        init(self, *args, **options)
        holder.append(self)

    monkeypatch.setattr(Stepper, "__init__", remember)
    next(run(golden, method, "fp64", monkeypatch))
    assert caught.keys() == expected.keys()
    for name, gradient in caught.items():
        norm = float(expected[name].norm())
        assert float((gradient - expected[name]).norm()) <= 1e-10 * max(norm, 1.0 if norm < 1e-9 else norm), name
