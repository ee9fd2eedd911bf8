"""Domain b: a flat drawing with dark outlines, two tones to a colour and a pastel background."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from i2i.demo.drawn.anime_face import INK, LINE, brows_, face_, outlined_, toned
from i2i.demo.drawn.canvas import Canvas, Plane
from i2i.demo.drawn.character import Character, hsv
from i2i.demo.drawn.shapes import Hair, face_of, flaps, hair_of, neckline, shoulders

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
    """Neck and clothes."""
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
    """The hair before the face: ink, two tones, a few strands and a ring of light.

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
