"""Trains `discrete_vae_small` and `tokens_small`, and measures what they draw for texts.

    python -m pytest -m slow plugins/i2i-tokens/tests/slow -s

`I2I_MEASURED_RUN=VAE,TRANSFORMER[,ENCODER]` measures runs that are there already.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from i2i_tokens.data import COLORS, FORMS, CaptionedShapes, draw
from plugin_fixtures import only_plugin
from torch import Tensor
from torch.nn import functional as F

import i2i
from i2i.recipe.recipe import Recipe

HELD_OUT = 2**61
"""Number of the first measured drawing; training reads small numbers, and the sample grid those from 2**60 on."""
COUNT = 256
EACH = 8
AREAS = {"circle": math.pi, "square": 1.6**2, "cross": 2 * 0.6 * 2 - 0.6**2}
"""Areas of the forms with a radius of 1."""


def described(image: Tensor) -> tuple[str, str]:
    """Return colour and form of a drawing [3, H, W] in [-1, 1], by its pixels alone.

    The colour is the nearest to the mean of the pixels that differ from the ground. The form is the one whose drawing
    with the same area and centre has the largest intersection over union with them.
    """
    inside = shape_of(image)
    if int(inside.sum()) < 9:
        return "none", "none"
    mean = (image[:, inside].mean(1) + 1) / 2
    color = min(COLORS, key=lambda name: float((torch.tensor(COLORS[name]) - mean).square().sum()))
    size = image.shape[1]
    y, x = ((places.float().mean() + 0.5) * 2 / size - 1 for places in inside.nonzero().unbind(1))

    def overlap(form: str) -> float:
        radius = (float(inside.sum()) / AREAS[form]) ** 0.5 * 2 / size
        drawn = shape_of(draw(form, color, (float(x), float(y)), radius, size))
        return float((drawn & inside).sum() / (drawn | inside).sum())

    return color, max(FORMS, key=overlap)


def shape_of(image: Tensor) -> Tensor:
    """Return where a drawing differs from the ground, [H, W]."""
    return ((image + 1) / 2 - 0.12).abs().amax(0) > 0.3


Runs = tuple[Path, Path, Path]
"""Folders of the discrete VAE, the transformer, and the text-image encoder, which may not be there yet."""


@pytest.fixture(autouse=True)
def _only_this_plugin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Load the plugin whose encoder reranks, too."""
    with only_plugin(monkeypatch, "tokens", "edit"):
        yield


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """Train both recipes, or take the runs that are there."""
    folder = tmp_path_factory.mktemp("runs")
    vae, run, encoder = folder / "vae", folder / "run", folder / "encoder"
    if given := os.environ.get("I2I_MEASURED_RUN"):
        vae, run, *more = (Path(part) for part in given.split(","))
        return vae, run, more[0] if more else encoder
    i2i.train(Recipe.read("discrete_vae_small"), vae)
    i2i.train(Recipe.read("tokens_small", {"train.init": str(vae)}), run)
    return vae, run, encoder


def share_right(loaded: i2i.Loaded, **settings: Any) -> float:
    """Return the share of images of each text that have its colour and form."""
    right = []
    for color in COLORS:
        for form in FORMS:
            drawn = loaded.sample(EACH, seed=1000, text=f"{color} {form}", **settings)
            right += [described(image) == (color, form) for image in drawn]
    return float(np.mean(right))


@pytest.mark.slow
def test_reranked_images_have_the_colour_and_form_of_their_text(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("i2i_edit", reason="the plugin i2i-edit, whose encoder reranks, is not installed")
    _, run, encoder = runs
    if not encoder.exists():
        i2i.train(Recipe.read("caption_encoder", {"data": {"type": "captioned_shapes", "size": 32}}), encoder)
    right = share_right(i2i.load(run, "cpu"), candidates=8, encoder=str(encoder))
    with capsys.disabled():
        print(f"\nright with reranking of 8 candidates {right:.2f}")
    assert right >= 0.7


@pytest.mark.slow
def test_texts_become_shapes(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    vae, run, _ = runs
    data = CaptionedShapes()
    samples = [data[number] for number in range(HELD_OUT, HELD_OUT + COUNT)]
    images = torch.stack([sample["image"] for sample in samples])
    words = data.streams["text"].names
    truth = [tuple(words[word] for word in sample["text"].flatten()) for sample in samples]
    assert np.mean([described(image) == caption for image, caption in zip(images, truth, strict=True)]) >= 0.98
    translator: Any = i2i.load(vae, "cpu").translator
    with torch.inference_mode():
        tokens = translator.vae.encode(images)
        error = float((translator.translate(images, "image").image - images).abs().mean())
    used = float(
        (torch.bincount(tokens.flatten(), minlength=translator.vae.codebook.num_embeddings) > 0).float().mean()
    )
    loaded = i2i.load(run, "cpu")
    right = share_right(loaded)
    transformer: Any = loaded.translator
    with torch.inference_mode():
        text = transformer._text("red circle", 4)
        uniform = torch.rand(4, transformer.rows * transformer.columns, generator=torch.Generator().manual_seed(0))
        same = torch.equal(
            transformer.transformer.generate(text, uniform),
            transformer.transformer.generate(text, uniform, cached=False),
        )
    with capsys.disabled():
        print(f"\nL1 {error:.3f}, codebook used {used:.2f}, right {right:.2f}, cached equal {same}")
        print(f"L1 of the mean image {float(F.l1_loss(images.mean(0).expand_as(images), images)):.3f}")
    assert error <= 0.05
    assert used >= 0.25
    assert right >= 0.7
    assert same
