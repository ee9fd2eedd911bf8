"""Evaluation of runs: their checkpoints translate held-out images, and the translations are measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from i2i.data.images import find_images, read_image
from i2i.data.measured import Split, images_to_measure
from i2i.engine import checkpoint
from i2i.errors import CheckpointError, I2IError
from i2i.evaluation.evaluate import Evaluator, to_input
from i2i.evaluation.feature_distances import mean_with_interval
from i2i.evaluation.figures import Evaluation, Figure
from i2i.evaluation.image_sets import ImageSet, from_arrays, from_folder
from i2i.evaluation.perceptual import FeatureDistance, diversity
from i2i.evaluation.training import direction, shared_weights, to_rgb_pixels
from i2i.use.loaded import Loaded, load

STYLES, STYLED_INPUTS = 5, 16
"""Number of random styles that diversity compares for each input, and number of inputs."""
Steps = Literal["last", "best", "all"]


@dataclass(frozen=True)
class Question:
    """What is translated by which checkpoints.

    Args:
        steps: the newest checkpoint, the one that the run kept as its best, or all that are there.
        split: which images of the run's data set are translated.
        count: largest number of images of each domain; all when None.
        to: domain to translate to; `b` where there is one, when None.
        real: folder of real images of the target domain, in place of those of the data set.
        source: folder of inputs, in place of those of the data set.
    """

    steps: Steps = "last"
    split: Split = "val"
    count: int | None = None
    to: str | None = None
    real: Path | None = None
    source: Path | None = None


class Translations(NamedTuple):
    """What one checkpoint made of the inputs.

    Args:
        run: name of the run.
        step: step of the checkpoint.
        scanned: number of checkpoints among which it was, or may be, chosen.
        loaded: the networks.
        images: the translations.
    """

    run: str
    step: int
    scanned: int
    loaded: Loaded
    images: ImageSet


@dataclass
class Examined:
    """The figures of all checkpoints, and the images behind them.

    Args:
        evaluation: the figures.
        source: the inputs.
        real: real images of the target domain.
        to: domain that was translated to.
        translations: what each checkpoint made of the inputs, in the order of runs and steps.
        kept: for each run the step that it kept as its best by itself, if any.
    """

    evaluation: Evaluation
    source: ImageSet
    real: ImageSet
    to: str
    translations: list[Translations] = field(default_factory=list)
    kept: dict[str, int] = field(default_factory=dict)


def evaluate_runs(
    runs: Sequence[Path], question: Question, evaluator: Evaluator, first: Loaded | None = None
) -> Examined:
    """Measure checkpoints of one or several runs on the same images; every process must call it.

    Images are those of the first run's data set, prepared as for its training, unless folders are given. Each image
    is translated alone and rounded to 8 bits, so the figures are those of its translations written as PNG files.

    Args:
        runs: run folders, or single checkpoints.
        question: what is translated by which checkpoints.
        evaluator: how it is measured.
        first: the first run, if it is loaded already.

    Raises:
        I2IError: a run has no such checkpoint, its data cannot be read, or it does not translate to the domain.
    """
    first = first or load(runs[0], device=evaluator.options.device)
    inputs, source, real, target, to, notes = _images(first, question)
    examined = Examined(Evaluation(notes=notes), source, real, to)

    def translate(loaded: Loaded, name: str) -> ImageSet:
        return _translate(loaded, inputs, source.names, to, name, evaluator)

    def diversity_of(loaded: Loaded) -> Iterator[Figure]:
        return _diversity(loaded, source, to, evaluator)

    measure_checkpoints(examined, runs, question.steps, evaluator, translate, diversity_of, source, target)
    return examined


def measure_checkpoints(
    examined: Examined,
    runs: Sequence[Path],
    steps: Steps,
    evaluator: Evaluator,
    images_of: Callable[[Loaded, str], ImageSet],
    figures_of: Callable[[Loaded], Iterator[Figure]],
    source: ImageSet | None = None,
    target: ImageSet | None = None,
) -> None:
    """Measure what the checkpoints of runs make, against the same real images.

    Args:
        examined: has the real images, and gets figures, notes and what each checkpoint made.
        runs: run folders, or single checkpoints.
        steps: which checkpoints.
        evaluator: how it is measured.
        images_of: what a checkpoint makes, under a name.
        figures_of: further figures of a checkpoint.
        source: the inputs, if there are any.
        target: ground truth of the inputs.
    """
    evaluation = examined.evaluation
    for name, run in zip(run_names(runs), runs, strict=True):
        if (best := _best(run)) is not None:
            examined.kept[name] = best[0]
        for folder, scanned in _chosen(run, steps):
            loaded = load(folder, device=evaluator.options.device)
            shared = shared_weights(evaluator, checkpoint.find(folder).state.get("feature_extractors") or {})
            images = images_of(loaded, f"{name} step {loaded.step}")
            found = evaluator.evaluate(
                images, examined.real, source, target, run=name, step=loaded.step, scanned=scanned
            )
            evaluation.figures += found.figures
            evaluation.figures += [
                replace(figure, run=name, step=loaded.step, scanned=scanned) for figure in figures_of(loaded)
            ]
            evaluation.notes += [note for note in (*shared, *found.notes) if note not in evaluation.notes]
            examined.translations.append(Translations(name, loaded.step, scanned, loaded, images))


def perceptual_figure(
    name: str,
    evaluator: Evaluator,
    count: int,
    better: Literal["lower", "higher"],
    value: Callable[[FeatureDistance, int], Tensor],
    images: int,
    data: Mapping[str, str],
) -> Iterator[Figure]:
    """Yield the mean of a perceptual distance over cases; nothing where it is not wanted or has no network.

    Args:
        name: of the figure.
        evaluator: how it is measured.
        count: number of cases.
        better: which values are better.
        value: distance of a case, a scalar.
        images: n of the figure.
        data: hashes of what was measured.
    """
    if evaluator.protocol.estimators or not evaluator.wants(name):
        return
    try:
        distance = FeatureDistance()
    except I2IError:
        return

    def compute(share: range) -> Iterator[Tensor]:
        for index in share:
            yield value(distance, index)

    values = torch.stack(evaluator.processes.collect(compute, count))
    yield Figure(
        f"{name} ({distance.model})",
        evaluator.protocol.name,
        **mean_with_interval(values)._asdict(),
        n=images,
        n_real=0,
        better=better,
        weights=distance.weights_sha256,
        data=dict(data),
    )


def _images(
    first: Loaded, question: Question
) -> tuple[Sequence[Tensor], ImageSet, ImageSet, ImageSet | None, str, list[str]]:
    """Return inputs as tensors and as a set, real images, ground truth of the inputs, the target domain, and notes."""
    notes: list[str] = []
    target: ImageSet | None = None
    inputs = reals = None
    tensors: Sequence[Tensor] = ()
    if question.source is None or question.real is None:
        data = images_to_measure(first.recipe.data(seed=first.recipe.train.seed), question.split, question.count)
        origin, to = direction(first.translator, list(data.images), question.to)
        if origin not in data.images or to not in data.images:
            raise I2IError(f"the data set has no images to translate to {to!r}; it has {', '.join(data.images)}")
        notes += [note] if (note := data.note(question.split)) else []
        inputs, reals = (
            _sequence_set(data.images[domain], f"{data.split} images of {domain}") for domain in (origin, to)
        )
        tensors = data.images[origin]
        if data.paired and question.source is None and question.real is None:
            target = reals
    else:
        to = question.to or direction(first.translator, first.translator.domains)[1]
    if question.real is not None:
        reals = from_folder(question.real, question.count)
    if question.source is not None:
        files = find_images(question.source)[: question.count]
        tensors = [first.prepare(read_image(file)) for file in files]
        inputs = from_arrays(
            list(map(to_rgb_pixels, tensors)),
            str(question.source),
            [file.relative_to(question.source).as_posix() for file in files],
        )
    assert inputs is not None
    assert reals is not None
    return tensors, inputs, reals, target, to, notes


def _sequence_set(images: Sequence[Tensor], name: str) -> ImageSet:
    return from_arrays([to_rgb_pixels(image) for image in images], name)


def _translate(
    loaded: Loaded, inputs: Sequence[Tensor], names: Sequence[str], to: str, name: str, evaluator: Evaluator
) -> ImageSet:
    condition = {"seed": 0} if "seed" in loaded.translator.conditions() else {}

    def translate(share: range) -> Iterator[Tensor]:
        for index in share:
            image = loaded.run(inputs[index][None], to, **condition).image[0]
            yield torch.from_numpy(to_rgb_pixels(image.float().cpu()))

    arrays = [tensor.numpy() for tensor in evaluator.processes.collect(translate, len(inputs))]
    return from_arrays(arrays, name, names)


def _diversity(loaded: Loaded, source: ImageSet, to: str, evaluator: Evaluator) -> Iterator[Figure]:
    """Return the distance between outputs of several random styles, for methods that have styles."""
    if not {"style", "seed"} <= set(loaded.translator.conditions()):
        return iter(())

    def value(distance: FeatureDistance, index: int) -> Tensor:
        image = to_input(source[index])
        outputs = [loaded.run(image, to, style=style, seed=0).image.float().cpu() for style in range(1, STYLES + 1)]
        return diversity(distance, torch.stack(outputs, 1))[0]

    count = min(STYLED_INPUTS, len(source))
    return perceptual_figure("diversity", evaluator, count, "higher", value, count * STYLES, {"source": source.sha256})


def cycle_distances(made: Translations, source: ImageSet, origin: str) -> list[float] | None:
    """Return the distance of each input from its translation there and back; None where there is no way back.

    Args:
        made: the translations.
        source: the inputs.
        origin: domain of the inputs.
    """
    if origin not in made.loaded.translator.targets:
        return None
    distance = FeatureDistance()
    condition = {"seed": 0} if "seed" in made.loaded.translator.conditions() else {}

    def one(index: int) -> float:
        back = made.loaded.run(to_input(made.images[index]), origin, **condition).image.float().cpu()
        return float(distance(back, to_input(source[index])))

    return [one(index) for index in range(len(source))]


def _chosen(run: Path, steps: Steps) -> list[tuple[Path, int]]:
    """Return the folders of the checkpoints that are evaluated, each with the number that was chosen from."""
    listed = checkpoint.listed(run)
    if not listed:
        return [(checkpoint.find(run).folder, 1)]
    if steps == "all":
        return [(listed[step], len(listed)) for step in sorted(listed)]
    if steps == "last":
        return [(checkpoint.find(run).folder, 1)]
    best = _best(run)
    if best is None or best[0] not in listed:
        raise CheckpointError(f"{run} kept no best checkpoint: train.keep_best was not set; use --steps last or all")
    return [(listed[best[0]], best[1])]


def _best(run: Path) -> tuple[int, int] | None:
    """Return the step that a run kept as its best, and how many were compared."""
    saved: Any = checkpoint.find(run).state.get("best")
    if not isinstance(saved, dict) or not isinstance(saved.get("step"), int):
        return None
    compared = saved.get("compared")
    return saved["step"], compared if isinstance(compared, int) and compared > 0 else 1


def run_names(runs: Sequence[Path]) -> list[str]:
    """Return a short name for each run; runs of one name in different folders keep their paths."""
    short = [run.resolve().name for run in runs]
    return [name if short.count(name) == 1 else str(run) for name, run in zip(short, runs, strict=True)]
