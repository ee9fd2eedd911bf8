"""A stranger's data set, of which each sample is looked at and each error told in a sentence."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from i2i.errors import DataError, I2IError

WIDE = 3.0
"""Images lie in [-1, 1]; resampling and augmentation overshoot a little, forgotten scaling a lot."""
REMEDY = "What was saved stands; mend the data set and go on with --resume"


@dataclass(frozen=True)
class SampleError:
    """What is wrong with a sample, in place of its batch: from a worker an exception would come with its traceback."""

    message: str


class CheckedDataset:
    """A data set whose samples hold what a translator needs and nothing else, or are a `SampleError`.

    Args:
        dataset: anything with `__getitem__`.
        name: what the recipe calls it.
        blanks: by stream one sample whose shape, and whether it holds floats, the data set's must have.
    """

    def __init__(self, dataset: Any, name: str, blanks: Mapping[str, Tensor]) -> None:
        self.dataset = dataset
        self.what = f"dataset {name!r} ({type(dataset).__module__}.{type(dataset).__qualname__})"
        self.needs = {stream: (tuple(one.shape), one.is_floating_point()) for stream, one in blanks.items()}

    def __getitem__(self, number: int) -> dict[str, Any] | SampleError:
        try:
            with told(self.dataset, f"{self.what}: sample {number}"):
                return self._checked(self.dataset[number], f"{self.what}: sample {number}")
        except I2IError as error:
            return SampleError(str(error))

    def _checked(self, sample: object, where: str) -> dict[str, Any]:
        if not isinstance(sample, Mapping):
            raise DataError(f"{where}: expected a dict of tensors, got {type(sample).__name__}. {REMEDY}")
        if missing := [stream for stream in self.needs if stream not in sample]:
            found = ", ".join(map(str, sample)) or "nothing"
            raise DataError(f"{where}: gives {found}; the translator needs {', '.join(missing)} too. {REMEDY}")
        checked: dict[str, Any] = {}
        for stream, (shape, floats) in self.needs.items():
            checked[stream] = value = sample[stream]
            if fault := _fault(value, shape, floats):
                raise DataError(f"{where}: {stream}: {fault}. {REMEDY}")
            checked[stream] = value.detach()  # one that requires a gradient cannot come from a worker
        skipped = sample.get("skipped", [])
        if not isinstance(skipped, list) or not all(isinstance(line, str) for line in skipped):
            raise DataError(f"{where}: skipped: expected a list of sentences, got {type(skipped).__name__}. {REMEDY}")
        return checked | {"skipped": skipped} | self._seeds(sample, where)

    def _seeds(self, sample: Mapping[str, Any], where: str) -> dict[str, Tensor]:
        """What the data set's `device_transform` will be given, if it has left anything to it."""
        seeds = sample.get("seeds")
        if seeds is None or not hasattr(self.dataset, "device_transform"):
            return {}
        if fault := _fault(seeds, tuple(getattr(seeds, "shape", ())), floats=False):
            raise DataError(f"{where}: seeds: {fault}. {REMEDY}")
        return {"seeds": seeds}


def _fault(value: object, shape: tuple[int, ...], floats: bool) -> str | None:
    wanted = f"{'floats' if floats else 'whole numbers'} {list(shape)}"
    if not isinstance(value, Tensor):
        return f"expected a tensor of {wanted}, got {type(value).__name__}"
    if value.layout != torch.strided or value.device.type != "cpu":
        return f"expected a plain tensor on the CPU, got {value.layout} on {value.device}"
    if tuple(value.shape) != shape or value.is_floating_point() != floats or value.is_complex():
        return f"expected {wanted}, got {str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
    if floats and value.numel():
        largest = float(value.detach().abs().max())
        if not largest <= WIDE:
            return f"expected numbers in [-1, 1], got {'NaN' if largest != largest else f'up to {largest:g}'}"
    return None


def checked_preview(dataset: Any, name: str, count: int) -> dict[str, Tensor]:
    """The fixed images of a data set, [n, 3, H, W] by domain.

    Raises:
        DataError: it fails, or gives something else.
    """
    where = f"dataset {name!r} ({type(dataset).__module__}.{type(dataset).__qualname__}): preview"
    with told(dataset, where):
        found = dataset.preview(count)
    if not isinstance(found, Mapping):
        raise DataError(f"{where}: expected a dict of tensors, got {type(found).__name__}. {REMEDY}")
    for domain, images in found.items():
        size = tuple(images.shape[2:]) if isinstance(images, Tensor) else ()
        if fault := _fault(images, (len(images) if size else 1, 3, *(size or (0, 0))), floats=True):
            raise DataError(f"{where}: {domain}: {fault}. {REMEDY}")
    return dict(found)


@contextmanager
def told(dataset: object, where: str) -> Iterator[None]:
    """Names what a data set raises, and the place in its code.

    Raises:
        DataError: instead of anything that is not in words already.
    """
    try:
        yield
    except I2IError:
        raise
    except (Exception, SystemExit) as error:  # a stranger's code; an exit without a word would be worse
        what = "; ".join(str(error).split("\n")[:3])
        raise DataError(f"{where}: {type(error).__name__}: {what} ({_place(dataset, error)}). {REMEDY}") from error


def _place(dataset: object, error: BaseException) -> str:
    """The deepest line of the data set's own files; where there is none, of any."""
    frames = traceback.extract_tb(error.__traceback__)
    module = sys.modules.get(type(dataset).__module__)
    home = Path(getattr(module, "__file__", None) or "/").parent
    own = [frame for frame in frames if Path(frame.filename).parent == home]
    frame = (own or frames)[-1]
    return f"{frame.filename}:{frame.lineno} in {frame.name}"


def finished(dataset: Any, batch: dict[str, Any], device: torch.device) -> dict[str, Any]:
    """A batch with what the data set has left to the device that trains; for most as it is.

    Raises:
        DataError: the data set fails.
    """
    seeds = batch.get("seeds") if hasattr(dataset, "device_transform") else None
    if seeds is None:
        return batch
    placed = {
        stream: value.to(device, non_blocking=True)
        for stream, value in batch.items()
        if isinstance(value, Tensor) and stream != "seeds"
    }
    where = f"dataset ({type(dataset).__module__}.{type(dataset).__qualname__}): device_transform"
    with told(dataset, where), torch.no_grad():
        made: dict[str, Any] = batch | dataset.device_transform(placed, seeds)
        return made


def or_error(join: Callable[[Sequence[Any]], dict[str, Any]], samples: Sequence[Any]) -> dict[str, Any] | SampleError:
    """A batch of sound samples; otherwise the first fault."""
    for sample in samples:
        if isinstance(sample, SampleError):
            return sample
    try:
        return join(samples)
    except I2IError as error:
        return SampleError(str(error))


def sound(batch: Any) -> dict[str, Any]:
    """A batch as it came from the loader.

    Raises:
        DataError: it is a fault.
    """
    if isinstance(batch, SampleError):
        raise DataError(batch.message)
    found: dict[str, Any] = batch
    return found
