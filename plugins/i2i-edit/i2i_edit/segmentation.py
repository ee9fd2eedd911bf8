"""Segmentation of generated images by classifiers of a generator's features, kept in a file of that generator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from i2i.core.spelling import did_you_mean
from i2i.data.decoding import decode
from i2i.data.label_maps import Color, classes_of, color_map, parse_colors
from i2i.errors import DataError, I2IError, OptionError
from i2i_edit.generator_files import GeneratorFile
from i2i_edit.pixel_classifier import PixelEnsemble, disagreement, image_uncertainty, vote
from i2i_edit.pixel_features import Upsampling, features_at, render
from i2i_edit.vectors import generator_hash

FILE = GeneratorFile("classifiers", "i2i-edit pixel classifiers 1", "classifiers of pixels", "these classifiers belong")
CLASSIFIERS = "pixel_classifiers.safetensors"
"""File of a run's classifiers inside its folder."""
AT_A_TIME = 2**22
"""Numbers of features that are classified at a time."""


@dataclass(frozen=True)
class Classes:
    """Classes of pixels, in the order of their numbers.

    Args:
        names: of the classes, such as `hair`.
        colors: their colours in label maps.
    """

    names: tuple[str, ...]
    colors: tuple[Color, ...]

    @classmethod
    def parse(cls, given: Sequence[tuple[str, str]], where: str) -> Classes:
        """Return classes of names and colours such as `("hair", "#7d4d2b")`.

        Args:
            given: names and colours in order.
            where: they come from, for messages.

        Raises:
            I2IError: fewer than two classes, an empty name, or a name or colour that is not valid or occurs twice.
        """
        names = tuple(name.strip() for name, _ in given)
        if len(names) < 2:
            raise I2IError(f"{where}: expected at least two classes with colours, got {len(names)}")
        if not all(names) or len(set(names)) < len(names):
            raise I2IError(f"{where}: expected a different name for each class, got {', '.join(map(repr, names))}")
        try:
            return cls(names, parse_colors("color", [color.strip() for _, color in given]))
        except OptionError as error:
            raise I2IError(f"{where}: {error}") from error

    @property
    def hex_colors(self) -> list[str]:
        """The colours as `#rrggbb`."""
        return ["#{:02x}{:02x}{:02x}".format(*color) for color in self.colors]

    def number(self, name: str) -> int:
        """Return the number of a class.

        Raises:
            I2IError: there is no such class.
        """
        if name not in self.names:
            near = did_you_mean(name, self.names)
            raise I2IError(f"there is no class {name!r}; classes: {', '.join(self.names)}{'.' + near if near else ''}")
        return self.names.index(name)

    def read(self, path: Path, size: tuple[int, int], tolerance: int = 0) -> Tensor:
        """Read the class numbers [H, W] of a label map; see `numbers_of`."""
        return self.numbers_of(color_map(decode(path).pixels), size, path, tolerance)

    def numbers_of(self, image: Image.Image, size: tuple[int, int], where: object, tolerance: int = 0) -> Tensor:
        """Return the class numbers [H, W] of a label map.

        Args:
            image: with the colours of the classes.
            size: height and width that it must have.
            where: it comes from, for messages.
            tolerance: largest difference of a channel from a class's colour; soft brushes need some.

        Raises:
            DataError: it has another size, or a colour of no class.
        """
        if (image.height, image.width) != tuple(size):
            raise DataError(
                f"{where}: expected a label map of {size[1]} x {size[0]} pixels, as large as the run's images, got "
                f"{image.width} x {image.height}"
            )
        try:
            numbers = classes_of(image.convert("RGB"), self.colors, tolerance)
        except DataError as error:
            raise DataError(f"{where}: {error}; classes: {', '.join(self.described)}") from error
        return torch.from_numpy(numbers[..., 0].astype(np.int64))

    @property
    def described(self) -> list[str]:
        """Names with colours, for messages."""
        return [f"{name} {color}" for name, color in zip(self.names, self.hex_colors, strict=True)]

    def image_of(self, numbers: Tensor) -> Image.Image:
        """Return class numbers [H, W] in the colours of the classes."""
        return Image.fromarray(np.asarray(self.colors, np.uint8)[numbers.cpu().numpy()])


class Segmentation(NamedTuple):
    """Classes of an image's pixels.

    Args:
        labels: class numbers [H, W].
        divergence: disagreement of the classifiers [H, W], see `disagreement`.
        uncertainty: of the image, see `image_uncertainty`.
    """

    labels: Tensor
    divergence: Tensor
    uncertainty: float


class Segmenter:
    """Segments images of one generator.

    Args:
        translator: of a run whose generator has styles.
        ensemble: classifiers of its features.
        classes: of the pixels.

    Raises:
        I2IError: the classifiers take another number of features than the generator has.
    """

    def __init__(self, translator: Any, ensemble: PixelEnsemble, classes: Classes) -> None:
        like = next(translator.generator.parameters())
        self.translator, self.classes = translator, classes
        self.ensemble = ensemble.to(like.device, like.dtype).eval().requires_grad_(False)
        with torch.no_grad():
            rendered = render(translator, average_styles(translator))
        self.size = (rendered.image.shape[2], rendered.image.shape[3])
        found = sum(one.shape[1] for one in rendered.features)
        if found != ensemble.in_features:
            raise I2IError(
                f"these classifiers take {ensemble.in_features} features of a pixel, and this generator has {found}: "
                "they belong to another generator"
            )

    @torch.no_grad()
    def segment(self, features: list[Tensor], size: tuple[int, int], mode: Upsampling = "bilinear") -> Segmentation:
        """Return the classes that most classifiers choose for the pixels of an image.

        Args:
            features: of one image, as `render` gives them.
            size: height and width of the image.
            mode: how features are upsampled.
        """
        labels, divergences = [], []
        count = size[0] * size[1]
        for pixels in torch.arange(count, device=features[0].device).split(AT_A_TIME // self.ensemble.in_features + 1):
            logits = self.ensemble(features_at(features, size, pixels, mode))
            labels.append(vote(logits))
            divergences.append(disagreement(logits))
        divergence = torch.cat(divergences)
        return Segmentation(torch.cat(labels).view(size), divergence.view(size), image_uncertainty(divergence))

    def save(self, path: Path) -> None:
        """Write the classifiers as safetensors with the generator's hash and the classes."""
        facts = {
            "generator": generator_hash(self.translator.generator),
            "in_features": self.ensemble.in_features,
            "members": len(self.ensemble.members),
            "classes": list(zip(self.classes.names, self.classes.hex_colors, strict=True)),
        }
        FILE.write(path, self.ensemble.state_dict(), facts)

    @classmethod
    def load(cls, translator: Any, path: Path) -> Segmenter:
        """Read classifiers.

        Raises:
            I2IError: there are none, the file is something else, or they belong to another generator.
        """
        if not path.is_file():
            raise I2IError(
                f"{path}: expected classifiers of pixels, found nothing; label samples and train them with "
                "i2i dataset-gan"
            )

        def parsed(facts: dict[str, Any], state: dict[str, Tensor]) -> tuple[PixelEnsemble, Classes]:
            classes = Classes.parse([(str(name), str(color)) for name, color in facts["classes"]], str(path))
            ensemble = PixelEnsemble(int(facts["in_features"]), len(classes.names), int(facts["members"]))
            ensemble.load_state_dict(state)
            return ensemble, classes

        return cls(translator, *FILE.read(path, generator_hash(translator.generator), parsed))


def average_styles(translator: Any) -> Tensor:
    """Return the average style vectors [1, num_ws, w_dim] of a generator."""
    average: Tensor = translator.generator.mapping.w_avg
    return average.expand(1, translator.generator.num_ws, -1).clone()
