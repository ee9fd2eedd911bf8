"""The networks f, g and D: layers of the reference, shapes, gradients, refused sizes."""

from __future__ import annotations

import pytest
import torch
from i2i_dtn.networks import DTNDecoder, DTNDiscriminator, LabelEncoder
from torch import nn

from i2i.errors import OptionError, ShapeError


def convolutions(module: nn.Module) -> list[tuple[int, int]]:
    return [
        (m.out_channels, m.kernel_size[0]) for m in module.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)
    ]


def test_networks_have_the_layers_of_the_reference() -> None:
    assert convolutions(LabelEncoder()) == [(64, 3), (128, 3), (256, 3), (128, 4), (10, 1)]
    assert convolutions(DTNDecoder(128)) == [(512, 4), (256, 3), (128, 3), (3, 3)]
    assert convolutions(DTNDiscriminator()) == [(128, 3), (256, 3), (512, 3), (1, 4)]
    kinds = [type(layer).__name__ for layer in DTNDiscriminator().layers]
    assert kinds[:6] == ["Conv2d", "ReLU", "BatchNorm", "Conv2d", "BatchNorm", "ReLU"]


@pytest.mark.parametrize("size", [16, 32, 64])
@pytest.mark.parametrize("kernel_size", [3, 4])
def test_shapes(size: int, kernel_size: int) -> None:
    image = torch.randn(2, 3, size, size)
    output = LabelEncoder(4, 6, 5, image_size=size)(image)
    assert output.logits["label"].shape == (2, 5)
    assert output.code.shape == (2, 6, 1, 1)
    assert output.code.abs().max() <= 1
    generated = DTNDecoder(6, 16, kernel_size=kernel_size, image_size=size)(output.code).image
    assert generated.shape == image.shape
    assert DTNDiscriminator(4, 3, image_size=size)(generated).logits["image"].shape == (2, 3, 1, 1)


def test_a_gradient_reaches_every_parameter() -> None:
    encoder, decoder, discriminator = LabelEncoder(4, 6), DTNDecoder(6, 16), DTNDiscriminator(4)
    image = torch.randn(4, 3, 32, 32)
    output = encoder(image)
    (
        discriminator(decoder(output.code).image).logits["image"].square().sum() + output.logits["label"].square().sum()
    ).backward()
    for network in (encoder, decoder, discriminator):
        assert all(parameter.grad.abs().sum() > 0 for parameter in network.parameters())


@pytest.mark.parametrize(("size", "nearest"), [(8, 16), (24, 16), (48, 32), (100, 64)])
def test_other_sides_are_refused(size: int, nearest: int) -> None:
    for network in (LabelEncoder, DTNDiscriminator):
        with pytest.raises(OptionError, match=f"power of 2, at least 16, got {size}; try {nearest}"):
            network.check(size)
    with pytest.raises(OptionError, match="expected 3 or 4, got 5"):
        DTNDecoder.check(32, 5)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"expected images \[B, 3, 32, 32\], got \[2, 3, 16, 16\]"):
        LabelEncoder(4, 6)(torch.zeros(2, 3, 16, 16))
    with pytest.raises(ShapeError, match=r"at least 2 images in training, got 1; raise train\.batch_size"):
        LabelEncoder(4, 6)(torch.zeros(1, 3, 32, 32))
    with pytest.raises(ShapeError, match=r"expected a code \[B, 6, 1, 1\], got \[1, 5, 1, 1\]"):
        DTNDecoder(6, 16)(torch.zeros(1, 5, 1, 1))
    with pytest.raises(ShapeError, match=r"expected images \[B, 3, 32, 32\]"):
        DTNDiscriminator(4)(torch.zeros(1, 3, 16, 16))
