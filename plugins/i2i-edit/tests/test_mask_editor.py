"""EditGAN: edits of the segmentation, vectors that are scaled, added, refined and kept, and messages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from i2i_edit.labelled_samples import train_segmenter
from i2i_edit.mask_editing import edited_region
from i2i_edit.mask_editor import MaskEditor
from i2i_edit.pixel_features import render
from i2i_edit.vectors import load_vector, save_vector
from torch import Tensor

from i2i.errors import I2IError


@pytest.fixture
def editor(translator: Any, labelled: Path) -> MaskEditor:
    return MaskEditor(train_segmenter(translator, labelled, members=1, max_epochs=4))


def inverted(editor: MaskEditor, ws: Tensor) -> Tensor:
    """The segmentation with the classes of the left third exchanged."""
    target = editor.view(ws).segmentation.labels.clone()
    target[:, :5] = 1 - target[:, :5]
    return target


def mixed(editor: MaskEditor) -> Tensor:
    """Style vectors of the sample that has both classes most evenly."""
    samples = [editor.translator.styles([seed]) for seed in range(20)]
    return min(samples, key=lambda ws: abs(float(editor.view(ws).segmentation.labels.float().mean()) - 0.5))


def accuracy(editor: MaskEditor, ws: Tensor, target: Tensor) -> float:
    return float((editor.view(ws).segmentation.labels == target).float().mean())


def test_an_edit_lowers_the_cross_entropy_and_is_a_vector(editor: MaskEditor, tmp_path: Path) -> None:
    ws = mixed(editor)
    target = inverted(editor, ws)
    values = []
    vector = editor.edit(
        ws, target, "light", progress=lambda step, losses: values.append([float(one.detach()) for one in losses])
    )
    assert len(values) == 29
    totals, classes = [row[-1] for row in values], [row[-2] for row in values]
    assert min(totals) < totals[0]
    assert classes[totals.index(min(totals))] < 0.9 * classes[0]
    moved = editor.apply(ws, vector)
    assert set(vector.notes["classes"]) <= {"dark", "light"}
    path = tmp_path / "light.safetensors"
    save_vector(vector, path)
    again = load_vector(path, editor.generator)
    assert torch.equal(editor.apply(ws, again), moved)
    # Scaled and added as numbers.
    assert torch.allclose(editor.apply(ws, again * 0.5), (ws + moved) / 2, atol=1e-6)
    assert torch.allclose(editor.apply(ws, again * 0.5 + again * 0.5), moved, atol=1e-6)


def test_refining_keeps_the_segmentation_and_restores_the_rest(editor: MaskEditor) -> None:
    ws = mixed(editor)
    vector = editor.edit(ws, inverted(editor, ws))
    moved = editor.apply(ws, vector)
    wanted = editor.view(moved).segmentation.labels
    found = editor.refine(ws, moved, ["light"], 20)
    before = editor.view(ws)
    outside = ~((before.segmentation.labels == 1) | (wanted == 1))

    def difference(styles: Tensor) -> float:
        return float((editor.view(styles).image - before.image)[0, :, outside].square().mean())

    assert bool(outside.any())
    assert difference(found) < difference(moved)
    assert accuracy(editor, found, wanted) > 0.8


def test_features_follow_changes_of_single_layers(translator: Any) -> None:
    ws = translator.styles([2])
    plain, same = render(translator, ws), render(translator, ws, styles={"b8.conv0": torch.zeros(16)})
    assert all(torch.allclose(one, two, atol=1e-5) for one, two in zip(plain.features, same.features, strict=True))
    assert torch.allclose(plain.image, same.image, atol=1e-5)
    moved = render(translator, ws, styles={"b8.conv0": torch.ones(16)})
    changed = [not torch.equal(one, two) for one, two in zip(same.features, moved.features, strict=True)]
    assert changed == [False, False, True, True, True, True]


def test_the_region_is_dilated() -> None:
    changed = torch.zeros(16, 16, dtype=torch.bool)
    changed[8, 8] = True
    assert edited_region(changed).nonzero().aminmax() == (torch.tensor(5), torch.tensor(11))


def test_messages(editor: MaskEditor) -> None:
    ws = editor.translator.styles([1])
    same = editor.view(ws).segmentation.labels
    with pytest.raises(I2IError, match="nothing to edit"):
        editor.edit(ws, same)
    with pytest.raises(I2IError, match="mask: expected 16 x 16 pixels, as large as the image, got 8 x 16"):
        editor.edit(ws, same[:, :8])
    with pytest.raises(I2IError, match="mask: there is no class 5; classes: dark, light"):
        editor.edit(ws, torch.full_like(same, 5))
    with pytest.raises(I2IError, match=r"there is no class 'ligth'; classes: dark, light. Did you mean 'light'?"):
        editor.refine(ws, ws, ["ligth"])
    vector = editor.edit(ws, 1 - same)
    editor.generator = "another"
    with pytest.raises(I2IError, match="the vector edit belongs to another generator"):
        editor.apply(ws, vector)
