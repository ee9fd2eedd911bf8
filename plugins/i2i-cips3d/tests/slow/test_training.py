"""Trains `cips3d_small`: at 20 degrees to either side the silhouettes move as those of the drawn boxes do.

    python -m pytest -m slow plugins/i2i-cips3d/tests/slow -s

`I2I_MEASURED_RUN=FOLDER` measures a run that is there already.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from i2i_cips3d.boxes import DrawnBoxes, render_boxes
from i2i_cips3d.camera import FRONT
from torch import Tensor

import i2i
from i2i.recipe.recipe import Recipe

COUNT = 16
TURN = 20.0
UPPER = 12
"""Rows of 32 in which only the tall box stands."""


def place(image: Tensor) -> Tensor:
    """Return the mean column of what differs from the background in the upper rows of images [B, 3, 32, 32]."""
    ground = image[:, :, :2, [0, -1]].mean((2, 3), keepdim=True)
    differs = (image - ground).abs().amax(1)[:, :UPPER].sum(1) ** 2
    columns = torch.arange(image.shape[-1])
    return (differs * columns).sum(1) / differs.sum(1).clamp(min=1e-6)


@pytest.mark.slow
def test_silhouettes_move_in_the_drawn_direction(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path(os.environ.get("I2I_MEASURED_RUN") or tmp_path / "run")
    if not folder.exists():
        i2i.train(Recipe.read("cips3d_small"), folder)
    loaded = i2i.load(folder, "cpu")
    sides = [place(loaded.sample(COUNT, seed=0, yaw=yaw)) for yaw in (-TURN, TURN)]
    moved = sides[1] - sides[0]
    data, drawn = DrawnBoxes(), []
    for seed in range(COUNT):
        boxes = data.boxes(np.random.Generator(np.random.PCG64(seed)))
        views = [render_boxes(boxes, FRONT + math.radians(yaw), FRONT, 32)[0] for yaw in (-TURN, TURN)]
        drawn.append(torch.diff(place(torch.stack(views))))
    expected = float(torch.cat(drawn).mean())
    with capsys.disabled():
        share = float((moved * expected > 0).float().mean())
        print(f"\nmoved {float(moved.mean()):.1f} px (drawn {expected:.1f} px), direction right {share:.2f}")
    assert expected > 4
    assert share >= 0.9
    assert float(moved.mean()) >= expected / 3
