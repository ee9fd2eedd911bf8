"""InfoGAN's convolutional networks, for InfoGAN and for conditional GANs."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.core.bounds import ImageSize, square_side
from i2i.core.contracts import DiscriminatorOutput
from i2i.errors import OptionError, ShapeError

SLOPE = 0.1


def quarter(image_size: ImageSize) -> int:
    """Return a quarter of the side.

    Raises:
        OptionError: the image is no square whose side 4 divides.
    """
    side = square_side(image_size)
    if side % 4:
        raise OptionError("image_size", f"expected a multiple of 4 px, got {side}")
    return side // 4


class DCGANGenerator(nn.Module):
    """Two linear layers and two transposed convolutions with batch norm; classes are appended to the latent code.

    Args:
        out_channels: channels of the images.
        image_size: height and width of the images; equal, a multiple of 4.
        num_classes: number of classes; 0 without.
        z_dim: numbers in a latent code, codes of InfoGAN included.
        channels: width of the last hidden layer; the others have twice as many, and 16 times.

    Source: Chen et al., InfoGAN, NeurIPS 2016, arXiv:1606.03657, appendix C.1, with two more sides and tanh for images
    in [-1, 1]; classes as in Mirza and Osindero, arXiv:1411.1784.
    """

    def __init__(
        self,
        out_channels: int = 3,
        image_size: ImageSize = 28,
        num_classes: Annotated[int, Ge(0)] = 0,
        z_dim: Annotated[int, Ge(1)] = 74,
        channels: Annotated[int, Ge(1)] = 64,
    ) -> None:
        super().__init__()
        self.z_dim, self.num_classes, self.side = z_dim, num_classes, quarter(image_size)
        hidden, wide = 16 * channels, 2 * channels
        self.first = nn.Sequential(nn.Linear(z_dim + num_classes, hidden), nn.BatchNorm1d(hidden), nn.ReLU())
        features = wide * self.side**2
        self.second = nn.Sequential(nn.Linear(hidden, features), nn.BatchNorm1d(features), nn.ReLU())
        self.up = nn.Sequential(
            nn.ConvTranspose2d(wide, channels, 4, 2, 1),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.ConvTranspose2d(channels, out_channels, 4, 2, 1),
            nn.Tanh(),
        )

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Return images [B, C, S, S] for latent codes [B, z_dim] and one-hot classes."""
        x = self.second(self.first(z if c is None else torch.cat([z, c], 1)))
        image: Tensor = self.up(x.view(z.shape[0], -1, self.side, self.side))
        return image


class DCGANDiscriminator(nn.Module):
    """Two convolutions and a linear layer with batch norm, and heads on the same features.

    Args:
        in_channels: channels of the images.
        image_size: height and width of the images; equal, a multiple of 4.
        num_classes: number of classes, which are appended to the image as constant channels; 0 without.
        channels: width of the first layer; the second has twice as many, and the linear layer 16 times.
        categories: number of values of InfoGAN's categorical code; 0 without a head `categorical`.
        continuous: number of InfoGAN's continuous codes; 0 without a head `continuous`, their means.

    Source: Chen et al., InfoGAN, NeurIPS 2016, arXiv:1606.03657, appendix C.1.
    """

    def __init__(
        self,
        in_channels: int = 3,
        image_size: ImageSize = 28,
        num_classes: Annotated[int, Ge(0)] = 0,
        channels: Annotated[int, Ge(1)] = 64,
        categories: Annotated[int, Ge(0)] = 0,
        continuous: Annotated[int, Ge(0)] = 0,
    ) -> None:
        super().__init__()
        self.num_classes, side = num_classes, quarter(image_size)
        hidden = 16 * channels
        self.body = nn.Sequential(
            nn.Conv2d(in_channels + num_classes, channels, 4, 2, 1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(channels, 2 * channels, 4, 2, 1),
            nn.BatchNorm2d(2 * channels),
            nn.LeakyReLU(SLOPE),
            nn.Flatten(),
            nn.Linear(2 * channels * side**2, hidden),
            nn.BatchNorm1d(hidden),
            nn.LeakyReLU(SLOPE),
        )
        self.score = nn.Linear(hidden, 1)
        self.sizes = {"categorical": categories, "continuous": continuous}
        if categories or continuous:
            self.codes = nn.Sequential(
                nn.Linear(hidden, 2 * channels), nn.BatchNorm1d(2 * channels), nn.LeakyReLU(SLOPE)
            )
            self.heads = nn.ModuleDict({k: nn.Linear(2 * channels, size) for k, size in self.sizes.items() if size})

    def forward(self, image: Tensor, c: Tensor | None = None) -> DiscriminatorOutput:
        """Return logits [B, 1] under the head `image`, and the recovered codes."""
        if self.num_classes:
            if c is None:
                raise ShapeError("this discriminator is conditional: it needs classes")
            image = torch.cat([image, c[:, :, None, None].expand(-1, -1, *image.shape[2:])], 1)
        x = self.body(image)
        outputs = {"image": self.score(x)}
        if any(self.sizes.values()):
            codes = self.codes(x)
            outputs |= {name: head(codes) for name, head in self.heads.items()}
        return DiscriminatorOutput(outputs)


class MutualInformation(nn.Module):
    r"""Variational bound of the mutual information of codes and images, to be maximized by both players.

    .. math:: -\lambda_c\, \mathbb{E}[\log Q(c \mid x)] - \lambda_s\, \mathbb{E}\Big[\sum_i \log
        \mathcal{N}(s_i; \mu_i(x), \sigma_i^2)\Big]

    Args:
        categorical: lambda of the categorical code.
        continuous: lambda of the continuous codes.

    Source: Chen et al., InfoGAN, NeurIPS 2016, arXiv:1606.03657, equation 5; a fixed variance of 1.
    """

    def __init__(self, categorical: float = 1.0, continuous: float = 1.0) -> None:
        super().__init__()
        self.categorical, self.continuous = categorical, continuous

    def discriminator(
        self,
        categorical_logits: Tensor,
        categorical_code: Tensor,
        continuous_mean: Tensor | None = None,
        continuous_code: Tensor | None = None,
    ) -> Tensor:
        """Compute the bound for generated images.

        Args:
            categorical_logits: [B, n].
            categorical_code: [B], numbers of the categories.
            continuous_mean: [B, k].
            continuous_code: [B, k].
        """
        loss = self.categorical * F.cross_entropy(categorical_logits, categorical_code)
        if continuous_mean is not None and continuous_code is not None:
            loss = loss + self.continuous * gaussian_nll(continuous_code, continuous_mean)
        return loss

    def generator(
        self,
        categorical_logits: Tensor,
        categorical_code: Tensor,
        continuous_mean: Tensor | None = None,
        continuous_code: Tensor | None = None,
    ) -> Tensor:
        return self.discriminator(categorical_logits, categorical_code, continuous_mean, continuous_code)


def gaussian_nll(code: Tensor, mean: Tensor, log_std: Tensor | None = None) -> Tensor:
    """Return the negative log-likelihood of codes [B, k] under normal distributions, summed over codes, a scalar."""
    log_std = torch.zeros_like(mean) if log_std is None else log_std
    distance = (code - mean) / log_std.exp()
    constant = 0.5 * torch.log(torch.tensor(2 * torch.pi, dtype=mean.dtype, device=mean.device))
    return (constant + log_std + 0.5 * distance.square()).sum(1).mean()
