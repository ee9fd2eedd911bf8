"""SinCUT's networks: sizes, gradients, taps, and the recipes in which they stand."""

from __future__ import annotations

import math
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from i2i.core.hookspecs import hookimpl
from i2i.data.loader import make_loader
from i2i.engine import checkpoint
from i2i.engine.run import Run
from i2i.engine.stepper import Stepper
from i2i.engine.trainer import train
from i2i.errors import OptionError, ShapeError
from i2i.methods.assembly import dry_run
from i2i.nn.discriminators.stylegan2 import StyleGAN2
from i2i.nn.generators.stylegan2_resnet import StyleGAN2Resnet
from i2i.recipe.recipe import Recipe

NARROW: dict[str, Any] = {
    "translator.generator.channels": 4,
    "translator.generator.blocks": 2,
    "translator.discriminators.patch.channels": 4,
    "translator.discriminators.patch.max_channels": 8,
    "translator.width": 8,
    "data.size": 16,
    "data.group": 4,
    "train.batch_size": 4,
}


@pytest.fixture
def images(tmp_path: Path) -> dict[str, str]:
    made = {}
    for domain, seed in (("a", 0), ("b", 1)):
        colours = np.random.default_rng(seed).integers(0, 255, (40, 48, 3), dtype=np.uint8)
        Image.fromarray(colours).save(tmp_path / f"{domain}.png")
        made[f"data.{domain}"] = str(tmp_path / f"{domain}.png")
    return made


def test_the_generator_is_one_halving_six_blocks_and_one_doubling() -> None:
    names = [stage.name for stage in StyleGAN2Resnet(channels=2).stages()]
    assert names == ["image", "from_image", "down.0", *(f"blocks.{i}" for i in range(6)), "up.0"]


@pytest.mark.parametrize(("halvings", "shape"), [(1, (2, 3, 16, 10)), (2, (1, 3, 16, 20))])
def test_any_side_that_divides(halvings: int, shape: tuple[int, ...]) -> None:
    generator = StyleGAN2Resnet(channels=4, max_channels=6, halvings=halvings, blocks=1)
    image = torch.randn(shape)
    made = generator(image).image
    assert made.shape == shape
    made.square().mean().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in generator.parameters())
    taps = ("image", "down.0", "blocks.0", "up.0")
    features = generator.features(image, taps)
    assert tuple(feature.shape[1] for feature in features) == generator.tapped_channels(taps)
    assert torch.equal(features[0], image)
    with pytest.raises(ShapeError, match="multiples of"):
        generator(torch.randn(1, 3, 16, 11))


def test_translating_is_the_same_each_time() -> None:
    generator = StyleGAN2Resnet(channels=4, blocks=1)
    for layer in generator.up[0]:
        layer.noise.weight.data.fill_(1)
    image = torch.randn(1, 3, 8, 8)
    assert not torch.equal(generator(image).image, generator(image).image)
    generator.eval()
    assert torch.equal(generator(image).image, generator(image).image)
    assert not any(hasattr(m, "noise") and m.noise for m in StyleGAN2Resnet(channels=4, noise=False).modules())


@pytest.mark.parametrize("size", [8, 16, 64])
@pytest.mark.parametrize("group", [0, 4])
def test_the_discriminator_gives_one_logit(size: int, group: int) -> None:
    discriminator = StyleGAN2(channels=4, max_channels=8, group=group, image_size=size)
    logits = discriminator(torch.randn(4, 3, size, size)).logits["patch"]
    assert logits.shape == (4, 1, 1, 1)
    logits.square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in discriminator.parameters())
    with pytest.raises(ShapeError, match=rf"expected images \[B, 3, {size}, {size}\], got \[1, 3, 32, 32\]"):
        discriminator(torch.randn(1, 3, 32, 32))


def test_official_widths() -> None:
    """Of 64 px and ngf 10, ndf 8: an eighth, or ten 64ths, of StyleGAN2's 512, doubled up to 512."""
    discriminator, generator = StyleGAN2(image_size=64), StyleGAN2Resnet()
    assert [block.second.out_channels for block in discriminator.blocks] == [128, 256, 512, 512]
    assert [generator.from_image.out_channels, generator.down[0].second.out_channels] == [80, 160]
    assert discriminator.linear.weight.shape == (512, 512 * 16)


def test_the_discriminator_sees_collapsed_variety() -> None:
    discriminator = StyleGAN2(channels=4, group=4, image_size=8)
    image = torch.randn(1, 3, 8, 8)
    alone, crowd = discriminator(image), discriminator(torch.cat([image, torch.randn(3, 3, 8, 8)]))
    assert not torch.allclose(alone.logits["patch"][0], crowd.logits["patch"][0])


def test_sides_that_do_not_fit_are_refused() -> None:
    with pytest.raises(OptionError, match="expected a power of 2, at least 8, got 48; try 32"):
        StyleGAN2.check(48)
    with pytest.raises(OptionError, match="multiple of 4"):
        StyleGAN2Resnet.check(18, 2)


@pytest.mark.parametrize("name", [pytest.param("sincut", marks=pytest.mark.thorough), "sincut_small"])
def test_recipes_take_steps_and_r1_rests_between(name: str, images: dict[str, str]) -> None:
    recipe = Recipe.read(name, {**NARROW, **images, "losses.r1.every": 2})
    dry_run(recipe)
    stepper = Stepper(recipe)
    batches = iter(make_loader(recipe.data(), batch_size=4))
    before = {key: value.clone() for key, value in stepper.translator.state_dict().items()}
    terms = [stepper.step(next(batches)) for _ in range(3)]
    assert ["discriminator/r1" in found for found in terms] == [True, False, True]
    expected = {"discriminator/gan", "generator/gan", "generator/nce", "generator/nce_identity", "generator/identity"}
    assert terms[1].keys() == expected
    assert all(math.isfinite(value) for found in terms for value in found.values())
    assert all(not torch.equal(before[key], value) for key, value in stepper.translator.state_dict().items())


class StopAfter:
    def __init__(self, step: int) -> None:
        self.step = step

    @hookimpl
    def step_finished(self, run: Run) -> None:
        if run.step == self.step:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.thorough
def test_a_resumed_run_draws_the_same_noise_and_rests_in_the_same_steps(images: dict[str, str], tmp_path: Path) -> None:
    quiet = {"train.workers": 0, "train.sample_every": 0, "train.steps": 3, "losses.r1.every": 2}
    recipe = Recipe.read("sincut_small", {**NARROW, **images, **quiet})
    whole = train(recipe, tmp_path / "whole")
    train(recipe, tmp_path / "run", extras=[StopAfter(1)])
    resumed = train(recipe, tmp_path / "run", checkpoint.find(tmp_path / "run"))
    assert (resumed.start, resumed.step) == (1, 3)
    assert whole.translator.generator.up[0][0].noise.weight != 0
    for name, value in whole.translator.state_dict().items():
        assert torch.equal(value, resumed.translator.state_dict()[name]), name


def test_recipes_check_as_they_are(images: dict[str, str]) -> None:
    recipe = Recipe.read("sincut", images)
    dry_run(recipe)
    assert recipe.losses["r1"].calls[0].every == 16
    assert recipe.losses["gan"].calls[0].every == 1
    assert recipe.losses["r1"].resolved()["every"] == 16
    assert "every" not in recipe.losses["gan"].resolved()
