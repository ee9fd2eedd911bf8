"""Trains `dagan_small`, and measures whether its boxes find the objects.

    python -m pytest -m slow plugins/i2i-dtn/tests/slow/test_dagan.py -s

`I2I_MEASURED_RUN=FOLDER` measures a run that is there already.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

import i2i
from i2i.demo.shapes import Shapes, measure
from i2i.recipe.recipe import Recipe

COUNT = 64


@pytest.mark.slow
def test_boxes_find_objects_and_nothing_else_changes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path(os.environ.get("I2I_MEASURED_RUN") or tmp_path / "run")
    if not folder.exists():
        i2i.train(Recipe.read("dagan_small"), folder)
    data = Shapes(32)
    source = data.pairs(COUNT)["a"]
    with torch.inference_mode():
        translated, _, mask = i2i.load(folder, "cpu").translator.translate(source, "b")
    assert mask is not None
    # Objects are saturated, the background is grey.
    object_ = (source.amax(1) - source.amin(1)) > 0.5
    box = mask[:, 0] > 0.5
    iou = ((object_ & box).sum((1, 2)) / (object_ | box).sum((1, 2))).mean()
    outside = (mask < 0.01).expand_as(source)
    change = (translated - source)[outside].abs().max()
    metrics = measure(translated, source, "circle", "blue")
    with capsys.disabled():
        print(f"\nmask IoU {float(iou):.2f}, change outside {float(change):.4f}, {metrics}")
    assert iou >= 0.3
    assert change <= 0.02
    assert metrics.domain >= 0.75
