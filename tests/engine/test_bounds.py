"""What limits a step follows from its counts and the GPU's rates."""

from __future__ import annotations

from dataclasses import replace

import pytest

from i2i.engine.bounds import GPUS, LAUNCH, limits, switches
from i2i.engine.planning import Plan
from i2i.recipe.tables import TrainOptions

PLAN = Plan({}, 0, 0, 0, 0, 0, flops=495 * 10**9, launches=500, traffic=0, product_traffic=0)
TRAIN = TrainOptions(steps=1)


def test_each_limit_is_a_count_over_a_rate() -> None:
    found = limits(replace(PLAN, traffic=3 * 10**9, product_traffic=10**9), GPUS["h200"], TRAIN)
    assert found.launches == pytest.approx(500 * LAUNCH)
    assert found.memory == pytest.approx(4e9 / (0.85 * 4.8e12))
    assert found.arithmetic == pytest.approx(1e-3)
    assert found.bound == "launches"
    assert limits(PLAN, GPUS["h200"], replace(TRAIN, precision="bf16")).arithmetic == pytest.approx(495 / 989e3)
    assert limits(PLAN, GPUS["t4"], TRAIN).bound == "arithmetic"
    assert limits(replace(PLAN, traffic=10**11), GPUS["h200"], TRAIN).bound == "memory"


def test_only_what_is_off_is_proposed() -> None:
    assert [switch.partition(" ")[0] for switch in switches("memory", TRAIN)] == [
        "train.precision=bf16",
        "train.compile=true",
    ]
    assert switches("memory", replace(TRAIN, precision="bf16", compile=True)) == []
    half = [switch.partition(" ")[0] for switch in switches("launches", replace(TRAIN, precision="bf16"))]
    assert half == ["train.graph=true", "train.weight_copies=true", "train.batch_size=8"]
    assert switches("launches", replace(TRAIN, graph=True, batch_size=16)) == [
        "train.batch_size=32 (another training: more images for the same launches)"
    ]
    assert switches("memory", replace(TRAIN, precision="bf16", compile=True, fuse=False))[0].startswith("train.fuse")
