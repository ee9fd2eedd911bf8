"""Neural style transfer by optimization of one image: Gatys et al."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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

ImageSource = Image.Image | Path | str | Tensor
CONTENT_TAPS = ("blocks.3.0.bn1",)
STYLE_TAPS = ("bn1", "blocks.1.0.bn1", "blocks.2.0.bn1", "blocks.3.0.bn1", "blocks.5.0.bn1")
"""The first wide layer after its activation at each size of tf_efficientnet_lite0, in place of relu1_1 to relu5_1."""


class Stylization:
    r"""An image that is optimized towards a content and one or more styles; `step` runs one iteration.

    .. math:: L = \alpha \sum_t \frac{\mathbb{E}[(f_t(x) - f_t(c))^2]}{\mathbb{E}[f_t(c)^2]}
        + \beta \sum_t \frac{\mathbb{E}[(G_t(x) - A_t)^2]}{\mathbb{E}[A_t^2]} + \gamma\, \mathrm{TV}(x)

    with :math:`A_t` the weighted mean of the styles' Gram matrices. Without `relative` the denominators are 1.

    Args:
        content: a file, a PIL image, or a tensor [3, H, W] in [-1, 1], whose size is kept.
        styles: style images, each in one of these forms.
        shares: weights of the styles; equal if empty.
        features: the frozen network.
        content_taps: its layers whose features are compared.
        style_taps: its layers whose Gram matrices are compared.
        content_weight: alpha.
        style_weight: beta.
        tv_weight: gamma.
        relative: whether errors are divided by the mean square of their target, so that weights mean the same in any
            network and layer; the references' weights belong to a VGG without it.
        init: initial image, the `content` or `noise`.
        optimizer: `lbfgs` or `adam`.
        lr: learning rate; None is 1 for L-BFGS and 0.05 for Adam.
        size: shorter side in pixels to which files and PIL images are resized.
        style_scale: the styles' shorter side as a multiple of `size`; larger values give larger strokes.
        keep_colors: whether only the luminance changes.
        seed: seed of the noise.
        device: where to compute; None is the machine's accelerator, or the CPU without one.

    Raises:
        I2IError: there is no style, or the number of shares differs from that of the styles.
        OptionError: the extractor has no such layer, or its weights are not available.

    Source: Gatys et al., CVPR 2016, arXiv:1508.06576, equations 1 to 7; jcjohnson/neural-style for the division of
    Gram matrices by C·H·W and for several styles; Gatys et al., arXiv:1606.05897, section 5, for the colours.
    """

    def __init__(
        self,
        content: ImageSource,
        styles: Sequence[ImageSource],
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
        self.shares = _normalized_shares(shares, len(styles))
        self.weights = {"content": content_weight, "style": style_weight, "tv": tv_weight}
        self.relative, self.keep_colors = relative, keep_colors
        self.content_taps, self.style_taps = content_taps, style_taps
        self.taps = tuple(dict.fromkeys((*content_taps, *style_taps)))
        extractor = features(self.taps)
        extractor.load_weights_()
        self.source = extractor.source
        device = torch.device(device) if device is not None else default_device()
        self.extractor = cast(nn.Module, extractor).to(device).eval().requires_grad_(False)

        self.content = _as_batch(content, size).to(device)
        with torch.no_grad():
            content_features = self._features(self.content)
            self.content_targets = {tap: content_features[tap] for tap in content_taps}
            self.gram_targets = {tap: torch.zeros((), device=device) for tap in style_taps}
            for share, style in zip(self.shares, styles, strict=True):
                style_features = self._features(_as_batch(style, round(size * style_scale)).to(device))
                for tap in style_taps:
                    self.gram_targets[tap] = self.gram_targets[tap] + share * gram(style_features[tap])

        initial = self.content
        if init == "noise":
            noise = torch.randn(initial.shape, generator=torch.Generator().manual_seed(seed))
            initial = 0.1 * noise.to(device)
        self._optimized = initial.clone().requires_grad_(True)
        self._completed = initial.clone()
        self.optimizer: torch.optim.Optimizer
        if optimizer == "lbfgs":
            # max_eval also bounds the line search: with its default, one evaluation, the search would make no progress.
            self.optimizer = torch.optim.LBFGS(
                [self._optimized], lr or 1.0, max_iter=1, max_eval=25, line_search_fn="strong_wolfe"
            )
        else:
            self.optimizer = torch.optim.Adam([self._optimized], lr or 0.05)

    @property
    def image(self) -> Tensor:
        """The image after the last complete step, [3, H, W] in [-1, 1]."""
        image = self._completed.clamp(-1, 1)
        if self.keep_colors:
            image = transfer_luminance(image, self.content).clamp(-1, 1)
        return image[0].cpu()

    def terms(self, image: Tensor) -> dict[str, Tensor]:
        """Return the weighted loss terms of an image [1, 3, H, W]: `content`, `style` and `tv`."""
        features = self._features(image)
        errors = {
            "content": [self._error(features[tap], self.content_targets[tap]) for tap in self.content_taps],
            "style": [self._error(gram(features[tap]), self.gram_targets[tap]) for tap in self.style_taps],
            "tv": [total_variation(image)],
        }
        return {name: self.weights[name] * torch.stack(values).sum() for name, values in errors.items() if values}

    def step(self) -> dict[str, float]:
        """Run one iteration and return the loss terms of the image before it.

        Raises:
            I2IError: the image has become NaN or Inf.
        """
        initial_terms: dict[str, float] = {}

        def closure() -> float:
            self.optimizer.zero_grad()
            terms = self.terms(self._optimized)
            loss = torch.stack(list(terms.values())).sum()
            loss.backward()  # type: ignore[no-untyped-call]
            if not initial_terms:  # the line search evaluates further images
                initial_terms.update({name: float(value.detach()) for name, value in terms.items()})
            return float(loss.detach())

        self.optimizer.step(closure)
        if not torch.isfinite(self._optimized).all():
            raise I2IError("the image has become NaN or Inf; lower the learning rate or the weights")
        self._completed = self._optimized.detach().clone()
        return initial_terms

    def _features(self, image: Tensor) -> dict[str, Tensor]:
        return dict(zip(self.taps, self.extractor(image), strict=True))

    def _error(self, value: Tensor, target: Tensor) -> Tensor:
        error = (value - target).square().mean()
        return error / target.square().mean().clamp_min(1e-12) if self.relative else error


def stylize(
    content: ImageSource,
    styles: Sequence[ImageSource],
    steps: int = 300,
    progress: Callable[[int, dict[str, float]], None] | None = None,
    **options: object,
) -> Image.Image:
    """Optimize an image: `stylize("photo.jpg", ["painting.jpg"]).save("stylized.png")`.

    Args:
        content: content image, as for `Stylization`.
        styles: style images, as for `Stylization`.
        steps: number of iterations.
        progress: called after each iteration with its number, from 1, and the loss terms before it.
        options: further options of `Stylization`.

    Returns:
        The image after the last iteration.
    """
    stylization = Stylization(content, styles, **options)  # type: ignore[arg-type]
    for number in range(1, steps + 1):
        terms = stylization.step()
        if progress is not None:
            progress(number, terms)
    return to_image(stylization.image)


def _normalized_shares(shares: Sequence[float], count: int) -> list[float]:
    if not count:
        raise I2IError("expected at least one style image, got none")
    values = list(shares) or [1.0] * count
    if len(values) != count or min(values) < 0 or sum(values) <= 0:
        raise I2IError(f"shares: expected {count} numbers >= 0, one for each style and not all 0, got {values}")
    return [share / sum(values) for share in values]


def _as_batch(image: ImageSource, size: int) -> Tensor:
    """Return an image as [1, 3, H, W] in [-1, 1]; a tensor keeps its size."""
    if isinstance(image, Tensor):
        return image.detach().float().reshape(1, *image.shape[-3:])
    if not isinstance(image, Image.Image):
        image = read_image(Path(image))
    return to_tensor(resize_short_side(to_rgb(upright(image)), size, 1))[None]
