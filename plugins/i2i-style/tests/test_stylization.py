"""Neural style transfer by optimization: the Gram error decreases, colours can be kept, styles are mixed, errors."""

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


def gram_error(stylization: Stylization, image: Tensor, style: Tensor) -> float:
    """Return the mean over taps of the relative squared errors of Gram matrices, computed without the class."""
    errors = []
    with torch.no_grad():
        features = [dict(zip(stylization.taps, stylization.extractor(x[None]), strict=True)) for x in (image, style)]
    for tap in stylization.style_taps:
        value, target = (gram(feature[tap]) for feature in features)
        errors.append((value - target).square().mean() / target.square().mean())
    return float(torch.stack(errors).mean())


@pytest.mark.parametrize(("optimizer", "steps"), [("lbfgs", 40), ("adam", 120)])
def test_the_gram_error_decreases_at_least_tenfold(content: Tensor, styles: Tensor, optimizer: Any, steps: int) -> None:
    stylization = Stylization(content, [styles[0]], optimizer=optimizer, tv_weight=0.0, **TINY)
    before = gram_error(stylization, stylization.image, styles[0])
    for _ in range(steps):
        stylization.step()
    assert gram_error(stylization, stylization.image, styles[0]) < before / 10
    assert (stylization.image - content).abs().mean() < (styles[0] - content).abs().mean()


def test_terms_are_the_weighted_formula(content: Tensor, styles: Tensor) -> None:
    for relative in (True, False):
        stylization = Stylization(
            content, [*styles], shares=(3, 1), content_weight=2, style_weight=5, relative=relative, **TINY
        )
        image = styles[1][None]
        terms = stylization.terms(image)
        optimized, kept, first, second = (
            dict(zip(stylization.taps, stylization.extractor(x), strict=True))
            for x in (image, content[None], *styles[:, None])
        )
        tap = "blocks.1.0.bn1"
        target = kept[tap]
        expected = 2 * (optimized[tap] - target).square().mean() / (target.square().mean() if relative else 1)
        torch.testing.assert_close(terms["content"], expected)
        expected = torch.zeros(())
        for tap in stylization.style_taps:
            target = 0.75 * gram(first[tap]) + 0.25 * gram(second[tap])
            error = (gram(optimized[tap]) - target).square().mean()
            expected = expected + 5 * error / (target.square().mean() if relative else 1)
        torch.testing.assert_close(terms["style"], expected)


def test_the_same_seed_gives_the_same_image(content: Tensor, styles: Tensor) -> None:
    def first_step(**more: Any) -> Tensor:
        stylization = Stylization(content, [styles[0]], **TINY, **more)
        stylization.step()
        return stylization.image

    assert torch.equal(first_step(init="noise"), first_step(init="noise"))
    assert not torch.equal(first_step(init="noise"), first_step(init="noise", seed=1))
    assert not torch.equal(first_step(), first_step(init="noise"))


def test_keep_colors_preserves_the_chrominance_of_the_content(content: Tensor, styles: Tensor) -> None:
    stylization = Stylization(0.3 * content, [0.3 * styles[0]], keep_colors=True, **TINY)
    for _ in range(3):
        stylization.step()
    image = stylization.image[None]
    color = image - rgb_to_grayscale(image)
    torch.testing.assert_close(color, 0.3 * content[None] - rgb_to_grayscale(0.3 * content[None]), rtol=1e-3, atol=1e-4)
    assert not torch.equal(image[0], 0.3 * content)


def test_the_function_takes_files_and_reports_progress(content: Tensor, styles: Tensor, tmp_path: Path) -> None:
    from i2i.data.images import to_image

    to_image(content).resize((60, 40)).save(tmp_path / "content.png")
    reported: list[tuple[int, set[str]]] = []
    image = i2i_style.stylize(
        tmp_path / "content.png",
        [to_image(styles[0])],
        steps=2,
        progress=lambda number, terms: reported.append((number, {*terms})),
        size=32,
        **TINY,
    )
    assert isinstance(image, Image.Image)
    assert image.size == (48, 32)
    assert reported == [(1, {"content", "style", "tv"}), (2, {"content", "style", "tv"})]


@pytest.mark.parametrize(
    ("shares", "count", "message"),
    [
        ((), 0, "expected at least one style image, got none"),
        ((1.0,), 2, "shares: expected 2 numbers >= 0, one for each style and not all 0, got [1.0]"),
        ((-1.0, 2.0), 2, "shares: expected 2 numbers >= 0, one for each style and not all 0, got [-1.0, 2.0]"),
        ((0.0, 0.0), 2, "shares: expected 2 numbers >= 0, one for each style and not all 0, got [0.0, 0.0]"),
    ],
)
def test_wrong_shares_are_refused(
    content: Tensor, styles: Tensor, shares: tuple[float, ...], count: int, message: str
) -> None:
    with pytest.raises(I2IError) as caught:
        Stylization(content, [*styles[:count]], shares=shares, **TINY)
    assert str(caught.value) == message


def test_an_unknown_layer_is_refused(content: Tensor, styles: Tensor) -> None:
    with pytest.raises(OptionError, match=r"test_efficientnet has no layer 'relu4_2'"):
        Stylization(content, [styles[0]], **{**TINY, "content_taps": ("relu4_2",)})
