"""Training steps of StyleGAN2 through recipe and stepper against those of the official code."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from i2i_stylegan import layers
from i2i_stylegan.style_translators import StyleGAN2
from official_figures import Figures, relative_error, total
from stylegan_parity import TOLERANCE, load
from test_golden_stylegan2 import discriminator_options, generator_options
from torch import Tensor

from i2i.core.contracts import Stream
from i2i.engine.stepper import Stepper
from i2i.nn.augmentation.ada import GROUPS
from i2i.recipe.recipe import Recipe

pytestmark = pytest.mark.golden
PHASES = {
    "generator": "Gmain",
    "generator_regularization": "Greg",
    "discriminator": "Dmain",
    "discriminator_regularization": "Dreg",
}
TERMS = {
    "generator/gan": ("Gmain", "Loss/G/loss"),
    "generator_regularization/path_length": ("Greg", "Loss/G/reg"),
    "discriminator/gan": ("Dmain", "Loss/D/loss"),
    "discriminator_regularization/r1": ("Dreg", "Loss/D/reg"),
}
WEIGHTS = {"path_length": "pl_weight", "r1": "r1_gamma"}
"""Names of losses, and of their official weights."""


class OfficialDraws:
    """Gives the official random numbers in their order, phase by phase, in place of our own."""

    def __init__(self, figures: Figures) -> None:
        self.figures, self.queue = figures, iter(())

    def start(self, step: int, phase: str) -> None:
        prefix = f"draw/{step}_{PHASES[phase]}_"
        assert next(self.queue, None) is None, "the phase before drew less than the official one"
        self.phase, self.step = PHASES[phase], step
        self.queue: Iterator[str] = iter(sorted(key for key in self.figures if key.startswith(prefix)))

    def pop(self, *shape: int) -> Tensor:
        value = self.figures.tensor(next(self.queue))
        assert value.shape == shape, (value.shape, shape)
        return value

    def randn(self, name: str, shape: tuple[int, ...], seed: int) -> Tensor:
        """The official numbers for `Translator.randn`."""
        if "/latent/" in name:
            return self.figures.tensor(f"gen_z/{self.step}/{self.phase}")
        if "/mixing/" in name:
            return self.mixed
        return self.pop(*shape)

    def cutoff(self, layers: int, seed: int, probability: float, shape: tuple[int, ...]) -> int:
        """The official cutoff; the second code is drawn in any case."""
        cutoff, gate = int(self.pop()), float(self.pop())
        self.mixed = self.pop(*shape)
        return cutoff if gate < probability else layers


def settings_of(config: dict[str, Any]) -> dict[str, Any]:
    """The official options as settings of our recipe."""
    hyper = config["hyper"]
    generator, discriminator = generator_options(config["G_kwargs"]), discriminator_options(config["D_kwargs"])
    given = {"out_channels", "in_channels", "image_size", "num_classes"}
    settings: dict[str, Any] = {
        "translator.conditional": bool(config["G_kwargs"]["c_dim"]),
        "translator.style_mixing": hyper["style_mixing_prob"],
        "translator.generator_interval": hyper["G_reg_interval"],
        "translator.discriminator_interval": hyper["D_reg_interval"],
        "translator.path_length_shrink": hyper["pl_batch_shrink"],
        "translator.generator.w_avg_beta": hyper["w_avg_beta"],
        "losses.path_length.penalty": hyper["pl_weight"],
        "losses.path_length.decay": hyper["pl_decay"],
        "losses.r1.gamma": hyper["r1_gamma"],
        "data": {"type": "one_domain", "data": {"type": "shapes", "size": 32}},  # replaced by the figures' streams
        "train.steps": hyper["steps"],
        "train.batch_size": hyper["batch_size"],
        "train.precision": "fp64",
        "train.reference": True,
        "train.ema": {"half_life": hyper["ema_kimg"] * 1000}
        | ({} if hyper["ema_rampup"] is None else {"rampup": hyper["ema_rampup"]}),
    }
    settings |= {f"translator.generator.{k}": v for k, v in generator.items() if k not in given}
    settings |= {f"translator.discriminators.image.{k}": v for k, v in discriminator.items() if k not in given}
    for name in ("generator", "discriminators.image"):
        settings[f"translator.{name}.num_fp16_res"] = 0
        settings.setdefault(f"translator.{name}.conv_clamp", "none")
    # The official code omits a regularization of weight 0.
    settings |= {f"losses.{loss}.weight": 0 for loss, weight in WEIGHTS.items() if not hyper[weight]}
    settings = {name: "none" if value is None else value for name, value in settings.items()}
    for phase, interval in (("generator", hyper["G_reg_interval"]), ("discriminator", hyper["D_reg_interval"])):
        share = interval / (interval + 1)
        settings[f"optimizers.{phase}.lr"] = hyper["lr"] * share
        settings[f"optimizers.{phase}.betas"] = [0.0, 0.99**share]
    return settings


@pytest.mark.parametrize("name", ["traj", "traj_cond_rampup", "traj_ada"])
def test_trajectory(golden: Callable[[str], Figures], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    batches, initial = golden(f"stylegan2/{name}_batches"), golden(f"stylegan2/{name}_init")
    gradients, final = golden(f"stylegan2/{name}_grad_step0"), golden(f"stylegan2/{name}_final_f64")
    losses = json.loads((Path(os.environ["I2I_GOLDEN"]) / "stylegan2" / f"{name}_losses.json").read_text())
    config, hyper = losses["config"], losses["config"]["hyper"]
    settings = settings_of(config)
    ada = hyper["augment_p"] > 0
    if ada:
        settings = with_ada(settings, config)
    streams = streams_of(config["G_kwargs"])
    monkeypatch.setattr("i2i_stylegan.data.OneDomain.declare_streams", classmethod(lambda cls, options: streams))
    stepper = Stepper(Recipe.read("stylegan2", settings))
    translator: Any = stepper.translator
    discriminator = translator.discriminators["image"]
    inner = discriminator.discriminator if ada else discriminator
    load(translator.generator, initial.tensors("G/"))
    load(inner, initial.tensors("D/"))
    translator.double()
    assert stepper.ema is not None
    stepper.ema.load(stepper.ema.weights())
    draws = OfficialDraws(batches)
    use_official_draws(draws, translator, hyper, monkeypatch)
    before = {key: value.detach().clone() for key, value in translator.state_dict().items()}
    if ada:
        augmentation = discriminator.augmentation
        augmentation.transformations = tuple(n for n in augmentation.transformations if n in enabled(config))
        adapt_as_figures(discriminator, hyper["ada_interval"])
    for step in range(hyper["steps"]):
        if step == 0:
            watch_gradients(stepper, inner, gradients)
        batch = {"image": batches.tensor(f"real_img/{step}")}
        if translator.conditional:
            batch["label"] = batches.tensor(f"real_c/{step}").double()
        terms = stepper.step(batch)
        expected = losses["losses_f64"][step]
        for term, (phase, official) in TERMS.items():
            assert (term in terms) == (official in expected.get(phase, {})), (step, term)
            if term in terms:
                # The official code logs a regularization before it is multiplied by its interval.
                interval = translator.phases[term.partition("/")[0]].every
                wanted = interval * expected[phase][official]
                assert float(terms[term]) == pytest.approx(wanted, rel=TOLERANCE, abs=1e-13), term
        if "pl_mean_after" in expected.get("Greg", {}) and "path_length" in translator.losses:
            mean = float(translator.losses["path_length"].mean)
            assert mean == pytest.approx(expected["Greg"]["pl_mean_after"], rel=TOLERANCE)
    if ada and "ada" in losses["losses_f64"][-1]:
        discriminator.augmentation.probability.update_()
        p = float(discriminator.augmentation.probability.p)
        assert p == pytest.approx(losses["losses_f64"][-1]["ada"]["p_after"], abs=1e-6)  # kept in float32
    official = {
        "G": dict(translator.generator.state_dict()),
        "D": dict(inner.state_dict()),
        "G_ema": {key.removeprefix("generator."): value for key, value in stepper.ema.average.items()},
    }
    prefix = {
        "G": "generator.",
        "D": "discriminators.image." + ("discriminator." if ada else ""),
        "G_ema": "generator.",
    }
    zero = set(losses.get("zero_gradient_tensors", []))
    for network, state in official.items():
        expected_state = {k: v for k, v in final.part(f"{network}/").items() if not k.endswith("resample_filter")}
        errors, moves = [], []
        for key, expected in expected_state.items():
            if key in zero or f"{network}/{key}" in zero:
                continue
            assert isinstance(expected, Tensor)
            errors.append(float((state[key] - expected).norm()))
            moves.append(float((expected - before[prefix[network] + key]).norm()))
        assert moves
        assert total(errors) <= 1e-9 * total(moves), (network, total(errors) / total(moves))


def streams_of(kwargs: dict[str, Any]) -> dict[str, Stream]:
    """Images of the figures' channels and size, and classes if there are any."""
    side = kwargs["img_resolution"]
    streams = {"image": Stream("image", kwargs["img_channels"], (side, side))}
    return streams | ({"label": Stream("label", kwargs["c_dim"])} if kwargs["c_dim"] else {})


def use_official_draws(
    draws: OfficialDraws, translator: StyleGAN2, hyper: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Replace what the translator, its layers and augmentations draw."""
    start_phase = translator.start_phase

    def start(batch: Any, phase: str) -> Any:
        draws.start(batch.step, phase)
        return start_phase(batch, phase)

    def noise(layer: layers.SynthesisLayer, x: Tensor) -> Tensor:
        return draws.pop(len(x), 1, layer.resolution, layer.resolution).double()

    def cutoff(layers: int, seed: int) -> int:
        count = len(draws.figures.tensor(f"gen_z/{draws.step}/{draws.phase}"))
        count = max(count // hyper["pl_batch_shrink"], 1) if draws.phase == "Greg" else count
        return draws.cutoff(layers, seed, hyper["style_mixing_prob"], (count, translator.generator.z_dim))

    def fake_labels(labels: Tensor, seed: int) -> Tensor:
        return draws.figures.tensor(f"gen_c/{draws.step}/{draws.phase}").double()

    monkeypatch.setattr(translator, "start_phase", start)
    monkeypatch.setattr(translator, "randn", draws.randn)
    monkeypatch.setattr(translator, "mixing_cutoff", cutoff)
    monkeypatch.setattr(translator, "draw_labels", fake_labels)
    monkeypatch.setattr(layers.SynthesisLayer, "draw_noise", noise)
    monkeypatch.setattr(torch, "rand", lambda *shape, **options: draws.pop(*shape).double())
    monkeypatch.setattr(torch, "randn", lambda *shape, **options: draws.pop(*shape).double())


def watch_gradients(stepper: Stepper, discriminator: torch.nn.Module, figures: Figures) -> None:
    """Compare the gradients of each phase of the step with the official ones, right before the optimizer's step."""
    translator: Any = stepper.translator
    networks = {"generator": translator.generator, "discriminator": discriminator}
    phases = iter([PHASES[phase] for phase in translator.active_phases(0)])
    for name, optimizer in stepper.optimizers.items():
        step = optimizer.step

        def compared(*args: Any, step: Callable[..., Any] = step, network: str = name, **options: Any) -> Any:
            phase = next(phases, None)
            if phase is not None:
                assert phase[0].lower() == network[0]
                found = {key: value.grad for key, value in networks[network].named_parameters()}
                expected = figures.part(f"{phase}/")
                assert expected
                for key, value in expected.items():
                    gradient = found[key] if found[key] is not None else torch.zeros(value.shape)
                    assert relative_error(gradient, value) <= TOLERANCE, (phase, key)
            return step(*args, **options)

        optimizer.step = compared  # type: ignore[method-assign]


def enabled(config: dict[str, Any]) -> set[str]:
    """Transformations that the figures apply."""
    return {name for name, strength in config["augment_kwargs"].items() if strength}


def with_ada(settings: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    """Put the augmentation in front of the discriminator."""
    hyper, prefix = config["hyper"], "translator.discriminators.image."
    inner = {key.removeprefix(prefix): value for key, value in settings.items() if key.startswith(prefix)}
    rest = {key: value for key, value in settings.items() if not key.startswith(prefix)}
    groups = [group for group, names in GROUPS.items() if enabled(config) & set(names)]
    augmentation = {
        "type": "ada",
        "groups": groups,
        "p": hyper["augment_p"],
        "kimg": hyper["ada_kimg"],
        "target": hyper["ada_target"],
    }
    return rest | {
        "translator.discriminators": {
            "image": {
                "type": "augmented",
                "discriminator": {"type": "stylegan2_ada", **inner},
                "augmentation": augmentation | {"interval": hyper["ada_interval"]},
            }
        }
    }


def adapt_as_figures(discriminator: Any, interval: int) -> None:
    """Change p after each interval; the official loop, which ours follows, changes it after the first step too."""
    probability = discriminator.augmentation.probability
    probability.at_step_ = lambda step: probability.update_() if step and step % interval == 0 else None
