"""BigGAN's options without official figures: embeddings in each norm, a narrow discriminator, joint batches."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from i2i_stylegan.biggan import BigGANDiscriminator, BigGANGenerator
from torch import Tensor

from i2i.engine.stepper import Stepper
from i2i.recipe.recipe import Recipe
from i2i.recipe.source import RecipeError

SMALL: dict[str, Any] = {"image_size": 32, "num_classes": 3, "attention": ()}


def test_a_gradient_reaches_every_parameter() -> None:
    generator = BigGANGenerator(channels=2, z_dim=5, shared_dim=0, hierarchical=False, **SMALL)
    discriminator = BigGANDiscriminator(channels=2, wide=False, **SMALL)
    assert discriminator.blocks[0][0].conv1.weight.shape[:2] == (3, 3)  # type: ignore[index]
    c = torch.eye(3)[[0, 1, 2, 0]]
    image = generator(torch.randn(4, 5), c)
    discriminator(image, c).logits["image"].square().sum().backward()
    for network in (generator, discriminator):
        assert [name for name, value in network.named_parameters() if value.grad is None] == []


def test_hierarchical_codes_need_a_shared_embedding() -> None:
    with pytest.raises(RecipeError, match="hierarchical codes need at least 1, got 0; or set hierarchical = false"):
        Recipe.read("biggan_small", {"translator.generator.shared_dim": 0})


@pytest.mark.parametrize("joint", [False, True])
def test_joint_batches_are_generated_images_and_then_real_ones(joint: bool) -> None:
    settings = {f"translator.{name}.channels": 8 for name in ("generator", "discriminators.image")}
    stepper = Stepper(Recipe.read("biggan_small", {**settings, "translator.joint_batches": joint}))
    seen: list[tuple[Tensor, Tensor]] = []
    translator: Any = stepper.translator
    translator.discriminators["image"].register_forward_pre_hook(lambda module, inputs: seen.append(inputs))
    real, label = torch.rand(2, 3, 32, 32), torch.tensor([1, 0])
    stepper.step({"image": real, "label": label})
    assert [len(image) for image, _ in seen] == ([4, 2] if joint else [2, 2, 2])
    image, classes = seen[0] if joint else seen[1]
    assert torch.equal(image[-2:], real)
    assert torch.equal(classes[-2:].argmax(1), label)
    assert joint == (len(classes) == 4)
