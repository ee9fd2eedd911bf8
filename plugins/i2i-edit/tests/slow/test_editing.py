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
from i2i_edit.editor import Editor, Latent
from i2i_edit.finding import boundary_directions, scores_of, tag_directions
from i2i_edit.perceptual import PerceptualDistance
from i2i_edit.projection import Options
from i2i_edit.taggers import DrawnPortraitTagger
from i2i_edit.text_editor import TextEditor
from i2i_edit.text_mapper import SHARE, train_mapper
from torch import Tensor

import i2i
from i2i.demo.attribute_network import AttributeNetwork
from i2i.demo.attributes import attributes, hue_of

sys.path.insert(0, str(Path(__file__).parent))
from fitted_portraits import ATTRIBUTES, character_of, fitted, measuring_network

pytestmark = pytest.mark.slow
NAMES, STRENGTH = ("glasses", "long_hair"), 2.5
"""Attributes, and strength of their directions, which was chosen on the seeds from 5000 on."""
CAPTIONS = {"data.count": 4000, "train.steps": 1600, "translator.noise": 0.2, "train.workers": 0}
"""Settings of the encoder of texts and images: trained twice as long as the recipe, with noise that hides details."""
OTHER_HAIR = tuple(f"{name} hair" for name in ("black", "brown", "blond", "blue", "green"))
"""Texts from which the global direction to red hair starts."""


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
        i2i.train(i2i.Recipe.read("caption_encoder", CAPTIONS), run)
    return CaptionEncoder(run)


@pytest.fixture(scope="session")
def labels(editor: Editor, folder: Path, network: AttributeNetwork) -> dict[str, dict[int, float]]:
    """Scores of seeds by attribute, of the tagger that a user has: the network that measures drawings."""
    return scores_of(editor, DrawnPortraitTagger(folder / ATTRIBUTES), 4000, NAMES)


def report(line: str, **figures: float) -> None:
    print(f"\n{line}: " + ", ".join(f"{name} {value:.3f}" for name, value in figures.items()), flush=True)


def flips(before: dict[str, Tensor], after: dict[str, Tensor], name: str) -> float:
    """Share of images whose attribute has changed."""
    return float(((before[name] > 0.5) != (after[name] > 0.5)).float().mean())


def test_generated_attributes_are_those_of_the_codes(editor: Editor, network: AttributeNetwork) -> None:
    seeds = range(1000, 1300)
    known = [attributes(character_of(code)) for code in editor.translator.latents(seeds)[0]]
    measured = network.measure(editor.generate(editor.translator.styles(seeds)))
    for name, least in {"long_hair": 0.9, "glasses": 0.9}.items():
        right = float(((measured[name] > 0.5) == (torch.tensor([one[name] for one in known]) > 0.5)).float().mean())
        report("generator", **{name: right})
        assert right > least


@pytest.mark.parametrize("method", ["interfacegan", "tags"])
def test_a_direction_moves_one_attribute(
    editor: Editor, network: AttributeNetwork, labels: dict[str, dict[int, float]], method: str
) -> None:
    if method == "interfacegan":
        found = boundary_directions(editor, labels, 0.1, {name: [o for o in NAMES if o != name] for name in NAMES})
    else:
        found = tag_directions(editor, labels)
    ws = editor.translator.styles(range(15000, 15200))
    before = network.measure(editor.generate(ws))
    for vector in found:
        without = before[vector.name] < 0.5
        after = network.measure(editor.generate(ws[without], vector * STRENGTH))
        start = {name: value[without] for name, value in before.items()}
        others = {other: flips(start, after, other) for other in NAMES if other != vector.name}
        moved = flips(start, after, vector.name)
        accuracies = {name: value for name, value in vector.notes.items() if name.endswith("accuracy")}
        report(f"{method} {vector.name}", **accuracies, moved=moved, **others)
        assert vector.notes["accuracy"] >= 0.9
        assert moved >= 0.8
        assert max(others.values()) < 0.2


def test_conditional_projection_lowers_the_leak(editor: Editor, network: AttributeNetwork) -> None:
    seeds = range(3000)
    known = [attributes(character_of(code)) for code in editor.translator.latents(seeds)[0]]
    labels = {name: {seed: one[name] for seed, one in zip(seeds, known, strict=True)} for name in NAMES}
    # Of the labels for glasses most with glasses have long hair, too, so that the direction adds hair.
    draws = torch.Generator().manual_seed(0)
    kept = {
        seed: value
        for seed, value in labels["glasses"].items()
        if value == labels["long_hair"][seed] or torch.rand(1, generator=draws) < 0.25
    }
    entangled = {"glasses": kept, "long_hair": labels["long_hair"]}
    plain = boundary_directions(editor, entangled, 0.3)[0]
    conditioned = boundary_directions(editor, entangled, 0.3, {"glasses": ["long_hair"]})[0]
    ws = editor.translator.styles(range(15000, 15200))
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


@pytest.mark.parametrize("way", ["optimizer", "mapper", "direction"])
def test_red_hair_becomes_red(editor: Editor, network: AttributeNetwork, captions: CaptionEncoder, way: str) -> None:
    # The settings were chosen on the seeds from 8000 on.
    ws = editor.translator.styles(range(16000, 16060))
    before = network.measure(editor.generate(ws))
    ws = ws[~is_red(before)]
    before = {name: value[~is_red(before)] for name, value in before.items()}
    text, texts = "red hair", TextEditor(editor, captions)
    if way == "optimizer":
        image = editor.generate(ws + texts.edit(Latent(ws), text, 60, keep=0.002, rate=0.3, layers=range(4, 8)).ws)
    elif way == "direction":
        vector = texts.direction(text, OTHER_HAIR, beta=0.2, relevance=texts.relevance(12, rgb=True))
        report("direction", channels=vector.notes["channels"])
        image = editor.generate(ws, vector * 5)
    else:
        options = {"steps": 300, "batch_size": 8, "rate": 5.0, "keep": 0.002, "levels": ("medium",), "seed": 10**6}
        mapper = train_mapper(editor, text, captions, **options)
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
