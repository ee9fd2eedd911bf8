"""AdaIN style transfer: any image in the style of any other, in one forward pass."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, cast

import torch
from pydantic import Field
from torch import Tensor

from i2i.core.contracts import Decoder, FeatureExtractor, GeneratorOutput, Phase, Stream
from i2i.core.factory import Factory
from i2i.core.kinds import FEATURE_EXTRACTOR
from i2i.errors import I2IError, OptionError
from i2i.methods.blending import Blend, either
from i2i.methods.networks import network
from i2i.methods.outputs import Outputs, output
from i2i.methods.translator import Translator
from i2i_style.functional import adain, match_color


class AdaINStyleOutputs(Outputs):
    """Outputs under the key `b`, the domain of the styles; contents are images of a."""

    translator: AdaINStyle

    @property
    def source(self) -> dict[str, Tensor]:
        """Contents of the fakes, [B, 3, H, W]."""
        return {"b": self.real["a"]}

    @output(reuse="step")
    def target_features(self) -> dict[str, Tensor]:
        """Features of the contents with the statistics of the styles, which the fakes should have."""
        return {"b": adain(self.translator.encode(self.real["a"]), self.translator.encode(self.real["b"]))}

    @output(reuse="step")
    def fake(self) -> dict[str, Tensor]:
        """Decoded target features, [B, 3, H, W]."""
        return {"b": self.translator.decode(self.target_features["b"])}

    @output(reuse="step")
    def fake_features(self) -> dict[str, Tensor]:
        """Features of the fakes."""
        return {"b": self.translator.encode(self.fake["b"])}


class AdaINStyle(Translator):
    """A frozen encoder, AdaIN on its features, and a trained decoder.

    The encoder is saved with checkpoints, so translation needs no file of weights.

    Args:
        decoder: decodes the encoder's features; must enlarge them as much as the encoder reduces images.
        features: the encoder, which its constructor call freezes.
        tap: the encoder's layer whose features are used.

    Raises:
        OptionError: the decoder's images have another size than the encoder's.

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
        streams: Mapping[str, Stream] | None = None,
    ) -> None:
        super().__init__(streams)
        extractor = features((tap,))
        self.encoder = network(extractor).eval().requires_grad_(False)
        self.decoder = network(decoder(extractor.num_features[0], **self.network_options("a", "b")))
        side = 64
        with torch.no_grad():
            encoded = self.encode(torch.zeros(1, 3, side, side))
            decoded = self.decode(encoded)
        reduction, enlargement = side // encoded.shape[2], decoded.shape[2] // encoded.shape[2]
        if enlargement != reduction:
            raise OptionError(
                "decoder",
                f"expected one that enlarges features {reduction} times, because the layer {tap!r} reduces images as "
                f"much, got one that enlarges them {enlargement} times",
            )
        self.decoder.multiple = reduction  # the sides of translated images must be divisible by it

    def train(self, mode: bool = True) -> AdaINStyle:
        """Set the training mode of the decoder; the encoder stays in evaluation mode."""
        super().train(mode)
        self.encoder.eval()
        return self

    def encode(self, image: Tensor) -> Tensor:
        """Return the features [B, C, h, w] of images [B, 3, H, W]."""
        return cast("tuple[Tensor, ...]", self.encoder(image))[0]

    def decode(self, features: Tensor) -> Tensor:
        """Return the images [B, 3, H, W] of features [B, C, h, w], unbounded."""
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
        """Translate images [B, 3, H, W] in [-1, 1] to a style.

        Args:
            image: contents.
            to: `b`.
            style: a style image [1, 3, h, w] of any size, or one for each content.
            blend: several style images with weights, instead of `style`; their features are mixed.
            alpha: strength of the style; 0 decodes the content's own features.
            keep_colors: whether the style first gets the mean and the covariance of the content's colours.

        Raises:
            I2IError: no style image is given, or their number does not fit.
        """
        content = self.encode(image)
        mixed = torch.zeros_like(content)
        for value, share in either(style, None, blend):
            style_image = self._check_style(value, image.shape[0]).to(image)
            style_image = match_color(style_image, image) if keep_colors else style_image
            mixed = mixed + share * adain(content, self.encode(style_image))
        return GeneratorOutput(self.decode(alpha * mixed + (1 - alpha) * content).clamp(-1, 1))

    def parse_style(self, style: str) -> dict[str, Any]:
        """Accept the path of an image."""
        if not Path(style).is_file():
            raise I2IError(f"style: expected an image, got {style!r}")
        return {"": Path(style)}

    def preview(self, images: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
        """Return contents, styles, stylized images, and contents decoded without a style (`alpha 0`)."""
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

    def _check_style(self, style: object, count: int) -> Tensor:
        """Return a style as [1, 3, h, w] or [count, 3, h, w]."""
        if not isinstance(style, Tensor):
            got = "none" if style is None else repr(style)
            raise I2IError(
                f"style: expected a style image, got {got}; give one as style, or several with weights as blend"
            )
        style = style if style.ndim == 4 else style.unsqueeze(0)
        if style.ndim != 4 or style.shape[1] != 3 or style.shape[0] not in (1, count):
            raise I2IError(
                f"style: expected an image [1, 3, H, W], or one for each of {count}, got {list(style.shape)}"
            )
        return style
