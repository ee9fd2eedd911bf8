"""The geometry that both manners of drawing share: the head, the mass of hair, the shoulders."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from i2i.demo.drawn.canvas import Canvas, Outline, Plane, Point, directions, mirrored
from i2i.demo.drawn.character import Character, Fringe, Style

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
LOOSE: tuple[Style, ...] = ("bob", "long", "wavy")  # hair that hangs beside the cheeks
COVERED: tuple[Style, ...] = (*LOOSE, "curly")  # hair that covers the ears


@dataclass(frozen=True)
class Hair:
    """The mass of a character's hair.

    Args:
        back: all of it but what is tied up.
        window: the face's opening in it.
        tied: a bun or a ponytail, behind the rest.
        behind: whether it falls behind the shoulders instead of before them.
    """

    back: Outline
    window: Outline
    tied: tuple[Outline, ...]
    behind: bool


def hair_of(character: Character, pointed: bool) -> Hair:
    """The hair's outlines, their locks ending in points or in soft waves."""
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
    """Distance to the two flaps of a shirt's collar, beside the bare skin."""
    x, y = np.abs(canvas.x), canvas.y
    outer = 0.9 * (x - neck - 0.1) + 0.2 * (y - 0.62)
    lower = 0.85 * (y - 0.81 - 0.5 * x)
    distance: Plane = np.maximum(np.maximum(-bare, outer), np.maximum(0.58 + 0.25 * (x - neck) - y, lower))
    return distance
