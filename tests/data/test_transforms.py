"""The transforms agree with U-GAT-IT's official pipeline and draw what they say."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from official_figures import read
from PIL import Image

from i2i.data.images import to_tensor
from i2i.data.transforms import (
    FlipCrop,
    Resample,
    draw_flip_crop,
    eval_transform,
    flip_crop,
    resize_short_side,
    resized,
)


def noise(width: int, height: int) -> Image.Image:
    values = np.random.Generator(np.random.PCG64(0)).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


def test_official_preprocessing_bit_for_bit(golden: Path) -> None:
    figures = read(golden / "ugatit", "preprocess")
    size, crop = int(figures.config["size"]), figures.config["crop"]
    source, test, train = (figures.tensor(name) for name in ("src_hwc_uint8", "test", "train_flip_crop"))
    image = Image.fromarray(source.numpy())
    assert torch.equal(eval_transform(image, size), test)
    assert torch.equal(flip_crop(resized(image, size + 30), FlipCrop(**crop | {"flipped": True}), size), train)


def test_draws_cover_every_place_and_nothing_else() -> None:
    random = Random(0)
    draws = [draw_flip_crop(random, size=8, load_size=11) for _ in range(2000)]
    assert {draw.top for draw in draws} == {draw.left for draw in draws} == {0, 1, 2, 3}
    assert 900 < sum(draw.flipped for draw in draws) < 1100
    assert draw_flip_crop(random, size=8, load_size=8)[1:] == (0, 0)


def test_flip_off_only_takes_the_flip_away() -> None:
    for seed in range(20):
        flipped = draw_flip_crop(Random(seed), 8, 16)
        assert draw_flip_crop(Random(seed), 8, 16, flip=False) == flipped._replace(flipped=False)


def test_draws_stay_the_same_in_every_version() -> None:
    assert draw_flip_crop(Random("0 a 1 2"), 256, 286) == FlipCrop(flipped=True, top=9, left=0)


def test_crop_and_flip_are_where_the_draw_says() -> None:
    image = noise(12, 12)
    whole = to_tensor(image)
    assert torch.equal(flip_crop(image, FlipCrop(False, 3, 1), 8), whole[:, 3:11, 1:9])
    assert torch.equal(flip_crop(image, FlipCrop(True, 0, 2), 8), whole.flip(2)[:, 0:8, 2:10])


@pytest.mark.parametrize("resample", ["bilinear", "bicubic", "lanczos"])
def test_every_filter(resample: Resample) -> None:
    image = noise(50, 30)
    filter_ = Image.Resampling[resample.upper()]
    assert torch.equal(eval_transform(image, 16, resample), to_tensor(image.resize((16, 16), filter_)))
    assert torch.equal(eval_transform(image, 16, resample), to_tensor(resized(image, 16, resample)))


@pytest.mark.parametrize(
    ("width", "height", "size", "multiple", "expected"),
    [
        (640, 480, 256, 4, (340, 256)),
        (480, 640, 256, 4, (256, 340)),
        (100, 100, 30, 4, (32, 32)),
        (100, 101, 64, 32, (64, 64)),
        (4000, 10, 8, 4, (3200, 8)),
        (10, 10, 1, 4, (4, 4)),
    ],
)
def test_resize_short_side(width: int, height: int, size: int, multiple: int, expected: tuple[int, int]) -> None:
    assert resize_short_side(Image.new("RGB", (width, height)), size, multiple).size == expected
