"""Components mix: every generator with every discriminator and every adversarial loss takes two steps."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import torch

from i2i.builtin import COMPONENTS
from i2i.core import kinds
from i2i.core.plugins import Plugins
from i2i.engine.stepper import Stepper
from i2i.recipe.recipe import Recipe

REGISTRY = Plugins({}).registry
ADVERSARIAL = [
    name
    for name in COMPONENTS[kinds.LOSS]
    if "fake_logits"
    in getattr(getattr(REGISTRY.get(kinds.LOSS, name).load(), "generator", None), "__annotations__", ())
]
LATENT = {"channels": 4, "downsamplings": 2, "blocks": 1}
GENERATORS: dict[str, tuple[str, dict[str, Any]]] = {
    "resnet": ("cyclegan", {"channels": 4, "blocks": 1}),
    "resnet_adalin": ("cyclegan", {"channels": 4, "blocks": 1, "light": True}),
    "stylegan2_resnet": ("cyclegan", {"channels": 4, "blocks": 1}),
    "unet": ("cyclegan", {"channels": 4, "levels": 4}),
    "shared_latent": ("unit", LATENT),
    "content_style": ("munit", {**LATENT, "mlp_channels": 8}),
}
"""The recipe whose translator takes it, and its smallest options."""
DISCRIMINATORS: dict[str, dict[str, Any]] = {
    "patch": {"channels": 4, "layers": 4},
    "multiscale": {"channels": 4, "layers": 3, "scales": 1},
    "pixel": {"channels": 4},
    "stylegan2": {"channels": 4, "max_channels": 8},
    "encoder_patch": {"channels": 4, "layers": 5, "deeper": 0},
}
SMALL = {"data.type": "shapes", "data.size": 32, "train.batch_size": 2, "train.steps": 2}


@cache
def own_discriminators(recipe: str) -> list[str]:
    return list(Recipe.read(recipe, registry=REGISTRY).source.values["translator"]["discriminators"])


def test_the_matrix_leaves_nothing_out() -> None:
    # Those that need labels, pretrained features or another network have tests of their own.
    wrapping = {"label_concat", "augmented", "projected", "projection_patch"}
    assert set(GENERATORS) == set(COMPONENTS[kinds.GENERATOR]) - wrapping
    assert set(DISCRIMINATORS) == set(COMPONENTS[kinds.DISCRIMINATOR]) - wrapping
    assert {"lsgan", "bce_gan", "hinge", "wgan_gp"} <= set(ADVERSARIAL)


def mixtures() -> Iterator[Any]:
    """All of them; the quick ones meet every pair of two parts."""
    for g, generator in enumerate(GENERATORS):
        for d, discriminator in enumerate(DISCRIMINATORS):
            for number, loss in enumerate(ADVERSARIAL):
                quick = (g + d) % len(ADVERSARIAL) == number
                yield pytest.param(generator, discriminator, loss, marks=() if quick else pytest.mark.slow)


@pytest.mark.thorough
@pytest.mark.parametrize(("generator", "discriminator", "loss"), list(mixtures()))
def test_every_mixture_takes_two_steps(generator: str, discriminator: str, loss: str) -> None:
    name, options = GENERATORS[generator]
    settings = {
        **{f"translator.discriminators.{own}": "none" for own in own_discriminators(name)},
        "translator.generator": {"type": generator, **options},
        "translator.discriminators.one": {"type": discriminator, **DISCRIMINATORS[discriminator]},
        "losses.gan": {"type": loss, "weight": 1},
        **SMALL,
    }
    stepper = Stepper(Recipe.read(name, settings, REGISTRY))
    draws = torch.Generator().manual_seed(0)
    for _ in range(2):
        terms = stepper.step({domain: torch.rand(2, 3, 32, 32, generator=draws) * 2 - 1 for domain in "ab"})
        assert {"discriminator/gan", "generator/gan"} <= set(terms)
        assert all(torch.isfinite(value) for value in terms.values()), terms
