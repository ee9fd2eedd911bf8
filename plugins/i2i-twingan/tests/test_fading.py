"""Fading is exact at its ends, so that nothing jumps when a stage begins or ends."""

from __future__ import annotations

import pytest
import torch
from i2i_twingan.fading import blend, double, halve, shrunk

from i2i.errors import ShapeError


def test_a_blend_is_either_one_at_its_ends() -> None:
    old, new = torch.randn(2, 4, 3, 2, 2).unbind()
    assert torch.equal(blend(old, new, 0.0), old)
    assert torch.equal(blend(old, new, 1.0), new)
    torch.testing.assert_close(blend(old, new, 0.3), 0.7 * old + 0.3 * new)


def test_halving_undoes_doubling_bit_for_bit() -> None:
    x = torch.randn(2, 3, 5, 5)
    assert torch.equal(halve(double(x)), x)
    assert double(torch.tensor([[[[1.0, 2.0]]]])).tolist() == [[[[1, 1, 2, 2], [1, 1, 2, 2]]]]


def test_images_are_shrunk_and_faded() -> None:
    image = torch.rand(2, 3, 16, 16, dtype=torch.float64)
    means = image.view(2, 3, 8, 2, 8, 2).mean((3, 5))
    torch.testing.assert_close(shrunk(image, 8), means)
    coarse = image.view(2, 3, 4, 4, 4, 4).mean((3, 5)).repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(shrunk(image, 8, 0.25), 0.75 * coarse + 0.25 * means)
    assert torch.equal(halve(shrunk(image, 8, 0.0)), halve(shrunk(image, 8)))
    assert torch.equal(shrunk(image, 16), image)
    assert torch.equal(shrunk(image, 8, 0.0), double(shrunk(image, 4)))
    torch.testing.assert_close(
        shrunk(image[..., :12, :12], 4), image[..., :12, :12].unfold(2, 3, 3).unfold(3, 3, 3).mean((4, 5))
    )


@pytest.mark.parametrize("shape", [(1, 3, 12, 12), (1, 3, 16, 8)])
def test_what_does_not_shrink_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="expected squares whose side is a multiple of 8 px, got"):
        shrunk(torch.zeros(shape), 8)
