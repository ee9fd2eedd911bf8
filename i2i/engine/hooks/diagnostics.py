"""Says in words when a training looks ill, and what to try."""

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

log = logging.getLogger("i2i")

WINDOW = 100
"""Steps whose terms are averaged."""
PATIENCE = 3
"""Windows or looks at images in a row, before something is said."""
WON = 0.02
"""Share of an undecided discriminator's loss below which it has won."""
COLLAPSED = 0.1
"""Spread of the translations, as a share of the inputs' and the targets', below which they are one image."""
COPIED = 0.05
"""Distance of a translation from its input, as a share of that between the domains, below which it is a copy."""


class Diagnostics:
    """Watches loss terms and, every `train.sample_every` steps, translations of the preview images."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor | float] = {}
        self.counts: dict[str, int] = defaultdict(int)
        self.means: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=PATIENCE))
        self.seen: dict[str, int] = defaultdict(int)
        self.now: set[str] = set()
        self.images: Mapping[str, Tensor] = {}
        self.levels: dict[str, float] = {}
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
                    self.levels[f"{call.phase}/{name}"] = level * call.weight.mean
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
            self._look_at_terms(run)
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
        """All that it has seen, so that a resumed run hears what one that was never stopped does."""
        return {
            "sums": {name: [float(total), self.counts[name]] for name, total in self.sums.items()},
            "means": {name: list(means) for name, means in self.means.items()},
            "seen": dict(self.seen),
            "now": sorted(self.now),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state` gave."""
        # Sums go on as floats: each holds a tensor's number exactly, and adding a tensor rounds as before.
        sums = {name: float(total) for name, (total, _) in state["sums"].items()}
        counts = {name: max(1, int(count)) for name, (_, count) in state["sums"].items()}
        means = {name: deque(map(float, values), PATIENCE) for name, values in state["means"].items()}
        seen = {name: int(times) for name, times in state["seen"].items()}
        now = {finding.encode(errors="backslashreplace").decode() for finding in state["now"]}
        self.sums, self.now = dict(sums), now
        for mine, kept in ((self.counts, counts), (self.means, means), (self.seen, seen)):
            mine.clear()
            mine.update(kept)

    def _look_at_terms(self, run: Run) -> None:
        for name, means in self.means.items():
            if len(means) < PATIENCE:
                continue
            count = run.translator.term_counts.get(name, 1)
            level = self.levels.get(name)
            won = level is not None and max(means) < WON * level * count
            self._note(
                run,
                won,
                f"{name}: the discriminators have won, they tell all fakes apart and teach no more. Lower their "
                f"learning rate or their weight, give them fewer layers or spectral norm, or add the loss r1",
            )
            self._note(
                run,
                not won and is_stuck(means),
                f"{name}: has not moved for {PATIENCE * WINDOW} steps. Is its learning rate 0, its phase without "
                f"gradients, or its weight too small beside the others?",
            )

    def _check_images(self, run: Run) -> None:
        for target in run.translator.targets:
            for source in [domain for domain in self.images if domain != target]:
                image = self.images[source]
                try:
                    made = run.translated(image, target)
                except (I2IError, TypeError):
                    continue  # the method needs to be told more than the image and the domain
                if made.shape == image.shape and len(made) > 1:
                    self._discriminate(run, f"{source} to {target}", image, made, self.images.get(target, image))

    def _discriminate(self, run: Run, way: str, image: Tensor, made: Tensor, real: Tensor) -> None:
        least = min(spread(image), spread(real))
        self._after_patience(
            run,
            f"collapse {way}",
            spread(made) < COLLAPSED * least,
            f"{way}: the translations are nearly one image. Raise the weight that ties them to their input (cycle, "
            f"identity, patches), lower the adversarial weight or the learning rate, and look for a layer without gain",
        )
        self._after_patience(
            run,
            f"copy {way}",
            float((made - image).abs().mean()) < COPIED * apart(image, real),
            f"{way}: the translations are copies of their input. Raise the adversarial weight, lower cycle and "
            f"identity, or give the discriminators more to see (layers, size)",
        )

    def _after_patience(self, run: Run, key: str, ill: bool, finding: str) -> None:
        self.seen[key] = self.seen[key] + 1 if ill else 0
        self._note(run, self.seen[key] >= PATIENCE, finding)

    def _note(self, run: Run, ill: bool, finding: str) -> None:
        """Tells once when something begins, and once when it ends."""
        if ill and finding not in self.now:
            self.now.add(finding)
            run.findings.append(f"step {run.step}: {finding}")
            log.warning("step %d: %s", run.step, finding)
        elif not ill and finding in self.now:
            self.now.discard(finding)
            run.findings.append(f"step {run.step}: no longer: {finding.split('.')[0]}")
