"""Taps: features by a layer's name or number."""

from __future__ import annotations

import pytest
import torch

from i2i.core.kinds import ATTENTION
from i2i.errors import OptionError
from i2i.nn.generators.resnet import Resnet
from i2i.nn.generators.resnet_adalin import ResnetAdaLIN
from i2i.nn.generators.stylegan2_resnet import StyleGAN2Resnet
from i2i.nn.layers.stages import named_taps

TAPS = ("image", "down.0.conv", "down.1.conv", "blocks.0", "blocks.1")


@pytest.mark.parametrize("down", ["strided", "blur"])
def test_features_are_those_on_the_way(down: str) -> None:
    model = Resnet(4, 2, down=down)  # type: ignore[arg-type]
    image = torch.randn(2, 3, 16, 20)
    padded, *_, last = features = model.features(image, TAPS)
    assert tuple(feature.shape[1] for feature in features) == model.tapped_channels(TAPS) == (3, 8, 16, 16, 16)
    assert torch.equal(padded[:, :, 3:-3, 3:-3], image)
    assert torch.equal(last, model.encoder(image))


@pytest.mark.parametrize(
    ("model", "taps"),
    [
        (Resnet(4, 2, down="blur"), (*reversed(TAPS), "blocks.0")),
        (ResnetAdaLIN(4, 2, light=True), TAPS),
        (StyleGAN2Resnet(4, blocks=2, noise=True), ("image", "down.0", "blocks.1")),
    ],
)
def test_features_are_heard_while_the_network_works(
    model: Resnet | ResnetAdaLIN | StyleGAN2Resnet, taps: tuple[str, ...]
) -> None:
    image = torch.randn(2, 3, 16, 20)
    with model.capture_features(image, taps) as captured:
        assert captured() is None
        made = model(image)
    features = captured()
    assert features is not None
    assert all(torch.equal(one, other) for one, other in zip(features, model.features(image, taps), strict=True))
    assert made.image.shape == image.shape
    assert not any(module._forward_hooks for module in model.modules())


def test_what_cannot_be_heard_is_not_made_up() -> None:
    model, image = Resnet(4, 1, attention=ATTENTION("cam")), torch.randn(1, 3, 16, 16)
    with model.capture_features(image, ("image", "attention")) as captured:  # the attention gives more than features
        model(image)
    assert captured() is None
    mixing = Resnet(4, 2, dropout=0.5)
    for taps, alone in ((("down.1.conv",), True), (("down.1.conv", "blocks.0"), False)):
        with mixing.capture_features(image, taps) as captured:
            mixing(image)
        assert (captured() is not None) == alone
    with pytest.raises(OptionError, match="no layer 'nose'"), model.capture_features(image, ("nose",)):
        pass


def test_numbers_are_the_official_layers() -> None:
    plain, blurred = Resnet(4, 6), Resnet(4, 6, down="blur", upsample="blur")
    assert named_taps(blurred.stages(), (0, 4, 8, 12, 16)) == (
        "image",
        "down.0.conv",
        "down.1.conv",
        "blocks.0",
        "blocks.4",
    )
    # The same numbers are other layers without blurs; 8 is a norm, which the activation after it overwrites there.
    assert named_taps(plain.stages(), (0, 4, 8, 12)) == ("image", "down.0.conv", "down.1.activation", "blocks.2")
    assert named_taps(plain.stages(), (0, 4, 8))[2] == "down.1.norm"


def test_order_and_repetition_are_the_callers() -> None:
    model = Resnet(4, 2)
    image = torch.randn(1, 3, 16, 16)
    late, early, again = model.features(image, ("blocks.1", "stem.conv", "blocks.1"))
    assert torch.equal(late, again)
    assert torch.equal(early, model.encoder.stem.conv(image))


def test_layers_beyond_the_last_tap_are_not_computed() -> None:
    model = Resnet(4, 2)
    model.encoder.blocks[1].register_forward_hook(lambda *_: pytest.fail("computed for nothing"))
    model.features(torch.randn(1, 3, 16, 16), ("image", "blocks.0"))


def test_attention_and_adalin_have_taps_too() -> None:
    image = torch.randn(1, 3, 16, 16)
    attended = Resnet(4, 1, attention=ATTENTION("cam"))
    assert attended.features(image, ("attention",))[0].shape == (1, 16, 4, 4)
    assert ResnetAdaLIN(4, 2, light=True).features(image, TAPS)[4].shape == (1, 16, 4, 4)


def test_unknown_tap() -> None:
    with pytest.raises(OptionError, match=r"no layer 'blocks\.9'; layers from 0 to 17: image, stem\.conv, "):
        Resnet(4, 2).features(torch.randn(1, 3, 16, 16), ("blocks.9",))
    with pytest.raises(OptionError, match="no layer 99"):
        Resnet(4, 2).tapped_channels((99,))
