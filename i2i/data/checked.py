"""Checks of what a data set returns, so that an error in it is one sentence that names it."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from i2i.core.contracts import Stream
from i2i.errors import DataError, I2IError

REMEDY = "Checkpoints written so far are kept; fix the data set and continue with --resume"


@dataclass(frozen=True)
class SampleError:
    """What is wrong with a sample, in place of the sample: an exception from a worker would come with its traceback.

    Args:
        message: one sentence that names the data set and the sample.
    """

    message: str


class CheckedDataset:
    """A data set whose samples are reduced to the needed streams and checked; a wrong one becomes a `SampleError`.

    Args:
        dataset: anything with `__getitem__`.
        name: what the recipe calls it.
        streams: the specification that each needed stream must match.
    """

    def __init__(self, dataset: Any, name: str, streams: Mapping[str, Stream]) -> None:
        self.dataset = dataset
        self.description = _describe(dataset, name)
        self.streams = dict(streams)

    def __getitem__(self, number: int) -> dict[str, Any] | SampleError:
        where = f"{self.description}: sample {number}"
        try:
            with describe_errors(self.dataset, where):
                return self._checked(self.dataset[number], where)
        except I2IError as error:
            return SampleError(str(error))

    def _checked(self, sample: object, where: str) -> dict[str, Any]:
        if not isinstance(sample, Mapping):
            raise DataError(f"{where}: expected a dict of tensors, got {type(sample).__name__}. {REMEDY}")
        if missing := [stream for stream in self.streams if stream not in sample]:
            keys = ", ".join(map(str, sample)) or "nothing"
            raise DataError(f"{where}: gives {keys}; the translator needs {', '.join(missing)} too. {REMEDY}")
        checked: dict[str, Any] = {}
        for stream, specification in self.streams.items():
            value = sample[stream]
            if problem := find_problem(value, specification):
                raise DataError(f"{where}: {stream}: {problem}. {REMEDY}")
            checked[stream] = value.detach()  # a tensor that requires a gradient cannot be sent by a worker
        skipped = sample.get("skipped", [])
        if not isinstance(skipped, list) or not all(isinstance(line, str) for line in skipped):
            raise DataError(f"{where}: skipped: expected a list of sentences, got {type(skipped).__name__}. {REMEDY}")
        return checked | {"skipped": skipped} | self._seeds(sample, where)

    def _seeds(self, sample: Mapping[str, Any], where: str) -> dict[str, Tensor]:
        """What the data set's `device_transform` needs, if it has one."""
        seeds = sample.get("seeds")
        if seeds is None or not hasattr(self.dataset, "device_transform"):
            return {}
        if problem := _tensor_problem(seeds, "integers", None):
            raise DataError(f"{where}: seeds: {problem}. {REMEDY}")
        return {"seeds": seeds}


def find_problem(value: object, stream: Stream) -> str | None:
    """How a value of one sample differs from its stream's specification, as the end of a sentence; None if it matches.

    Images and masks may exceed their range by its width, for resampling and augmentation overshoot a little; values
    that were never scaled exceed it by far.
    """
    if stream.role == "raw":
        return _tensor_problem(value, None, None)
    if stream.role == "label":
        shape: tuple[int | str, ...] = stream.size or ()
        if problem := _tensor_problem(value, "integers", shape):
            return problem
        assert isinstance(value, Tensor)
        if stream.channels and value.numel() and not 0 <= int(value.min()) <= int(value.max()) < stream.channels:
            largest = stream.channels - 1
            return f"expected class numbers from 0 to {largest}, got {int(value.min())} to {int(value.max())}"
        return None
    if problem := _tensor_problem(value, "floats", (stream.channels, *(stream.size or ("H", "W")))):
        return problem
    assert isinstance(value, Tensor)
    if not value.numel():
        return None
    low, high = stream.range
    least, most = (float(extreme) for extreme in value.detach().aminmax())
    if low - (high - low) <= least and most <= high + (high - low):
        return None
    if least != least or most != most:
        got = "NaN"
    else:
        got = f"up to {most:g}" if high - most < least - low else f"down to {least:g}"
    return f"expected numbers in [{low:g}, {high:g}], got {got}"


def _tensor_problem(value: object, dtype: str | None, shape: tuple[int | str, ...] | None) -> str | None:
    """How a value differs from a dense CPU tensor; letters in `shape` stand for any length."""
    sides = "" if shape is None else f"[{', '.join(map(str, shape))}]"
    wanted = " ".join(filter(None, (dtype, sides)))
    if not isinstance(value, Tensor):
        return f"expected a tensor{' of ' if wanted else ''}{wanted}, got {type(value).__name__}"
    if value.layout != torch.strided or value.device.type != "cpu":
        return f"expected a dense tensor on the CPU, got {value.layout} on {value.device}"
    fits = shape is None or (
        value.ndim == len(shape)
        and all(isinstance(side, str) or side == own for side, own in zip(shape, value.shape, strict=True))
    )
    if dtype == "floats":
        fits = fits and value.is_floating_point()
    elif dtype == "integers":
        fits = fits and not value.is_floating_point() and not value.is_complex()
    return None if fits else f"expected {wanted}, got {str(value.dtype).removeprefix('torch.')} {list(value.shape)}"


def checked_preview(dataset: Any, name: str, count: int) -> dict[str, Tensor]:
    """The fixed images of a data set, [n, C, H, W] by domain, and labels that belong to them, [n] or [n, H, W].

    Raises:
        DataError: it fails, or returns something else.
    """
    where = f"{_describe(dataset, name)}: preview"
    with describe_errors(dataset, where):
        images_by_domain = dataset.preview(count)
        streams = dataset.streams
    if not isinstance(images_by_domain, Mapping):
        raise DataError(f"{where}: expected a dict of tensors, got {type(images_by_domain).__name__}. {REMEDY}")
    for domain, images in images_by_domain.items():
        stream = streams.get(domain, Stream())
        if stream.role == "label":
            problem = _tensor_problem(images, "integers", ("n", *(stream.size or ())))
        else:
            problem = _tensor_problem(images, "floats", ("n", stream.channels, "H", "W"))
            stream = replace(stream, size=None)
        for image in images if problem is None else ():
            problem = problem or find_problem(image, stream)
        if problem:
            raise DataError(f"{where}: {domain}: {problem}. {REMEDY}")
    return dict(images_by_domain)


@contextmanager
def describe_errors(dataset: object, where: str) -> Iterator[None]:
    """Turns what a data set raises into a sentence with the place in its code.

    Args:
        dataset: whose code runs in the block.
        where: the beginning of the sentence.

    Raises:
        DataError: instead of anything but an `I2IError`.
    """
    try:
        yield
    except I2IError:
        raise
    except (Exception, SystemExit) as error:  # code of a plugin may raise anything, and must not end the process
        what = "; ".join(str(error).split("\n")[:3])
        raise DataError(f"{where}: {type(error).__name__}: {what} ({_place(dataset, error)}). {REMEDY}") from error


def _describe(dataset: object, name: str) -> str:
    return f"dataset {name!r} ({type(dataset).__module__}.{type(dataset).__qualname__})"


def _place(dataset: object, error: BaseException) -> str:
    """The deepest line in the data set's own files; if there is none, the deepest of all."""
    frames = traceback.extract_tb(error.__traceback__)
    module = sys.modules.get(type(dataset).__module__)
    home = Path(getattr(module, "__file__", None) or "/").parent
    frame = ([frame for frame in frames if Path(frame.filename).parent == home] or frames)[-1]
    return f"{frame.filename}:{frame.lineno} in {frame.name}"


def collate_or_error(
    collate: Callable[[Sequence[Any]], dict[str, Any]], samples: Sequence[Any]
) -> dict[str, Any] | SampleError:
    """A batch of samples, or the first error among them."""
    for sample in samples:
        if isinstance(sample, SampleError):
            return sample
    try:
        return collate(samples)
    except I2IError as error:
        return SampleError(str(error))


def raise_if_error(batch: Any) -> dict[str, Any]:
    """A batch as it came from the loader.

    Raises:
        DataError: it is a `SampleError`.
    """
    if isinstance(batch, SampleError):
        raise DataError(batch.message)
    checked: dict[str, Any] = batch
    return checked


def apply_device_transform(dataset: Any, batch: dict[str, Any], device: torch.device) -> dict[str, Any]:
    """A batch after the data set's `device_transform`, or unchanged if it has none.

    Args:
        dataset: the data set that the batch came from.
        batch: its streams, and `seeds` if there is anything to do.
        device: where the transform runs.

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
    with describe_errors(dataset, where), torch.no_grad():
        transformed: dict[str, Any] = batch | dataset.device_transform(placed, seeds)
        return transformed
