"""Find the directions of a run: from its weights, its styles, or labels of its images."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from i2i.errors import I2IError
from i2i_edit import style_space
from i2i_edit.directions import condition, ganspace, sefa, tag_direction, train_boundary
from i2i_edit.editor import Editor
from i2i_edit.vectors import EditVector

Scores = Mapping[str, Mapping[int, float]]
"""Scores of seeds, by attribute."""


def layer_rows(editor: Editor, layers: Sequence[int] | None) -> list[int]:
    """Return the numbers of the style vectors that a direction changes; all when None.

    Raises:
        I2IError: the generator has no such layer.
    """
    count = editor.generator.num_ws
    if wrong := [layer for layer in layers or () if not 0 <= layer < count]:
        raise I2IError(f"layers: this generator has the layers 0 to {count - 1}, got {wrong[0]}")
    return list(range(count)) if layers is None else list(layers)


def sampled_styles(editor: Editor, seeds: Sequence[int]) -> Tensor:
    """Return the style vectors [n, w_dim] of seeds, on the CPU."""
    with torch.no_grad():
        parts = [editor.translator.styles(list(seeds[i : i + 500]))[:, 0] for i in range(0, len(seeds), 500)]
    return torch.cat(parts).cpu()


def as_vector(
    editor: Editor,
    name: str,
    direction: Tensor,
    deviation: float,
    method: str,
    layers: Sequence[int] | None,
    notes: Mapping[str, Any] | None = None,
) -> EditVector:
    """Return a direction [w_dim] as a vector whose strength 1 is one standard deviation of style vectors along it."""
    ws = torch.zeros(editor.generator.num_ws, editor.generator.w_dim)
    ws[layer_rows(editor, layers)] = deviation * (direction / direction.norm()).float()
    facts = {"deviation": deviation, **(notes or {})}
    return EditVector(name, editor.hash, ws, {}, method, facts)


def sefa_directions(editor: Editor, count: int = 8, layers: Sequence[int] | None = None) -> list[EditVector]:
    """Return SeFa's directions, `sefa0` with the largest eigenvalue first.

    Args:
        editor: of the run.
        count: number of directions.
        layers: numbers of the style vectors whose layers are factorized and changed; all when None.
    """
    rows = set(layer_rows(editor, layers))
    last = editor.generator.num_ws - 1
    # Of the conversions to RGB only the last one has a style vector of its own.
    affines = [
        one.module.affine.weight
        for one in style_space.layers(editor.generator.synthesis)
        if one.index in rows and (not one.is_rgb or one.index == last)
    ]
    vectors, values = sefa([value.cpu() for value in affines])
    spread = sampled_styles(editor, range(1000)).double()
    return [
        as_vector(
            editor,
            f"sefa{i}",
            vectors[i],
            float((spread @ vectors[i]).std()),
            "sefa",
            layers,
            {"eigenvalue": float(values[i])},
        )
        for i in range(min(count, len(vectors)))
    ]


def ganspace_directions(
    editor: Editor, count: int = 8, samples: int = 10_000, layers: Sequence[int] | None = None
) -> list[EditVector]:
    """Return GANSpace's directions: principal components of style vectors, `ganspace0` with the largest deviation.

    Args:
        editor: of the run.
        count: number of directions.
        samples: number of style vectors.
        layers: numbers of the style vectors that they change; all when None.
    """
    components, _, deviations = ganspace(sampled_styles(editor, range(samples)))
    return [
        as_vector(editor, f"ganspace{i}", components[i], float(deviations[i]), "ganspace", layers)
        for i in range(min(count, len(components)))
    ]


def boundary_directions(
    editor: Editor,
    scores: Scores,
    chosen: float = 0.02,
    conditions: Mapping[str, Sequence[str]] | None = None,
    layers: Sequence[int] | None = None,
    seed: int = 0,
) -> list[EditVector]:
    """Return InterFaceGAN's directions, one for each attribute.

    Args:
        editor: of the run.
        scores: of seeds, by attribute.
        chosen: share of the samples at each end that are trained and validated on, or their number.
        conditions: attributes that an attribute's direction is orthogonal to.
        layers: numbers of the style vectors that they change; all when None.
        seed: of the choice of the training samples.

    Raises:
        I2IError: too few labels, or a condition that is no attribute.
    """
    found, spreads = {}, {}
    for name, labels in scores.items():
        latents = sampled_styles(editor, list(labels))
        try:
            found[name] = train_boundary(latents, torch.tensor(list(labels.values())), chosen, seed=seed)
        except I2IError as error:
            raise I2IError(f"{name}: {error}") from error
        spreads[name] = latents.double()
    result = []
    for name, boundary in found.items():
        others = list((conditions or {}).get(name, ()))
        if unknown := [other for other in others if other not in found or other == name]:
            raise I2IError(f"condition {unknown[0]!r} of {name}: expected another attribute of {', '.join(found)}")
        normal = condition(boundary.normal.double(), [found[other].normal.double() for other in others])
        notes = {"accuracy": boundary.validation, "conditions": others}
        if not math.isnan(boundary.remaining):
            notes["remaining_accuracy"] = boundary.remaining
        result.append(
            as_vector(editor, name, normal, float((spreads[name] @ normal).std()), "interfacegan", layers, notes)
        )
    return result


def tag_directions(editor: Editor, scores: Scores, layers: Sequence[int] | None = None) -> list[EditVector]:
    """Return the directions of tags by logistic regression; a fifth of the labels is held out to measure them.

    Args:
        editor: of the run.
        scores: 1 with the tag and 0 without (or a probability) of seeds, by tag.
        layers: numbers of the style vectors that they change; all when None.

    Raises:
        I2IError: too few labels.
    """
    result = []
    for name, labels in scores.items():
        latents, truth = sampled_styles(editor, list(labels)).double(), torch.tensor(list(labels.values())) > 0.5
        held_out = torch.arange(len(truth)) % 5 == 0
        try:
            direction, intercept = tag_direction(latents[~held_out], truth[~held_out])
        except I2IError as error:
            raise I2IError(f"{name}: {error}") from error
        right = (latents[held_out] @ direction + intercept > 0) == truth[held_out]
        of_class = torch.stack([right[truth[held_out] == one].double().mean() for one in (True, False)])
        # A mean is NaN where no sample of a class is held out, as may be of few labels.
        notes = {} if of_class.isnan().any() else {"accuracy": float(of_class.mean())}
        deviation = float((latents @ direction / direction.norm()).std())
        result.append(as_vector(editor, name, direction, deviation, "tags", layers, notes))
    return result


def scores_of(
    editor: Editor, tagger: Any, samples: int, attributes: Sequence[str] = (), seed: int = 0
) -> dict[str, dict[int, float]]:
    """Return a tagger's scores of generated images, by tag and seed.

    Args:
        editor: of the run.
        tagger: scores [B, tags] of images, with `tags`.
        samples: number of images.
        attributes: tags that are wanted; all when empty.
        seed: of the first image.

    Raises:
        I2IError: the tagger has no such tag.
    """
    tags = list(tagger.tags)
    if unknown := [name for name in attributes if name not in tags]:
        raise I2IError(f"attribute {unknown[0]!r}: the tagger has {', '.join(tags)}")
    rows = []
    with torch.no_grad():
        for start in range(seed, seed + samples, 100):
            ws = editor.translator.styles(range(start, min(start + 100, seed + samples)))
            rows.append(tagger(editor.generate(ws)).cpu())
    scores = torch.cat(rows)
    wanted = list(attributes) or tags
    return {name: dict(enumerate(scores[:, tags.index(name)].tolist(), seed)) for name in wanted}


def read_scores(path: Path, attributes: Sequence[str] = ()) -> dict[str, dict[int, float]]:
    """Read scores from a CSV file with the columns `seed` and one for each attribute; empty cells are no labels.

    Args:
        path: the file.
        attributes: columns that are wanted; all when empty.

    Raises:
        I2IError: the file is missing, or a line is wrong.
    """
    if not path.is_file():
        raise I2IError(f"{path}: expected a CSV file with the columns seed and one for each attribute, found nothing")
    with path.open(encoding="utf-8", newline="") as file:
        lines = csv.DictReader(file)
        columns = list(lines.fieldnames or [])
        if "seed" not in columns or len(columns) < 2:
            raise I2IError(f"{path}:1: expected the columns seed and one for each attribute, got {', '.join(columns)}")
        wanted = list(attributes) or [name for name in columns if name != "seed"]
        if unknown := [name for name in wanted if name not in columns]:
            raise I2IError(f"{path}:1: no column {unknown[0]!r}; the columns are {', '.join(columns)}")
        scores: dict[str, dict[int, float]] = {name: {} for name in wanted}
        for number, line in enumerate(lines, start=2):
            seed = _number(line["seed"], int, path, number, "a seed")
            if seed < 0:
                raise I2IError(f"{path}:{number}: expected a seed from 0 on, got {seed}")
            for name in wanted:
                if (line[name] or "").strip():
                    scores[name][seed] = _number(line[name], float, path, number, f"a number for {name}")
    for name, labels in scores.items():
        if len(labels) < 4:
            raise I2IError(f"{path}: too few labels: {name} has {len(labels)}, expected at least 4")
    return scores


def _number(text: str | None, kind: Callable[[str], Any], path: Path, line: int, what: str) -> Any:
    try:
        value = kind(text or "")
        if not math.isfinite(value):
            raise ValueError
    except ValueError:
        raise I2IError(f"{path}:{line}: expected {what}, got {text!r}") from None
    return value
