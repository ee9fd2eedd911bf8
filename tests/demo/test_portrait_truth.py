"""Attributes, captions and label maps say what a drawing shows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from i2i.demo.anime import anime
from i2i.demo.attribute_network import AttributeNetwork, held_out_accuracy, train_attribute_network
from i2i.demo.attributes import EYE_COLORS, NUMBERS, TAGS, WORDS, attributes, caption, caption_parts, hue_of
from i2i.demo.character import Character
from i2i.demo.eye_network import MAPS, EyeColorNetwork, held_out_eyes, train_eye_network
from i2i.demo.label_map import CLASSES, label_map
from i2i.demo.portrait_truth import CaptionedPortraits, PortraitLabels, caption_tokens
from i2i.errors import I2IError

PEOPLE = [Character.drawn_from([0, number]) for number in range(1, 121, 2)]


def test_attributes_are_those_of_the_character() -> None:
    for person in PEOPLE:
        found = attributes(person)
        assert tuple(found) == (*TAGS, *NUMBERS)
        assert found["glasses"] == person.glasses
        assert sum(found[name] for name in TAGS if name.endswith("_hair") and name != "long_hair") == 1
    assert hue_of((1, 0, 0)) == 0
    assert hue_of((0, 0, 1)) == pytest.approx(240)


def test_captions_have_known_words_and_follow_the_seed() -> None:
    person = replace(PEOPLE[0], glasses=True, hair=(0.8, 0.18, 0.25))
    assert {"red hair", "glasses"} <= set(caption_parts(person))
    for number, one in enumerate(PEOPLE):
        tokens = caption_tokens(caption(one))
        assert tokens.max() < len(WORDS)
        assert caption(one, number) == caption(one, number)
        assert set(caption(one, number).split(", ")) <= set(caption_parts(one))
    assert len({caption(person, seed) for seed in range(20)}) > 5
    with pytest.raises(I2IError, match="no caption has the word 'horse'"):
        caption_tokens("red horse")


def test_label_maps_fit_the_drawing() -> None:
    # What is drawn in hair's colour alone must be hair: recolour the hair and see which pixels change.
    for person in PEOPLE[:6]:
        labels = label_map(person, 64)
        assert labels.shape == (64, 64)
        changed = np.abs(anime(replace(person, hair=(0, 1, 0)), 64) - anime(replace(person, hair=(1, 0, 1)), 64))
        hair = changed.mean(2) > 0.35
        both, either = (hair & (labels == CLASSES.index("hair"))).sum(), (hair | (labels == 2)).sum()
        assert both / either > 0.75
        assert ((labels == CLASSES.index("glasses")).any()) == person.glasses
        assert {CLASSES.index(name) for name in ("skin", "eyes", "clothes", "background")} <= set(np.unique(labels))


def test_data_sets_yield_labels_and_captions() -> None:
    pairs, captioned = PortraitLabels(32, 10), CaptionedPortraits(32, 10)
    sample = pairs[3]
    assert sample["a"].shape == (7, 32, 32)
    assert torch.equal(sample["a"].sum(0), torch.ones(32, 32))
    assert pairs.streams["a"].names == CLASSES
    assert torch.equal(pairs[3]["b"], sample["b"])
    assert captioned[3]["text"].shape == (1, 16)
    assert {name: tuple(value.shape) for name, value in captioned.preview(2).items()} == {
        "image": (2, 3, 32, 32),
        "text": (2, 1, 16),
    }


def test_the_attribute_network_measures_images_of_any_size() -> None:
    measured = AttributeNetwork().eval().measure(torch.zeros(2, 3, 40, 40))
    assert tuple(measured) == (*TAGS, *NUMBERS)
    assert measured["glasses"].shape == (2,)


@pytest.mark.slow
def test_the_attribute_network_is_right_on_held_out_drawings() -> None:
    accuracy = held_out_accuracy(train_attribute_network())
    assert min(accuracy[name] for name in ("glasses", "beard", "long_hair", "red_hair", "open_mouth")) > 0.9, accuracy
    assert min(accuracy[name] for name in NUMBERS) > 0.9, accuracy


def test_eye_colours_are_those_of_the_pixels_under_the_attention() -> None:
    network = EyeColorNetwork().eval()
    gray = torch.zeros(1, 3, 32, 32)
    changed = gray.clone()
    changed[:, :, 5, 5] = 1
    assert network.names(gray)[0] in EYE_COLORS.values()
    for layer in network.attention.parameters():
        torch.nn.init.zeros_(layer)  # all pixels have the same weight
    expected = network.color((changed.mean((2, 3))).repeat(1, MAPS))
    torch.testing.assert_close(network(changed), expected)
    torch.testing.assert_close(network(changed.flip(2)), expected)


@pytest.mark.slow
def test_the_eye_network_is_right_on_held_out_drawings() -> None:
    assert held_out_eyes(train_eye_network()) > 0.9
