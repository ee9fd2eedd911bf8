"""What methods may ask of the trainer beside two domains and two phases: streams, shared optimizers, growth, rest."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

import i2i
from i2i.core.contracts import GeneratorOutput, Phase, Stream
from i2i.core.plugins import Plugins
from i2i.demo.shapes import Shapes
from i2i.engine.checkpoint import find
from i2i.engine.stepper import Stepper
from i2i.engine.trainer import train
from i2i.methods.assembly import dry_run
from i2i.methods.outputs import Outputs
from i2i.methods.translator import Translator
from i2i.recipe.recipe import Recipe
from i2i.recipe.source import RecipeError, Source
from i2i.use.loaded import load

LABELLED, GROWING = "labelled", "growing"


class Labelled(Shapes):
    """Shapes with a number for each sample."""

    @classmethod
    def declare_streams(cls, options: Mapping[str, Any]) -> dict[str, Stream]:
        return super().declare_streams(options) | {"labels": Stream("label", 2)}

    def __getitem__(self, number: int) -> dict[str, Any]:
        return {**super().__getitem__(number), "labels": torch.tensor(number % 2)}


class GrowingOutputs(Outputs):
    """The plain fake, and a finer one from the second stage on."""

    translator: Growing

    @cached_property
    def fake(self) -> dict[str, Tensor]:
        """a after the networks of the stage."""
        return {"b": self.translator.generate(self.real["a"])}

    @property
    def fine(self) -> dict[str, Tensor] | None:
        """The fake once the fine network works, None before."""
        return self.fake if self.translator.grown else None

    @property
    def labels(self) -> dict[str, Tensor]:
        """The stream beside the images."""
        return {"b": self.batch.streams["labels"]}


class Growing(Translator):
    """A coarse network, and from step 2 on a fine one behind it.

    Args:
        fine_channels: of the fine network's hidden layer; 5 does not fit.
    """

    Outputs = GrowingOutputs
    phases: Mapping[str, Phase] = {
        "first": Phase(("coarse",)),
        "again": Phase(("coarse", "fine")),
        "extra": Phase(("coarse",), optimizer="again"),
    }
    generator_modules = ("coarse", "fine")
    default_phase = "again"
    required_streams: ClassVar[Mapping[str, str]] = {"a": "image", "b": "image", "labels": "label"}

    def __init__(self, fine_channels: int = 4) -> None:
        super().__init__()
        self.coarse = nn.Conv2d(3, 3, 1)
        self.fine = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(fine_channels, 3, 1))
        self.grown = False

    def generate(self, image: Tensor) -> Tensor:
        made: Tensor = self.coarse(image)
        return self.fine(made) if self.grown else made

    def at_step_(self, step: int) -> None:
        self.grown = step >= 2

    @property
    def structure_changes(self) -> tuple[int, ...]:
        return (0, 2)

    def translate(self, image: Tensor, to: str) -> GeneratorOutput:
        return GeneratorOutput(self.generate(image))


class Labels(nn.Module):
    """Pushes the fake towards the label."""

    def extra(self, fake: Tensor, labels: Tensor) -> Tensor:
        assert labels.dtype == torch.int64
        return (fake.mean((1, 2, 3)) - labels).square().mean()


class _Plugin:
    @i2i.hookimpl
    def register_components(self, registry: Any) -> None:
        registry.add(i2i.TRANSLATOR, GROWING, Growing)
        registry.add(i2i.DATASET, LABELLED, Labelled)
        registry.add(i2i.LOSS, "labels", Labels)


VALUES: dict[str, Any] = {
    "translator": {"type": GROWING},
    "losses": {
        "plain": {"type": "l1", "phase": "first", "inputs": {"prediction": "fake", "target": "real"}},
        "fine": {"type": "l2", "inputs": {"prediction": "fine", "target": "real"}},
        "labels": {"type": "labels"},
    },
    "optimizers": {"first": {"type": "sgd", "lr": 0.1}, "again": {"type": "adam", "lr": 0.1}},
    "schedule": {"type": "constant"},
    "data": {"type": LABELLED, "size": 32},
    "train": {"steps": 4, "workers": 0, "sample_every": 0, "log_every": 1, "clip_grad_norm": {"first": 1e-3}},
}
REGISTRY = Plugins({"growing": _Plugin()}).registry


def recipe(**changes: Any) -> Recipe:
    return Recipe.check(Source("growing", {**VALUES, **changes}, {}), REGISTRY)


def samples(count: int = 2) -> dict[str, Tensor]:
    images = {domain: torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(3)) for domain in "ab"}
    return {**images, "labels": torch.arange(count)}


def test_a_loss_rests_while_its_output_does_not_exist() -> None:
    stepper = Stepper(recipe())
    terms = [set(stepper.step(samples())) for _ in range(3)]
    assert terms[0] == terms[1] == {"first/plain", "extra/labels"}
    assert terms[2] == {"first/plain", "again/fine", "extra/labels"}


def test_a_phase_steps_with_anothers_optimizer_and_its_memory() -> None:
    stepper = Stepper(recipe())
    assert set(stepper.optimizers) == {"first", "again"}
    for _ in range(3):
        stepper.step(samples())
    state = stepper.optimizers["again"].state_dict()["state"]
    counts = [int(state[index]["step"]) for index in range(4)]
    # The coarse network stepped in `extra` three times and in `again` once; the fine one only in that.
    assert counts == [4, 4, 1, 1]


def test_gradients_are_clipped_in_the_phases_that_the_recipe_names() -> None:
    rates = {"first": {"type": "sgd", "lr": 0.1}, "again": {"type": "sgd", "lr": 1e-12}}
    clipped, free = Stepper(recipe(optimizers=rates)), Stepper(recipe(optimizers=rates, train={"steps": 4}))
    moved = []
    for stepper in (clipped, free):
        start = {name: value.clone() for name, value in stepper.translator.state_dict().items()}
        stepper.step(samples())
        ways = [(value - start[name]).flatten() for name, value in stepper.translator.state_dict().items()]
        moved.append(float(torch.cat(ways).norm()))
    assert moved[0] == pytest.approx(0.1 * 1e-3, rel=1e-3)
    assert moved[1] > 10 * moved[0]


def test_the_rehearsal_looks_at_every_stage() -> None:
    dry_run(recipe())
    with pytest.raises(RecipeError, match=r"expected input.* to have 5 channels, but got 4"):
        dry_run(recipe(translator={"type": GROWING, "fine_channels": 5}))


def test_a_run_goes_on_across_a_stage_and_translates_in_its_last_one(tmp_path: Path) -> None:
    train(recipe(), tmp_path / "straight")
    stopped = recipe(train={**VALUES["train"], "steps": 4, "checkpoint_every": 1, "keep_last": 9})
    train(stopped, tmp_path / "first")
    early = find(tmp_path / "first" / "checkpoints" / "step-0000001")
    for later in (2, 3, 4):
        folder = tmp_path / "first" / "checkpoints" / f"step-{later:07d}"
        folder.rename(folder.with_name(f"gone-{later}"))
    train(stopped, tmp_path / "first", resume=early)
    one, other = (find(tmp_path / name).weights() for name in ("straight", "first"))
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_translating_follows_the_step_that_made_the_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = train(recipe(), tmp_path / "run")
    monkeypatch.setattr("i2i.recipe.recipe.default_plugins", lambda: Plugins({"growing": _Plugin()}))
    loaded = load(tmp_path / "run", device="cpu")
    assert loaded.translator.grown
    image = samples()["a"]
    torch.testing.assert_close(loaded.translate(image), run.translator.translate(image, "b").image)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"data": {"type": "shapes", "size": 32}},
            "data: translator 'growing' needs the stream 'labels' (label), and dataset 'shapes' has a (image), b "
            "(image)",
        ),
        (
            {"optimizers": {**VALUES["optimizers"], "extra": "sgd"}},
            "optimizers.extra: no phase 'extra'. Phases: first, again",
        ),
        (
            {"train": {**VALUES["train"], "clip_grad_norm": {"frist": 1}}},
            "train.clip_grad_norm.frist: no phase 'frist'. Did you mean 'first'? Phases: first, again, extra",
        ),
    ],
)
def test_what_does_not_fit_is_told(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        recipe(**changes)
    assert message in str(caught.value)
