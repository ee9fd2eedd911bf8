"""What is true of a drawn character: attributes by name, as tags, numbers and a caption."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Mapping, Sequence
from random import Random

from i2i.demo.canvas import Color
from i2i.demo.character import EYES, NATURAL_HAIR, VIVID_HAIR, Character, hsv, rgb

HAIR_COLORS: Mapping[str, str] = dict(
    zip(NATURAL_HAIR, ("black", "black", "brown", "brown", "red", "orange", "blond", "blond", "grey"), strict=True)
) | dict(zip(VIVID_HAIR, ("pink", "blue", "green", "purple", "green", "red"), strict=True))
"""Names of the hair colours that characters have."""
EYE_COLORS: Mapping[str, str] = dict(
    zip(EYES, ("brown", "brown", "brown", "green", "blue", "grey", "purple"), strict=True)
)
BACKGROUNDS = ("red", "orange", "green", "blue", "purple", "pink")
"""Names of the hues of backgrounds."""
LONG = ("long", "wavy")
"""Styles of long hair."""
COLOR_NAMES = tuple(dict.fromkeys(HAIR_COLORS.values()))
TAGS: tuple[str, ...] = ("glasses", "beard", "smile", "open_mouth", "long_hair", *(f"{c}_hair" for c in COLOR_NAMES))
"""Names of the attributes that a character has or has not."""
NUMBERS: tuple[str, ...] = (
    *("hair_red", "hair_green", "hair_blue", "skin_light", "background_red", "background_green", "background_blue"),
    *("x", "y", "tilt", "scale"),
)
"""Names of the attributes that are numbers."""
WORDS: tuple[str, ...] = (
    "(none)",
    *dict.fromkeys((*COLOR_NAMES, *EYE_COLORS.values(), *BACKGROUNDS)),
    *("hair", "eyes", "background", "glasses", "no", "beard", "smile", "open", "mouth"),
    *("short", "long", "wavy", "curly", "spiky", "bob", "bun", "ponytail", "buzz"),
)
"""All words of captions; the first one fills the place after a caption."""
LONGEST = 16
"""Largest number of words of a caption."""


def attributes(character: Character) -> dict[str, float]:
    """Return the attributes of a character by name: all of `TAGS`, 0 or 1, and all of `NUMBERS`.

    Colours are in [0, 1], `x` and `y` (the place of the head) in units of half the image, `tilt` in rad, clockwise.
    `skin_light` is the mean of the skin's channels.
    """
    tags = {
        "glasses": character.glasses,
        "beard": character.beard,
        "smile": character.mouth == "smile",
        "open_mouth": character.mouth == "open",
        "long_hair": character.style in LONG,
    }
    tags |= {f"{name}_hair": name == hair_color(character) for name in COLOR_NAMES}
    numbers = dict(zip(("hair_red", "hair_green", "hair_blue"), character.hair, strict=True))
    numbers["skin_light"] = sum(character.skin) / 3
    background = hsv(character.hue, 0.19, 0.96)
    numbers |= dict(zip(("background_red", "background_green", "background_blue"), background, strict=True))
    numbers |= {"x": character.center[0], "y": character.center[1]}
    numbers |= {"tilt": character.tilt, "scale": character.scale}
    return {name: float(value) for name, value in {**tags, **numbers}.items()}


def hair_color(character: Character) -> str:
    """Return the name of a character's hair colour: that of the nearest colour that hair is drawn in."""
    return _nearest(character.hair, HAIR_COLORS)


def eye_color(character: Character) -> str:
    """Return the name of a character's eye colour: that of the nearest colour that eyes are drawn in."""
    return _nearest(character.eyes, EYE_COLORS)


def hue_of(color: Sequence[float]) -> float:
    """Return the hue of red, green and blue in [0, 1], in degrees: 0 for red, 120 for green, 240 for blue."""
    red, green, blue = (min(max(float(channel), 0.0), 1.0) for channel in color)
    return 360 * colorsys.rgb_to_hsv(red, green, blue)[0]


def caption_parts(character: Character) -> tuple[str, ...]:
    """Return all that a caption can say of a drawing, such as "red hair" and "glasses"."""
    background = BACKGROUNDS[sum(character.hue >= edge for edge in (0.045, 0.2, 0.45, 0.7, 0.83)) % 6]
    if character.hue >= 0.96:
        background = "red"
    parts = [f"{hair_color(character)} hair", _style(character), "glasses" if character.glasses else "no glasses"]
    parts += ["beard"] if character.beard else []
    parts += {"smile": ["smile"], "open": ["open mouth"], "neutral": []}[character.mouth]
    return (*parts, f"{eye_color(character)} eyes", f"{background} background")


def caption(character: Character, seed: int | None = None) -> str:
    """Return a caption of a character's drawing, such as "red hair, bob, glasses".

    Args:
        character: who.
        seed: draws some of the parts, at least one, in any order; None for all parts.

    Example:
        >>> caption(Character.drawn_from([0, 1]))
        'blond hair, buzz, no glasses, smile, brown eyes, green background'
    """
    parts = list(caption_parts(character))
    if seed is not None:
        draws = Random(seed)
        parts = draws.sample(parts, draws.randint(1, len(parts)))
    return ", ".join(parts)


def _style(character: Character) -> str:
    hair = ("short", "long", "wavy", "curly", "spiky")
    return f"{character.style} hair" if character.style in hair else character.style


def _nearest(color: Color, names: Mapping[str, str]) -> str:
    return names[min(names, key=lambda code: math.dist(rgb(code), color))]
