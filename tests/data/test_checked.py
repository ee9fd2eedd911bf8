"""A data set that raises, returns something wrong or ends its process: one sentence, and checkpoints are kept."""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from i2i.core import kinds
from i2i.core.contracts import Stream
from i2i.core.plugins import Plugins
from i2i.data.base import ImageDataset
from i2i.data.checked import (
    CheckedDataset,
    SampleError,
    apply_device_transform,
    checked_preview,
    find_problem,
    raise_if_error,
)
from i2i.data.loader import make_loader
from i2i.engine import checkpoint
from i2i.engine.trainer import train
from i2i.errors import DataError
from i2i.recipe.recipe import Recipe

GOOD = {"a": torch.zeros(3, 4, 4), "b": torch.zeros(3, 4, 4), "style": torch.tensor(1)}
STREAMS = {"a": Stream(size=(4, 4)), "b": Stream(size=(4, 4)), "style": Stream("label", 3)}


class Gives(ImageDataset):
    """A data set of one sample, or of what calling it gives."""

    def __init__(self, sample: Any) -> None:
        self.sample, self.size = sample, 4

    def __getitem__(self, number: int) -> Any:
        return self.sample() if callable(self.sample) else self.sample

    def preview(self, count: int) -> Any:
        return self.sample() if callable(self.sample) else self.sample


def raising(error: BaseException) -> Callable[[], Any]:
    def raises() -> None:
        raise error

    return raises


@pytest.mark.parametrize(
    ("sample", "said"),
    [
        (raising(KeyError("photo")), "KeyError: 'photo' (" + __file__),
        (raising(RecursionError("deep")), "RecursionError: deep ("),
        (raising(StopIteration()), "StopIteration:  ("),
        (raising(SystemExit(3)), "SystemExit: 3 ("),
        (raising(MemoryError()), "MemoryError:  ("),
        (raising(ValueError("one\ntwo\nthree\nfour")), "ValueError: one; two; three ("),
        (raising(DataError("none can be read")), "none can be read"),
        (None, "expected a dict of tensors, got NoneType"),
        ([GOOD["a"], GOOD["b"]], "expected a dict of tensors, got list"),
        ({"a": GOOD["a"]}, "gives a; the translator needs b, style too"),
        (GOOD | {"a": [1.0]}, "a: expected a tensor of floats [3, 4, 4], got list"),
        (GOOD | {"a": torch.zeros(3, 4, 5)}, "a: expected floats [3, 4, 4], got float32 [3, 4, 5]"),
        (GOOD | {"a": torch.zeros(4, 4)}, "a: expected floats [3, 4, 4], got float32 [4, 4]"),
        (GOOD | {"a": torch.zeros(3, 4, 4, dtype=torch.uint8)}, "a: expected floats [3, 4, 4], got uint8 [3, 4, 4]"),
        (GOOD | {"style": torch.tensor(1.0)}, "style: expected integers [], got float32 []"),
        (GOOD | {"b": torch.full((3, 4, 4), float("nan"))}, "b: expected numbers in [-1, 1], got NaN"),
        (GOOD | {"b": torch.full((3, 4, 4), 255.0)}, "b: expected numbers in [-1, 1], got up to 255"),
        (GOOD | {"b": torch.full((3, 4, 4), float("-inf"))}, "b: expected numbers in [-1, 1], got down to -inf"),
        (GOOD | {"b": torch.zeros(3, 4, 4).to_sparse()}, "b: expected a dense tensor on the CPU, got torch.sparse_coo"),
        (GOOD | {"b": torch.zeros(3, 4, 4, device="meta")}, "b: expected a dense tensor on the CPU, got torch.strided"),
        (GOOD | {"style": torch.tensor(3)}, "style: expected class numbers from 0 to 2, got 3 to 3"),
        (GOOD | {"style": torch.tensor(-1)}, "style: expected class numbers from 0 to 2, got -1 to -1"),
        (GOOD | {"skipped": "x.png"}, "skipped: expected a list of sentences, got str"),
    ],
)
def test_what_is_wrong_with_a_sample_is_said(sample: Any, said: str) -> None:
    found = CheckedDataset(Gives(sample), "mine", STREAMS)[7]
    assert isinstance(found, SampleError)
    assert said in found.message
    if "none can be read" not in said:
        assert found.message.startswith(f"dataset 'mine' ({Gives.__module__}.Gives): sample 7: ")
        assert found.message.endswith(
            "Checkpoints written so far are kept; fix the data set and continue with --resume"
        )
    with pytest.raises(DataError) as caught:
        raise_if_error(found)
    assert str(caught.value) == found.message


@pytest.mark.parametrize(
    ("stream", "value", "problem"),
    [
        (Stream(channels=5, size=(4, 6)), torch.zeros(5, 4, 6), None),
        (Stream(channels=5, size=(4, 6)), torch.zeros(5, 6, 4), "expected floats [5, 4, 6], got float32 [5, 6, 4]"),
        (Stream(channels=5), torch.zeros(5, 7, 9), None),
        (Stream(channels=5), torch.zeros(3, 7, 9), "expected floats [5, H, W], got float32 [3, 7, 9]"),
        (Stream(), torch.full((3, 2, 2), 2.9), None),
        (Stream(), torch.full((3, 2, 2), -3.1), "expected numbers in [-1, 1], got down to -3.1"),
        (Stream(range=(0, 4095)), torch.full((3, 2, 2), 4000.0), None),
        (Stream(range=(0, 4095)), torch.full((3, 2, 2), 9000.0), "expected numbers in [0, 4095], got up to 9000"),
        (Stream("mask", 1, (2, 2), (0, 1)), torch.ones(1, 2, 2), None),
        (Stream("mask", 1, (2, 2), (0, 1)), torch.full((1, 2, 2), 255.0), "expected numbers in [0, 1], got up to 255"),
        (Stream("mask", 1, (2, 2)), torch.ones(1, 2, 2).bool(), "expected floats [1, 2, 2], got bool [1, 2, 2]"),
        (Stream("label", 4), torch.tensor(3), None),
        (Stream("label", 0), torch.tensor(10**6), None),
        (Stream("label", 4, (2, 2)), torch.tensor([[0, 1], [2, 3]]), None),
        (Stream("label", 4, (2, 2)), torch.tensor(0), "expected integers [2, 2], got int64 []"),
        (Stream("label", 4, (2, 2)), torch.tensor([[0, 1], [2, 4]]), "expected class numbers from 0 to 3, got 0 to 4"),
        (Stream("raw"), torch.zeros(2, dtype=torch.complex64), None),
        (Stream("raw"), {"x": 1}, "expected a tensor, got dict"),
    ],
)
def test_a_value_is_compared_with_its_stream(stream: Stream, value: object, problem: str | None) -> None:
    assert find_problem(value, stream) == problem


def test_what_a_worker_could_not_send_is_left_out() -> None:
    sample = GOOD | {"a": torch.zeros(3, 4, 4, requires_grad=True) * 1, "file": lambda: None, "skipped": ["x.png"]}
    batch = next(iter(make_loader(CheckedDataset(Gives(sample), "mine", STREAMS), batch_size=2, workers=1)))
    assert list(batch) == ["a", "b", "style", "skipped"]
    assert not pickle.loads(pickle.dumps(batch))["a"].requires_grad


class Leaves(Gives):
    """A data set that leaves work to the device."""

    def device_transform(self, batch: dict[str, Tensor], seeds: Tensor) -> dict[str, Tensor]:
        return batch | {"a": batch["a"] + seeds.view(-1, 1, 1, 1)}


def test_seeds_go_to_the_data_set_that_has_a_use_for_them() -> None:
    sample = GOOD | {"seeds": torch.tensor(3)}
    assert "seeds" not in CheckedDataset(Gives(sample), "mine", STREAMS)[0]
    batch = next(iter(make_loader(CheckedDataset(Leaves(sample), "mine", STREAMS), batch_size=2)))
    found = apply_device_transform(Leaves(sample), raise_if_error(batch), torch.device("cpu"))
    assert torch.equal(found["a"], torch.full((2, 3, 4, 4), 3.0))
    assert torch.equal(found["style"], torch.tensor([1, 1]))
    assert (
        apply_device_transform(Gives(sample), batch, torch.device("cpu")) is batch
    )  # a stream of that name is its own affair
    wrong = CheckedDataset(Leaves(GOOD | {"seeds": torch.tensor(0.5)}), "mine", STREAMS)[0]
    assert isinstance(wrong, SampleError)
    assert "seeds: expected integers, got float32 []" in wrong.message


@pytest.mark.parametrize(
    ("preview", "said"),
    [
        (raising(OSError(5, "no such disk")), "preview: OSError: [Errno 5] no such disk ("),
        (None, "preview: expected a dict of tensors, got NoneType"),
        ({"a": torch.zeros(3, 4, 4)}, "preview: a: expected floats [n, 3, H, W], got float32 [3, 4, 4]"),
        ({"a": None}, "preview: a: expected a tensor of floats [n, 3, H, W], got NoneType"),
        (
            {"a": torch.zeros(2, 3, 4, 4, dtype=torch.int64)},
            "preview: a: expected floats [n, 3, H, W], got int64 [2, 3, 4, 4]",
        ),
    ],
)
def test_what_is_wrong_with_the_preview_is_said(preview: Any, said: str) -> None:
    with pytest.raises(DataError) as caught:
        checked_preview(Gives(preview), "mine", 2)
    assert said in str(caught.value)


class Falls(ImageDataset):
    """Sound samples up to the fifth."""

    def __init__(self, size: int = 32, how: str = "raise", seed: int = 0) -> None:
        self.size, self.how = size, how

    def __len__(self) -> int:
        return 9

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        image = torch.full((3, self.size, self.size), number / 10)
        if number == 5 and self.how == "raise":
            raise KeyError("photo")
        if number == 5 and self.how == "exit":
            os._exit(3)
        if number == 5 and self.how == "kill":  # what a system does that runs out of memory
            os.kill(os.getpid(), signal.SIGKILL)
        return {"a": image, "b": image[:, : 30 if number == 5 and self.how == "small" else None]}

    def preview(self, count: int) -> dict[str, Tensor]:
        return {domain: torch.zeros(count, 3, self.size, self.size) for domain in self.domains}


@pytest.mark.parametrize(
    ("how", "workers", "said"),
    [
        ("raise", 0, "sample 5: KeyError: 'photo' ("),
        ("raise", 2, "sample 5: KeyError: 'photo' ("),
        ("small", 1, "sample 5: b: expected floats [3, 32, 32], got float32 [3, 30, 32]"),
        ("exit", 2, "dataset 'falls' with 2 workers: DataLoader worker"),
        ("kill", 1, "lower train.workers or data.cache"),
    ],
)
def test_a_run_stops_with_a_sentence_and_keeps_what_it_had(
    how: str, workers: int, said: str, cheap: dict[str, Any], tmp_path: Path
) -> None:
    registry = Plugins({}).registry
    registry.add(kinds.DATASET, "falls", Falls, plugin="strange")
    more = {"data": {"type": "falls", "size": 32, "how": how}, "train.workers": workers, "train.checkpoint_every": 1}
    settings = {key: value for key, value in cheap.items() if not key.startswith("data.")} | more
    with pytest.raises(DataError) as caught:
        train(Recipe.read("pix2pix_small", settings | {"train.batch_size": 1}, registry), tmp_path / "run")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert how in ("exit", "kill") or "Checkpoints written so far are kept" in str(caught.value)
    stands = sorted(checkpoint.listed(tmp_path / "run"))  # a worker dies ahead of the step that needs its sample
    assert stands == [3, 4, 5] if how in ("raise", "small") else all(step <= 5 for step in stands)
    assert not stands or checkpoint.find(tmp_path / "run").step == stands[-1]
