"""The mapping network of StyleGAN2: a latent code, and a class, to style vectors."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor, nn

from i2i_stylegan.layers import activate, dense


def normalize(x: Tensor) -> Tensor:
    """Scale each vector [B, N] to a mean square of 1."""
    return x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt()


class Mapping(nn.Module):
    """Maps a latent code z and a class c to one style vector w for each layer of the synthesis network.

    Args:
        z_dim: numbers in z; 0 for a network of the class alone, as a conditional discriminator has it.
        c_dim: number of classes; 0 without classes.
        w_dim: numbers in w.
        num_ws: copies of w in the result; None for w itself.
        num_layers: number of layers.
        embed_features: numbers in the embedding of the class; `w_dim` when None.
        layer_features: width of the hidden layers; `w_dim` when None.
        rate: factor of the learning rate.
        w_avg_beta: decay of the moving average of w; None keeps none.

    Source: Karras et al., StyleGAN, CVPR 2019, arXiv:1812.04948, section 2; StyleGAN2-ADA, arXiv:2006.06676, for
    classes.
    """

    w_avg: Tensor

    def __init__(
        self,
        z_dim: int,
        c_dim: int,
        w_dim: int,
        num_ws: int | None,
        num_layers: Annotated[int, Ge(1)] = 8,
        embed_features: int | None = None,
        layer_features: int | None = None,
        rate: float = 0.01,
        w_avg_beta: float | None = 0.995,
    ) -> None:
        super().__init__()
        self.z_dim, self.c_dim, self.w_dim, self.num_ws = z_dim, c_dim, w_dim, num_ws
        self.num_layers, self.w_avg_beta = num_layers, w_avg_beta
        embedded = (embed_features or w_dim) if c_dim else 0
        if c_dim:
            self.embed = dense(c_dim, embedded)
        widths = [z_dim + embedded, *[layer_features or w_dim] * (num_layers - 1), w_dim]
        for index in range(num_layers):
            self.add_module(f"fc{index}", dense(widths[index], widths[index + 1], rate))
        if num_ws is not None and w_avg_beta is not None:
            self.register_buffer("w_avg", torch.zeros(w_dim))

    def forward(
        self,
        z: Tensor | None,
        c: Tensor | None = None,
        psi: float = 1.0,
        cutoff: int | None = None,
        update_average: bool = True,
    ) -> Tensor:
        """Return style vectors [B, num_ws, w_dim], or [B, w_dim] if `num_ws` is None.

        Args:
            z: [B, z_dim].
            c: one-hot classes [B, c_dim], or weights of them.
            psi: truncation: distance from the average w that is kept, 1 for all of it.
            cutoff: number of layers that are truncated; None for all.
            update_average: whether training moves the average of w.
        """
        parts = []
        if self.z_dim:
            assert z is not None
            parts.append(normalize(z))
        if self.c_dim:
            assert c is not None
            parts.append(normalize(self.embed(c)))
        x = torch.cat(parts, 1)
        for index in range(self.num_layers):
            x = activate(self.get_submodule(f"fc{index}")(x))
        if self.num_ws is None:
            return x
        if self.training and update_average and self.w_avg_beta is not None:
            self.w_avg.copy_(x.detach().to(self.w_avg).mean(0).lerp(self.w_avg, self.w_avg_beta))
        ws = x.unsqueeze(1).expand(-1, self.num_ws, -1)
        if psi == 1:
            return ws
        return truncate(ws, self.w_avg, psi, cutoff)


def truncate(ws: Tensor, average: Tensor, psi: float, cutoff: int | None = None) -> Tensor:
    """Move style vectors [B, L, w_dim] towards their average: psi 1 keeps them, 0 gives the average.

    Args:
        ws: style vectors.
        average: [w_dim].
        psi: any number; above 1 moves away from the average, below 0 to its other side.
        cutoff: number of layers that are truncated; None for all.
    """
    cutoff = ws.shape[1] if cutoff is None else cutoff
    return torch.cat([average.lerp(ws[:, :cutoff], psi), ws[:, cutoff:]], 1)
