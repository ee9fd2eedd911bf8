"""Label maps of drawn characters: the class of each pixel of an anime drawing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from i2i.demo.anime import EYE, MOUTH, NECK
from i2i.demo.canvas import Canvas, Plane, Point
from i2i.demo.character import COVERED, Character, face_of, hair_of, neckline, shoulders

CLASSES = ("background", "skin", "hair", "eyes", "mouth", "glasses", "clothes")
"""Names of the classes, in the order of their numbers."""
COLORS = ("#dfe6ee", "#f2c5a0", "#7d4d2b", "#3a7fb8", "#c8473f", "#1d1819", "#3c8a68")
"""Colours that show them."""
_BACKGROUND, _SKIN, _HAIR, _EYES, _MOUTH, _GLASSES, _CLOTHES = range(len(CLASSES))


def label_map(character: Character, size: int) -> NDArray[np.int32]:
    """Return the class numbers of a character's drawing, [size, size].

    A pixel has the class of what `i2i.demo.anime.anime` draws last at its centre; outlines belong to what they enclose.
    Glasses and closed mouths, which are thinner than a pixel of small images, are at least a pixel wide. Beards are
    hair.

    Args:
        character: who.
        size: side in pixels.
    """
    canvas = Canvas.blank(size)
    labels = np.full((size, size), _BACKGROUND, np.int32)
    head = canvas.frame(character.center, character.tilt, character.scale)
    body = canvas.frame(character.center, 0.0, character.scale)
    half_pixel = abs(head.step) / 2

    def stamp(inside: NDArray[np.floating], number: int) -> None:
        labels[inside < 0] = number

    hair = hair_of(character, pointed=True)
    back = hair.back.distance(head)
    for tied in hair.tied:
        stamp(tied.distance(head), _HAIR)
    stamp(back, _HAIR)

    torso = shoulders(body, 0.78)
    stamp(np.minimum(body.box((0, 0.6), (NECK, 0.4), 0.03), torso), _SKIN)
    cloth = np.maximum(torso, -neckline(body, character.collar, NECK))
    if character.collar == "turtleneck":
        cloth = np.minimum(cloth, body.box((0, 0.72), (NECK + 0.025, 0.17), 0.03))
    stamp(cloth, _CLOTHES)

    if character.style not in COVERED:
        for side in (-1, 1):
            stamp(head.ellipse((side * 0.405 * character.face_width, 0.08), (0.06, 0.1)), _SKIN)
    edge = face_of(character, pointed=True).distance(head)
    stamp(edge, _SKIN)
    if character.beard:
        x, y = np.abs(head.x) * (1 / character.face_width), head.y
        cheek = 0.75 * (y - 0.335 + 0.35 * np.clip((x - 0.2) / 0.2, 0, 1) ** 1.5)
        stamp(np.maximum(np.maximum(-cheek, -head.ellipse((0, 0.305), (0.18, 0.112))), edge), _HAIR)
    for side in (-1, 1):
        x0, y0 = _eye(character, side)
        stamp(np.maximum(head.ellipse((x0, y0 + 0.005), (0.118, 0.14)), y0 - 0.115 - head.y), _EYES)
    stamp(_mouth(head, character, half_pixel), _MOUTH)
    if character.glasses:
        for side in (-1, 1):
            x0, y0 = _eye(character, side)
            lens = head.box((x0, y0 + 0.01), (0.155, 0.15), 0.11)
            stamp(np.abs(lens) - max(0.011, half_pixel), _GLASSES)
        stamp(head.arc((0, EYE[1]), 0.04, 0.012, max(0.024, 2 * half_pixel)), _GLASSES)

    front = np.maximum(back, -hair.window.distance(head))
    stamp(np.maximum(front, -shoulders(body, 0.78)) if hair.behind else front, _HAIR)
    return labels


def _eye(character: Character, side: int) -> Point:
    return side * EYE[0] * character.face_width, EYE[1]


def _mouth(head: Canvas, character: Character, half_pixel: float) -> Plane:
    """Return the distance to the mouth."""
    x, y = MOUTH
    if character.mouth == "open":
        return head.lens((x, y - 0.005), 0.075, 0.004, 0.065, 0.004)
    smiles = character.mouth == "smile"
    width = max(0.024, 4 * half_pixel)
    return head.arc((x, y), 0.09, -0.035, width) if smiles else head.arc((x, y + 0.006), 0.055, -0.01, width)
