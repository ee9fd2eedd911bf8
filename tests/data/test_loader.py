"""Batches are the same for any number of workers and processes, and after any resume."""

from __future__ import annotations

import multiprocessing
import os
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from i2i.data.folders import Folders
from i2i.data.loader import collate, make_loader, reading
from i2i.data.sampler import InfiniteBatchSampler
from i2i.errors import DataError


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    root = tmp_path_factory.mktemp("data")
    random = np.random.Generator(np.random.PCG64(0))
    for name, count in (("trainA", 5), ("trainB", 3)):
        (root / name).mkdir()
        for number in range(count):
            Image.fromarray(random.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(root / name / f"{number}.png")
    (root / "trainA" / "2.png").write_bytes(b"damaged")
    return Folders(root=root, size=8)


def batches(folders: Folders, count: int, **options: Any) -> list[dict[str, Any]]:
    return list(islice(make_loader(folders, **options), count))


def assert_same(first: list[dict[str, Any]], second: list[dict[str, Any]]) -> None:
    assert len(first) == len(second)
    for one, two in zip(first, second, strict=True):
        assert one["skipped"] == two["skipped"]
        assert torch.equal(one["a"], two["a"])
        assert torch.equal(one["b"], two["b"])


def test_numbers_follow_the_formula() -> None:
    for rank in range(2):
        drawn = iter(InfiniteBatchSampler(batch_size=3, first_sample=168, processes=2, rank=rank))
        for batch in range(8):
            first = 168 + (batch * 2 + rank) * 3
            assert next(drawn) == [first, first + 1, first + 2]


def test_no_number_is_left_out_or_drawn_twice() -> None:
    drawn = [islice(InfiniteBatchSampler(2, 0, 4, rank), 6) for rank in range(4)]
    assert sorted(number for batches in drawn for batch in batches for number in batch) == list(range(48))


def test_batch(folders: Folders) -> None:
    (batch,) = batches(folders, 1, batch_size=4)
    assert list(batch) == ["a", "b", "skipped"]
    assert batch["a"].shape == batch["b"].shape == (4, 3, 8, 8)
    lines = [f"cannot read {folders.train['a'].items[2][0]}: its bytes are of no known image format"]
    assert {line.split(",")[0] for line in batch["skipped"]} <= set(lines)


def test_workers_change_nothing(folders: Folders) -> None:
    alone = batches(folders, 8, batch_size=2)
    assert any(batch["skipped"] for batch in alone)
    assert_same(alone, batches(folders, 8, batch_size=2, workers=2))


def test_resuming_gives_the_tail(folders: Folders) -> None:
    whole = batches(folders, 10, batch_size=2)
    assert_same(whole[6:], batches(folders, 4, batch_size=2, first_sample=12))


def test_two_processes_equal_one_with_the_double_batch(folders: Folders) -> None:
    whole = batches(folders, 4, batch_size=4)
    parts = zip(*(batches(folders, 4, batch_size=2, processes=2, rank=rank) for rank in range(2)), strict=True)
    assert_same(whole, [{key: join(key, pair) for key in pair[0]} for pair in parts])


def test_micro_batches_equal_one_large_batch(folders: Folders) -> None:
    whole = batches(folders, 3, batch_size=4)
    halves = batches(folders, 6, batch_size=2)
    pairs = zip(halves[::2], halves[1::2], strict=True)
    assert_same(whole, [{key: join(key, pair) for key in pair[0]} for pair in pairs])


def join(key: str, pair: tuple[dict[str, Any], ...]) -> Any:
    return [line for batch in pair for line in batch[key]] if key == "skipped" else torch.cat([p[key] for p in pair])


@pytest.mark.parametrize("workers", [0, 1])
def test_global_random_numbers_are_left_alone(folders: Folders, workers: int) -> None:
    before = torch.get_rng_state()
    batches(folders, 2, batch_size=1, workers=workers)
    assert torch.equal(before, torch.get_rng_state())


class Threads:
    def __len__(self) -> int:
        return 1

    def __getitem__(self, number: int) -> dict[str, Any]:
        return {"threads": torch.get_num_threads(), "number": number}

    def preview(self, count: int) -> dict[str, Tensor]:
        return {}


def test_workers_have_one_thread() -> None:
    loader = make_loader(Threads(), batch_size=2, workers=1)
    assert next(iter(loader)) == {"threads": [1, 1], "number": [0, 1]}


def test_collate_names_what_does_not_fit() -> None:
    samples = [{"a": torch.zeros(3, 8, 8)}, {"a": torch.zeros(3, 8, 9)}]
    text = "samples of one batch: expected 'a' in one shape, got [(3, 8, 8), (3, 8, 9)]; resize them alike"
    with pytest.raises(DataError) as caught:
        collate(samples)
    assert str(caught.value) == text


def test_workers_end_with_the_reading(folders: Folders) -> None:
    before = multiprocessing.active_children()
    with reading(make_loader(folders, batch_size=2, workers=2)) as read:
        next(read)
        assert len(multiprocessing.active_children()) == len(before) + 2
    assert multiprocessing.active_children() == before  # though `read` is still there, as in an error's traceback


class ExitsOnce(Threads):
    def __getitem__(self, number: int) -> dict[str, Any]:
        if number == 5:
            os._exit(1)
        return super().__getitem__(number)


def test_workers_end_while_an_error_is_held() -> None:
    before = multiprocessing.active_children()
    with (
        pytest.raises(RuntimeError, match="DataLoader worker") as caught,
        reading(make_loader(ExitsOnce(), batch_size=1, workers=2)) as read,
    ):
        list(read)
    assert multiprocessing.active_children() == before
    assert caught.tb is not None


def test_workers_end_when_the_block_fails() -> None:
    before = multiprocessing.active_children()

    def fail() -> None:
        with reading(make_loader(Threads(), batch_size=1, workers=1)) as read:
            next(read)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert multiprocessing.active_children() == before
