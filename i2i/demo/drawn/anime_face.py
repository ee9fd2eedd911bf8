"""The face of a drawing: huge glossy eyes, and hardly a nose or a mouth."""

from __future__ import annotations

import numpy as np

from i2i.demo.drawn.canvas import Canvas, Color, Outline, Plane, Point
from i2i.demo.drawn.character import Character
from i2i.demo.drawn.shapes import COVERED

LINE = 0.017  # an outline's thickness in the head's frame
INK: Color = (0.13, 0.09, 0.12)
EYE: Point = (0.19, 0.11)
MOUTH: Point = (0, 0.385)


def toned(color: Color, level: float) -> Color:
    """The colour's shade (level below 1, a little cooler) or its light (above 1, towards white)."""
    if level > 1:
        share = min(1.0, level - 1)
        red, green, blue = (c + share * (1 - c) for c in color)
        return red, green, blue
    # A flat shadow that only darkens looks dirty; anime shadows keep their blue.
    return color[0] * level, color[1] * level**1.15, color[2] * level**0.9


def outlined_(canvas: Canvas, distance: Plane, color: Color) -> None:
    """A flat shape with an inked edge."""
    canvas.fill_(INK, canvas.cover(distance - LINE / 2))
    canvas.fill_(color, canvas.cover(distance + LINE / 2))


def face_(head: Canvas, character: Character, outline: Outline, shadow: Plane) -> None:
    """Paint the head's skin and everything on it; `shadow` is the distance to what the hair shades."""
    if character.style not in COVERED:
        for side in (-1, 1):
            center = (side * 0.405 * character.face_width, 0.08)
            ear = head.near(center, 0.14)
            outlined_(ear, ear.ellipse(center, (0.06, 0.1)), character.skin)
            ear.fill_(toned(character.skin, 0.78), ear.cover(ear.ellipse(center, (0.024, 0.055))))
    edge = outline.distance(head)
    outlined_(head, edge, character.skin)
    inner = head.cover(edge + LINE / 2)
    head.fill_(toned(character.skin, 0.8), inner * head.cover(shadow))
    face = head.near((0, 0.1), 0.46)
    if character.beard:
        _beard_(head, character, edge)
    for side in (-1, 1):
        cheek: Point = (side * 0.25 * character.face_width, 0.275)
        blush = face.near(cheek, 0.12)
        red: Color = (0.35 * character.skin[0] + 0.6, 0.45 * character.skin[1] + 0.12, 0.45 * character.skin[2] + 0.15)
        blush.fill_(red, 0.42 * blush.cover(blush.ellipse(cheek, (0.075, 0.035)), 0.03))
        if character.freckles:
            for x, y in ((-0.035, 0.0), (0.0, -0.012), (0.035, 0.004)):
                spot = blush.near((cheek[0] + x, cheek[1] + y), 0.02)
                dot = spot.circle((cheek[0] + x, cheek[1] + y), 0.009)
                spot.fill_(toned(character.skin, 0.55), spot.cover(dot))
        _eye_(face, character, side)
    nose = face.near((0, 0.29), 0.05)
    nose.fill_(toned(character.skin, 0.6), nose.cover(nose.stroke((0.006, 0.275), (-0.012, 0.295), 0.02, 0.4)))
    _mouth_(face, character)
    if character.glasses:
        _glasses_(face, character)


def _beard_(face: Canvas, character: Character, edge: Plane) -> None:
    x, y = np.abs(face.x) * (1 / character.face_width), face.y
    cheek = 0.75 * (y - 0.335 + 0.35 * np.clip((x - 0.2) / 0.2, 0, 1) ** 1.5)
    bare = face.ellipse((0, 0.305), (0.18, 0.112))
    region = np.maximum(np.maximum(-cheek, -bare), edge + LINE / 2)
    face.fill_(toned(character.hair, 0.8), face.cover(region))
    moustache = face.arc((0, 0.35), 0.09, 0.008, 0.03)
    face.fill_(toned(character.hair, 0.8), face.cover(moustache))


def _eye_(face: Canvas, character: Character, side: int) -> None:
    x, y = side * EYE[0] * character.face_width, EYE[1]
    eye = face.near((x, y), 0.22)
    color = character.eyes
    white = np.maximum(eye.ellipse((x, y + 0.005), (0.118, 0.14)), y - 0.115 - eye.y)
    alpha = eye.cover(white)
    eye.fill_((0.985, 0.985, 0.99), alpha)
    eye.fill_(toned(character.skin, 0.6), alpha * 0.45 * eye.cover(eye.y - y + 0.075))
    center: Point = (x - side * 0.008, y + 0.01)
    iris = eye.ellipse(center, (0.083, 0.122))
    eye.fill_(toned(color, 0.4), alpha * eye.cover(iris))
    inner = alpha * eye.cover(iris + 0.014)
    # Dark above and bright below, as if light came through the iris.
    rise = np.clip((eye.y - y + 0.09) / 0.2, 0, 1)
    for channel in range(3):
        shade = color[channel] * (0.5 + 0.75 * rise) + 0.22 * rise
        eye.image[channel] += inner * (shade - eye.image[channel])
    eye.fill_(toned(color, 0.25), inner * eye.cover(eye.ellipse((center[0], y), (0.036, 0.058))))
    glow = eye.ellipse((center[0], y + 0.09), (0.045, 0.026))
    eye.fill_(toned(color, 1.6), 0.75 * inner * eye.cover(glow, 0.01))
    eye.fill_((1, 1, 1), eye.cover(eye.ellipse((center[0] - 0.03, y - 0.045), (0.03, 0.036))))
    eye.fill_((1, 1, 1), 0.95 * eye.cover(eye.circle((center[0] + 0.034, y + 0.055), 0.015)))
    lash = eye.arc((x, y - 0.07), 0.135, 0.065, 0.058, slant=side * 0.012)
    eye.fill_(INK, eye.cover(lash))
    wing = eye.stroke((x + side * 0.105, y - 0.085), (x + side * 0.15, y - 0.125), 0.03, 0.8)
    eye.fill_(INK, eye.cover(wing))
    eye.fill_(INK, 0.8 * eye.cover(eye.arc((x + side * 0.012, y + 0.12), 0.075, -0.024, 0.018)))
    eye.fill_(toned(character.skin, 0.55), eye.cover(eye.arc((x, y - 0.13), 0.1, 0.04, 0.014)))


def brows_(head: Canvas, character: Character) -> None:
    """Eyebrows, which a drawing shows through the hair."""
    for side in (-1, 1):
        center: Point = (side * 0.185 * character.face_width, -0.105)
        brow = head.near(center, 0.15)
        arc = brow.arc(center, 0.105, 0.035, 0.026, slant=-side * 0.004)
        brow.fill_(toned(character.hair, 0.45), 0.8 * brow.cover(arc))


def _mouth_(face: Canvas, character: Character) -> None:
    x, y = MOUTH
    mouth = face.near((x, y), 0.14)
    line = toned(character.skin, 0.3)
    if character.mouth == "open":
        gap = mouth.lens((x, y - 0.005), 0.075, 0.004, 0.065, 0.004)
        mouth.fill_(INK, mouth.cover(gap - LINE / 2))
        mouth.fill_((0.62, 0.16, 0.2), mouth.cover(gap + LINE / 3))
        tongue = np.maximum(gap + LINE / 3, -mouth.ellipse((x, y + 0.01), (0.07, 0.03)))
        mouth.fill_((0.95, 0.5, 0.5), mouth.cover(tongue))
    elif character.mouth == "smile":
        mouth.fill_(line, mouth.cover(mouth.arc((x, y), 0.09, -0.035, 0.024)))
    else:
        mouth.fill_(line, mouth.cover(mouth.arc((x, y + 0.006), 0.055, -0.01, 0.022)))


def _glasses_(face: Canvas, character: Character) -> None:
    for side in (-1, 1):
        x, y = side * EYE[0] * character.face_width, EYE[1] + 0.01
        lens = face.near((x, y), 0.26)
        edge = lens.box((x, y), (0.155, 0.15), 0.11)
        glare = lens.cover(np.abs(lens.x - x + lens.y - y + 0.1) - 0.02) * lens.cover(edge)
        lens.fill_((1, 1, 1), 0.1 * lens.cover(edge) + 0.3 * glare)
        lens.fill_(INK, lens.cover(np.abs(edge) - 0.011))
        lens.fill_(INK, lens.cover(lens.stroke((x + side * 0.155, y - 0.03), (side * 0.42, y - 0.04), 0.02)))
    bridge = face.near((0, EYE[1]), 0.06)
    bridge.fill_(INK, bridge.cover(bridge.arc((0, EYE[1]), 0.04, 0.012, 0.024)))
