"""Checkpoints of official programs: rosinality's files both ways, and NVlabs' pickles, against official images."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from i2i_stylegan import importers
from i2i_stylegan.latents import closed_spline
from i2i_stylegan.losses import LazyR1, PathLength
from i2i_stylegan.mapping import truncate
from i2i_stylegan.stylegan2 import StyleGAN2Generator
from i2i_stylegan.stylegan2_discriminator import StyleGAN2Discriminator
from official_figures import Figures, relative_error
from stylegan_parity import double
from torch import Tensor

import i2i
from i2i.cli import run as command
from i2i.nn.weight_files import load_weight_file

pytestmark = pytest.mark.golden
Golden = Callable[[str], Figures]
TOLERANCE = 1e-10


def rosinality_generator(figures: Figures) -> tuple[StyleGAN2Generator, dict[str, str]]:
    """Our generator with the weights of the figures, and rosinality's names of its weights."""
    state = figures.tensors("param/")
    side = figures.config["size"]
    names = dict(importers.generator_names(side, importers.mapping_layers(state)))
    ours = {name: importers._taken(state, name, theirs) for name, theirs in names.items()}
    options = importers._rosinality_generator(ours, side)
    prefix = "translator.generator."
    options = {key.removeprefix(prefix): None if value == "none" else value for key, value in options.items()}
    generator = StyleGAN2Generator(image_size=side, **options)
    average = figures.tensor("input/latent_avg").reshape(-1)
    generator.load_state_dict(double({**ours, "mapping.w_avg": average}))
    return generator.double().eval(), names


def test_rosinality_generator(golden: Golden) -> None:
    figures = golden("stylegan2_rosinality/gen")
    generator, names = rosinality_generator(figures)
    generator.double()
    load = {key: value.double() for key, value in figures.tensors("input/").items()}
    inputs = {key: value.requires_grad_() for key, value in load.items()}
    w, w2 = (generator.mapping(inputs[name]) for name in ("z", "z2"))
    count = len([key for key in inputs if key.startswith("noise/")])
    maps = [inputs[f"noise/{index}"] for index in range(count)]
    average = inputs["latent_avg"].reshape(-1)
    found = {
        "w": w[:, 0],
        "plain_buffers": generator.synthesis(w, "const"),
        "given_noise": generator.synthesis(w, maps),
    }
    for case in figures.part("out64/"):
        if case.startswith("trunc"):
            psi = float(case.removeprefix("trunc").partition("_")[0])  # the official code ignores one of 1 or more
            found[case] = generator.synthesis(truncate(w, average, psi) if psi < 1 else w, "const")
        elif case.startswith("mix") and case.endswith("_latents"):
            first = int(case.removeprefix("mix").removesuffix("_latents"))
            found[case] = mixed = torch.cat([w[:, :first], w2[:, first:]], 1)
            found[f"mix{first}"] = generator.synthesis(mixed, "const")
            factor = float(figures.config["wplus"].rpartition("+ ")[2].partition("*")[0])
            found["wplus"] = generator.synthesis(mixed + factor * inputs["z"][:, None], "const")
    errors = {case: relative_error(found[case], value) for case, value in figures.part("out64/").items()}
    assert not {case: error for case, error in errors.items() if not error <= TOLERANCE}
    total: Any = 0
    for case, value in found.items():
        if f"cot/{case}" in figures:
            total = total + (value * figures.tensor(f"cot/{case}").double()).sum()
    total.backward()
    gradients = {names.get(name, name): value.grad for name, value in generator.named_parameters()}
    for name, expected in figures.part("grad64/param/").items():
        assert relative_error(importers._reshaped(name, gradients[name]), expected) <= TOLERANCE, name
    for name, expected in figures.part("grad64/input/").items():
        assert relative_error(inputs[name].grad, expected) <= TOLERANCE, name


def rosinality_discriminator(figures: Figures) -> tuple[StyleGAN2Discriminator, dict[str, str]]:
    state, side = figures.tensors("param/"), figures.config["size"]
    names = dict(importers.discriminator_names(side))
    ours = {name: importers._taken(state, name, theirs) for name, theirs in names.items()}
    prefix = "translator.discriminators.image."
    options = {
        key.removeprefix(prefix): value for key, value in importers._rosinality_discriminator(ours, side).items()
    }
    options |= {"conv_clamp": None, "mbstd_group_size": figures.config["stddev_group"]}
    discriminator = StyleGAN2Discriminator(image_size=side, **options)
    discriminator.double().load_state_dict(double(ours))
    return discriminator, names


def test_rosinality_discriminator(golden: Golden) -> None:
    figures = golden("stylegan2_rosinality/dis")
    discriminator, names = rosinality_discriminator(figures)
    image = figures.tensor("input/img").double().requires_grad_()
    logits = discriminator(image).logits["image"]
    assert relative_error(logits, figures["out64"]) <= TOLERANCE
    (logits * figures.tensor("cot").double()).sum().backward()
    assert relative_error(image.grad, figures["grad64/input/img"]) <= TOLERANCE
    gradients = {names[name]: value.grad for name, value in discriminator.named_parameters()}
    for name, expected in figures.part("grad64/param/").items():
        assert relative_error(importers._reshaped(name, gradients[name]), expected) <= TOLERANCE, name


def test_rosinality_losses(golden: Golden) -> None:
    from i2i.nn.losses.adversarial import BCEGAN

    figures = golden("stylegan2_rosinality/losses")
    generator, names = rosinality_generator(golden("stylegan2_rosinality/gen"))
    discriminator, _ = rosinality_discriminator(golden("stylegan2_rosinality/dis"))
    real, fake = (figures.tensor(name).double() for name in ("real_pred", "fake_pred"))
    assert relative_error(BCEGAN().discriminator(real, fake), figures["d_logistic64"]) <= TOLERANCE
    assert relative_error(BCEGAN().generator(fake), figures["g_nonsaturating64"]) <= TOLERANCE
    penalty = LazyR1(2.0).discriminator_regularization(
        figures.tensor("r1_img").double(), lambda image: discriminator(image).logits, 1
    )
    assert relative_error(penalty, figures["r1_64"]) <= TOLERANCE
    z = golden("stylegan2_rosinality/gen").tensor("input/z").double()
    ws = generator.mapping(z).contiguous()
    images = generator.synthesis(ws, "const")
    (key,) = (key for key in figures if key.startswith("path/draw/"))
    noise = figures.tensor(key).double() / (images.shape[2] * images.shape[3]) ** 0.5
    (gradient,) = torch.autograd.grad((images * noise).sum(), ws, create_graph=True)
    lengths = gradient.square().sum(2).mean(1).sqrt()
    assert relative_error(lengths, figures["path/lengths64"]) <= TOLERANCE
    loss = PathLength(penalty=2.0)
    loss.mean = figures.tensor("path/mean_before").double().clone()
    value = loss.generator_regularization(lengths, 4)
    assert relative_error(value / 8, figures["path/penalty64"]) <= TOLERANCE
    assert relative_error(loss.mean, figures["path/mean_after64"]) <= TOLERANCE
    value.backward()
    gradients = {names.get(name, name): value.grad for name, value in generator.named_parameters()}
    for name, expected in figures.part("path/grad64_of_8x/").items():
        assert relative_error(importers._reshaped(name, gradients[name]), expected) <= 1e-7, name


@pytest.mark.parametrize("name", ["000123.pt", "converted.pt"])
def test_rosinality_files_both_ways(name: str, golden: Golden, tmp_path: Path) -> None:
    _ = golden
    file = Path(os.environ["I2I_GOLDEN"]) / "stylegan2_rosinality" / name
    run, exported = tmp_path / "run", tmp_path / "exported.pt"
    assert command(["import", "stylegan2-rosinality", str(file), "--output", str(run)]) == 0
    assert command(["export-rosinality", str(run), str(exported)]) == 0
    official: Any = load_weight_file(file)
    written: Any = load_weight_file(exported)
    for network in ("g_ema", "d"):
        assert written[network].keys() == official[network].keys()
        for key, value in official[network].items():
            assert torch.equal(written[network][key], value), (network, key)
    if "latent_avg" in official:
        assert torch.equal(written["latent_avg"], official["latent_avg"].reshape(-1))


def test_nvlabs_pickle(golden: Golden, tmp_path: Path) -> None:
    figures = golden("stylegan2/network-snapshot-structure_expected")
    file = Path(os.environ["I2I_GOLDEN"]) / "stylegan2" / "network-snapshot-structure.pkl"
    run = tmp_path / "run"
    assert command(["import", "stylegan2-nvlabs", str(file), "--output", str(run)]) == 0
    loaded: Any = i2i.load(run, device="cpu")
    z, classes = figures.tensor("z"), figures.tensor("c")
    c = classes if classes.shape[1] else None
    with torch.no_grad():
        image: Tensor = loaded.translator.generator(z, c, noise="const")
        assert relative_error(image, figures["G_ema_image"]) < 1e-5
        logits = loaded.translator.discriminators["image"](figures.tensor("G_ema_image"), c).logits["image"]
        assert relative_error(logits, figures["D_logits"]) < 1e-5
    for network, ours in (("G_ema", loaded.translator.generator), ("D", loaded.translator.discriminators["image"])):
        expected = {k: v for k, v in figures.tensors(f"{network}/").items() if not k.endswith("resample_filter")}
        found = ours.state_dict()
        assert expected.keys() == found.keys()
        assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_interpolation(golden: Golden) -> None:
    figures = golden("stylegan2_projector/interpolation")
    found = closed_spline(figures.tensor("keyframe_ws"), figures.tensor("frame_position"), figures.config["wraps"])
    assert relative_error(found, figures["ws64"]) <= TOLERANCE
