"""Evaluation of a set of generated images against real ones, under a named protocol."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from i2i.core.kinds import METRIC
from i2i.core.plugins import default_registry
from i2i.core.spelling import did_you_mean
from i2i.data.pixels import to_tensor
from i2i.errors import I2IError, OptionError, ShapeError
from i2i.evaluation import networks, perceptual, protocols, weights
from i2i.evaluation.feature_cache import Processes, features
from i2i.evaluation.feature_distances import Estimate, mean_with_interval
from i2i.evaluation.figures import Evaluation, Figure, as_estimate
from i2i.evaluation.image_sets import ImageSet, Pixels
from i2i.evaluation.networks import FeatureNetwork
from i2i.evaluation.protocols import Features, NotApplicableError
from i2i.evaluation.weights import MissingWeightsError

INCEPTION = "inception"
TO_SOURCE = "_to_source"


@dataclass
class Options:
    """What is measured, and how.

    Args:
        protocol: name of the protocol.
        features: network of the features: `inception`, or the name of a network of timm. When None, Inception where
            its weights are found; the default protocol then falls back on a network whose weights a package contains.
        weights: files of weights by name: `inception`, `clip`, `dino`, `lpips-alex`, ..., or a network of timm.
        metrics: names of the figures that are computed; all of the protocol when empty.
        kid_subset_size: images of a random subset, for protocols that draw subsets.
        use_cache: whether features are kept on disk.
        workers: processes that read images.
        device: device of the networks.
    """

    protocol: str = "i2i"
    features: str | None = None
    weights: Mapping[str, Path] = field(default_factory=dict)
    metrics: Collection[str] = ()
    kid_subset_size: int | None = None
    use_cache: bool = True
    workers: int = 0
    device: str = "cpu"


@dataclass
class Evaluator:
    """Networks of an evaluation, loaded once for any number of sets.

    Args:
        options: what is measured, and how.

    Raises:
        I2IError: a protocol, metric or network is unknown, or weights are missing or do not fit.
    """

    options: Options

    def __post_init__(self) -> None:
        options = self.options
        self.protocol = protocols.get(options.protocol)
        self.processes = Processes()
        self.notes: list[str] = []
        self.network = self._protocol_network().to(options.device)
        registry = default_registry()
        compared = {name: getattr(METRIC(name).component, "compares", "pairs") for name in registry.names(METRIC)}
        self.set_metrics = sorted((name for name in compared if compared[name] == "sets"), key=_reading_order)
        self.omitted: dict[str, str] = {}
        """Figures that were not computed, and the weights that they need."""
        self._clip: FeatureNetwork | None = None
        self._pairs: dict[str, Any] = {}
        known = [*self.protocol.estimators, *registry.names(METRIC), "dino_structure", "diversity", "path_length"]
        for name in options.metrics:
            if name not in known:
                hint = did_you_mean(name, known)
                raise I2IError(f"no metric is called {name!r}.{hint} There are: {', '.join(dict.fromkeys(known))}")

    def _protocol_network(self) -> FeatureNetwork:
        options, protocol = self.options, self.protocol
        if options.features not in (None, INCEPTION):
            assert options.features is not None
            if protocol.estimators:
                raise I2IError(
                    f"protocol {protocol.name}: it fixes Inception's features; omit --features {options.features}, or "
                    f"use the protocol i2i"
                )
            return networks.timm_network(options.features, options.weights.get(options.features))
        try:
            path = weights.find(INCEPTION, options.weights)
        except MissingWeightsError as error:
            if options.features == INCEPTION or protocol.estimators:
                raise
            try:
                found = networks.timm_network(networks.FALLBACK)
            except OptionError as missing:
                raise I2IError(f"{error}. Without them, {missing.message}") from error
            self.notes.append(
                f"Inception's weights are not there, so features are those of {found.name}; such figures cannot be "
                f"compared with FID or KID. `i2i weights list` says where the weights come from"
            )
            return found
        network = networks.inception(path, protocol.name, protocol.prepare)
        if weights.is_published(INCEPTION, network.weights_sha256) is False:
            self.notes.append(
                f"{path} is not the published Inception network (SHA-256 {network.weights_sha256[:16]}...), so figures "
                f"cannot be compared with published ones"
            )
        return network

    def wants(self, name: str) -> bool:
        """Return whether a figure is to be computed."""
        return not self.options.metrics or name in self.options.metrics

    @property
    def uses_features(self) -> bool:
        """Whether a figure of features is to be computed; those of pairs need none."""
        return any(self.wants(name) for name in (*self.protocol.estimators, *self.set_metrics))

    def features(self, images: ImageSet, network: FeatureNetwork | None = None) -> Tensor:
        """Return the features [n, d] of a set, computed once and cached."""
        return features(network or self.network, images, workers=self.options.workers, use_cache=self.options.use_cache)

    def evaluate(
        self,
        generated: ImageSet,
        real: ImageSet,
        source: ImageSet | None = None,
        target: ImageSet | None = None,
        **labels: Any,
    ) -> Evaluation:
        """Compute all figures of a set of generated images; every process must call it.

        Args:
            generated: the generated images.
            real: real images of the target domain.
            source: images of the source domain; for figures of single translations, the input of each generated image.
            target: ground truth of each generated image.
            labels: fields of all figures, such as `run` and `step`.
        """
        result = Evaluation(notes=[*(self.notes if self.uses_features else []), *format_notes(generated, real)])
        sets = {"generated": generated, "real": real, "source": source, "target": target}
        hashes = {name: images.sha256 for name, images in sets.items() if images is not None}
        for figure in (*self._set_figures(generated, real, source), *self._pair_figures(generated, source, target)):
            result.figures.append(replace(figure, protocol=self.protocol.name, data=hashes, **labels))
        for name, needed in self.omitted.items():
            result.notes.append(f"{name} is omitted, since the weights {needed} are not there; see `i2i weights list`")
        return result

    def _set_figures(self, generated: ImageSet, real: ImageSet, source: ImageSet | None) -> Iterator[Figure]:
        if self.protocol.estimators:
            for name, estimator in self.protocol.estimators.items():
                if self.wants(name):
                    yield self._set_figure(name, self.network, estimator, "lower", generated, real, source)
            return
        for name in self.set_metrics:
            if not self.wants(name):
                continue
            component: Any = METRIC(name).component
            network = self.network
            if getattr(component, "features", "protocol") == "clip":
                try:
                    network = self._clip = self._clip or networks.clip_network(
                        weights.find("clip", self.options.weights)
                    ).to(self.options.device)
                except MissingWeightsError:
                    if name in self.options.metrics:
                        raise
                    self.omitted[name] = "clip"
                    continue
            estimator = _registered(name)
            yield self._set_figure(name, network, estimator, component.better, generated, real, source)

    def _set_figure(
        self,
        name: str,
        network: FeatureNetwork,
        estimator: Callable[[Features], Estimate],
        better: str,
        generated: ImageSet,
        real: ImageSet,
        source: ImageSet | None,
    ) -> Figure:
        x, y = self.features(generated, network), self.features(real, network)
        z = self.features(source, network) if source is not None else None
        size = self.options.kid_subset_size
        label = figure_name(name, network)
        figure = Figure(
            label, "", None, n=len(x), n_real=len(y), better=better, weights=network.weights_sha256, note=""
        )
        try:
            found = estimator(Features(x, y, z, size))
        except (NotApplicableError, ShapeError) as error:
            return replace(figure, note=str(error))
        if not math.isfinite(found.value):
            return replace(figure, note="the estimate is not finite: too few images for this estimator")
        # The ceiling compares two halves of the real images, so they must allow the estimator's subsets.
        halves = Features(y[0::2], y[1::2], z, min(size, len(y) // 2) if size else None)
        printed = found.value * self.protocol.printed if self.protocol.printed != 1 else None
        return replace(
            figure,
            **found._asdict(),
            floor=None if z is None else _value(estimator, Features(z, y, z, size)),
            ceiling=_value(estimator, halves),
            printed=printed,
        )

    def _pair_figures(self, generated: ImageSet, source: ImageSet | None, target: ImageSet | None) -> Iterator[Figure]:
        aligned = source is not None and len(source) == len(generated)
        if target is not None:
            if len(target) != len(generated):
                raise I2IError(
                    f"expected ground truth for each of {len(generated)} images, got {len(target)} in {target.name}"
                )
            for name, metric, component in self._pair_metrics():
                floor = self._mean(metric, source, target).value if source is not None and aligned else None
                yield self._pair_figure(name, metric, component, generated, target, floor)
        elif source is not None and aligned and not self.protocol.estimators:
            for name, metric, component in self._pair_metrics(to_source=True):
                yield self._pair_figure(name, metric, component, generated, source, None)

    def _pair_metrics(self, to_source: bool = False) -> Iterator[tuple[str, Callable[..., Any], Any]]:
        """Yield name, function and class of the metrics of pairs that are wanted and whose weights are there."""
        registry = default_registry()
        for name in registry.names(METRIC):
            component: Any = METRIC(name).component
            if name in self.set_metrics or not self.wants(name):
                continue
            needs_weights = getattr(component, "needs_weights", False)
            if to_source and not needs_weights:
                continue  # pixels need not stay what they are
            if name not in self._pairs:
                try:
                    given = (
                        {"path": self.options.weights[key]} if (key := f"{name}-alex") in self.options.weights else {}
                    )
                    self._pairs[name] = METRIC(name)(**given)
                except (MissingWeightsError, OptionError):
                    if name in self.options.metrics:
                        raise
                    self._pairs[name] = None
                    self.omitted[name] = "lpips-alex" if name == "lpips" else name
            if self._pairs[name] is not None:
                yield name + (TO_SOURCE if to_source else ""), self._pairs[name], component
        if to_source and self.wants("dino_structure"):
            try:
                metric = self._pairs.setdefault(
                    "dino_structure", perceptual.DINOStructure(weights.find("dino", self.options.weights))
                )
            except MissingWeightsError:
                if "dino_structure" in self.options.metrics:
                    raise
                self.omitted["dino_structure"] = "dino"
                return
            yield "dino_structure", metric, perceptual.DINOStructure

    def _pair_figure(
        self,
        name: str,
        metric: Callable[..., Any],
        component: Any,
        images: ImageSet,
        others: ImageSet,
        floor: float | None,
    ) -> Figure:
        network = getattr(metric, "network", metric)
        digest = str(getattr(network, "weights_sha256", ""))
        own = str(getattr(network, "name", ""))
        label = f"{name} ({own.partition(' (')[2]}" if " (" in own else name
        better = getattr(component, "better", "lower")
        figure = Figure(label, "", None, n=len(images), n_real=len(others), better=better, weights=digest, floor=floor)
        found = self._mean(metric, images, others)
        return replace(figure, **found._asdict())

    def _mean(self, metric: Any, images: ImageSet, others: ImageSet) -> Estimate:
        """Compute a metric of pairs one pair at a time, shared by all processes."""
        each = getattr(metric, "each", metric)

        def row(index: int) -> Tensor:
            x, y = (to_input(member[index]) for member in (images, others))
            if x.shape != y.shape:
                raise I2IError(
                    f"{images.name}: {images.names[index]} has {x.shape[3]} x {x.shape[2]} pixels, and "
                    f"{others.names[index]} in {others.name}, which it is compared with, {y.shape[3]} x {y.shape[2]}"
                )
            return torch.as_tensor(each(x, y), dtype=torch.float64).reshape(())

        rows = self.processes.collect(lambda share: map(row, share), len(images))
        return mean_with_interval(torch.stack(rows))


FIRST = ("kid", "fid")
"""Figures that reports begin with."""
FRECHET = {"fid": "frechet"}
"""Names of figures that stand for Inception's features, and what they are called with others."""


def _reading_order(name: str) -> tuple[int, str]:
    return (FIRST.index(name) if name in FIRST else len(FIRST), name)


def figure_name(metric: str, network: FeatureNetwork) -> str:
    """Return what a metric of sets is called with some features: FID and KID are Inception's alone."""
    if network.name == INCEPTION or metric == "cmmd":
        return metric
    return f"{FRECHET.get(metric, metric)} ({network.name})"


def format_notes(generated: ImageSet, real: ImageSet) -> list[str]:
    """Return what must be said about the file formats of two sets."""
    if generated.lossy and not real.lossy:
        return [
            f"{generated.name} holds lossy files ({', '.join(generated.lossy)}) and {real.name} none: the figures also "
            f"measure the compression; write translations as PNG"
        ]
    if generated.lossy:
        return [f"{generated.name} holds lossy files ({', '.join(generated.lossy)}): figures also measure compression"]
    if real.lossy:
        return [f"{real.name} holds lossy files ({', '.join(real.lossy)}), which generated images are compared with"]
    return []


def _registered(name: str) -> Callable[[Features], Estimate]:
    def estimator(sets: Features) -> Estimate:
        metric: Any = METRIC(name)()
        metric.with_interval = sets.interval
        metric.update(generated=sets.generated, real=sets.real)
        return as_estimate(metric.compute())

    return estimator


def _value(estimator: Callable[[Features], Estimate], sets: Features) -> float | None:
    """Return an estimate's value, None where the sets do not allow it."""
    try:
        value = estimator(sets._replace(interval=False)).value
    except (NotApplicableError, ShapeError):
        return None
    return value if math.isfinite(value) else None


def to_input(pixels: Pixels) -> Tensor:
    """Convert pixels [H, W, 3] to an image [1, 3, H, W] in [-1, 1]."""
    return to_tensor(Image.fromarray(pixels))[None]


def evaluate(
    generated: ImageSet,
    real: ImageSet,
    source: ImageSet | None = None,
    target: ImageSet | None = None,
    options: Options | None = None,
) -> Evaluation:
    """Compute all figures of a set of generated images.

    Args:
        generated: the generated images.
        real: real images of the target domain.
        source: images of the source domain, which give the floor.
        target: ground truth of each generated image.
        options: what is measured, and how.

    Raises:
        I2IError: a protocol, metric or network is unknown, weights are missing, or an image cannot be read.
    """
    return Evaluator(options or Options()).evaluate(generated, real, source, target)
