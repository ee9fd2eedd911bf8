"""Distances of feature sets against the figures of official tools, and properties that no tool states."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from i2i.core.kinds import METRIC
from i2i.errors import ShapeError
from i2i.evaluation import feature_distances as distances
from i2i.evaluation import perceptual, protocols
from i2i.evaluation.protocols import Features


@pytest.fixture
def arrays(golden: Path) -> dict[str, Tensor]:
    return load_file(golden / "evaluation" / "arrays.safetensors")


@pytest.fixture
def figures(golden: Path) -> dict[str, Any]:
    figures: dict[str, Any] = json.loads((golden / "evaluation" / "array_figures.json").read_text())
    return figures


def test_array_figures(arrays: dict[str, Tensor], figures: dict[str, Any]) -> None:
    x, y = arrays["fake"], arrays["real"]
    assert distances.frechet_distance(x, y) == pytest.approx(figures["fid.pytorch_fid"], rel=1e-6)
    assert distances.kid(x, y) == pytest.approx(figures["kid.unbiased_all"], rel=1e-6)
    for key in [key for key in figures if key.startswith("prdc.k")]:
        found = distances.manifold(x, y, int(key.removeprefix("prdc.k")))
        assert found._asdict() == pytest.approx(figures[key], abs=1e-12)
    embedded = distances.cmmd(arrays["clip_fake"], arrays["clip_real"])
    assert embedded == pytest.approx(figures["cmmd.cmmd_pytorch.float64"], rel=1e-6)


def test_estimators_of_kid(arrays: dict[str, Tensor], figures: dict[str, Any]) -> None:
    sets = Features(arrays["fake"], arrays["real"], arrays["source"])
    kid = {
        name: protocol.estimators["kid"]
        for name, protocol in protocols.PROTOCOLS.items()
        if "kid" in protocol.estimators
    }
    sizes = [re.fullmatch(r"kid\.torch_fidelity\.subset(\d+)x100\.seed2020", key) for key in figures]
    assert any(sizes)
    for size in filter(None, sizes):
        mean, deviation = figures[size[0]].values()
        found = kid["torch-fidelity"](sets._replace(subset=int(size[1])))
        assert found.value == pytest.approx(mean, rel=1e-6)
        assert found.high == pytest.approx(mean + deviation, rel=1e-6)
    assert kid["clean-fid"](sets).value == pytest.approx(figures["kid.clean_fid.100x1000.numpyseed0"], rel=1e-6)
    found, expected = kid["nice-gan"](sets), figures["kid.nice_gan.50x1000.numpyseed0"]
    assert found.value * protocols.get("nice-gan").printed == pytest.approx(expected["mean_times_100"], rel=1e-6)
    assert found.high == pytest.approx(found.value + expected["std"], rel=1e-6)
    for pair, (value, error) in figures["kid.tf_gan"].items():
        first, second, largest = pair.split()
        found = distances.kid_of_blocks(arrays[first], arrays[second], int(largest))
        assert found.value == pytest.approx(value, rel=1e-9)
        assert error is None or found.high == pytest.approx(value + error, rel=1e-9)
    legacy = figures["kid.ugatit_legacy"]
    for year in ("2019_04", "2019_08"):
        found = protocols.get(f"ugatit-{year.replace('_', '-')}").estimators["mean_kid"](sets)
        assert found.value == pytest.approx(legacy[f"mean_kid_{year}"], rel=1e-9)
    assert found.high == pytest.approx(found.value + legacy["error"], rel=1e-9)


def test_structure_distance(golden: Path) -> None:
    keys = load_file(golden / "evaluation" / "dino_keys.safetensors")
    expected = json.loads((golden / "evaluation" / "pair_figures.json").read_text())["dino_structure"]["value"]
    assert float(perceptual.structure_distance(keys["keys_a"], keys["keys_b"])) == pytest.approx(expected, rel=1e-6)
    assert torch.allclose(perceptual.self_similarity(keys["keys_a"]), keys["similarity_a"], atol=1e-6)


def normal(count: int, shift: float = 0.0, seed: int = 0, width: int = 16) -> Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed)) + shift


def test_frechet_distance_with_more_images_than_features_is_the_textbook_formula() -> None:
    x, y = normal(200, width=4).double(), 2 * normal(150, 1.0, 1, width=4).double()
    product = torch.cov(x.T) @ torch.cov(y.T)
    root = torch.linalg.eigvals(product).sqrt().real.sum()
    expected = (x.mean(0) - y.mean(0)).square().sum() + torch.cov(x.T).trace() + torch.cov(y.T).trace() - 2 * root
    assert distances.frechet_distance(x, y) == pytest.approx(float(expected), rel=1e-9)
    assert distances.frechet_distance(x, x) == pytest.approx(0, abs=1e-9)


def test_intervals_of_kid_cover_the_truth_and_shrink() -> None:
    """The bootstrap's middle is the estimate: resampled copies of an image do not shift it."""
    found = [
        distances.kid_with_interval(normal(60, 0.0, 2 * seed), normal(50, 0.0, 2 * seed + 1)) for seed in range(20)
    ]
    covered = [
        estimate.low <= 0 <= estimate.high
        for estimate in found
        if estimate.low is not None and estimate.high is not None
    ]
    assert 16 <= sum(covered) <= 20
    shifts = [
        (estimate.low + estimate.high) / 2 - estimate.value
        for estimate in found
        if estimate.low is not None and estimate.high is not None
    ]
    widths = [
        estimate.high - estimate.low for estimate in found if estimate.low is not None and estimate.high is not None
    ]
    assert abs(sum(shifts)) / 20 < 0.15 * sum(widths) / 20
    large = distances.kid_with_interval(normal(400), normal(400, 0.0, 1))
    assert large.high is not None
    assert large.low is not None
    assert large.high - large.low < sum(widths) / 20 / 3


def test_set_metrics_depend_on_all_features_alone() -> None:
    x, y = normal(24, 0.3), normal(30, 0.0, 1)
    for name in ("fid", "kid", "precision", "recall", "density", "coverage"):
        whole, parts = METRIC(name)(), METRIC(name)()
        whole.update(generated=x, real=y)
        for batch in x.split(5):
            parts.update(generated=batch)
        parts.update(real=y[:1])
        parts.update(real=y[1:])
        assert parts.compute() == whole.compute(), name
    with pytest.raises(ShapeError, match="expected at least 2 generated images, got 0"):
        METRIC("kid")().compute()
