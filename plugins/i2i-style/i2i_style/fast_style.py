"""One network that paints in a few learnt styles, and in any mix of them: fast neural style."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, cast

import torch
from torch import Tensor

from i2i.core.contracts import Generator, GeneratorOutput, Phase
from i2i.core.factory import Factory
from i2i.errors import DataError, I2IError, OptionError
from i2i.methods.blending import Blend, either
from i2i.methods.networks import network
from i2i.methods.outputs import Outputs, output
from i2i.methods.translator import Translator
from i2i_style.norms import ConditionalInstanceNorm, style_weights


class FastStyleOutputs(Outputs):
    """Contents are a's images and style images are b's; what is painted belongs to b, whose style it should have."""

    translator: FastStyle

    @property
    def source(self) -> dict[str, Tensor]:
        """The contents that the fakes are made of."""
        return {"b": self.real["a"]}

    @output(reuse="step")
    def fake(self) -> dict[str, Tensor]:
        """Each content in the style whose image the sample holds."""
        chosen = self.batch.streams["style"].reshape(-1, 1)
        one_hot = (chosen == torch.arange(self.translator.styles, device=chosen.device)).to(self.real["a"].dtype)
        return {"b": self.translator.generate(self.real["a"], one_hot).image}


class FastStyle(Translator):
    """A generator whose norms hold a row for each style.

    Samples need a stream `style`, the number of the style that b's image shows, counted from 0.

    Args:
        generator: paints in a style; its conditional norms (`cin`) say how many there are.

    Source: Johnson et al., ECCV 2016, arXiv:1603.08155; Dumoulin et al., ICLR 2017, arXiv:1610.07629;
    magenta, `image_stylization`.
    """

    Outputs: ClassVar[type[Outputs]] = FastStyleOutputs
    phases: Mapping[str, Phase] = {"generator": Phase(("generator",))}
    generator_modules: ClassVar[tuple[str, ...]] = ("generator",)
    streams: ClassVar[tuple[str, ...]] = ("a", "b", "style")
    previewed: ClassVar[int] = 6
    """Styles in a sample grid."""

    def __init__(
        self,
        generator: Factory[Generator],
        image_size: int | None = None,
    ) -> None:
        super().__init__()
        self.generator = network(generator(image_size=image_size))
        counts = sorted(
            {layer.styles for layer in self.generator.modules() if isinstance(layer, ConditionalInstanceNorm)}
        )
        if len(counts) != 1:
            found = f"norms of {' and '.join(map(str, counts))} styles" if counts else "none"
            raise OptionError(
                "generator", f"expected conditional norms of one number of styles, such as norm = 'cin', got {found}"
            )
        self.styles = counts[0]

    def generate(self, image: Tensor, mix: Tensor) -> GeneratorOutput:
        """Images in a mix of styles.

        Args:
            mix: weights [B, styles] or [1, styles].
        """
        with style_weights(mix):
            return cast(GeneratorOutput, self.generator(image))

    def translate(self, image: Tensor, to: str, style: int | Tensor = 0, blend: Blend | None = None) -> GeneratorOutput:
        """Paints images [B, 3, H, W] in [-1, 1] in a style.

        Args:
            style: its number, from 0 on; or weights of all styles, [styles] or one row for each image.
            blend: several numbers with weights, instead of `style`; their rows are mixed.
        """
        mix = sum((share * self._row(one) for one, share in either(style, 0, blend)), torch.zeros(1, self.styles))
        made = self.generate(image, mix.to(image))
        return made._replace(image=made.image.clamp(-1, 1))

    def parse_style(self, style: str) -> dict[str, Any]:
        """A style's number, or `all`."""
        if style == "all":
            return {f".{number}": number for number in range(self.styles)}
        if not style.isdecimal():
            raise I2IError(f"style: expected {self._known}, or all, got {style!r}")
        return {"": int(style)}

    def check_data(self, dataset: object) -> None:
        """As many styles as rows."""
        count = getattr(dataset, "styles", self.styles)
        if count != self.styles:
            raise DataError(
                f"the data shows {count} styles, and the generator's norms have rows for {self.styles}; set "
                f"translator.generator.norm.styles = {count}, or give as many style images"
            )

    def preview(self, images: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
        """Contents, and the same contents in the first styles; above them the styles' images."""
        content = images["a"]
        rows = {"styles": images["b"][torch.arange(len(content)) % len(images["b"])], "content": content}
        for number in range(min(self.styles, self.previewed)):
            rows[f"style {number}"] = self.translate(content, "b", number).image
        return {caption: {"a": row} for caption, row in rows.items()}

    def example_input(self, stream: str, size: int) -> Tensor:
        return torch.zeros(1, dtype=torch.int64) if stream == "style" else super().example_input(stream, size)

    @property
    def targets(self) -> tuple[str, ...]:
        return ("b",)

    @property
    def _known(self) -> str:
        return f"a number from 0 to {self.styles - 1}"

    def _row(self, style: object) -> Tensor:
        """Weights [1, styles] or [B, styles] on the CPU."""
        if isinstance(style, Tensor) and style.ndim in (1, 2) and style.shape[-1] == self.styles:
            return style.reshape(-1, self.styles).float().cpu()
        if not isinstance(style, int) or isinstance(style, bool) or not 0 <= style < self.styles:
            got = f"a tensor {list(style.shape)}" if isinstance(style, Tensor) else repr(style)
            raise I2IError(f"style: this translator knows its styles by {self._known}, got {got}")
        return torch.eye(self.styles)[style : style + 1]
