"""DiffAugment: color, translation and cutout in front of a discriminator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Le
from torch import Tensor, nn

from i2i.nn.functional.diffaugment import adjust_color, cut_out, shift
from i2i.nn.functional.precision import to_like

Share = Annotated[float, Ge(0), Le(1)]


class DiffAugment(nn.Module):
    """Augment images [B, C, H, W] by the transformations of a policy, in its order; gradients pass through.

    Each sample has draws of its own: three uniform numbers for the color, a shift of at most `translation` of each
    side, and the place of one box. Values are not clamped.

    Args:
        policy: the transformations: `color` (brightness, saturation, contrast), `translation`, `cutout`. The paper
            takes all three for hundreds of images, and fewer of them for more images.
        translation: largest shift, as a share of the side.
        cutout: sides of the box that is set to 0, as a share of the image's sides; 0.2 in Projected GAN's code.

    Source: Zhao et al., NeurIPS 2020, arXiv:2006.10738; mit-han-lab/data-efficient-gans 0b63395.
    """

    def __init__(
        self,
        policy: tuple[Literal["color", "translation", "cutout"], ...] = ("color", "translation", "cutout"),
        translation: Share = 0.125,
        cutout: Share = 0.5,
    ) -> None:
        super().__init__()
        self.policy, self.translation, self.cutout = policy, translation, cutout

    def forward(self, image: Tensor, draws: torch.Generator) -> Tensor:
        """Augment images.

        Args:
            image: [B, C, H, W] in [-1, 1].
            draws: source of all random numbers, on the CPU.
        """
        return self.apply_draws(image, self.draw(image, draws))

    def draw(self, image: Tensor, draws: torch.Generator) -> dict[str, Tensor]:
        """Draw the random numbers for images [B, C, H, W], by name.

        Returns:
            draws: for `color` the uniforms `brightness`, `saturation` and `contrast` [B, 1, 1, 1]; for `translation`
            the integers `translation_rows` and `translation_cols` [B, 1, 1], and likewise for `cutout` the centres.
        """
        count, numbers = len(image), dict[str, Tensor]()
        for step in self.policy:
            if step == "color":
                for name in ("brightness", "saturation", "contrast"):
                    numbers[name] = torch.rand(count, 1, 1, 1, generator=draws, device="cpu")
            for name, side in zip(("rows", "cols"), image.shape[2:], strict=True):
                if step == "translation":
                    most = _part(side, self.translation)
                    low, high = -most, most + 1
                elif step == "cutout":
                    # A box of even size may be centred on the edge after the last pixel.
                    low, high = 0, side + (1 - _part(side, self.cutout) % 2)
                else:
                    continue
                numbers[f"{step}_{name}"] = torch.randint(low, high, (count, 1, 1), generator=draws, device="cpu")
        return {name: to_like(value, image) for name, value in numbers.items()}

    def apply_draws(self, image: Tensor, draws: Mapping[str, Tensor]) -> Tensor:
        """Augment images [B, C, H, W] with given random numbers.

        Args:
            image: [B, C, H, W].
            draws: of `draw`.
        """
        for step in self.policy:
            if step == "color":
                image = adjust_color(image, draws["brightness"], draws["saturation"], draws["contrast"])
            elif step == "translation":
                image = shift(image, draws["translation_rows"], draws["translation_cols"])
            else:
                height, width = (_part(side, self.cutout) for side in image.shape[2:])
                image = cut_out(image, draws["cutout_rows"], draws["cutout_cols"], (height, width))
        return image


def _part(side: int, share: float) -> int:
    """Return a share of a side in pixels, rounded half up."""
    return int(side * share + 0.5)
