"""Which checkpoint was the best so far, by a term that is logged or by a metric that an extra measures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from i2i.core.kinds import METRIC
from i2i.errors import OptionError
from i2i.nn.functional.precision import finest


class Best:
    """Follows one figure from checkpoint to checkpoint.

    Args:
        name: a term as it is logged, `phase/loss`, of which the mean since the last checkpoint counts and less is
            better; or a registered metric.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.by_metric = "/" not in name
        self.higher = self.by_metric and METRIC(name).component.better == "higher"
        self.step: int | None = None
        """The best checkpoint's step."""
        self.value: float | None = None
        self._sum: Tensor | float | None = None
        self._count = 0

    def check(self, dataset: object, requires_condition: bool = False) -> None:
        """Check that the figure can be computed.

        Args:
            dataset: the data set or its class; a metric needs its method `pairs`.
            requires_condition: whether a translation needs a condition, such as a style, so that there is no one
                ground truth.

        Raises:
            OptionError: a metric, and there is no ground truth to compare with.
        """
        if self.by_metric and requires_condition:
            raise OptionError(
                "train.keep_best",
                f"{self.name} compares translations with the ground truth, and this translator has a translation for "
                f"each style; name a logged term instead, such as generator/content",
            )
        if self.by_metric and not hasattr(dataset, "pairs"):
            raise OptionError(
                "train.keep_best",
                f"{self.name} needs a data set with ground truth, such as portraits or shapes; name a logged term "
                f"instead, such as generator/cycle",
            )

    def add(self, terms: Mapping[str, Tensor]) -> None:
        """One step's terms; nothing waits for the device."""
        if self.name in terms:
            value = terms[self.name].detach()
            value = value.to(finest(value.device))
            self._sum = value if self._sum is None else self._sum + value
            self._count += 1

    def close(self, step: int, figures: Mapping[str, float], accelerator: Accelerator) -> None:
        """Compares at a checkpoint; every process must call it.

        Args:
            figures: what has been measured, on the main process.
        """
        value = figures.get(self.name) if self.by_metric else self._mean(accelerator)
        self._sum, self._count = None, 0
        if value is None:
            return
        if self.value is None or (value > self.value if self.higher else value < self.value):
            self.value, self.step = value, step

    def state(self, opened: Sequence[tuple[float, int] | None] = ()) -> dict[str, Any]:
        """What a checkpoint holds of it; `opened` is from each process, where a stop fell between comparisons."""
        more = {"open": list(opened)} if any(opened) else {}
        return {"name": self.name, "step": self.step, "value": self.value, **more}

    def opened(self) -> tuple[float, int] | None:
        """Of the steps since the last comparison, this process's sum and their number."""
        return None if self._sum is None else (float(self._sum), self._count)

    def load(self, state: Mapping[str, Any], accelerator: Accelerator) -> None:
        """Takes back what `state` gave, if it was about the same figure; `open` has what each process `opened`."""
        self._sum, self._count = None, 0
        if state.get("name") == self.name:
            step, value = state["step"], state["value"]
            self.step = None if step is None else int(step)
            self.value = None if value is None else float(value)
            opened = state.get("open", [])
            mine = opened[accelerator.process_index] if len(opened) == accelerator.num_processes else None
            if mine is not None:
                self._sum, self._count = float(mine[0]), max(1, int(mine[1]))

    def _mean(self, accelerator: Accelerator) -> float | None:
        if self._sum is None:
            return None
        device = accelerator.device
        mean = torch.as_tensor(self._sum, dtype=finest(device), device=device) / self._count
        return float(accelerator.reduce(mean, "mean") if accelerator.num_processes > 1 else mean)
