"""Heat maps to the bit as OpenCV draws them."""

from __future__ import annotations

from pathlib import Path

import torch
from official_figures import read

from i2i.nn.functional.heatmap import draw_heatmap, jet


def test_jet_is_opencvs(golden: Path) -> None:
    table = read(golden / "ugatit", "heatmap_cam").tensor("lut_bgr")
    assert torch.equal(jet().flip(1).to(table.dtype), table)


def test_drawing_is_the_official_one(golden: Path) -> None:
    figures = read(golden / "ugatit", "heatmap_cam")
    drawn_bgr = figures.tensor("cam_bgr")
    # One set keeps levels, the other numbers from 0 to 1.
    expected = (drawn_bgr * 255).round() if drawn_bgr.is_floating_point() else drawn_bgr
    heatmap = figures.tensor("heatmap_hw1").permute(2, 0, 1)[None]
    drawn = draw_heatmap(heatmap, tuple(expected.shape[:2]))
    levels = ((drawn[0] + 1) * 127.5).round().permute(1, 2, 0)
    assert torch.equal(levels.to(expected.dtype), expected.flip(2))


def test_each_map_is_stretched_on_its_own() -> None:
    first, second = torch.rand(1, 1, 3, 4), torch.rand(1, 1, 3, 4) * 100
    drawn = draw_heatmap(torch.cat((first, second)), (12, 8))
    assert drawn.shape == (2, 3, 12, 8)
    assert torch.equal(drawn[:1], draw_heatmap(first, (12, 8)))
    assert torch.equal(drawn[1:], draw_heatmap(second, (12, 8)))


def test_same_size_keeps_every_level() -> None:
    ramp = torch.arange(256.0).view(1, 1, 16, 16)
    drawn = draw_heatmap(ramp, 16)
    assert torch.equal(((drawn[0] + 1) * 127.5).round().flatten(1).t(), jet().float())


def test_constant_and_broken_maps_are_blue() -> None:
    blue = (jet()[0] / 127.5 - 1).view(1, 3, 1, 1).expand(1, 3, 4, 4)
    for value in (0.0, 3.0, float("nan")):
        torch.testing.assert_close(draw_heatmap(torch.full((1, 1, 2, 2), value), 4), blue)
