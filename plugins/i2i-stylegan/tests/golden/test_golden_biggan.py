"""BigGAN against figures of the official code: networks, buffers, losses, and training steps."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from i2i_stylegan.biggan import BigGANDiscriminator, BigGANGenerator, Orthogonal
from i2i_stylegan.biggan_deep import BigGANDeepGenerator, huggingface
from official_figures import Figures, relative_error, total
from stylegan_parity import TOLERANCE, compare, double
from torch.nn import functional as F

import i2i
from i2i.cli import run as command
from i2i.engine.stepper import Stepper
from i2i.nn.losses.adversarial import Hinge
from i2i.recipe.recipe import Recipe

pytestmark = pytest.mark.golden
Golden = Callable[[str], Figures]


def generator_options(kwargs: dict[str, Any]) -> dict[str, Any]:
    return {
        "image_size": kwargs["resolution"],
        "num_classes": kwargs["n_classes"],
        "channels": kwargs["G_ch"],
        "z_dim": kwargs["dim_z"],
        "shared_dim": (kwargs["shared_dim"] or kwargs["dim_z"]) if kwargs["G_shared"] else 0,
        "attention": tuple(int(side) for side in kwargs["G_attn"].split("_")),
        "bn_eps": kwargs["BN_eps"],
        "sn_eps": kwargs["SN_eps"],
        "hierarchical": kwargs["hier"],
        "sn_iterations": kwargs["num_G_SV_itrs"],
    }


def discriminator_options(kwargs: dict[str, Any]) -> dict[str, Any]:
    return {
        "image_size": kwargs["resolution"],
        "num_classes": kwargs["n_classes"],
        "channels": kwargs["D_ch"],
        "attention": tuple(int(side) for side in kwargs["D_attn"].split("_")),
        "sn_eps": kwargs["SN_eps"],
        "sn_iterations": kwargs.get("num_D_SV_itrs", 1),
        "wide": kwargs.get("D_wide", True),
    }


@pytest.mark.parametrize("name", ["gen_eval", "gen_train", "dis_eval"])
def test_networks(golden: Golden, name: str) -> None:
    figures = golden(f"biggan/{name}")
    source = figures if figures.part("param/") else golden("biggan/gen_eval")
    kwargs = figures.config.get("kwargs") or source.config["kwargs"]
    if name.startswith("gen"):
        network: Any = BigGANGenerator(**generator_options(kwargs))
        inputs = "z"
    else:
        network = BigGANDiscriminator(**discriminator_options(kwargs))
        inputs = "img"
    network.double().load_state_dict(double(source.tensors("param/")))
    network.train(name.endswith("train"))
    given = figures.tensors("input/") or figures
    x = given[inputs].double().requires_grad_()  # type: ignore[union-attr]
    c = F.one_hot(given["y"], kwargs["n_classes"]).double()  # type: ignore[arg-type]
    out = network(x, c) if name.startswith("gen") else network(x, c).logits["image"]
    assert relative_error(out, figures["out64"]) <= TOLERANCE
    if figures.part("buffer_after64/"):
        compare(dict(network.named_buffers()), figures, "buffer_after64/")
    if "cot" in figures and figures.part("grad64/param/"):
        (out * figures.tensor("cot").double()).sum().backward()
        compare({key: value.grad for key, value in network.named_parameters()}, figures, "grad64/param/")
        assert relative_error(x.grad, figures[f"grad64/input/{inputs}"]) <= TOLERANCE


def test_losses(golden: Golden) -> None:
    figures = golden("biggan/losses")
    real, fake = (figures.tensor(name).double() for name in ("d_real", "d_fake"))
    expected = figures.tensor("hinge_real64") + figures.tensor("hinge_fake64")
    assert relative_error(Hinge().discriminator(real, fake), expected) <= TOLERANCE
    assert relative_error(Hinge().generator(fake), figures["hinge_gen64"]) <= TOLERANCE
    for kind, name in (("modified", "modified_ortho_grad64"), ("full", "default_ortho_grad64")):
        weight = figures.tensor("w").double().requires_grad_()
        # The official code adds strength * 2 (W W^T * (1 - I)) W to the gradient, that of half our sum of squares.
        Orthogonal(figures.config["strength"], kind).of(weight).backward()  # type: ignore[arg-type]
        assert relative_error(weight.grad, figures[name]) <= TOLERANCE, kind


def test_trajectory(golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = golden("biggan/traj")
    config, hyper = figures.config, figures.config["hyper"]
    of_generator, of_discriminator = config["G_kwargs"], config["D_kwargs"]
    keep = {"image_size", "num_classes"}
    settings: dict[str, Any] = {"train.precision": "fp64", "train.reference": True, "train.steps": config["steps"]}
    settings |= {f"translator.generator.{k}": v for k, v in generator_options(of_generator).items() if k not in keep}
    settings |= {
        f"translator.discriminators.image.{k}": v
        for k, v in discriminator_options(of_discriminator).items()
        if k not in keep
    }
    settings |= {
        "translator.joint_batches": not hyper["split_D"],
        "losses.orthogonal.strength": hyper["G_ortho"],
        "train.ema": {"decay": hyper["ema_decay"], "start": hyper["ema_start"], "buffers": "average"},
        "data": {"type": "one_domain", "of": [], "data": {"type": "shapes", "size": of_generator["resolution"]}},
        "optimizers.generator.lr": of_generator["G_lr"],
        "optimizers.generator.betas": [of_generator.get("G_B1", 0.0), of_generator.get("G_B2", 0.999)],
        "optimizers.generator.eps": of_generator["adam_eps"],
        "optimizers.discriminator.lr": of_discriminator["D_lr"],
        "optimizers.discriminator.betas": [of_discriminator.get("D_B1", 0.0), of_discriminator.get("D_B2", 0.999)],
        "optimizers.discriminator.eps": of_discriminator["adam_eps"],
    }
    from i2i.core.contracts import Stream

    side = of_generator["resolution"]
    streams = {"image": Stream("image", 3, (side, side)), "label": Stream("label", of_generator["n_classes"])}
    monkeypatch.setattr("i2i_stylegan.data.OneDomain.declare_streams", classmethod(lambda cls, options: streams))
    stepper = Stepper(Recipe.read("biggan_small", settings))
    translator: Any = stepper.translator
    translator.generator.load_state_dict(double(figures.tensors("init/G/")))
    translator.discriminators["image"].load_state_dict(double(figures.tensors("init/D/")))
    assert stepper.ema is not None
    stepper.ema.load(stepper.ema.weights())
    drawn = {"step": 0, "phase": 0}

    def key(name: str) -> str:
        number = 2 * drawn["step"] + (translator_phase() == "generator")
        return f"{name}/{number}"

    def translator_phase() -> str:
        return str(drawn["phase"])

    start_phase = translator.start_phase

    def start(batch: Any, phase: str) -> Any:
        drawn["step"], drawn["phase"] = batch.step, phase  # type: ignore[assignment]
        return start_phase(batch, phase)

    monkeypatch.setattr(translator, "start_phase", start)
    monkeypatch.setattr(translator, "randn", lambda name, shape, seed: figures.tensor(key("z")))
    monkeypatch.setattr(translator, "draw_labels", lambda labels, seed: figures.tensor(key("zy")))
    before = {name: value.detach().clone() for name, value in translator.state_dict().items()}
    expected = figures.tensor("losses64")
    for step in range(config["steps"]):
        terms = stepper.step({"image": figures.tensor(f"real/{step}"), "label": figures.tensor(f"real_y/{step}")})
        assert float(terms["discriminator/gan"]) == pytest.approx(float(expected[step, :2].sum()), rel=TOLERANCE)
        assert float(terms["generator/gan"]) == pytest.approx(float(expected[step, 2]), rel=TOLERANCE)
    states = {
        "G": (dict(translator.generator.state_dict()), "generator."),
        "D": (dict(translator.discriminators["image"].state_dict()), "discriminators.image."),
        "G_ema": ({k.removeprefix("generator."): v for k, v in stepper.ema.average.items()}, "generator."),
    }
    for network, (state, prefix) in states.items():
        errors, moves = [], []
        for name, value in figures.tensors(f"final64/{network}/").items():
            errors.append(float((state[name] - value).norm()))
            moves.append(float((value - before[prefix + name]).norm()))
        if moves:
            assert total(errors) <= 1e-9 * total(moves), (network, total(errors) / total(moves))


def test_huggingface_deep(golden: Callable[[str], Figures], tmp_path: Path) -> None:
    """The imported generator agrees at stored truncations and between them, with gradients to code and class."""
    figures = golden("biggan/deep_huggingface")
    torch.save(figures.tensors("param/"), tmp_path / "pytorch_model.bin")
    (tmp_path / "config.json").write_text(json.dumps(figures.config["config"]))
    imported = huggingface(tmp_path / "pytorch_model.bin")
    prefix = "translator.generator."
    options = {key.removeprefix(prefix): value for key, value in imported.settings.items() if key.startswith(prefix)}
    classes = len(imported.settings["data.classes"])
    generator = BigGANDeepGenerator(image_size=imported.settings["data.size"], num_classes=classes, **options).double()
    generator.load_state_dict({k.removeprefix("generator."): v.double() for k, v in imported.weights.items()})
    inputs = {name: figures.tensor(f"input/{name}").double().requires_grad_() for name in ("z", "class")}
    total: Any = 0
    for case, expected in figures.part("out64/").items():
        image = generator(inputs["z"], inputs["class"], float(case.removeprefix("truncation")))
        assert relative_error(image, expected) <= 1e-10, case
        total = total + (image * figures.tensor(f"cot/{case}").double()).sum()
    total.backward()
    for name, value in inputs.items():
        assert relative_error(value.grad, figures[f"grad64/input/{name}"]) <= 1e-10, name
    run = tmp_path / "run"
    assert (
        command(["import", "biggan-deep-huggingface", str(tmp_path / "pytorch_model.bin"), "--output", str(run)]) == 0
    )
    loaded = i2i.load(run, device="cpu")
    first = loaded.sample(2, truncation=0.4)
    assert torch.equal(first, loaded.sample(2, truncation=0.4))
    assert not torch.equal(first, loaded.sample(2, truncation=0.5))
    with pytest.raises(i2i.I2IError, match="truncation: expected a number above 0 up to 1, got 2"):
        loaded.sample(1, truncation=2.0)
