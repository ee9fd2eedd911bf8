"""Kernels of the degradations against their formulas, and the order of their steps."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest
import torch
from i2i_upscale import degradation
from i2i_upscale.degradation import bell_kernel, final_kernel, noisy, random_kernel, sharpened, sinc_kernel
from scipy.special import j1


def test_bell_kernels_are_the_formula() -> None:
    size, sigma, angle, beta = 9, (1.3, 2.4), 0.7, 1.6
    rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    inverse = np.linalg.inv(rotation @ np.diag(np.square(sigma)) @ rotation.T)
    for plateau in (False, True):
        expected = np.zeros((size, size))
        for row in range(size):
            for column in range(size):
                place = np.array([column - 4, row - 4])
                distance = float(place @ inverse @ place) ** beta
                expected[row, column] = 1 / (1 + distance) if plateau else math.exp(-distance / 2)
        found = bell_kernel(size, sigma, angle, beta, plateau)[0].double().numpy()
        assert np.allclose(found, expected / expected.sum(), atol=1e-7)


def test_the_sinc_kernel_is_the_formula() -> None:
    cutoff, expected = 2.1, np.zeros((7, 7))
    for row in range(7):
        for column in range(7):
            r = math.hypot(row - 3, column - 3)
            expected[row, column] = cutoff * j1(cutoff * r) / (2 * math.pi * r) if r else cutoff**2 / (4 * math.pi)
    assert np.allclose(sinc_kernel(7, cutoff)[0].double().numpy(), expected / expected.sum(), atol=1e-7)


def test_drawn_kernels() -> None:
    kernels = [random_kernel((0.2, 3), Random(seed)) for seed in range(300)]
    assert {kernel.shape[-1] for kernel in kernels} == set(range(7, 22, 2))
    assert all(abs(float(kernel.sum()) - 1) < 1e-5 for kernel in kernels)
    negative = sum(bool((kernel < -1e-4).any()) for kernel in kernels)  # sinc kernels alone are negative somewhere
    assert 10 <= negative <= 55
    skewed = sum(not torch.allclose(kernel, kernel.flip(1), atol=1e-6) for kernel in kernels)  # turned ones alone
    assert 50 <= skewed <= 130
    identities = sum(final_kernel(Random(seed)).numel() == 1 for seed in range(300))
    assert 35 <= identities <= 90


def test_sharpening_changes_edges_alone() -> None:
    image = torch.full((1, 3, 64, 64), 0.3)
    image[..., 32:] = 0.7
    found = sharpened(image)
    assert float(found[..., 32:].max()) > 0.75
    assert torch.allclose(sharpened(torch.full((1, 3, 64, 64), 0.3)), torch.full((1, 3, 64, 64), 0.3), atol=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_grey_noise_is_the_same_in_all_channels(seed: int) -> None:
    image = torch.full((1, 3, 16, 16), 0.5)
    image[..., ::2] = 0.4
    noise = noisy(image, degradation.FIRST, Random(seed)) - image
    assert float(noise.abs().max()) > 0
    drawn = Random(seed)
    drawn.getrandbits(48)
    drawn.random()
    grey = drawn.random() < 0.4
    assert torch.allclose(noise[:, 0], noise[:, 1], atol=1e-6) == grey


def test_the_steps_come_in_the_order_of_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    for name in ("_filtered", "_resized", "noisy", "jpeg", "_to_side"):
        original = getattr(degradation, name)

        def recorded(*arguments: object, name: str = name, original: object = original) -> torch.Tensor:
            calls.append(name)
            return original(*arguments)  # type: ignore[operator]

        monkeypatch.setattr(degradation, name, recorded)
    seen = set()
    for seed in range(30):
        calls.clear()
        result = degradation.real_esrgan(torch.rand(1, 3, 48, 48), 12, Random(seed))
        assert result.shape == (1, 3, 12, 12)
        assert torch.allclose(result * 255, (result * 255).round(), atol=1e-4)
        steps = [
            name for number, name in enumerate(calls) if not (name == "_to_side" and calls[number - 1] == "_resized")
        ]
        seen.add(tuple(steps))
    first = ("_filtered", "_resized", "noisy", "jpeg")
    second, last = ("_resized", "noisy"), (("_to_side", "_filtered", "jpeg"), ("jpeg", "_to_side", "_filtered"))
    assert seen == {(*first, *blur, *second, *end) for blur in ((), ("_filtered",)) for end in last}
