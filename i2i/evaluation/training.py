"""Evaluation of a run while it trains, and of held-out pairs at its end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor

from i2i.core.hookspecs import hookimpl
from i2i.core.kinds import METRIC
from i2i.core.plugins import default_registry
from i2i.data.measured import MeasuredImages, images_to_measure
from i2i.data.pixels import to_image
from i2i.engine.hooks.console import say
from i2i.engine.run import Run
from i2i.evaluation.evaluate import Evaluator, Options, figure_name, to_input
from i2i.evaluation.feature_cache import Processes
from i2i.evaluation.figures import as_estimate
from i2i.evaluation.image_sets import ImageSet, Pixels
from i2i.recipe.tables import EvaluateOptions

BASELINE = "(identity baseline)"
CHUNK = 32
"""Images that are held in memory as floats at the same time."""
log = logging.getLogger("i2i")


class TrainingEvaluation:
    """Measures a run at the steps of `train.evaluate` and `train.keep_best`, and held-out pairs at its end.

    `run.metrics` gets the figures by the names of the metrics, with the network that measured if it is not Inception,
    such as "kid (mobilenetv2_100)", and those of the identity baseline, whose output is its input. Figures of sets are
    those of the protocol `i2i` with its default features. All processes share the images. An evaluation that fails is
    logged and never stops a training.
    """

    def __init__(self) -> None:
        self.evaluator: Evaluator | None = None
        self.data: MeasuredImages | None = None
        self.processes = Processes()
        self.references: dict[str, Tensor] = {}
        """Features of the real and the source images, which stay the same."""

    @hookimpl
    def evaluate_checkpoint(self, run: Run) -> None:
        """Measures what `train.evaluate` and `train.keep_best` name."""
        best = [run.best.name] if run.best is not None and run.best.by_metric else []
        options = run.recipe.train.evaluate or EvaluateOptions(metrics=())
        try:
            self._measure(run, options, list(dict.fromkeys([*options.metrics, *best])))
        except Exception as error:  # also of a user's weights or images: the figures are not worth the training
            log.warning(
                "the evaluation at step %d failed, and training continues: %s: %s",
                run.step,
                type(error).__name__,
                str(error)[:500],
            )

    @hookimpl
    def training_finished(self, run: Run) -> None:
        """Measures held-out pairs by all metrics of pairs that need no weights, and prints the figures."""
        if run.interrupted or run.translator.requires_condition:
            return
        try:
            data = images_to_measure(run.dataset, (run.recipe.train.evaluate or EvaluateOptions()).split)
            if not data.paired or data.split == "train":
                return
            self.data = data
            names = pair_metrics()
            source, target = self._measure(run, EvaluateOptions(metrics=()), names)
        except Exception as error:
            log.warning("held-out pairs could not be measured: %s: %s", type(error).__name__, str(error)[:500])
            return
        if not run.is_main:
            return
        count, kind = len(data.images[source]), {"drawn": "held-out", "val": "validation"}.get(data.split, data.split)
        say(f"{count} {kind} pairs, {source} to {target} (in brackets: identity baseline, output = input):")
        for name in names:
            value, baseline = run.metrics[name], run.metrics.get(f"{name} {BASELINE}")
            other = "" if baseline is None else f"{baseline:.3f}; "
            say(f"  {name} {value:.3f} ({other}{METRIC(name).component.better} is better)")

    def _measure(self, run: Run, options: EvaluateOptions, names: Sequence[str]) -> tuple[str, str]:
        """Puts the metrics into `run.metrics`; returns the domains that were translated from and to."""
        if self.data is None:
            self.data = images_to_measure(run.dataset, options.split, options.count)
            if run.is_main and (note := self.data.note(options.split)):
                log.warning("evaluation: %s", note)
        source, target = direction(run.translator, list(self.data.images))
        inputs, reals = (self.data.images[domain] for domain in (source, target))
        sets, pairs = split_names(names)
        if self.evaluator is None and (sets or any(needs_weights(name) for name in pairs)):
            device = str(run.stepper.accelerator.device)
            self.evaluator = Evaluator(Options(features=options.features, use_cache=False, device=device))
            if run.is_main:
                for note in [*self.evaluator.notes, *shared_weights(self.evaluator, run.feature_extractors)]:
                    log.warning("evaluation: %s", note)
        outputs = self._translated(run, inputs, target)
        generated = lazy_set("translations", len(inputs), outputs.__getitem__)
        if sets:
            assert self.evaluator is not None
            for name, images in (("real", reals), ("source", inputs)):
                if name not in self.references:
                    taken = lazy_set(name, len(images), partial(_pixels_of, images))
                    self.references[name] = self.evaluator.features(taken)
            features = {"": self.evaluator.features(generated), f" {BASELINE}": self.references["source"]}
            for name, (label, own) in product(sets, features.items()):
                metric: Any = METRIC(name)()
                metric.with_interval = False
                metric.update(generated=own, real=self.references["real"])
                run.metric_labels[name] = figure_name(name, self.evaluator.network)
                run.metrics[run.metric_labels[name] + label] = as_estimate(metric.compute()).value
        for name in pairs if self.data.paired else ():
            metric = METRIC(name)()
            run.metrics[name] = self._mean(metric, lambda index: to_input(outputs[index]), reals)
            if inputs[0].shape == reals[0].shape:
                run.metrics[f"{name} {BASELINE}"] = self._mean(metric, lambda index: inputs[index][None], reals)
        return source, target

    def _translated(self, run: Run, images: Sequence[Tensor], target: str) -> dict[int, Pixels]:
        """Translate this process's images one by one, so that the number of processes changes nothing, to 8 bits."""
        found: dict[int, Pixels] = {}
        condition = {"seed": 0} if "seed" in run.translator.conditions() else {}

        def translate(share: range) -> Iterator[Tensor]:
            for indices in (share[start : start + CHUNK] for start in range(0, len(share), CHUNK)):
                chunk = torch.stack([images[index] for index in indices])
                translated = run.translated(chunk, target, batch_size=1, **condition)
                found.update(zip(indices, map(to_rgb_pixels, translated), strict=True))
                yield from torch.zeros(len(indices))

        self.processes.collect(translate, len(images))
        return found

    def _mean(self, metric: Any, image: Callable[[int], Tensor], targets: Sequence[Tensor]) -> float:
        each = getattr(metric, "each", metric)

        def row(index: int) -> Tensor:
            return torch.as_tensor(each(image(index), targets[index][None]), dtype=torch.float64).reshape(())

        return float(torch.stack(self.processes.collect(lambda share: map(row, share), len(targets))).mean())


def direction(translator: Any, domains: Sequence[str], to: str | None = None) -> tuple[str, str]:
    """Return the domains that are translated from and to: to `b`, or the last one that there is.

    Args:
        translator: the translator.
        domains: domains that there are images of.
        to: the domain to translate to, if it was named.
    """
    targets = [domain for domain in translator.targets if domain in domains] or list(translator.targets)
    target = to or ("b" if "b" in targets else targets[-1])
    return next(domain for domain in domains if domain != target), target


def split_names(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the metrics of sets and those of pairs among some names."""
    sets = [name for name in names if getattr(METRIC(name).component, "compares", "pairs") == "sets"]
    return sets, [name for name in names if name not in sets]


def needs_weights(name: str) -> bool:
    """Return whether a metric loads a network."""
    return bool(getattr(METRIC(name).component, "needs_weights", False))


def pair_metrics() -> list[str]:
    """Return the registered metrics of pairs that load no network."""
    return [name for name in split_names(default_registry().names(METRIC))[1] if not needs_weights(name)]


def shared_weights(evaluator: Evaluator, extractors: Any) -> list[str]:
    """Return a note if a run has trained against the network that it is measured with."""
    name = evaluator.network.name
    if not evaluator.uses_features or not any(
        str(source).startswith(f"{name},") for source in dict(extractors).values()
    ):
        return []
    return [
        f"the run is trained against {name}, which also measures it: such figures favour it; measure with another "
        f"network, such as --features mobilenetv2_100"
    ]


def lazy_set(name: str, count: int, pixels_of: Any) -> ImageSet:
    """Return a set of images that are made when they are read."""
    return ImageSet(name, [partial(pixels_of, index) for index in range(count)], [str] * count)


def to_rgb_pixels(image: Tensor) -> Pixels:
    """Convert an image [C, H, W] in [-1, 1] with one or three channels to 8-bit RGB, as if written as a PNG file."""
    return np.array(to_image(image).convert("RGB"))


def _pixels_of(images: Sequence[Tensor], index: int) -> Pixels:
    return to_rgb_pixels(images[index])
