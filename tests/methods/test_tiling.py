"""Images painted in windows are the images painted whole, as far as they say."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from i2i.errors import I2IError
from i2i.methods.assembly import build
from i2i.recipe.recipe import Recipe
from i2i.use.tiling import spans, translate_in_tiles

ONE_BLOCK = {"translator.generator.channels": 8, "translator.generator.blocks": 1}
SMALL: dict[str, dict[str, object]] = {
    "quickstart": ONE_BLOCK,
    "cyclegan": ONE_BLOCK | {"data.type": "shapes"},
    "munit_small": ONE_BLOCK,
}


@pytest.mark.parametrize(("length", "tile", "halo", "multiple"), [(64, 32, 8, 4), (68, 32, 8, 4), (60, 100, 8, 4)])
def test_windows_cover_an_axis_once(length: int, tile: int, halo: int, multiple: int) -> None:
    found = spans(length, tile, halo, multiple)
    assert [found[0].first, found[-1].last] == [0, length]
    for one, other in pairwise(found):
        assert one.last == other.first
    for span in found:
        assert span.stop - span.start == min(tile, length)
        assert span.start % multiple == 0
        assert span.first - span.start >= (halo if span.start else 0)
        assert span.stop - span.last >= (halo if span.stop < length else 0)


def random_image() -> Tensor:
    """Smooth and uneven, so that one corner does not stand for all."""
    draws = torch.Generator().manual_seed(0)
    rough = torch.rand(1, 3, 6, 7, generator=draws) * 2 - 1
    return torch.nn.functional.interpolate(rough, (144, 176), mode="bicubic").clamp(-1, 1)


@pytest.mark.parametrize("name", ["quickstart", "cyclegan", "munit_small"])
@torch.no_grad()
def test_the_image_is_the_untiled_one(name: str) -> None:
    torch.manual_seed(0)
    translator = build(Recipe.read(name, SMALL[name])).eval()
    image = random_image()
    styled = {"style": 1} if "style" in translator.conditions() else {}
    whole = translator.translate(image, "b", **styled).image
    sizes = []

    def generate(window: Tensor) -> Tensor:
        sizes.append(tuple(window.shape[2:]))
        return translator.translate(window, "b", **styled).image

    made = translate_in_tiles(generate, image, 96, 4, halo=40)
    assert set(sizes) == {(96, 96)}
    assert (made - whole).abs().max() < 1e-4
    near = translate_in_tiles(generate, image, 96, 4, halo=4)  # which the network sees beyond
    assert (near - whole).abs().max() > (made - whole).abs().max()


@torch.no_grad()
def test_small_images_are_painted_whole_and_small_tiles_refused() -> None:
    calls: list[tuple[int, ...]] = []

    def generate(x: Tensor) -> Tensor:
        calls.append(tuple(x.shape))
        return x

    image = torch.rand(1, 3, 40, 64)
    assert torch.equal(translate_in_tiles(generate, image, 64), image)
    assert calls == [(1, 3, 40, 64)]
    assert torch.equal(
        translate_in_tiles(generate, torch.rand(1, 3, 40, 128), 64, halo=8)[0, 0, 0].isfinite(), torch.ones(128) > 0
    )
    with pytest.raises(I2IError, match="expected tiles of more than 196 pixels, got 100; give larger ones"):
        translate_in_tiles(generate, torch.rand(1, 3, 40, 128), 100, multiple=4)
