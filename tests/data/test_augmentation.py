"""Augmentation by kornia's operators, drawn from a seed alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from i2i.core.kinds import AUGMENTATION
from i2i.data.augmentation import augment_image
from i2i.data.checked import CheckedDataset, apply_device_transform, raise_if_error
from i2i.data.folders import Folders
from i2i.data.loader import make_loader
from i2i.engine.trainer import train
from i2i.errors import DataError
from i2i.recipe.recipe import Recipe

JITTER = AUGMENTATION("kornia.augmentation.ColorJiggle", brightness=0.5, p=1.0)


def test_draws_follow_from_the_seed_alone() -> None:
    image = torch.rand(3, 16, 16) * 2 - 1
    state = torch.get_rng_state()
    one, same, other = (augment_image(image, [JITTER()], seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert one.shape == image.shape
    assert one.abs().max() <= 1


def test_no_step_changes_nothing() -> None:
    image = torch.rand(3, 8, 8)
    assert augment_image(image, [], 0) is image


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


def test_random_numbers_differ_between_samples_domains_epochs_and_seeds(folders: dict[str, Path]) -> None:
    datasets = [Folders(**folders, size=16, augment_on="device", seed=seed) for seed in (0, 1)]  # of one image each
    seeds = [seed for data in datasets for number in range(5) for seed in data[number]["seeds"].tolist()]  # type: ignore[attr-defined]
    assert len(set(seeds)) == 2 * 5 * 2
    late = datasets[0]
    late.augment = [JITTER()]
    images = torch.full((3, 3, 16, 16), 0.2)
    augmented = late.device_transform({"a": images, "b": images}, torch.tensor([[1, 2], [3, 1], [1, 2]]))
    a, b = augmented["a"], augmented["b"]
    assert torch.equal(a[0], a[2])
    assert torch.equal(a[0], b[1])
    assert not torch.equal(a[0], a[1])
    assert not torch.equal(a[0], b[0])


def test_recipes_name_it(folders: dict[str, Path]) -> None:
    step = {"type": "kornia.augmentation.RandomHorizontalFlip", "p": 1.0}
    settings = {f"data.{domain}": folder for domain, folder in folders.items()} | {"data.augment": [step]}
    recipe = Recipe.read("ugatit_light", settings | {"data.size": 96})
    assert recipe.resolved()["data"]["augment"][0]["p"] == 1.0
    dataset = recipe.data(seed=0)
    assert len(dataset.augment) == 1


def test_the_device_that_trains_draws_what_workers_would(folders: dict[str, Path]) -> None:
    noise = AUGMENTATION("kornia.augmentation.RandomGaussianNoise", std=0.1, p=0.7)
    here = Folders(**folders, size=16, augment=(JITTER, noise), seed=2)
    late = Folders(**folders, size=16, augment=(JITTER, noise), seed=2, augment_on="device")
    ready, left = (
        iter(make_loader(CheckedDataset(data, "folders", data.streams), batch_size=3, workers=workers))
        for data, workers in ((here, 0), (late, 1))
    )
    for _ in range(2):
        wanted, batch = raise_if_error(next(ready)), raise_if_error(next(left))
        assert not torch.equal(batch["a"], wanted["a"])
        found = apply_device_transform(late, batch, torch.device("cpu"))
        assert all(torch.equal(found[domain], wanted[domain]) for domain in "ab")
        assert apply_device_transform(here, wanted, torch.device("cpu")) is wanted


@pytest.mark.thorough
def test_a_run_is_the_same_wherever_images_are_augmented(
    folders: dict[str, Path], tiny: dict[str, Any], tmp_path: Path
) -> None:
    step = {"type": "kornia.augmentation.ColorJiggle", "hue": 0.1, "p": 1.0}
    data = {"type": "folders", "size": 32, "augment": [step], "min_images": 1, **folders}
    settings = {key: value for key, value in tiny.items() if not key.startswith("data.")} | {"train.steps": 2}
    plain, *runs = (
        train(Recipe.read("ugatit_small", settings | {"data": data | more}), tmp_path / f"run{index}").translator
        for index, more in enumerate(({"augment": []}, {"augment_on": "workers"}, {"augment_on": "device"}))
    )
    one, other = (run.state_dict() for run in runs)
    assert all(torch.equal(value, other[name]) for name, value in one.items())
    assert any(not torch.equal(value, plain.state_dict()[name]) for name, value in one.items())


def test_what_fails_on_the_device_is_said(folders: dict[str, Path]) -> None:
    data = Folders(**folders, size=16, augment_on="device")
    data.augment = [lambda image: image[:, :, :, 20]]  # type: ignore[list-item, misc]
    with pytest.raises(
        DataError, match=r"data\.folders\.Folders\): device_transform: IndexError: index 20 is out of bounds"
    ):
        apply_device_transform(
            data, {"a": torch.zeros(1, 3, 16, 16), "seeds": torch.zeros(1, 2).long()}, torch.device("cpu")
        )
