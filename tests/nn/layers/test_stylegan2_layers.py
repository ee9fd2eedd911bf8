"""StyleGAN2's layers against their formulas, written out."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from i2i.nn.functional.resampling import DOUBLING, blur, blur_kernel
from i2i.nn.layers.independence import is_batch_independent
from i2i.nn.layers.stylegan2 import (
    EqualizedConv2d,
    EqualizedLinear,
    MinibatchDeviation,
    Noise,
    ScaledLeakyReLU,
    StyleConv,
    StyleResidual,
)


def test_equalized_layers_are_scaled_by_he() -> None:
    torch.manual_seed(0)
    conv, linear = EqualizedConv2d(6, 4, 3, padding=1), EqualizedLinear(50, 7, rate=0.01)
    x = torch.randn(2, 6, 5, 5)
    torch.testing.assert_close(conv(x), F.conv2d(x, conv.weight / math.sqrt(6 * 9), padding=1))
    y = torch.randn(3, 50)
    linear.bias.data.fill_(2)
    torch.testing.assert_close(linear(y), y @ linear.weight.T * 0.01 / math.sqrt(50) + 0.02)


def test_equalized_weights_start_at_one_and_keep_the_variance() -> None:
    torch.manual_seed(0)
    conv, slow = EqualizedConv2d(64, 64, 3, padding=1), EqualizedLinear(400, 400, rate=0.01)
    assert conv.weight.std().item() == pytest.approx(1, abs=0.02)
    assert slow.weight.std().item() == pytest.approx(100, rel=0.02)
    assert conv(torch.randn(2, 64, 16, 16))[..., 2:-2, 2:-2].std().item() == pytest.approx(1, abs=0.1)
    assert slow(torch.randn(20, 400)).std().item() == pytest.approx(1, abs=0.1)


def test_an_adam_step_moves_layers_of_any_width_by_the_same_share() -> None:
    moved = []
    for width in (64, 1024):
        torch.manual_seed(0)
        layer = EqualizedLinear(width, 1)
        before = layer.weight.detach().clone()
        optimizer = torch.optim.Adam(layer.parameters(), lr=0.01)
        layer(torch.ones(1, width)).sum().backward()
        optimizer.step()
        moved.append(((layer.weight.detach() - before).norm() / before.norm()).item())
    assert moved[0] == pytest.approx(moved[1], rel=0.3)


def test_blur_is_a_weighted_sum_with_zeros_around() -> None:
    x = torch.randn(1, 2, 5, 6)
    row = torch.tensor([1.0, 3, 3, 1])
    weights = torch.outer(row, row) / 64
    made = blur(x, blur_kernel(DOUBLING), 2)
    assert made.shape == (1, 2, 6, 7)
    torch.testing.assert_close(made[0, 1, 2, 3], (x[0, 1, 0:4, 1:5] * weights).sum())
    torch.testing.assert_close(made[0, 0, 0, 0], (x[0, 0, :2, :2] * weights[2:, 2:]).sum())


@pytest.mark.parametrize("kernel_size", [1, 3])
@pytest.mark.parametrize("side", [4, 6, 16])
def test_halving_filters_and_then_strides(kernel_size: int, side: int) -> None:
    layer = StyleConv(2, 3, kernel_size, "down", activate=False)
    x = torch.randn(2, 2, side, side)
    made = layer(x)
    assert made.shape == (2, 3, side // 2, side // 2)
    padded = F.pad(x, [kernel_size // 2 + 1] * 4)
    kernel = blur_kernel(DOUBLING).expand(2, 1, 4, 4)
    weight = layer.conv.weight / math.sqrt(2 * kernel_size**2)
    torch.testing.assert_close(made, F.conv2d(F.conv2d(padded, kernel, groups=2), weight, stride=2))


@pytest.mark.parametrize("side", [3, 4, 8])
def test_doubling_sets_zeros_between_and_then_filters(side: int) -> None:
    layer = StyleConv(2, 3, 3, "up", activate=False)
    x = torch.randn(1, 2, side, side)
    made = layer(x)
    assert made.shape == (1, 3, 2 * side, 2 * side)
    spread = torch.zeros(1, 2, 2 * side - 1, 2 * side - 1)
    spread[:, :, ::2, ::2] = x
    flipped = layer.conv.weight.flip(2, 3) / math.sqrt(2 * 9)  # transposed is mirrored
    full = F.conv2d(spread, flipped, padding=2)
    kernel = 4 * blur_kernel(DOUBLING).expand(3, 1, 4, 4)
    torch.testing.assert_close(made, F.conv2d(full, kernel, padding=1, groups=3))


def test_doubling_keeps_the_brightness() -> None:
    layer = StyleConv(1, 1, 1, "up", activate=False)
    layer.conv.weight.data.fill_(1)
    made = blur(layer.conv.transposed(torch.ones(1, 1, 8, 8)), 4 * layer.kernel, 2)
    torch.testing.assert_close(made[..., 3:-3, 3:-3], torch.ones(1, 1, 10, 10))


def test_activation_keeps_the_second_moment() -> None:
    x = torch.tensor([-1.0, 0.0, 2.0])
    torch.testing.assert_close(ScaledLeakyReLU()(x), torch.tensor([-0.2, 0, 2]) * math.sqrt(2))
    layer = StyleConv(3, 4)
    layer.bias.data.fill_(0.5)
    image = torch.randn(1, 3, 6, 6)
    torch.testing.assert_close(layer(image), F.leaky_relu(layer.conv(image) + 0.5, 0.2) * math.sqrt(2))


def test_noise_starts_at_nothing_is_one_number_per_pixel_and_rests_at_inference() -> None:
    noise, x = Noise(), torch.randn(2, 5, 4, 4)
    torch.testing.assert_close(noise(x), x)
    noise.weight.data.fill_(0.5)
    torch.manual_seed(3)
    added = noise(x) - x
    torch.manual_seed(3)
    torch.testing.assert_close(added, (0.5 * torch.randn(2, 1, 4, 4)).expand(2, 5, 4, 4))
    assert torch.equal(noise.eval()(x), x)


@pytest.mark.parametrize(("batch", "group", "size"), [(8, 4, 4), (6, 4, 3), (2, 4, 2), (1, 4, 1), (5, 4, 1)])
def test_minibatch_deviation_is_the_mean_deviation_of_each_group(batch: int, group: int, size: int) -> None:
    x = torch.randn(batch, 3, 2, 2, dtype=torch.float64)
    made = MinibatchDeviation(group)(x)
    assert made.shape == (batch, 4, 2, 2)
    assert torch.equal(made[:, :3], x)
    groups = batch // size
    for image in range(batch):
        members = torch.stack([x[other] for other in range(batch) if other % groups == image % groups])
        assert len(members) == size
        expected = ((members - members.mean(0)).square().mean(0) + 1e-8).sqrt().mean()
        torch.testing.assert_close(made[image, 3], expected.expand(2, 2))


def test_what_depends_on_the_batch_says_so() -> None:
    assert not is_batch_independent(MinibatchDeviation().eval())
    assert not is_batch_independent(Noise())
    assert is_batch_independent(Noise().eval())
    assert is_batch_independent(StyleResidual(2, 2))


@pytest.mark.parametrize(("widths", "down"), [((4, 4), False), ((4, 6), False), ((4, 6), True)])
def test_residual_block(widths: tuple[int, int], down: bool) -> None:
    block = StyleResidual(*widths, down=down)
    x = torch.randn(2, 4, 8, 8, requires_grad=True)
    made = block(x)
    assert made.shape == (2, widths[1], 4, 4) if down else (2, widths[1], 8, 8)
    torch.testing.assert_close(made, (block.skip(x) + block.second(block.first(x))) / math.sqrt(2))
    assert isinstance(block.skip, nn.Identity) == (widths == (4, 4) and not down)
    made.square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in block.parameters())
