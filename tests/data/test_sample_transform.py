"""Every resize mode, for images, masks and labels of any depth: one drawn transform does the same to all of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

import i2i
from i2i.core.bounds import height_width
from i2i.core.signature import options
from i2i.data.decoding import ImageFile
from i2i.data.folders import Folders
from i2i.data.paired import Paired
from i2i.data.pixels import Pixels, scale, size_of, to_float
from i2i.data.transforms import SampleTransform
from i2i.errors import DataError, OptionError

MODES = ("square", "short_side", "fit", "none")


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(MODES), st.integers(40, 90), st.integers(40, 90), st.booleans(), st.integers(0, 8), st.integers()
)
def test_labels_follow_their_image(mode: Any, height: int, width: int, flip: bool, margin: int, seed: int) -> None:
    """An image whose halves differ and its labels stay aligned through every transform."""
    transform = SampleTransform.of((16, 32), None, margin, mode, flip)
    labels = np.zeros((height, width, 1), np.int32)
    labels[:, width // 2 :] = 7
    images: list[Pixels] = [Image.fromarray(labels[..., 0].astype(np.uint8) * 36), scale(labels.repeat(5, 2), 0, 7)]
    prepared = [transform.resized(image) for image in images]
    numbers = transform.resized(labels, nearest=True)
    assert {size_of(image) for image in (*prepared, numbers)} == {size_of(numbers)}
    draw = transform.draw(Random(seed), size_of(numbers))
    cut = transform.cut(numbers, draw)
    assert isinstance(cut, np.ndarray)
    assert cut.shape == (16, 32, 1)
    assert set(np.unique(cut)) <= {0, 7}
    for image in prepared:
        values = to_float(transform.cut(image, draw))
        assert values.shape[:2] == (16, 32)
        sure = np.abs(values[..., 0]) > 0.9  # away from the blurred edge
        assert np.array_equal(values[..., 0][sure] > 0, cut[..., 0][sure] == 7)
    for image in (*images, labels):
        assert size_of(transform.preview(image, nearest=image is labels)) == (16, 32)


def test_modes_keep_what_they_say() -> None:
    image = Image.new("RGB", (100, 50))
    sizes = {mode: size_of(SampleTransform.of(32, None, 8, mode).resized(image)) for mode in MODES}  # type: ignore[arg-type]
    assert sizes == {"square": (40, 40), "short_side": (40, 80), "fit": (40, 40), "none": (50, 100)}
    with pytest.raises(DataError, match=r"it has 100 x 50 pixels, fewer than a sample of 32 x 64; with data.resize"):
        SampleTransform.of((64, 32), resize="none").resized(image)
    with pytest.raises(OptionError, match=r"load_size: expected at least the size, 32 x 64, got 32 x 60"):
        SampleTransform.of((32, 64), (32, 60))


def test_padding_reflects() -> None:
    ramp = np.arange(4, dtype=np.float32).reshape(1, 4, 1).repeat(4, 0) / 4
    padded = SampleTransform.of((4, 8), resize="fit").resized(ramp)
    assert isinstance(padded, np.ndarray)
    assert (padded[0, :, 0] * 4).tolist() == [2, 1, 0, 1, 2, 3, 2, 1]


def bands(folder: Path, count: int, sides: tuple[int, int] = (40, 60), channels: int = 5) -> Path:
    """16-bit TIFF files of a few bands."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        values = np.random.default_rng(number).integers(0, 65536, (*sides, channels), np.uint16)
        tifffile.imwrite(folder / f"{number}.tif", values, photometric="minisblack", planarconfig="contig")
    return folder


@pytest.mark.parametrize("mode", MODES)
def test_folders_of_any_channels_and_size(tmp_path: Path, mode: Any) -> None:
    a, b = bands(tmp_path / "a", 3), tmp_path / "b"
    b.mkdir()
    for number in range(2):
        Image.new("L", (50 + number, 70), 90).save(b / f"{number}.png")
    made = {"size": (16, 32), "margin": 4, "channels": {"a": 5, "b": 1}, "resize": mode, "patches": 3}
    data = Folders(a, b, **made)  # type: ignore[arg-type]
    plain = Folders(a, b, cache=0, **made)  # type: ignore[arg-type]
    assert data.streams["a"] == i2i.Stream("image", 5, (16, 32))
    assert len(data) == 9
    for number in range(20):
        one, other = data[number], plain[number]
        for domain, channels in (("a", 5), ("b", 1)):
            image, same = one[domain], other[domain]
            assert isinstance(image, Tensor)
            assert isinstance(same, Tensor)
            assert (image.shape, image.dtype) == ((channels, 16, 32), torch.float32)
            assert torch.equal(image, same)
    # Patches of one image follow each other, and differ.
    first, second = data[0]["a"], data[1]["a"]
    assert isinstance(first, Tensor)
    assert isinstance(second, Tensor)
    assert not torch.equal(first, second)
    assert {domain: tuple(batch.shape) for domain, batch in data.preview(2).items()} == {
        "a": (2, 5, 16, 32),
        "b": (2, 1, 16, 32),
    }


def test_native_crops_are_pieces_of_the_file(tmp_path: Path) -> None:
    a = bands(tmp_path / "a", 1)
    data = Folders(a, a, size=16, channels=5, resize="none", flip=False)
    whole = torch.from_numpy(scale(tifffile.imread(a / "0.tif"), 0, 65535)).permute(2, 0, 1)
    for number in range(5):
        patch = data[number]["a"]
        places = whole.unfold(1, 16, 1).unfold(2, 16, 1)  # [5, rows, columns, 16, 16]
        assert (places == patch[:, None, None]).all(-1).all(-1).all(0).any()  # type: ignore[index]


def test_pairs_of_any_channels(tmp_path: Path) -> None:
    bands(tmp_path / "both", 2, (24, 96))
    data = Paired(tmp_path / "both", size=(16, 24), margin=4, channels=5)
    assert [tuple(data[0][domain].shape) for domain in "ab"] == [(5, 16, 24)] * 2  # type: ignore[attr-defined]
    bands(tmp_path / "a", 2)
    bands(tmp_path / "b", 2, channels=2)
    two = Paired(a=tmp_path / "a", b=tmp_path / "b", size=16, channels={"a": 5, "b": 2}, resize="none")
    assert [tuple(two[0][domain].shape) for domain in "ab"] == [(5, 16, 16), (2, 16, 16)]  # type: ignore[attr-defined]
    with pytest.raises(OptionError, match=r"both halves of a side-by-side image have the same channels"):
        Paired(tmp_path / "both", channels={"a": 5, "b": 2})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"range": (5, 5)}, "range: expected [LOWEST, HIGHEST], two increasing numbers, got [5, 5]"),
        ({"range": {"c": (0, 1)}}, "range: no domain 'c'; domains: a, b"),
        ({"percentiles": (99, 1)}, "percentiles: expected two increasing percentages from 0 to 100, such as [1, 99]"),
        ({"percentiles": (1, 99), "range": (0, 1)}, "percentiles: domain a has a range already; give one of the two"),
    ],
)
def test_ranges_that_cannot_be_meant(given: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError) as caught:
        Folders(**given)
    assert str(caught.value).startswith(message)


class Masked(Folders):
    """`folders` with a mask for each image of a, under the same name in another folder."""

    def __init__(self, masks: Path | None = None, **options: Any) -> None:
        self.masks = masks or Path()
        super().__init__(**options)

    @classmethod
    def declare_streams(cls, options: Mapping[str, Any]) -> dict[str, i2i.Stream]:
        mask = i2i.Stream("mask", 1, height_width(options["size"]), (0, 1))
        return super().declare_streams(options) | {"mask": mask}

    def companions(self, domain: str, file: ImageFile) -> Mapping[str, ImageFile]:
        return {"mask": self.masks / file.name} if domain == "a" else {}


@pytest.mark.parametrize("mode", MODES)
def test_a_mask_gets_the_transform_of_its_image(tmp_path: Path, mode: Any) -> None:
    for folder in ("a", "masks"):
        (tmp_path / folder).mkdir()
    for number in range(3):
        half = np.zeros((60, 80), np.uint8)
        half[:, 40:] = 255
        Image.fromarray(half).convert("RGB").save(tmp_path / "a" / f"{number}.png")
        Image.fromarray(half).save(tmp_path / "masks" / f"{number}.png")
    Image.new("L", (3, 3)).save(tmp_path / "masks" / "2.png")  # of another size
    data = Masked(tmp_path / "masks", a=tmp_path / "a", b=tmp_path / "a", size=(16, 32), margin=4, resize=mode)
    assert "size" in options(Masked)
    assert "masks" in options(Masked)
    said = set()
    for number in range(12):
        sample = data[number]
        image, mask = sample["a"], sample["mask"]
        assert isinstance(image, Tensor)
        assert isinstance(mask, Tensor)
        assert mask.shape == (1, 16, 32)
        assert torch.allclose((image[:1] + 1) / 2, mask, atol=1e-6)
        said |= set(sample["skipped"])  # type: ignore[call-overload]
    assert said == {
        f"cannot read {tmp_path / 'masks' / '2.png'}: expected 80 x 60 pixels, the size of {tmp_path / 'a' / '2.png'}, "
        "got 3 x 3"
    }
