"""The attributes of a drawn character, and the geometry that its photo and its drawing share."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self, get_args

import numpy as np

from i2i.demo.canvas import Canvas, Color, Outline, Plane, Point, directions, mirrored

Style = Literal["buzz", "short", "spiky", "bob", "long", "wavy", "bun", "ponytail", "curly"]
Fringe = Literal["full", "side", "curtain", "back"]
Mouth = Literal["neutral", "smile", "open"]
Collar = Literal["crew", "vee", "shirt", "turtleneck"]

# From light to deep; a character's tone lies anywhere between two neighbours.
SKINS = ("#fbdcc4", "#f2c5a0", "#e3ab80", "#c98d5f", "#a76b43", "#7e4c30", "#5a3423")
NATURAL_HAIR = ("#1d1819", "#33221c", "#553522", "#7d4d2b", "#a2432a", "#c9772f", "#d9a94f", "#ecd9a4", "#a9a8ab")
VIVID_HAIR = ("#e8759f", "#3f74d6", "#27a39b", "#8152c4", "#4d9a4a", "#cf2f42")
EYES = ("#4a2c1b", "#6b4022", "#8a6a2c", "#4f8250", "#3a7fb8", "#6e8796", "#7a55b0")
MIDDLE: Point = (0.0, -0.03)  # mean place of the heads
SHIRTS = ("#f3f1ec", "#2f3440", "#c8473f", "#2f6fae", "#3c8a68", "#e3b23c", "#8a5aa5", "#d98aa0", "#7b8a94", "#e2793a")


def rgb(code: str) -> Color:
    """`#rrggbb` as three numbers in [0, 1]."""
    red, green, blue = (int(code[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue


def hsv(hue: float, saturation: float, value: float) -> Color:
    """Converts HSV to RGB, each argument in [0, 1]; the hue wraps around."""
    return colorsys.hsv_to_rgb(hue % 1, saturation, value)


@dataclass(frozen=True)
class Character:
    """What a photo and a drawing of one character share.

    Lengths are in units of half the image, angles in rad, colours in [0, 1].

    Args:
        skin: colour.
        hair: colour.
        eyes: colour of the irises.
        shirt: colour.
        style: of the hair.
        fringe: of the hair.
        mouth: expression.
        collar: of the shirt.
        glasses: whether it wears glasses.
        beard: whether it has a beard.
        freckles: whether it has freckles.
        side: 1 or -1, the side on which the hair is parted and a ponytail falls.
        strands: seed of the details of the hair.
        face_width: 1 is the average.
        jaw: 0 is narrow, 1 is square.
        center: of the head.
        tilt: of the head.
        scale: of the head.
        hue: of the background, in [0, 1].
        light: direction of the light, -1 left to 1 right; only used in photos.
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
        """The character that follows from a seed, the same in every process and on every machine."""
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

    def posed(self, factor: float, zoom: float = 1) -> Self:
        """The character `zoom` times as large, with `factor` times its tilt and its distance from the mean place."""
        x, y = (middle + factor * (place - middle) for place, middle in zip(self.center, MIDDLE, strict=True))
        return replace(self, center=(x, y), tilt=factor * self.tilt, scale=zoom * self.scale)


# Right halves in the head's frame, from the crown down; the skull's top is at -0.55, the chin at 0.52.
BACKS: dict[Style, list[Point]] = {
    "buzz": [(0, -0.6), (0.2, -0.575), (0.345, -0.46), (0.41, -0.25), (0.405, -0.06), (0.36, 0.05), (0.2, 0.1)],
    "short": [(0, -0.68), (0.22, -0.655), (0.39, -0.52), (0.455, -0.3), (0.44, -0.08), (0.38, 0.08), (0.2, 0.15)],
    "spiky": [(0, -0.7), (0.24, -0.67), (0.42, -0.52), (0.48, -0.3), (0.45, -0.08), (0.39, 0.1), (0.2, 0.15)],
    "bob": [(0, -0.68), (0.24, -0.65), (0.42, -0.5), (0.5, -0.25), (0.535, 0.05), (0.54, 0.3), (0.46, 0.47), (0, 0.5)],
    "long": [(0, -0.68), (0.24, -0.65), (0.42, -0.5), (0.49, -0.25), (0.52, 0.1), (0.55, 0.5), (0.6, 1.0), (0, 1.3)],
    "wavy": [(0, -0.69), (0.26, -0.66), (0.46, -0.5), (0.55, -0.22), (0.6, 0.1), (0.64, 0.5), (0.66, 0.8), (0, 1.2)],
    "bun": [(0, -0.63), (0.22, -0.605), (0.38, -0.48), (0.43, -0.27), (0.415, -0.06), (0.36, 0.06), (0.2, 0.12)],
    "ponytail": [(0, -0.64), (0.22, -0.61), (0.38, -0.48), (0.435, -0.27), (0.42, -0.06), (0.36, 0.06), (0.2, 0.12)],
    "curly": [(0, -0.76), (0.28, -0.72), (0.49, -0.56), (0.6, -0.3), (0.6, -0.02), (0.53, 0.2), (0.36, 0.3), (0, 0.3)],
}
# The right half of the window in the hair through which the face is seen, down to where the hair's sides begin.
FRINGES: dict[Fringe, list[Point]] = {
    "full": [(0, -0.17), (0.16, -0.165), (0.28, -0.11)],
    "side": [(0, -0.26), (0.13, -0.36), (0.25, -0.27)],
    "curtain": [(0, -0.4), (0.1, -0.29), (0.24, -0.14)],
    "back": [(0, -0.41), (0.16, -0.395), (0.29, -0.29)],
}
SWEPT: list[Point] = [(-0.12, -0.2), (-0.26, -0.09)]  # the left half of a fringe combed to the side
LOOSE: tuple[Style, ...] = ("bob", "long", "wavy")  # hair that hangs down along the cheeks
COVERED: tuple[Style, ...] = (*LOOSE, "curly")  # hair that covers the ears


@dataclass(frozen=True)
class Hair:
    """Outlines of a character's hair.

    Args:
        back: all hair that is not tied up.
        window: the opening through which the face is seen.
        tied: a bun or a ponytail, behind the rest.
        behind: whether the hair falls behind the shoulders instead of in front of them.
    """

    back: Outline
    window: Outline
    tied: tuple[Outline, ...]
    behind: bool


def hair_of(character: Character, pointed: bool) -> Hair:
    """The hair's outlines, whose locks end in points (drawing) or in soft waves (photo)."""
    rng = np.random.Generator(np.random.PCG64(character.strands))
    style, width = character.style, character.face_width
    angle = directions()
    from_below = np.arccos(np.sin(angle))
    bumps, phase = rng.integers(15, 20), rng.uniform()

    def locks(number: int) -> Plane:
        """Tips at 1, rounded gaps between them at 0, no two locks alike."""
        place = angle * (number / (2 * np.pi)) + phase + 0.28 * np.sin(3 * angle + 6 * phase)
        # Each lock leans away from the parting: its tip is not above its middle.
        tip = 0.5 + 0.09 * character.side
        rise = np.interp(place % 1, [0, tip, 1], [0, 1, 0]).astype(np.float32)
        lengths: Plane = rise**1.5 * (0.8 + 0.2 * np.sin(7 * angle + phase))
        return lengths

    ripple = sum(rng.uniform(-1, 1) * np.cos(k * angle + rng.uniform(0, 6.3)) for k in (7, 11, 17, 23))
    wobble = 0.004 * ripple
    if style == "curly":
        wobble = wobble + 0.03 * np.abs(np.sin(angle * (bumps / 2) + phase))
    elif style == "spiky":
        wobble = wobble + (0.15 if pointed else 0.1) * locks(13) * np.clip(0.3 - np.sin(angle), 0, 1)
    elif style == "wavy":
        wobble = wobble + 0.022 * np.sin(19 * from_below + 6 * phase) * np.clip(2 - from_below, 0, 1)
    elif style in LOOSE:
        wobble = wobble + (0.08 if pointed else 0.02) * locks(19) * np.clip(2 * np.sin(angle) - 0.8, 0, 1)
    back = Outline.through([(x * width, y) for x, y in mirrored(BACKS[style])], (0, -0.1), 0.05, wobble)

    fringe = FRINGES["back"] if style == "buzz" else FRINGES[character.fringe]
    side = 0.335 if style in COVERED else 0.385
    flank: list[Point] = [(side, -0.0), (side + 0.01, 0.2), (side, 0.45), (side - 0.02, 0.7), (side, 1.4)]
    if style not in COVERED:
        flank = [(side - 0.02, -0.1), (side + 0.04, 0.1), (0.6, 0.3), (0.6, 0.7), (0.3, 1.4)]
    points = mirrored([*fringe, *flank])
    if character.fringe == "side" and style != "buzz":
        points = [*fringe, *SWEPT, *flank, *[(-x, y) for x, y in flank]]
    points = [(character.side * x * width, y) for x, y in points]
    depth = {"full": 0.12, "side": 0.12, "curtain": 0.08, "back": 0.0}[character.fringe] * (style != "buzz")
    upper = np.clip(-2.2 * np.sin(angle) - 0.5, 0, 1)
    # The locks' mean stays where the hairline is, so that both manners show as much forehead.
    teeth = (0.35 - locks(16)) * (depth if pointed else 0.4 * depth) * upper
    window = Outline.through(points, (0, 0.1), 0.03 if pointed else 0.06, teeth + 0.003 * ripple * upper)

    tied: tuple[Outline, ...] = ()
    if style == "bun":
        tied = (_blob((character.side * 0.06, -0.67), (0.2, 0.17), 0.006 * ripple),)
    elif style == "ponytail":
        tail = [(0.28, -0.5), (0.44, -0.53), (0.58, -0.42), (0.65, -0.15), (0.67, 0.15), (0.62, 0.42), (0.56, 0.62)]
        tail += [(0.5, 0.42), (0.46, 0.15), (0.42, -0.1), (0.34, -0.3)]
        tied = (Outline.through([(character.side * x, y) for x, y in tail], (character.side * 0.54, 0.0), 0.04),)
    return Hair(back, window, tied, behind=character.strands % 2 == 0)


def face_of(character: Character, pointed: bool) -> Outline:
    """The head's skin; a drawn one is wider at the cheeks and ends in a pointed chin."""
    width, jaw = character.face_width, character.jaw
    half: list[Point] = [(0, -0.55), (0.22, -0.52), (0.36, -0.36), (0.395, -0.1)]
    if pointed:
        half += [(0.4, 0.05), (0.375, 0.2), (0.29 + 0.02 * jaw, 0.34), (0.1 + 0.035 * jaw, 0.49), (0, 0.53)]
    else:
        half += [(0.38, 0.1), (0.315 + 0.035 * jaw, 0.29), (0.2 + 0.065 * jaw, 0.44), (0.09 + 0.04 * jaw, 0.53)]
        half += [(0, 0.55)]
    return Outline.through([(x * width, y) for x, y in mirrored(half)], (0, 0), 0.05 if pointed else 0.09)


def _blob(center: Point, radius: Point, wobble: Plane) -> Outline:
    turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    points = [(center[0] + radius[0] * float(np.cos(t)), center[1] + radius[1] * float(np.sin(t))) for t in turn]
    return Outline.through(points, center, 0.0, wobble)


def shoulders(canvas: Canvas, width: float) -> Plane:
    """Distance to the torso, in the body's frame."""
    return np.minimum(canvas.ellipse((0, 1.3), (width, 0.62)), canvas.ellipse((0, 1.1), (0.6 * width, 0.47)))


def neckline(canvas: Canvas, collar: str, neck: float) -> Plane:
    """Distance to where a collar leaves the skin bare, in the body's frame."""
    if collar in ("vee", "shirt"):
        foot = 0.93 if collar == "vee" else 0.81
        slope = np.abs(canvas.x) - (foot - canvas.y) * (neck + 0.03) / 0.3
        bare: Plane = np.maximum(slope * 0.85, 0.3 - canvas.y)
        return bare
    if collar == "turtleneck":
        return canvas.y - 0.56
    return canvas.ellipse((0, 0.6), (neck + 0.08, 0.16))


def flaps(canvas: Canvas, bare: Plane, neck: float) -> Plane:
    """Distance to the two flaps of a shirt's collar, next to the bare skin."""
    x, y = np.abs(canvas.x), canvas.y
    outer = 0.9 * (x - neck - 0.1) + 0.2 * (y - 0.62)
    lower = 0.85 * (y - 0.81 - 0.5 * x)
    distance: Plane = np.maximum(np.maximum(-bare, outer), np.maximum(0.58 + 0.25 * (x - neck) - y, lower))
    return distance
