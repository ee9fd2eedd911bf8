"""What translators with styles share: how a style is asked for, and the sample grid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from i2i.core.contracts import GeneratorOutput
from i2i.core.randomness import seed_of
from i2i.errors import I2IError
from i2i.methods.blending import Blend, either
from i2i.methods.cyclic import other
from i2i.methods.translator import Translator
from i2i.nn.functional.precision import to_like


class Styled(Translator):
    """A translator whose images are a content, which both domains share, and a style code of their domain.

    To translate is to paint an image's content in one of the other domain's styles: a random one, or that of a
    reference image.
    """

    previewed: ClassVar[int] = 3
    """Random styles in a sample grid."""

    @property
    def style_channels(self) -> int:
        """Numbers S in a style code."""
        raise NotImplementedError

    def content_of(self, image: Tensor, domain: str) -> Tensor:
        """Content [B, C, h, w] of a domain's images [B, 3, H, W]."""
        raise NotImplementedError

    def style_of(self, image: Tensor, domain: str) -> Tensor:
        """Style codes [B, S] of a domain's images [B, 3, H, W]."""
        raise NotImplementedError

    def generate(self, content: Tensor, style: Tensor, domain: str) -> Tensor:
        """A domain's images [B, 3, H, W] of contents, of whichever domain they are, and of its style codes."""
        raise NotImplementedError

    def translate(
        self,
        image: Tensor,
        to: str,
        style: Tensor | str | int = "random",
        seed: int = 0,
        blend: Blend | None = None,
    ) -> GeneratorOutput:
        """Translates images [B, 3, H, W] in [-1, 1] to a domain, all of them in the same style.

        Args:
            style: an image [1, 3, H, W] (or one for each image) of the domain, whose style is taken; style codes [S],
               [1, S] or [B, S]; `n`, the n-th random style, counted from 1; or "random", the first one.
            seed: which random styles there are.
            blend: several styles with weights, instead of `style`; their codes are mixed.
        """
        codes = [share * self._code(one, to, seed, image) for one, share in either(style, "random", blend)]
        code = codes[0] if len(codes) == 1 else torch.stack([one.expand(image.shape[0], -1) for one in codes]).sum(0)
        return GeneratorOutput(self.generate(self.content_of(image, other(to)), code.expand(image.shape[0], -1), to))

    def preview(self, images: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
        """Input, reconstruction, the same random styles for every input, and the style of the other column's input."""
        rows: dict[str, dict[str, Tensor]] = {"input": dict(images)}
        for source, image in images.items():
            to = other(source)
            content = self.content_of(image, source)
            made = {"reconstruction": self.generate(content, self.style_of(image, source), source)}
            for number in range(1, 1 + self.previewed):
                code = self._code(number, to, 0, image).expand(image.shape[0], -1)
                made[f"style {number}"] = self.generate(content, code, to)
            if to in images:
                reference = images[to][torch.arange(image.shape[0]) % len(images[to])]
                made["reference"] = self.generate(content, self.style_of(reference, to), to)
            for caption, row in made.items():
                rows.setdefault(caption, {})[source] = row
        return rows

    def _code(self, style: Tensor | str | int, to: str, seed: int, like: Tensor) -> Tensor:
        """Style codes [1 or B, S]."""
        wanted = f"expected an image, style codes of {self.style_channels} numbers, a number from 1 on or 'random'"
        if isinstance(style, Tensor):
            if style.shape[-3:-2] == (3,) and min(style.shape[-2:]) > 1:
                code = self.style_of(style if style.ndim == 4 else style.unsqueeze(0), to)
            elif style.numel() % self.style_channels == 0:
                code = style.reshape(-1, self.style_channels)
            else:
                raise I2IError(f"style: {wanted}, got a tensor {list(style.shape)}")
            if len(code) not in (1, len(like)):
                raise I2IError(f"style: expected one style, or one for each of {len(like)} images, got {len(code)}")
            return code
        number = 1 if style == "random" else style
        if not isinstance(number, int) or isinstance(number, bool) or number < 1:
            raise I2IError(f"style: {wanted}, got {style!r}")
        drawn = self.randn(f"translate/style/{number}", (1, self.style_channels), seed_of(seed, "style", number))
        return to_like(drawn, like)
