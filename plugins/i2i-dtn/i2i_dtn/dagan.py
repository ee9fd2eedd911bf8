"""The translator `dagan` and its generator: instances are located by soft boxes, translated, and put back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, NamedTuple

import torch
from annotated_types import Gt
from torch import Tensor, nn
from torch.nn import functional as F

import i2i
from i2i.core.bounds import Count, Positive
from i2i.core.contracts import Phase, Stream
from i2i.core.kinds import ACTIVATION, NORM
from i2i.errors import OptionError
from i2i.methods.networks import network
from i2i.methods.outputs import detached, output
from i2i.methods.two_domains import build_discriminators, check_discriminators, check_generator
from i2i.nn.generators.blocks import Encoder, ImageDecoder, ResidualBlock, check_image
from i2i.nn.layers.convolution import ConvBlock
from i2i_dtn.boxes import attend, box_masks, union

GRID = 4
"""Side of the features from which boxes are computed."""
SYMMETRY = "symmetry"
"""Name of the discriminator that tells translations of target images from target images."""
Share = Annotated[float, Gt(0)]


class Instances(NamedTuple):
    """What the generator's encoder finds.

    Args:
        boxes: centre x and y, width and height in pixels, [B, K, 4].
        mask: union of their masks, [B, 1, H, W] in [0, 1].
        code: features of the attended images, [B, K, F, h, w].
    """

    boxes: Tensor
    mask: Tensor
    code: Tensor


class GridMean(nn.Module):
    """Means of features over a grid of 4 x 4 cells, as `nn.AdaptiveAvgPool2d` cuts them."""

    def forward(self, x: Tensor) -> Tensor:
        """Return [B, C, 4, 4] for features [B, C, H, W]."""
        if not torch.compiler.is_exporting():
            return F.adaptive_avg_pool2d(x, GRID)
        # Exported files keep sizes open only in plain operations, here in products with the shares of the cells.
        result: Tensor = self._shares(x, 2) @ x @ self._shares(x, 3).mT
        return result

    def _shares(self, x: Tensor, axis: int) -> Tensor:
        """Return the share [4, length] that each place along an axis has in each cell."""
        length, cell = x.shape[axis], torch.arange(GRID, device=x.device)
        start, end = cell * length // GRID, -(-(cell + 1) * length // GRID)
        place = torch.arange(length, device=x.device)
        inside = (place >= start[:, None]) & (place < end[:, None])
        return inside.to(x.dtype) / (end - start)[:, None].to(x.dtype)


class InstanceGenerator(nn.Module):
    """Locates instances, encodes each for itself, and generates them in the target domain; the rest stays as it is.

    Args:
        instances: K, number of boxes.
        channels: channels after the first convolution; four times as many in the codes.
        blocks: number of residual blocks between codes and image.
        steepness: of the boxes' edges, per pixel.
        smallest: least side of a box, as a share of the image's.
        largest: greatest side of a box.
        composed: whether the image outside of the boxes is that of the input.
        norm: factory of the norms.
        in_channels: channels of the input.
        out_channels: channels of the result; equal if `composed`.

    Source: in the spirit of Ma et al., DA-GAN, CVPR 2018, arXiv:1802.06454; no code was published.
    """

    multiple: ClassVar[int] = 4

    def __init__(
        self,
        instances: Positive = 2,
        channels: Positive = 64,
        blocks: Count = 6,
        steepness: Share = 10.0,
        smallest: Share = 0.15,
        largest: Share = 0.8,
        composed: bool = True,
        norm: i2i.Factory[i2i.Norm] = NORM("in"),
        in_channels: Positive = 3,
        out_channels: Positive = 3,
    ) -> None:
        super().__init__()
        self.instances, self.steepness, self.composed = instances, steepness, composed
        self.smallest, self.largest, self.in_channels = smallest, largest, in_channels
        relu = ACTIVATION("relu")
        widths = [in_channels, channels, 2 * channels, 2 * channels]
        self.locate = nn.Sequential(
            *(ConvBlock(widths[i], widths[i + 1], 4, 2, 1, activation=relu) for i in range(3)),
            GridMean(),
            nn.Flatten(),
            nn.Linear(widths[-1] * GRID**2, 4 * channels),
            nn.ReLU(),
        )
        self.to_boxes = nn.Linear(4 * channels, 4 * instances)
        nn.init.zeros_(self.to_boxes.bias)
        nn.init.normal_(self.to_boxes.weight, std=0.01)
        self.encoder = Encoder(channels, 0, norm, relu, True, "reflect", in_channels=in_channels)
        self.join = ConvBlock(4 * channels * instances, 4 * channels, 1, norm=norm, activation=relu)
        self.blocks = nn.Sequential(*(ResidualBlock(4 * channels, norm, relu, True) for _ in range(blocks)))
        self.decoder = ImageDecoder(channels, norm, relu, True, "nearest", out_channels=out_channels)

    @classmethod
    def check(cls, smallest: float, largest: float) -> None:
        """Refuse sides of boxes that are none."""
        if not 0 < smallest < largest <= 1:
            raise OptionError("largest", f"expected 0 < smallest < largest <= 1, got {smallest:g} and {largest:g}")

    def encode(self, image: Tensor) -> Instances:
        """Locate and encode the instances of images [B, C, H, W] in [-1, 1]."""
        check_image(image, multiple=self.multiple, channels=self.in_channels)
        height, width = image.shape[2:]
        share = self.to_boxes(self.locate(image)).unflatten(1, (self.instances, 4)).sigmoid()
        side = self.smallest + (self.largest - self.smallest) * share[..., 2:]
        # Products with numbers and not with a tensor of them, which would fix the size in an exported file.
        center = (share[..., 0] * (width - 1), share[..., 1] * (height - 1))
        boxes = torch.stack([*center, side[..., 0] * width, side[..., 1] * height], -1)
        masks = box_masks(boxes, height, width, self.steepness)
        code = self.encoder(attend(image, masks).flatten(0, 1)).unflatten(0, (-1, self.instances))
        return Instances(boxes, union(masks), code)

    def decode(self, image: Tensor, found: Instances) -> Tensor:
        """Return translations [B, C, H, W] of images, given what was found in them."""
        generated: Tensor = self.decoder(self.blocks(self.join(found.code.flatten(1, 2))))
        return found.mask * generated + (1 - found.mask) * image if self.composed else generated

    def forward(self, image: Tensor) -> i2i.GeneratorOutput:
        """Return translations, with the mask as heat map."""
        found = self.encode(image)
        return i2i.GeneratorOutput(self.decode(image, found), heatmap=found.mask)


class DAGANOutputs(i2i.GANOutputs):
    """Outputs under the key `b`, the target domain; `real` has both domains."""

    translator: DAGAN

    @output(reuse="step")
    def source(self) -> Instances:
        """Instances of a's images."""
        found: Instances = self.translator.generator.encode(self.real["a"])
        return found

    @output(reuse="step")
    def target(self) -> Instances:
        """Instances of b's images."""
        found: Instances = self.translator.generator.encode(self.real["b"])
        return found

    @output(reuse="step")
    def fake(self) -> dict[str, Tensor]:
        """F(s): a's images translated."""
        return {"b": self.translator.generator.decode(self.real["a"], self.source)}

    @output(reuse="step")
    def reproduced(self) -> dict[str, Tensor]:
        """F(t): b's images translated, which should look like b's."""
        return {"b": self.translator.generator.decode(self.real["b"], self.target)}

    @property
    def source_code(self) -> dict[str, Tensor]:
        """DAE(s): codes of the instances of a's images, [B, K, F, h, w]."""
        return {"b": self.source.code}

    @output(reuse="step")
    def fake_code(self) -> dict[str, Tensor]:
        """DAE(F(s)): codes of the instances of translations."""
        return {"b": self.translator.generator.encode(self.fake["b"]).code}

    @property
    def target_code(self) -> dict[str, Tensor]:
        """DAE(t): codes of the instances of b's images."""
        return {"b": self.target.code}

    @output(reuse="step")
    def reproduced_code(self) -> dict[str, Tensor]:
        """DAE(F(t)): codes of the instances of b's images after translation."""
        return {"b": self.translator.generator.encode(self.reproduced["b"]).code}

    @property
    def mask(self) -> dict[str, Tensor]:
        """Masks [B, 1, H, W] of the instances, by the domain of the images."""
        return {"a": self.source.mask, "b": self.target.mask}

    @property
    def discriminate(self) -> dict[str, Callable[[Tensor], dict[str, Tensor]]]:
        """The discriminators as functions of an image, for losses on their gradients."""
        return {"b": lambda image: self._discriminate({"b": image})}

    @output(reuse="phase")
    def real_logits(self) -> dict[str, Tensor]:
        """Logits of b's images, by `b/discriminator/head`."""
        return self.observed(self._discriminate({"b": self.real["b"]}))

    @output(reuse="phase")
    def fake_logits(self) -> dict[str, Tensor]:
        """Logits of F(s), and of F(t) for the discriminator with the name `symmetry`."""
        _ = self.real_logits  # spectral norm advances with each forward pass, real images first
        images = {"b": self.fake["b"], SYMMETRY: self.reproduced["b"]}
        if self.trains("discriminators"):
            images = detached(images)
        return {
            f"b/{name}/{head}": logits
            for name, discriminator in self.translator.discriminators_of("b").items()
            for head, logits in discriminator(images[SYMMETRY if name == SYMMETRY else "b"]).logits.items()
        }


class DAGAN(i2i.Translator):
    """Translation of a to b that changes instances which it finds itself, trained on unpaired images.

    A discriminator with the name `symmetry` tells b's images after translation from b's images, which keeps the
    generator from a few images that fool the other one.

    Args:
        generator: factory of the generator, with `encode` and `decode`, such as `dagan`.
        discriminators: factories of the discriminators of b's images, by name.
        streams: specification of each stream of the data, by name.

    Source: in the spirit of Ma et al., DA-GAN, CVPR 2018, arXiv:1802.06454; no code was published, and distances,
    weights and widths are ours.
    """

    Outputs = DAGANOutputs
    phases: Mapping[str, Phase] = {"discriminator": Phase(("discriminators",)), "generator": Phase(("generator",))}
    generator_modules: ClassVar[tuple[str, ...]] = ("generator",)

    def __init__(
        self,
        generator: i2i.Factory[i2i.Generator],
        discriminators: dict[str, i2i.Factory[i2i.Discriminator]],
        streams: Mapping[str, Stream] | None = None,
    ) -> None:
        self.check(generator, discriminators)
        super().__init__(streams)
        self.generator: Any = network(generator(**self.network_options("a", "b")))
        self.discriminators = build_discriminators(self, discriminators, ("b",))

    @classmethod
    def check(
        cls, generator: i2i.Factory[i2i.Generator], discriminators: dict[str, i2i.Factory[i2i.Discriminator]]
    ) -> None:
        """Check the options before networks are built."""
        check_generator(generator, ("encode", "decode"), "dagan")
        check_discriminators(discriminators)

    @property
    def targets(self) -> tuple[str, ...]:
        return ("b",)

    def translate(self, image: Tensor, to: str) -> i2i.GeneratorOutput:
        found: i2i.GeneratorOutput = self.generator(image)
        return found

    def preview(self, images: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
        """Return input, mask and translation."""
        translation, _, mask = self.translate(images["a"], "b")
        assert mask is not None
        rows = {"input": images["a"], "mask": (2 * mask - 1).expand_as(translation), "translation": translation}
        return {caption: {"a": row} for caption, row in rows.items()}


class MaskArea(nn.Module):
    r"""Squared difference of the masks' mean from a share of the image, relative to it: :math:`(\bar m / p - 1)^2`.

    Args:
        share: p, the share of the image that the instances cover.
    """

    def __init__(self, share: Share = 0.15) -> None:
        super().__init__()
        self.share = share

    def generator(self, mask: Tensor) -> Tensor:
        return (mask.mean((1, 2, 3)) / self.share - 1).square().mean()


class Minimax(nn.Module):
    r"""The original adversarial loss: both minimize or maximize the same value.

    .. math:: D: -\mathbb{E}[\log D(t)] - \mathbb{E}[\log(1 - D(F))], \quad G: \mathbb{E}[\log(1 - D(F))]

    `bce_gan` has the same discriminator's part, and a generator's part with larger gradients.

    Source: Goodfellow et al., NIPS 2014, arXiv:1406.2661, equation 1; our reading of DA-GAN, arXiv:1802.06454.
    """

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return -(nn.functional.logsigmoid(real_logits).mean() + nn.functional.logsigmoid(-fake_logits).mean())

    def generator(self, fake_logits: Tensor) -> Tensor:
        return nn.functional.logsigmoid(-fake_logits).mean()
