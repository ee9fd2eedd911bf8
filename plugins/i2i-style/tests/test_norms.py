"""Conditional instance norm: a row is a style, and rows can be mixed."""

from __future__ import annotations

import pytest
import torch
from i2i_style.norms import ConditionalInstanceNorm, using

from i2i.errors import ShapeError
from i2i.nn.norms.instance import InstanceNorm


def drawn() -> tuple[ConditionalInstanceNorm, torch.Tensor]:
    draws = torch.Generator().manual_seed(0)
    norm = ConditionalInstanceNorm(4, styles=3)
    with torch.no_grad():
        norm.gamma.copy_(torch.randn(3, 4, generator=draws))
        norm.beta.copy_(torch.randn(3, 4, generator=draws))
    return norm, torch.randn(2, 4, 5, 6, generator=draws)


def test_begins_as_plain_instance_norm_in_every_style() -> None:
    norm, x = ConditionalInstanceNorm(4, styles=3), drawn()[1]
    with using(norm, torch.tensor([[0.0, 1.0, 0.0]])):
        torch.testing.assert_close(norm(x), InstanceNorm(4)(x))


def test_a_one_hot_row_is_the_norm_of_that_style_alone() -> None:
    norm, x = drawn()
    single = InstanceNorm(4, affine=True)
    assert single.weight is not None
    assert single.bias is not None
    with torch.no_grad():
        single.weight.copy_(norm.gamma[2])
        single.bias.copy_(norm.beta[2])
    with using(norm, torch.eye(3)[2:]):
        torch.testing.assert_close(norm(x), single(x))


def test_each_sample_has_its_own_style_and_mixes_lie_between() -> None:
    norm, x = drawn()
    with using(norm, torch.eye(3)[[0, 1]]):
        both = norm(x)
    with using(norm, torch.eye(3)[:1]):
        first = norm(x)
    with using(norm, torch.eye(3)[1:2]):
        second = norm(x)
    torch.testing.assert_close(both, torch.stack([first[0], second[1]]))
    with using(norm, torch.tensor([[0.25, 0.75, 0.0]])):
        torch.testing.assert_close(norm(x), 0.25 * first + 0.75 * second)


def test_a_gradient_reaches_the_rows_that_were_used() -> None:
    norm, x = drawn()
    with using(norm, torch.eye(3)[:1]):
        norm(x).square().sum().backward()
    for parameter in (norm.gamma, norm.beta):
        assert parameter.grad is not None
        assert (parameter.grad[0] != 0).all()
        assert (parameter.grad[1:] == 0).all()


def test_without_a_choice_it_says_what_is_missing() -> None:
    norm, x = drawn()
    with using(norm, torch.eye(3)[:1]):
        pass
    with pytest.raises(ShapeError) as caught:
        norm(x)
    assert str(caught.value) == (
        "ConditionalInstanceNorm: expected to be told which of its 3 rows to use; a generator with such a norm belongs "
        "into a translator that chooses, such as fast_style"
    )
