"""Gradient checkpointing: the same step with less kept."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from i2i.engine.stepper import Stepper
from i2i.methods.assembly import build
from i2i.methods.recomputing import recompute_blocks
from i2i.recipe.recipe import Recipe

SMALL: dict[str, Any] = {
    "data.type": "shapes",
    "data.size": 32,
    "train.precision": "fp64",
    "translator.generator.channels": 4,
    "translator.generator.dropout": 0.5,
    "translator.generator.blocks": 2,
    "translator.discriminators.local.channels": 4,
}


def stepped(recomputed: bool) -> tuple[list[dict[str, Tensor]], dict[str, Tensor], int]:
    """Terms of two steps, the weights after them, and the bytes kept for the backward passes."""
    stepper = Stepper(Recipe.read("cyclegan", {**SMALL, "train.gradient_checkpointing": recomputed}))
    kept = 0

    def keep(tensor: Tensor) -> Tensor:
        nonlocal kept
        kept += tensor.nbytes
        return tensor

    draws = torch.Generator().manual_seed(1)
    terms = []
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        for _ in range(2):
            images = {domain: torch.rand(1, 3, 32, 32, generator=draws) for domain in "ab"}
            terms.append(stepper.step(images))
    return terms, stepper.translator.state_dict(), kept


def test_the_same_bits_with_less_memory() -> None:
    terms, weights, kept = stepped(False)
    again, same_weights, less = stepped(True)
    assert terms == again
    assert weights.keys() == same_weights.keys()
    assert all(torch.equal(value, same_weights[name]) for name, value in weights.items())
    assert less < 0.7 * kept


def test_blocks_that_a_forward_changes_are_left_alone() -> None:
    plain = build(Recipe.read("quickstart", {"translator.generator.blocks": 1}))
    # Each generator: stem, two halvings, a block before the attention and one after it, two doublings.
    assert recompute_blocks(plain) == 2 * 7
    normed = build(Recipe.read("pix2pix_small"))
    assert recompute_blocks(normed) == 1  # the discriminator's first, the only one without batch norm
