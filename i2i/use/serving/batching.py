"""Translate images of concurrent requests together, and run the actions of panels, in one thread."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from i2i.errors import is_out_of_memory
from i2i.use.loaded import Loaded


class Translated(NamedTuple):
    """One translated image.

    Args:
        image: [3, H, W] in [-1, 1].
        heatmap: [1, h, w] in [0, 1]; None for generators without attention.
    """

    image: Tensor
    heatmap: Tensor | None


@dataclass(eq=False)
class _Job:
    loaded: Loaded
    image: Tensor
    to: str
    condition: Mapping[str, Any]
    key: object
    future: Future[Translated] = field(default_factory=Future)


@dataclass(eq=False)
class Call:
    """A function that waits for the thread.

    Args:
        function: called with `abandoned`.
        future: its result.
        abandoned: set by whoever waits no longer.
    """

    function: Callable[[threading.Event], Any]
    future: Future[Any] = field(default_factory=Future)
    abandoned: threading.Event = field(default_factory=threading.Event)
    key: object = field(default_factory=object)


class Batcher:
    """Thread that translates submitted images, those that may share a batch together, and calls submitted functions.

    Images share a batch if model, domain, size and conditions are the same, and no condition is an image.

    Args:
        batch_size: largest number of images in a batch.
        linger: seconds to wait for further images of a batch.
    """

    def __init__(self, batch_size: int = 8, linger: float = 0.005) -> None:
        self.batch_size, self.linger = batch_size, linger
        self.batches = 0
        """Number of batches so far."""
        self._waiting: deque[_Job | Call] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="i2i-translate", daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        """Return the number of images and calls that wait."""
        return len(self._waiting)

    def submit(self, loaded: Loaded, image: Tensor, to: str, condition: Mapping[str, Any]) -> Future[Translated]:
        """Queue an image for translation.

        Args:
            loaded: the translator.
            image: [3, H, W] in [-1, 1].
            to: domain to translate to.
            condition: further inputs of the translator.

        Returns:
            future: the translation; cancel it to leave the queue.
        """
        alone = loaded.constraints.batch_dependent or any(_holds_image(value) for value in condition.values())
        key = object() if alone else (id(loaded), to, image.shape, repr(sorted(condition.items())))
        job = _Job(loaded, image, to, condition, key)
        self._queue(job)
        return job.future

    def call(self, function: Callable[[threading.Event], Any]) -> Call:
        """Queue a function, which is called between batches with an event that says that nobody waits any more."""
        call = Call(function)
        self._queue(call)
        return call

    def _queue(self, job: _Job | Call) -> None:
        with self._changed:
            if self._closed:
                raise RuntimeError("the server stops")
            self._waiting.append(job)
            self._changed.notify()

    def close(self) -> None:
        """Work off what waits, then stop the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        while taken := self._next():
            batch = [job for job in taken if isinstance(job, _Job)]
            for call in taken:
                if isinstance(call, Call):
                    self._call(call)
            if not batch:
                continue
            self.batches += 1
            try:
                self._translate(batch)
            except Exception as error:
                if is_out_of_memory(error) and len(batch) > 1:
                    for job in batch:
                        self._translate_alone(job)
                    continue
                for job in batch:
                    job.future.set_exception(error)

    @staticmethod
    def _call(call: Call) -> None:
        try:
            result = call.function(call.abandoned)
        except Exception as error:
            call.future.set_exception(error)
        else:
            call.future.set_result(result)

    def _translate_alone(self, job: _Job) -> None:
        try:
            self._translate([job])
        except Exception as error:
            job.future.set_exception(error)

    @staticmethod
    def _translate(batch: list[_Job]) -> None:
        first = batch[0]
        result = first.loaded.run(torch.stack([job.image for job in batch]), first.to, **first.condition)
        images = result.image.float().cpu()
        heatmaps = [None] * len(batch) if result.heatmap is None else result.heatmap.float().cpu()
        for job, image, heatmap in zip(batch, images, heatmaps, strict=True):
            job.future.set_result(Translated(image, heatmap))

    def _next(self) -> list[_Job | Call]:
        """Return the next batch; empty when the thread is to stop."""
        with self._changed:
            while True:
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if not self._waiting:
                    return []
                key, until = self._waiting[0].key, time.monotonic() + self.linger
                while not self._closed and (left := until - time.monotonic()) > 0:
                    if sum(job.key == key for job in self._waiting) >= self.batch_size:
                        break
                    self._changed.wait(left)
                batch = [job for job in self._waiting if job.key == key][: self.batch_size]
                self._waiting = deque(job for job in self._waiting if job not in batch)
                if running := [job for job in batch if job.future.set_running_or_notify_cancel()]:
                    return running


def _holds_image(value: object) -> bool:
    if isinstance(value, Mapping):
        return any(map(_holds_image, value))
    if isinstance(value, list | tuple):
        return any(map(_holds_image, value))
    return not isinstance(value, int | float | str | None)
