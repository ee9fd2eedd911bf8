"""The measures accept the truth and refuse what is wrong, each in its own way."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from i2i.demo.shapes import (
    LEAST_CONTRAST,
    Color,
    ShapeMetrics,
    Shapes,
    centroids,
    has_form,
    measure,
    measure_heatmap,
    object_mask,
    overlap,
)

COUNT = 60


def pairs(size: int = 32, first: Color = "red", second: Color = "blue") -> dict[str, Tensor]:
    return Shapes(size=size, color_a=first, color_b=second).pairs(COUNT)


def figures_of(made: Tensor, truth: dict[str, Tensor]) -> ShapeMetrics:
    return measure(made, truth["a"], "circle", "blue")


@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize(("first", "second"), [("red", "blue"), ("white", "random")])
def test_the_truth_is_accepted_in_both_directions(size: int, first: Color, second: Color) -> None:
    truth = pairs(size, first, second)
    for figures in (
        measure(truth["b"], truth["a"], "circle", second),
        measure(truth["a"], truth["b"], "square", first),
    ):
        assert (figures.domain, figures.shape) == (1, 1)
        assert figures.centroid < 0.4
        assert 0.8 < figures.iou < 0.87


def test_copying_the_input_is_refused() -> None:
    truth = pairs()
    assert figures_of(truth["a"], truth) == ShapeMetrics(0, 0, 0, 1)


def test_the_right_object_at_the_wrong_place() -> None:
    truth = pairs()
    figures = figures_of(truth["b"].roll(1, 0), truth)
    assert (figures.domain, figures.shape) == (1, 1)
    assert figures.centroid > 5
    assert figures.iou < 0.3


def test_one_answer_for_everything() -> None:
    truth = pairs()
    figures = figures_of(truth["b"][:1].expand(COUNT, -1, -1, -1), truth)
    assert (figures.domain, figures.shape) == (1, 1)
    assert figures.centroid > 4


def test_the_right_form_in_the_wrong_colour_and_the_reverse() -> None:
    truth = pairs()
    red = figures_of(truth["b"].flip(1), truth)  # red and blue change places
    assert (red.domain, red.shape) == (0, 1)
    squares = figures_of(truth["a"].flip(1), truth)
    assert (squares.domain, squares.shape) == (0, 0)
    assert squares.centroid == 0


def test_no_object_at_all() -> None:
    truth = pairs()
    empty = torch.full_like(truth["a"], -0.7) + 0.08 * torch.randn(truth["a"].shape)
    assert figures_of(empty, truth) == ShapeMetrics(0, 0, math.inf, 0)


def test_other_forms_are_neither() -> None:
    x, y = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    bar = ((x - 15).abs() < 3) & ((y - 15).abs() < 11)
    ring = ((x - 15) ** 2 + (y - 15) ** 2 < 100) & ((x - 15) ** 2 + (y - 15) ** 2 > 49)
    for mask in (bar, ring):
        assert not has_form(mask[None], "circle")
        assert not has_form(mask[None], "square")


def test_half_of_a_batch_counts_half() -> None:
    truth = pairs()
    mixed = torch.cat([truth["b"][: COUNT // 2], truth["a"][COUNT // 2 :]])
    figures = figures_of(mixed, truth)
    assert (figures.domain, figures.shape) == (0.5, 0.5)


def test_masks() -> None:
    image = torch.full((1, 3, 20, 20), -0.7)
    image[:, :, 4:10, 6:12] = 0.5
    mask = object_mask(image)
    assert mask.sum() == 36
    assert centroids(mask).tolist() == [[8.5, 6.5]]
    assert overlap(mask, mask).tolist() == [1]
    faint = torch.where(image > 0, -0.7 + LEAST_CONTRAST, -0.7)
    assert not object_mask(faint).any()
    assert centroids(object_mask(faint)).isnan().all()


def test_heat_that_follows_the_object_or_does_not() -> None:
    source = pairs()["a"]
    mask = object_mask(source)[:, None].double()
    assert measure_heatmap(5 * mask - 2, source) == (1, 1, 0)  # whatever its range
    assert measure_heatmap(-mask, source) == (0, 0, 1)
    coarse = measure_heatmap(torch.nn.functional.avg_pool2d(mask, 4), source)
    assert coarse.iou > 0.5
    assert coarse.inside > 3 * coarse.outside
    elsewhere = measure_heatmap(mask.roll(1, 0), source)
    assert elsewhere.iou < 0.3
    assert elsewhere.inside < 2 * elsewhere.outside
    assert measure_heatmap(torch.ones(COUNT, 1, 8, 8), source) == (0, 0, 0)
