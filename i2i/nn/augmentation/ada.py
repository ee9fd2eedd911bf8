"""Adaptive discriminator augmentation (ADA), and the controller of its probability."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Gt
from torch import Tensor, nn

from i2i.errors import ShapeError
from i2i.nn.functional import ada
from i2i.nn.functional.precision import to_like

GROUPS = {
    "blit": ("xflip", "rotate90", "xint"),
    "geometry": ("scale", "rotate", "aniso", "xfrac"),
    "color": ("brightness", "contrast", "lumaflip", "hue", "saturation"),
    "filter": ("imgfilter",),
    "noise": ("noise",),
    "cutout": ("cutout",),
}
"""Transformations by group, in the order in which they are applied."""
Group = Literal["blit", "geometry", "color", "filter", "noise", "cutout"]
POWER = (10 / 13, 1 / 13, 1 / 13, 1 / 13)
"""Expected share of an image's power in each band of frequencies."""
SMALLEST = 22
"""Smallest side for `filter`, whose filters have 43 taps."""


class AdaptiveProbability(nn.Module):
    r"""Controller of a probability p by the signs of a discriminator's logits for real images.

    At every `interval`-th step :math:`p \leftarrow \max(p + \operatorname{sign}(r - t)\, n / (1000\, k), 0)`, with the
    mean sign r of all logits since the last change, the target t, and the number n of images of `interval` steps. There
    is no upper bound: the transformations with p > 1 are applied always. Buffers hold p and what was observed, so a
    resumed run continues exactly. With several processes, r and n are those of all of them.

    Args:
        initial: p at the beginning.
        target: t, mean sign that p is adjusted towards.
        interval: number of steps between changes.
        kimg: k, thousands of images in which p can rise from 0 to 1; 0 keeps p as it is.

    Source: Karras et al., NeurIPS 2020, arXiv:2006.06676, section 3.1; NVlabs/stylegan2-ada-pytorch d72cc7d.
    """

    p: Tensor
    observed: Tensor

    def __init__(
        self,
        initial: Annotated[float, Ge(0)] = 0.0,
        target: float = 0.6,
        interval: Annotated[int, Ge(1)] = 4,
        kimg: Annotated[float, Ge(0)] = 500.0,
    ) -> None:
        super().__init__()
        self.target, self.interval, self.kimg = target, interval, kimg
        self.register_buffer("p", torch.tensor(float(initial)))
        self.register_buffer("observed", torch.zeros(4))  # sum of signs, number of logits, images, batches

    @torch.no_grad()
    def observe_(self, *logits: Tensor) -> None:
        """Count the signs of logits of a batch of real images.

        Args:
            logits: one tensor for each head, with the batch as first axis.
        """
        if self.kimg:
            signs = torch.stack([head.sign().sum() for head in logits]).sum()
            counts = (sum(head.numel() for head in logits), len(logits[0]), 1)
            self.observed[0] += signs
            self.observed[1:] += torch.tensor(counts, dtype=self.observed.dtype, device=self.observed.device)

    @torch.no_grad()
    def update_(self) -> None:
        """Change p by what has been observed since the last change; without observations do nothing."""
        observed = self.observed.clone()
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(observed)
            observed[3] /= torch.distributed.get_world_size()
        signs, logits, images, batches = observed
        change = images / batches.clamp_min(1) * self.interval / (1000 * (self.kimg or math.inf))
        direction = (signs / logits.clamp_min(1) - self.target).sign() * (logits > 0)
        self.p.copy_((self.p + direction * change).clamp_min(0))
        self.observed.zero_()

    def at_step_(self, step: int) -> None:
        """Change p before every `interval`-th step, beginning with the second."""
        if step and (step - 1) % self.interval == 0:
            self.update_()


class ADA(nn.Module):
    """Augment images in front of a discriminator, with a probability that adapts to it; gradients pass through twice.

    Args:
        groups: which transformations: `blit` (mirroring, quarter turns, whole pixels), `geometry` (scale, rotation,
            aspect, shift), `color`, `filter` (bands of frequencies), `noise`, `cutout`. The paper takes the first
            three ("bgc").
        p: initial probability of each transformation.
        target: mean sign of the logits of real images that p is adjusted towards.
        interval: number of steps between changes of p.
        kimg: thousands of images in which p can rise from 0 to 1; 0 for a fixed p.

    Source: Karras et al., NeurIPS 2020, arXiv:2006.06676; NVlabs/stylegan2-ada-pytorch d72cc7d.
    """

    filters: Tensor

    def __init__(
        self,
        groups: tuple[Group, ...] = ("blit", "geometry", "color"),
        p: Annotated[float, Ge(0)] = 0.0,
        target: Annotated[float, Gt(-1)] = 0.6,
        interval: Annotated[int, Ge(1)] = 4,
        kimg: Annotated[float, Ge(0)] = 500.0,
    ) -> None:
        super().__init__()
        self.transformations = tuple(name for group in GROUPS if group in groups for name in GROUPS[group])
        self.probability = AdaptiveProbability(p, target, interval, kimg)
        self.register_buffer("filters", ada.band_filters(), persistent=False)

    def observe_(self, *logits: Tensor) -> None:
        """Count the signs of logits of real images; see `AdaptiveProbability.observe_`."""
        self.probability.observe_(*logits)

    def forward(self, image: Tensor, draws: torch.Generator) -> Tensor:
        """Augment images.

        Args:
            image: [B, C, H, W] in [-1, 1].
            draws: source of all random numbers, on the CPU.
        """
        return self.apply_draws(image, self.draw(image, draws))

    def draw(self, image: Tensor, draws: torch.Generator) -> dict[str, Tensor]:
        """Draw the transformations of images [B, C, H, W], by name; where one is not applied it is the identity.

        Numbers come in the order of the official code: for each transformation its values, then whether it is applied.
        Gray images have neither hue nor saturation.
        """
        count, p = len(image), float(self.probability.p)
        values: dict[str, Tensor] = {}

        def uniform(*shape: int) -> Tensor:
            return torch.rand(count, *shape, generator=draws, device="cpu")

        def normal(*shape: int) -> Tensor:
            return torch.randn(count, *shape, generator=draws, device="cpu")

        def gated(name: str, value: Tensor, identity: float, probability: float = p) -> None:
            gate = uniform(*(1 for _ in value.shape[1:])) < probability
            values[name] = torch.where(gate, value, torch.full_like(value, identity))

        def turn(name: str) -> None:
            # Two rotations, so that one of them at least is applied with probability p.
            gated(name, (uniform() * 2 - 1) * math.pi, 0, 1 - math.sqrt(max(0.0, 1 - p)))

        draw: Mapping[str, Callable[[], None]] = {
            "xflip": lambda: gated("xflip_i", (uniform() * 2).floor(), 0),
            "rotate90": lambda: gated("rotate90_i", (uniform() * 4).floor(), 0),
            "xint": lambda: gated("xint_t", (uniform(2) * 2 - 1) * 0.125, 0),
            "scale": lambda: gated("scale_s", 2 ** (normal() * 0.2), 1),
            "rotate": lambda: turn("rotate_theta_pre"),
            "aniso": lambda: gated("aniso_s", 2 ** (normal() * 0.2), 1),
            "xfrac": lambda: gated("xfrac_t", normal(2) * 0.125, 0),
            "brightness": lambda: gated("brightness_b", normal() * 0.2, 0),
            "contrast": lambda: gated("contrast_c", 2 ** (normal() * 0.5), 1),
            "lumaflip": lambda: gated("lumaflip_i", (uniform(1, 1) * 2).floor(), 0),
            "hue": lambda: gated("hue_theta", (uniform() * 2 - 1) * math.pi, 0),
            "saturation": lambda: gated("saturation_s", 2 ** normal(1, 1), 1),
            "noise": lambda: gated("noise_sigma", normal(1, 1, 1).abs() * 0.1, 0),
            "cutout": lambda: gated("cutout_size", torch.full((count, 1, 1, 1, 1), 0.5), 0),
        }
        for name in self.transformations:
            if image.shape[1] == 1 and name in ("hue", "saturation"):
                continue
            if name == "imgfilter":
                for band in range(ada.BANDS):
                    gated(f"imgfilter_t{band}", 2 ** normal(), 1)
            else:
                draw[name]()
            if name == "aniso" and "rotate" in self.transformations:
                turn("rotate_theta_post")
            elif name == "noise":
                values["noise_field"] = normal(*image.shape[1:])
            elif name == "cutout":
                values["cutout_size"] = values["cutout_size"].expand(-1, 2, 1, 1, 1)
                values["cutout_center"] = uniform(2, 1, 1, 1)
        return values

    def matrix(self, values: Mapping[str, Tensor], size: tuple[int, int]) -> Tensor | None:
        """Return the transformation of the plane [B, 3, 3] as `i2i.nn.functional.ada.transform` takes it, or None.

        Args:
            values: of `draw`.
            size: height and width of the images.
        """
        height, width = size
        matrix: Tensor | None = None

        def then(name: str, inverse: Callable[[Tensor], Tensor]) -> None:
            nonlocal matrix
            if name in values:
                step = inverse(values[name])
                matrix = step if matrix is None else matrix @ step

        then("xflip_i", lambda i: ada.scaling(1 - 2 * i, torch.ones_like(i)))
        then("rotate90_i", lambda i: ada.rotation(i * (math.pi / 2)))
        then("xint_t", lambda t: ada.translation(-(t[:, 0] * width).round(), -(t[:, 1] * height).round()))
        then("scale_s", lambda s: ada.scaling(1 / s, 1 / s))
        then("rotate_theta_pre", ada.rotation)
        then("aniso_s", lambda s: ada.scaling(1 / s, s))
        then("rotate_theta_post", ada.rotation)
        then("xfrac_t", lambda t: ada.translation(-t[:, 0] * width, -t[:, 1] * height))
        return matrix

    def apply_draws(self, image: Tensor, values: Mapping[str, Tensor]) -> Tensor:
        """Augment images [B, C, H, W] with given transformations.

        Args:
            image: [B, C, H, W].
            values: of `draw`, on the CPU.

        Raises:
            ShapeError: `color` with a number of channels that is neither 1 nor a multiple of 3, or `filter` with a side
                below 22 pixels.
        """
        size = (image.shape[2], image.shape[3])
        matrix = self.matrix(values, size)
        if matrix is not None:
            image = ada.transform(image, matrix)
        of_image = {name: to_like(value, image) for name, value in values.items()}
        image = self._colors(image, of_image)
        if "imgfilter_t0" in values:
            if min(size) < SMALLEST:
                got = f"{size[0]} x {size[1]}"
                raise ShapeError(f"ada: 'filter' needs sides of at least {SMALLEST} pixels, got {got}; omit the group")
            image = ada.amplify_bands(image, self._gains(of_image), self.filters)
        if "noise_sigma" in values:
            image = image + of_image["noise_field"] * of_image["noise_sigma"]
        if "cutout_size" in values:
            image = image * self._outside(of_image, size)
        return image

    @staticmethod
    def _colors(image: Tensor, values: Mapping[str, Tensor]) -> Tensor:
        identities = {"brightness_b": 0, "contrast_c": 1, "lumaflip_i": 0, "hue_theta": 0, "saturation_s": 1}
        if not identities.keys() & values.keys():
            return image
        if image.shape[1] != 1 and image.shape[1] % 3:
            raise ShapeError(f"ada: 'color' needs gray or RGB images, got {image.shape[1]} channels; omit the group")
        parts = [
            values[name].flatten() if name in values else image.new_full((len(image),), identity)
            for name, identity in identities.items()
        ]
        return ada.change_colors(image, ada.color_matrix(*parts))

    @staticmethod
    def _gains(values: Mapping[str, Tensor]) -> Tensor:
        """Gain of each band, [B, 4]; after each change of one of them the expected power is restored."""
        gains = torch.ones_like(values["imgfilter_t0"])[:, None].repeat(1, ada.BANDS)
        power = gains.new_tensor(POWER)
        for band in range(ada.BANDS):
            one = torch.ones_like(gains)
            one[:, band] = values[f"imgfilter_t{band}"]
            gains = gains * one / (power * one.square()).sum(1, keepdim=True).sqrt()
        return gains

    @staticmethod
    def _outside(values: Mapping[str, Tensor], size: tuple[int, int]) -> Tensor:
        """Which pixels lie outside each image's box, [B, 1, H, W]."""
        half, centre = values["cutout_size"].flatten(1) / 2, values["cutout_center"].flatten(1)
        rows, columns = (
            ((torch.arange(side, device=half.device) + 0.5) / side - centre[:, axis : axis + 1]).abs()
            >= half[:, axis : axis + 1]
            for side, axis in ((size[0], 1), (size[1], 0))
        )
        return rows[:, None, :, None] | columns[:, None, None, :]
