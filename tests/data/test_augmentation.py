"""Augmentation by kornia's operators, drawn from a seed alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from i2i.data.augmentation import augmented
from i2i.data.folders import Folders
from i2i.kinds import AUGMENTATION

JITTER = AUGMENTATION("kornia.augmentation.ColorJiggle", brightness=0.5, p=1.0)


def test_draws_follow_from_the_seed_alone() -> None:
    image = torch.rand(3, 16, 16) * 2 - 1
    state = torch.get_rng_state()
    one, same, other = (augmented(image, [JITTER()], seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert one.shape == image.shape
    assert one.abs().max() <= 1


def test_no_step_changes_nothing() -> None:
    image = torch.rand(3, 8, 8)
    assert augmented(image, [], 0) is image


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    for domain in "ab":
        (tmp_path / domain).mkdir()
        pixels = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / domain / "one.png")
    return {domain: tmp_path / domain for domain in "ab"}


def test_folders_use_it_in_training_alone(folders: dict[str, Path]) -> None:
    plain = Folders(**folders, size=16)
    jittered = Folders(**folders, size=16, augment=(JITTER,))
    assert not torch.equal(plain[0]["a"], jittered[0]["a"])
    assert torch.equal(jittered[3]["a"], jittered[3]["a"])
    assert torch.equal(plain.preview(1)["a"], jittered.preview(1)["a"])


def test_recipes_name_it(folders: dict[str, Path]) -> None:
    from i2i.recipe.recipe import Recipe

    step = {"type": "kornia.augmentation.RandomHorizontalFlip", "p": 1.0}
    settings = {f"data.{domain}": folder for domain, folder in folders.items()} | {"data.augment": [step]}
    recipe = Recipe.read("ugatit_light", settings | {"data.size": 96})
    assert recipe.resolved()["data"]["augment"][0]["p"] == 1.0
    dataset = recipe.data(seed=0)
    assert len(dataset.augment) == 1
