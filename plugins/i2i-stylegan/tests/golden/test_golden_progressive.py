"""PGGAN and StyleGAN against the original TensorFlow code at every level of detail."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from i2i_stylegan.growing_importers import tensorflow_names
from i2i_stylegan.losses import GradientPenalty, Wasserstein
from i2i_stylegan.progressive import PGGANGenerator, ProgressiveDiscriminator
from i2i_stylegan.stylegan1 import StyleGANGenerator
from official_figures import Figures, relative_error
from stylegan_parity import TOLERANCE
from torch import Tensor
from torch.nn import functional as F

import i2i
from i2i.cli import run as command
from i2i.methods.growth import resize_and_fade
from i2i.nn.losses.adversarial import BCEGAN
from i2i.nn.losses.penalized import R1

pytestmark = pytest.mark.golden
Golden = Callable[[str], Figures]


def networks(figures: Figures, style: bool) -> tuple[Any, Any]:
    config, color = figures.config, figures.tensor("images").shape[1]
    common: dict[str, Any] = {
        "image_size": config["resolution"],
        "num_classes": config["label_size"],
        "channel_base": config["fmap_base"],
        "channel_max": config["fmap_max"],
    }
    if style:
        generator: Any = StyleGANGenerator(
            out_channels=color,
            z_dim=config["latent_size"],
            w_dim=config["dlatent_size"],
            mapping_layers=config["mapping_layers"],
            mapping_features=config["mapping_fmaps"],
            **common,
        )
    else:
        generator = PGGANGenerator(
            out_channels=color, z_dim=config["latent_size"], fused=config["fused_scale"], **common
        )
    discriminator = ProgressiveDiscriminator(
        in_channels=color,
        blur=style,
        fused=style or config["fused_scale"],
        classes="projection" if style else "head",
        mbstd_group_size=config["mbstd_group_size"],
        **common,
    )
    for network, prefix in ((generator, "G"), (discriminator, "D")):
        table = tensorflow_names(network, prefix)
        state = network.state_dict()
        for name, convert in table.items():
            ours, change = convert
            state[ours] = change(figures.tensor(f"param/{name}")).double()
        network.double().load_state_dict(state)
    return generator, discriminator


def at(lod: float, side: int) -> tuple[int, float]:
    """Size and share of the new size at a level of detail."""
    return side >> int(lod), 1 - (lod - int(lod))


def grow(network: Any, size: int, alpha: float) -> None:
    for module in network.modules():
        if hasattr(module, "grow_"):
            module.grow_(size, alpha)


@pytest.mark.parametrize("name", ["pggan/nets_fusedTrue", "pggan/nets_fusedFalse", "stylegan1/nets"])
def test_networks_at_all_levels(golden: Golden, name: str) -> None:
    figures = golden(name)
    style = name.startswith("stylegan1")
    generator, discriminator = networks(figures, style)
    c = figures.tensor("labels").double() if figures.config["label_size"] else None
    for lod in figures.config["lods"]:
        size, alpha = at(lod, figures.config["resolution"])
        grow(generator, size, alpha)
        grow(discriminator, size, alpha)
        z = figures.tensor("z").double().requires_grad_()
        images = figures.tensor("images").double().requires_grad_()
        key = f"lod{lod}"
        if style:
            ws = generator.mapping(z, c, update_average=False)
            assert relative_error(ws[:, 0], figures["dlatents64"]) <= TOLERANCE
            image = generator.synthesis(figures.tensor("W_in").double(), "const")
            fake = generator.synthesis(ws, "const")
        else:
            image = fake = generator(z, c)
        assert relative_error(image, figures[f"{key}/image64"]) <= TOLERANCE, lod
        seen = images
        heads = discriminator(seen, c).logits
        assert relative_error(heads["image"], figures[f"{key}/scores64"]) <= TOLERANCE, lod
        if f"{key}/label_logits64" in figures:
            assert relative_error(heads["classes"], figures[f"{key}/label_logits64"]) <= TOLERANCE
        if f"{key}/grad64_cot/z" in figures and not style:
            images_cot = resize_cotangent(figures.tensor("cot_images").double(), image)
            found = torch.autograd.grad((image * images_cot).sum(), z, retain_graph=True)[0]
            assert relative_error(found, figures[f"{key}/grad64_cot/z"]) <= TOLERANCE
            scores = (heads["image"] * figures.tensor("cot_scores").double()).sum()
            found = torch.autograd.grad(scores, images, retain_graph=True)[0]
            assert relative_error(found, figures[f"{key}/grad64_cot/images"]) <= TOLERANCE
        check_losses(figures, key, discriminator, fake, seen, c, style)
        check_gradients(figures, key, generator, discriminator, fake, seen, c, style)


def resize_cotangent(cotangent: Tensor, image: Tensor) -> Tensor:
    """The official output repeats pixels, so a pixel's cotangent is the sum of those of its repetitions."""
    factor = cotangent.shape[-1] // image.shape[-1]
    return F.avg_pool2d(cotangent, factor) * factor**2


def losses(
    figures: Figures, discriminator: Any, fake: Tensor, real: Tensor, c: Tensor | None, style: bool
) -> tuple[Tensor, Tensor]:
    """Losses of generator and discriminator, means over the batch."""

    def discriminate(image: Tensor) -> dict[str, Tensor]:
        return {"image": discriminator(image, c).logits["image"]}

    true, false = discriminator(real, c).logits, discriminator(fake, c).logits
    detached = discriminator(fake.detach(), c).logits
    if style:
        of_generator = BCEGAN().generator(false["image"])
        of_discriminator = BCEGAN().discriminator(true["image"], detached["image"])
        penalty = R1(figures.config["r1_gamma"]).discriminator(real, discriminate)
        return of_generator, of_discriminator + penalty
    gan = Wasserstein(drift=0.001)
    factors = figures.tensor("mixing_factors").double()
    factor = real.shape[-1] // fake.shape[-1]
    fake = fake.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    penalty = GradientPenalty(10.0).at(real + factors * (fake.detach() - real), discriminate)
    of_discriminator = gan.discriminator(true["image"], detached["image"]) + penalty
    of_generator = gan.generator(false["image"])
    if c is not None:
        of_generator = of_generator + F.cross_entropy(false["classes"], c)
        classes = (F.cross_entropy(heads["classes"], c) for heads in (true, detached))
        of_discriminator = of_discriminator + sum(classes)
    return of_generator, of_discriminator


def check_losses(figures: Figures, key: str, discriminator: Any, fake: Any, real: Any, c: Any, style: bool) -> None:
    generator_loss, discriminator_loss = losses(figures, discriminator, fake, real, c, style)
    assert float(generator_loss) == pytest.approx(float(figures.tensor(f"{key}/G_loss64").mean()), rel=1e-10)
    assert float(discriminator_loss) == pytest.approx(float(figures.tensor(f"{key}/D_loss64").mean()), rel=1e-10)


def check_gradients(
    figures: Figures, key: str, generator: Any, discriminator: Any, fake: Any, real: Any, c: Any, style: bool
) -> None:
    if not any(name.startswith(f"{key}/grad64_D_loss/") for name in figures):
        return
    for network, loss, prefix in zip(
        (generator, discriminator),
        losses(figures, discriminator, fake, real.detach(), c, style),
        ("G", "D"),
        strict=True,
    ):
        table = tensorflow_names(network, prefix)
        parameters = dict(network.named_parameters())
        names = {name: convert for name, convert in table.items() if convert[0] in parameters}
        found = torch.autograd.grad(
            loss, [parameters[ours] for ours, _ in names.values()], allow_unused=True, retain_graph=True
        )
        gradients = dict(zip([ours for ours, _ in names.values()], found, strict=True))
        for name, expected in figures.part(f"{key}/grad64_{prefix}_loss/").items():
            if name not in names or re.search(r"noise\d", name):
                continue
            ours, change = names[name]
            gradient = gradients[ours]
            wanted = change(expected)
            gradient = torch.zeros_like(wanted) if gradient is None else gradient
            assert relative_error(gradient, wanted) <= TOLERANCE, (key, name)


def test_real_images_are_faded(golden: Golden) -> None:
    figures = golden("pggan/process_reals")
    images = figures.tensor("uint8_images").double() / 127.5 - 1
    for lod, expected in figures.part("lod").items():
        value = float(lod.removesuffix("/out64"))
        faded = resize_and_fade(images, images.shape[-1], 1 - (value - int(value)))
        factor = 2 ** int(value)
        assert relative_error(faded.repeat_interleave(factor, 2).repeat_interleave(factor, 3), expected) <= TOLERANCE


@pytest.mark.parametrize("name", ["pggan/nets_fusedTrue", "pggan/nets_fusedFalse", "stylegan1/nets"])
@pytest.mark.parametrize("suffix", [".npz", ".pt"])
def test_imported_variables(golden: Golden, name: str, suffix: str, tmp_path: Path) -> None:
    """Variables of the TensorFlow code in a file become a run that generates the official images."""
    figures = golden(name)
    given = figures.tensors("param/")
    file = tmp_path / f"network{suffix}"
    if suffix == ".npz":
        np.savez(file, **{f"{key}:0": value.numpy() for key, value in given.items()})
    else:
        torch.save(given, file)
    format = "stylegan-tensorflow" if name.startswith("stylegan1") else "pggan-tensorflow"
    assert command(["import", format, str(file), "--output", str(tmp_path / "run")]) == 0
    loaded: Any = i2i.load(tmp_path / "run", device="cpu")
    generator = loaded.translator.generator
    c = figures.tensor("labels").float() if figures.config["label_size"] else None
    with torch.no_grad():
        if name.startswith("stylegan1"):
            found = generator.synthesis(figures.tensor("W_in").float(), "const")
        else:
            found = generator(figures.tensor("z").float(), c)
    assert relative_error(found, figures["lod0/image64"]) <= 1e-5
    del given[next(iter(given))]
    torch.save(given, tmp_path / "incomplete.pt")
    assert command(["import", format, str(tmp_path / "incomplete.pt"), "--output", str(tmp_path / "none")]) == 2
