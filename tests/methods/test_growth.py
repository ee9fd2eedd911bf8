"""Progressive growing: stages, fades, and the functions that fade images."""

from __future__ import annotations

import itertools

import pytest
import torch

from i2i.core.factory import is_plain, plain
from i2i.errors import OptionError, ShapeError
from i2i.methods.growth import Growth, GrowthStage, Level, blend, downsample, resize_and_fade, upsample
from i2i.recipe.values import MismatchError, fit

STAGES = (GrowthStage(4, 10), GrowthStage(8, 6, fade=4, batch=3), GrowthStage(16, 5, fade=2))


def test_each_step_has_its_level() -> None:
    growth = Growth(STAGES)
    assert growth.at(0) == Level(0, 4, 1.0, 0)
    assert growth.at(9) == Level(0, 4, 1.0, 9)
    assert [growth.at(step).alpha for step in range(10, 16)] == [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    assert growth.at(12) == Level(1, 8, 0.5, 2, 3)
    assert growth.at(20) == Level(2, 16, 0.0, 0)
    assert growth.at(10**9) == Level(2, 16, 1.0, 10**9 - 20)
    assert growth.starts == (0, 10, 20)
    assert growth.structure_changes == (0, 10, 14, 20, 22)
    assert growth.steps == 27


def test_alpha_never_jumps_between_a_fade_and_what_follows() -> None:
    growth = Growth(STAGES)
    progress = [growth.at(step).stage + growth.at(step).alpha for step in range(40)]
    assert all(0 <= later - before <= 0.5 for before, later in itertools.pairwise(progress))


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ((), "expected at least one stage, got none"),
        ((GrowthStage(8, 1, fade=1),), "the first stage has nothing to fade from, got fade = 1"),
        ((GrowthStage(8, 1), GrowthStage(32, 1)), "expected 16 px after 8 px, got 32"),
        ((GrowthStage(8, 0), GrowthStage(16, 1)), "the stage of 8 px has no step"),
    ],
)
def test_what_cannot_grow_is_refused(stages: tuple[GrowthStage, ...], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Growth(stages)


def test_a_recipe_says_stages_as_tables() -> None:
    tables = [{"size": 4, "stable": 10}, {"size": 8, "stable": 6, "fade": 4, "batch": 3}]
    stages = fit(tables, tuple[GrowthStage, ...])
    assert stages == STAGES[:2]
    assert is_plain(stages)
    assert plain(stages) == [{"size": 4, "stable": 10, "fade": 0, "batch": 0}, tables[1]]
    assert fit(plain(stages), tuple[GrowthStage, ...]) == stages


def test_a_recipes_mistake_has_its_place() -> None:
    with pytest.raises(MismatchError) as caught:
        fit([{"size": 4, "steps": 10, "stable": -1}], tuple[GrowthStage, ...])
    assert caught.value.problems == {
        (0, "steps"): "expected no such key, got 10",
        (0, "stable"): "expected a number >= 0, got -1",
    }


def test_blend_is_exact_at_0_and_1() -> None:
    old, new = torch.randn(2, 4, 3, 2, 2).unbind()
    assert torch.equal(blend(old, new, 0.0), old)
    assert torch.equal(blend(old, new, 1.0), new)
    torch.testing.assert_close(blend(old, new, 0.3), 0.7 * old + 0.3 * new)


def test_downsample_inverts_upsample_exactly() -> None:
    x = torch.randn(2, 3, 5, 5)
    assert torch.equal(downsample(upsample(x)), x)
    assert upsample(torch.tensor([[[[1.0, 2.0]]]])).tolist() == [[[[1, 1, 2, 2], [1, 1, 2, 2]]]]


def test_real_images_are_resized_and_faded() -> None:
    image = torch.rand(2, 3, 16, 16, dtype=torch.float64)
    means = image.view(2, 3, 8, 2, 8, 2).mean((3, 5))
    torch.testing.assert_close(resize_and_fade(image, 8), means)
    coarse = image.view(2, 3, 4, 4, 4, 4).mean((3, 5)).repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(resize_and_fade(image, 8, 0.25), 0.75 * coarse + 0.25 * means)
    assert torch.equal(downsample(resize_and_fade(image, 8, 0.0)), downsample(resize_and_fade(image, 8)))
    assert torch.equal(resize_and_fade(image, 16), image)
    assert torch.equal(resize_and_fade(image, 8, 0.0), upsample(resize_and_fade(image, 4)))
    torch.testing.assert_close(
        resize_and_fade(image[..., :12, :12], 4), image[..., :12, :12].unfold(2, 3, 3).unfold(3, 3, 3).mean((4, 5))
    )


@pytest.mark.parametrize("shape", [(1, 3, 12, 12), (1, 3, 16, 8)])
def test_what_does_not_shrink_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="expected squares whose side is a multiple of 8 px, got"):
        resize_and_fade(torch.zeros(shape), 8)
