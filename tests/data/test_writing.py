"""Images are written whole, with notes where the format has a place for them."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from i2i.data.writing import write_image

NOTES = {"feature extractor": "some network, weights of a file", "steps": "3"}


def test_notes_can_be_read_again(tmp_path: Path) -> None:
    image = Image.new("RGB", (8, 8))
    for name in ("new/one.png", "two.jpg", "three.webp"):
        write_image(image, tmp_path / name, NOTES)
    with Image.open(tmp_path / "new/one.png") as read:
        assert read.info == NOTES  # type: ignore[comparison-overlap]
    with Image.open(tmp_path / "two.jpg") as read:
        assert read.info["comment"] == b"feature extractor: some network, weights of a file; steps: 3"
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == ["one.png", "three.webp", "two.jpg"]


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown file extension"):
        write_image(Image.new("RGB", (8, 8)), tmp_path / "one.nothing")
    assert list(tmp_path.iterdir()) == []
