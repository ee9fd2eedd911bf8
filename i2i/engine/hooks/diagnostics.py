"""Training diagnostics: detection of failure modes, with advice."""

from __future__ import annotations

import logging
import time
from collections import defaultdict, deque
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from i2i.core.hookspecs import hookimpl
from i2i.engine.hooks.symptoms import LOGITS, apart, is_stuck, spread, starved, undecided
from i2i.engine.run import Run
from i2i.errors import I2IError
from i2i.recipe.wiring import LossWeight

log = logging.getLogger("i2i")

WINDOW = 100
"""Number of steps whose loss terms are averaged."""
PATIENCE = 3
"""Number of consecutive windows or image checks with a failure mode before it is reported."""
WON = 0.02
"""Fraction of an undecided discriminator's loss below which the discriminator has won."""
COLLAPSED = 0.1
"""Spread of translations, as a fraction of that of inputs and targets, below which modes have collapsed."""
COPIED = 0.05
"""Distance of a translation from its input, as a fraction of that between domains, below which it is a copy."""


class Diagnostics:
    """Hook that checks loss terms and, every `train.sample_every` steps, translations of the preview images."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor | float] = {}
        self.counts: dict[str, int] = defaultdict(int)
        self.means: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=PATIENCE))
        self.seen: dict[str, int] = defaultdict(int)
        self.now: set[str] = set()
        self.images: Mapping[str, Tensor] = {}
        self.levels: dict[str, tuple[float, LossWeight]] = {}
        self.began, self.waited = 0.0, 0.0

    @hookimpl
    def training_started(self, run: Run) -> None:
        if not run.is_main:
            return
        if run.recipe.train.sample_every:
            self.images = run.dataset.preview(max(4, run.recipe.train.sample_count))
        for name, calls in run.translator.calls.items():
            for call in calls:
                level = undecided(run.translator.losses[name])
                if level is not None and set(call.inputs.values()) == set(LOGITS):
                    self.levels[f"{call.phase}/{name}"] = level, call.weight
        self.began, self.waited = time.perf_counter(), run.waited
        run.hook_state.keep("diagnostics", self)

    @hookimpl
    def step_finished(self, run: Run, terms: Mapping[str, Tensor]) -> None:
        if not run.is_main:
            return
        for name, value in terms.items():
            self.sums[name] = self.sums[name] + value if name in self.sums else value
            self.counts[name] += 1
        if run.step % WINDOW == 0:
            for name, total in self.sums.items():
                self.means[name].append(float(total) / self.counts[name])
            self.sums, self.counts = {}, defaultdict(int)
            self._check_terms(run)
        every = run.recipe.train.sample_every
        if every and run.step % every == 0:
            self._check_images(run)

    @hookimpl
    def training_finished(self, run: Run) -> None:
        finding = starved(time.perf_counter() - self.began, run.waited - self.waited, run.recipe.train.workers)
        if run.is_main and finding is not None:
            run.findings.append(f"step {run.step}: {finding}")
            log.warning("%s", finding)
        for finding in sorted(self.now):
            log.warning("at the end: %s", finding)

    def state(self) -> dict[str, Any]:
        """Return the collected statistics, so that a resumed run reports the same as an uninterrupted one."""
        return {
            "sums": {name: [float(total), self.counts[name]] for name, total in self.sums.items()},
            "means": {name: list(means) for name, means in self.means.items()},
            "seen": dict(self.seen),
            "now": sorted(self.now),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Restore what `state` returned."""
        # Sums continue as floats: each holds a tensor's value exactly, and adding a tensor rounds as before.
        sums = {name: float(total) for name, (total, _) in state["sums"].items()}
        counts = {name: max(1, int(count)) for name, (_, count) in state["sums"].items()}
        means = {name: deque(map(float, values), PATIENCE) for name, values in state["means"].items()}
        seen = {name: int(times) for name, times in state["seen"].items()}
        now = {finding.encode(errors="backslashreplace").decode() for finding in state["now"]}
        self.sums, self.now = dict(sums), now
        for current, saved in ((self.counts, counts), (self.means, means), (self.seen, seen)):
            current.clear()
            current.update(saved)

    def _check_terms(self, run: Run) -> None:
        for name, means in self.means.items():
            if len(means) < PATIENCE:
                continue
            count = run.translator.term_counts.get(name, 1)
            level, weight = self.levels.get(name, (0.0, LossWeight()))
            won = max(means) < WON * level * weight.mean(run.step) * count
            self._note(
                run,
                won,
                f"{name}: the discriminators have won: they recognize all fakes, and their gradients vanish. Lower "
                f"their learning rate or their weight, give them fewer layers or spectral norm, or add the loss r1",
            )
            self._note(
                run,
                not won and is_stuck(means),
                f"{name}: has not changed for {PATIENCE * WINDOW} steps. Check whether its learning rate is 0, its "
                f"phase has no gradients, or its weight is too small compared with the others",
            )

    def _check_images(self, run: Run) -> None:
        for target in run.translator.targets:
            for source in [domain for domain in self.images if domain != target]:
                image = self.images[source]
                try:
                    translation = run.translated(image, target)
                except (I2IError, TypeError):
                    continue  # the method needs more than an image and a domain, such as a style
                if translation.shape == image.shape and len(translation) > 1:
                    real = self.images.get(target, image)
                    self._check_translation(run, f"{source} to {target}", image, translation, real)

    def _check_translation(self, run: Run, direction: str, image: Tensor, translation: Tensor, real: Tensor) -> None:
        reference = min(spread(image), spread(real))
        self._after_patience(
            run,
            f"collapse {direction}",
            spread(translation) < COLLAPSED * reference,
            f"{direction}: mode collapse, the translations are nearly one image. Raise the weights that depend on the "
            f"input (cycle, identity, patches), or lower the adversarial weight or the learning rate",
        )
        self._after_patience(
            run,
            f"copy {direction}",
            float((translation - image).abs().mean()) < COPIED * apart(image, real),
            f"{direction}: the translations are copies of their input. Raise the adversarial weight, lower cycle and "
            f"identity, or give the discriminators more layers or larger images",
        )

    def _after_patience(self, run: Run, key: str, failing: bool, finding: str) -> None:
        self.seen[key] = self.seen[key] + 1 if failing else 0
        self._note(run, self.seen[key] >= PATIENCE, finding)

    def _note(self, run: Run, failing: bool, finding: str) -> None:
        """Report a failure mode once when it starts, and once when it ends."""
        if failing and finding not in self.now:
            self.now.add(finding)
            run.findings.append(f"step {run.step}: {finding}")
            log.warning("step %d: %s", run.step, finding)
        elif not failing and finding in self.now:
            self.now.discard(finding)
            run.findings.append(f"step {run.step}: no longer: {finding.split('.')[0]}")
