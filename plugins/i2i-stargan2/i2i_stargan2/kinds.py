"""Kinds of components that StarGAN v2 adds: where styles come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import i2i

if TYPE_CHECKING:  # imported with the command line, which starts without torch
    from torch import Tensor


class DomainMapping(Protocol):
    """Maps latent codes [B, `latent_channels`] to style codes [B, S] of the domains with numbers [B]."""

    latent_channels: int

    def __call__(self, latent: Tensor, domain: Tensor) -> Tensor: ...


class DomainStyle(Protocol):
    """Encodes the styles [B, S] of images [B, C, H, W] of the domains with numbers [B]."""

    def __call__(self, image: Tensor, domain: Tensor) -> Tensor: ...


MAPPING: i2i.Kind[DomainMapping] = i2i.Kind("domain_mapping", DomainMapping, offered=("num_classes", "style_channels"))
STYLE_ENCODER: i2i.Kind[DomainStyle] = i2i.Kind(
    "style_encoder",
    DomainStyle,
    offered=("num_classes", "style_channels", "image_size"),
    suggested=("in_channels",),
)
