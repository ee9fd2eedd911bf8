"""What both images of a character share: a handful of attributes drawn from a seed."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

import numpy as np

from i2i.demo.drawn.canvas import Color, Point

Style = Literal["buzz", "short", "spiky", "bob", "long", "wavy", "bun", "ponytail", "curly"]
Fringe = Literal["full", "side", "curtain", "back"]
Mouth = Literal["neutral", "smile", "open"]
Collar = Literal["crew", "vee", "shirt", "turtleneck"]

# From light to deep; a character's tone lies anywhere between two neighbours.
SKINS = ("#fbdcc4", "#f2c5a0", "#e3ab80", "#c98d5f", "#a76b43", "#7e4c30", "#5a3423")
NATURAL_HAIR = ("#1d1819", "#33221c", "#553522", "#7d4d2b", "#a2432a", "#c9772f", "#d9a94f", "#ecd9a4", "#a9a8ab")
VIVID_HAIR = ("#e8759f", "#3f74d6", "#27a39b", "#8152c4", "#4d9a4a", "#cf2f42")
EYES = ("#4a2c1b", "#6b4022", "#8a6a2c", "#4f8250", "#3a7fb8", "#6e8796", "#7a55b0")
SHIRTS = ("#f3f1ec", "#2f3440", "#c8473f", "#2f6fae", "#3c8a68", "#e3b23c", "#8a5aa5", "#d98aa0", "#7b8a94", "#e2793a")


def rgb(code: str) -> Color:
    """`#rrggbb` as three numbers in [0, 1]."""
    red, green, blue = (int(code[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue


def hsv(hue: float, saturation: float, value: float) -> Color:
    """A colour of the wheel, each argument in [0, 1]; the hue wraps round."""
    return colorsys.hsv_to_rgb(hue % 1, saturation, value)


@dataclass(frozen=True)
class Character:
    """One person of the small world, whatever the manner of drawing.

    Lengths are in units of half the image, angles in rad, colours in [0, 1].

    Args:
        skin, hair, eyes, shirt: colours.
        side: 1 or -1, to which side the hair is parted and a ponytail falls.
        strands: a seed for the fall of the hair.
        face_width: 1 is the average.
        jaw: 0 tapers, 1 is square.
        center, tilt, scale: where the head is.
        hue: of the background, in [0, 1].
        light: where the light comes from, -1 left to 1 right; only a photo has one.
    """

    skin: Color
    hair: Color
    eyes: Color
    shirt: Color
    style: Style
    fringe: Fringe
    mouth: Mouth
    collar: Collar
    glasses: bool
    beard: bool
    freckles: bool
    side: int
    strands: int
    face_width: float
    jaw: float
    center: Point
    tilt: float
    scale: float
    hue: float
    light: float

    @classmethod
    def drawn_from(cls, seed: int | Sequence[int]) -> Self:
        """The character of a seed: the same in every process and on every machine."""
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))

        def pick(colors: Sequence[str]) -> Color:
            return rgb(colors[int(rng.integers(len(colors)))])

        def around(color: Color, spread: float) -> Color:
            red, green, blue = (float(np.clip(c + spread * rng.normal(), 0, 1)) for c in color)
            return red, green, blue

        def one_of(literal: object) -> Any:
            kinds = get_args(literal)
            return kinds[int(rng.integers(len(kinds)))]

        tone = float(rng.uniform(0, len(SKINS) - 1))
        light, deep = rgb(SKINS[int(tone)]), rgb(SKINS[int(tone) + 1])
        red, green, blue = (a + (tone % 1) * (b - a) for a, b in zip(light, deep, strict=True))
        style, jaw, vivid = one_of(Style), float(rng.uniform()), bool(rng.uniform() < 0.28)
        bearded = not vivid and jaw > 0.35 and style in ("buzz", "short", "spiky", "curly")
        return cls(
            skin=around((red, green, blue), 0.012),
            hair=around(pick(VIVID_HAIR if vivid else NATURAL_HAIR), 0.015),
            eyes=around(pick(EYES), 0.02),
            shirt=around(pick(SHIRTS), 0.02),
            style=style,
            fringe=one_of(Fringe),
            mouth=one_of(Mouth),
            collar=one_of(Collar),
            glasses=bool(rng.uniform() < 0.22),
            beard=bool(rng.uniform() < 0.5) and bearded,
            freckles=bool(rng.uniform() < 0.15),
            side=1 if rng.uniform() < 0.5 else -1,
            strands=int(rng.integers(2**31)),
            face_width=float(rng.uniform(0.92, 1.06)),
            jaw=jaw,
            center=(float(rng.uniform(-0.07, 0.07)), float(rng.uniform(-0.08, 0.02))),
            tilt=float(np.clip(rng.normal() * 0.07, -0.16, 0.16)),
            scale=float(rng.uniform(1.1, 1.25)),
            hue=float(rng.uniform()),
            light=float(rng.choice([-1, 1]) * rng.uniform(0.35, 1.0)),
        )
