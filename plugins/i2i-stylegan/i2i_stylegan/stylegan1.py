"""The generator of StyleGAN, which grows like PGGAN's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import torch
from annotated_types import Ge, Gt
from torch import Tensor, nn

from i2i.core.bounds import ImageSize, square_side
from i2i.methods.growth import LATENT, Growing, blend, doublings, upsample
from i2i_stylegan.layers import NoiseMode
from i2i_stylegan.mapping import normalize, truncate
from i2i_stylegan.progressive import EPS, ScaledConv2d, ScaledLinear, leaky, widths
from i2i_stylegan.resampling import make_filter, smooth


class StyleMapping(nn.Module):
    """StyleGAN's mapping network; see `StyleGANGenerator`."""

    w_avg: Tensor

    def __init__(
        self, z_dim: int, num_classes: int, w_dim: int, num_ws: int, layers: int, hidden: int, beta: float
    ) -> None:
        super().__init__()
        self.num_ws, self.beta = num_ws, beta
        if num_classes:
            self.embedding = nn.Parameter(torch.randn(num_classes, z_dim))
        sizes = [z_dim * (2 if num_classes else 1), *[hidden] * (layers - 1), w_dim]
        self.layers = nn.ModuleList([ScaledLinear(sizes[i], sizes[i + 1], rate=0.01) for i in range(layers)])
        self.register_buffer("w_avg", torch.zeros(w_dim))

    def forward(
        self,
        z: Tensor,
        c: Tensor | None = None,
        psi: float = 1.0,
        cutoff: int | None = None,
        update_average: bool = True,
    ) -> Tensor:
        """Return style vectors [B, num_ws, w_dim]; see `i2i_stylegan.mapping.Mapping`."""
        x = normalize(z if c is None else torch.cat([z, c @ self.embedding], 1))
        for layer in self.layers:
            x = leaky(layer(x))
        if self.training and update_average:
            self.w_avg.copy_(x.detach().mean(0).lerp(self.w_avg, self.beta))
        ws = x[:, None].expand(-1, self.num_ws, -1)
        return ws if psi == 1 else truncate(ws, self.w_avg, psi, cutoff)


class StyleEpilogue(nn.Module):
    """Noise, bias, activation, instance norm, and a scale and shift that follow from the style.

    Args:
        channels: channels C of the features [B, C, S, S].
        w_dim: numbers in a style vector.
        resolution: S.
        eps: added to the variances of the instance norm.
    """

    noise_const: Tensor

    def __init__(self, channels: int, w_dim: int, resolution: int, eps: float = EPS) -> None:
        super().__init__()
        self.eps = eps
        self.noise_strength = nn.Parameter(torch.zeros(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.style = ScaledLinear(w_dim, 2 * channels, gain=1.0)
        self.register_buffer("noise_const", torch.randn(resolution, resolution))

    def forward(self, x: Tensor, w: Tensor, noise: NoiseMode | Tensor) -> Tensor:
        if not (isinstance(noise, str) and noise == "none"):
            if isinstance(noise, str):
                random = noise == "random"
                shape = (x.shape[0], 1, *x.shape[2:])
                noise = torch.randn(shape, device=x.device, dtype=x.dtype) if random else self.noise_const
            x = x + noise * self.noise_strength[:, None, None]
        x = leaky(x + self.bias[:, None, None])
        # The learned constant is nearly flat early in training. Differences from one pixel are exact, while a mean is
        # rounded, and the division by a small deviation would turn its rounding into visible errors.
        x = x - x[:, :, :1, :1]
        x = x - x.mean((2, 3), keepdim=True)
        x = x * (x.square().mean((2, 3), keepdim=True) + self.eps).rsqrt()
        scale, shift = self.style(w)[:, :, None, None].chunk(2, 1)
        return x * (scale + 1) + shift


class StyleSynthesis(Growing, nn.Module):
    """StyleGAN's synthesis network; see `StyleGANGenerator`."""

    kernel: Tensor

    def __init__(
        self,
        w_dim: int,
        image_size: int,
        first_size: int,
        channels: int,
        channel_base: int,
        channel_max: int,
        eps: float = EPS,
        blur_bias: bool = False,
    ) -> None:
        super().__init__()
        self.blur_bias = blur_bias
        self.size, self.alpha, self.size_limit = image_size, 1.0, image_size
        sizes = doublings(LATENT, image_size)
        w = widths(sizes, channel_base, channel_max)
        self.const = nn.Parameter(torch.ones(w[LATENT], LATENT, LATENT))
        self.convs = nn.ModuleList()  # their biases belong to the epilogues, unless they are blurred
        self.epilogues = nn.ModuleList()
        for size in sizes:
            inputs = [w[size]] if size == LATENT else [w[size // 2], w[size]]
            for number in inputs:
                conv = ScaledConv2d(number, w[size], 3)
                conv.bias.requires_grad_(False)
                self.convs.append(conv)
            self.epilogues.extend(StyleEpilogue(w[size], w_dim, size, eps) for _ in range(2))
            if blur_bias and size > LATENT:
                self.convs[-2].bias.requires_grad_(True)
                self.epilogues[-2].bias.requires_grad_(False)  # stays 0
        rgb = {str(size): ScaledConv2d(w[size], channels, 1, gain=1.0) for size in doublings(first_size, image_size)}
        self.to_rgb = nn.ModuleDict(rgb)
        self.num_ws = 2 * len(sizes)
        self.register_buffer("kernel", make_filter((1.0, 2.0, 1.0)), persistent=False)

    def forward(
        self, ws: Tensor, noise: NoiseMode | Sequence[Tensor] = "random", features: list[Tensor] | None = None
    ) -> Tensor:
        """Return images [B, C, size, size] for style vectors [B, num_ws, w_dim].

        Args:
            ws: style vectors, one for each layer.
            noise: a mode, or one map for each layer.
            features: a list that gets the features [B, c, s, s], two of each resolution from the smallest on.
        """
        keep = (lambda x: None) if features is None else features.append
        maps: Iterator[Any] = iter([noise] * self.num_ws if isinstance(noise, str) else noise)
        convs, layers, styles = iter(self.convs), iter(self.epilogues), iter(ws.unbind(1))
        x = next(layers)(self.const.expand(ws.shape[0], -1, -1, -1), next(styles), next(maps))
        keep(x)
        x = next(layers)(next(convs).convolve(x), next(styles), next(maps))  # type: ignore[operator]
        keep(x)
        size, small = LATENT, x
        while size < self.size:
            size, small = 2 * size, x
            layer = next(convs)
            # At the edges the blur reads zeros, so a bias before it is not the same as one after it.
            x = smooth(layer(upsample(x)) if self.blur_bias else layer.convolve(upsample(x)), self.kernel)  # type: ignore[operator]
            x = next(layers)(x, next(styles), next(maps))
            keep(x)
            x = next(layers)(next(convs).convolve(x), next(styles), next(maps))  # type: ignore[operator]
            keep(x)
        image: Tensor = self.to_rgb[str(size)](x)
        if self.alpha < 1:
            image = blend(upsample(self.to_rgb[str(size // 2)](small)), image, self.alpha)
        return image


class StyleGANGenerator(nn.Module):
    """StyleGAN's generator: a mapping network, and a synthesis network of adaptive instance norms that grows.

    Args:
        out_channels: channels of the images.
        image_size: largest size, 4 px times a power of two.
        first_size: smallest size, set by the translator's first stage; 8 px in the official code.
        num_classes: number of classes; 0 without.
        z_dim: numbers in a latent code.
        w_dim: numbers in a style vector.
        mapping_layers: number of layers of the mapping network.
        mapping_features: width of its hidden layers.
        channel_base: channels at a size, times half of the size.
        channel_max: largest number of channels.
        w_avg_beta: decay of the moving average of w.
        norm_eps: added to the variances of the instance norms; 1e-5 in rosinality's implementation.
        blur_bias: whether the biases of upsampling layers are added before the blur, as in rosinality's implementation.

    Source: Karras et al., StyleGAN, CVPR 2019, arXiv:1812.04948; NVlabs/stylegan 1e0d5c7.
    """

    def __init__(
        self,
        out_channels: int = 3,
        image_size: ImageSize = 256,
        first_size: int = LATENT,
        num_classes: Annotated[int, Ge(0)] = 0,
        z_dim: Annotated[int, Ge(1)] = 512,
        w_dim: Annotated[int, Ge(1)] = 512,
        mapping_layers: Annotated[int, Ge(1)] = 8,
        mapping_features: Annotated[int, Ge(1)] = 512,
        channel_base: Annotated[int, Ge(1)] = 8192,
        channel_max: Annotated[int, Ge(1)] = 512,
        w_avg_beta: float = 0.995,
        norm_eps: Annotated[float, Gt(0)] = EPS,
        blur_bias: bool = False,
    ) -> None:
        super().__init__()
        self.z_dim, self.w_dim = z_dim, w_dim
        side = square_side(image_size)
        Growing.check(image_size, first_size)
        self.synthesis = StyleSynthesis(
            w_dim, side, first_size, out_channels, channel_base, channel_max, norm_eps, blur_bias
        )
        self.num_ws = self.synthesis.num_ws
        self.mapping = StyleMapping(
            z_dim, num_classes, w_dim, self.num_ws, mapping_layers, mapping_features, w_avg_beta
        )

    @property
    def active_ws(self) -> int:
        """Number of style vectors that images of the current size use."""
        return 2 * len(doublings(LATENT, self.synthesis.size))

    def forward(self, z: Tensor, c: Tensor | None = None, psi: float = 1.0, noise: NoiseMode = "random") -> Tensor:
        """Return images [B, C, size, size] for latent codes [B, z_dim] and one-hot classes."""
        image: Tensor = self.synthesis(self.mapping(z, c, psi), noise)
        return image
