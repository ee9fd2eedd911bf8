"""Johnson's transformation network and AdaIN's decoder."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from i2i_style.mirror_decoder import MirrorDecoder
from i2i_style.norms import conditioned, using
from i2i_style.transformer_net import TransformerNet
from torch import nn

from i2i.core.kinds import NORM
from i2i.errors import OptionError
from i2i.methods.networks import network


def parameters(module: nn.Module) -> int:
    return sum(value.numel() for value in module.parameters())


def test_johnsons_network_has_as_many_parameters_as_the_reference() -> None:
    assert parameters(TransformerNet()) == 1_679_235  # pytorch/examples, TransformerNet


@pytest.mark.parametrize("output", ["linear", "tanh", "sigmoid"])
@pytest.mark.parametrize("size", [(32, 32), (40, 24)])
def test_it_keeps_the_size_and_a_gradient_reaches_every_parameter(output: str, size: tuple[int, int]) -> None:
    net = TransformerNet(channels=4, blocks=1, output=output)  # type: ignore[arg-type]
    image = torch.rand(2, 3, *size) * 2 - 1
    made = net(image).image
    assert made.shape == image.shape
    if output != "linear":
        assert made.abs().max() <= 1
    (made * torch.rand_like(made)).sum().backward()
    # a convolution's bias before instance norm has no true gradient
    assert all(value.grad is not None for value in net.parameters())


def test_conditional_norms_stand_after_every_convolution() -> None:
    net = TransformerNet(channels=4, blocks=2, norm=NORM("cin", styles=3), last_norm=True)
    convolutions = [layer for layer in net.modules() if isinstance(layer, nn.Conv2d)]
    assert len(conditioned(net)) == len(convolutions) == 3 + 2 * 2 + 2 + 1
    with using(net, torch.eye(3)[:1]):
        assert net(torch.rand(2, 3, 32, 32)).image.shape == (2, 3, 32, 32)


def test_the_mirror_of_a_vgg_has_the_references_layers() -> None:
    decoder = MirrorDecoder(512)
    layers = [type(layer).__name__ for layer in decoder.layers]
    assert [i + 1 for i, name in enumerate(layers) if name == "Conv2d"] == [1, 4, 6, 8, 10, 13, 15, 18, 20]
    shapes = [layer.weight.shape[:2] for layer in decoder.layers if isinstance(layer, nn.Conv2d)]
    widths = [512, 256, 256, 256, 256, 128, 128, 64, 64, 3]
    assert [tuple(shape) for shape in shapes] == [(b, a) for a, b in pairwise(widths)]
    assert layers.count("Upsample") == 3
    assert layers[-1] == "Conv2d"
    assert parameters(decoder) == 3_505_219


def test_the_decoder_doubles_as_often_as_it_is_told() -> None:
    decoder = MirrorDecoder(6, channels=4, convolutions=(1, 2, 2))
    made = decoder(torch.randn(2, 6, 5, 4)).image
    assert made.shape == (2, 3, 20, 16)
    made.square().sum().backward()
    assert all(value.grad is not None and value.grad.abs().sum() > 0 for value in network(decoder).parameters())


def test_what_does_not_fit_is_said() -> None:
    with pytest.raises(OptionError, match=r"convolutions: expected how many there are at each size, such as \[1, 4, 2"):
        MirrorDecoder(6, convolutions=())
    with pytest.raises(OptionError, match="kernel: expected an odd number, got 8"):
        TransformerNet.check(image_size=32, kernel=8)
