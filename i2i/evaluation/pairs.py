"""A figure at the end of a run whose data set knows the truth that training never sees."""

from __future__ import annotations

from torch import Tensor

from i2i.core.hookspecs import hookimpl
from i2i.core.kinds import METRIC
from i2i.core.plugins import default_registry
from i2i.engine.hooks.console import say
from i2i.engine.run import Run

COUNT = 64


class HiddenPairs:
    """Compares translations with their true counterparts by every registered metric, where the data set has `pairs`."""

    def __init__(self) -> None:
        self.pairs: dict[str, Tensor] | None = None
        """Drawn when first needed: those of portraits take a second."""

    @hookimpl
    def evaluate_checkpoint(self, run: Run) -> None:
        if run.is_main and _measurable(run):
            self._measure(run)

    @hookimpl
    def training_finished(self, run: Run) -> None:
        if not run.is_main or run.interrupted or not _measurable(run):
            return
        source, target = self._measure(run)
        self.pairs = None
        say(f"against {COUNT} hidden pairs, {source} to {target} (in brackets: copying the input):")
        for name in default_registry().names(METRIC):
            reached, copied = run.metrics[name], run.metrics[f"{name} of the input"]
            say(f"  {name} {reached:.3f} ({copied:.3f}; {METRIC(name).component.better} is better)")

    def _measure(self, run: Run) -> tuple[str, str]:
        """Fills the run's figures; gives the domains between which it looked."""
        pairs = self.pairs = run.dataset.pairs(COUNT) if self.pairs is None else self.pairs
        target = "b" if "b" in run.translator.targets else "a"
        source = next(domain for domain in pairs if domain != target)
        made = run.translated(pairs[source], target)
        for name in default_registry().names(METRIC):
            metric = METRIC(name)()
            run.metrics[name] = metric(made, pairs[target])
            run.metrics[f"{name} of the input"] = metric(pairs[source], pairs[target])
        return source, target


def _measurable(run: Run) -> bool:
    """Whether there is a truth, and one translation that it could be compared with."""
    return hasattr(run.dataset, "pairs") and not run.translator.requires_condition
