"""Evaluation of runs that generate images from noise: their samples are measured against real images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from i2i.data.measured import images_to_measure
from i2i.engine import checkpoint
from i2i.errors import I2IError
from i2i.evaluation.evaluate import Evaluator
from i2i.evaluation.feature_distances import mean_with_interval
from i2i.evaluation.figures import Evaluation, Figure
from i2i.evaluation.image_sets import ImageSet, from_arrays, from_folder
from i2i.evaluation.perceptual import FeatureDistance
from i2i.evaluation.training import shared_weights, to_rgb_pixels
from i2i.use.loaded import Loaded, load
from i2i.use.run_evaluation import Examined, Question, Translations, _best, _chosen, run_names
from i2i.use.sampling import sample

EPSILON = 1e-4
"""Distance in the space of styles between the two images of each pair whose perceptual distance is measured."""
PAIRS = 64
"""Number of pairs for the path length."""


def generates(run: Path) -> bool:
    """Return whether a run generates images from noise and translates none."""
    return not load(run, device="cpu").translator.targets


def evaluate_generators(
    runs: Sequence[Path], question: Question, evaluator: Evaluator, condition: Mapping[str, Any]
) -> Examined:
    """Measure samples of one or several runs against the same real images; every process must call it.

    There are as many samples as real images, of the seeds from 0 on, rounded to 8 bits.

    Args:
        runs: run folders, or single checkpoints.
        question: which checkpoints, and which real images: those of the first run's data set, or of a folder.
        evaluator: how it is measured.
        condition: conditions of the samples, such as `truncation`.

    Raises:
        I2IError: a run has no such checkpoint or condition, its data cannot be read, or it translates images.
    """
    first = load(runs[0], device=evaluator.options.device)
    if question.source is not None or question.to is not None:
        raise I2IError(f"{runs[0]} generates images from noise: it has no --source and no domain --to")
    real, notes = _real(first, question)
    examined = Examined(Evaluation(notes=notes), real, real, first.translator.domains[0])
    for name, run in zip(run_names(runs), runs, strict=True):
        if (best := _best(run)) is not None:
            examined.kept[name] = best[0]
        for folder, scanned in _chosen(run, question.steps):
            loaded = load(folder, device=evaluator.options.device)
            if loaded.translator.targets:
                raise I2IError(f"{run} translates images, but {runs[0]} generates them from noise; measure each alone")
            found = shared_weights(evaluator, checkpoint.find(folder).state.get("feature_extractors") or {})
            images = _samples(loaded, len(real), condition, f"{name} step {loaded.step}", evaluator)
            measured = evaluator.evaluate(images, real, run=name, step=loaded.step, scanned=scanned)
            examined.evaluation.figures += measured.figures
            examined.evaluation.figures += [
                replace(figure, run=name, step=loaded.step, scanned=scanned)
                for figure in _path_length(loaded, condition, evaluator)
            ]
            examined.evaluation.notes += [
                note for note in (*found, *measured.notes) if note not in examined.evaluation.notes
            ]
            examined.translations.append(Translations(name, loaded.step, scanned, loaded, images))
    return examined


def _real(first: Loaded, question: Question) -> tuple[ImageSet, list[str]]:
    """Return the real images, and what must be said about them."""
    if question.real is not None:
        return from_folder(question.real, question.count), []
    data = images_to_measure(first.recipe.data(seed=first.recipe.train.seed), question.split, question.count)
    domain = first.translator.domains[0]
    if domain not in data.images:
        raise I2IError(f"the data set has no images {domain!r} to compare with; give --real DIR")
    note = data.note(question.split)
    images = [to_rgb_pixels(image) for image in data.images[domain]]
    return from_arrays(images, f"{data.split} images of {domain}"), [note] if note else []


def _samples(loaded: Loaded, count: int, condition: Mapping[str, Any], name: str, evaluator: Evaluator) -> ImageSet:
    def generate(share: range) -> Iterator[Tensor]:
        for seed in share:
            yield torch.from_numpy(to_rgb_pixels(sample(loaded, [seed], **condition)[0]))

    return from_arrays([one.numpy() for one in evaluator.processes.collect(generate, count)], name)


def _path_length(loaded: Loaded, condition: Mapping[str, Any], evaluator: Evaluator) -> Iterator[Figure]:
    """Yield the perceptual path length of a translator that has `path_pairs`.

    Source: Karras et al., CVPR 2019, arXiv:1812.04948, section 4.1, in W, at any place between two codes.
    """
    pairs: Any = getattr(loaded.translator, "path_pairs", None)
    if pairs is None or evaluator.protocol.estimators or not evaluator.wants("path_length"):
        return
    try:
        distance = FeatureDistance()
    except I2IError:
        return

    def compute(share: range) -> Iterator[Tensor]:
        for seed in share:
            with torch.inference_mode():
                first, second = pairs([seed], EPSILON, **condition).float().cpu()
            yield distance(first, second)[0].double() / EPSILON**2

    values = torch.stack(evaluator.processes.collect(compute, PAIRS))
    yield Figure(
        f"path_length ({distance.model})",
        evaluator.protocol.name,
        **mean_with_interval(values)._asdict(),
        n=PAIRS,
        n_real=0,
        better="lower",
        weights=distance.weights_sha256,
        data={},
    )
