"""DatasetGAN and EditGAN on a trained run of `stylegan2_portraits32`, measured by `mask_measures`.

`pytest -m slow plugins/i2i-edit/tests/slow/test_masks.py -s` prints the table of docs/masks.md. I2I_PORTRAITS names a
run folder; without it the recipe is trained first.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from i2i_edit.mask_editor import MaskEditor
from i2i_edit.segmentation import Segmenter

import i2i
from i2i.demo.label_map import CLASSES

sys.path.insert(0, str(Path(__file__).parent))
from mask_measures import UNet, dataset_gan, drawings, few_label_segmenter, grows, mask_edits, train_unet

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def translator(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = os.environ.get("I2I_PORTRAITS")
    if folder is None:
        folder = str(tmp_path_factory.mktemp("runs") / "portraits32")
        i2i.train(i2i.Recipe.read("stylegan2_portraits32"), Path(folder))
    return i2i.load(folder, "cpu").translator


@pytest.fixture(scope="session")
def measure() -> UNet:
    """A segmentation network of drawings with their true label maps."""
    return train_unet(*drawings(range(500)))


@pytest.fixture(scope="session")
def segmenter(translator: Any, measure: UNet) -> Segmenter:
    return few_label_segmenter(translator, measure)


@pytest.fixture(scope="session")
def edits(segmenter: Segmenter, measure: UNet) -> dict[str, dict[str, Any]]:
    """Figures of edits by class."""
    editor = MaskEditor(segmenter)
    return {name: mask_edits(editor, measure, name) for name in ("hair", "clothes", "eyes")}


def check(name: str, figures: dict[str, Any]) -> None:
    print(f"\nEditGAN, {name}: { {key: value for key, value in figures.items() if key != 'vector'} }")
    assert figures["classifiers after"] >= figures["classifiers before"] + 0.2
    assert figures["mse outside"] < 0.01
    assert figures["works on others"] >= 0.8


def test_an_edit_of_hair_reaches_the_mask_and_carries_over(edits: dict[str, dict[str, Any]]) -> None:
    check("hair", edits["hair"])


@pytest.mark.xfail(reason="the generator of 32 px draws clothes and eyes too vaguely", strict=False)
@pytest.mark.parametrize("name", ["clothes", "eyes"])
def test_an_edit_of_a_small_class(edits: dict[str, dict[str, Any]], name: str) -> None:
    check(name, edits[name])


@pytest.mark.xfail(reason="the second vector does not carry over by itself", strict=False)
def test_two_vectors_add(edits: dict[str, dict[str, Any]], segmenter: Segmenter, measure: UNet) -> None:
    names = ("hair", "clothes")
    vectors = [edits[name]["vector"] for name in names]
    both = grows(MaskEditor(segmenter), measure, vectors, [CLASSES.index(name) for name in names], range(500, 520))
    print(f"\nboth vectors: {sum(both) / len(both)}")
    assert sum(both) >= 0.8 * len(both)


@pytest.mark.xfail(reason="the generator of 32 px draws no mouths and hardly any glasses", strict=False)
def test_a_synthetic_set_teaches_nearly_as_much_as_full_truth(
    translator: Any, segmenter: Segmenter, measure: UNet
) -> None:
    figures = dataset_gan(translator, segmenter, measure)
    print(f"\nDatasetGAN: {figures}")
    assert figures["dataset_gan"] >= 0.8 * figures["full truth"]
