"""Evaluation of runs that generate images from noise: their samples are measured against real images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from i2i.data.measured import images_to_measure
from i2i.errors import I2IError
from i2i.evaluation.evaluate import Evaluator
from i2i.evaluation.figures import Evaluation, Figure
from i2i.evaluation.image_sets import ImageSet, from_arrays, from_folder
from i2i.evaluation.perceptual import FeatureDistance
from i2i.evaluation.training import to_rgb_pixels
from i2i.use.loaded import Loaded
from i2i.use.run_evaluation import Examined, Question, measure_checkpoints, perceptual_figure
from i2i.use.sampling import sample

EPSILON = 1e-4
"""Distance in the space of styles between the two images of each pair whose perceptual distance is measured."""
PAIRS = 64
"""Number of pairs for the path length."""


def evaluate_generators(
    first: Loaded, runs: Sequence[Path], question: Question, evaluator: Evaluator, condition: Mapping[str, Any]
) -> Examined:
    """Measure samples of one or several runs against the same real images; every process must call it.

    There are as many samples as real images, of the seeds from 0 on, rounded to 8 bits.

    Args:
        first: the first run, loaded.
        runs: run folders, or single checkpoints.
        question: which checkpoints, and which real images: those of the first run's data set, or of a folder.
        evaluator: how it is measured.
        condition: conditions of the samples, such as `truncation`.

    Raises:
        I2IError: a run has no such checkpoint or condition, its data cannot be read, or it translates images.
    """
    if question.source is not None or question.to is not None:
        raise I2IError(f"{runs[0]} generates images from noise: it has no --source and no domain --to")
    real, notes = _real(first, question)
    examined = Examined(Evaluation(notes=notes), real, real, first.translator.domains[0])

    def samples(loaded: Loaded, name: str) -> ImageSet:
        if loaded.translator.targets:
            run = loaded.folder or name
            raise I2IError(f"{run} translates images, but {runs[0]} generates them from noise; measure each alone")
        return _samples(loaded, len(real), condition, name, evaluator)

    def path_length(loaded: Loaded) -> Iterator[Figure]:
        return _path_length(loaded, condition, evaluator)

    measure_checkpoints(examined, runs, question.steps, evaluator, samples, path_length)
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
    """Return the perceptual path length of a translator that has `path_pairs`.

    Source: Karras et al., CVPR 2019, arXiv:1812.04948, section 4.1, in W, at any place between two codes.
    """
    pairs: Any = getattr(loaded.translator, "path_pairs", None)
    if pairs is None:
        return iter(())

    def value(distance: FeatureDistance, seed: int) -> Tensor:
        with torch.inference_mode():
            first, second = pairs([seed], EPSILON, **condition).float().cpu()
        length: Tensor = distance(first, second)[0].double() / EPSILON**2
        return length

    return perceptual_figure("path_length", evaluator, PAIRS, "lower", value, PAIRS, {})
