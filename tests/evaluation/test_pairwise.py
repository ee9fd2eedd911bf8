"""Pairwise metrics, each against an independent statement of its formula."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from i2i.evaluation.pairwise import PSNR, SSIM, L1Distance


@pytest.fixture
def pair() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(2, 3, 16, 20, generator=generator) * 2 - 1
    return image, (image + 0.2 * torch.randn(image.shape, generator=generator)).clamp(-1, 1)


def test_l1_is_the_mean_difference_of_images_in_0_1(pair: tuple[Tensor, Tensor]) -> None:
    image, target = ((value.double().numpy() + 1) / 2 for value in pair)
    assert L1Distance()(*pair) == pytest.approx(np.abs(image - target).mean(), rel=1e-5)
    assert L1Distance()(torch.ones(1, 3, 4, 4), -torch.ones(1, 3, 4, 4)) == 1
    assert L1Distance()(pair[0], pair[0]) == 0


def test_psnr_is_the_mean_over_images(pair: tuple[Tensor, Tensor]) -> None:
    image, target = ((value.double().numpy() + 1) / 2 for value in pair)
    each = [10 * math.log10(1 / ((one - other) ** 2).mean()) for one, other in zip(image, target, strict=True)]
    assert PSNR()(*pair) == pytest.approx(np.mean(each), rel=1e-5)
    bad = pair[1].clone()
    bad[1] = -pair[0][1]  # one bad image must not hide the good one, as it would in the mean error of all pixels
    assert PSNR()(pair[0], bad) > each[0] / 2
    assert PSNR()(pair[0], pair[0]) == pytest.approx(100)


def test_ssim_of_a_window_is_the_papers_formula(pair: tuple[Tensor, Tensor]) -> None:
    place = np.arange(11) - 5.0
    window = np.exp(-(place**2) / (2 * 1.5**2))
    weights = np.outer(window, window) / window.sum() ** 2

    def of_window(x: np.ndarray, y: np.ndarray) -> float:
        mean_x, mean_y = (weights * x).sum(), (weights * y).sum()
        var_x, var_y = (weights * x * x).sum() - mean_x**2, (weights * y * y).sum() - mean_y**2
        covariance = (weights * x * y).sum() - mean_x * mean_y
        first, second = 0.01**2, 0.03**2
        luminance = (2 * mean_x * mean_y + first) / (mean_x**2 + mean_y**2 + first)
        return float(luminance * (2 * covariance + second) / (var_x + var_y + second))

    from kornia.metrics import ssim

    image, target = ((value.double() + 1) / 2 for value in pair)
    center = ssim(image, target, 11)[0, 0, 8, 10]
    crops = (value[0, 0, 3:14, 5:16].numpy() for value in (image, target))
    assert float(center) == pytest.approx(of_window(*crops), abs=1e-6)
    assert SSIM()(*pair) == pytest.approx(float(ssim(image, target, 11).mean()), abs=1e-5)
    assert SSIM()(pair[0], pair[0]) == pytest.approx(1)
    assert SSIM()(pair[0], -pair[0]) < 0


@pytest.mark.parametrize(("metric", "better"), [(L1Distance, "lower"), (PSNR, "higher"), (SSIM, "higher")])
def test_better_says_which_way_is_better(metric: type, better: str, pair: tuple[Tensor, Tensor]) -> None:
    same, other = metric()(pair[0], pair[0]), metric()(*pair)
    assert metric.better == better
    assert (same < other) == (better == "lower")
