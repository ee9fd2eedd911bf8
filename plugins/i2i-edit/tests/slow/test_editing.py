"""Edits of a generator with known attributes, measured by a network that was trained on drawings.

`pytest -m slow plugins/i2i-edit/tests/slow -s` prints the table of docs/editing.md. I2I_FITTED names a folder that
keeps what is trained between calls.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import torch
from i2i_edit.captions import CaptionEncoder
from i2i_edit.editor import Editor
from i2i_edit.finding import boundary_directions, sampled_styles, tag_directions
from i2i_edit.perceptual import PerceptualDistance
from i2i_edit.projection import Options
from i2i_edit.text_editor import TextEditor
from i2i_edit.text_mapper import SHARE, train_mapper
from torch import Tensor

import i2i
from i2i.demo.attribute_network import AttributeNetwork
from i2i.demo.attributes import attributes, hue_of

sys.path.insert(0, str(Path(__file__).parent))
from fitted_portraits import character_of, fitted, measuring_network

pytestmark = pytest.mark.slow
SHORT = pytest.mark.xfail(reason="the generator was fitted for too few steps to draw glasses in each image")
NAMES = ("glasses", "long_hair")


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(os.environ.get("I2I_FITTED") or tmp_path_factory.mktemp("fitted"))


@pytest.fixture(scope="session")
def editor(folder: Path) -> Editor:
    return Editor(fitted(folder))


@pytest.fixture(scope="session")
def network(folder: Path) -> AttributeNetwork:
    return measuring_network(folder)


@pytest.fixture
def captions(folder: Path) -> CaptionEncoder:
    run = folder / "caption_encoder"
    if not (run / "checkpoints").is_dir():
        i2i.train(i2i.Recipe.read("caption_encoder", {"train.workers": 0}), run)
    return CaptionEncoder(run)


def truth(editor: Editor, seeds: range) -> dict[str, dict[int, float]]:
    """Known attributes of the characters of seeds, by name and seed."""
    codes, _ = editor.translator.latents(seeds)
    found = [attributes(character_of(code)) for code in codes]
    return {name: {seed: one[name] for seed, one in zip(seeds, found, strict=True)} for name in NAMES}


def report(line: str, **figures: float) -> None:
    print(f"\n{line}: " + ", ".join(f"{name} {value:.3f}" for name, value in figures.items()), flush=True)


def flips(before: dict[str, Tensor], after: dict[str, Tensor], name: str) -> float:
    """Share of images whose attribute has changed."""
    return float(((before[name] > 0.5) != (after[name] > 0.5)).float().mean())


@SHORT
def test_generated_attributes_are_those_of_the_codes(editor: Editor, network: AttributeNetwork) -> None:
    seeds = range(1000, 1300)
    measured = network.measure(editor.generate(editor.translator.styles(seeds)))
    found = {}
    for name, known in truth(editor, seeds).items():
        right = float(((measured[name] > 0.5) == (torch.tensor(list(known.values())) > 0.5)).float().mean())
        report("generator", **{name: right})
        found[name] = right
    assert found["long_hair"] > 0.9
    assert found["glasses"] > 0.9


@SHORT
@pytest.mark.parametrize("method", ["interfacegan", "tags"])
def test_a_direction_moves_one_attribute(editor: Editor, network: AttributeNetwork, method: str) -> None:
    scores = truth(editor, range(3000))
    conditions = {name: [other for other in NAMES if other != name] for name in NAMES}
    if method == "interfacegan":
        found = boundary_directions(editor, scores, 0.3, conditions)
    else:
        found = tag_directions(editor, scores)
    ws = editor.translator.styles(range(5000, 5200))
    before = network.measure(editor.generate(ws))
    held_out, missed = truth(editor, range(4000, 4500)), []
    for vector in found:
        normal = vector.ws[0] / vector.ws[0].norm()
        latents = sampled_styles(editor, range(4000, 4500)) @ normal
        known = torch.tensor(list(held_out[vector.name].values())) > 0.5
        threshold = (latents[known].mean() + latents[~known].mean()) / 2
        accuracy = float(((latents > threshold) == known).float().mean())
        without = before[vector.name] < 0.5
        after = network.measure(editor.generate(ws[without], vector * 3))
        start = {name: value[without] for name, value in before.items()}
        others = {other: flips(start, after, other) for other in NAMES if other != vector.name}
        moved = flips(start, after, vector.name)
        report(f"{method} {vector.name}", accuracy=accuracy, moved=moved, **others)
        if accuracy < 0.9 or moved < 0.8 or max(others.values()) >= 0.2:
            missed.append(vector.name)
    assert not missed, missed


def test_conditional_projection_lowers_the_leak(editor: Editor, network: AttributeNetwork) -> None:
    scores = truth(editor, range(3000))
    # Of the labels for glasses most with glasses have long hair, too, so that the direction adds hair.
    draws = torch.Generator().manual_seed(0)
    kept = {
        seed: value
        for seed, value in scores["glasses"].items()
        if value == scores["long_hair"][seed] or torch.rand(1, generator=draws) < 0.25
    }
    labels = {"glasses": kept, "long_hair": scores["long_hair"]}
    plain = boundary_directions(editor, labels, 0.3)[0]
    conditioned = boundary_directions(editor, labels, 0.3, {"glasses": ["long_hair"]})[0]
    ws = editor.translator.styles(range(5000, 5200))
    before = network.measure(editor.generate(ws))["long_hair"]
    leaks = {}
    for name, vector in {"plain": plain, "conditioned": conditioned}.items():
        leaks[name] = float((network.measure(editor.generate(ws, vector * 3))["long_hair"] - before).abs().mean())
    report("leak", **leaks)
    assert leaks["conditioned"] < 0.5 * leaks["plain"]


def is_red(measured: dict[str, Tensor]) -> Tensor:
    """Whether the measured colour of the hair has a hue within 25 degrees of red, and is no grey."""
    colors = torch.stack([measured[f"hair_{channel}"] for channel in ("red", "green", "blue")], 1).clamp(0, 1)
    hues = torch.tensor([hue_of(color.tolist()) for color in colors])
    return ((hues < 25) | (hues > 335)) & (colors.amax(1) - colors.amin(1) > 0.25)


@pytest.mark.xfail(reason="measured below the thresholds; see docs/editing.md")
@pytest.mark.parametrize("way", ["optimizer", "direction", "mapper"])
def test_red_hair_becomes_red(editor: Editor, network: AttributeNetwork, captions: CaptionEncoder, way: str) -> None:
    ws = editor.translator.styles(range(6000, 6040))
    before = network.measure(editor.generate(ws))
    ws = ws[~is_red(before)]
    before = {name: value[~is_red(before)] for name, value in before.items()}
    text, texts = "red hair", TextEditor(editor, captions)
    if way == "optimizer":
        from i2i_edit.editor import Latent

        image = editor.generate(ws + texts.edit(Latent(ws), text, 60, keep=0.005).ws)
    elif way == "direction":
        relevance = texts.relevance(12)
        vector = texts.direction(text, beta=0.2, relevance=relevance)
        report("direction", channels=vector.notes["channels"])
        image = editor.generate(ws, vector * 10)
    else:
        mapper = train_mapper(editor, text, captions, steps=250, batch_size=8, rate=0.5, keep=0.02)
        with torch.no_grad():
            image = editor.generate(ws + SHARE * mapper.network(ws))
    after = network.measure(image)
    red, glasses = float(is_red(after).float().mean()), flips(before, after, "glasses")
    report(f"red hair by {way}", red=red, glasses_changed=glasses)
    assert red >= 0.8
    assert glasses < 0.2


def test_own_samples_are_found_again(editor: Editor) -> None:
    images = editor.generate(editor.translator.styles(range(7000, 7008)))
    distance = PerceptualDistance()
    between = float(distance(images, images.roll(1, 0)).mean())
    found = editor.project(images, Options(steps=250, space="w+"), distance=distance)
    report("projection", distance=found.distance, between=between, ratio=found.distance / between)
    assert found.distance < 0.1 * between
