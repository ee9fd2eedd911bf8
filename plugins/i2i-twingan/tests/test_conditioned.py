"""TwinGAN with a condition: the reference changes the result, the recipe trains and translates, and mistakes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from i2i_twingan.generator import TwinUnet
from i2i_twingan.tags import DrawnTags
from PIL import Image

import i2i
from i2i import cli
from i2i.core.contracts import Batch
from i2i.demo.attributes import NUMBERS, TAGS
from i2i.methods import assembly
from i2i.recipe.recipe import Recipe
from i2i.recipe.source import RecipeError

TINY: dict[str, Any] = {
    "translator.generator.channels": 16,
    "translator.generator.max_channels": 4,
    "translator.discriminators.image.channels": 16,
    "translator.extractor.drawings": 64,
    "translator.extractor.epochs": 1,
    "translator.extractor.names": ["hair_red", "hair_green", "hair_blue"],
    "translator.kept.drawings": 64,
    "translator.kept.epochs": 1,
    "data.count": 8,
    "train.steps": 2,
    "train.batch_size": 2,
    "train.workers": 0,
    "train.sample_every": 0,
}


@pytest.mark.parametrize("hidden", [0, 8])
def test_a_condition_starts_without_effect_and_gets_gradients(hidden: int) -> None:
    torch.manual_seed(0)
    network = TwinUnet(16, 4, condition=3, condition_hidden=hidden, image_size=16).eval()
    code = network.encode(torch.rand(2, 3, 16, 16), "a")
    condition = torch.randn(2, 3)
    torch.testing.assert_close(network.decode(code, "b", condition), network.decode(code, "b"))
    network.decode(code, "b", condition).square().sum().backward()
    for size, linear in network.modulation.items():
        assert linear.weight.grad is not None, size
        assert linear.weight.grad.abs().sum() > 0, size


def test_tags_are_those_of_the_network() -> None:
    tags = DrawnTags(names=("glasses", "hair_red"))
    image = torch.rand(2, 3, 48, 48).requires_grad_()
    (found,) = tags(image)
    everything = torch.cat(tags.network(image), 1)
    places = [(*TAGS, *NUMBERS).index(name) for name in ("glasses", "hair_red")]
    assert torch.equal(found[:, :, 0, 0], everything[:, places])
    found.sum().backward()
    assert image.grad is not None
    assert tags.train().network.training is False


def test_a_run_follows_its_reference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    i2i.train(Recipe.read("twingan_conditioned_small", TINY), tmp_path / "run")
    loaded = i2i.load(tmp_path / "run", "cpu")
    for linear in loaded.translator.generator.modulation.values():
        torch.nn.init.normal_(linear.weight)
    image = torch.rand(1, 3, 32, 32) * 2 - 1
    references = (torch.ones(1, 3, 32, 32), -torch.ones(1, 3, 32, 32))
    results = [loaded.run(image, "b", reference=reference).image for reference in references]
    assert not torch.equal(*results)
    Image.new("RGB", (32, 32), (200, 10, 10)).save(tmp_path / "red.png")
    arguments = [
        "translate",
        str(tmp_path / "run"),
        str(tmp_path / "red.png"),
        "--to",
        "b",
        "--output",
        str(tmp_path / "out"),
    ]
    assert cli.run([*arguments, "--with", f"reference={tmp_path / 'red.png'}"]) == 0
    assert len(list((tmp_path / "out").iterdir())) == 1
    capsys.readouterr()
    assert cli.run(arguments) == 2
    assert "reference" in capsys.readouterr().err


def test_translations_keep_features_of_their_inputs() -> None:
    translator: Any = assembly.build(Recipe.read("twingan_conditioned_small", TINY))
    streams = {domain: torch.rand(2, 3, 32, 32) * 2 - 1 for domain in "ab"}
    outputs: Any = translator.start_phase(Batch(streams), "generator")
    assert translator.kept is not translator.extractor
    (measured,) = translator.kept(streams["a"])
    torch.testing.assert_close(outputs.kept["b"], measured[:, :, 0, 0])
    assert not outputs.kept["b"].requires_grad
    outputs.fake_kept["b"].sum().backward()
    assert all(weight.grad is None for weight in translator.kept.parameters())
    assert any(weight.grad is not None for weight in translator.generator.parameters())


def test_mistakes_are_refused() -> None:
    with pytest.raises(RecipeError, match="no attribute 'hair_rot'"):
        Recipe.read("twingan_conditioned_small", {"translator.extractor.names": ["hair_rot"]})
    with pytest.raises(i2i.I2IError, match=r"translator\.kept"):
        assembly.dry_run(Recipe.read("twingan_conditioned_small", TINY | {"translator.kept": "none"}))
    with pytest.raises(i2i.I2IError, match="expected one or both of a and b"):
        assembly.dry_run(Recipe.read("twingan_conditioned_small", TINY | {"translator.conditioned": ["c"]}))
