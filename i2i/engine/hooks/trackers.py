"""Experiment trackers of Accelerate, such as TensorBoard, named in the recipe's `train.trackers`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accelerate.tracking import LOGGER_TYPE_TO_CLASS
from torch import Tensor

from i2i.core.hookspecs import hookimpl
from i2i.data.pixels import visible
from i2i.engine.run import Run
from i2i.errors import OptionError


class Trackers:
    """Hook that reports loss terms, learning rates and sample images to trackers."""

    def __init__(self) -> None:
        self.trackers: list[Any] = []

    @hookimpl
    def training_started(self, run: Run) -> None:
        if not run.is_main:
            return
        for name in run.recipe.train.trackers:
            try:
                cls = LOGGER_TYPE_TO_CLASS[name]
                more = {"logging_dir": run.folder} if cls.requires_logging_directory else {}
                tracker = cls(run.folder.name or "i2i", **more)
                tracker.start()
            except ImportError as error:
                raise OptionError("train.trackers", f"{name} is not installed: pip install {name} ({error})") from error
            tracker.store_init_configuration(_flat(run.recipe.resolved()))
            self.trackers.append(tracker)

    @hookimpl
    def step_finished(self, run: Run, terms: Mapping[str, Tensor]) -> None:
        if self.trackers and (run.step % run.recipe.train.log_every == 0 or run.step == run.steps):
            values = {name: float(value) for name, value in terms.items()}
            values |= {f"learning_rate/{phase}": rate for phase, rate in run.stepper.learning_rates().items()}
            for tracker in self.trackers:
                tracker.log(values, step=run.step)

    @hookimpl
    def images_sampled(self, run: Run, images: Mapping[str, Tensor]) -> None:
        for tracker in self.trackers:
            if hasattr(tracker, "log_images"):
                grids = {name: ((visible(row).clamp(-1, 1) + 1) / 2).numpy() for name, row in images.items()}
                tracker.log_images(grids, step=run.step)

    @hookimpl
    def training_finished(self, run: Run) -> None:
        for tracker in self.trackers:
            tracker.finish()
        self.trackers = []


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested tables to keys `a.b.c` and convert arrays to text, because trackers store scalars only."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value if isinstance(value, bool | int | float | str) else str(value)
    return flat
