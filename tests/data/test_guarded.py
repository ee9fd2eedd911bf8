"""A data set that raises, gives the wrong thing or dies: one sentence that names it, and what was saved stands."""

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
from i2i.core.plugins import Plugins
from i2i.data.checked import CheckedDataset, SampleError, checked_preview, finished, sound
from i2i.data.loader import make_loader
from i2i.engine import checkpoint
from i2i.engine.trainer import train
from i2i.errors import DataError
from i2i.recipe.recipe import Recipe

GOOD = {"a": torch.zeros(3, 4, 4), "b": torch.zeros(3, 4, 4), "style": torch.tensor(1)}
BLANKS = {"a": torch.zeros(3, 4, 4), "b": torch.zeros(3, 4, 4), "style": torch.tensor(0)}


class Gives:
    """A data set of one sample, or of what calling it gives."""

    def __init__(self, sample: Any) -> None:
        self.sample = sample

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
        (GOOD | {"style": torch.tensor(1.0)}, "style: expected whole numbers [], got float32 []"),
        (GOOD | {"b": torch.full((3, 4, 4), float("nan"))}, "b: expected numbers in [-1, 1], got NaN"),
        (GOOD | {"b": torch.full((3, 4, 4), 255.0)}, "b: expected numbers in [-1, 1], got up to 255"),
        (GOOD | {"b": torch.full((3, 4, 4), float("-inf"))}, "b: expected numbers in [-1, 1], got up to inf"),
        (GOOD | {"b": torch.zeros(3, 4, 4).to_sparse()}, "b: expected a plain tensor on the CPU, got torch.sparse_coo"),
        (GOOD | {"b": torch.zeros(3, 4, 4, device="meta")}, "b: expected a plain tensor on the CPU, got torch.strided"),
        (GOOD | {"skipped": "x.png"}, "skipped: expected a list of sentences, got str"),
    ],
)
def test_what_is_wrong_with_a_sample_is_said(sample: Any, said: str) -> None:
    found = CheckedDataset(Gives(sample), "mine", BLANKS)[7]
    assert isinstance(found, SampleError)
    assert said in found.message
    if "none can be read" not in said:
        assert found.message.startswith(f"dataset 'mine' ({Gives.__module__}.Gives): sample 7: ")
        assert found.message.endswith("What was saved stands; mend the data set and go on with --resume")
    with pytest.raises(DataError) as caught:
        sound(found)
    assert str(caught.value) == found.message


def test_what_a_worker_could_not_send_is_left_out() -> None:
    sample = GOOD | {"a": torch.zeros(3, 4, 4, requires_grad=True) * 1, "file": lambda: None, "skipped": ["x.png"]}
    batch = next(iter(make_loader(CheckedDataset(Gives(sample), "mine", BLANKS), batch_size=2, workers=1)))
    assert list(batch) == ["a", "b", "style", "skipped"]
    assert not pickle.loads(pickle.dumps(batch))["a"].requires_grad


class Leaves(Gives):
    """A data set that leaves work to the device."""

    def device_transform(self, batch: dict[str, Tensor], seeds: Tensor) -> dict[str, Tensor]:
        return batch | {"a": batch["a"] + seeds.view(-1, 1, 1, 1)}


def test_seeds_go_to_the_data_set_that_has_a_use_for_them() -> None:
    sample = GOOD | {"seeds": torch.tensor(3)}
    assert "seeds" not in CheckedDataset(Gives(sample), "mine", BLANKS)[0]
    batch = next(iter(make_loader(CheckedDataset(Leaves(sample), "mine", BLANKS), batch_size=2)))
    found = finished(Leaves(sample), sound(batch), torch.device("cpu"))
    assert torch.equal(found["a"], torch.full((2, 3, 4, 4), 3.0))
    assert torch.equal(found["style"], torch.tensor([1, 1]))
    assert finished(Gives(sample), batch, torch.device("cpu")) is batch  # a stream of that name is its own affair
    wrong = CheckedDataset(Leaves(GOOD | {"seeds": torch.tensor(0.5)}), "mine", BLANKS)[0]
    assert isinstance(wrong, SampleError)
    assert "seeds: expected whole numbers [], got float32 []" in wrong.message


@pytest.mark.parametrize(
    ("preview", "said"),
    [
        (raising(OSError(5, "no such disk")), "preview: OSError: [Errno 5] no such disk ("),
        (None, "preview: expected a dict of tensors, got NoneType"),
        ({"a": torch.zeros(3, 4, 4)}, "preview: a: expected floats [3, 3, 4], got float32 [3, 4, 4]"),
        ({"a": None}, "preview: a: expected a tensor of floats"),
        ({"a": torch.zeros(2, 3, 4, 4, dtype=torch.int64)}, "preview: a: expected floats [2, 3, 4, 4], got int64"),
    ],
)
def test_what_is_wrong_with_the_preview_is_said(preview: Any, said: str) -> None:
    with pytest.raises(DataError) as caught:
        checked_preview(Gives(preview), "mine", 2)
    assert said in str(caught.value)


class Falls:
    """Sound samples up to the fifth."""

    domains = ("a", "b")

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
        ("kill", 1, "lower train.workers or data.cache; otherwise see what the data set does with train.workers=0"),
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
    assert "What was saved stands" in str(caught.value)
    stands = sorted(checkpoint.listed(tmp_path / "run"))  # a worker dies ahead of the step that needs its sample
    assert stands == [3, 4, 5] if how in ("raise", "small") else all(step <= 5 for step in stands)
    assert not stands or checkpoint.find(tmp_path / "run").step == stands[-1]
