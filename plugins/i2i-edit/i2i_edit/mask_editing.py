"""EditGAN: change the style vectors of an image so that its segmentation becomes an edited one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from i2i_edit.pixel_classifier import PixelEnsemble
from i2i_edit.pixel_features import Rendered, features_at

DILATIONS = 3
LEARNING_RATE = 0.02
STEPS = 30


@dataclass(frozen=True)
class EditWeights:
    """Weights of the losses; the defaults are the official ones.

    Args:
        outside: of both distances outside the region.
        perceptual: of the perceptual distance.
        mse: of the mean squared error.
        encoder: of the distance from the encoder's style vectors.
        classes: of the cross entropy inside the region.
    """

    outside: float = 15.0
    perceptual: float = 10.0
    mse: float = 5.0
    encoder: float = 1.0
    classes: float = 1.0


class EditLosses(NamedTuple):
    """Losses of an edit; without weights but `total`."""

    perceptual: Tensor
    mse: Tensor
    encoder: Tensor
    classes: Tensor
    total: Tensor


@dataclass(frozen=True)
class MaskEdit:
    """What an edit should reach, and how it is measured.

    Args:
        render: from style vectors [1, num_ws, w_dim] to an image in about [-1, 1] and features.
        ensemble: classifiers of the features' pixels.
        perceptual: distance (a number) of two images [1, C, H, W] in [0, 1].
        original: the image [1, C, H, W] in [0, 1] that stays as it is outside of the region.
        target: wanted class numbers [H, W].
        region: where classes count and colours do not, [H, W] of booleans; see `edited_region`.
        encoder: from an image [1, C, H, W] in [0, 1] to style vectors, to which the edit stays close; None without.
        weights: of the losses.

    Source: Ling et al., EditGAN, NeurIPS 2021, arXiv:2111.03186, equations 3 to 5; nv-tlabs/editGAN_release fef9ab8.
    """

    render: Callable[[Tensor], Rendered]
    ensemble: PixelEnsemble
    perceptual: Callable[[Tensor, Tensor], Tensor]
    original: Tensor
    target: Tensor
    region: Tensor
    encoder: Callable[[Tensor], Tensor] | None = None
    weights: EditWeights = EditWeights()

    def losses(self, ws: Tensor) -> EditLosses:
        """Return the losses of style vectors [1, num_ws, w_dim]."""
        rendered = self.render(ws)
        image = to_unit(rendered.image)
        outside = (~self.region).to(image)
        weights, zero = self.weights, ws.new_zeros(())
        kept, wanted = image * outside, self.original * outside
        perceptual = self.perceptual(kept, wanted) if weights.perceptual else zero
        mse = F.mse_loss(kept, wanted)
        encoder = zero
        if self.encoder is not None and weights.encoder:
            encoder = F.mse_loss(ws, self.encoder(image).detach())
        pixels = self.region.flatten().nonzero()[:, 0]
        classes = zero
        if len(pixels):
            size = (self.target.shape[0], self.target.shape[1])
            logits = self.ensemble(features_at(rendered.features, size, pixels, "nearest")).mean(0)
            classes = F.cross_entropy(logits, self.target.flatten()[pixels])
        total = (
            weights.outside * (weights.perceptual * perceptual + weights.mse * mse)
            + weights.encoder * encoder
            + weights.classes * classes
        )
        return EditLosses(perceptual, mse, encoder, classes, total)


def to_unit(image: Tensor) -> Tensor:
    """Return an image of [-1, 1] in [0, 1]."""
    return (image + 1) / 2


def edited_region(changed: Tensor, dilations: int = DILATIONS) -> Tensor:
    """Return the region of an edit: changed pixels [H, W], dilated by a 3 x 3 square several times."""
    region = changed.float()[None, None]
    for _ in range(dilations):
        region = F.max_pool2d(region, 3, 1, 1)
    return region[0, 0] > 0


def optimize_edit(
    edit: MaskEdit,
    ws: Tensor,
    steps: int = STEPS,
    learning_rate: float = LEARNING_RATE,
    progress: Callable[[int, EditLosses], None] = lambda step, losses: None,
) -> Tensor:
    """Change style vectors with Adam towards an edit.

    Args:
        edit: what is to be reached.
        ws: style vectors to start from [1, num_ws, w_dim].
        steps: as the official option, which makes one update less.
        learning_rate: of Adam.
        progress: called before each update with its number from 0 on, and the losses.

    Returns:
        ws: the style vectors after the update before which the loss was smallest, as the official code returns them.
    """
    changed = ws.detach().clone().requires_grad_()
    optimizer = torch.optim.Adam([changed], learning_rate)
    smallest, kept = float("inf"), ws.detach().clone()
    with torch.enable_grad():
        for step in range(steps - 1):
            losses = edit.losses(changed)
            progress(step, losses)
            optimizer.zero_grad()
            losses.total.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            if (loss := float(losses.total.detach())) < smallest:
                smallest, kept = loss, changed.detach().clone()
    return kept
