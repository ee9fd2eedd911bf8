"""The image pool after a resume elsewhere: on another device, in another precision, at another size."""

from __future__ import annotations

import random

import torch

from i2i.methods.pool import ImagePool


def filled(size: int = 8) -> ImagePool:
    pool = ImagePool(2)
    pool.images = list(torch.zeros(2, 3, size, size, dtype=torch.float64))
    return pool


def test_older_images_come_in_the_precision_and_on_the_device_of_the_new() -> None:
    draws = random.Random(0)
    given = filled().exchange(torch.ones(8, 3, 8, 8), draws)
    assert given.dtype == torch.float32
    assert 0 < given.mean() < 1, "some are older ones"
    assert filled().exchange(torch.ones(8, 3, 8, 8, device="meta"), draws).device.type == "meta"


def test_images_of_another_size_are_let_go() -> None:
    pool = filled(16)
    images = torch.ones(2, 3, 8, 8)
    assert torch.equal(pool.exchange(images, random.Random(0)), images)
    assert [image.shape for image in pool.images] == [(3, 8, 8)] * 2
