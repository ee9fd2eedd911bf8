"""Several styles with weights, and what a written style asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from i2i.errors import I2IError
from i2i.methods.blending import either, random_or_image, shares


def test_shares_add_up_to_one() -> None:
    assert shares({0: 0.7, 3: 0.3}) == [(0, 0.7), (3, 0.3)]
    assert shares([("x", 1), ("y", 3)]) == [("x", 0.25), ("y", 0.75)]


@pytest.mark.parametrize(
    ("blend", "message"),
    [
        ({}, "blend: expected styles with weights >= 0, got weights []"),
        ({0: -0.5, 1: 1}, "blend: expected styles with weights >= 0, got weights [-0.5, 1]"),
        ({0: "1"}, "blend: expected styles with weights >= 0, got weights ['1']"),
        ({0: float("inf")}, "blend: expected styles with weights >= 0, got weights [inf]"),
        ({0: 0, 1: 0.0}, "blend: expected a weight above 0, got none"),
    ],
)
def test_weights_that_are_none(blend: Any, message: str) -> None:
    with pytest.raises(I2IError) as caught:
        shares(blend)
    assert str(caught.value) == message


def test_a_style_or_a_blend() -> None:
    assert either("random", "random", None) == [("random", 1.0)]
    assert either("random", "random", {1: 1}) == [(1, 1.0)]
    with pytest.raises(I2IError) as caught:
        either(2, "random", {1: 1})
    assert str(caught.value) == ("style and blend cannot be given together; give the style as a part of the blend")


def test_written_styles(tmp_path: Path) -> None:
    (tmp_path / "image.png").touch()
    assert random_or_image("random") == {"": "random"}
    assert random_or_image("2") == {".1": 1, ".2": 2}
    assert random_or_image(str(tmp_path / "image.png")) == {"": tmp_path / "image.png"}
    for text in ("0", "pink"):
        with pytest.raises(I2IError) as caught:
            random_or_image(text)
        assert str(caught.value) == f"style: expected random, a number from 1 on or an image, got {text!r}"
