"""Training steps through importers, shipped recipes and `Stepper`, against the numbers of the official code.

Sizes, options, loss weights, learning rates and random decisions come from the figures.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from official_figures import Figures, OfficialNames, distance, norm, read, relative_error, total
from official_networks import import_networks, split
from tape import Tape
from torch import Tensor

from i2i.core.contracts import Imported
from i2i.engine import graphs
from i2i.engine.stepper import Stepper
from i2i.nn.functional.optimizations import assume_device
from i2i.recipe.recipe import Recipe

Config = Mapping[str, Any]
Losses = dict[str, float]
PHASES = ("discriminator", "generator")


@dataclass
class Step:
    """What our step is compared by.

    Args:
        unweighted: values of `Translator.loss_values`, by phase, loss and key.
        weighted: the terms that `Stepper.step` returns.
        config: of the trajectory.
    """

    unweighted: dict[tuple[str, str, str], float]
    weighted: dict[str, float]
    config: Config

    def of_phase(self, phase: str) -> float:
        """Sum of the phase's weighted terms."""
        return sum(value for name, value in self.weighted.items() if name.startswith(f"{phase}/"))


def rates(config: Config, **more: Any) -> dict[str, Any]:
    """Settings of both optimizers."""
    options = {"lr": config["lr"], **more}
    return {f"optimizers.{phase}.{name}": value for phase in PHASES for name, value in options.items()}


# CycleGAN and pix2pix


class RecordedDraws:
    """Stands in for the `random.Random` of an image pool."""

    def __init__(self, draws: Sequence[tuple[str, float]]) -> None:
        self._draws = list(draws)

    def uniform(self, low: float, high: float) -> float:
        return self._next("uniform")

    def randint(self, low: int, high: int) -> int:
        return int(self._next("randint"))

    def _next(self, kind: str) -> float:
        name, value = self._draws.pop(0)
        assert name == kind
        return value


def cyclegan_weights(config: Config) -> dict[str, dict[str, float]]:
    """Weights of cycle and identity by the domain of the image that is compared."""
    weights = {domain: config[f"lambda_{domain.upper()}"] for domain in "ab"}
    identity = {domain: weight * config["lambda_identity"] for domain, weight in weights.items()}
    return {"cycle": weights, "identity": identity}


def cyclegan_settings(config: Config) -> dict[str, Any]:
    weights = {f"losses.{loss}.weight": by_domain for loss, by_domain in cyclegan_weights(config).items()}
    return {"translator.pool": config["pool_size"], **weights, **gan_settings(config)}


def gan_settings(config: Config) -> dict[str, Any]:
    return {
        "losses.gan.type": {"lsgan": "lsgan", "vanilla": "bce_gan"}[config["gan_mode"]],
        "losses.gan.weight": {
            "discriminator": 0.5,
            "generator": 1,
        },
        "schedule.type": "constant",
        "data.size": config["img_size"],
        "train.batch_size": config["batch_size"],
        **rates(config, betas=[config["beta1"], 0.999]),
    }


def cyclegan_losses(step: Step) -> Losses:
    losses = {"G": step.of_phase("generator"), "D_A + D_B": step.of_phase("discriminator")}
    for letter, generated, source in (("A", "b", "a"), ("B", "a", "b")):
        losses[f"D_{letter}"] = 0.5 * step.unweighted["discriminator", "gan", f"{generated}/local/patch"]
        losses[f"G_{letter}"] = step.unweighted["generator", "gan", f"{generated}/local/patch"]
        for loss, official, domain in (("cycle", "cycle", source), ("identity", "idt", generated)):
            value = step.unweighted.get(("generator", loss, domain), 0.0)
            losses[f"{official}_{letter}"] = cyclegan_weights(step.config)[loss][domain] * value
    return losses


def cyclegan_draws(stepper: Stepper, batches: Figures, recorded: Any, number: int, config: Config) -> dict[str, Any]:
    """The draws of one step by pool: first all of the pool for b, then those for a, as the official step asks them."""
    left, seen = list(recorded["pool_draws"]), number * config["batch_size"]
    by_domain = {}
    for domain in "ba":
        draws = []
        for image in range(config["batch_size"]):
            if config["pool_size"] and seen + image >= config["pool_size"]:
                draws.append(left.pop(0))
                if draws[-1][1] > 0.5:
                    draws.append(left.pop(0))
        by_domain[domain] = RecordedDraws(draws)
    assert not left
    return {"pool_draws": lambda seed, domain: by_domain[domain]}


def cyclegan_fakes(
    translate: Callable[[Tensor, str], Tensor], a: Tensor, b: Tensor, recorded: Any
) -> dict[str, Tensor]:
    fake_b, fake_a = translate(a, "b"), translate(b, "a")
    cycles = {"rec_A": translate(fake_b, "a"), "rec_B": translate(fake_a, "b")}
    return {"fake_A": fake_a, "fake_B": fake_b, **cycles, "idt_A": translate(b, "b"), "idt_B": translate(a, "a")}


def pix2pix_settings(config: Config) -> dict[str, Any]:
    return {"translator.generator.dropout": 0, "losses.l1.weight": config["lambda_L1"], **gan_settings(config)}


def pix2pix_losses(step: Step) -> Losses:
    return {
        "D": step.weighted["discriminator/gan"],
        "D_real + D_fake": step.unweighted["discriminator", "gan", "b/local/patch"],
        "G_GAN": step.weighted["generator/gan"],
        "G_L1": step.weighted["generator/l1"],
        "G": step.of_phase("generator"),
    }


# CUT and FastCUT


def cut_settings(config: Config) -> dict[str, Any]:
    terms = ["nce", "nce_identity"] if config["nce_idt"] else ["nce"]
    return {
        **{f"losses.{name}.temperature": config["nce_T"] for name in terms},
        **{f"losses.{name}.weight": config["lambda_NCE"] / len(terms) for name in terms},
        "translator.patches": config["num_patches"],
        "translator.identity": config["nce_idt"],
        "translator.flip_equivariance": config["flip_equivariance"],
        "data.size": config["img_size"],
        "train.batch_size": config["batch_size"],
        **rates(config),
    }


def cut_losses(step: Step) -> Losses:
    terms = [name for name in ("generator/nce", "generator/nce_identity") if name in step.weighted]
    # The official code adds the mean of its two terms, each with the whole weight; ours have half of it each.
    official = {name: step.weighted[ours] * len(terms) for name, ours in zip(("NCE", "NCE_Y"), terms, strict=False)}
    adversarial = {"D": step.weighted["discriminator/gan"], "G_GAN": step.weighted["generator/gan"]}
    return {**official, **adversarial, "G": step.of_phase("generator")}


def cut_draws(stepper: Stepper, batches: Figures, recorded: Any, number: int, config: Config) -> dict[str, Any]:
    ids = [torch.tensor(places) for places in recorded["patch_ids"]]
    layers = len(ids) // (2 if config["nce_idt"] else 1)
    drawn = {"fake": ids[:layers], "identity": ids[layers:]}
    return {"draw_places": lambda term, seed, pixels: drawn[term], "draw_flip": lambda seed: recorded["flipped"]}


def cut_fakes(translate: Callable[[Tensor, str], Tensor], a: Tensor, b: Tensor, recorded: Any) -> dict[str, Tensor]:
    return {"fake_B": translate(a.flip(3) if recorded["flipped"] else a, "b"), "idt_B": translate(b, "b")}


# DCLGAN and SimDCL


def dclgan_settings(config: Config) -> dict[str, Any]:
    given, similar = config["options"], config["model"] == "simdcl"
    mode = {"lsgan": {"type": "lsgan"}, "hinge": {"type": "hinge", "fooling": "margin"}}[given["gan_mode"]]
    # SimDCL's program omits two of the weights.
    nce, identity = (1, 1) if similar else (given["lambda_NCE"], given["lambda_IDT"])
    heads = {"modules": ["heads"], **{name: config["optimizer_F"][name] for name in ("lr", "betas", "eps")}}
    return {
        **{f"losses.gan.{name}": value for name, value in mode.items()},
        "losses.gan.weight": {"discriminator": 0.5, "generator": 0.5 * given["lambda_GAN"]},
        "losses.nce.temperature": given["nce_T"],
        "losses.nce.weight": nce / 2,
        "losses.identity.weight": identity / 2,
        **({"losses.similarity.weight": given["lambda_SIM"]} if similar else {}),
        "translator.taps": [int(layer) for layer in given["nce_layers"].split(",")],
        "translator.patches": given["num_patches"],
        "data.size": config["size"][0],
        "train.batch_size": given["batch_size"],
        **rates(given, betas=[given["beta1"], given["beta2"]]),
        "optimizers.generator.groups": [heads],
    }


def dclgan_losses(step: Step) -> Losses:
    losses = {"G": step.of_phase("generator")}
    given, similar = step.config["options"], step.config["model"] == "simdcl"
    nce, identity = (1, 1) if similar else (given["lambda_NCE"], given["lambda_IDT"])
    for letter, number, generated, made in (("A", 1, "b", "b"), ("B", 2, "a", "a")):
        d_weight = 0.5 if similar else 0.5 * given["lambda_GAN"]
        losses[f"D_{letter}"] = d_weight * step.unweighted["discriminator", "gan", f"{generated}/local/patch"]
        losses[f"G_{letter}"] = given["lambda_GAN"] * step.unweighted["generator", "gan", f"{generated}/local/patch"]
        losses[f"NCE{number}"] = nce * step.unweighted["generator", "nce", generated]
        losses[f"idt_{letter}"] = identity * step.unweighted["generator", "identity", made]
    if similar:
        losses["Sim"] = step.weighted["generator/similarity"]
    return losses


def dclgan_draws(stepper: Stepper, batches: Figures, recorded: Any, number: int, config: Config) -> dict[str, Any]:
    ids = [torch.tensor(places) for places in recorded["patch_ids"]]
    layers = len(config["options"]["nce_layers"].split(","))
    terms = ("b", "similarity/b", "a", "similarity/a") if config["model"] == "simdcl" else ("b", "a")
    assert len(ids) == layers * len(terms)
    drawn = {term: ids[index * layers :][:layers] for index, term in enumerate(terms)}
    return {"draw_places": lambda term, seed, pixels: drawn[term]}


def dclgan_fakes(translate: Callable[[Tensor, str], Tensor], a: Tensor, b: Tensor, recorded: Any) -> dict[str, Tensor]:
    return {
        "fake_B": translate(a, "b"),
        "fake_A": translate(b, "a"),
        "idt_A": translate(b, "b"),
        "idt_B": translate(a, "a"),
    }


# U-GAT-IT and NICE-GAN


def weighted(config: Config, losses: Mapping[str, str]) -> dict[str, Any]:
    return {
        **{f"losses.{ours}.weight": config[f"{official}_weight"] for ours, official in losses.items()},
        "data.size": config["img_size"],
        "train.batch_size": config["batch_size"],
        **rates(config, weight_decay=config["weight_decay"]),
    }


def ugatit_settings(config: Config) -> dict[str, Any]:
    betas = {f"optimizers.{phase}.betas": config["betas"] for phase in PHASES}
    return weighted(config, {"gan": "adv", "cycle": "cycle", "identity": "identity", "cam": "cam"}) | betas


def nicegan_settings(config: Config) -> dict[str, Any]:
    return weighted(config, {"gan": "adv", "cycle": "cycle", "reconstruction": "recon"})


def ugatit_losses(step: Step) -> Losses:
    losses = {"Discriminator_loss": step.of_phase("discriminator"), "Generator_loss": step.of_phase("generator")}
    for (phase, name, key), value in step.unweighted.items():
        letter = key[0].upper()
        if name == "gan":
            _, head, kind = key.split("/")
            cam = "_cam" if kind == "cam" else ""
            losses[f"{phase[0].upper()}_ad{cam}_loss_{head[0].upper()}{letter}"] = value
        else:
            losses[f"G_{'recon' if name == 'cycle' else name}_loss_{letter}"] = value
    return losses


def nicegan_losses(step: Step) -> Losses:
    losses = {"Discriminator_loss": step.of_phase("discriminator"), "Generator_loss": step.of_phase("generator")}
    heads = {"local": "ad_loss_L", "global": "ad_loss_G", "cam": "ad_cam_loss_"}
    for (phase, name, key), value in step.unweighted.items():
        letter = key[0].upper()
        if name == "gan":
            losses[f"{phase[0].upper()}_{heads[key.rpartition('/')[2].rstrip('_')]}{letter}"] = value
        else:
            losses[f"G_{'recon' if name == 'reconstruction' else name}_loss_{letter}"] = value
    return losses


def ugatit_fakes(translate: Callable[[Tensor, str], Tensor], a: Tensor, b: Tensor, recorded: Any) -> dict[str, Tensor]:
    fake_b, fake_a = translate(a, "b"), translate(b, "a")
    cycles = {"fake_A2B2A": translate(fake_b, "a"), "fake_B2A2B": translate(fake_a, "b")}
    return {
        "fake_A2B": fake_b,
        "fake_B2A": fake_a,
        **cycles,
        "fake_A2A": translate(a, "a"),
        "fake_B2B": translate(b, "b"),
    }


# MUNIT and UNIT


LATENT_LOSSES = {
    "munit": {"gan": "adv", "image": "recon_x", "style": "recon_s", "content": "recon_c", "cycle": "cycrecon_x"},
    "unit": {"gan": "adv", "image": "recon_x", "kl": "recon_kl", "cycle": "cyc_x", "kl_cycle": "recon_kl_cyc"},
}
"""Our loss: its official name, without its domain."""

LATENT_WEIGHTS = {
    "munit": {"gan": "gan", "image": "recon_x", "style": "recon_s", "content": "recon_c", "cycle": "recon_x_cyc"},
    "unit": {"gan": "gan", "image": "recon_x", "kl": "recon_kl", "cycle": "recon_x_cyc", "kl_cycle": "recon_kl_cyc"},
}


def latent_settings(method: str) -> Callable[[Config], dict[str, Any]]:
    def settings(config: Config) -> dict[str, Any]:
        given = config["hyperparameters"]
        return {
            **{f"losses.{ours}.weight": given[f"{official}_w"] for ours, official in LATENT_WEIGHTS[method].items()},
            "losses.gan.type": {"lsgan": "lsgan", "nsgan": "bce_gan"}[given["dis"]["gan_type"]],
            "data.size": config["img_size"],
            "schedule.every": given["step_size"],
            "schedule.gamma": given["gamma"],
            "train.batch_size": given["batch_size"],
            **rates(given, betas=[given["beta1"], given["beta2"]], weight_decay=given["weight_decay"]),
        }

    return settings


def latent_losses(method: str) -> Callable[[Step], Losses]:
    def losses(step: Step) -> Losses:
        found = {"dis_total": step.of_phase("discriminator"), "gen_total": step.of_phase("generator")}
        for (phase, name, key), value in step.unweighted.items():
            domain = key[0]
            official = f"gen_{LATENT_LOSSES[method][name]}_{domain}" if phase == "generator" else f"dis_{domain}"
            official = official.replace("kl_cyc_a", "kl_cyc_aba").replace("kl_cyc_b", "kl_cyc_bab")
            found[official] = found.get(official, 0.0) + value  # The scales of a discriminator are summed.
        return found

    return losses


def latent_draws(stepper: Stepper, batches: Figures, recorded: Any, number: int, config: Config) -> dict[str, Any]:
    left = {key for key in batches if key.startswith(f"noise/{number}/")}

    def randn(name: str, shape: Sequence[int], seed: int) -> Tensor:
        phase, what, domain = name.split("/")
        # The noise on the code of a's translation is drawn when the generator of b encodes it.
        official = {"style": f"s_{domain}", "noise": f"n_{domain}", "cycle_noise": f"n_{domain}_recon"}[what]
        key = f"noise/{number}/{phase[:3]}/{official}"
        left.remove(key)  # Each is drawn once.
        return batches.tensor(key).reshape(*shape)

    return {"randn": randn, "finished": lambda: left}


# Methods


@dataclass(frozen=True)
class Method:
    """How one method's official names and options are ours.

    Args:
        name: folder of its figures and prefix of its importer.
        tags: trajectories, with the recipe of each.
        settings: of the recipe, on top of what the importer found in the weights.
        losses: our values under official names.
        draws: replacements of the translator's draws for one step.
        fakes: generated images of the first step, by official name.
        streams: official names of the images of a and b, with the number of the step.
    """

    name: str
    tags: Mapping[str, str]
    settings: Callable[[Config], dict[str, Any]]
    losses: Callable[[Step], Losses]
    draws: Callable[..., dict[str, Any]] = field(default=lambda *_: {})
    fakes: Callable[..., dict[str, Tensor]] = field(default=lambda *_: {})
    streams: tuple[str, str] = ("real_A/{}", "real_B/{}")


METHODS = [
    Method(
        "cyclegan",
        {"traj": "cyclegan", "traj_small_pool": "cyclegan"},
        cyclegan_settings,
        cyclegan_losses,
        cyclegan_draws,
        cyclegan_fakes,
    ),
    Method(
        "pix2pix",
        {"traj": "pix2pix"},
        pix2pix_settings,
        pix2pix_losses,
        fakes=lambda translate, a, *_: {"fake_B": translate(a, "b")},
    ),
    Method("cut", {"traj_cut": "cut", "traj_fastcut": "fastcut"}, cut_settings, cut_losses, cut_draws, cut_fakes),
    Method(
        "ugatit", {"traj_light": "ugatit", "traj_full": "ugatit"}, ugatit_settings, ugatit_losses, fakes=ugatit_fakes
    ),
    Method(
        "dclgan",
        {"traj_dclgan": "dclgan", "traj_dclgan_b2": "dclgan", "traj_simdcl": "simdcl"},
        dclgan_settings,
        dclgan_losses,
        dclgan_draws,
        dclgan_fakes,
        ("A_{}", "B_{}"),
    ),
    Method("nicegan", {"traj": "nicegan"}, nicegan_settings, nicegan_losses),
    *(
        Method(
            name, {"traj": name}, latent_settings(name), latent_losses(name), latent_draws, streams=("x_a/{}", "x_b/{}")
        )
        for name in ("munit", "unit")
    ),
]
TRAJECTORIES = [pytest.param(method, tag, id=f"{method.name}-{tag}") for method in METHODS for tag in method.tags]


class Trajectory:
    """One official trajectory with our stepper at its beginning.

    Args:
        golden: folder of the figures.
        precision: `train.precision` of our run.
    """

    def __init__(self, golden: Path, method: Method, tag: str, precision: str) -> None:
        self.method, self.tag, self.folder = method, tag, golden / method.name
        if not self.folder.is_dir() and not os.environ.get("I2I_GOLDEN"):
            pytest.skip(f"the figures of {method.name} are in the larger set alone (I2I_GOLDEN)")
        self.figures = json.loads((self.folder / f"{tag}_losses.json").read_text())
        self.config: Config = self.figures["config"]
        self.initial = self.read("init").tensors()
        self.batches = self.read("batches")
        imported = self.imported(self.initial)
        settings = {**imported.settings, **method.settings(self.config), "train.precision": precision}
        self.stepper = Stepper(Recipe.read(method.tags[tag], settings))
        self.stepper.translator.load_state_dict(imported.weights)

    def imported(self, official: Mapping[str, Tensor]) -> Imported:
        return import_networks(self.method.name, split(official))

    def read(self, name: str) -> Figures:
        return read(self.folder, f"{self.tag}_{name}")

    def gradients(self) -> Figures:
        """Of the first step; one set keeps them in single precision under another name."""
        single = (self.folder / f"{self.tag}_grad_step0_f64as32.safetensors").is_file()
        return self.read("grad_step0_f64as32" if single else "grad_step0")

    def images(self, number: int) -> dict[str, Tensor]:
        return {
            domain: self.batches.tensor(key.format(number))
            for domain, key in zip("ab", self.method.streams, strict=True)
        }

    def step(self, number: int, monkeypatch: pytest.MonkeyPatch) -> Losses:
        """Take one step with the recorded draws; returns our losses under official names."""
        translator = self.stepper.translator
        recorded = self.figures.get("recorded") or [None] * (number + 1)
        draws = self.method.draws(self.stepper, self.batches, recorded[number], number, self.config)
        finished = draws.pop("finished", list)
        seen: dict[tuple[str, str, str], float] = {}
        loss_values = translator.loss_values

        def watch(batch: Any, phase: str) -> dict[str, dict[str, Tensor]]:
            values = loss_values(batch, phase)
            seen.update(
                {
                    (phase, name, key): float(value.detach())
                    for name, keys in values.items()
                    for key, value in keys.items()
                }
            )
            return values

        with monkeypatch.context() as patch:
            patch.setattr(translator, "loss_values", watch)
            for name, replacement in draws.items():
                patch.setattr(translator, name, replacement)
            terms = self.stepper.step(self.images(number))
        assert not finished(), "draws that the official step makes and ours does not"
        if "lr" in (recorded[number] or {}):
            for rate in self.stepper.learning_rates().values():
                assert rate == pytest.approx(recorded[number]["lr"], rel=1e-12)
        return self.method.losses(Step(seen, {name: float(value) for name, value in terms.items()}, self.config))


def compare(losses: Losses, expected: Losses, tolerance: float) -> None:
    """All of our losses with the official ones, and no official one that ours lack and that is not a sum of others."""
    for name, value in losses.items():
        wanted = sum(expected[part] for part in name.split(" + "))
        assert value == pytest.approx(wanted, rel=tolerance, abs=1e-300), name
    sums = {"D_loss_A", "D_loss_B", "G_loss_A", "G_loss_B", "D_real", "D_fake"}
    assert {name for name, value in expected.items() if value} <= losses.keys() | sums


FUSED = [("pix2pix", "traj"), ("cut", "traj_fastcut"), ("munit", "traj")]
"""Trajectories that CI also takes with the operations of a GPU, which are fused and, on a CPU, not compiled."""
LONG = [("ugatit", "traj_light"), ("nicegan", "traj"), ("munit", "traj")]
"""Trajectories of a second and more, which CI takes after the quick suite."""
DEVICES = [
    pytest.param(
        *one.values,
        device,
        id=f"{one.id}-{device}",
        marks=[pytest.mark.thorough] * ((one.values[0].name, one.values[1]) in LONG)
        if device == "cpu"
        else pytest.mark.thorough
        if (one.values[0].name, one.values[1]) in FUSED
        else pytest.mark.slow,
    )
    for device in ("cpu", "cuda")
    for one in TRAJECTORIES
]


@pytest.mark.parametrize(("method", "tag", "device"), DEVICES)
def test_float64_steps_gradients_and_weights(
    golden: Path, method: Method, tag: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trajectory = Trajectory(golden, method, tag, "fp64")
    translator = trajectory.stepper.translator
    names = OfficialNames(lambda official: trajectory.imported(official).weights, trajectory.initial)
    parameters = {id(parameter): name for name, parameter in translator.named_parameters()}
    gradients: dict[str, Tensor] = {}

    def keep(optimizer: Any, *_: Any) -> None:
        for parameter in (parameter for group in optimizer.param_groups for parameter in group["params"]):
            value = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            gradients.setdefault(parameters[id(parameter)], value.detach().clone())

    for optimizer in trajectory.stepper.optimizers.values():
        getattr(optimizer, "optimizer", optimizer).register_step_pre_hook(keep)
    with assume_device(device):
        for number, expected in enumerate(trajectory.figures["losses_f64"]):
            compare(trajectory.step(number, monkeypatch), expected, 1e-10)
    assert trajectory.stepper.step_number == trajectory.config["steps"]

    zero = set(trajectory.figures.get("zero_gradient_tensors", ()))
    has_gradients = (trajectory.folder / f"{tag}_grad_step0.json").is_file() or any(
        trajectory.folder.glob(f"{tag}_grad_step0*")
    )
    if has_gradients:  # One trajectory of the larger set has none.
        official = trajectory.gradients()
        ours = names(gradients)
        assert ours.keys() == official.keys()
        for name in ours.keys() - zero:
            value = official[name]
            single = isinstance(value, Tensor) and value.dtype == torch.float32
            assert relative_error(ours[name], value) <= (1e-6 if single else 1e-10), name

    compare_weights(trajectory, names)


def compare_weights(trajectory: Trajectory, names: OfficialNames) -> None:
    """All weights after the last step with the official ones."""
    zero = set(trajectory.figures.get("zero_gradient_tensors", ()))
    final, weights = trajectory.read("final_f64"), names(trajectory.stepper.translator.state_dict())
    # The statistics of MUNIT's AdaIN layers and the filters of CUT's blurs are constants that we do not keep.
    assert all(name.endswith((".running_mean", ".running_var", ".filt")) for name in final.keys() - weights.keys())
    moved, wrong = {}, {}
    for name in weights.keys() - zero:
        moved[name] = distance(trajectory.initial[name].double(), final[name])
        wrong[name] = distance(weights[name], final[name])
        assert wrong[name] <= 1e-6 * moved[name] + 1e-12, name
    assert total(list(wrong.values())) <= 1e-9 * total(list(moved.values()))


@pytest.mark.thorough
@pytest.mark.parametrize("tag", ["traj_light", "traj_full"])
def test_fused_and_captured_steps(golden: Path, tag: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first step is captured, by a tape in place of CUDA graphs, and all later ones are replayed."""
    monkeypatch.setattr(graphs, "WARM_UP", 0)
    (method,) = (method for method in METHODS if method.name == "ugatit")
    trajectory = Trajectory(golden, method, tag, "fp64")
    names = OfficialNames(lambda official: trajectory.imported(official).weights, trajectory.initial)
    stepper = trajectory.stepper
    tape = Tape(stepper)
    stepper.graphs = graphs.StepGraphs(
        stepper.translator, stepper.optimizers, stepper.accelerator, stepper.recipe.train, tape
    )
    losses = trajectory.figures["losses_f64"]
    with assume_device("cuda"):
        for number, expected in enumerate(losses):
            terms = stepper.step(trajectory.images(number))
            for phase in PHASES:
                ours = sum(float(value) for name, value in terms.items() if name.startswith(f"{phase}/"))
                assert ours == pytest.approx(expected[f"{phase.capitalize()}_loss"], rel=1e-10)
    assert (stepper.graphs.reason, tape.calls) == ("", len(losses) - 1)
    compare_weights(trajectory, names)


@pytest.mark.thorough
@pytest.mark.parametrize(("method", "tag"), TRAJECTORIES)
def test_float32_starts_like_the_official_code(
    golden: Path, method: Method, tag: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trajectory = Trajectory(golden, method, tag, "fp32")
    for number, expected in enumerate(trajectory.figures["losses_f32"]):
        compare(trajectory.step(number, monkeypatch), expected, 1e-2 if number else 1e-5)


FAKES = [
    parameter
    for parameter in TRAJECTORIES
    if parameter.values[0].fakes is not Method.__dataclass_fields__["fakes"].default
]


@pytest.mark.parametrize(("method", "tag"), [one for one in FAKES if one.values[1] != "traj_small_pool"])
def test_first_fakes(golden: Path, method: Method, tag: str) -> None:
    trajectory = Trajectory(golden, method, tag, "fp64")
    expected = trajectory.read("fakes_step0")
    translator = trajectory.stepper.translator
    images = {domain: image.double() for domain, image in trajectory.images(0).items()}
    recorded = (trajectory.figures.get("recorded") or [None])[0]
    with torch.no_grad():
        fakes = method.fakes(
            lambda image, to: translator.translate(image, to).image, images["a"], images["b"], recorded
        )
    assert expected.keys() <= fakes.keys()
    for name, value in expected.items():
        single = isinstance(value, Tensor) and value.dtype == torch.float32
        assert relative_error(fakes[name], value) <= (1e-6 if single else 1e-10), name


def test_first_fakes_of_nicegan(golden: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are made by the generators' phase, after the encoders' first step."""
    (method,) = (method for method in METHODS if method.name == "nicegan")
    trajectory = Trajectory(golden, method, "traj", "fp64")
    generated: dict[str, Tensor] = {}
    loss_values = trajectory.stepper.translator.loss_values

    def watch(batch: Any, phase: str) -> Any:
        values = loss_values(batch, phase)
        if phase == "generator":
            for ours, official in (("fake", "A2B B2A"), ("cycle", "B2A2B A2B2A"), ("reconstruction", "B2B A2A")):
                for domain, name in zip("ba", official.split(), strict=True):
                    generated[f"fake_{name}"] = getattr(batch.outputs, ours)[domain].detach()
        return values

    monkeypatch.setattr(trajectory.stepper.translator, "loss_values", watch)
    trajectory.stepper.step(trajectory.images(0))
    expected = trajectory.read("fakes_step0")
    assert generated.keys() == expected.keys()
    for name, value in expected.items():
        single = isinstance(value, Tensor) and value.dtype == torch.float32
        assert relative_error(generated[name], value) <= (1e-6 if single else 1e-10), name
        assert norm(value) > 0
