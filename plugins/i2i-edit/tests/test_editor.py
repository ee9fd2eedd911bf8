"""Editing with a tiny run: style space, projection, directions, text, files, and refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from i2i_edit import style_space
from i2i_edit.editor import Editor
from i2i_edit.finding import (
    boundary_directions,
    ganspace_directions,
    read_scores,
    scores_of,
    sefa_directions,
    tag_directions,
)
from i2i_edit.perceptual import PerceptualDistance
from i2i_edit.projection import Options
from i2i_edit.text_editor import TextEditor
from i2i_edit.text_mapper import load_mapper, save_mapper, train_mapper
from i2i_edit.vectors import EditVector, combined
from torch import Tensor, nn

from i2i.core.kinds import FEATURE_EXTRACTOR
from i2i.errors import I2IError


@pytest.fixture(scope="session")
def editor(run_folder: Path) -> Editor:
    return Editor(run_folder)


@pytest.fixture
def distance() -> PerceptualDistance:
    return PerceptualDistance(FEATURE_EXTRACTOR("timm", weights="untrained"))


class Words(nn.Module):
    """Embeds images by the means of their channels, and red and blue as such images."""

    neutral = ("grey",)

    def embed_image(self, image: Tensor) -> Tensor:
        return (image + 1.01).mean((2, 3))

    def embed_text(self, texts: Any) -> Tensor:
        return torch.tensor(
            [{"red": [1.0, 0, 0], "blue": [0, 0, 1.0], "grey": [1.0, 1.0, 1.0]}[text] for text in texts]
        )


class Brightness:
    """Tags images by their brightness."""

    tags = ("bright", "red")

    def __call__(self, image: Tensor) -> Tensor:
        mean, red = image.mean((1, 2, 3)), image[:, 0].mean((1, 2))
        return torch.stack([mean - mean.mean() + 0.5, (red > red.median()).float()], 1)


def test_styles_of_layers_give_the_same_image(editor: Editor) -> None:
    ws = editor.translator.styles([1, 2])
    synthesis = editor.generator.synthesis
    styles = style_space.styles_of(synthesis, ws)
    torch.testing.assert_close(style_space.synthesize(synthesis, styles), synthesis(ws, "const"))
    changed = {**styles, "b8.conv1": styles["b8.conv1"] + 1}
    assert not torch.allclose(style_space.synthesize(synthesis, changed), synthesis(ws, "const"))


def test_a_vector_changes_the_image_of_its_own_generator(editor: Editor) -> None:
    latent = editor.seed(3)
    vector = EditVector("one", editor.hash, torch.ones(editor.generator.num_ws, 8))
    plain = editor.generate(latent)
    torch.testing.assert_close(editor.generate(latent, vector * 0), plain)
    torch.testing.assert_close(editor.generate(latent.ws + 1), editor.generate(latent, vector))
    both = combined([vector, EditVector("styles", editor.hash, None, {"b16.conv0": torch.ones(16)})])
    assert not torch.allclose(editor.generate(latent, both), editor.generate(latent, vector))
    with pytest.raises(I2IError, match="vector one: it belongs to another generator, bbbbbbbbbbbb; this run's is"):
        editor.generate(latent, EditVector("one", "b" * 64))
    with pytest.raises(I2IError, match=r"vector one: expected \[6, 8\] numbers, got \[2, 2\]"):
        editor.generate(latent, EditVector("one", editor.hash, torch.ones(2, 2)))


def test_projection_comes_nearer_and_does_not_mix_images(
    editor: Editor, distance: PerceptualDistance, tmp_path
) -> None:
    target = editor.generate(editor.translator.styles([5, 6]))
    options = Options(steps=8, space="w+", noise=0.0)
    found: list[float] = []
    both = editor.project(target, options, distance=distance, progress=lambda step, value: found.append(value))
    assert found[-1] < found[0]
    alone = editor.project(target[:1], options._replace(steps=1), distance=distance)
    assert alone.ws.shape == (1, editor.generator.num_ws, 8)
    assert len(both.noise) == 5
    editor.save_projection(alone, tmp_path / "one.safetensors")
    read = editor.load_projection(tmp_path / "one.safetensors")
    assert torch.equal(read.ws, alone.ws)
    assert all(torch.equal(one, other) for one, other in zip(read.noise, alone.noise, strict=True))
    with pytest.raises(I2IError, match=r"expected images \[B, 3, 16, 16\], got \[1, 3, 8, 8\]"):
        editor.project(torch.zeros(1, 3, 8, 8))


def test_identity_and_pixels_are_further_terms(editor: Editor, distance: PerceptualDistance) -> None:
    target = editor.generate(editor.translator.styles([5]))
    options, faces = Options(steps=2), []

    def network(face: Tensor) -> Tensor:
        faces.append(face.shape)
        return face.mean((2, 3))

    plain = editor.project(target, options, distance=distance)
    more = editor.project(target, options, distance=distance, identity=network, pixel_weight=5.0)
    assert set(faces) == {(1, 3, 112, 112)}
    assert not torch.equal(plain.ws, more.ws)


def test_directions_without_labels(editor: Editor) -> None:
    found = sefa_directions(editor, 3, [0, 1])
    assert [one.name for one in found] == ["sefa0", "sefa1", "sefa2"]
    assert found[0].ws[2:].abs().max() == 0
    assert found[0].ws[0].norm() == pytest.approx(found[0].notes["deviation"], rel=1e-4)
    components = ganspace_directions(editor, 2, 200)
    assert components[0].notes["deviation"] > components[1].notes["deviation"]


def test_directions_of_labels_raise_what_they_name(editor: Editor) -> None:
    scores = scores_of(editor, Brightness(), 200, ["bright"])
    for vector in (*boundary_directions(editor, scores, 0.2), *tag_directions(editor, scores)):
        ws = editor.translator.styles(range(300, 320))
        lighter = editor.generate(ws, vector * 2).mean((1, 2, 3)) > editor.generate(ws, vector * -2).mean((1, 2, 3))
        assert lighter.float().mean() >= 0.8, vector.method
        assert vector.notes["accuracy"] > 0.5
    both = boundary_directions(editor, scores_of(editor, Brightness(), 200), 0.2, {"bright": ["red"]})
    assert abs(float(torch.cosine_similarity(both[0].ws[0], both[1].ws[0], 0))) < 1e-5
    with pytest.raises(I2IError, match="attribute 'smile': the tagger has bright, red"):
        scores_of(editor, Brightness(), 4, ["smile"])
    with pytest.raises(I2IError, match="bright: too few labels"):
        boundary_directions(editor, {"bright": {0: 1.0, 1: 0.0, 2: 0.5}})
    with pytest.raises(I2IError, match="bright: too few labels: expected at least 2 images with the tag and 2 without"):
        tag_directions(editor, {"bright": dict.fromkeys(range(10), 1.0)})
    # Of five labels one is held out, so that the accuracy of one class is unknown, and none is named.
    (few,) = tag_directions(editor, {"bright": {number: float(number % 2) for number in range(5)}})
    assert "accuracy" not in few.notes


def test_labels_are_read_from_a_table(tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("seed,glasses,smile\n1,1,0\n2,0,\n3,0,1\n4,1,0.5\n5,1,1\n")
    scores = read_scores(table)
    assert scores["glasses"] == {1: 1, 2: 0, 3: 0, 4: 1, 5: 1}
    assert list(scores["smile"]) == [1, 3, 4, 5]
    for text, message in {
        "seed,glasses\n1,1\n": "too few labels: glasses has 1, expected at least 4",
        "seed,glasses\nx,1\n": ":2: expected a seed, got 'x'",
        "seed,glasses\n1,nan\n": ":2: expected a number for glasses, got 'nan'",
        "glasses\n1\n": ":1: expected the columns seed and one for each attribute, got glasses",
    }.items():
        table.write_text(text)
        with pytest.raises(I2IError, match=message):
            read_scores(table)


def test_the_three_ways_of_text_make_images_redder(editor: Editor, tmp_path: Path) -> None:
    encoder = Words()
    texts, latent = TextEditor(editor, encoder), editor.seed(4)

    def redness(vector: EditVector | None) -> float:
        image = editor.generate(latent, vector)
        return float(image[:, 0].mean() - image[:, 1:].mean())

    assert redness(texts.edit(latent, "red", steps=20, keep=0.0)) > redness(None)
    fine = texts.edit(latent, "red", steps=2, layers=[4, 5]).ws
    assert fine is not None
    assert not fine[:4].any()
    assert fine[4:].all()
    relevance = texts.relevance(4)
    assert redness(texts.direction("red", beta=0.05, relevance=relevance) * 5) > redness(None)
    assert not any(name.endswith("torgb") for name in relevance[1])
    colors = texts.direction("red", beta=0.05, relevance=texts.relevance(2, rgb=True))
    assert "b8.torgb" in colors.styles
    assert redness(colors * 5) > redness(None)
    with pytest.raises(I2IError, match="beta: no channel of the styles is as relevant as 2"):
        texts.direction("red", beta=2.0, relevance=relevance)
    with pytest.raises(I2IError, match="levels: this generator has coarse and medium layers, got fine"):
        train_mapper(editor, "red", encoder, steps=1, levels=("fine",))
    mapper = train_mapper(editor, "red", encoder, steps=12, keep=0.0)
    assert redness(mapper.change(latent.ws)) > redness(None)
    save_mapper(mapper, tmp_path / "red.safetensors")
    read = load_mapper(tmp_path / "red.safetensors", editor)
    torch.testing.assert_close(read.change(latent.ws).ws, mapper.change(latent.ws).ws)
    with pytest.raises(I2IError, match="text: expected words such as red hair, got an empty text"):
        texts.edit(latent, " ")


def test_directions_of_a_run_have_names(editor: Editor, run_folder: Path) -> None:
    with pytest.raises(
        I2IError, match=r"directions has no direction 'smile'; it has .+, and i2i directions finds more"
    ):
        editor.direction("smile")
