"""Cycles of noisy translations, and cycles that train only the generator that translates back."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from i2i.core.contracts import Batch
from i2i.methods.assembly import build
from i2i.recipe.recipe import Recipe

SMALL: dict[str, Any] = {
    "translator.generator": {"type": "unet", "channels": 4, "levels": 2, "norm": "in", "dropout": 0, "residual": True},
    "translator.discriminators.local.channels": 4,
    "data.size": 16,
    "translator.discriminators.local.layers": 3,
}


def generator_phase(seed: int = 0, **options: Any) -> tuple[Any, Any]:
    settings = SMALL | {f"translator.{name}": value for name, value in options.items()}
    torch.manual_seed(0)
    translator: Any = build(Recipe.read("quickstart", settings))
    draws = torch.Generator().manual_seed(1)
    images = {domain: torch.rand(2, 3, 16, 16, generator=draws) * 2 - 1 for domain in "ab"}
    return translator, translator.start_phase(Batch(images, seed=seed), "generator")


def gradient(translator: Any, cycle: Tensor, domain: str) -> float:
    """Largest gradient that a cycle gives to the generator of a domain."""
    weights = list(translator.generators[domain].parameters())
    found = torch.autograd.grad(cycle.square().mean(), weights, retain_graph=True, allow_unused=True)
    return max(float(grad.abs().max()) if grad is not None else 0.0 for grad in found)


def test_a_detached_cycle_trains_only_the_way_back() -> None:
    translator, outputs = generator_phase(detached_cycles=["a"], cycle_noise=0.0)
    cycle = outputs.cycle
    assert gradient(translator, cycle["a"], "a") > 0
    assert gradient(translator, cycle["a"], "b") == 0
    assert min(gradient(translator, cycle["b"], domain) for domain in "ab") > 0
    _, whole = generator_phase(detached_cycles=[], cycle_noise=0.0)
    assert torch.equal(cycle["a"], whole.cycle["a"])


def test_noise_is_added_to_translations_alone_and_follows_from_the_seed() -> None:
    translator, outputs = generator_phase(cycle_noise=0.1, detached_cycles=[])
    seen: list[Tensor] = []
    translator.generators["a"].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    fake, cycle = outputs.fake["b"], outputs.cycle
    noise = (seen[-1] - fake).detach()[fake.abs() < 0.5]
    assert float(noise.std()) == pytest.approx(0.1, rel=0.15)
    assert all(float(image.detach().abs().max()) <= 1 for image in seen)
    assert all(torch.isfinite(image).all() for image in cycle.values())
    again, other = (generator_phase(seed=seed, cycle_noise=0.1, detached_cycles=[])[1].cycle for seed in (0, 1))
    assert torch.equal(cycle["a"], again["a"])
    assert not torch.equal(cycle["a"], other["a"])
