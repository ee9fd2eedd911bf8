"""Shapes are a pure function of seed and number; training, preview and truth never share an object."""

from __future__ import annotations

import pytest
import torch

from i2i.demo.shapes import _PAIRS, _PREVIEW, Shapes, centroids, object_mask


@pytest.mark.parametrize("size", [16, 32, 50])
def test_sample_shape_and_range(size: int) -> None:
    sample = Shapes(size=size)[3]
    assert set(sample) == set(Shapes.domains) == {"a", "b"}
    for image in sample.values():
        assert image.shape == (3, size, size)
        assert image.dtype == torch.float32
        assert image.is_contiguous()
        assert -1 <= image.min() < -0.5
        assert 0.4 < image.max() <= 1


def test_same_number_same_image_without_global_state() -> None:
    before = torch.get_rng_state()
    first, second = (Shapes(seed=4)[17] for _ in range(2))
    assert all(torch.equal(first[domain], second[domain]) for domain in "ab")
    assert torch.equal(torch.get_rng_state(), before)


def test_another_seed_is_another_world() -> None:
    one, other = Shapes(seed=0), Shapes(seed=1)
    for name in ("preview", "pairs"):
        assert not torch.equal(getattr(one, name)(2)["a"], getattr(other, name)(2)["a"])
    assert not torch.equal(one[0]["a"], other[0]["a"])


def test_unpaired_samples_never_share_an_object_and_paired_ones_always_do() -> None:
    shapes = Shapes()
    seen = [number for n in range(50) for number in shapes.numbers(n)]
    assert len(set(seen)) == len(seen)
    assert Shapes(paired=True).numbers(7) == (7, 7)
    assert max(seen) < _PREVIEW < _PAIRS
    assert (
        len({shapes.object(number) for number in [*seen, *range(_PREVIEW, _PREVIEW + 20), *range(_PAIRS, _PAIRS + 20)]})
        == 140
    )


def places(images: torch.Tensor) -> torch.Tensor:
    return centroids(object_mask(images))


def test_pairs_have_one_centre_and_area_and_previews_have_not() -> None:
    shapes = Shapes(size=64)
    pairs, preview = shapes.pairs(30), shapes.preview(30)
    assert (places(pairs["a"]) - places(pairs["b"])).norm(dim=1).max() < 1
    areas = [object_mask(pairs[domain]).sum((1, 2)).double() for domain in "ab"]
    assert ((areas[0] - areas[1]).abs() / areas[0]).max() < 0.1
    assert (places(preview["a"]) - places(preview["b"])).norm(dim=1).median() > 5
    paired = Shapes(size=64, paired=True)
    for batch in (paired.preview(8), {domain: paired[5][domain][None] for domain in "ab"}):
        assert (places(batch["a"]) - places(batch["b"])).norm(dim=1).max() < 1


def test_backgrounds_of_a_pair_are_drawn_apart() -> None:
    """A pixel of noise that both images shared would tell a paired method the answer."""
    pairs = Shapes(size=64).pairs(1)
    outside = ~(object_mask(pairs["a"]) | object_mask(pairs["b"]))[0]
    noise = torch.stack([pairs[domain][0, :, outside].flatten() for domain in "ab"])
    assert abs(float(torch.corrcoef(noise)[0, 1])) < 0.1


def test_held_out_images_do_not_depend_on_count() -> None:
    few, many = Shapes(count=3), Shapes(count=900)
    assert (len(few), len(many)) == (3, 900)
    assert torch.equal(few.pairs(2)["b"], many.pairs(4)["b"][:2])
    assert torch.equal(few[5]["a"], many[5]["a"])


def test_numbers_below_zero() -> None:
    with pytest.raises(IndexError, match="shapes: samples are numbered from 0, got -1"):
        Shapes()[-1]
