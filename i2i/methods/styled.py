"""Base class of translators that separate content from style: the condition `style`, and the sample grid."""

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
    """Translator that represents an image by a content, which both domains share, and a style code of its domain.

    The content of an image is decoded with a style of the target domain: a random one, or that of a reference image.

    Args:
        streams: specification of each stream of the data, by name; RGB images in [-1, 1] of any size when None.
    """

    previewed: ClassVar[int] = 3
    """Number of random styles in a sample grid."""

    @property
    def style_channels(self) -> int:
        """Length S of a style code."""
        raise NotImplementedError

    def content_of(self, image: Tensor, domain: str) -> Tensor:
        """Return the contents [B, C, h, w] of images [B, 3, H, W] of a domain."""
        raise NotImplementedError

    def style_of(self, image: Tensor, domain: str) -> Tensor:
        """Return the style codes [B, S] of images [B, 3, H, W] of a domain."""
        raise NotImplementedError

    def generate(self, content: Tensor, style: Tensor, domain: str) -> Tensor:
        """Return images [B, 3, H, W] of a domain, from contents of either domain and style codes [B, S] of `domain`."""
        raise NotImplementedError

    def translate(
        self,
        image: Tensor,
        to: str,
        style: Tensor | str | int = "random",
        seed: int = 0,
        blend: Blend | None = None,
    ) -> GeneratorOutput:
        """Translate images [B, 3, H, W] in [-1, 1] to a domain with one style, or with one style for each image.

        Args:
            image: images of the other domain.
            to: domain to translate to.
            style: image [1, 3, H, W] or [B, 3, H, W] of the target domain, whose style is used; style codes [S],
                [1, S] or [B, S]; the number n >= 1 of a random style; or "random", which equals 1.
            seed: seed of the random styles.
            blend: several styles with weights, instead of `style`; their codes are averaged by weight.

        Raises:
            I2IError: `style` is none of these, or `style` and `blend` are both given.
        """
        codes = [weight * self._code(part, to, seed, image) for part, weight in either(style, "random", blend)]
        code = codes[0] if len(codes) == 1 else torch.stack([part.expand(image.shape[0], -1) for part in codes]).sum(0)
        return GeneratorOutput(self.generate(self.content_of(image, other(to)), code.expand(image.shape[0], -1), to))

    def preview(self, images: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
        """Return the rows input, reconstruction, one for each random style, and reference: the other input's style."""
        rows: dict[str, dict[str, Tensor]] = {"input": dict(images)}
        for source, image in images.items():
            to = other(source)
            content = self.content_of(image, source)
            generated = {"reconstruction": self.generate(content, self.style_of(image, source), source)}
            for number in range(1, 1 + self.previewed):
                code = self._code(number, to, 0, image).expand(image.shape[0], -1)
                generated[f"style {number}"] = self.generate(content, code, to)
            if to in images:
                reference = images[to][torch.arange(image.shape[0]) % len(images[to])]
                generated["reference"] = self.generate(content, self.style_of(reference, to), to)
            for caption, row in generated.items():
                rows.setdefault(caption, {})[source] = row
        return rows

    def _code(self, style: Tensor | str | int, to: str, seed: int, like: Tensor) -> Tensor:
        """Return the style codes [1, S] or [B, S] of a style in any of the forms that `translate` accepts."""
        wanted = f"expected an image, style codes of {self.style_channels} numbers, a number from 1 on or 'random'"
        if isinstance(style, Tensor):
            if style.shape[-3:-2] == (3,) and min(style.shape[-2:]) > 1:
                code = self.style_of(style if style.ndim == 4 else style.unsqueeze(0), to)
            elif style.numel() % self.style_channels == 0:
                code = style.reshape(-1, self.style_channels)
            else:
                raise I2IError(f"style: {wanted}, got a tensor {list(style.shape)}")
            if len(code) not in (1, like.shape[0]):
                raise I2IError(f"style: expected one style, or one for each of {like.shape[0]} images, got {len(code)}")
            return code
        number = 1 if style == "random" else style
        if not isinstance(number, int) or isinstance(number, bool) or number < 1:
            raise I2IError(f"style: {wanted}, got {style!r}")
        return self.random_style(number, to, seed, like)

    def random_style(self, number: int, to: str, seed: int, like: Tensor) -> Tensor:
        """Return the random style code [1, S] with a number, from N(0, I).

        Args:
            number: number of the style, from 1 on.
            to: domain of the style.
            seed: seed of all random styles.
            like: tensor whose device and dtype the code gets.
        """
        drawn = self.randn(f"translate/style/{number}", (1, self.style_channels), seed_of(seed, "style", number))
        return to_like(drawn, like)
