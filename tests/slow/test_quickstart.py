"""The quickstart, whole: better than copying, in both directions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from i2i.core.kinds import METRIC
from i2i.engine.trainer import train
from i2i.recipe.recipe import Recipe

pytestmark = pytest.mark.slow


def test_translations_are_closer_to_the_truth_than_their_inputs(tmp_path: Path) -> None:
    run = train(Recipe.read("quickstart", {"train.sample_every": 0}), tmp_path / "run")
    dataset: Any = run.dataset
    pairs = dataset.pairs(64)
    for source, target in ("ab", "ba"):
        translated = run.translated(pairs[source], target)
        networks = [METRIC("feature_distance", model=name) for name in ("tf_efficientnet_lite0", "mobilenetv2_100")]
        for factory in (*map(METRIC, ("l1", "psnr", "ssim")), *networks):
            metric: Any = factory()
            ours, copied = (float(metric(images, pairs[target])) for images in (translated, pairs[source]))
            assert (ours < copied) == (metric.better == "lower"), f"{source} to {target}: {factory} {ours} {copied}"
