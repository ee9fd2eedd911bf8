"""Selection of the best checkpoint by a logged loss term or a metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from i2i.core.kinds import METRIC
from i2i.data.measured import has_ground_truth
from i2i.errors import OptionError
from i2i.nn.functional.precision import finest


class Best:
    """Tracker of the best value of one loss term or metric over the checkpoints.

    Args:
        name: a loss term as it is logged, `phase/loss`, whose mean since the last checkpoint is minimized, or a
            registered metric.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.by_metric = "/" not in name
        self.higher = self.by_metric and METRIC(name).component.better == "higher"
        self.compares = getattr(METRIC(name).component, "compares", "pairs") if self.by_metric else ""
        self.stale = 0
        """Number of comparisons since the best one."""
        self.compared = 0
        """Number of comparisons."""
        self.step: int | None = None
        """Step of the best checkpoint."""
        self.value: float | None = None
        self._sum: Tensor | float | None = None
        self._count = 0

    def check(self, dataset: object, requires_condition: bool = False) -> None:
        """Check that the value can be computed.

        Args:
            dataset: the data set or its class; a metric of pairs needs ground truth.
            requires_condition: whether a translation needs a condition, such as a style, so that there is no single
                ground truth.

        Raises:
            OptionError: a metric of pairs is tracked and there is no ground truth.
        """
        if self.compares == "pairs" and requires_condition:
            raise OptionError(
                "train.keep_best",
                f"{self.name} compares translations with the ground truth, and this translator generates a translation "
                f"for each style; name a logged term instead, such as generator/content",
            )
        if self.compares == "pairs" and not has_ground_truth(dataset):
            raise OptionError(
                "train.keep_best",
                f"{self.name} needs a data set with ground truth, such as portraits or shapes; name a logged term "
                f"instead, such as generator/cycle",
            )

    def add(self, terms: Mapping[str, Tensor]) -> None:
        """Accumulate the loss terms of one step, without synchronizing with the device."""
        if self.name in terms:
            value = terms[self.name].detach()
            value = value.to(finest(value.device))
            self._sum = value if self._sum is None else self._sum + value
            self._count += 1

    def close(self, step: int, metrics: Mapping[str, float], accelerator: Accelerator) -> None:
        """Compare the value at a checkpoint with the best one; every process must call it.

        Args:
            step: step of the checkpoint.
            metrics: results of the evaluation by metric, on the main process.
            accelerator: computes the mean over all processes.
        """
        value = metrics.get(self.name) if self.by_metric else self._mean(accelerator)
        self._sum, self._count = None, 0
        if value is None:
            return
        self.stale += 1
        self.compared += 1
        if self.value is None or (value > self.value if self.higher else value < self.value):
            self.value, self.step, self.stale = value, step, 0

    def state(self, opened: Sequence[tuple[float, int] | None] = ()) -> dict[str, Any]:
        """Return the state for a checkpoint.

        Args:
            opened: result of `opened` from each process, for a stop between two comparisons.
        """
        more = {"open": list(opened)} if any(opened) else {}
        return {
            "name": self.name,
            "step": self.step,
            "value": self.value,
            "stale": self.stale,
            "compared": self.compared,
            **more,
        }

    def opened(self) -> tuple[float, int] | None:
        """Return sum and number of this process's values since the last comparison, None if there are none."""
        return None if self._sum is None else (float(self._sum), self._count)

    def load(self, state: Mapping[str, Any], accelerator: Accelerator) -> None:
        """Restore what `state` returned, if it belongs to the same loss term or metric."""
        self._sum, self._count = None, 0
        if state.get("name") == self.name:
            step, value = state["step"], state["value"]
            self.step = None if step is None else int(step)
            self.value = None if value is None else float(value)
            self.stale, self.compared = int(state.get("stale", 0)), int(state.get("compared", 0))
            opened = state.get("open", [])
            unfinished = opened[accelerator.process_index] if len(opened) == accelerator.num_processes else None
            if unfinished is not None:
                self._sum, self._count = float(unfinished[0]), max(1, int(unfinished[1]))

    def _mean(self, accelerator: Accelerator) -> float | None:
        if self._sum is None:
            return None
        device = accelerator.device
        mean = torch.as_tensor(self._sum, dtype=finest(device), device=device) / self._count
        return float(accelerator.reduce(mean, "mean") if accelerator.num_processes > 1 else mean)
