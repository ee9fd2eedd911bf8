"""A checkpoint whose state was written by somebody else, checksums and all: taken, or refused with a message."""

from __future__ import annotations

import json
import struct
import time
import tracemalloc
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from i2i.engine import checkpoint
from i2i.engine.run import Run
from i2i.engine.trainer import train
from i2i.errors import CheckpointError
from i2i.nn.weight_files import load_safetensors
from i2i.recipe.recipe import Recipe
from i2i.use.loaded import load

STRANGE: tuple[Any, ...] = (
    *(None, True, -1, 7, 10**30, 0.5, float("nan"), float("inf"), "", "x", "\ud800", [], [[]], {}, {"": 0}, [1, "a"]),
    *({"0.step": "x"}, {"x.y": 1}, {"step": None, "value": {}}),
)


@pytest.fixture(scope="module")
def trained(tiny_settings: Mapping[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of one step that keeps all that a state can hold."""
    more = {"train.steps": 1, "train.ema": 0.9, "translator.pool": 2, "train.keep_best": "generator/cycle"}
    return train(Recipe.read("ugatit_small", {**tiny_settings, **more}), tmp_path_factory.mktemp("hostile") / "run")


def signed(state: dict[str, Any]) -> str:
    return json.dumps({**state, "own": checkpoint._state_checksum(state)})


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield (*path, key)
            yield from places(item, (*path, key))


@pytest.mark.thorough
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
                assert 0 <= trained.samples <= checkpoint.MAX_COUNT
                assert 0 <= trained.rollbacks <= checkpoint.MAX_COUNT
                outcomes["taken"] += 1
            except CheckpointError as error:
                outcomes["refused"] += 1
                told.append(str(error))
    (folder / checkpoint.STATE).write_text(text)
    assert [line for line in told if str(folder) not in line and not line.startswith("optimizers.")] == []
    assert min(outcomes.values()) > 50


@pytest.mark.thorough
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
            refused = pytest.raises(CheckpointError, match=r"does not fit|has other networks than")
            with suppress(CheckpointError) if may_fit else refused:
                trained.load(checkpoint.find(saved.folder))
        (saved.folder / name).write_bytes(whole)


def test_a_state_of_gigabytes_is_not_read(tmp_path: Path) -> None:
    folder = checkpoint.write(tmp_path / "checkpoints", 1, {checkpoint.WEIGHTS: {"w": torch.zeros(1)}}, {}, "")
    with (folder / checkpoint.STATE).open("r+b") as file:
        file.truncate(2**40)  # a hole, which costs no disk
    with pytest.raises(CheckpointError, match=r"state\.json has 1099511627776 bytes, expected at most"):
        checkpoint.find(folder)


HOSTILE_STATES = {
    "deep": b"[" * 2**22,
    "deeper dicts": b'{"a":' * 2**20,
    "a giant number": b'{"format": ' + b"9" * 2**20 + b"}",
    "no number": b'{"format": NaN, "step": Infinity, "sha256": {}}',
    "a billion steps too many": b'{"format": 1, "step": 1e400, "sha256": {}}',
    "half a letter": b'{"format": 1, "step": 1, "sha256": {"\\ud800": "x"}}',
    "another encoding": '{"format": 1}'.encode("utf-16"),
    "a later format": b'{"format": 99, "step": 1, "sha256": {}}',
    "zeros": bytes(2**22),
    "names of other folders": b'{"format": 1, "step": 1, "sha256": {"../../../../etc/passwd": "x"}}',
    "a million checksums": b'{"format": 1, "step": 1, "sha256": {' + b'"x": 1, ' * 2**18 + b'"y": 1}}',
}


@pytest.mark.parametrize("case", HOSTILE_STATES)
def test_a_hostile_state_is_told_quickly_in_little_memory(case: str, tmp_path: Path) -> None:
    folder = checkpoint.write(tmp_path / "checkpoints", 1, {checkpoint.WEIGHTS: {"w": torch.zeros(1)}}, {}, "")
    (folder / checkpoint.STATE).write_bytes(HOSTILE_STATES[case])
    tracemalloc.start()
    began = time.process_time()
    with pytest.raises(CheckpointError) as caught:
        checkpoint.find(tmp_path)
    assert tracemalloc.get_traced_memory()[1] < 2**27
    tracemalloc.stop()
    assert time.process_time() - began < 5
    assert len(str(caught.value)) < len(str(folder)) + 300
    assert str(caught.value).isprintable()


def header(table: Any, size: int | None = None, data: bytes = b"") -> bytes:
    text = table if isinstance(table, bytes) else json.dumps(table).encode()
    return struct.pack("<Q", len(text) if size is None else size) + text + data


def one(shape: list[int], begin: int, end: int, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


HOSTILE_TENSORS = {
    "a giant header": header({}, 2**62),
    "a header of a gigabyte": header({}, 2**30),
    "a header that is cut off": header({}, 2**20),
    "nothing": b"",
    "four bytes": b"\0\0\0\0",
    "nested": header(b"[" * 2**20),
    "nested dicts": header(b'{"a":' * 2**20),
    "overlapping": header({"a": one([2], 0, 8), "b": one([2], 4, 12)}, data=bytes(12)),
    "a hole": header({"a": one([2], 0, 8), "b": one([2], 12, 20)}, data=bytes(20)),
    "more than it has": header({"a": one([4], 0, 16)}, data=bytes(8)),
    "less than it has": header({"a": one([1], 0, 4)}, data=bytes(8)),
    "a product that overflows": header({"a": one([2**62, 2**62, 16], 0, 4)}, data=bytes(4)),
    "a product that overflows to 0": header({"a": one([2**32, 2**32], 0, 0)}),
    "backwards": header({"a": one([1], 4, 0)}, data=bytes(4)),
    "negative": header({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}, data=bytes(4)),
    "an unknown type": header({"a": one([1], 0, 4, "OBJ")}, data=bytes(4)),
    "twice": header(b'{"a":' + json.dumps(one([1], 0, 4)).encode() + b',"a":' + b'{"dtype":"F32"}}', data=bytes(4)),
    "no utf-8": header(b'{"\xff": 1}'),
}


@pytest.mark.parametrize("case", HOSTILE_TENSORS)
def test_hostile_tensors_are_told(case: str, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(HOSTILE_TENSORS[case])
    began = time.process_time()
    with pytest.raises(ValueError, match=r".") as caught:
        load_safetensors(path)
    assert time.process_time() - began < 5
    assert len(str(caught.value)) < 250


def test_weights_that_are_no_numbers_are_not_loaded(tmp_path: Path) -> None:
    checkpoint.write(tmp_path / "checkpoints", 1, {checkpoint.WEIGHTS: {"w": torch.tensor([0, float("nan")])}}, {}, "")
    with pytest.raises(CheckpointError, match="is damaged: w contains NaN or Inf; use another checkpoint"):
        checkpoint.find(tmp_path).weights()
