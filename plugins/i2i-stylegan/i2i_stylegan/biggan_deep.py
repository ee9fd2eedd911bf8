"""BigGAN-deep: the generator of the weights that Hugging Face ported, its import, and truncated sampling."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
from annotated_types import Ge
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.core.bounds import ImageSize, finite, square_side
from i2i.core.contracts import Imported
from i2i.errors import CheckpointError, I2IError, OptionError, ShapeError
from i2i.nn.weight_files import few, is_state, load_safetensors, load_weight_file
from i2i_stylegan.translators import GAN

REDUCTION = 4
"""Ratio of a block's channels to those inside of it."""
LIMIT = 2.0
"""Largest absolute value of truncated normal numbers."""


class _Frozen(nn.Module):
    """A weight divided by its largest singular value, for which two stored vectors stand."""

    weight_u: Tensor
    weight_v: Tensor

    def __init__(self, *shape: int, bias: bool) -> None:
        super().__init__()
        self.weight_orig = nn.Parameter(torch.empty(shape))
        nn.init.orthogonal_(self.weight_orig)
        self.bias = nn.Parameter(torch.zeros(shape[0])) if bias else None
        matrix = self.weight_orig.detach().flatten(1)
        left, _, right = torch.linalg.svd(matrix, full_matrices=False)
        self.register_buffer("weight_u", left[:, 0].clone())
        self.register_buffer("weight_v", right[0].clone())

    @property
    def weight(self) -> Tensor:
        return self.weight_orig / (self.weight_u @ (self.weight_orig.flatten(1) @ self.weight_v))

    def forward(self, x: Tensor) -> Tensor:
        if self.weight_orig.ndim == 2:
            return F.linear(x, self.weight, self.bias)
        return F.conv2d(x, self.weight, self.bias, padding=self.weight_orig.shape[-1] // 2)


class _StoredNorm(nn.Module):
    """Normalization by statistics that are stored for several truncations, with a scale and shift.

    Between two entries i and i + 1, the statistics are mixed as in the published code: the share of entry i grows with
    the distance from it.
    """

    running_means: Tensor
    running_vars: Tensor

    def __init__(self, features: int, condition: int, entries: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.register_buffer("running_means", torch.zeros(entries, features))
        self.register_buffer("running_vars", torch.ones(entries, features))
        self.condition = condition
        if condition:
            self.scale = _Frozen(features, condition, bias=False)
            self.offset = _Frozen(features, condition, bias=False)
        else:
            self.weight, self.bias = nn.Parameter(torch.ones(features)), nn.Parameter(torch.zeros(features))

    def forward(self, x: Tensor, truncation: float | Tensor, y: Tensor) -> Tensor:
        mean, var = self._at(self.running_means, truncation), self._at(self.running_vars, truncation)
        if self.condition:
            gain, bias = (1 + self.scale(y))[:, :, None, None], self.offset(y)[:, :, None, None]
        else:
            gain, bias = self.weight[:, None, None], self.bias[:, None, None]
        return (x - mean[:, None, None]) * (var[:, None, None] + self.eps).rsqrt() * gain + bias

    @staticmethod
    def _at(entries: Tensor, truncation: float | Tensor) -> Tensor:
        """Return statistics [F] of a truncation, which is a tensor [1] in exported files."""
        if isinstance(truncation, Tensor):
            place = truncation * (len(entries) - 1)
            index = place.floor().long()
            share, after = (place - index)[:, None], (index + 1).clamp(max=len(entries) - 1)
            mixed = entries[index] * share + entries[after] * (1 - share)
            return torch.where(share > 0, mixed, entries[index])[0]
        fraction, first = math.modf(truncation * (len(entries) - 1))
        index = int(first)
        return entries[index] * fraction + entries[index + 1] * (1 - fraction) if fraction else entries[index]


class _Block(nn.Module):
    """Bottleneck of four convolutions after norms; the shortcut drops channels."""

    def __init__(self, inputs: int, outputs: int, up: bool, condition: int, entries: int, eps: float) -> None:
        super().__init__()
        middle = inputs // REDUCTION
        self.up, self.outputs = up, outputs
        sizes = ((inputs, middle, 1), (middle, middle, 3), (middle, middle, 3), (middle, outputs, 1))
        for number, (before, after, kernel) in enumerate(sizes):
            self.add_module(f"bn_{number}", _StoredNorm(before, condition, entries, eps))
            self.add_module(f"conv_{number}", _Frozen(after, before, kernel, kernel, bias=True))

    def forward(self, x: Tensor, truncation: float, y: Tensor) -> Tensor:
        h = x
        for number in range(4):
            h = F.relu(self.get_submodule(f"bn_{number}")(h, truncation, y))
            if self.up and number == 1:
                h = F.interpolate(h, scale_factor=2)
            h = self.get_submodule(f"conv_{number}")(h)
        x = x[:, : self.outputs]
        return h + (F.interpolate(x, scale_factor=2) if self.up else x)


class _Attention(nn.Module):
    """Self-attention; see `i2i_stylegan.biggan_layers.SelfAttention`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.snconv1x1_theta = _Frozen(channels // 8, channels, 1, 1, bias=False)
        self.snconv1x1_phi = _Frozen(channels // 8, channels, 1, 1, bias=False)
        self.snconv1x1_g = _Frozen(channels // 2, channels, 1, 1, bias=False)
        self.snconv1x1_o_conv = _Frozen(channels, channels // 2, 1, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, truncation: float, y: Tensor) -> Tensor:
        query = self.snconv1x1_theta(x).flatten(2)
        key = F.max_pool2d(self.snconv1x1_phi(x), 2).flatten(2)
        value = F.max_pool2d(self.snconv1x1_g(x), 2).flatten(2)
        weights = (query.transpose(1, 2) @ key).softmax(-1)
        attended = (value @ weights.transpose(1, 2)).view(x.shape[0], -1, *x.shape[2:])
        result: Tensor = x + self.gamma * self.snconv1x1_o_conv(attended)
        return result


class BigGANDeepGenerator(nn.Module):
    """BigGAN-deep's generator as Hugging Face ported it, for use rather than training: its norms keep their statistics.

    Args:
        out_channels: channels of the images; the last convolution has more, which are dropped.
        image_size: height and width of the images; equal, 4 times 2 for each block that doubles.
        num_classes: number of classes.
        z_dim: numbers in a latent code.
        class_dim: numbers in the embedding of a class.
        channels: unit of the numbers of channels.
        inputs: channels before each block, as multiples of `channels`.
        outputs: channels after each block, as multiples of `channels`.
        doubled: whether each block doubles the sides.
        attention: number of the block that self-attention comes before.
        entries: truncations for which statistics are stored, from 0 to 1.
        eps: added to the variances.

    Source: Brock et al., ICLR 2019, arXiv:1809.11096, appendix B; huggingface/pytorch-pretrained-BigGAN 1e18aed.
    """

    def __init__(
        self,
        out_channels: int = 3,
        image_size: ImageSize = 128,
        num_classes: Annotated[int, Ge(1)] = 1000,
        z_dim: Annotated[int, Ge(1)] = 128,
        class_dim: Annotated[int, Ge(1)] = 128,
        channels: Annotated[int, Ge(1)] = 128,
        inputs: tuple[int, ...] = (16, 16, 16, 16, 8, 8, 4, 4, 2, 2),
        outputs: tuple[int, ...] = (16, 16, 16, 8, 8, 4, 4, 2, 2, 1),
        doubled: tuple[bool, ...] = (False, True) * 5,
        attention: Annotated[int, Ge(0)] = 8,
        entries: Annotated[int, Ge(2)] = 51,
        eps: float = 1e-4,
    ) -> None:
        super().__init__()
        if len({len(inputs), len(outputs), len(doubled)}) != 1:
            raise OptionError("outputs", "expected as many numbers as `inputs` and `doubled` have")
        if (side := 4 * 2 ** sum(doubled)) != square_side(image_size):
            raise OptionError("image_size", f"these blocks give {side} px, got {square_side(image_size)}")
        self.z_dim, self.out_channels, self.wide = z_dim, out_channels, inputs[0] * channels
        condition = z_dim + class_dim
        self.embeddings = nn.Linear(num_classes, class_dim, bias=False)
        self.gen_z = _Frozen(16 * self.wide, condition, bias=True)
        self.layers = nn.ModuleList()
        for number, (before, after, up) in enumerate(zip(inputs, outputs, doubled, strict=True)):
            if number == attention:
                self.layers.append(_Attention(before * channels))
            self.layers.append(_Block(before * channels, after * channels, up, condition, entries, eps))
        self.bn = _StoredNorm(outputs[-1] * channels, 0, entries, eps)
        self.conv_to_rgb = _Frozen(outputs[-1] * channels, outputs[-1] * channels, 3, 3, bias=True)

    def forward(self, z: Tensor, c: Tensor | None = None, truncation: float | Tensor = 1.0) -> Tensor:
        """Return images [B, C, S, S].

        Args:
            z: latent codes [B, z_dim], already truncated.
            c: one-hot classes [B, num_classes].
            truncation: in [0, 1], chooses the statistics of the norms; a tensor [1] in exported files.
        """
        if c is None:
            raise ShapeError("BigGAN generates images of classes: set translator.conditional = true")
        y = torch.cat([z, self.embeddings(c)], 1)
        x = self.gen_z(y).unflatten(1, (4, 4, self.wide)).permute(0, 3, 1, 2).contiguous()
        for layer in self.layers:
            x = layer(x, truncation, y)
        return torch.tanh(self.conv_to_rgb(F.relu(self.bn(x, truncation, y)))[:, : self.out_channels])


class TruncatedGAN(GAN):
    """GAN whose latent codes are truncated: normal numbers within 2 standard deviations, times the truncation.

    Args:
        generator: factory of the generator; one that stores statistics of truncations gets the truncation too.
        discriminators: factories of the discriminators, by name.
        conditional: whether images are generated for classes, which the data names in its stream `label`.
        fake_labels: see `gan`.
        stages: see `gan`.
        fresh_optimizers: see `gan`.
        streams: specification of each stream of the data, by name.

    Source: Brock et al., ICLR 2019, arXiv:1809.11096, section 3.1; huggingface/pytorch-pretrained-BigGAN 1e18aed.
    """

    def sample(self, seeds: Iterable[int], classes: tuple[int, ...] | None = None, truncation: float = 1.0) -> Tensor:
        """Return images [B, C, H, W] in [-1, 1], one for each seed.

        Args:
            seeds: of the latent codes.
            classes: numbers of the classes, in turn by seed; all of them when None.
            truncation: above 0 up to 1; less is less variety of better images.

        Raises:
            I2IError: a truncation outside of that.
        """
        if not 0 < finite("truncation", truncation) <= 1:
            raise I2IError(f"truncation: expected a number above 0 up to 1, got {truncation:g}")
        z, c = self.latents(seeds, classes)
        z = self._cut(z) * truncation
        if isinstance(self.generator, BigGANDeepGenerator):
            return self.output_image(self.generator(z, c, truncation))
        return self.generate(z, c)

    @staticmethod
    def _cut(z: Tensor) -> Tensor:
        """Return normal numbers at the same place in the distribution that is cut at both ends."""
        low = torch.special.ndtr(z.new_tensor(-LIMIT))
        return torch.special.ndtri(low + torch.special.ndtr(z) * (1 - 2 * low)).clamp(-LIMIT, LIMIT)

    def sample_inputs(self, seeds: Sequence[int], noise: bool = False) -> dict[str, Tensor]:
        """Return what `sample` draws for each seed, by the names of the inputs of an exported file.

        Args:
            seeds: as for `sample`.
            noise: for generators with noise maps.

        Returns:
            inputs: `latent` [B, z_dim], normal random numbers within 2 standard deviations, times the truncation;
                one-hot `classes`; and `truncation` [1] for generators that store statistics of truncations.
        """
        inputs = super().sample_inputs(seeds)
        inputs["latent"] = self._cut(inputs["latent"])
        if isinstance(self.generator, BigGANDeepGenerator):
            inputs["truncation"] = inputs["latent"].new_ones(1)
        return inputs

    def sample_from(self, latent: Tensor, classes: Tensor | None = None, truncation: Tensor | None = None) -> Tensor:
        """Return images [B, C, H, W] in [-1, 1] of such inputs."""
        if truncation is None:
            return self.generate(latent, classes)
        return self.output_image(self.generator(latent, classes, truncation))


def huggingface(path: Path) -> Imported:
    """Convert a state dict of huggingface/pytorch-pretrained-BigGAN, such as `biggan-deep-128-pytorch_model.bin`.

    Args:
        path: the file. A `config.json` next to it says which blocks double the sides; without it, every second one
            does, as in all published models. No code in it is run.

    Returns:
        The recipe `biggan_deep` with the sizes of the generator.

    Raises:
        CheckpointError: the file is something else, is damaged, or lacks a tensor.
    """
    content = load_safetensors(path) if path.suffix == ".safetensors" else load_weight_file(path)
    if not is_state(content):
        raise CheckpointError(f"{path}: expected a state dict, found {type(content).__name__}")
    assert isinstance(content, Mapping)
    given = {name.removeprefix("generator."): value for name, value in content.items()}
    try:
        options, side = _options(given, _config(path))
        classes = given["embeddings.weight"].shape[1]
        generator = BigGANDeepGenerator(image_size=side, num_classes=classes, **options)
    except KeyError as error:
        raise CheckpointError(
            f"{path}: expected a generator of BigGAN-deep, but there is no {error.args[0]!r}"
        ) from error
    except OptionError as error:
        raise CheckpointError(f"{path}: {error}") from error
    expected = {name: value.shape for name, value in generator.state_dict().items()}
    differing = [
        name for name in {**expected, **given} if expected.get(name) != getattr(given.get(name), "shape", None)
    ]
    if differing:
        raise CheckpointError(f"{path}: expected a generator of BigGAN-deep; differing: {few(differing)}")
    settings: dict[str, Any] = {f"translator.generator.{name}": value for name, value in options.items()}
    settings |= {"data.size": side, "data.classes": [f"class{index}" for index in range(classes)]}
    weights = {f"generator.{name}": value.float() for name, value in given.items()}
    summary = f"BigGAN-deep, {side} px, {classes} classes; recipe biggan_deep"
    notes = (f"took {len(weights)} tensors", "there is no discriminator in such files")
    return Imported("biggan_deep", settings, weights, summary, 0, ("discriminators",), notes)


def _config(path: Path) -> dict[str, Any]:
    """Return the settings in the file next to a state dict; empty without it."""
    file = path.with_name("config.json")
    if not file.is_file():
        return {}
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        layers = content.get("layers", [])
        valid = isinstance(layers, list) and all(isinstance(one, list) and len(one) == 3 for one in layers)
    except (OSError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{file}: expected a JSON object: {error}") from error
    if not valid:
        raise CheckpointError(f"{file}: layers: expected a list of [doubles, inputs, outputs]")
    return content if isinstance(content, dict) else {}


def _options(given: Mapping[str, Tensor], config: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    """Return the options of the generator, and the side of its images, from the shapes of its tensors."""
    indices = sorted({int(match[1]) for name in given if (match := re.match(r"layers\.(\d+)\.", name))})
    blocks = [index for index in indices if f"layers.{index}.conv_0.weight_orig" in given]
    attention = [index for index in indices if f"layers.{index}.gamma" in given]
    channels = given["bn.weight"].shape[0]
    outputs = [given[f"layers.{index}.conv_3.weight_orig"].shape[0] // channels for index in blocks]
    unit = channels // max(outputs[-1], 1)
    doubled = [bool(one[0]) for one in config.get("layers", [])] or [number % 2 == 1 for number in range(len(blocks))]
    class_dim = given["embeddings.weight"].shape[0]
    return {
        "z_dim": given["gen_z.weight_orig"].shape[1] - class_dim,
        "class_dim": class_dim,
        "channels": unit,
        "inputs": [given[f"layers.{index}.conv_0.weight_orig"].shape[1] // unit for index in blocks],
        "outputs": [given[f"layers.{index}.conv_3.weight_orig"].shape[0] // unit for index in blocks],
        "doubled": doubled,
        "attention": attention[0] if attention else len(blocks),
        "entries": given["bn.running_means"].shape[0],
        "eps": float(config.get("eps", 1e-4)),
    }, 4 * 2 ** sum(doubled)
