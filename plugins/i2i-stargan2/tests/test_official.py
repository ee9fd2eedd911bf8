"""Components, two iterations of four phases, and checkpoints, against what the official code computed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from i2i_stargan2.importer import STARGAN2, stargan2_pytorch
from i2i_stargan2.kinds import MAPPING, STYLE_ENCODER
from official_figures import Figures, read, relative_error
from torch import Tensor, nn

import i2i
from i2i.core.contracts import Batch
from i2i.engine.importing import write_run
from i2i.engine.stepper import Stepper
from i2i.recipe.recipe import Recipe

NETWORKS = {
    "gen": "generator",
    "gen_hpf": "generator",
    "mapping": "mapping_network",
    "style_encoder": "style_encoder",
    "dis": "discriminator",
}
PHASES = {
    "d_latent": "discriminator",
    "d_ref": "discriminator_reference",
    "g_latent": "generator",
    "g_ref": "generator_reference",
}
TERMS = {"sty": "style", "cyc": "cycle", "ds": "diversity", "adv": "gan", "reg": "r1"}


def component(file: str, config: Mapping[str, Any]) -> nn.Module:
    """Our component with the sizes of a file of figures."""
    widths = {"width": config["base"], "max_channels": config.get("max_conv_dim", 512)}
    offered = {
        "num_classes": config.get("num_domains"),
        "style_channels": config.get("style_dim"),
        "image_size": config.get("img_size"),
    }
    built: Any
    if file.startswith("gen"):
        built = i2i.GENERATOR("stargan2", **widths, style_channels=config["style_dim"], w_hpf=float(config["w_hpf"]))
    elif file == "mapping":
        built = MAPPING("domain_mlp", hidden=config["hidden"], latent_channels=config["latent_dim"])
    elif file == "style_encoder":
        built = STYLE_ENCODER("domain_style_encoder", **widths)
    else:
        built = i2i.DISCRIMINATOR("domain_resnet", **widths)
    network: nn.Module = built(**offered)
    return network


def result(file: str, network: Any, figures: Figures, inputs: Mapping[str, Tensor]) -> Tensor:
    if file.startswith("gen"):
        masks = [
            figures.tensor(f"mask_{index}").to(inputs["input"]) for index in range(2) if f"mask_{index}" in figures
        ]
        output: Tensor = network(inputs["input"], inputs["style"], tuple(masks) or None).image
    elif file == "dis":
        logits = network(inputs["input"]).logits["domains"]
        output = logits.gather(1, figures.tensor("y")[:, None]).squeeze(1)
    else:
        output = network(inputs.get("z", inputs.get("input")), figures.tensor("y"))
    return output


@pytest.mark.parametrize("file", NETWORKS)
def test_components(golden: Path, file: str) -> None:
    figures = read(golden, file)
    names = STARGAN2.networks[NETWORKS[file]].names(figures.tensors("param/"))
    ours = STARGAN2.networks[NETWORKS[file]].convert(figures.tensors("param/"))
    network = component(file, figures.config)
    network.load_state_dict(ours)
    keys = [key for key in ("input", "style", "z") if key in figures]
    single = result(file, network, figures, figures.tensors() | {key: figures.tensor(key) for key in keys})
    assert relative_error(single, figures["out64"]) < 1e-5
    network.double()
    inputs = {key: figures.tensor(key).double().requires_grad_() for key in keys}
    output = result(file, network, figures, inputs)
    assert relative_error(output, figures["out64"]) < 1e-10
    (output * figures.tensor("cot")).sum().backward()
    for key, value in inputs.items():
        assert relative_error(value.grad, figures[f"grad64/{key}"]) < 1e-10
    parameters = dict(network.named_parameters())
    expected = figures.part("grad64/param/")
    assert len(expected) >= len(ours) - (file == "gen_hpf") * 3  # unused shortcuts get no gradient
    for official, value in expected.items():
        gradient = parameters[str(names[official])].grad
        assert relative_error(torch.zeros(()) if gradient is None else gradient, value) < 1e-10, official


def settings_of(config: Mapping[str, Any], precision: str) -> dict[str, Any]:
    """The recipe's settings that an official configuration stands for."""
    rate = {"lr": config["lr"], "betas": [config["beta1"], config["beta2"]], "weight_decay": config["weight_decay"]}
    return {
        "optimizers.discriminator": {"type": "adam", **rate},
        "optimizers.generator": {
            "type": "adam",
            **rate,
            "groups": [{"modules": ["mapping"], "lr": config["f_lr"]}],
        },
        "losses.r1.weight": config["lambda_reg"],
        "losses.style.weight": config["lambda_sty"],
        "losses.cycle.weight": config["lambda_cyc"],
        "losses.diversity.weight": {"from": config["lambda_ds"], "to": 0, "over": config["ds_iter"]},
        "data.size": config["img_size"],
        "data.domains": [f"domain_{index}" for index in range(config["num_domains"])],
        "train.ema": config["ema_beta"],
        "train.batch_size": config["batch_size"],
        "train.precision": precision,
    }


class Trajectory:
    """One official trajectory, with our stepper at its beginning."""

    def __init__(self, golden: Path, tmp_path: Path, precision: str) -> None:
        self.figures = json.loads((golden / "traj_losses.json").read_text())
        self.config = self.figures["config"]
        self.batches = read(golden, "traj_batches")
        self.initial = networks(read(golden, "traj_init").tensors())
        torch.save({name: self.initial[name] for name in STARGAN2.networks}, tmp_path / "000000_nets.ckpt")
        self.imported = stargan2_pytorch(tmp_path / "000000_nets.ckpt")
        sizes = {key: value for key, value in self.imported.settings.items() if not key.startswith("data.")}
        self.stepper = Stepper(Recipe.read("stargan2", {**sizes, **settings_of(self.config, precision)}))
        self.stepper.translator.load_state_dict(self.imported.weights)
        averages = {name: self.initial[f"{name}_ema"] for name in STARGAN2.networks if f"{name}_ema" in self.initial}
        assert self.stepper.ema is not None
        self.stepper.ema.load(STARGAN2.convert(averages))

    def step(self, number: int, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, float]]:
        """Take one step; returns our losses under official names, phase by phase."""
        translator = self.stepper.translator
        given = {"latent": "z_trg", "second_latent": "z_trg2"}
        monkeypatch.setattr(translator, "randn", lambda name, *_: self.batches.tensor(f"{given[name]}_{number}"))
        values: dict[str, dict[str, float]] = {}
        loss_values = translator.loss_values

        def watch(batch: Batch, phase: str) -> dict[str, dict[str, Tensor]]:
            found = loss_values(batch, phase)
            values[phase] = {name: float(sum(by_key.values()).detach()) for name, by_key in found.items()}  # type: ignore[union-attr]
            return found

        with monkeypatch.context() as patch:
            patch.setattr(translator, "loss_values", watch)
            streams = {"image": "x_src", "label": "y_src", "reference": "x_ref", "reference_2": "x_ref2"}
            streams["reference_label"] = "y_ref"
            terms = self.stepper.step({ours: self.batches.tensor(f"{name}_{number}") for ours, name in streams.items()})
        losses = []
        for official, phase in PHASES.items():
            total = sum(float(value) for name, value in terms.items() if name.startswith(f"{phase}/"))
            losses.append({"phase": official, "total": total, **values[phase]})  # type: ignore[dict-item]
        return losses


def networks(values: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    found: dict[str, dict[str, Tensor]] = {}
    for key, value in values.items():
        name, _, rest = key.partition("/")
        found.setdefault(name, {})[rest] = value
    return found


def compare(ours: list[dict[str, Any]], official: list[dict[str, Any]], tolerance: float) -> None:
    for mine, theirs in zip(ours, official, strict=True):
        expected = {TERMS[name]: value for name, value in theirs.items() if name in TERMS}
        if "real" in theirs:
            expected["gan"] = theirs["real"] + theirs["fake"]
        else:
            expected["diversity"] = -expected["diversity"]
        expected["total"] = theirs["total"]
        assert mine["phase"] == theirs["phase"]
        for name, value in expected.items():
            assert mine[name] == pytest.approx(value, rel=tolerance), (mine["phase"], name)


def test_float64_trajectory(golden: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trajectory = Trajectory(golden, tmp_path, "fp64")
    translator, config = trajectory.stepper.translator, trajectory.config
    names = {
        f"{name}/{official}": f"{STARGAN2.networks[name].ours}.{ours}"
        for name in STARGAN2.networks
        for official, ours in STARGAN2.networks[name].names(trajectory.initial[name]).items()
    }
    parameters = {id(parameter): name for name, parameter in translator.named_parameters()}
    gradients: list[dict[str, Tensor]] = []

    def keep(optimizer: Any, *_: Any) -> None:
        members = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        gradients.append({parameters[id(p)]: p.grad.clone() for p in members if p.grad is not None})

    for optimizer in trajectory.stepper.optimizers.values():
        getattr(optimizer, "optimizer", optimizer).register_step_pre_hook(keep)
    count = len(PHASES)
    for number in range(config["iters"]):
        official = trajectory.figures["losses_f64"][number * count : (number + 1) * count]
        compare(trajectory.step(number, monkeypatch), official, 1e-10)

    # Which networks a phase steps, with the gradients of the first iteration.
    noise = set(trajectory.figures["zero_gradient_tensors"])
    expected = read(golden, "traj_grad_step0")
    for found, phase in zip(gradients, PHASES, strict=False):
        official_gradients = expected.tensors(f"{phase}/")
        assert found.keys() == {names[name] for name in official_gradients}
        for name, value in official_gradients.items():
            if name not in noise:
                scale = max(float(value.double().norm()), 1e-30)
                assert float((found[names[name]] - value).norm()) <= 1e-6 * scale, (phase, name)
    for name in trajectory.figures["exactly_zero_gradients"]:
        phase, _, tensor = name.partition("/")
        assert not gradients[list(PHASES).index(phase)][names[tensor]].any()

    assert trajectory.stepper.ema is not None
    state = translator.state_dict()
    final = networks(read(golden, "traj_final_f64").tensors())
    for network in final:
        name = network.removesuffix("_ema")
        ours = trajectory.stepper.ema.average if network.endswith("_ema") else state
        moved = wrong = 0.0
        for official, value in final[network].items():
            if f"{name}/{official}" in noise:
                continue
            mine = ours[names[f"{name}/{official}"]]
            moved += float((trajectory.initial[network][official].double() - value).square().sum())
            wrong += float((mine - value).square().sum())
        assert wrong**0.5 <= 1e-9 * moved**0.5, network


def test_float32_trajectory(golden: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trajectory = Trajectory(golden, tmp_path, "fp32")
    count = len(PHASES)
    for number in range(trajectory.config["iters"]):
        official = trajectory.figures["losses_f32"][number * count : (number + 1) * count]
        compare(trajectory.step(number, monkeypatch), official, 1e-2 if number else 1e-5)


@pytest.mark.parametrize("file", ["000002_nets.ckpt", "000002_nets_ema.ckpt"])
def test_official_checkpoints_translate(golden: Path, tmp_path: Path, file: str) -> None:
    imported = stargan2_pytorch(golden / "traj_checkpoint" / file)
    assert imported.step == 2
    assert imported.untrained == (("discriminator",) if "ema" in file else ())
    official = torch.load(golden / "traj_checkpoint" / file, weights_only=True)
    exported = STARGAN2.export(imported.weights, imported.settings)
    for name, state in official.items():
        assert exported[name].keys() == state.keys()
        assert all(torch.equal(exported[name][key], value) for key, value in state.items())
    write_run(imported, tmp_path / "run", ())
    loaded = i2i.load(tmp_path / "run", device="cpu")
    side = imported.settings["data.size"]
    image = torch.rand(1, 3, side, side) * 2 - 1
    for domain in loaded.translator.domains:
        assert loaded.translate(image, domain).shape == image.shape
        assert loaded.translate(image, domain, style=image).shape == image.shape
