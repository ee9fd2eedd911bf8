"""Masks, label maps and classes: they follow their images, and what does not fit gets a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from i2i.data.class_pairs import ClassPairs
from i2i.data.label_maps import classes_of, colorize, one_hot, parse_colors
from i2i.data.label_pairs import LabelPairs
from i2i.data.masked import MaskedFolders
from i2i.errors import DataError, OptionError

COLORS = ("#000000", "#ff0000", "#00ff00", "#0000ff")
PALETTE = parse_colors("colors", COLORS)


def blocks(seed: int, height: int, width: int) -> np.ndarray[Any, Any]:
    """Random class numbers in blocks, which survive resizing in part."""
    random = np.random.default_rng(seed)
    small = random.integers(0, 4, (height // 4, width // 4))
    return np.kron(small, np.ones((4, 4), np.int64)).astype(np.uint8)


def colored(numbers: np.ndarray[Any, Any]) -> Image.Image:
    return Image.fromarray(np.asarray(PALETTE, np.uint8)[numbers])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 1000),
    sides=st.tuples(st.integers(5, 10), st.integers(5, 10)),
    size=st.tuples(st.integers(8, 20), st.integers(8, 20)),
    margin=st.integers(0, 9),
    resize=st.sampled_from(["square", "short_side", "fit", "none"]),
    source=st.sampled_from(["folder", "alpha", "colors"]),
)
def test_masks_follow_flips_crops_and_resizes(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    sides: tuple[int, int],
    size: tuple[int, int],
    margin: int,
    resize: str,
    source: str,
) -> None:
    """The image shows its own mask in its first channel, so whatever happens to one is seen in the other."""
    root = tmp_path_factory.mktemp("masks")
    height, width = 4 * sides[0], 4 * sides[1]
    numbers = blocks(seed, height, width)
    mask = (numbers == 1).astype(np.uint8) * 255
    image = np.stack([mask, np.zeros_like(mask), np.zeros_like(mask)], 2)
    for folder in ("a", "b", "masks"):
        (root / folder).mkdir()
    opaque = np.stack([np.zeros_like(mask)] * 3 + [mask], 2)  # black over white, which shows the opacity inverted
    files = {"folder": (image, mask), "alpha": (opaque, mask), "colors": (image, np.asarray(colored(numbers)))}[source]
    Image.fromarray(files[0]).save(root / "a" / "one.png")
    Image.fromarray(image).save(root / "b" / "one.png")
    Image.fromarray(files[1]).save(root / "masks" / "one.tif")
    dataset = MaskedFolders(
        mask_a="alpha" if source == "alpha" else root / "masks",
        mask_colors=(COLORS[1],) if source == "colors" else (),
        a=root / "a",
        b=root / "b",
        size=size,
        margin=margin,
        resize="square" if resize == "none" and (height < size[0] or width < size[1]) else resize,
    )
    for number in range(4):
        sample = dataset[number]
        shown, found = sample["a"], sample["mask_a"]
        assert isinstance(shown, Tensor)
        assert isinstance(found, Tensor)
        assert found.shape == (1, *size)
        assert found.min() >= 0
        assert found.max() <= 1
        visible = (shown[:1] + 1) / 2
        assert torch.allclose(1 - visible if source == "alpha" else visible, found, atol=2 / 255)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 1000),
    sides=st.tuples(st.integers(5, 10), st.integers(5, 10)),
    size=st.tuples(st.integers(8, 20), st.integers(8, 20)),
    margin=st.integers(0, 9),
    together=st.booleans(),
)
def test_label_maps_follow_their_image_and_never_mix(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    sides: tuple[int, int],
    size: tuple[int, int],
    margin: int,
    together: bool,
) -> None:
    """Both images of a pair show one colour map, of which one is read as labels: where colours are pure, they agree."""
    root = tmp_path_factory.mktemp("labels")
    height, width = 4 * max(sides), 4 * min(sides)
    image = colored(blocks(seed, height, width))
    options: dict[str, Any] = {"colors": COLORS, "labels": "b", "size": size, "margin": margin, "resample": "bilinear"}
    if together:
        both = Image.new("RGB", (2 * height, height))
        square = image.resize((height, height), Image.Resampling.NEAREST)
        both.paste(square, (0, 0))
        both.paste(square, (height, 0))
        (root / "train").mkdir()
        both.save(root / "train" / "one.png")
        dataset = LabelPairs(root=root, **options)
    else:
        for folder in ("a", "b"):
            (root / folder).mkdir()
            image.save(root / folder / "one.png")
        dataset = LabelPairs(a=root / "a", b=root / "b", **options)
    for number in range(4):
        sample = dataset[number]
        photo, labels = sample["a"], sample["b"]
        assert isinstance(photo, Tensor)
        assert isinstance(labels, Tensor)
        assert labels.shape == (4, *size)
        assert torch.equal(labels.sum(0), torch.ones(size))
        assert set(labels.unique().tolist()) <= {0.0, 1.0}
        painted = colorize(labels, PALETTE)
        pure = torch.stack(
            [(photo - colorize(one_hot(np.full((*size, 1), k), 4), PALETTE)).abs().amax(0) for k in range(4)]
        )
        certain = pure.amin(0) < 1e-6
        agreeing = (painted - photo).abs().amax(0)[certain] < 1e-6
        assert agreeing.float().mean() > 0.95 if certain.sum() > 10 else True
    assert dataset.preview(1)["b"].shape == (1, 4, *size)


def test_a_colour_map_is_read_exactly_or_refused() -> None:
    numbers = blocks(1, 8, 12)
    assert np.array_equal(classes_of(colored(numbers), PALETTE)[..., 0], numbers)
    wrong = np.asarray(colored(numbers)).copy()
    wrong[3, 5] = (250, 10, 0)
    with pytest.raises(
        DataError, match="the colour #fa0a00 in row 3, column 5 belongs to no class; the nearest is #ff0000"
    ):
        classes_of(Image.fromarray(wrong), PALETTE)
    assert classes_of(Image.fromarray(wrong), PALETTE, tolerance=10)[3, 5, 0] == 1
    for colors, message in ((("red",), "expected colours such as"), (("#ff0000", "ff0000"), "occurs twice")):
        with pytest.raises(OptionError, match=message):
            parse_colors("colors", colors)
    with pytest.raises(OptionError, match="the colours of at least two classes"):
        LabelPairs(colors=("#ff0000",))


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    for folder in ("a", "b", "masks"):
        (tmp_path / folder).mkdir()
        for number in range(2):
            Image.new("L", (20, 24), 255).convert("L" if folder == "masks" else "RGB").save(
                tmp_path / folder / f"{number}.png"
            )
    return tmp_path


def test_bad_masks_get_a_sentence(folders: Path) -> None:
    given: dict[str, Any] = {"a": folders / "a", "b": folders / "b", "size": 16}
    with pytest.raises(OptionError, match="expected a folder of masks, or 'alpha', for a domain, got none for both"):
        MaskedFolders(**given)
    with pytest.raises(DataError, match="it has no opacity"):
        MaskedFolders(mask_a="alpha", **given)
    Image.new("L", (10, 10)).save(folders / "masks" / "1.png")
    dataset = MaskedFolders(mask_a=folders / "masks", **given)
    lines = {line for number in range(4) for line in dataset[number]["skipped"]}  # type: ignore[attr-defined]
    assert lines == {
        f"cannot read {folders / 'masks' / '1.png'}: expected 20 x 24 pixels, the size of {folders / 'a' / '1.png'}, "
        "got 10 x 10"
    }
    (folders / "masks" / "1.png").unlink()
    with pytest.raises(DataError, match=r"a/1\.png has no mask: expected .*masks/1, with the suffix of an image"):
        MaskedFolders(mask_a=folders / "masks", **given)


def pairs(root: Path, names: dict[str, tuple[int, int, int]]) -> None:
    for name, color in names.items():
        for folder in ("a", "b"):
            path = root / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (20, 20), color).save(path)


RED, BLUE = (255, 0, 0), (0, 0, 255)


@pytest.mark.parametrize("from_file", [False, True])
def test_classes_come_from_subfolders_or_a_file(tmp_path: Path, from_file: bool) -> None:
    names = {"0.png": RED, "1.png": BLUE, "2.png": RED} if from_file else {"red/0.png": RED, "blue/1.png": BLUE}
    pairs(tmp_path, names)
    labels = tmp_path / "labels.csv"
    labels.write_text(
        "file,label\n" + "".join(f"{name},{'red' if c == RED else 'blue'}\n" for name, c in names.items())
    )
    dataset = ClassPairs(
        ("red", "blue"), labels if from_file else None, a=tmp_path / "a", b=tmp_path / "b", size=16, margin=2
    )
    for number in range(8):
        sample = dataset[number]
        label, image = sample["label"], sample["b"]
        assert isinstance(label, Tensor)
        assert isinstance(image, Tensor)
        assert int(label) == int(image[2].mean() > image[0].mean())
    assert dataset.streams["label"].names == ("red", "blue")


def test_labels_without_a_class_get_a_sentence(tmp_path: Path) -> None:
    pairs(tmp_path, {"red/0.png": RED, "gren/1.png": BLUE})
    given: dict[str, Any] = {"a": tmp_path / "a", "b": tmp_path / "b", "size": 16}
    with pytest.raises(DataError, match=r"has no class: expected a subfolder of red, green, got the subfolder 'gren'"):
        ClassPairs(("red", "green"), **given)
    with pytest.raises(OptionError, match="at least two different classes"):
        ClassPairs(("red", "red"), **given)
    file = tmp_path / "labels.csv"
    file.write_text("file,label\nred/0.png,red\ngren/1.png,grean\n")
    with pytest.raises(
        DataError, match=r"labels\.csv:3: 'grean' is no class\. Did you mean 'green'\? Classes: red, green"
    ):
        ClassPairs(("red", "green"), file, **given)
    file.write_text("file,label\nred/0.png,red\n")
    with pytest.raises(DataError, match=r"gren/1\.png has no class: .*labels\.csv does not list it as gren/1\.png"):
        ClassPairs(("red", "green"), file, **given)
    file.write_text("path,label\nred/0.png,red\n")
    with pytest.raises(DataError, match="expected the columns file and label, got path, label; file is missing"):
        ClassPairs(("red", "green"), file, **given)
