"""A run goes on elsewhere or otherwise than it began: what is allowed, and what is said."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import pytest
import torch

from i2i.data.loader import make_loader
from i2i.engine import checkpoint
from i2i.engine.elastic import recipe_changes, surroundings, what_changes
from i2i.engine.hooks.log import JSONLines
from i2i.engine.run import Run
from i2i.engine.trainer import train
from i2i.recipe.recipe import Recipe

ONE = surroundings(1, "cpu", 4, 1, "fp32")


@pytest.mark.parametrize(
    ("before", "now", "pools", "expected"),
    [
        (ONE, ONE, 1, []),
        ({"processes": 1}, ONE, 0, []),
        (
            ONE,
            surroundings(2, "cpu", 2, 1, "fp32"),
            1,
            [
                "processes: 2 instead of 1: the order of the samples is kept, but random draws of each process differ",
                "image pools of the processes from 1 on start empty",
            ],
        ),
        (
            surroundings(2, "cpu", 2, 1, "fp32"),
            ONE,
            2,
            [
                "processes: 1 instead of 2: the order of the samples is kept, but random draws of each process differ",
                "image pools of the processes from 1 on are discarded",
            ],
        ),
        (
            ONE,
            surroundings(1, "cpu", 4, 2, "fp32"),
            0,
            [
                "a step takes 8 images of each domain instead of 4: the step number and the learning rate of the "
                "recipe are kept"
            ],
        ),
        (
            surroundings(1, "cuda", 4, 1, "fp64"),
            surroundings(1, "cpu", 4, 1, "bf16"),
            0,
            [
                "cpu instead of cuda: floating-point sums are rounded differently",
                "bf16 instead of fp64; weights are rounded to float32",
            ],
        ),
        (ONE, surroundings(1, "cpu", 4, 1, "fp16"), 0, ["fp16 instead of fp32; gradient scaling is reset"]),
    ],
)
def test_each_difference_has_its_sentence(
    before: dict[str, object], now: dict[str, object], pools: int, expected: list[str]
) -> None:
    assert what_changes(before, now, pools) == expected


def test_changed_values_of_a_recipe_are_named() -> None:
    before = '[train]\nsteps = 5\nseed = 1\n[data]\na = "x"\n'
    now = '[train]\nsteps = 9\nseed = 2\n[data]\nb = "y"\n'
    assert recipe_changes(before, now) == ["train.seed: 1 -> 2", "data.a: 'x' -> missing", "data.b: missing -> 'y'"]


def first_samples(run: Run) -> list[torch.Tensor]:
    """What the next step of a run would draw."""
    loader = make_loader(run.dataset, batch_size=run.recipe.train.batch_size, first_sample=run.samples)
    return [batch["a"] for batch in islice(loader, 1)]


def test_another_batch_goes_on_in_the_stream_of_samples(cheap: dict[str, object], tmp_path: Path) -> None:
    train(Recipe.read("pix2pix_small", cheap | {"train.steps": 2}), tmp_path / "run", extras=[JSONLines()])
    wider = Recipe.read("pix2pix_small", cheap | {"train.steps": 3, "train.batch_size": 3, "train.accumulate": 2})
    run = train(wider, tmp_path / "run", checkpoint.find(tmp_path / "run"), [JSONLines()])
    assert run.samples == 2 * 2 + 6
    assert checkpoint.find(tmp_path / "run").state["samples"] == 10
    expected = torch.stack([run.dataset[number]["a"] for number in (10, 11, 12)])
    assert torch.equal(first_samples(run)[0], expected)
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    (resumed,) = [line for line in lines if line["event"] == "resumed"]
    assert resumed["changes"] == [
        "a step takes 6 images of each domain instead of 2: the step number and the learning rate of the recipe are "
        "kept",
        "train.batch_size: 2 -> 3",
        "train.accumulate: 1 -> 2",
    ]


def test_another_precision_goes_on_from_the_same_weights(cheap: dict[str, object], tmp_path: Path) -> None:
    train(Recipe.read("pix2pix_small", cheap | {"train.steps": 1}), tmp_path / "run")
    saved = checkpoint.find(tmp_path / "run")
    run = train(
        Recipe.read("pix2pix_small", cheap | {"train.steps": 2, "train.precision": "bf16"}), tmp_path / "run", saved
    )
    assert run.step == 2
    assert run.changes == ["bf16 instead of fp32", "train.precision: 'fp32' -> 'bf16'"]
    assert all(value.dtype != torch.bfloat16 for value in run.translator.state_dict().values())
