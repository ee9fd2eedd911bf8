"""Domain b of the portraits: a flat drawing with dark outlines, two tones to a colour and a pastel background."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from i2i.demo.canvas import Canvas, Color, Outline, Plane, Point
from i2i.demo.character import COVERED, Character, Hair, face_of, flaps, hair_of, hsv, neckline, shoulders

NECK = 0.115


def anime(character: Character, size: int) -> NDArray[np.float32]:
    """The character as an anime drawing.

    Args:
        character: who.
        size: the image's side in pixels.

    Returns:
        image: [size, size, 3] in [0, 1].
    """
    canvas = Canvas.blank(size)
    canvas.fill_(hsv(character.hue, 0.19, 0.96), 1.0)
    head = canvas.frame(character.center, character.tilt, character.scale)
    body = canvas.frame(character.center, 0.0, character.scale)
    hair = hair_of(character, pointed=True)
    back = hair.back.distance(head)
    for tied in hair.tied:
        distance = tied.distance(head)
        outlined_(head, distance, toned(character.hair, 1.0))
        lower = -tied.distance(head.frame((-0.05, -0.06), 0, 1))
        head.fill_(toned(character.hair, 0.78), head.cover(np.maximum(distance + LINE / 2, lower)))
    outlined_(head, back, toned(character.hair, 0.72))
    body_(body, character)
    # The hair's shadow is the hair's edge, a little lower.
    shadow = -hair.window.distance(head.frame((0, 0.055), 0, 1))
    face_(head, character, face_of(character, pointed=True), shadow)
    shown = head.cover(-shoulders(body, 0.78)) if hair.behind else 1.0
    front_(head, character, hair, back, shown)
    brows_(head, character)
    return np.ascontiguousarray(np.clip(canvas.image, 0, 1).transpose(1, 2, 0))


def body_(body: Canvas, character: Character) -> None:
    """Draws neck and clothes."""
    torso = shoulders(body, 0.78)
    neck = body.box((0, 0.6), (NECK, 0.4), 0.03)
    flesh = np.minimum(neck, torso)
    outlined_(body, flesh, character.skin)
    chin = np.maximum(flesh + LINE / 2, body.y - 0.62 + 1.2 * body.x**2)
    body.fill_(toned(character.skin, 0.78), body.cover(chin))
    bare = neckline(body, character.collar, NECK)
    cloth = np.maximum(torso, -bare)
    if character.collar == "turtleneck":
        cloth = np.minimum(cloth, body.box((0, 0.72), (NECK + 0.025, 0.17), 0.03))
    outlined_(body, cloth, character.shirt)
    fold = np.maximum(cloth + LINE / 2, 0.62 - np.abs(body.x) + 0.3 * (0.8 - body.y))
    body.fill_(toned(character.shirt, 0.8), body.cover(fold))
    if character.collar == "crew":
        body.fill_(toned(character.shirt, 0.8), body.cover(np.maximum(cloth + LINE / 2, bare - 0.05)))
    elif character.collar == "turtleneck":
        hem = np.maximum(np.abs(body.y - 0.7 - 0.3 * body.x**2) - 0.008, np.abs(body.x) - NECK - 0.02)
        body.fill_(toned(character.shirt, 0.6), body.cover(hem))
    elif character.collar == "shirt":
        outlined_(body, flaps(body, bare, NECK), toned(character.shirt, 1.15))


def front_(head: Canvas, character: Character, hair: Hair, back: Plane, shown: Plane | float) -> None:
    """Draws the hair in front of the face: ink, two tones, a few strands and a ring of light.

    `shown` is 0 where shoulders hide it.
    """
    window = hair.window.distance(head)
    front = np.maximum(back, -window)
    base = character.hair
    head.fill_(INK, head.cover(front - LINE / 2) * shown)
    fill = head.cover(front + LINE / 2) * shown
    head.fill_(toned(base, 1.0), fill)

    x, y = head.x - 0.13 * character.side, head.y + 0.6
    depth, along = np.hypot(x, y), np.arctan2(x, y + 0.12)
    rng = np.random.Generator(np.random.PCG64([character.strands, 4]))
    phase = float(rng.uniform(0, 6))
    # Shade gathers at the sides and under the crown's edge, and ends in points like the locks do.
    teeth = 0.09 * np.abs(np.sin(7 * along + phase))
    shade = np.maximum(0.33 + teeth - np.abs(head.x) - 0.12 * (head.y + 0.3), -0.55 - head.y)
    head.fill_(toned(base, 0.82), fill * head.cover(np.maximum(shade, 0.2 - depth)))
    if character.style == "curly":
        curls = np.sin(15 * x + 1.6 * np.sin(11 * y)) * np.sin(15 * y + 1.6 * np.sin(10 * x))
        line = np.maximum(np.abs(curls - 0.3) - 0.1, np.sin(13 * x + 15 * y)) / 15
        head.fill_(toned(base, 0.66), fill * head.cover(line))
    for angle in rng.uniform(-1.3, 1.3, 6 * (character.style != "curly")):
        thick = 0.009 * np.clip((depth - 0.12) * (0.62 - depth) * 16, -1, 1)
        strand = np.abs(along - float(angle)) * (depth + 0.05) - thick
        head.fill_(toned(base, 0.55), 0.85 * fill * head.cover(strand))
    # A ring of light round the skull, its lower edge torn into strands.
    ring = head.y + 0.47 - 0.8 * head.x**2
    saw = np.abs(((along * 4.5 + phase) % 1) * 2 - 1)
    fade = np.clip(1 - (head.x / 0.31) ** 2, -1, 1)
    band = 0.8 * np.maximum(-0.03 * fade - ring, ring - 0.075 * saw**1.5 * fade)
    head.fill_(toned(base, 1.22 + 0.35 * sum(base) / 3), 0.9 * fill * head.cover(band))


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
    """Draws a flat shape with an inked edge."""
    canvas.fill_(INK, canvas.cover(distance - LINE / 2))
    canvas.fill_(color, canvas.cover(distance + LINE / 2))


def face_(head: Canvas, character: Character, outline: Outline, shadow: Plane) -> None:
    """Draws the head's skin and everything on it; `shadow` is the distance to what the hair shades."""
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
    """Draws eyebrows, which a drawing shows through the hair."""
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
