"""A character is decided by its seed, and both images of it agree on what they share."""

from __future__ import annotations

import subprocess
import sys
import zlib
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from i2i.demo.anime import anime
from i2i.demo.canvas import Canvas, Plane
from i2i.demo.character import Character, Collar, Fringe, Mouth, Style
from i2i.demo.photo import photo

MANNERS = pytest.mark.parametrize("manner", [photo, anime])


def spot(image: NDArray[np.float32], character: Character, x: float, y: float, radius: float) -> Plane:
    """The mean colour of a disc in the head's frame: [3]."""
    head = Canvas.blank(len(image)).frame(character.center, character.tilt, character.scale)
    return image[head.circle((x, y), radius) < 0].mean(0)


def test_seed_decides_and_shows_variety() -> None:
    assert Character.drawn_from([3, 7]) == Character.drawn_from([3, 7])
    people = [Character.drawn_from([0, number]) for number in range(400)]
    assert len(set(people)) == 400
    assert {person.style for person in people} == set(get_args(Style))
    assert {person.fringe for person in people} == set(get_args(Fringe))
    assert {person.mouth for person in people} == set(get_args(Mouth))
    assert {person.collar for person in people} == set(get_args(Collar))
    assert 0.1 < np.mean([person.glasses for person in people]) < 0.35
    lightness = [sum(person.skin) / 3 for person in people]
    assert min(lightness) < 0.3
    assert max(lightness) > 0.8
    # Skin is skin: redder than green, greener than blue.
    assert all(red > green > blue for red, green, blue in (person.skin for person in people))


@MANNERS
@pytest.mark.parametrize("size", [16, 32, 50, 64, 128])
def test_shape_and_range(manner, size: int) -> None:
    for number in range(4):
        image = manner(Character.drawn_from(number), size)
        assert image.shape == (size, size, 3)
        assert image.dtype == np.float32
        assert 0 <= image.min() < 0.25
        assert 0.6 < image.max() <= 1


@MANNERS
def test_a_larger_image_shows_the_same(manner) -> None:
    for number in range(12):
        person = Character.drawn_from([1, number])
        small, large = manner(person, 64), manner(person, 128)
        halved = large.reshape(64, 2, 64, 2, 3).mean((1, 3))
        assert np.abs(halved - small).mean() < 0.012
        assert np.quantile(np.abs(halved - small), 0.99) < 0.16


@MANNERS
def test_another_process_draws_the_same(manner) -> None:
    program = (
        f"import zlib; from i2i.demo.{manner.__name__} import {manner.__name__} as draw\n"
        "from i2i.demo.character import Character\n"
        "print(zlib.crc32(draw(Character.drawn_from([5, 9]), 32).tobytes()))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(run.stdout) == zlib.crc32(manner(Character.drawn_from([5, 9]), 32).tobytes())


def test_hair_and_skin_keep_their_colours() -> None:
    people = [Character.drawn_from([2, number]) for number in range(40)]
    for part, (x, y, radius) in {"hair": (0, -0.56, 0.025), "skin": (0.12, 0.24, 0.02)}.items():
        own = np.array([getattr(person, part) for person in people])
        shown = [
            np.array([spot(manner(person, 64), person, x, y, radius) for person in people]) for manner in (photo, anime)
        ]
        for colors in shown:
            # The right character's colour is far nearer than a stranger's.
            right = np.abs(colors - own).mean(1)
            wrong = np.abs(colors - np.roll(own, 1, 0)).mean(1)
            assert right.mean() < 0.2
            assert right.mean() < 0.6 * wrong.mean()


def test_the_manners_differ_in_shape_and_share_the_pose() -> None:
    person = replace(
        Character.drawn_from(0), style="short", fringe="back", glasses=False, beard=False, freckles=False, mouth="smile"
    )
    person = replace(
        person,
        skin=(0.9, 0.7, 0.6),
        eyes=(0.2, 0.4, 0.9),
        hue=0.08,
        hair=(0.5, 0.3, 0.1),
        center=(0.0, 0.0),
        tilt=0.0,
        scale=1.0,
    )

    def blue(image: NDArray[np.float32]) -> NDArray[np.bool_]:
        return (image[..., 2] > image[..., 0] + 0.1)[40:80, 30:98]

    shown, drawn = blue(photo(person, 128)), blue(anime(person, 128))
    # Drawn eyes are far larger and lie lower.
    assert drawn.sum() > 3 * max(1, shown.sum())
    assert np.argwhere(drawn)[:, 0].mean() > np.argwhere(shown)[:, 0].mean() + 4
    # Whoever moves in one manner moves as much in the other.
    moved = replace(person, center=(0.25, 0.0))
    for manner in (photo, anime):
        image, other = manner(person, 64), manner(moved, 64)
        aligned = np.abs(np.roll(image, 8, 1) - other)[8:44, 24:56].mean()
        assert aligned < 0.25 * np.abs(image - other)[8:44, 24:56].mean()


@pytest.mark.parametrize("style", get_args(Style))
def test_every_style_draws_its_hair(style: Style) -> None:
    person = replace(Character.drawn_from(4), style=style, hair=(0.1, 0.6, 0.2), beard=False, shirt=(0.8, 0.2, 0.2))
    for manner in (photo, anime):
        image = manner(replace(person, hue=0.8), 64)
        red, green, blue = image.transpose(2, 0, 1)
        assert 0.04 < np.mean((green > 1.25 * red) & (green > 1.25 * blue)) < 0.6


@pytest.mark.parametrize("field", ["glasses", "beard", "freckles", "mouth", "collar", "hue", "eyes", "shirt", "jaw"])
def test_each_attribute_shows(field: str) -> None:
    person = replace(Character.drawn_from(6), glasses=False, beard=False, freckles=False, mouth="neutral", jaw=0.0)
    person = replace(person, style="short", hair=(0.3, 0.2, 0.1), collar="crew", eyes=(0.2, 0.5, 0.2))
    value = {"mouth": "open", "collar": "shirt", "hue": person.hue + 0.4, "eyes": (0.3, 0.2, 0.1), "jaw": 1.0}
    other = replace(person, **{field: value.get(field, (0.1, 0.1, 0.9) if field == "shirt" else True)})
    for manner in (photo, anime):
        assert np.abs(manner(person, 64) - manner(other, 64)).max() > 0.08


def test_only_a_photo_knows_where_the_light_is() -> None:
    person = replace(Character.drawn_from(8), light=0.9)
    other = replace(person, light=-0.9)
    assert np.array_equal(anime(person, 64), anime(other, 64))
    assert np.abs(photo(person, 64) - photo(other, 64)).mean() > 0.02
