"""The doctor speaks when something is ill, once, and is silent otherwise."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch

from i2i.core.kinds import LOSS
from i2i.engine.hooks import diagnostics as diagnostics
from i2i.engine.hooks.diagnostics import Diagnostics
from i2i.engine.hooks.symptoms import apart, is_stuck, spread, undecided
from i2i.engine.run import Run
from i2i.engine.trainer import train
from i2i.recipe.recipe import Recipe


@pytest.mark.parametrize(
    ("name", "expected"), [("lsgan", 0.5), ("bce_gan", 1.3863), ("hinge", 2.0), ("wgan_gp", None), ("l1", None)]
)
def test_the_loss_of_an_undecided_discriminator(name: str, expected: float | None) -> None:
    found = undecided(LOSS(name)())
    assert found == (None if expected is None else pytest.approx(expected, rel=1e-3))


def test_symptoms() -> None:
    draws = torch.Generator().manual_seed(0)
    images = torch.rand(4, 3, 8, 8, generator=draws)
    assert spread(images[:1].expand(4, -1, -1, -1)) == pytest.approx(0, abs=1e-7)
    assert 0.1 < spread(images) < 0.5
    assert apart(images, images + 1) > 0.9
    assert is_stuck([2.0, 2.0001, 2.0])
    assert is_stuck([0.0, 0.0])
    assert not is_stuck([2.0, 2.1, 2.0])


def told(settings: dict[str, object], folder: Path, monkeypatch: pytest.MonkeyPatch, window: int = 4) -> list[str]:
    monkeypatch.setattr(diagnostics, "WINDOW", window)
    run = train(Recipe.read("ugatit_small", settings), folder, extras=[Diagnostics()])
    return run.findings


ILL: dict[str, tuple[dict[str, Any], str]] = {
    "the discriminators' rate is 30 times the generators'": (
        {"optimizers.discriminator.lr": 2e-2, "optimizers.generator.lr": 1e-9, "train.steps": 160},
        "discriminator/gan: the discriminators have won",
    ),
    "nothing is learnt": (
        {
            **{f"optimizers.{phase}.lr": 1e-30 for phase in ("generator", "discriminator")},
            "data.count": 1,
            "train.batch_size": 1,
            "translator.discriminators.global_.spectral_norm": False,
            "translator.discriminators.local.spectral_norm": False,
            "train.steps": 12,
        },
        "has not changed for",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", ILL)
def test_seeded_faults_are_told(
    case: str, tiny: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, expected = ILL[case]
    assert any(expected in finding for finding in told({**tiny, **settings}, tmp_path, monkeypatch))


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["cyclegan_small", "pix2pix_small", "munit_small"])
def test_healthy_runs_are_left_alone(recipe: str, tmp_path: Path) -> None:
    """Long enough for three windows of terms and three looks at images."""
    settings = {"train.steps": 350, "train.sample_every": 100, "train.checkpoint_every": 1000, "train.workers": 0}
    assert train(Recipe.read(recipe, settings), tmp_path / "run", extras=[Diagnostics()]).findings == []


class Watched:
    """A doctor and the run of one that only looks at images."""

    def __init__(self, tiny: dict[str, object], folder: Path, made: Any) -> None:
        recipe = Recipe.read("ugatit_small", tiny | {"train.steps": 1, "train.sample_every": 1})
        self.run = train(recipe, folder)
        self.diagnostics = Diagnostics()
        self.diagnostics.training_started(self.run)
        self.run.translator.translate = made  # type: ignore[method-assign]

    def look(self, times: int) -> list[str]:
        for _ in range(times):
            self.diagnostics._check_images(self.run)
        return self.run.findings


@pytest.mark.thorough
def test_copies_and_collapse_are_told_after_some_looks(
    tiny: dict[str, object], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from i2i.core.contracts import GeneratorOutput

    copying = Watched(tiny, tmp_path / "copy", lambda image, to: GeneratorOutput(image))
    assert copying.look(diagnostics.PATIENCE - 1) == []
    with caplog.at_level(logging.WARNING, logger="i2i"):
        found = copying.look(2)
    assert len(found) == 2  # once for each direction
    assert "a to b: the translations are copies of their input. Raise the adversarial weight" in found[0] + found[1]
    collapsed = Watched(tiny, tmp_path / "one", lambda image, to: GeneratorOutput(torch.zeros_like(image)))
    assert any("nearly one image" in finding for finding in collapsed.look(diagnostics.PATIENCE))
    healthy = Watched(tiny, tmp_path / "good", lambda image, to: GeneratorOutput(-image.flip(3)))
    assert healthy.look(5) == []


def test_what_has_ended_is_told_too(cheap: dict[str, object], tmp_path: Path) -> None:
    run: Run = train(Recipe.read("pix2pix_small", cheap | {"train.steps": 1}), tmp_path)
    watcher = Diagnostics()
    watcher._note(run, True, "x: is ill. Do this")
    watcher._note(run, True, "x: is ill. Do this")
    watcher._note(run, False, "x: is ill. Do this")
    assert run.findings == ["step 1: x: is ill. Do this", "step 1: no longer: x: is ill"]
