"""Kept images are the very images, and never half of one."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from i2i.data import pixels as pixels_module
from i2i.data.cache import ImageCache
from i2i.data.decoding import decode
from i2i.data.folders import Folders
from i2i.data.images import to_tensor
from i2i.data.loader import make_loader
from i2i.data.paired import Paired
from i2i.data.transforms import FILTERS, FlipCrop, Resample, flip_crop, resized


def noise(width: int, height: int, seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for domain, count in (("A", 5), ("B", 3)):
        (tmp_path / f"train{domain}").mkdir()
        for number in range(count):
            noise(40 + number, 31, number).save(tmp_path / f"train{domain}" / f"{number}.png")
    return tmp_path


def test_a_image_comes_back_once_it_was_put_and_only_where_there_is_room() -> None:
    cache = ImageCache(count=3, image_bytes=3 * 64, limit=2 * (3 * 64 + 20))
    images = [noise(8, 8, number) for number in range(3)]
    assert cache.places == 2
    assert cache.get(0) is None
    for number, image in enumerate(images):
        cache.put(number, image)
    for number in range(2):
        kept = cache.get(number)
        assert kept is not None
        assert isinstance(kept, Image.Image)
        assert (kept.mode, kept.size, kept.tobytes()) == ("RGB", (8, 8), images[number].tobytes())
    assert cache.get(2) is None
    assert ImageCache(3, 3 * 64, 0).get(0) is None


def test_half_a_image_is_none() -> None:
    cache = ImageCache(1, 3 * 64, 2**20)
    cache.put(0, noise(8, 8, 0))
    assert cache._memory is not None
    cache._memory[100] ^= 1
    assert cache.get(0) is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes that share memory are forked")
def test_forked_processes_share_images_and_pickled_ones_begin_empty() -> None:
    cache, image = ImageCache(1, 3 * 64, 2**20), noise(8, 8, 0)
    if (child := os.fork()) == 0:
        cache.put(0, image)
        os._exit(0)
    os.waitpid(child, 0)
    kept = cache.get(0)
    assert kept is not None
    assert kept.tobytes() == image.tobytes()
    other = pickle.loads(pickle.dumps(cache))
    assert other.get(0) is None
    other.put(0, image)
    assert other.get(0) is not None


def count_reads(monkeypatch: pytest.MonkeyPatch, reads: list[Path]) -> None:
    monkeypatch.setattr(pixels_module, "decode", lambda path, *rest: reads.append(path) or decode(path, *rest))


def samples(data: Folders | Paired, numbers: range) -> list[dict[str, object]]:
    return [data[number] for number in numbers]


def same(one: list[dict[str, object]], other: list[dict[str, object]]) -> bool:
    return all(
        torch.equal(x, y) if isinstance(x, Tensor) and isinstance(y, Tensor) else x == y
        for first, second in zip(one, other, strict=True)
        for x, y in zip(first.values(), second.values(), strict=True)
    )


@pytest.mark.parametrize("cache", [1, 1024])
def test_samples_of_folders_are_the_same_with_and_without(
    root: Path, cache: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "trainA" / "broken.png").write_bytes(b"no image")
    plain = samples(Folders(root=root, size=16, margin=6, cache=0), range(30))
    data = Folders(root=root, size=16, margin=6, cache=cache)
    reads: list[Path] = []
    count_reads(monkeypatch, reads)
    assert same(plain, samples(data, range(30)))
    assert same(plain, samples(data, range(30)))
    assert len(reads) == 5 + 3 + 1  # each file once, the broken one too


def test_samples_of_pairs_are_the_same_with_and_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        noise(60, 25, number).save(tmp_path / f"{number}.png")
    plain = samples(Paired(tmp_path, size=16, margin=6, cache=0), range(12))
    data = Paired(tmp_path, size=16, margin=6)
    reads: list[Path] = []
    count_reads(monkeypatch, reads)
    assert same(plain, samples(data, range(12)))
    assert same(plain, samples(data, range(12)))
    assert len(reads) == 4


def test_workers_fill_one_cache(root: Path) -> None:
    data = Folders(root=root, size=16, margin=6)
    batches = iter(make_loader(data, batch_size=4, workers=2))
    expected = iter(make_loader(Folders(root=root, size=16, margin=6, cache=0), batch_size=4))
    for _ in range(5):
        one, other = next(batches), next(expected)
        assert all(torch.equal(one[domain], other[domain]) for domain in "ab")
    for images in data.train.values():
        assert images._cache is not None
        assert all(images._cache.get(index) is not None for index in range(len(images)))


def test_a_preview_shows_whole_images(root: Path) -> None:
    data, plain = Folders(root=root, size=16, margin=6), Folders(root=root, size=16, margin=6, cache=0)
    samples(data, range(5))
    assert torch.equal(data.preview(3)["a"], plain.preview(3)["a"])


@pytest.mark.parametrize("resample", FILTERS)
def test_resizing_before_the_flip_is_bit_for_bit_the_official_order(resample: Resample) -> None:
    random = Random(0)
    for seed in range(25):
        image = noise(random.randint(20, 300), random.randint(20, 200), seed)
        side = random.choice([32, 61, 158])
        draw = FlipCrop(True, random.randint(0, 8), random.randint(0, 8))
        turned = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).resize((side, side), FILTERS[resample])
        official = to_tensor(turned.crop((draw.left, draw.top, draw.left + side - 8, draw.top + side - 8)))
        assert torch.equal(flip_crop(resized(image, side, resample), draw, side - 8), official)
