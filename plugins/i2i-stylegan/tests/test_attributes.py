"""MakeGirlsMoe: networks, loss, attributes of samples, and data with attributes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from i2i_stylegan.attributes import AttributeClassifier, TaggedFolder
from i2i_stylegan.srresnet import ResidualDiscriminator, SRResNetGenerator
from PIL import Image
from torch.nn import functional as F

from i2i.errors import I2IError, OptionError
from i2i.methods.assembly import build
from i2i.recipe.recipe import Recipe


def test_networks_have_the_layers_of_the_paper() -> None:
    """16 blocks and three doublings from 16 to 128 px; ten blocks and six halvings; a gradient for each parameter."""
    with torch.device("meta"):
        whole = SRResNetGenerator(num_classes=34)
        assert whole.first.weight.shape == (64 * 16 * 16, 128 + 34)
        assert len(whole.blocks) == 16
        critic = ResidualDiscriminator(num_classes=34)
        assert critic.score.weight.shape == (1, 1024 * 2 * 2)
        assert sum(name.endswith("layers.0.weight") for name, _ in critic.named_parameters()) == 10
    generator = SRResNetGenerator(image_size=16, num_classes=3, z_dim=4, channels=4, blocks=2, upscales=2)
    discriminator = ResidualDiscriminator(image_size=16, num_classes=3, channels=4, halvings=2)
    image = generator(torch.randn(2, 4), torch.eye(3)[:2])
    heads = discriminator(image).logits
    assert (image.shape, heads["image"].shape, heads["classes"].shape) == ((2, 3, 16, 16), (2, 1), (2, 3))
    (heads["image"].sum() + heads["classes"].square().sum()).backward()
    for network in (generator, discriminator):
        assert all(value.grad is not None and value.grad.any() for value in network.parameters())
    with pytest.raises(OptionError, match="expected a multiple of 8 px, got 20"):
        SRResNetGenerator(image_size=20)


def test_the_loss_is_a_sum_over_attributes() -> None:
    logits, labels = torch.randn(4, 5), torch.randint(2, (4, 5)).float()
    expected = -(labels * F.logsigmoid(logits) + (1 - labels) * F.logsigmoid(-logits)).sum() / 4
    loss = AttributeClassifier()
    torch.testing.assert_close(loss.generator(logits, labels), expected)
    torch.testing.assert_close(loss.discriminator(logits, logits, labels, labels), 2 * expected)
    torch.testing.assert_close(AttributeClassifier(False).discriminator(logits, -logits, labels, labels), expected)


def test_attributes_of_samples() -> None:
    small = {f"translator.{part}.channels": 4 for part in ("generator", "discriminators.image")}
    translator: Any = build(Recipe.read("makegirlsmoe_small", small), training=False).eval()
    assert translator.names[0] == "glasses"
    _, drawn = translator.latents(range(128))
    hair = [index for index, name in enumerate(translator.names) if name.endswith("_hair") and name != "long_hair"]
    assert (drawn[:, hair].sum(1) == 1).all()
    assert all(set(column.tolist()) == {0.0, 1.0} for column in drawn.T)
    with pytest.raises(I2IError, match="the data has no attribute 'hat'"):
        build(Recipe.read("makegirlsmoe_small", {**small, "translator.exclusive": [["hat"]]}), training=False)
    with torch.no_grad():
        named = translator.sample([1], attributes="glasses, red_hair")
        assert torch.equal(named, translator.sample([1], classes=(0, translator.names.index("red_hair"))))
        assert not torch.equal(named, translator.sample([1], attributes=""))
        for condition, message in (({"attributes": "glases"}, "Did you mean"), ({"classes": (99,)}, "got 99")):
            with pytest.raises(I2IError, match=message):
                translator.sample([1], **condition)


def test_a_folder_with_attributes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(tmp_path / f"{name}.png")
    tags = tmp_path / "tags.txt"
    tags.write_text("one.png: hat, other\n\ntwo.png:\n")
    data = TaggedFolder(tmp_path, ("glasses", "hat"), size=16)
    assert sorted(data.vectors.tolist()) == [[0.0, 0.0], [0.0, 1.0]]
    assert data[0]["attributes"].shape == (2, 1, 1)
    assert data.streams["attributes"].names == ("glasses", "hat")
    for text, message in (
        ("one.png: hat\n", "expected a line for each image, got none for two.png"),
        ("one.png: hat\nthree.png:\n", r"tags.txt:2: expected IMAGE: ATTRIBUTE"),
        ("one.png: hat\none.png:\n", r"tags.txt:2: expected IMAGE: ATTRIBUTE"),
    ):
        tags.write_text(text)
        with pytest.raises(I2IError, match=message):
            TaggedFolder(tmp_path, ("hat",), size=16)
