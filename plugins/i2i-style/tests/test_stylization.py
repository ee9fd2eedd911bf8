"""Gatys' neural style: the Gram error falls, colours can be kept, styles are mixed, and mistakes are said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import i2i_style
import pytest
import torch
from i2i_style.stylization import Stylization
from i2i_style.textures import Textures
from kornia.color import rgb_to_grayscale
from PIL import Image
from torch import Tensor

from i2i.core.kinds import FEATURE_EXTRACTOR
from i2i.errors import I2IError, OptionError
from i2i.nn.functional.gram import gram

TINY: dict[str, Any] = {
    "features": FEATURE_EXTRACTOR("timm", model="test_efficientnet", weights="untrained"),
    "content_taps": ("blocks.1.0.bn1",),
    "style_taps": ("bn1", "blocks.1.0.bn1"),
    "device": "cpu",
}


@pytest.fixture(scope="module")
def content() -> Tensor:
    return Textures(32).scenes([0])[0]


@pytest.fixture(scope="module")
def styles() -> Tensor:
    return Textures(32).textures([0, 1])


def gram_error(work: Stylization, image: Tensor, style: Tensor) -> float:
    """Independent of the class: the mean over taps of relative squared errors of Gram matrices."""
    errors = []
    with torch.no_grad():
        seen = [dict(zip(work.taps, work.extractor(x[None]), strict=True)) for x in (image, style)]
    for tap in work.style_taps:
        made, wanted = (gram(one[tap]) for one in seen)
        errors.append((made - wanted).square().mean() / wanted.square().mean())
    return float(torch.stack(errors).mean())


@pytest.mark.parametrize(("optimizer", "steps"), [("lbfgs", 40), ("adam", 120)])
def test_the_gram_error_falls_at_least_tenfold(content: Tensor, styles: Tensor, optimizer: Any, steps: int) -> None:
    work = Stylization(content, [styles[0]], optimizer=optimizer, tv_weight=0.0, **TINY)
    before = gram_error(work, work.image, styles[0])
    for _ in range(steps):
        work.step()
    assert gram_error(work, work.image, styles[0]) < before / 10
    assert (work.image - content).abs().mean() < (styles[0] - content).abs().mean()


def test_terms_are_the_weighted_formula(content: Tensor, styles: Tensor) -> None:
    for relative in (True, False):
        work = Stylization(
            content, [*styles], shares=(3, 1), content_weight=2, style_weight=5, relative=relative, **TINY
        )
        image = styles[1][None]
        terms = work.terms(image)
        at = [dict(zip(work.taps, work.extractor(x), strict=True)) for x in (image, content[None], *styles[:, None])]
        made, kept, one, two = at
        goal, tap = kept["blocks.1.0.bn1"], "blocks.1.0.bn1"
        expected = 2 * (made[tap] - goal).square().mean() / (goal.square().mean() if relative else 1)
        torch.testing.assert_close(terms["content"], expected)
        expected = torch.zeros(())
        for tap in work.style_taps:
            wanted = 0.75 * gram(one[tap]) + 0.25 * gram(two[tap])
            error = (gram(made[tap]) - wanted).square().mean()
            expected = expected + 5 * error / (wanted.square().mean() if relative else 1)
        torch.testing.assert_close(terms["style"], expected)


def test_the_same_seed_gives_the_same_image(content: Tensor, styles: Tensor) -> None:
    def made(**more: Any) -> Tensor:
        work = Stylization(content, [styles[0]], **TINY, **more)
        work.step()
        return work.image

    assert torch.equal(made(init="noise"), made(init="noise"))
    assert not torch.equal(made(init="noise"), made(init="noise", seed=1))
    assert not torch.equal(made(), made(init="noise"))


def test_kept_colours_are_the_contents(content: Tensor, styles: Tensor) -> None:
    work = Stylization(0.3 * content, [0.3 * styles[0]], keep_colors=True, **TINY)
    for _ in range(3):
        work.step()
    image = work.image[None]
    color = image - rgb_to_grayscale(image)
    torch.testing.assert_close(color, 0.3 * content[None] - rgb_to_grayscale(0.3 * content[None]), rtol=1e-3, atol=1e-4)
    assert not torch.equal(image[0], 0.3 * content)


def test_the_function_takes_files_and_tells_of_its_progress(content: Tensor, styles: Tensor, tmp_path: Path) -> None:
    from i2i.data.images import to_image

    to_image(content).resize((60, 40)).save(tmp_path / "content.png")
    seen: list[tuple[int, set[str]]] = []
    made = i2i_style.stylize(
        tmp_path / "content.png",
        [to_image(styles[0])],
        steps=2,
        progress=lambda number, terms: seen.append((number, {*terms})),
        size=32,
        **TINY,
    )
    assert isinstance(made, Image.Image)
    assert made.size == (48, 32)
    assert seen == [(1, {"content", "style", "tv"}), (2, {"content", "style", "tv"})]


@pytest.mark.parametrize(
    ("shares", "count", "message"),
    [
        ((), 0, "expected at least one style image, got none"),
        ((1.0,), 2, "shares: expected 2 numbers >= 0, one for each style and not all 0, got [1.0]"),
        ((-1.0, 2.0), 2, "shares: expected 2 numbers >= 0, one for each style and not all 0, got [-1.0, 2.0]"),
        ((0.0, 0.0), 2, "shares: expected 2 numbers >= 0, one for each style and not all 0, got [0.0, 0.0]"),
    ],
)
def test_shares_that_do_not_fit(
    content: Tensor, styles: Tensor, shares: tuple[float, ...], count: int, message: str
) -> None:
    with pytest.raises(I2IError) as caught:
        Stylization(content, [*styles[:count]], shares=shares, **TINY)
    assert str(caught.value) == message


def test_a_layer_that_is_not_there(content: Tensor, styles: Tensor) -> None:
    with pytest.raises(OptionError, match=r"test_efficientnet has no layer 'relu4_2'"):
        Stylization(content, [styles[0]], **{**TINY, "content_taps": ("relu4_2",)})
