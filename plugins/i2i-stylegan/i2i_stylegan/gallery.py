"""The gallery: a panel of `i2i serve` with images from seeds, truncation, mixing and breeding."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from i2i.core.panels import Action
from i2i.data.images import to_image
from i2i.errors import I2IError
from i2i.use.serving import panel_values as values_of
from i2i_stylegan.latents import images_of, mix, mutated
from i2i_stylegan.style_translators import StyleGAN
from i2i_stylegan.translators import GAN

MOST = 64
"""Images that one request may ask for."""


class Gallery:
    """Images of a run that generates them from noise; mixing and breeding where its generator has styles."""

    title = "Gallery"
    folder = Path(__file__).parent / "gallery_page"

    def __init__(self, model: Any) -> None:
        self.model, self.translator = model, model.translator
        self.styled = isinstance(self.translator, StyleGAN)

    @classmethod
    def accepts(cls, model: Any) -> bool:
        """Return whether a run generates images from noise."""
        return isinstance(model.translator, GAN)

    @property
    def actions(self) -> Mapping[str, Action]:
        """Functions by the name under which the page calls them."""
        return {"info": self.info, "sample": self.sample, "mix": self.mix, "breed": self.breed}

    def info(self, values: dict[str, Any]) -> dict[str, Any]:
        """Say what the run has: size of the images, number of layers with styles, classes."""
        return {
            "size": self.model.recipe.image_size[0],
            "layers": self.translator.generator.num_ws if self.styled else 0,
            "truncation": "truncation" in self._conditions(),
            "classes": self.translator.num_classes,
        }

    def sample(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return the images of `seeds` with `truncation` and `class`."""
        seeds = values_of.wholes(values, "seeds", most=MOST)
        condition: dict[str, Any] = {}
        if (classes := self._classes(values)) is not None:
            condition["classes"] = classes
        if "truncation" in self._conditions():
            condition["truncation"] = self._truncation(values)
        with torch.inference_mode():
            images = torch.cat([self.translator.sample([seed], **condition).float().cpu() for seed in seeds])
        return {"images": [to_image(image) for image in images]}

    def mix(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return the image of the seed `row` with `layers` of the seed `column`."""
        row, column = (values_of.whole(values, name) for name in ("row", "column"))
        layers = values_of.wholes(values, "layers", most=MOST)
        found = mix(self.model, [row], [column], layers, self._truncation(values), self._classes(values))
        return {"image": to_image(found.mixed[0, 0])}

    def breed(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return `count` children of `parents`, each a table of `weight` and of a `seed` or of styles `ws`.

        Each child comes with its own `ws`, so that it can be a parent in another request.
        """
        if not self.styled:
            raise I2IError("breed: needs a generator with styles, such as StyleGAN2")
        parents = values.get("parents")
        if (
            not isinstance(parents, list)
            or not 1 <= len(parents) <= MOST
            or not all(isinstance(p, dict) for p in parents)
        ):
            raise I2IError(f"parents: expected a list of 1 to {MOST} objects with weight and seed or ws")
        truncation = self._truncation(values)
        weights = [values_of.number(parent, "weight", 0, 1e3, default=1.0) for parent in parents]
        if not sum(weights):
            raise I2IError("parents: expected a weight above 0")
        count = values_of.whole(values, "count", 1, MOST, default=4)
        mutation = values_of.number(values, "mutation", 0, 10, default=0.0)
        seed = values_of.whole(values, "seed", default=0)
        with torch.inference_mode():
            styles = torch.stack([self._styles(parent, truncation, self._classes(values)) for parent in parents])
            shares = styles.new_tensor(weights) / sum(weights)
            ws = (styles * shares[:, None, None]).sum(0)
            children = mutated(self.translator, ws, mutation, count, seed, truncation)
            images = images_of(self.translator, children)
        found = zip(images, children.float().cpu(), strict=True)
        return {"children": [{"image": to_image(image), "ws": one.tolist()} for image, one in found]}

    def _styles(self, parent: Mapping[str, Any], truncation: float, classes: tuple[int, ...] | None) -> Tensor:
        """Return the style vectors [L, w_dim] of one parent."""
        like = next(self.translator.parameters())
        if "ws" not in parent:
            found: Tensor = self.translator.styles([values_of.whole(parent, "seed")], classes, truncation)[0]
            return found
        shape = (self.translator.generator.num_ws, self.translator.generator.w_dim)
        try:
            ws = torch.tensor(parent["ws"], dtype=like.dtype, device=like.device)
        except (TypeError, ValueError, RuntimeError, OverflowError) as error:
            raise I2IError(f"ws: expected {shape[0]} lists of {shape[1]} numbers") from error
        if ws.shape != shape or not ws.isfinite().all():
            raise I2IError(f"ws: expected {shape[0]} lists of {shape[1]} numbers, got the shape {list(ws.shape)}")
        return ws

    def _truncation(self, values: Mapping[str, Any]) -> float:
        return values_of.number(values, "truncation", -10, 10, default=1.0)

    def _classes(self, values: Mapping[str, Any]) -> tuple[int, ...] | None:
        if not self.translator.num_classes or values.get("class") is None:
            return None
        return (values_of.whole(values, "class", 0, self.translator.num_classes - 1),)

    def _conditions(self) -> Mapping[str, Any]:
        return inspect.signature(self.translator.sample).parameters
