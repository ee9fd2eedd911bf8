"""InfoGAN: a GAN whose discriminator recovers parts of the latent code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge
from torch import Tensor
from torch.nn import functional as F

import i2i
from i2i.core.bounds import finite
from i2i.core.contracts import Discriminator, Generator, Stream
from i2i.core.factory import Factory
from i2i.core.randomness import seed_of
from i2i.errors import I2IError, OptionError
from i2i.methods.outputs import output
from i2i_stylegan.outputs import IMAGE, GANOutputs, auxiliary
from i2i_stylegan.translators import GAN


class InfoGANOutputs(GANOutputs):
    """As for a GAN, with codes and what the discriminator recovers of them."""

    translator: InfoGAN

    @output(reuse="phase")
    def categorical_code(self) -> dict[str, Tensor]:
        """Numbers of the categories [B] that images are generated for."""
        draws = torch.Generator().manual_seed(seed_of(self.batch.seed, self.phase, "categories"))
        count = len(self.real[IMAGE])
        drawn = torch.randint(self.translator.categories, (count,), generator=draws, device="cpu")
        return {IMAGE: drawn.to(self.real[IMAGE].device)}

    @output(reuse="phase")
    def continuous_code(self) -> dict[str, Tensor]:
        """Continuous codes [B, k], uniform in [-1, 1]."""
        draws = torch.Generator().manual_seed(seed_of(self.batch.seed, self.phase, "continuous"))
        drawn = torch.rand(len(self.real[IMAGE]), self.translator.continuous, generator=draws, device="cpu")
        return {IMAGE: (2 * drawn - 1).to(self.real[IMAGE])}

    @output(reuse="phase")
    def latent(self) -> dict[str, Tensor]:
        """Latent codes [B, z_dim]: noise, the one-hot category, the continuous codes."""
        real = self.real[IMAGE]
        noise = self.randn("latent", IMAGE, real, (len(real), self.translator.noise_dim))
        return {IMAGE: self.translator.compose(noise, self.categorical_code[IMAGE], self.continuous_code[IMAGE])}

    @property
    def categorical_logits(self) -> dict[str, Tensor]:
        """Logits of the categories of generated images [B, n]."""
        return auxiliary(self._fake_heads, "categorical")

    @property
    def continuous_mean(self) -> dict[str, Tensor]:
        """Recovered continuous codes of generated images [B, k]."""
        return auxiliary(self._fake_heads, "continuous")


class InfoGAN(GAN):
    """GAN whose latent code ends with a category and continuous codes that the discriminator recovers.

    Args:
        generator: factory of the generator; its `z_dim` covers noise and codes.
        discriminators: factories of the discriminators, by name; one has the heads `categorical` and `continuous`.
        categories: number of values of the categorical code.
        continuous: number of continuous codes, uniform in [-1, 1].
        streams: specification of each stream of the data, by name.

    Source: Chen et al., InfoGAN, NeurIPS 2016, arXiv:1606.03657.
    """

    Outputs: ClassVar[type[i2i.Outputs]] = InfoGANOutputs

    def __init__(
        self,
        generator: Factory[Generator],
        discriminators: dict[str, Factory[Discriminator]],
        categories: Annotated[int, Ge(2)] = 10,
        continuous: Annotated[int, Ge(1)] = 2,
        streams: Mapping[str, Stream] | None = None,
    ) -> None:
        super().__init__(generator, discriminators, streams=streams)
        self.categories, self.continuous = categories, continuous
        self.noise_dim = self.generator.z_dim - categories - continuous
        if self.noise_dim < 1:
            message = f"z_dim of {self.generator.z_dim} has no room for noise next to {categories + continuous} codes"
            raise OptionError("generator", message)

    def compose(self, noise: Tensor, category: Tensor, continuous: Tensor) -> Tensor:
        """Return latent codes [B, z_dim] of noise, numbers of categories, and continuous codes."""
        return torch.cat([noise, F.one_hot(category, self.categories).to(noise), continuous], 1)

    def sample(
        self,
        seeds: Iterable[int],
        categories: tuple[int, ...] | None = None,
        codes: tuple[float, ...] | None = None,
    ) -> Tensor:
        """Return images [B, C, H, W] in [-1, 1], one for each seed.

        Args:
            seeds: of noise and codes.
            categories: numbers of the categories, in turn by seed; all of them when None.
            codes: values of the continuous codes for all images; drawn by seed when None.
        """
        seeds = list(seeds)
        z, _ = self.latents(seeds)
        chosen = list(range(self.categories)) if categories is None else list(categories)
        if wrong := [number for number in chosen if not 0 <= number < self.categories]:
            raise I2IError(f"categories: expected numbers from 0 to {self.categories - 1}, got {wrong[0]}")
        continuous = 2 * torch.special.ndtr(z[:, -self.continuous :]) - 1
        if codes is not None:
            if len(codes) != self.continuous:
                raise I2IError(f"codes: expected {self.continuous} numbers, got {len(codes)}")
            continuous = z.new_tensor([finite("codes", code) for code in codes]).expand(len(z), -1)
        category = torch.tensor([chosen[seed % len(chosen)] for seed in seeds], device=z.device)
        return self.generate(self.compose(z[:, : self.noise_dim], category, continuous), None)

    def sample_inputs(self, seeds: Sequence[int], noise: bool = False) -> dict[str, Tensor]:
        """Return what `sample` draws for each seed, by the names of the inputs of an exported file.

        Args:
            seeds: as for `sample`.
            noise: for generators with noise maps.

        Returns:
            inputs: `latent` [B, Z], normal random numbers; one-hot `category` [B, categories]; and `codes`
                [B, continuous] in [-1, 1].
        """
        z, _ = self.latents(seeds)
        category = torch.tensor([seed % self.categories for seed in seeds], device=z.device)
        return {
            "latent": z[:, : self.noise_dim],
            "category": F.one_hot(category, self.categories).to(z),
            "codes": 2 * torch.special.ndtr(z[:, -self.continuous :]) - 1,
        }

    def sample_from(self, latent: Tensor, category: Tensor, codes: Tensor) -> Tensor:  # type: ignore[override]  # codes
        """Return images [B, C, H, W] in [-1, 1] of noise, one-hot categories and continuous codes."""
        return self.generate(torch.cat([latent, category, codes], 1), None)
