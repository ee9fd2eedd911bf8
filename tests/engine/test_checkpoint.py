"""Checkpoints stand whole or not at all, and a damaged one is noticed."""

from __future__ import annotations

import json
import logging
import os
import shutil
from pathlib import Path
from random import Random

import pytest
import torch
from filelock import FileLock

from i2i.engine import checkpoint
from i2i.engine.optimizer_state import join_optimizer, split_optimizer
from i2i.engine.pruning import prune
from i2i.engine.trainer import train
from i2i.errors import CheckpointError, TrainingError
from i2i.recipe.recipe import Recipe

WEIGHTS = {"w": torch.arange(6.0).view(2, 3).t()}  # not contiguous, which safetensors refuses by itself


def write(folder: Path, step: int) -> Path:
    return checkpoint.write(folder / "checkpoints", step, {checkpoint.WEIGHTS: WEIGHTS, "none": {}}, {"more": 1}, "")


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    written = write(tmp_path, 7)
    found = checkpoint.find(tmp_path)
    assert (found.folder, found.step, found.state["more"]) == (written, 7, 1)
    assert torch.equal(found.weights()["w"], WEIGHTS["w"])
    assert sorted(path.name for path in written.iterdir()) == ["recipe.toml", "state.json", "translator.safetensors"]
    assert checkpoint.find(written).step == 7


def test_the_newest_is_found_by_number(tmp_path: Path) -> None:
    for step in (9, 10_000_000, 100):
        write(tmp_path, step)
    assert checkpoint.find(tmp_path).step == 10_000_000


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: flip(folder / checkpoint.WEIGHTS),
        lambda folder: (folder / checkpoint.WEIGHTS).write_bytes(b""),
        lambda folder: (folder / checkpoint.WEIGHTS).unlink(),
        lambda folder: (folder / checkpoint.STATE).write_text("{"),
        lambda folder: (folder / checkpoint.STATE).write_text("[]"),
        lambda folder: (folder / checkpoint.STATE).write_text('{"format": 1, "step": "x", "sha256": {}}'),
        lambda folder: (folder / checkpoint.RECIPE).write_text("changed"),
    ],
)
def test_a_damaged_newest_falls_back_and_says_so(
    tmp_path: Path, damage: object, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, 1)
    newest = write(tmp_path, 2)
    assert callable(damage)
    damage(newest)
    with caplog.at_level(logging.WARNING, logger="i2i"):
        assert checkpoint.find(tmp_path).step == 1
    assert f"{newest} is damaged: " in caplog.text
    assert caplog.messages[0].endswith("; using the checkpoint of step 1")
    with pytest.raises(CheckpointError, match="is damaged"):
        checkpoint.find(newest)


def test_a_later_format_is_refused(tmp_path: Path) -> None:
    state = write(tmp_path, 1) / checkpoint.STATE
    state.write_text(json.dumps(json.loads(state.read_text()) | {"format": 99}))
    with pytest.raises(CheckpointError, match="was written by a newer i2i: format 99, expected 1"):
        checkpoint.find(tmp_path)


def test_a_write_that_fails_leaves_what_stood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, 1)
    calls = {"count": 0, "fails at": 0}
    for name in ("fsync", "replace"):
        original = getattr(os, name)

        def failing(*arguments: object, original: object = original) -> object:
            calls["count"] += 1
            if calls["count"] == calls["fails at"]:
                raise OSError(28, "No space left on device")
            assert callable(original)
            return original(*arguments)

        monkeypatch.setattr(os, name, failing)
    for fails_at in range(1, 6):
        calls |= {"count": 0, "fails at": fails_at}
        with pytest.raises(
            TrainingError, match=r"step 2 cannot be written to .*: .*No space left .*; --resume continues from step 1$"
        ):
            write(tmp_path, 2)
        assert sorted(checkpoint.listed(tmp_path)) == [1]
        assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-0000001"]
    calls |= {"count": 0, "fails at": 0}
    write(tmp_path, 2)
    assert checkpoint.find(tmp_path).step == 2


def test_the_same_step_is_written_anew(tmp_path: Path) -> None:
    write(tmp_path, 1)
    write(tmp_path, 1)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-0000001"]


def test_what_killed_runs_left_goes_with_the_next_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One killed while it wrote, and one while it removed: no half of a checkpoint stands under a checkpoint's name."""
    for step in (1, 2):
        write(tmp_path, step)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)
        prune(tmp_path, 1, 2)
    (tmp_path / "checkpoints" / ".step-0000009.part").mkdir()
    assert len(list((tmp_path / "checkpoints").iterdir())) == 3
    assert sorted(checkpoint.listed(tmp_path)) == [2]
    write(tmp_path, 3)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["step-0000002", "step-0000003"]


def test_a_second_process_is_refused(cheap: dict[str, object], tmp_path: Path) -> None:
    with FileLock(tmp_path / ".lock"), pytest.raises(CheckpointError, match="is being trained by another process"):
        train(Recipe.read("pix2pix_small", cheap), tmp_path)


def test_optimizer_state_survives(tmp_path: Path) -> None:
    parameters = [torch.nn.Parameter(torch.randn(3)) for _ in range(2)]
    for make in (torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop, lambda p: torch.optim.SGD(p, 0.1, 0.9)):
        optimizer = make(parameters)
        for parameter in parameters:
            parameter.grad = torch.randn(3)
        optimizer.step()
        tensors, plain = split_optimizer(optimizer)
        fresh = make(parameters)
        join_optimizer(fresh, tensors, json.loads(json.dumps(plain)))
        before, after = optimizer.state_dict(), fresh.state_dict()
        assert before["param_groups"] == after["param_groups"]
        assert before["state"].keys() == after["state"].keys()
        for index, entries in before["state"].items():
            for name, value in entries.items():
                same = after["state"][index][name]
                assert torch.equal(value, same) if isinstance(value, torch.Tensor) else value == same


def test_any_damage_is_found_or_harmless(tmp_path: Path) -> None:
    """Bytes that are changed, cut off or put in, anywhere in a checkpoint: a message, never another error."""
    newest = write(tmp_path, 2)
    whole = {path.name: path.read_bytes() for path in newest.iterdir()}
    random = Random(0)
    harmless, told = 0, []
    for _ in range(400):
        name = random.choice(sorted(whole))
        data = bytearray(whole[name])
        place, how = random.randrange(len(data) + 1), random.choice(["flip", "cut", "put in"])
        if how == "flip" and data:
            data[place % len(data)] ^= 1 << random.randrange(8)
        elif how == "cut":
            del data[place:]
        else:
            data[place:place] = random.randbytes(3)
        (newest / name).write_bytes(data)
        try:
            found = checkpoint.find(newest)
            assert (found.step, found.state["more"], found.recipe()) == (2, 1, "")
            assert torch.equal(found.weights()["w"], WEIGHTS["w"])
            harmless += 1
        except CheckpointError as error:
            told.append(str(error))
        (newest / name).write_bytes(whole[name])
    assert all("is damaged" in line or "newer i2i" in line for line in told)
    assert harmless < 60  # blanks between the entries of state.json, or nothing cut off


@pytest.mark.parametrize(
    "state",
    [
        "[" * 100_000,
        '{"format": 1e400, "step": 1, "sha256": {}}',
        '{"format": 1, "step": NaN, "sha256": {}}',
        '{"format": 1, "step": 1, "sha256": {"../../../etc/passwd": "x"}}',
        '{"format": 1, "step": 1, "sha256": 7}',
        '{"format": null, "step": 1, "sha256": {}}',
        "\ud800",
    ],
)
def test_a_hostile_state_file_is_damage(state: str, tmp_path: Path) -> None:
    folder = write(tmp_path, 1)
    (folder / checkpoint.STATE).write_bytes(state.encode("utf-8", "surrogatepass"))
    with pytest.raises(CheckpointError, match="is damaged"):
        checkpoint.find(folder)
