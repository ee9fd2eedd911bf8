"""Both recipes train one after the other, the run generates images for texts, and mistakes get a sentence."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from i2i_tokens.data import CaptionedImages, CaptionedShapes
from i2i_tokens.reranking import best_of
from i2i_tokens.text import PADDING, tokenize
from i2i_tokens.transformer import TokenTransformer
from PIL import Image

from i2i import cli
from i2i.errors import DataError, I2IError
from i2i.methods.assembly import build
from i2i.recipe.recipe import Recipe

TINY = ("translator.tokens=8", "translator.hidden=4", "translator.codebook=4", "train.steps=2", "train.batch_size=2")


def run(*arguments: object) -> int:
    return cli.run([str(argument) for argument in arguments])


def settings(*values: str) -> list[str]:
    return [part for value in (*TINY, "train.workers=0", "data.size=16", *values) for part in ("--set", value)]


def test_a_transformer_without_biases_and_with_an_approximate_gelu() -> None:
    torch.manual_seed(0)
    network: Any = TokenTransformer(
        5, 7, 2, 4, 8, 1, 2, attention_bias=False, mlp_bias=False, sigmoid_gelu=True
    ).double()
    assert {name for name in network.state_dict() if name.endswith("bias")} == {
        "blocks.0.ln1.bias", "blocks.0.ln2.bias", "ln_f.bias"
    }  # fmt: skip
    x = torch.randn(3, 8, dtype=torch.float64)
    wide = x @ network.blocks[0].mlp[0].weight.T
    expected = (wide / (1 + (-1.702 * wide).exp())) @ network.blocks[0].mlp[2].weight.T
    assert torch.allclose(network.blocks[0].mlp(x), expected)


def test_text_becomes_an_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vae, transformer, folder = tmp_path / "vae", tmp_path / "run", tmp_path / "samples"
    assert run("train", "discrete_vae_small", *settings(), "--output", vae) == 0
    smaller = settings(f"train.init={vae}", "translator.channels=8", "translator.depth=1", "translator.heads=2")
    assert run("train", "tokens_small", *smaller, "--output", transformer) == 0
    arguments = ("sample", transformer, "--count", "3", "--output", folder)
    assert run(*arguments, "--text", "red circle") == 0
    first = [np.array(Image.open(path)) for path in sorted(folder.glob("*.png"))]
    assert len(first) == 3
    assert first[0].shape == (16, 16, 3)
    assert run(*arguments, "--text", "red circle", "--batch-size", "1") == 0
    again = [np.array(Image.open(path)) for path in sorted(folder.glob("*.png"))]
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    capsys.readouterr()
    assert run(*arguments, "--text", "red circle", "--with", "candidates=2") == 2
    assert "needs an encoder" in capsys.readouterr().err
    for text, message in (("redd circle", "no word 'redd'"), ("red red red", "at most 2 words"), ("", "empty text")):
        assert run(*arguments, "--text", text) == 2
        assert message in capsys.readouterr().err


def test_the_cache_changes_nothing_and_given_rows_stay() -> None:
    torch.manual_seed(0)
    network = TokenTransformer(5, 7, 2, 12, channels=8, layers=2, heads=2).double().eval()
    text, uniform = torch.tensor([[1, 2], [3, 4]]), torch.rand(2, 12, dtype=torch.float64)
    with torch.no_grad():
        cached = network.generate(text, uniform, top_k=4)
        assert torch.equal(cached, network.generate(text, uniform, top_k=4, cached=False))
        given = cached[:, :5]
        assert torch.equal(network.generate(text, uniform, first=given)[:, :5], given)


class Brightness:
    """An encoder that finds bright images close to every text."""

    def embed_image(self, image: torch.Tensor) -> torch.Tensor:
        angle = image.mean((1, 2, 3))
        return torch.stack([angle.cos(), angle.sin()], 1)

    def embed_text(self, texts: list[str]) -> torch.Tensor:
        return torch.tensor([[math.cos(1), math.sin(1)]]).expand(len(texts), -1)


def test_reranking_chooses_the_closest_candidate() -> None:
    recipe = Recipe.read("tokens_small", {"translator.channels": 8, "translator.heads": 2, "data.size": 16})
    torch.manual_seed(0)
    translator = build(recipe, training=False).eval()
    with torch.no_grad():
        first = translator.sample([3, 4], "red circle")
        best = translator.sample([3, 4], "red circle", candidates=4, encoder=Brightness())
        assert torch.equal(best, translator.sample([3, 4], "red circle", candidates=4, encoder=Brightness()))
    assert (best.mean((1, 2, 3)) >= first.mean((1, 2, 3))).all()
    assert not torch.equal(best, first)
    candidates = torch.tensor([[-1.0, 0.5], [0.9, -0.9]])[:, :, None, None, None].expand(-1, -1, 3, 4, 4)
    assert best_of(candidates, "any", Brightness()).mean((1, 2, 3)).tolist() == pytest.approx([0.5, 0.9])


def test_captions_of_a_folder(tmp_path: Path) -> None:
    for name in ("one", "two"):
        Image.fromarray(np.full((8, 8, 3), 200, np.uint8)).save(tmp_path / f"{name}.png")
    (tmp_path / "captions.csv").write_text("one.png,A black cat\ntwo.png,dog\n")
    data = CaptionedImages(tmp_path, size=16)
    assert data.words == (PADDING, "a", "black", "cat", "dog")
    assert {tuple(data[number]["text"].flatten().tolist()) for number in range(2)} == {(1, 2, 3), (4, 0, 0)}  # type: ignore[attr-defined]
    (tmp_path / "captions.csv").write_text("../one.png,cat\n")
    with pytest.raises(DataError, match=r"captions.csv:1: there is no file"):
        CaptionedImages(tmp_path)


def test_drawn_shapes_follow_from_their_number() -> None:
    data = CaptionedShapes(size=16)
    assert torch.equal(data[3]["image"], data[3]["image"])
    assert not torch.equal(data[3]["image"], data[4]["image"])
    with pytest.raises(I2IError, match="no word"):
        tokenize("purple circle", data.streams["text"].names, 2)
