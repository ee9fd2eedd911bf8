"""Translation in tiles equals translation of the whole image, as far as the log says."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from i2i.errors import I2IError
from i2i.methods.assembly import build
from i2i.recipe.recipe import Recipe
from i2i.use.tiling import choose_halo, influence, spans, translate_in_tiles

ONE_BLOCK = {"translator.generator.channels": 8, "translator.generator.blocks": 1}
SMALL: dict[str, dict[str, object]] = {
    "ugatit_small": ONE_BLOCK,
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


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["ugatit_small", "cyclegan", "munit_small"])
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
    measured = translate_in_tiles(generate, image, 128, 4)
    assert (measured - whole).abs().max() < 1e-4
    near = translate_in_tiles(generate, image, 96, 4, halo=4)  # which the network sees beyond
    assert (near - whole).abs().max() > (made - whole).abs().max()


@torch.no_grad()
def test_small_images_are_translated_whole_and_small_tiles_refused() -> None:
    calls: list[tuple[int, ...]] = []

    def generate(x: Tensor) -> Tensor:
        calls.append(tuple(x.shape))
        return x

    image = torch.rand(1, 3, 40, 64)
    assert torch.equal(translate_in_tiles(generate, image, 64), image)
    assert calls == [(1, 3, 40, 64)]
    wide = torch.rand(1, 3, 40, 128)
    assert torch.equal(translate_in_tiles(generate, wide, 64, halo=8), wide)
    with pytest.raises(I2IError, match="expected tiles of at least 196 pixels for a halo of 96, got 100"):
        translate_in_tiles(generate, wide, 100, multiple=4, halo=96)
    with pytest.raises(I2IError, match="expected tiles of at least 64 pixels for this network, got 32"):
        translate_in_tiles(generate, wide, 60, multiple=32)


def box_blur(radius: int) -> Callable[[Tensor], Tensor]:
    """A network with a known reach."""
    kernel = torch.full((3, 1, 1, 2 * radius + 1), 1 / (2 * radius + 1))
    return lambda x: torch.nn.functional.conv2d(x, kernel, padding=(0, radius), groups=3)


@pytest.mark.parametrize("radius", [0, 1, 7, 20])
def test_the_reach_of_a_network_is_measured(radius: int) -> None:
    changes = influence(box_blur(radius), torch.empty(1, 3, 1, 1), farthest=32)
    assert changes.shape == (32,)
    assert (changes[:radius] > 1e-3).all()
    assert (changes[radius:] == 0).all()
    assert choose_halo(box_blur(radius), torch.empty(1, 3, 1, 1), 64) == radius


@torch.no_grad()
def test_tiles_that_are_not_exact_say_so_and_how_far(caplog: pytest.LogCaptureFixture) -> None:
    image = random_image()
    network = box_blur(30)
    exact = translate_in_tiles(network, image, 128)
    assert not caplog.messages
    assert (exact - network(image)).abs().max() < 1e-6
    near = translate_in_tiles(network, image, 64)
    (message,) = caplog.messages
    found = re.fullmatch(
        r"tiles of 64 pixels are not exact: this network depends on pixels farther away than 24; output differs by up "
        r"to about (\S+) of 2 near the edges of tiles; tiles of (\d+) pixels would be exact",
        message,
    )
    assert found is not None
    assert 0 < (near - network(image)).abs().max() < float(found[1])
    caplog.clear()
    assert (translate_in_tiles(network, image, int(found[2])) - network(image)).abs().max() < 1e-6
    assert not caplog.messages


@torch.no_grad()
def test_a_network_that_sees_everything_has_no_exact_tiles(caplog: pytest.LogCaptureFixture) -> None:
    translate_in_tiles(box_blur(300), random_image(), 128)
    assert caplog.messages[0].endswith("translate without tiles if you can")
