"""The translators `paints` (colour at low resolution), `paints_refinement` (high resolution), `line_extraction`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import i2i
from i2i.core.contracts import Phase, Stream
from i2i.methods.networks import network
from i2i.methods.outputs import GANOutputs, Outputs, output
from i2i.methods.two_domains import check_discriminators
from i2i_paints.color import network_input, rgb_to_yuv, yuv_to_rgb


class PaintsOutputs(GANOutputs):
    """Outputs by domain; colours are in YUV from 0 to 255, as the networks see them. All have the domain `color`."""

    translator: LineColoring

    @property
    def target(self) -> dict[str, Tensor]:
        """True colours, [B, 3, H, W]."""
        return {"color": rgb_to_yuv(self.batch.streams["color"])}

    @output(reuse="step")
    def fake(self) -> dict[str, Tensor]:  # type: ignore[override]  # computed once, where the base class has a property
        """Generated colours, [B, 3, H, W]."""
        return {"color": self.translator.colored(self.batch.streams["line"], self.batch.streams["hint"])}

    @property
    def real_for_discriminator(self) -> Mapping[str, Tensor]:
        """True colours, which the discriminator compares with generated ones."""
        return self.target

    @property
    def discriminate(self) -> dict[str, Callable[[Tensor], dict[str, Tensor]]]:
        """The discriminators as functions of colours."""
        return {"color": lambda image: self._discriminate({"color": image})}


class LineColoring(i2i.Translator):
    """Colouring of line art with optional colour hints: a U-Net from lines and hints to colours.

    Args:
        generator: factory of the U-Net, from 4 channels to 3.
        discriminators: factories of the discriminators of colours, by name.
        streams: specifications of the data's streams.

    Source: pfnet/PaintsChainer aa66794, train_128.py.
    """

    Outputs = PaintsOutputs
    phases: Mapping[str, Phase] = {"generator": Phase(("generator",)), "discriminator": Phase(("discriminators",))}
    generator_modules: ClassVar[tuple[str, ...]] = ("generator",)
    domains: ClassVar[tuple[str, ...]] = ("line", "color")
    required_streams: ClassVar[Mapping[str, str]] = {"line": "image", "color": "image", "hint": "raw"}

    def __init__(
        self,
        generator: i2i.Factory[i2i.Generator],
        discriminators: dict[str, i2i.Factory[i2i.Discriminator]] | None = None,
        streams: Mapping[str, Stream] | None = None,
    ) -> None:
        super().__init__(streams)
        self.generator: Any = network(generator(in_channels=4, out_channels=3))
        options = self.network_options("color")
        built = {name: network(build(**options)) for name, build in (discriminators or {}).items()}
        self.discriminators = nn.ModuleDict({"color": nn.ModuleDict(built)})

    @classmethod
    def check(cls, discriminators: dict[str, i2i.Factory[i2i.Discriminator]] | None = None) -> None:
        """Refuse an empty table of discriminators."""
        check_discriminators(discriminators or {})

    def colored(self, line: Tensor, hint: Tensor | None) -> Tensor:
        """Return colours in YUV for lines [B, 1, H, W] in [-1, 1] and hints [B, 3, H, W]."""
        image: Tensor = self.generator(network_input(line, hint)).image
        return image

    def translate(self, image: Tensor, to: str, hint: Tensor | None = None) -> i2i.GeneratorOutput:
        """Colour lines.

        Args:
            image: lines [B, 1, H, W] in [-1, 1].
            to: `color`.
            hint: hints in YUV [1 or B, 3, H, W], `i2i_paints.color.BLANK` where there are none.
        """
        if to != "color":
            raise i2i.I2IError(f"this translator colours lines: expected the domain color, got {to!r}")
        if hint is not None and hint.shape[0] == 1:
            hint = hint.expand(image.shape[0], -1, -1, -1)  # not `len`, which would fix the batch in an exported file
        return i2i.GeneratorOutput(yuv_to_rgb(self.colored(image, hint)))

    def preview(self, images: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
        """Return lines, colours without and with hints, and the truth."""
        line, hint = images["line"], images.get("hint")
        rows = {"input": line.expand(-1, 3, -1, -1), "no hints": self.translate(line, "color").image}
        if hint is not None:
            rows["hints"] = self.translate(line, "color", hint).image
        return {caption: {"line": row} for caption, row in (rows | {"truth": images["color"]}).items()}

    @property
    def targets(self) -> tuple[str, ...]:
        return ("color",)


class RefinementOutputs(Outputs):
    """Outputs of the second stage, in YUV from 0 to 255."""

    translator: PaintsRefinement

    @property
    def target(self) -> dict[str, Tensor]:
        """True colours, [B, 3, H, W]."""
        return {"color": rgb_to_yuv(self.batch.streams["color"])}

    @output(reuse="step")
    def fake(self) -> dict[str, Tensor]:
        """Refined colours, [B, 3, H, W]."""
        return {"color": self.translator.refined(self.batch.streams["line"], self.batch.streams["hint"])}


class PaintsRefinement(LineColoring):
    """The second stage: colours of the frozen first stage at low resolution, enlarged and refined along the lines.

    Give the first stage's weights by `train.init`, a run of `paints`.

    Args:
        generator: factory of the first stage's U-Net; it is not trained.
        refiner: factory of the second U-Net, from lines and enlarged colours to colours.
        low: shorter side in pixels at which the first stage works.
        streams: specifications of the data's streams.

    Source: pfnet/PaintsChainer aa66794, train_x2.py.
    """

    Outputs = RefinementOutputs  # type: ignore[assignment]
    phases: Mapping[str, Phase] = {"generator": Phase(("refiner",))}
    generator_modules: ClassVar[tuple[str, ...]] = ("refiner",)
    exported_at_one_size: ClassVar[bool] = True
    """The first stage's size follows from the image's, which an exported file cannot compute."""

    def __init__(
        self,
        generator: i2i.Factory[i2i.Generator],
        refiner: i2i.Factory[i2i.Generator],
        low: int = 128,
        streams: Mapping[str, Stream] | None = None,
    ) -> None:
        super().__init__(generator, None, streams)
        self.low = low
        self.generator.requires_grad_(False)
        self.refiner: Any = network(refiner(in_channels=4, out_channels=3))

    @classmethod
    def check(cls) -> None:
        """Accept: this stage has no discriminator."""

    @property
    def inference_modules(self) -> tuple[str, ...]:
        return ("generator", "refiner")

    def train(self, mode: bool = True) -> PaintsRefinement:
        """Set the training mode; the first stage stays in evaluation mode."""
        super().train(mode)
        self.generator.train(False)
        return self

    def refined(self, line: Tensor, hint: Tensor | None) -> Tensor:
        """Return colours in YUV, [B, 3, H, W]."""
        height, width = line.shape[2:]
        scale = self.low / min(height, width)
        size = [max(16, round(side * scale / 16) * 16) for side in (height, width)]
        with torch.no_grad():
            small = F.interpolate(line, size, mode="area")
            small_hint = None if hint is None else F.interpolate(hint, size, mode="nearest")
            low = super().colored(small, small_hint)
            enlarged = F.interpolate(low, (height, width), mode="bicubic", align_corners=False)
        image: Tensor = self.refiner(torch.cat([(line + 1) * 127.5, enlarged], 1)).image
        return image

    def colored(self, line: Tensor, hint: Tensor | None) -> Tensor:
        """Return refined colours in YUV."""
        return self.refined(line, hint)


class LineOutputs(Outputs):
    """Lines found by the network and those it should find; both have the domain `line`."""

    translator: LineExtraction

    @output(reuse="step")
    def fake(self) -> dict[str, Tensor]:
        """Lines of the network, [B, 1, H, W] in [-1, 1]."""
        return {"line": self.translator.lines(self.batch.streams["color"])}

    @property
    def target(self) -> dict[str, Tensor]:
        """Lines of the data, [B, 1, H, W] in [-1, 1]."""
        return {"line": self.batch.streams["line"]}


class LineExtraction(i2i.Translator):
    """Training of the line network, which `line_difference` compares images with.

    Args:
        generator: factory of the network, from colours to one channel.
        streams: specifications of the data's streams.
    """

    Outputs = LineOutputs
    phases: Mapping[str, Phase] = {"generator": Phase(("generator",))}
    generator_modules: ClassVar[tuple[str, ...]] = ("generator",)
    domains: ClassVar[tuple[str, ...]] = ("line", "color")
    required_streams: ClassVar[Mapping[str, str]] = {"line": "image", "color": "image"}

    def __init__(
        self,
        generator: i2i.Factory[i2i.Generator],
        streams: Mapping[str, Stream] | None = None,
    ) -> None:
        super().__init__(streams)
        self.generator: Any = network(generator(in_channels=3, out_channels=1))

    def lines(self, color: Tensor) -> Tensor:
        """Return lines [B, 1, H, W] for RGB images [B, 3, H, W], both in [-1, 1]."""
        image: Tensor = self.generator((rgb_to_yuv(color) - 128) / 128).image
        return image

    def translate(self, image: Tensor, to: str) -> i2i.GeneratorOutput:
        """Return the lines of colour images."""
        if to != "line":
            raise i2i.I2IError(f"this translator extracts lines: expected the domain line, got {to!r}")
        return i2i.GeneratorOutput(self.lines(image))

    def preview(self, images: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
        """Return colours, the network's lines, and those of the data."""
        rows = {"input": images["color"], "lines": self.lines(images["color"]), "truth": images["line"]}
        return {caption: {"color": row.expand(-1, 3, -1, -1)} for caption, row in rows.items()}

    @property
    def targets(self) -> tuple[str, ...]:
        return ("line",)
