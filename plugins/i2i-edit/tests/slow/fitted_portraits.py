"""A StyleGAN2 of drawn portraits with known attributes: its latent codes say which character it draws.

Its generator is fitted by regression: a code decides a character, and the generator learns the character's drawing.
That takes minutes on a CPU, where adversarial training takes an hour, and what each image shows is known. As StyleGANs
are trained with mixed styles, each drawing of the regression has its shapes from one code and its colours from another.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from i2i.data.pixels import to_tensor
from i2i.demo.anime import anime
from i2i.demo.attribute_network import AttributeNetwork, train_attribute_network
from i2i.demo.canvas import Color
from i2i.demo.character import SKINS, Character, rgb
from i2i.demo.label_map import CLASSES, label_map
from i2i.methods.assembly import build
from i2i.recipe.recipe import Recipe
from i2i.use.loaded import Loaded

HAIR = ("#1d1819", "#553522", "#cf2f42", "#d9a94f", "#3f74d6", "#4d9a4a")
EYES = ("#4a2c1b", "#3a7fb8")
SHIRTS = ("#f3f1ec", "#c8473f", "#2f6fae")
SIZE, Z_DIM = 32, 17
"""Side of the images in pixels, and length of the codes."""
CROSSOVER = 4
"""Style vectors from this number on decide colours in the fitted drawings, those before it decide shapes."""
DETAILS, WEIGHT = ("glasses", "mouth"), 4
"""Classes of thin lines, and the weight that is added where some of the drawings have them."""
ATTRIBUTES = "attributes.safetensors"
"""File of the network that measures drawings."""
SETTINGS: dict[str, Any] = {
    "translator.generator.z_dim": Z_DIM,
    "translator.generator.w_dim": 64,
    "translator.generator.channel_base": 1024,
    "translator.generator.channel_max": 64,
    "translator.generator.mapping_layers": 4,
    "translator.generator.use_noise": False,
}


def mixed(colors: tuple[str, ...], weights: np.ndarray, sharpness: float = 4.0) -> Color:
    """A mixture of colours that is mostly one of them."""
    shares = np.exp(sharpness * (weights - weights.max()))
    red, green, blue = (shares / shares.sum()) @ np.array([rgb(color) for color in colors])
    return float(red), float(green), float(blue)


def character_of(code: Tensor) -> Character:
    """The character of a latent code [Z_DIM], whose length does not matter."""
    z = (code.double() / code.double().square().mean().sqrt()).numpy()

    def uniform(value: float) -> float:
        return 0.5 * (1 + math.erf(value / math.sqrt(2)))

    tone = uniform(z[6]) * (len(SKINS) - 1.001)
    light, deep = rgb(SKINS[int(tone)]), rgb(SKINS[int(tone) + 1])
    red, green, blue = (a + (tone % 1) * (b - a) for a, b in zip(light, deep, strict=True))
    return Character(
        skin=(red, green, blue),
        hair=mixed(HAIR, z[:6]),
        eyes=mixed(EYES, z[7:9]),
        shirt=mixed(SHIRTS, z[9:12]),
        style="long" if z[12] > 0 else "short",
        fringe="full",
        mouth="open" if z[13] > 0 else "neutral",
        collar="crew",
        glasses=bool(z[14] > 0.3),
        beard=False,
        freckles=False,
        side=1,
        strands=4,
        face_width=1.0,
        jaw=0.5,
        center=(0.0, -0.03),
        tilt=0.0,
        scale=1.18,
        hue=math.atan2(z[15], z[16]) / (2 * math.pi) % 1,
        light=1.0,
    )


def mixed_character(shapes: Tensor, colors: Tensor) -> Character:
    """The character of one latent code [Z_DIM] in the colours of another."""
    shape = character_of(shapes)
    return replace(character_of(colors), style=shape.style, mouth=shape.mouth, glasses=shape.glasses)


def images_of(people: Iterable[Character]) -> Tensor:
    """The drawings [N, 3, 32, 32] in [-1, 1] of characters."""
    return torch.stack([to_tensor(anime(person, SIZE)) for person in people]) * 2 - 1


def labels_of(people: Iterable[Character]) -> Tensor:
    """The class numbers [N, 32, 32] of characters."""
    return torch.stack([torch.from_numpy(label_map(person, SIZE)).long() for person in people])


def drawn(codes: Tensor) -> tuple[Tensor, Tensor]:
    """The drawings and class numbers of codes."""
    people = [character_of(code) for code in codes]
    return images_of(people), labels_of(people)


def pixel_weights(labels: Tensor) -> Tensor:
    """Weights [H, W] of pixels with a mean of 1, larger where more than 2 % of label maps [N, H, W] have details."""
    details = torch.isin(labels, torch.tensor([CLASSES.index(name) for name in DETAILS]))
    weights = 1 + WEIGHT * (details.float().mean(0) > 0.02).float()
    return weights / weights.mean()


def fitted(folder: Path, count: int = 6000, steps: int = 6000, seed: int = 0) -> Loaded:
    """The generator, from the folder or fitted now."""
    recipe = Recipe.read("stylegan2_small", SETTINGS)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        translator: Any = build(recipe, training=False)
        weights = folder / "fitted.safetensors"
        if weights.is_file():
            translator.load_state_dict(load_file(weights))
            return Loaded(recipe, translator.eval().requires_grad_(False), steps)
        generator = translator.generator.train().requires_grad_(True)
        shapes, colors = torch.randn(2, count, Z_DIM, generator=torch.Generator().manual_seed(seed))
        people = [mixed_character(*codes) for codes in zip(shapes, colors, strict=True)]
        images, pixels = images_of(people), pixel_weights(labels_of(people[:1000]))
        # The mapping network's layers are used with a factor of 0.01, which a regression of this length must undo.
        groups = [
            {"params": generator.mapping.parameters(), "lr": 0.5},
            {"params": generator.synthesis.parameters(), "lr": 0.025},
        ]
        adam = torch.optim.Adam(groups, betas=(0.9, 0.99))
        schedule = torch.optim.lr_scheduler.OneCycleLR(adam, [0.5, 0.025], total_steps=steps, pct_start=0.05)
        for step in range(steps):
            chosen = torch.randint(count, (16,))
            coarse, fine = (generator.mapping(codes[chosen]) for codes in (shapes, colors))
            image = generator.synthesis(torch.cat([coarse[:, :CROSSOVER], fine[:, CROSSOVER:]], 1), "none")
            difference = image - images[chosen]
            loss = (pixels * (difference.abs() + difference.square())).mean()
            adam.zero_grad()
            loss.backward()
            adam.step()
            schedule.step()
            if step % 100 == 0:
                print(f"fit {step}: {float(loss.detach()):.4f}", flush=True)
    translator.eval().requires_grad_(False)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(translator.state_dict(), weights)
    return Loaded(recipe, translator, steps)


def measuring_network(folder: Path) -> AttributeNetwork:
    """The network of `i2i.demo`, from the folder or trained now."""
    weights = folder / ATTRIBUTES
    if weights.is_file():
        network = AttributeNetwork().eval().requires_grad_(False)
        network.load_state_dict(load_file(weights))
        return network
    network = train_attribute_network()
    folder.mkdir(parents=True, exist_ok=True)
    save_file(network.state_dict(), weights)
    return network
