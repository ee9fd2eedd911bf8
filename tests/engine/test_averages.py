"""Averages of weights: parameters are averaged, buffers copied, and methods without generator modules have them too."""

from __future__ import annotations

import pytest
import torch

from i2i.engine.stepper import Stepper
from i2i.recipe.recipe import Recipe

SMALL = {"train.ema": 0.5, "train.batch_size": 1, "data.size": 32, "translator.generator.channels": 4}


def batch(seed: int) -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    return {domain: torch.rand(1, 3, 32, 32, generator=random) * 2 - 1 for domain in "ab"}


@pytest.mark.parametrize("name", ["ugatit_small", "nicegan_small"])
def test_parameters_are_averaged_and_buffers_copied(name: str) -> None:
    stepper = Stepper(Recipe.read(name, SMALL))
    assert stepper.ema is not None
    before = {key: value.clone() for key, value in stepper.ema.weights().items()}
    stepper.step(batch(0))
    parameters = {key for key, _ in stepper.translator.named_parameters()}
    after = stepper.ema.weights()
    assert {"generators"} <= {key.partition(".")[0] for key in after}
    for key, value in stepper.ema.average.items():
        if key in parameters:
            torch.testing.assert_close(value, (before[key] + after[key]) / 2)
        else:
            assert torch.equal(value, after[key])
    assert any(key in parameters and not torch.equal(before[key], after[key]) for key in after)


def test_spectral_norms_unit_vectors_keep_their_length() -> None:
    stepper = Stepper(Recipe.read("nicegan_small", SMALL))
    for seed in range(2):
        stepper.step(batch(seed))
    assert stepper.ema is not None
    vectors = [value for key, value in stepper.ema.average.items() if key.endswith((".u", ".v"))]
    assert vectors
    assert all(abs(float(vector.norm()) - 1) < 1e-5 for vector in vectors)
