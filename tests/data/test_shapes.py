"""Drawn squares and circles: repeatable, unpaired in training, paired in truth."""

from __future__ import annotations

import pytest
import torch

from i2i.data.shapes import Shapes


def test_samples_follow_from_their_number() -> None:
    one, two = Shapes(count=10), Shapes(count=10)
    for number in (0, 3, 17):
        first, second = one[number], two[number]
        for domain in "ab":
            assert first[domain].shape == (3, 32, 32)
            assert first[domain].abs().max() <= 1
            assert torch.equal(first[domain], second[domain])
    assert not torch.equal(one[0]["b"], one[10]["b"])  # another order in each epoch
    assert not torch.equal(one[0]["a"], Shapes(count=10, seed=1)[0]["a"])
    with pytest.raises(IndexError, match="numbered from 0"):
        one[-1]


@pytest.mark.parametrize("hues", ["one", "any"])
def test_pairs_share_place_and_area(hues: str) -> None:
    data = Shapes(size=48, hues=hues)  # type: ignore[arg-type]
    truth = data.pairs(6)
    assert truth["a"].shape == truth["b"].shape == (6, 3, 48, 48)
    for number in range(6):
        shape = data.shape(2**41 + number)
        square, circle = data.mask("a", shape), data.mask("b", shape)
        assert float(circle.sum()) == pytest.approx(float(square.sum()), rel=0.02)
        for axis in (0, 1):
            middles = [(m.sum(1 - axis) * torch.arange(48)).sum() / m.sum() for m in (square, circle)]
            assert abs(float(middles[0] - middles[1])) < 0.3
    red, green, blue = truth["b"].amax((2, 3)).unbind(1)
    assert bool((blue > red).all()) == (hues == "one")
    assert not torch.equal(data.preview(2)["a"], truth["a"][:2])


def test_free_hues_differ() -> None:
    data = Shapes()
    hues = torch.tensor([data.shape(number).hue for number in range(200)])
    assert hues.min() < 0.05
    assert hues.max() > 0.95
    assert abs(float(hues.mean()) - 0.5) < 0.1
