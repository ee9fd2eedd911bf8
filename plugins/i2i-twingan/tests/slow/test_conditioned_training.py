"""Trains `twingan_conditioned_small`: colours of hair and eyes of second images, poses of the inputs.

    python -m pytest -m slow plugins/i2i-twingan/tests/slow/test_conditioned_training.py -s

`I2I_MEASURED_RUN=FOLDER` measures a run that is there already.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

pytest.importorskip("i2i_twingan", reason="the plugin i2i-twingan is not installed")

import i2i
from i2i.demo.attribute_network import train_attribute_network
from i2i.demo.attributes import HAIR_COLORS, attributes, eye_color, hair_color
from i2i.demo.character import Character, rgb
from i2i.demo.eye_network import train_eye_network
from i2i.demo.label_map import CLASSES, label_map
from i2i.demo.portraits import Portraits
from i2i.recipe.recipe import Recipe

COUNT = 64
PAIRS = 2**41
"""Number of the first character of `Portraits.pairs`."""
KEPT = ("y", "tilt", "scale", "open_mouth", "glasses", "long_hair")
"""Further attributes whose correlations with those of the inputs are reported."""


@pytest.mark.slow
def test_colors_follow_the_reference_and_the_pose_the_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path(os.environ.get("I2I_MEASURED_RUN") or tmp_path / "run")
    if not folder.exists():
        i2i.train(Recipe.read("twingan_conditioned_small"), folder)
    loaded = i2i.load(folder, "cpu")
    figures = measure(loaded)
    with capsys.disabled():
        print(f"\n{figures}")
    assert figures["hair"] >= 0.8
    assert figures["eyes"] >= 0.6
    assert figures["pose"] >= 0.7


def measure(loaded: i2i.Loaded) -> dict[str, float]:
    """Return the shares of translations whose hair and eyes have the named colours of the reference's, and more.

    Hair is where the input's own label map says so: the mean colour there is compared, so pose and hair count. Eyes
    and pose are measured by networks of other seeds than those that gave the condition.
    """
    portraits = Portraits(32)
    pairs = portraits.pairs(2 * COUNT)
    people = [portraits.character(number) for number in range(PAIRS, PAIRS + 2 * COUNT)]
    maps = torch.from_numpy(np.stack([label_map(person, 32) for person in people[:COUNT]]))
    halves = people[COUNT:], people[:COUNT]
    hair = (maps == CLASSES.index("hair"))[:, None].float()
    photos, references = pairs["a"][:COUNT], pairs["b"][COUNT:]
    with torch.inference_mode():
        fakes = torch.cat(
            [
                loaded.run(photo[None], "b", reference=reference[None]).image
                for photo, reference in zip(photos, references, strict=True)
            ]
        )
    inner = -F.max_pool2d(-hair, 3, 1, 1)
    hair = torch.where(inner.sum((1, 2, 3), keepdim=True) >= 8, inner, hair)
    right, own = [], []
    for index, fake in enumerate(fakes):
        weight = hair[index]
        mean = ((fake + 1) / 2 * weight).sum((1, 2)) / weight.sum().clamp(min=1)
        named = nearest(mean)
        right.append(named == hair_color(people[COUNT + index]))
        own.append(named == hair_color(people[index]))
    named_eyes = train_eye_network(seed=5).names(fakes)
    eyes = [[found == eye_color(one) for found, one in zip(named_eyes, whose, strict=True)] for whose in halves]
    measured = train_attribute_network(1600, 12, seed=5).measure(fakes)

    def correlation(name: str, whose: list[Character]) -> float:
        true = torch.tensor([attributes(person)[name] for person in whose])
        return float(torch.corrcoef(torch.stack([measured[name], true]))[0, 1])

    return {
        "hair": sum(right) / COUNT,
        "hair of the input": sum(own) / COUNT,
        "eyes": sum(eyes[0]) / COUNT,
        "eyes of the input": sum(eyes[1]) / COUNT,
        "pose": correlation("x", people[:COUNT]),
        "pose of the reference": correlation("x", people[COUNT:]),
        **{name: correlation(name, people[:COUNT]) for name in KEPT},
    }


def nearest(color: torch.Tensor) -> str:
    distances = {code: sum((float(c) - t) ** 2 for c, t in zip(color, rgb(code), strict=True)) for code in HAIR_COLORS}
    return HAIR_COLORS[min(distances, key=lambda code: distances[code])]
