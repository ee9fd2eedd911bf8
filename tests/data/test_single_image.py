"""Patches of two images: repeatable, one zoom and different places per group, errors that say what is wrong."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from i2i.data.single_image import SingleImage
from i2i.engine.stepper import Stepper
from i2i.errors import DataError
from i2i.methods.assembly import dry_run
from i2i.recipe.recipe import Recipe


@pytest.fixture
def images(tmp_path: Path) -> dict[str, Path]:
    """Red tells the column, green the row."""
    found = {}
    for domain, (height, width) in {"a": (128, 192), "b": (96, 96)}.items():
        pixels = np.zeros((height, width, 3), np.uint8)
        pixels[..., 0] = np.arange(width)
        pixels[..., 1] = np.arange(height)[:, None]
        found[domain] = tmp_path / f"{domain}.png"
        Image.fromarray(pixels).save(found[domain])
    return found


def test_samples_depend_on_their_number_alone(images: dict[str, Path]) -> None:
    forwards, backwards = (SingleImage(**images, size=16, seed=3) for _ in range(2))
    first = [forwards[number] for number in range(40)]
    again = [backwards[number] for number in reversed(range(40))][::-1]
    for one, other in zip(first, again, strict=True):
        assert one.keys() == {"a", "b"}
        for domain in "ab":
            assert one[domain].shape == (3, 16, 16)
            assert torch.equal(one[domain], other[domain])


def test_a_group_shows_different_places_at_one_zoom(images: dict[str, Path]) -> None:
    data = SingleImage(**images, size=16, zoom=1, group=6, flip=False)
    corners = {tuple(data[number]["a"][:2, 0, 0].tolist()) for number in range(6)}
    assert len(corners) == 6
    zoomed = SingleImage(**images, size=16, group=6, flip=False)
    slopes = [float(zoomed[number]["a"][0].diff(dim=1).mean()) for number in range(12)]
    assert max(slopes[:6]) - min(slopes[:6]) < 0.05 * slopes[0]
    assert abs(slopes[0] - slopes[6]) > 1e-4


def test_flips_half(images: dict[str, Path]) -> None:
    data = SingleImage(**images, size=16, zoom=1)
    mirrored = [bool(data[number]["a"][0, 0, 0] > data[number]["a"][0, 0, -1]) for number in range(40)]
    assert 8 < sum(mirrored) < 32


def test_random_numbers_differ_between_groups_domains_and_seeds(images: dict[str, Path]) -> None:
    both = {"a": images["b"], "b": images["b"]}  # one image, so that nothing but the random numbers can differ
    keys = [(seed, domain) for seed in (0, 1) for domain in "ab"]
    still = {seed: SingleImage(**both, size=18, zoom=1, group=4, flip=False, seed=seed) for seed in (0, 1)}
    turned = {seed: SingleImage(**both, size=96, zoom=1, group=4, seed=seed) for seed in (0, 1)}
    zoomed = {seed: SingleImage(**both, size=16, zoom=3, group=4, seed=seed) for seed in (0, 1)}
    corners = [
        [tuple(((still[seed][n][domain][:2, 0, 0] + 1) * 127.5).round().int().tolist()) for n in range(48)]
        for seed, domain in keys
    ]  # 5 x 5 patches of 18 px in 96 px leave 7 x 7 places for the grid
    grids = [tuple((x % 18, y % 18) for x, y in column[::4]) for column in corners]
    cells = [tuple((x // 18, y // 18) for x, y in column) for column in corners]
    flips = [
        tuple(bool(turned[seed][n][domain][0, 0, 0] > turned[seed][n][domain][0, 0, -1]) for n in range(48))
        for seed, domain in keys
    ]
    zooms = [tuple(zoomed[seed]._zoomed(domain, group).size for group in range(12)) for seed, domain in keys]
    for drawn in (grids, cells, flips, zooms):
        assert len(set(drawn)) == len(keys)
    assert all(len(set(column)) > 6 for column in (*grids, *zooms))
    assert all(len({column[start : start + 4] for start in range(0, 48, 4)}) > 8 for column in cells)
    assert all(len(set(column)) == 2 for column in flips)


def test_preview_is_the_whole_image(images: dict[str, Path]) -> None:
    preview = SingleImage(**images, size=16).preview(4)
    assert {domain: tuple(images.shape) for domain, images in preview.items()} == dict.fromkeys("ab", (1, 3, 64, 64))


def test_errors(images: dict[str, Path]) -> None:
    with pytest.raises(DataError, match=r"data\.b: expected an image of at least 128 px, .*, got 96 x 96"):
        SingleImage(**images, size=128)
    with pytest.raises(DataError, match=r"give data\.a and data\.b, a file each"):
        SingleImage(a=images["a"])
    with pytest.raises(DataError, match="cannot read"):
        SingleImage(a=images["a"].with_name("none.png"), b=images["b"])


def test_recipe_checks_and_takes_two_steps(images: dict[str, Path]) -> None:
    dry_run(Recipe.read("sincut_resnet"))
    small = {
        "translator.generator.channels": 4,
        "translator.discriminators.local.channels": 4,
        "data.size": 32,
        "data.group": 4,
        **{f"data.{domain}": str(path) for domain, path in images.items()},
    }
    recipe = Recipe.read("sincut_resnet", small)
    stepper, data = Stepper(recipe), recipe.data(seed=0)
    for step in range(2):
        samples = [data[4 * step + i] for i in range(4)]
        terms = stepper.step({domain: torch.stack([sample[domain] for sample in samples]) for domain in "ab"})
    assert {name.partition("/")[2] for name in terms} == {"gan", "r1", "nce", "nce_identity", "identity"}
    assert all(math.isfinite(value) for value in terms.values())
