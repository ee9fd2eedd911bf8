"""Runs of imported weights: shapes that fit, and no networks of a size that a file merely claims."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch

from i2i.core.contracts import Imported
from i2i.engine.importing import write_run
from i2i.errors import CheckpointError
from i2i.methods.assembly import build, shapes_of
from i2i.recipe.recipe import Recipe

SMALL = {
    "translator.generator.channels": 4,
    "translator.generator.blocks": 1,
    "translator.discriminators.local.channels": 4,
    "data.type": "shapes",
    "data.size": 32,
}


def imported(weights: dict[str, torch.Tensor], **changes: object) -> Imported:
    settings = {**SMALL, **{key.replace("__", "."): value for key, value in changes.items()}}
    return Imported("cyclegan_small", settings, weights, step=1, summary="")


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    return build(Recipe.read("cyclegan_small", SMALL)).state_dict()


def test_shapes_are_those_of_what_is_built(weights: dict[str, torch.Tensor]) -> None:
    assert shapes_of(Recipe.read("cyclegan_small", SMALL)) == {name: tuple(one.shape) for name, one in weights.items()}


def test_weights_that_fit_become_a_run(weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    assert (write_run(imported(weights), tmp_path / "run") / "state.json").is_file()


@pytest.mark.parametrize("changes", [{"translator__generator__channels": 10**5}, {"translator__generator__blocks": 50}])
def test_networks_that_only_a_claim_backs_are_not_made(
    changes: dict[str, object], weights: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    began = time.process_time()
    with pytest.raises(CheckpointError, match=r"the weights do not fit the recipe 'cyclegan_small': generators\.\w\."):
        write_run(imported(weights, **changes), tmp_path / "run")
    assert time.process_time() - began < 20
    assert not (tmp_path / "run").exists()


def test_weights_with_infinities_are_refused(weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    name = next(iter(weights))
    with pytest.raises(CheckpointError, match=f"{name} contains NaN or Inf"):
        write_run(imported({**weights, name: weights[name] * float("inf")}), tmp_path / "run")
