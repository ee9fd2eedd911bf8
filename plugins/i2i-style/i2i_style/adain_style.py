"""Any image in the style of any other, in one pass: AdaIN style transfer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, cast

import torch
from pydantic import Field
from torch import Tensor

from i2i.core.contracts import Decoder, FeatureExtractor, GeneratorOutput, Phase
from i2i.core.factory import Factory
from i2i.core.kinds import FEATURE_EXTRACTOR
from i2i.errors import I2IError, OptionError
from i2i.methods.blending import Blend, either
from i2i.methods.networks import network
from i2i.methods.outputs import Outputs, output
from i2i.methods.translator import Translator
from i2i_style.functional import adain, match_color

PROBE = 64
"""Side of an empty image that tells how much smaller the features are."""


class AdaINStyleOutputs(Outputs):
    """Contents are a's images and styles are b's; what is painted belongs to b, whose style it should have."""

    translator: AdaINStyle

    @property
    def source(self) -> dict[str, Tensor]:
        """The contents that the fakes are made of."""
        return {"b": self.real["a"]}

    @output(reuse="step")
    def target_features(self) -> dict[str, Tensor]:
        """The content's features with the style's statistics, which the fakes should have again."""
        return {"b": adain(self.translator.encode(self.real["a"]), self.translator.encode(self.real["b"]))}

    @output(reuse="step")
    def fake(self) -> dict[str, Tensor]:
        """What the decoder paints of them."""
        return {"b": self.translator.decode(self.target_features["b"])}

    @output(reuse="step")
    def fake_features(self) -> dict[str, Tensor]:
        """What the encoder sees in the fakes."""
        return {"b": self.translator.encode(self.fake["b"])}


class AdaINStyle(Translator):
    """A frozen encoder, the exchange of its features' means and deviations, and a decoder that is trained.

    The encoder travels with checkpoints, so that translating needs no file of weights.

    Args:
        decoder: paints images from the encoder's features; must double their size as often as the encoder halves it.
        features: the frozen network.
        tap: the layer whose features are exchanged.

    Source: Huang and Belongie, ICCV 2017, arXiv:1703.06868; naoto0804/pytorch-AdaIN.
    """

    Outputs: ClassVar[type[Outputs]] = AdaINStyleOutputs
    phases: Mapping[str, Phase] = {"generator": Phase(("decoder",))}
    generator_modules: ClassVar[tuple[str, ...]] = ("decoder",)

    def __init__(
        self,
        decoder: Factory[Decoder],
        features: Factory[FeatureExtractor] = FEATURE_EXTRACTOR("timm"),
        tap: str = "blocks.3.0.bn1",
        image_size: int | None = None,
    ) -> None:
        super().__init__()
        extractor = features((tap,))
        self.encoder = network(extractor).requires_grad_(False)
        self.decoder = network(decoder(extractor.num_features[0], image_size=image_size))
        with torch.no_grad():
            seen = self.encode(torch.zeros(1, 3, PROBE, PROBE))
            self.halved = PROBE // seen.shape[2]
            generated = self.decode(seen).shape[2]
        if generated != PROBE:
            raise OptionError(
                "decoder",
                f"expected one that makes features {self.halved} times larger, as much as the layer {tap!r} makes "
                f"images smaller, got one that makes them {generated // seen.shape[2]} times larger",
            )

    def train(self, mode: bool = True) -> AdaINStyle:
        """The encoder stays in evaluation mode."""
        super().train(mode)
        self.encoder.eval()
        return self

    def encode(self, image: Tensor) -> Tensor:
        """The features of images at the tap."""
        return cast("tuple[Tensor, ...]", self.encoder(image))[0]

    def decode(self, features: Tensor) -> Tensor:
        """Images of features."""
        return cast(GeneratorOutput, self.decoder(features)).image

    def translate(
        self,
        image: Tensor,
        to: str,
        style: Tensor | None = None,
        blend: Blend | None = None,
        alpha: Annotated[float, Field(ge=0, le=1)] = 1.0,
        keep_colors: bool = False,
    ) -> GeneratorOutput:
        """Paints images [B, 3, H, W] in [-1, 1] in a style.

        Args:
            style: an image [1, 3, h, w] of any size, or one for each image.
            blend: several images with weights, instead of `style`; their features are mixed.
            alpha: how much of the style; 0 paints the content as the decoder knows it.
            keep_colors: the style is recoloured to the content's mean and covariance of colours first.
        """
        content = self.encode(image)
        mixed = torch.zeros_like(content)
        for given, share in either(style, None, blend):
            reference = self._image(given, len(image)).to(image)
            reference = match_color(reference, image) if keep_colors else reference
            mixed = mixed + share * adain(content, self.encode(reference))
        return GeneratorOutput(self.decode(alpha * mixed + (1 - alpha) * content).clamp(-1, 1))

    def parse_style(self, style: str) -> dict[str, Any]:
        """An image alone."""
        if not Path(style).is_file():
            raise I2IError(f"style: expected an image, got {style!r}")
        return {"": Path(style)}

    def preview(self, images: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
        """Contents, styles, and what becomes of them; the content without a style shows what the decoder can do."""
        content = images["a"]
        style = images["b"][torch.arange(len(content)) % len(images["b"])]
        rows = {
            "content": content,
            "style": style,
            "stylized": self.translate(content, "b", style).image,
            "alpha 0": self.translate(content, "b", style, alpha=0.0).image,
        }
        return {caption: {"a": row} for caption, row in rows.items()}

    @property
    def targets(self) -> tuple[str, ...]:
        return ("b",)

    @property
    def requires_condition(self) -> bool:
        return True

    @property
    def multiple(self) -> int:
        return self.halved

    def _image(self, image: object, count: int) -> Tensor:
        expected = "expected an image whose style is taken"
        if not isinstance(image, Tensor):
            got = "none" if image is None else repr(image)
            raise I2IError(f"style: {expected}, got {got}; give one as style, or several with weights as blend")
        image = image if image.ndim == 4 else image.unsqueeze(0)
        if image.ndim != 4 or image.shape[1] != 3 or len(image) not in (1, count):
            raise I2IError(f"style: {expected}, [1, 3, H, W] or one for each of {count}, got {list(image.shape)}")
        return image
