"""Domain a of the portraits: a softly lit photo with modelled skin, combed hair and a blurred background."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from i2i.demo.canvas import Canvas, Color, Outline, Plane, Point, mixed
from i2i.demo.character import COVERED, Character, Hair, face_of, flaps, hair_of, hsv, neckline, shoulders


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
    """Draws a gradient with discs of light out of focus."""
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
    """Draws neck and clothes."""
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
    """Draws the hair in front of the face, and its shadow on the skin; `shown` is 0 where shoulders hide it."""
    window = hair.window.distance(head)
    shade: Color = (0.2, 0.08, 0.06)
    inside = head.cover(back) * head.cover(-window - 0.03, 0.1)
    head.fill_(shade, 0.35 * inside * (head.y < 0.62))
    head.fill_(texture.colors(1.0), head.cover(np.maximum(back, -window), 0.012) * shown)


EYE: Point = (0.165, -0.01)
MOUTH: Point = (0, 0.315)

# Hills and hollows of a face: height, centre, radii; those off the axis stand on both sides.
RELIEF: tuple[tuple[float, Point, Point], ...] = (
    (0.04, (0, 0.06), (0.05, 0.15)),  # bridge of the nose
    (0.045, (0, 0.165), (0.07, 0.055)),  # its tip
    (-0.035, (0.165, -0.03), (0.1, 0.065)),  # eye sockets
    (0.035, (0.23, 0.13), (0.12, 0.09)),  # cheek bones
    (0.03, (0, 0.44), (0.1, 0.06)),  # chin
    (0.02, (0, -0.3), (0.25, 0.12)),  # forehead
    (-0.015, (0, 0.385), (0.09, 0.03)),  # under the lower lip
)


def face_(head: Canvas, character: Character, outline: Outline) -> None:
    """Draws the head's skin and everything on it."""
    if character.style not in COVERED:
        _ears_(head, character)
    face = head.near((0, 0), 0.62)
    edge = outline.distance(face)
    face.fill_(_skin(face, character), face.cover(edge))
    if character.freckles:
        _freckles_(face, character)
    if character.beard:
        _beard_(face, character, edge)
    _nose_(face, character)
    for side in (-1, 1):
        _eye_(face, character, side)
    _mouth_(face, character)
    if character.glasses:
        _glasses_(face, character)


def _skin(face: Canvas, character: Character) -> Plane:
    nx, ny = face.x / (0.47 * character.face_width), face.y / 0.68
    # A canvas of two channels holds the slopes, so each hill costs only its own pixels.
    slope = Canvas(np.zeros((2, *nx.shape), np.float32), face.x, face.y, face.step)
    for height, (x, y), (rx, ry) in RELIEF:
        for cx in (x, -x) if x else (x,):
            hill = slope.near((cx, y), 2.6 * max(rx, ry))
            rise = 2 * height * hill.glow((cx, y), (rx, ry))
            hill.image[0] += rise * (hill.x - cx) * (1 / rx**2)
            hill.image[1] += rise * (hill.y - y) * (1 / ry**2)
    nz = np.sqrt(np.clip(1 - nx * nx - ny * ny, 0.06, 1))
    nx, ny = nx + 0.6 * slope.image[0], ny + 0.6 * slope.image[1]
    length = 1 / np.sqrt(nx * nx + ny * ny + nz * nz)
    light = np.array([0.75 * character.light, -0.45, 0.75])
    lx, ly, lz = (float(part) for part in light / np.linalg.norm(light))
    lit = np.clip(((nx * lx + ny * ly + nz * lz) * length + 0.22) / 1.16, 0, 1)

    skin = np.array(character.skin, np.float32)[:, None, None]
    # Light that has passed through skin comes out red, so shadows lose blue and green first.
    colors = mixed(skin * _tint(0.55, 0.41, 0.38), np.minimum(skin * 1.12 + 0.025, 1), lit)
    flush = 0.22 * (face.glow((0.22, 0.16), (0.13, 0.1)) + face.glow((-0.22, 0.16), (0.13, 0.1)))
    flush += 0.16 * face.glow((0, 0.17), (0.07, 0.06))
    colors = mixed(colors, skin * _tint(1.02, 0.7, 0.68) * (0.45 + 0.55 * lit), flush)
    half = float(np.sqrt(lx**2 + ly**2 + (lz + 1) ** 2))
    gloss = np.clip((nx * lx + ny * ly + nz * (lz + 1)) * length * (1 / half), 0, 1) ** 24
    glossy: Plane = colors + 0.16 * gloss * (1 - colors)
    return glossy


def _tint(red: float, green: float, blue: float) -> Plane:
    return np.array([red, green, blue], np.float32)[:, None, None]


def _times(color: Color, red: float, green: float, blue: float) -> Color:
    return color[0] * red, color[1] * green, color[2] * blue


def _ears_(head: Canvas, character: Character) -> None:
    for side in (-1, 1):
        center = (side * 0.4 * character.face_width, 0.03)
        ear = head.near(center, 0.14)
        lit = 0.78 + 0.2 * side * character.light
        ear.fill_(_times(character.skin, lit, 0.9 * lit, 0.88 * lit), ear.cover(ear.ellipse(center, (0.06, 0.105))))
        inner = ear.ellipse((center[0] + side * 0.012, 0.03), (0.028, 0.066))
        ear.fill_(_times(character.skin, 0.5, 0.34, 0.3), 0.55 * ear.cover(inner, 0.03))


def _freckles_(face: Canvas, character: Character) -> None:
    rng = np.random.Generator(np.random.PCG64([character.strands, 3]))
    for _ in range(22):
        x, y = float(rng.choice([-1, 1]) * rng.uniform(0.03, 0.26)), float(rng.normal(0.13, 0.03))
        spot = face.near((x, y), 0.012)
        spot.fill_(_times(character.skin, 0.62, 0.45, 0.36), 0.5 * spot.cover(spot.circle((x, y), 0.009)))


def _beard_(face: Canvas, character: Character, edge: Plane) -> None:
    x, y = np.abs(face.x) * (1 / character.face_width), face.y
    # Down from the sideburns, under the cheeks, and round the mouth by way of the moustache.
    cheek = y - 0.245 + 0.3 * np.clip((x - 0.17) / 0.23, 0, 1) ** 1.3
    bare = face.ellipse((0, 0.325), (0.105, 0.045))
    region = np.maximum(-cheek, -bare)
    color = np.array(character.hair, np.float32)[:, None, None] ** 1.2 * (0.68 + 0.5 * character.light * face.x)
    curls = np.sin(75 * face.x + 2 * np.sin(50 * y)) * np.sin(75 * y + 2 * np.sin(55 * face.x))
    color = color * (1 + 0.15 * float(np.exp(-((40 * abs(face.step)) ** 2))) * curls)
    # Short hair lets the skin through, least at the chin.
    dense = 0.7 + 0.25 * np.clip((y - 0.2) / 0.25, 0, 1)
    face.fill_(color, dense * face.cover(region + 0.02, 0.075) * face.cover(edge))


def _nose_(face: Canvas, character: Character) -> None:
    skin = character.skin
    nose = face.near((0, 0.17), 0.14)
    nose.fill_(_times(skin, 0.5, 0.32, 0.28), 0.45 * nose.glow((0, 0.222), (0.07, 0.022)))
    away = -1 if character.light > 0 else 1
    nose.fill_(_times(skin, 0.5, 0.33, 0.28), 0.25 * nose.glow((away * 0.062, 0.17), (0.022, 0.05)))
    for side in (-1, 1):
        hole = nose.ellipse((side * 0.033, 0.213), (0.02, 0.011))
        nose.fill_(_times(skin, 0.3, 0.16, 0.14), 0.75 * nose.cover(hole, 0.008))
    nose.fill_((1, 0.97, 0.92), 0.24 * nose.glow((-0.3 * away * 0.05, 0.155), (0.02, 0.024)))


def _eye_(face: Canvas, character: Character, side: int) -> None:
    x, y = side * EYE[0] * character.face_width, EYE[1]
    eye = face.near((x, y), 0.17)
    skin, hair = character.skin, character.hair
    eye.fill_(_times(skin, 0.5, 0.32, 0.3), 0.42 * eye.glow((x - side * 0.02, y - 0.025), (0.1, 0.05)))
    white = eye.lens((x, y), 0.088, 0.044, 0.032)
    alpha = eye.cover(white)
    eye.fill_((0.94, 0.92, 0.91), alpha)
    iris = eye.circle((x, y - 0.004), 0.04)
    eye.fill_(_times(character.eyes, 0.5, 0.5, 0.5), alpha * eye.cover(iris))
    eye.fill_(_times(character.eyes, 1.1, 1.1, 1.1), alpha * 0.9 * eye.cover(iris + 0.011, 0.012))
    eye.fill_((0.03, 0.02, 0.02), alpha * eye.cover(iris + 0.021))
    # The upper lid shades the eyeball.
    eye.fill_((0.2, 0.12, 0.1), alpha * 0.45 * np.clip((y - 0.012 - eye.y) / 0.035, 0, 1))
    glint = (x + 0.014 * (1 if character.light > 0 else -1), y - 0.017)
    eye.fill_((1, 1, 1), 0.95 * eye.cover(eye.circle(glint, 0.01)))
    lash = eye.arc((x, y + 0.002), 0.096, 0.049, 0.026, slant=-side * 0.006)
    eye.fill_(_times(hair, 0.2, 0.17, 0.16), 0.9 * eye.cover(lash))
    eye.fill_(_times(skin, 0.45, 0.28, 0.25), 0.4 * eye.cover(eye.arc((x, y - 0.022), 0.09, 0.045, 0.012), 0.012))
    eye.fill_(_times(skin, 0.45, 0.28, 0.25), 0.3 * eye.cover(eye.arc((x, y + 0.004), 0.08, -0.03, 0.012), 0.01))
    brow = eye.arc((x + side * 0.008, y - 0.095), 0.105, 0.032, 0.04, slant=-side * 0.012)
    eye.fill_(_times(hair, 0.45, 0.4, 0.38), 0.85 * eye.cover(brow, 0.014))


def _mouth_(face: Canvas, character: Character) -> None:
    x, y = MOUTH
    mouth = face.near((x, y), 0.2)
    skin = character.skin
    lip: Color = (0.35 * skin[0] + 0.45, 0.4 * skin[1] + 0.1, 0.4 * skin[2] + 0.13)
    half = {"neutral": 0.105, "smile": 0.135, "open": 0.12}[character.mouth]
    bend = {"neutral": 0.004, "smile": 0.034, "open": 0.018}[character.mouth]
    gape = {"neutral": 0.0, "smile": 0.0, "open": 0.048}[character.mouth]
    mouth.fill_(_times(skin, 0.5, 0.33, 0.3), 0.32 * mouth.glow((x, y + 0.075 + gape), (0.08, 0.02)))
    lower = mouth.lens((x, y), half * 0.92, 0.0, 0.042 + gape, bend)
    upper = mouth.lens((x, y), half, 0.032, 0.004, bend)
    mouth.fill_(lip, 0.85 * mouth.cover(lower, 0.012))
    mouth.fill_(_times(lip, 0.8, 0.72, 0.75), 0.85 * mouth.cover(upper, 0.01))
    if gape:
        inside = mouth.lens((x, y), half * 0.84, 0.0, gape, bend)
        mouth.fill_((0.25, 0.05, 0.06), mouth.cover(inside))
        teeth = np.maximum(inside, mouth.y - (y + bend + 0.016))
        mouth.fill_((0.95, 0.93, 0.9), 0.95 * mouth.cover(teeth))
    else:
        seam = mouth.arc((x, y), half, -bend, 0.012)
        mouth.fill_(_times(skin, 0.36, 0.16, 0.16), 0.8 * mouth.cover(seam, 0.004))
    shine = 0.22 * mouth.glow((x + 0.02 * character.light, y + bend + gape + 0.022), (0.035, 0.009))
    mouth.fill_((1, 0.95, 0.93), shine)


def _glasses_(face: Canvas, character: Character) -> None:
    frame: Color = (0.1, 0.09, 0.1)
    for side in (-1, 1):
        x, y = side * EYE[0] * character.face_width, EYE[1] + 0.012
        lens = face.near((x, y), 0.2)
        edge = lens.box((x, y), (0.125, 0.1), 0.075)
        glare = lens.cover(np.abs(lens.x - x + lens.y - y + 0.05) - 0.025, 0.02) * lens.cover(edge)
        lens.fill_((1, 1, 1), 0.07 * lens.cover(edge) + 0.14 * glare)
        lens.fill_(_times(character.skin, 0.4, 0.25, 0.22), 0.3 * lens.cover(np.abs(edge - 0.008) - 0.008, 0.02))
        lens.fill_(frame, lens.cover(np.abs(edge) - 0.0095))
        lens.fill_(frame, lens.cover(lens.stroke((x + side * 0.125, y - 0.03), (side * 0.42, y - 0.045), 0.018)))
    bridge = face.near((0, EYE[1]), 0.08)
    bridge.fill_(frame, bridge.cover(bridge.arc((0, EYE[1] + 0.01), 0.05, 0.025, 0.022)))
