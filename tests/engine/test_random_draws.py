"""Random draws: their distributions, that they change with the step, and that a resumed run draws the same again."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from i2i.engine.stepper import Stepper
from i2i.methods.assembly import build
from i2i.recipe.recipe import Recipe

SMALL = {
    "translator.generator.channels": 4,
    "translator.generator.blocks": 1,
    "translator.discriminators.local.channels": 4,
    "translator.discriminators.local.layers": 3,
}
STEPS = 4


def stepper(name: str = "cyclegan_small", **settings: Any) -> Stepper:
    return Stepper(Recipe.read(name, {**SMALL, **settings}))


def images(seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {domain: torch.rand(1, 3, 32, 32, generator=generator) * 2 - 1 for domain in "ab"}


def seeds(run: Stepper, steps: int, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The seed of each batch and of torch's generator, as losses see them; once a batch."""
    seen: list[tuple[int, int]] = []
    loss_values = run.translator.loss_values

    def watch(batch: Any, phase: str) -> Any:
        if (pair := (batch.seed, torch.initial_seed())) not in seen:
            seen.append(pair)
        return loss_values(batch, phase)

    with monkeypatch.context() as patch:
        patch.setattr(run.translator, "loss_values", watch)
        for _ in range(steps):
            run.step(images(), images())
    return seen


def test_seeds_change_with_step_and_batch_and_come_back_after_a_resume(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = seeds(stepper(), STEPS, monkeypatch)
    assert len({batch for batch, _ in whole}) == 2 * STEPS  # two micro-batches a step
    assert len({step for _, step in whole}) == STEPS
    resumed = stepper()
    resumed.step_number = 2
    torch.manual_seed(12345)  # What was drawn before does not matter.
    assert seeds(resumed, STEPS - 2, monkeypatch) == whole[2 * 2 :]
    other = seeds(stepper(**{"train.seed": 1}), STEPS, monkeypatch)
    assert not {seed for pair in whole for seed in pair} & {seed for pair in other for seed in pair}


def test_draws_of_image_pools_change_with_the_step_and_the_domain(monkeypatch: pytest.MonkeyPatch) -> None:
    run = stepper(**{"translator.pool": 1})
    first: list[float] = []
    pool_draws = run.translator.pool_draws  # type: ignore[operator]

    def watch(seed: int, domain: str) -> Any:
        first.append(pool_draws(seed, domain).random())
        return pool_draws(seed, domain)

    monkeypatch.setattr(run.translator, "pool_draws", watch)
    for _ in range(STEPS):
        run.step(images())
    assert len(first) == len(set(first)) == 2 * STEPS  # a pool for each domain


def test_places_and_flips_change_with_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    run = stepper("cut_small", **{"translator.flip_equivariance": True, "translator.taps": ["image", "blocks.0"]})
    places: list[tuple[int, ...]] = []
    flip_seeds: list[int] = []
    draw_places, draw_flip = run.translator.draw_places, run.translator.draw_flip  # type: ignore[operator]

    def watch_places(term: str, seed: int, pixels: Any) -> Any:
        drawn = draw_places(term, seed, pixels)
        places.extend(tuple(layer.tolist()) for layer in drawn)
        for layer, count in zip(drawn, pixels, strict=True):
            assert len(set(layer.tolist())) == len(layer)
            assert 0 <= int(layer.min()) <= int(layer.max()) < count
        return drawn

    def watch_flip(seed: int) -> Any:
        flip_seeds.append(seed)
        return draw_flip(seed)

    monkeypatch.setattr(run.translator, "draw_places", watch_places)
    monkeypatch.setattr(run.translator, "draw_flip", watch_flip)
    for _ in range(STEPS):
        run.step(images())
    assert len(set(places)) == len(places) >= 4 * STEPS  # two layers for each of two terms
    assert len(set(flip_seeds)) == STEPS
    assert 400 < sum(draw_flip(seed) for seed in range(1000)) < 600


def test_randn_is_standard_normal_and_decided_by_its_seed() -> None:
    translator = build(Recipe.read("munit_small"))
    drawn = translator.randn("generator/style/a", (200, 500), 1)
    values, _ = drawn.flatten().double().sort()
    uniform = torch.special.ndtr(values)
    expected = (torch.arange(len(values), dtype=torch.float64) + 0.5) / len(values)
    assert float((uniform - expected).abs().max()) < 1.63 / len(values) ** 0.5  # Kolmogorov and Smirnov, 1 %
    assert float(values.mean()) == pytest.approx(0, abs=0.012)
    assert float(values.square().mean()) == pytest.approx(1, abs=0.02)
    assert float(values.pow(4).mean()) == pytest.approx(3, abs=0.15)
    assert torch.equal(drawn, translator.randn("generator/style/a", (200, 500), 1))
    assert not torch.equal(drawn, translator.randn("generator/style/a", (200, 500), 2))
    with torch.random.fork_rng():
        torch.manual_seed(5)
        assert torch.equal(drawn, translator.randn("generator/style/a", (200, 500), 1))


def test_random_styles_change_with_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"translator.generator.channels": 4, "translator.generator.blocks": 1}
    run = Stepper(Recipe.read("munit_small", {**settings, "translator.discriminators.multiscale.channels": 4}))
    asked: list[tuple[str, int]] = []
    randn = run.translator.randn

    def watch(name: str, shape: Any, seed: int) -> Tensor:
        asked.append((name, seed))
        return randn(name, shape, seed)

    monkeypatch.setattr(run.translator, "randn", watch)
    for _ in range(STEPS):
        run.step(images())
    assert len({name for name, _ in asked}) == 4  # two domains in each of two phases
    assert len({seed for _, seed in asked}) == len(asked) == 4 * STEPS
