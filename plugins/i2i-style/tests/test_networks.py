"""The generator `transformer_net` and the decoder `mirror_decoder`."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from i2i_style.mirror_decoder import MirrorDecoder
from i2i_style.norms import ConditionalInstanceNorm, style_weights
from i2i_style.transformer_net import TransformerNet
from torch import nn

from i2i.core.kinds import NORM
from i2i.errors import OptionError
from i2i.methods.networks import network


def parameters(module: nn.Module) -> int:
    return sum(value.numel() for value in module.parameters())


def test_transformer_net_has_as_many_parameters_as_the_reference() -> None:
    assert parameters(TransformerNet()) == 1_679_235  # pytorch/examples, TransformerNet


@pytest.mark.parametrize("output", ["linear", "tanh", "sigmoid"])
@pytest.mark.parametrize("size", [(32, 32), (40, 24)])
def test_transformer_net_keeps_the_size_and_gradients_reach_every_parameter(output: str, size: tuple[int, int]) -> None:
    net = TransformerNet(channels=4, blocks=1, output=output)  # type: ignore[arg-type]
    image = torch.rand(2, 3, *size) * 2 - 1
    generated = net(image).image
    assert generated.shape == image.shape
    if output != "linear":
        assert generated.abs().max() <= 1
    (generated * torch.rand_like(generated)).sum().backward()
    # The bias of a convolution before an instance norm has a gradient of zero, so only its presence is tested.
    assert all(value.grad is not None for value in net.parameters())


def test_conditional_norms_follow_every_convolution() -> None:
    net = TransformerNet(channels=4, blocks=2, norm=NORM("cin", styles=3), last_norm=True)
    convolutions = [layer for layer in net.modules() if isinstance(layer, nn.Conv2d)]
    norms = [layer for layer in net.modules() if isinstance(layer, ConditionalInstanceNorm)]
    assert len(norms) == len(convolutions) == 3 + 2 * 2 + 2 + 1
    with style_weights(torch.eye(3)[:1]):
        assert net(torch.rand(2, 3, 32, 32)).image.shape == (2, 3, 32, 32)


def test_mirror_decoder_has_the_layers_of_the_reference() -> None:
    decoder = MirrorDecoder(512)
    layers = [type(layer).__name__ for layer in decoder.layers]
    assert [i + 1 for i, name in enumerate(layers) if name == "Conv2d"] == [1, 4, 6, 8, 10, 13, 15, 18, 20]
    shapes = [layer.weight.shape[:2] for layer in decoder.layers if isinstance(layer, nn.Conv2d)]
    widths = [512, 256, 256, 256, 256, 128, 128, 64, 64, 3]
    assert [tuple(shape) for shape in shapes] == [(b, a) for a, b in pairwise(widths)]
    assert layers.count("Upsample") == 3
    assert layers[-1] == "Conv2d"
    assert parameters(decoder) == 3_505_219


def test_mirror_decoder_upsamples_between_sizes() -> None:
    decoder = MirrorDecoder(6, channels=4, convolutions=(1, 2, 2))
    image = decoder(torch.randn(2, 6, 5, 4)).image
    assert image.shape == (2, 3, 20, 16)
    image.square().sum().backward()
    assert all(value.grad is not None and value.grad.abs().sum() > 0 for value in network(decoder).parameters())


def test_wrong_options_are_refused() -> None:
    with pytest.raises(OptionError, match=r"convolutions: expected how many there are at each size, such as \[1, 4, 2"):
        MirrorDecoder(6, convolutions=())
    with pytest.raises(OptionError, match="kernel: expected an odd number, got 8"):
        TransformerNet.check(image_size=32, kernel=8)
