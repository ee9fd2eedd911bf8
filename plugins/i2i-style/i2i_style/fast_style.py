"""Fast style transfer: one network for a fixed set of styles, and for mixes of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from i2i.core.contracts import Generator, GeneratorOutput, Phase, Stream
from i2i.core.factory import Factory
from i2i.errors import I2IError, OptionError
from i2i.methods.blending import Blend, either
from i2i.methods.networks import network
from i2i.methods.outputs import Outputs, output
from i2i.methods.translator import Translator
from i2i_style.norms import ConditionalInstanceNorm, style_weights


class FastStyleOutputs(Outputs):
    """Outputs under the key `b`, the domain of the styles; contents are images of a."""

    translator: FastStyle

    @property
    def source(self) -> dict[str, Tensor]:
        """Contents of the fakes, [B, 3, H, W]."""
        return {"b": self.real["a"]}

    @output(reuse="step")
    def fake(self) -> dict[str, Tensor]:
        """Each content in the style of its sample, [B, 3, H, W]."""
        content, styles = self.real["a"], self.batch.streams["style"]
        weights = F.one_hot(styles, self.translator.styles).to(content.dtype)
        return {"b": self.translator.generate(content, weights).image}


class FastStyle(Translator):
    """A generator with one row of norm parameters for each style.

    Samples need a stream `style`, the number of the style that b's image shows, counted from 0.

    Args:
        generator: a generator with the conditional norm `cin`, whose rows are the styles.

    Raises:
        OptionError: the generator has no conditional norm, or norms of different numbers of styles.

    Source: Johnson et al., ECCV 2016, arXiv:1603.08155; Dumoulin et al., ICLR 2017, arXiv:1610.07629;
    magenta, `image_stylization`.
    """

    Outputs: ClassVar[type[Outputs]] = FastStyleOutputs
    phases: Mapping[str, Phase] = {"generator": Phase(("generator",))}
    generator_modules: ClassVar[tuple[str, ...]] = ("generator",)
    required_streams: ClassVar[Mapping[str, str]] = {"a": "image", "b": "image", "style": "label"}
    previewed: ClassVar[int] = 6
    """Largest number of styles in a sample grid."""

    def __init__(self, generator: Factory[Generator], streams: Mapping[str, Stream] | None = None) -> None:
        super().__init__(streams)
        self.generator = network(generator(**self.network_options("a", "b")))
        norms = [layer for layer in self.generator.modules() if isinstance(layer, ConditionalInstanceNorm)]
        counts = sorted({norm.styles for norm in norms})
        if len(counts) != 1:
            got = f"norms of {' and '.join(map(str, counts))} styles" if counts else "none"
            raise OptionError(
                "generator", f"expected conditional norms of one number of styles, such as norm = 'cin', got {got}"
            )
        self.styles = counts[0]
        images = self.streams["style"].channels  # 0 where only the files say it
        if images not in (0, self.styles):
            raise OptionError(
                "generator",
                f"its norms have rows for {self.styles} styles, and the data has {images}; set "
                f"translator.generator.norm.styles = {images}, or give as many style images",
            )

    def generate(self, image: Tensor, weights: Tensor) -> GeneratorOutput:
        """Translate contents [B, 3, H, W] to mixes of styles, with weights [B, styles] or [1, styles]."""
        with style_weights(weights):
            return cast(GeneratorOutput, self.generator(image))

    def translate(self, image: Tensor, to: str, style: int | Tensor = 0, blend: Blend | None = None) -> GeneratorOutput:
        """Translate images [B, 3, H, W] in [-1, 1] to a style.

        Args:
            image: contents.
            to: `b`.
            style: number of the style, from 0, also as integers [1] or [B]; or weights of all styles, [styles] or
                [B, styles].
            blend: several numbers with weights, instead of `style`; their norm parameters are mixed.

        Raises:
            I2IError: there is no such style.
        """
        weights = torch.zeros(1, self.styles)
        for value, share in either(style, 0, blend):
            weights = weights + share * self._weights_of(value)
        generated = self.generate(image, weights.to(image))
        return generated._replace(image=generated.image.clamp(-1, 1))

    def parse_style(self, style: str) -> dict[str, Any]:
        """Accept the number of a style, or `all`."""
        if style == "all":
            return {f".{number}": number for number in range(self.styles)}
        if not style.isdecimal():
            raise I2IError(f"style: expected a number from 0 to {self.styles - 1}, or all, got {style!r}")
        return {"": int(style)}

    def preview(self, images: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
        """Return style images, contents, and the contents in the first styles."""
        content = images["a"]
        rows = {"styles": images["b"][torch.arange(len(content)) % len(images["b"])], "content": content}
        for number in range(min(self.styles, self.previewed)):
            rows[f"style {number}"] = self.translate(content, "b", number).image
        return {caption: {"a": row} for caption, row in rows.items()}

    @property
    def targets(self) -> tuple[str, ...]:
        return ("b",)

    def _weights_of(self, style: object) -> Tensor:
        """Return the weights [1, styles] or [B, styles] of a style, on the CPU."""
        if isinstance(style, Tensor) and style.dtype == torch.int64 and style.ndim == 1:
            if not torch.compiler.is_exporting() and not bool(((style >= 0) & (style < self.styles)).all()):
                raise I2IError(f"style: expected numbers from 0 to {self.styles - 1}, got {style.tolist()}")
            return (style[:, None] == torch.arange(self.styles, device=style.device)).float().cpu()
        if isinstance(style, Tensor) and style.ndim in (1, 2) and style.shape[-1] == self.styles:
            return style.reshape(-1, self.styles).float().cpu()
        if not isinstance(style, int) or isinstance(style, bool) or not 0 <= style < self.styles:
            got = f"a tensor {list(style.shape)}" if isinstance(style, Tensor) else repr(style)
            raise I2IError(f"style: expected a number from 0 to {self.styles - 1}, got {got}")
        return F.one_hot(torch.tensor([style]), self.styles).float()
