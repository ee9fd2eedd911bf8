"""Pairwise metrics at the end of a run whose data set has ground truth."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from i2i.core.hookspecs import hookimpl
from i2i.core.kinds import METRIC
from i2i.core.plugins import default_registry
from i2i.engine.hooks.console import say
from i2i.engine.run import Run

COUNT = 64
"""Held-out pairs that are compared."""


class HeldOutPairs:
    """Compares translations of held-out pairs with their ground truth, by every registered metric of pairs.

    It needs a data set with a method `pairs` and a translator that needs no condition; for others it does nothing. Each
    metric is also computed for the identity baseline, whose output is its input: `run.metrics` gets "l1" and
    "l1 (identity baseline)".
    """

    def __init__(self) -> None:
        self.pairs: dict[str, Tensor] | None = None
        """Drawn at the first comparison, which takes a second for portraits."""

    @hookimpl
    def evaluate_checkpoint(self, run: Run) -> None:
        """Measures for `train.keep_best`."""
        if run.is_main and _measurable(run):
            self._measure(run)

    @hookimpl
    def training_finished(self, run: Run) -> None:
        """Measures once more and prints the metrics."""
        if not run.is_main or run.interrupted or not _measurable(run):
            return
        source, target = self._measure(run)
        self.pairs = None
        say(f"{COUNT} held-out pairs, {source} to {target} (in brackets: identity baseline, output = input):")
        for name in pair_metrics():
            value, baseline = run.metrics[name], run.metrics[f"{name} (identity baseline)"]
            say(f"  {name} {value:.3f} ({baseline:.3f}; {METRIC(name).component.better} is better)")

    def _measure(self, run: Run) -> tuple[str, str]:
        """Puts the metrics into `run.metrics`; returns the domains that were translated from and to."""
        pairs = self.pairs = run.dataset.pairs(COUNT) if self.pairs is None else self.pairs
        target = "b" if "b" in run.translator.targets else "a"
        source = next(domain for domain in pairs if domain != target)
        translations = run.translated(pairs[source], target)
        for name in pair_metrics():
            metric: Any = METRIC(name)()
            run.metrics[name] = float(metric(translations, pairs[target]))
            run.metrics[f"{name} (identity baseline)"] = float(metric(pairs[source], pairs[target]))
        return source, target


def pair_metrics() -> list[str]:
    """Return the registered metrics of pairs that load no network."""
    names = default_registry().names(METRIC)
    components = {name: METRIC(name).component for name in names}
    return [
        name
        for name, component in components.items()
        if getattr(component, "compares", "pairs") == "pairs" and not getattr(component, "needs_weights", False)
    ]


def _measurable(run: Run) -> bool:
    """Whether there is ground truth, and a single translation to compare with it."""
    return hasattr(run.dataset, "pairs") and not run.translator.requires_condition
