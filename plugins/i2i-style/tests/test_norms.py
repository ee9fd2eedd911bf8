"""The norm `cin`: one row of parameters for each style, one-hot or mixed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from i2i_style.norms import ConditionalInstanceNorm, style_weights

from i2i.errors import ShapeError
from i2i.nn.norms.instance import InstanceNorm


def random_norm_and_features() -> tuple[ConditionalInstanceNorm, torch.Tensor]:
    draws = torch.Generator().manual_seed(0)
    norm = ConditionalInstanceNorm(4, styles=3)
    with torch.no_grad():
        norm.gamma.copy_(torch.randn(3, 4, generator=draws))
        norm.beta.copy_(torch.randn(3, 4, generator=draws))
    return norm, torch.randn(2, 4, 5, 6, generator=draws)


def test_initially_every_style_is_plain_instance_norm() -> None:
    norm, x = ConditionalInstanceNorm(4, styles=3), random_norm_and_features()[1]
    with style_weights(torch.tensor([[0.0, 1.0, 0.0]])):
        torch.testing.assert_close(norm(x), InstanceNorm(4)(x))


def test_one_hot_weights_select_the_parameters_of_one_style() -> None:
    norm, x = random_norm_and_features()
    single = InstanceNorm(4, affine=True)
    assert single.weight is not None
    assert single.bias is not None
    with torch.no_grad():
        single.weight.copy_(norm.gamma[2])
        single.bias.copy_(norm.beta[2])
    with style_weights(torch.eye(3)[2:]):
        torch.testing.assert_close(norm(x), single(x))


def test_each_sample_has_its_own_style_and_mixes_interpolate() -> None:
    norm, x = random_norm_and_features()
    with style_weights(torch.eye(3)[[0, 1]]):
        both = norm(x)
    with style_weights(torch.eye(3)[:1]):
        first = norm(x)
    with style_weights(torch.eye(3)[1:2]):
        second = norm(x)
    torch.testing.assert_close(both, torch.stack([first[0], second[1]]))
    with style_weights(torch.tensor([[0.25, 0.75, 0.0]])):
        torch.testing.assert_close(norm(x), 0.25 * first + 0.75 * second)


def test_gradients_reach_only_the_selected_rows() -> None:
    norm, x = random_norm_and_features()
    with style_weights(torch.eye(3)[:1]):
        norm(x).square().sum().backward()
    for parameter in (norm.gamma, norm.beta):
        assert parameter.grad is not None
        assert (parameter.grad[0] != 0).all()
        assert (parameter.grad[1:] == 0).all()


def test_missing_or_wrong_weights_raise_an_error() -> None:
    norm, x = random_norm_and_features()
    with style_weights(torch.eye(3)[:1]):
        pass
    with pytest.raises(ShapeError) as caught:
        norm(x)
    assert str(caught.value) == (
        "ConditionalInstanceNorm: expected weights of its 3 styles, got none; use a generator with this norm in a "
        "translator that sets them, such as fast_style"
    )
    with style_weights(torch.eye(4)), pytest.raises(ShapeError, match="expected weights of 3 styles, got 4"):
        norm(x)


def test_threads_use_one_norm_with_different_styles() -> None:
    norm, x = random_norm_and_features()
    expected = []
    for style in range(3):
        with style_weights(torch.eye(3)[style : style + 1]):
            expected.append(norm(x))

    def normalize(style: int) -> bool:
        for _ in range(50):
            with style_weights(torch.eye(3)[style : style + 1]):
                if not torch.equal(norm(x), expected[style]):
                    return False
        return True

    with ThreadPoolExecutor(3) as pool:
        assert all(pool.map(normalize, range(3)))
