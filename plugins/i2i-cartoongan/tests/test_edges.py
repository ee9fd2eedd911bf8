"""Smoothed edges: the detector, the blur, and the data sets."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from i2i_cartoongan.data import SmoothFolders, SmoothPortraits, SmoothShapes
from i2i_cartoongan.edges import edges, near_edges, smooth_edges
from kornia.filters import canny
from PIL import Image
from torch.nn import functional as F

from i2i.core.kinds import AUGMENTATION
from i2i.data.folders import Folders
from i2i.data.images import to_image
from i2i.data.loader import make_loader
from i2i.demo.portraits import Portraits
from i2i.demo.shapes import Shapes

KERNEL = torch.tensor([1.0, 4, 6, 4, 1]) / 16


def test_edges_equal_those_of_kornia() -> None:
    for number in range(4):
        image = Portraits(48)[number]["b"]
        whole = canny(((image + 1) / 2)[None], 100 / 255, 200 / 255, kernel_size=1)[1][0, 0]
        assert torch.equal(edges(image), whole > 0)
        strong = canny(((image + 1) / 2)[None], 200 / 255, 200 / 255, kernel_size=1)[1][0, 0] > 0
        assert strong.sum() < edges(image).sum()


def test_only_pixels_near_edges_are_blurred() -> None:
    image = torch.full((3, 40, 40), -0.5)
    image[:, :, 20:] = 0.9  # a vertical edge
    image[0, :, 3] += 0.1  # a line below the thresholds
    smooth, near = smooth_edges(image), near_edges(image)
    columns = near.any(0).nonzero().flatten()
    assert near.all(0).equal(near.any(0))
    assert (int(columns.min()), int(columns.max())) == (17, 21)  # the edge is detected in column 19
    assert torch.equal(smooth[:, ~near], image[:, ~near])
    expected = F.conv1d(image[1:2, 20:21], KERNEL.view(1, 1, 5))[0, 0]
    torch.testing.assert_close(smooth[1, 20, 18:22], expected[16:20])
    assert (smooth - image)[:, near].abs().max() > 0.3


def test_a_uniform_image_is_unchanged() -> None:
    image = torch.full((3, 24, 24), 0.3)
    assert torch.equal(smooth_edges(image), image)


def test_generated_samples_hold_their_smoothed_image() -> None:
    for smooth, plain in ((SmoothPortraits(32, seed=3), Portraits(32, seed=3)), (SmoothShapes(32), Shapes(32))):
        for number in (0, 5):
            sample, expected = smooth[number], plain[number]
            assert all(torch.equal(sample[domain], expected[domain]) for domain in "ab")
            assert torch.equal(sample["smooth"], smooth_edges(expected["b"]))
        assert not torch.equal(sample["smooth"], sample["b"])


def test_folders_smooth_their_samples_with_any_number_of_workers(tmp_path: Path) -> None:
    for domain in "ab":
        (tmp_path / domain).mkdir()
        for number in range(5):
            to_image(Portraits(64)[number][domain]).save(tmp_path / domain / f"{number}.png")
    options = {"a": tmp_path / "a", "b": tmp_path / "b", "size": 32, "seed": 1}
    smooth, plain = SmoothFolders(**options), Folders(**options)
    for number in (0, 7):
        assert torch.equal(smooth[number]["b"], plain[number]["b"])
        assert torch.equal(smooth[number]["smooth"], smooth_edges(plain[number]["b"]))
    loaders = [iter(make_loader(smooth, batch_size=2, workers=workers)) for workers in (0, 2)]
    for _ in range(3):
        first, second = (next(loader) for loader in loaders)
        assert all(torch.equal(first[stream], second[stream]) for stream in smooth.streams)
    assert smooth.preview(2)["b"].shape == (2, 3, 32, 32)


def test_images_augmented_on_the_device_are_smoothed_afterwards(tmp_path: Path) -> None:
    to_image(Portraits(64)[0]["b"]).save(tmp_path / "one.png")
    step = AUGMENTATION("kornia.augmentation.RandomHorizontalFlip", p=1.0)
    on_workers, on_device = (
        SmoothFolders(a=tmp_path, b=tmp_path, size=32, augment=(step,), augment_on=place)
        for place in ("workers", "device")
    )
    batch = {name: torch.stack([value]) for name, value in on_device[3].items() if isinstance(value, torch.Tensor)}
    augmented = on_device.device_transform(batch, batch.pop("seeds"))
    assert all(torch.equal(augmented[stream][0], on_workers[3][stream]) for stream in on_device.streams)


@pytest.mark.parametrize("side", [(9, 9), (17, 40)])
def test_images_of_any_size(side: tuple[int, int]) -> None:
    image = torch.rand(3, *side) * 2 - 1
    assert smooth_edges(image).shape == image.shape
    assert smooth_edges(image).abs().max() <= 1


def test_a_uniform_file_is_unchanged(tmp_path: Path) -> None:
    Image.new("RGB", (40, 30), (255, 0, 0)).save(tmp_path / "flat.png")
    sample = SmoothFolders(a=tmp_path, b=tmp_path, size=32)[0]
    assert torch.equal(sample["smooth"], sample["b"])
    assert sample["skipped"] == []
