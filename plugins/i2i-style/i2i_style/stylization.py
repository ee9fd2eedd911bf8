"""One image optimized until it has the content of one and the style of others: Gatys' neural style."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, cast

import torch
from PIL import Image
from torch import Tensor, nn

from i2i.core.contracts import FeatureExtractor
from i2i.core.factory import Factory
from i2i.core.kinds import FEATURE_EXTRACTOR
from i2i.data.images import read_image, to_image, to_tensor
from i2i.data.modes import to_rgb, upright
from i2i.data.transforms import resize_short_side
from i2i.errors import I2IError
from i2i.nn.functional.gram import gram
from i2i.use.loaded import default_device
from i2i_style.functional import total_variation, transfer_luminance

Picture = Image.Image | Path | str | Tensor
CONTENT_TAPS = ("blocks.3.0.bn1",)
STYLE_TAPS = ("bn1", "blocks.1.0.bn1", "blocks.2.0.bn1", "blocks.3.0.bn1", "blocks.5.0.bn1")
"""In each size of tf_efficientnet_lite0's maps the first wide layer after its activation, as relu1_1 to relu5_1."""


class Stylization:
    r"""An image on its way to a content and a style; each `step` takes it further.

    .. math:: L = \alpha \sum_t \frac{\mathbb{E}[(f_t(x) - f_t(c))^2]}{\mathbb{E}[f_t(c)^2]}
        + \beta \sum_t \frac{\mathbb{E}[(G_t(x) - A_t)^2]}{\mathbb{E}[A_t^2]} + \gamma\, \mathrm{TV}(x)

    with :math:`A_t` the mean of the styles' Gram matrices. Without `relative` the denominators are 1.

    Args:
        content: a file, a PIL image, or a tensor [3, H, W] in [-1, 1], which is taken as it is.
        styles: images of the same sorts.
        shares: of the styles; alike where there are none.
        features: the frozen network.
        content_taps, style_taps: its layers, by name.
        content_weight, style_weight, tv_weight: alpha, beta, gamma.
        relative: errors as shares of what they are compared with, so that weights mean the same in any network and
            layer; the references' weights belong to a VGG without it.
        init: begin with the `content` or with `noise`.
        optimizer: `lbfgs` or `adam`.
        lr: learning rate; 1 for L-BFGS and 0.05 for Adam where it is None.
        size: the shorter side in pixels, of files and PIL images.
        style_scale: the styles' shorter side as a multiple of `size`; larger strokes come of larger images.
        keep_colors: the luminance is painted, the colours stay the content's.
        seed: of the noise.
        device: where to; the machine's accelerator when None, else the CPU.

    Raises:
        I2IError: no style, or shares that do not fit.
        OptionError: the extractor refuses a tap, or its weights are not there.

    Source: Gatys et al., CVPR 2016, arXiv:1508.06576, equations 1 to 7; jcjohnson/neural-style, whose Gram matrices
    are divided by C·H·W and whose several styles are mixed so; colours: Gatys et al., arXiv:1606.05897, section 5.
    """

    def __init__(
        self,
        content: Picture,
        styles: Sequence[Picture],
        *,
        shares: Sequence[float] = (),
        features: Factory[FeatureExtractor] = FEATURE_EXTRACTOR("timm"),
        content_taps: tuple[str, ...] = CONTENT_TAPS,
        style_taps: tuple[str, ...] = STYLE_TAPS,
        content_weight: float = 1.0,
        style_weight: float = 10.0,
        tv_weight: float = 20.0,
        relative: bool = True,
        init: Literal["content", "noise"] = "content",
        optimizer: Literal["lbfgs", "adam"] = "lbfgs",
        lr: float | None = None,
        size: int = 256,
        style_scale: float = 1.0,
        keep_colors: bool = False,
        seed: int = 0,
        device: str | torch.device | None = None,
    ) -> None:
        self.shares = _shares(shares, len(styles))
        self.weights = {"content": content_weight, "style": style_weight, "tv": tv_weight}
        self.relative, self.keep_colors = relative, keep_colors
        self.taps = tuple(dict.fromkeys((*content_taps, *style_taps)))
        self.content_taps, self.style_taps = content_taps, style_taps
        extractor = features(self.taps)
        extractor.load_weights_()
        self.source = extractor.source
        place = torch.device(device) if device is not None else default_device()
        self.extractor = cast(nn.Module, extractor).to(place).eval().requires_grad_(False)
        self.content = _image(content, size).to(place)
        with torch.no_grad():
            seen = self._seen(self.content)
            self.goals = {tap: seen[tap] for tap in content_taps}
            self.grams = {tap: torch.zeros((), device=place) for tap in style_taps}
            for share, style in zip(self.shares, styles, strict=True):
                seen = self._seen(_image(style, round(size * style_scale)).to(place))
                for tap in style_taps:
                    self.grams[tap] = self.grams[tap] + share * gram(seen[tap])
        start = self.content
        if init == "noise":
            noise = torch.randn(start.shape, generator=torch.Generator().manual_seed(seed))
            start = 0.1 * noise.to(place)
        self._generated = start.clone().requires_grad_(True)
        self._finished = start.clone()
        self.optimizer: torch.optim.Optimizer
        if optimizer == "lbfgs":
            # max_eval also bounds the line search: its default of one evaluation would leave the search stuck for good
            self.optimizer = torch.optim.LBFGS(
                [self._generated], lr or 1.0, max_iter=1, max_eval=25, line_search_fn="strong_wolfe"
            )
        else:
            self.optimizer = torch.optim.Adam([self._generated], lr or 0.05)

    @property
    def image(self) -> Tensor:
        """The image after the last whole step: [3, H, W] in [-1, 1]."""
        made = self._finished.clamp(-1, 1)
        return (transfer_luminance(made, self.content).clamp(-1, 1) if self.keep_colors else made)[0].cpu()

    def terms(self, image: Tensor) -> dict[str, Tensor]:
        """The weighted terms of the loss for an image [1, 3, H, W]: `content`, `style` and `tv`."""
        seen = self._seen(image)
        content = [self._error(seen[tap], self.goals[tap]) for tap in self.content_taps]
        style = [self._error(gram(seen[tap]), self.grams[tap]) for tap in self.style_taps]
        found = {"content": content, "style": style, "tv": [total_variation(image)]}
        return {name: self.weights[name] * torch.stack(errors).sum() for name, errors in found.items() if errors}

    def step(self) -> dict[str, float]:
        """One iteration; gives the loss terms of the image before it."""
        before: dict[str, float] = {}

        def closure() -> float:
            self.optimizer.zero_grad()
            terms = self.terms(self._generated)
            loss = torch.stack(list(terms.values())).sum()
            loss.backward()  # type: ignore[no-untyped-call]
            if not before:
                before.update({name: float(value.detach()) for name, value in terms.items()})
            return float(loss.detach())

        self.optimizer.step(closure)
        if not torch.isfinite(self._generated).all():
            raise I2IError("the image is no longer made of numbers; lower the learning rate or the weights")
        self._finished = self._generated.detach().clone()
        return before

    def _seen(self, image: Tensor) -> Mapping[str, Tensor]:
        return dict(zip(self.taps, self.extractor(image), strict=True))

    def _error(self, made: Tensor, goal: Tensor) -> Tensor:
        error = (made - goal).square().mean()
        return error / goal.square().mean().clamp_min(1e-12) if self.relative else error


def stylize(
    content: Picture,
    styles: Sequence[Picture],
    steps: int = 300,
    progress: Callable[[int, dict[str, float]], None] | None = None,
    **options: object,
) -> Image.Image:
    """Optimizes an image: `stylize("photo.jpg", ["painting.jpg"]).save("made.png")`.

    Args:
        steps: iterations.
        progress: called after each with its number, from 1 on, and the terms of the loss.
        options: what `Stylization` takes.
    """
    work = Stylization(content, styles, **options)  # type: ignore[arg-type]
    for number in range(1, steps + 1):
        terms = work.step()
        if progress is not None:
            progress(number, terms)
    return to_image(work.image)


def _shares(shares: Sequence[float], count: int) -> list[float]:
    if not count:
        raise I2IError("expected at least one style image, got none")
    given = list(shares) or [1.0] * count
    if len(given) != count or min(given) < 0 or sum(given) <= 0:
        raise I2IError(f"shares: expected {count} numbers >= 0, one for each style and not all 0, got {given}")
    return [share / sum(given) for share in given]


def _image(image: Picture, size: int) -> Tensor:
    """[1, 3, H, W] in [-1, 1]."""
    if isinstance(image, Tensor):
        return image.detach().float().reshape(1, *image.shape[-3:])
    if not isinstance(image, Image.Image):
        image = read_image(Path(image))
    return to_tensor(resize_short_side(to_rgb(upright(image)), size, 1))[None]
