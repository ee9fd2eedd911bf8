"""Domain a: a softly lit portrait with modelled skin, combed hair and a blurred background."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from i2i.demo.drawn.canvas import Canvas, Color, Plane, mixed
from i2i.demo.drawn.character import Character, hsv
from i2i.demo.drawn.photo_face import face_
from i2i.demo.drawn.shapes import Hair, face_of, flaps, hair_of, neckline, shoulders


def photo(character: Character, size: int) -> NDArray[np.float32]:
    """The character as a photograph.

    Args:
        character: who.
        size: the image's side in pixels.

    Returns:
        image: [size, size, 3] in [0, 1].
    """
    canvas = Canvas.blank(size)
    background_(canvas, character)
    head = canvas.frame(character.center, character.tilt, character.scale)
    body = canvas.frame(character.center, 0.0, character.scale)
    hair, skin = hair_of(character, pointed=False), face_of(character, pointed=False)
    back = hair.back.distance(head)
    texture = Strands(head, character, back)
    for tied in hair.tied:
        distance = tied.distance(head)
        head.fill_(texture.colors(0.8, distance), head.cover(distance, 0.01))
    head.fill_(texture.colors(0.55), head.cover(back, 0.015))
    body_(body, character)
    face_(head, character, skin)
    shown = head.cover(-shoulders(body, 0.88), 0.02) if hair.behind else 1.0
    front_(head, hair, back, texture, shown)
    # A lens darkens the corners.
    canvas.image[...] *= 1 - 0.1 * np.clip(canvas.x**2 + canvas.y**2 - 0.5, 0, 1)
    return np.ascontiguousarray(np.clip(canvas.image, 0, 1).transpose(1, 2, 0))


def background_(canvas: Canvas, character: Character) -> None:
    """A gradient with discs of light out of focus."""
    rng = np.random.Generator(np.random.PCG64([character.strands, 1]))
    high, low = hsv(character.hue, 0.22, 0.8), hsv(character.hue + 0.06, 0.36, 0.38)
    slope = np.clip(0.5 + 0.4 * canvas.y - 0.25 * character.light * canvas.x, 0, 1)
    canvas.fill_(mixed(high, low, slope), 1.0)
    for _ in range(11):
        center, radius = (float(rng.uniform(-1, 1)), float(rng.uniform(-1.0, 0.6))), float(rng.uniform(0.09, 0.26))
        tint = hsv(character.hue + float(rng.uniform(-0.09, 0.12)), 0.4, float(rng.uniform(0.75, 1.0)))
        spot = canvas.near(center, radius + 0.08)
        distance = spot.circle(center, radius)
        # Out of focus, a point of light is a disc a little brighter at its rim.
        rim = 0.75 + 0.25 * np.exp(-((distance / 0.05) ** 2))
        spot.fill_(tint, float(rng.uniform(0.1, 0.34)) * rim * spot.cover(distance, 0.06))


def body_(body: Canvas, character: Character) -> None:
    """Neck and clothes."""
    skin = np.array(character.skin, np.float32)[:, None, None]
    thick = 0.155 * character.face_width
    lit = 0.72 + 0.5 * character.light * body.x - 0.22 * np.clip(body.x / thick, -1.2, 1.2) ** 2
    lit = np.clip(lit + 0.25 * (body.y - 0.5), 0.3, 1)
    # The chin's shadow falls on the neck.
    lit = lit * (1 - 0.45 * body.glow((-0.06 * character.light, 0.5), (0.26, 0.14)))
    flesh = skin * (0.35 + 0.65 * lit) ** np.array([0.85, 1.15, 1.25], np.float32)[:, None, None]
    torso = shoulders(body, 0.88)
    neck = body.box((0, 0.6), (thick, 0.4), 0.05)
    body.fill_(flesh, body.cover(np.minimum(neck, torso)))

    folds = 0.05 * np.sin(9 * body.x + 4 * np.sin(5 * body.y)) * np.clip(4 * (body.y - 0.75), 0, 1)
    shade = 0.78 + 0.3 * character.light * body.x + folds
    shade = shade - 0.28 * np.exp(-np.clip(-torso, 0, None) * 14)
    bare = neckline(body, character.collar, thick)
    cloth = np.maximum(torso, -bare)
    if character.collar == "turtleneck":
        roll = body.box((0, 0.67), (thick + 0.025, 0.12), 0.05)
        ribbed = (
            0.8
            + 0.5 * character.light * body.x
            - 0.3 * (body.x / thick) ** 2
            - 0.2 * np.exp(-(((body.y - 0.57) / 0.04) ** 2))
        )
        shade = np.where(roll < 0, ribbed, shade)
        cloth = np.minimum(cloth, roll)
    elif character.collar != "shirt":
        shade = shade - 0.25 * np.exp(-np.abs(bare) / 0.03)
    color = np.array(character.shirt, np.float32)[:, None, None]
    body.fill_(color * np.clip(shade, 0.25, 1.1), body.cover(cloth))
    if character.collar == "shirt":
        flap = flaps(body, bare, thick)
        body.fill_(color * 0.3, 0.4 * body.cover(flap - 0.02, 0.03) * body.cover(cloth))
        body.fill_(color * np.clip(0.95 + 0.35 * character.light * body.x, 0.3, 1.1), body.cover(flap, 0.005))


class Strands:
    """The colours of combed or curled hair, lit from the character's side."""

    def __init__(self, head: Canvas, character: Character, back: Plane) -> None:
        rng = np.random.Generator(np.random.PCG64([character.strands, 2]))
        x, y = head.x - 0.13 * character.side, head.y + 0.64
        self.depth = np.hypot(x, y)
        # Hair falls from the parting, so a strand is where the direction from there stays the same.
        along = np.arctan2(x, np.sqrt(y * y + 0.012) + 0.1) + 0.12 * np.sin(5 * self.depth + float(rng.uniform(0, 6)))
        if character.style == "wavy":
            along = along + 0.1 * np.sin(13 * self.depth)
        pixel = abs(head.step)
        grain = np.zeros_like(head.x)
        for frequency, weight in ((9, 0.4), (17, 0.5), (31, 0.5), (53, 0.45), (90, 0.4)):
            rate = frequency * float(rng.uniform(0.85, 1.15))
            # What a pixel averages away is left out, or it would return as moire.
            weight *= float(np.exp(-((rate * pixel * 0.55) ** 2)))
            grain += weight * np.cos(rate * along + float(rng.uniform(0, 6.3)))
        if character.style == "curly":
            fade = float(np.exp(-((30 * pixel * 0.5) ** 2)))
            curls = np.sin(30 * head.x + 2.5 * np.sin(23 * head.y)) * np.sin(30 * head.y + 2.5 * np.sin(21 * head.x))
            grain *= 0.15
            grain += 1.1 * fade * curls
        self.grain = grain
        self.base = np.array(character.hair, np.float32)[:, None, None]
        side = 0.5 + 0.55 * character.light * head.x
        ring = np.exp(-(((self.depth - 0.3 - 0.03 * grain) / 0.11) ** 2))
        self.shine = ring * np.clip(side, 0, 1) * (0.65 + 0.35 * grain)
        round_off = np.exp(-np.clip(-back, 0, None) * 9)
        self.tone = 0.86 + 0.42 * character.light * head.x + 0.15 * grain - 0.32 * round_off

    def colors(self, level: float, edge: Plane | None = None) -> Plane:
        """The hair's colours at a level of light: [3, H, W]; `edge` is the distance to a part that stands apart."""
        tone, shine = self.tone, self.shine
        if edge is not None:
            tone, shine = 0.85 + 0.2 * self.grain - 0.4 * np.exp(-np.clip(-edge, 0, None) * 12), 0.4 * shine
        tone = np.clip(level * tone, 0.12, 1.4)
        # Shadows in hair are warm; blond that only darkens turns to olive.
        warm = np.array([0.14, 0.02, -0.06], np.float32)[:, None, None]
        dark = self.base**1.2 * (tone + warm * np.clip(1 - tone, 0, 1))
        glint = 0.35 * level * np.clip(shine, 0, 1)
        colors: Plane = dark + glint * (0.45 * self.base + 0.6 - dark)
        return colors


def front_(head: Canvas, hair: Hair, back: Plane, texture: Strands, shown: Plane | float) -> None:
    """The hair before the face, and its shadow on the skin; `shown` is 0 where shoulders hide it."""
    window = hair.window.distance(head)
    shade: Color = (0.2, 0.08, 0.06)
    inside = head.cover(back) * head.cover(-window - 0.03, 0.1)
    head.fill_(shade, 0.35 * inside * (head.y < 0.62))
    head.fill_(texture.colors(1.0), head.cover(np.maximum(back, -window), 0.012) * shown)
