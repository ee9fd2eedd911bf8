"""Portraits are a pure function of seed and number; training, preview and truth never share a character."""

from __future__ import annotations

import itertools

import pytest
import torch

from i2i.demo.character import MIDDLE, Character
from i2i.demo.portraits import _PAIRS, _PREVIEW, Portraits


@pytest.mark.parametrize("size", [16, 32, 50, 64])
def test_sample_shape_and_range(size: int) -> None:
    sample = Portraits(size=size, count=5)[3]
    assert set(sample) == set(Portraits.domains) == {"a", "b"}
    for image in sample.values():
        assert image.shape == (3, size, size)
        assert image.dtype == torch.float32
        assert image.is_contiguous()
        assert -1 <= image.min() < -0.5
        assert 0.2 < image.max() <= 1


def test_same_number_same_image() -> None:
    torch.manual_seed(0)
    first = Portraits(size=32, count=10, seed=4)[17]
    torch.manual_seed(1)
    second = Portraits(size=32, count=10, seed=4)[17]
    for domain in Portraits.domains:
        assert torch.equal(first[domain], second[domain])


def test_another_seed_is_another_world() -> None:
    worlds = [Portraits(size=32, count=10, seed=seed) for seed in (0, 1)]
    for name in ("preview", "pairs"):
        one, other = (getattr(world, name)(2) for world in worlds)
        assert not torch.equal(one["a"], other["a"])
    assert not torch.equal(worlds[0][0]["a"], worlds[1][0]["a"])


def test_no_global_random_state() -> None:
    before = torch.get_rng_state()
    Portraits(size=16, count=3)[0]
    assert torch.equal(torch.get_rng_state(), before)


def test_an_epoch_visits_each_character_once_and_epochs_differ() -> None:
    portraits = Portraits(count=23, seed=1)
    epochs = [[portraits.numbers(23 * epoch + place) for place in range(23)] for epoch in range(3)]
    for epoch in epochs:
        assert sorted(a for a, _ in epoch) == list(range(0, 46, 2))
        assert sorted(b for _, b in epoch) == list(range(1, 46, 2))
    assert all(one != other for one, other in itertools.combinations(epochs, 2))
    # Were both domains in one order, number n of a would always meet number n of b.
    assert [a // 2 for a, _ in epochs[0]] != [b // 2 for _, b in epochs[0]]


def test_all_characters_are_apart() -> None:
    portraits = Portraits(size=32, count=12)
    trained = {number for place in range(12) for number in portraits.numbers(place)}
    preview = set(range(_PREVIEW, _PREVIEW + 24))
    pairs = set(range(_PAIRS, _PAIRS + 12))
    assert trained.isdisjoint(preview | pairs)
    assert preview.isdisjoint(pairs)
    people = [portraits.character(number) for number in [*trained, *preview, *pairs]]
    assert len(set(people)) == len(people)
    # The images themselves are nobody's from training.
    shown = torch.stack([portraits[place]["a"] for place in range(12)])
    for batch in (portraits.preview(4), portraits.pairs(4)):
        distance = (batch["a"][:, None] - shown[None]).abs().flatten(2).mean(-1)
        assert distance.min() > 0.02


def test_held_out_images_do_not_depend_on_count() -> None:
    few, many = Portraits(size=32, count=3), Portraits(size=32, count=900)
    for name in ("preview", "pairs"):
        one, other = getattr(few, name)(3), getattr(many, name)(5)
        for domain in Portraits.domains:
            assert one[domain].shape == (3, 3, 32, 32)
            assert torch.equal(one[domain], other[domain][:3])


def top(images: torch.Tensor) -> torch.Tensor:
    """Mean colour where hair always is: [B, 3]."""
    size = images.shape[-1]
    return images[..., int(0.14 * size) : int(0.22 * size), int(0.44 * size) : int(0.56 * size)].mean((2, 3))


def correlation(one: torch.Tensor, other: torch.Tensor) -> float:
    return float(torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1])


def test_pairs_are_pairs_and_previews_are_not() -> None:
    portraits = Portraits(size=32)
    pairs, preview = portraits.pairs(60), portraits.preview(60)
    assert correlation(top(pairs["a"]), top(pairs["b"])) > 0.8
    assert abs(correlation(top(preview["a"]), top(preview["b"]))) < 0.45


def test_the_domains_differ() -> None:
    pairs = Portraits(size=64).pairs(20)

    def detail(images: torch.Tensor) -> torch.Tensor:
        """Share of neighbours that are equal: flat colours have many, gradients few."""
        return (images.diff(dim=-1).abs() < 1e-4).float().mean((1, 2, 3))

    assert detail(pairs["b"]).min() > 2 * detail(pairs["a"]).max()
    # The same character is still a different image.
    assert (pairs["a"] - pairs["b"]).abs().mean((1, 2, 3)).min() > 0.15


def test_length_and_numbers_below_zero() -> None:
    portraits = Portraits(count=7)
    assert len(portraits) == 7
    with pytest.raises(IndexError, match="portraits: samples are numbered from 0, got -1"):
        portraits[-1]


def test_poses_spread_places_and_tilts_about_the_mean() -> None:
    usual, still, spread = (Portraits(poses=poses).character(7) for poses in (1, 0, 2))
    assert usual == Character.drawn_from([0, 7])
    assert (still.center, still.tilt) == (MIDDLE, 0)
    for axis in range(2):
        assert spread.center[axis] - MIDDLE[axis] == pytest.approx(2 * (usual.center[axis] - MIDDLE[axis]))
    assert spread.tilt == 2 * usual.tilt
