"""A checkpoint whose state was written by somebody else, checksums and all: taken, or refused with a message."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from i2i.errors import CheckpointError
from i2i.inference import load
from i2i.recipe.recipe import Recipe
from i2i.training import checkpoint
from i2i.training.run import Run
from i2i.training.trainer import train

STRANGE: tuple[Any, ...] = (
    *(None, True, -1, 7, 10**30, 0.5, float("nan"), float("inf"), "", "x", "\ud800", [], [[]], {}, {"": 0}, [1, "a"]),
    *({"0.step": "x"}, {"x.y": 1}, {"step": None, "value": {}}),
)


@pytest.fixture(scope="module")
def trained(tiny_settings: Mapping[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of one step that keeps all that a state can hold."""
    more = {"train.steps": 1, "train.ema": 0.9, "translator.pool": 2, "train.keep_best": "generator/cycle"}
    return train(Recipe.read("quickstart", {**tiny_settings, **more}), tmp_path_factory.mktemp("hostile") / "run")


def signed(state: dict[str, Any]) -> str:
    return json.dumps({**state, "own": checkpoint._own_checksum(state)})


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield (*path, key)
            yield from places(item, (*path, key))


def test_any_type_in_any_place_is_taken_or_refused(trained: Run) -> None:
    """Each place of the state gets each strange value, or is left out."""
    folder = checkpoint.find(trained.folder).folder
    text = (folder / checkpoint.STATE).read_text()
    random, outcomes, told = Random(0), {"taken": 0, "refused": 0}, []
    for place in [one for one in places(json.loads(text)) if one[0] != "own" and "options" not in one[:-1]]:
        for value in [*random.sample(STRANGE, 3), KeyError]:
            state = json.loads(text)
            table = state
            for key in place[:-1]:
                table = table[key]
            table[place[-1]] = value
            if value is KeyError:
                del table[place[-1]]
            (folder / checkpoint.STATE).write_text(signed(state))
            try:
                saved = checkpoint.find(folder)
                trained.load(saved)
                assert 0 <= trained.samples <= checkpoint.MOST
                assert 0 <= trained.rollbacks <= checkpoint.MOST
                outcomes["taken"] += 1
            except CheckpointError as error:
                outcomes["refused"] += 1
                told.append(str(error))
    (folder / checkpoint.STATE).write_text(text)
    assert [line for line in told if str(folder) not in line and not line.startswith("optimizers.")] == []
    assert min(outcomes.values()) > 50


def test_what_translates_does_not_trust_it_either(trained: Run, tmp_path: Path) -> None:
    saved = checkpoint.find(trained.folder)
    state = {key: value for key, value in saved.state.items() if key != "own"}
    text = (saved.folder / checkpoint.STATE).read_text()
    for strange in (7, "generator", [["generator"]]):
        (saved.folder / checkpoint.STATE).write_text(signed({**state, "feature_extractors": strange}))
        assert load(saved.folder, "cpu").feature_extractors == {}
    (saved.folder / checkpoint.STATE).write_text(text)


def test_tensors_that_do_not_belong_to_it_are_refused(trained: Run) -> None:
    """With right checksums: other names, shapes and numbers of dimensions in each of the files."""
    saved = checkpoint.find(trained.folder)
    for name in ("process-0.safetensors", "ema.safetensors", "optimizer-generator.safetensors", checkpoint.WEIGHTS):
        whole = (saved.folder / name).read_bytes()
        key = next(iter(saved.tensors(name)))
        for tensors in ({key: torch.tensor(1.0)}, {"x": torch.zeros(2)}, {key: torch.zeros(1, 2, 3, 4, 5, 6)}):
            save_file(tensors, saved.folder / name)
            digests = {**saved.state["sha256"], name: checkpoint._checksum(saved.folder / name)}
            state = {key: value for key, value in saved.state.items() if key != "own"} | {"sha256": digests}
            (saved.folder / checkpoint.STATE).write_text(signed(state))
            may_fit = name == "process-0.safetensors"  # pools may lack, and let images of other sizes go
            with suppress(CheckpointError) if may_fit else pytest.raises(CheckpointError, match="does not fit"):
                trained.load(checkpoint.find(saved.folder))
        (saved.folder / name).write_bytes(whole)


def test_a_state_of_gigabytes_is_not_read(tmp_path: Path) -> None:
    folder = checkpoint.write(tmp_path / "checkpoints", 1, {checkpoint.WEIGHTS: {"w": torch.zeros(1)}}, {}, "")
    with (folder / checkpoint.STATE).open("r+b") as file:
        file.truncate(2**40)  # a hole, which costs no disk
    with pytest.raises(CheckpointError, match=r"state\.json has 1099511627776 bytes, expected at most"):
        checkpoint.find(folder)
