"""Bytes that live and work that is done are counted, by real tensors and by those without memory alike."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from i2i.engine.counting import Counter, Like
from i2i.methods.assembly import fake_tensors


def test_bytes_are_counted_from_the_first_tensor_of_a_storage_to_its_last() -> None:
    with Counter() as counter:
        one = torch.zeros(100)
        view = one[10:].view(9, 10)
        assert counter.now == 400
        other = one + 1
        assert (counter.now, counter.peak) == (800, 800)
        del one
        assert counter.now == 800  # the view holds it
        del view
        assert (counter.now, counter.peak) == (400, 800)
        counter.begin()
        assert counter.peak == 400
        other.add_(1)
        assert counter.peak == 400


def test_what_lives_at_the_peak_is_told_by_its_name() -> None:
    with Counter() as counter:
        weights, gone = torch.zeros(100), torch.zeros(10)
        assert counter.label([weights], "weights") == 400
        assert counter.label_rest("rest") == 40
        del gone
        counter.begin()
        peak = torch.zeros(50)
        gradient = torch.zeros(20)
        del peak
        later = torch.zeros(1)
        assert counter.label([gradient, gradient.view(4, 5)], "gradients") == 80
    assert counter.at_peak() == {"weights": 400, "": 200, "gradients": 80}
    assert later.numel() == 1


@pytest.mark.parametrize("fake", [False, True])
def test_work_is_counted(fake: bool) -> None:
    counter = Counter()
    with fake_tensors() if fake else torch.enable_grad(), counter:
        image = torch.ones(2, 3, 8, 8, requires_grad=True)
        weight = torch.ones(5, 3, 3, 3, requires_grad=True)
        counter.begin()
        made = F.conv2d(image, weight, padding=1)
        once = 2 * 2 * 8 * 8 * 5 * 3 * 9
        assert counter.flops == once
        ((made * 2).sum()).backward()
        assert counter.flops == 3 * once
        product = torch.ones(4, 6) @ torch.ones(6, 7)
        assert counter.flops == 3 * once + 2 * 4 * 6 * 7
    assert product.shape == (4, 7)
    work = {call: done for call, done in counter.work.items() if done.flops}
    assert [(done.calls, done.flops) for done in work.values()] == [(1, once), (1, 2 * once), (1, 2 * 4 * 6 * 7)]
    (call, *_) = work
    assert call.given[:2] == (
        Like((2, 3, 8, 8), (192, 64, 8, 1), torch.float32),
        Like((5, 3, 3, 3), (27, 9, 3, 1), torch.float32),
    )
    assert sum(done.moved for done in counter.work.values()) == counter.moved
    assert counter.moved > 2 * made.nbytes


def test_views_move_nothing() -> None:
    one = torch.zeros(4, 5)
    with Counter() as counter:
        one.t().view(2, 10) if one.t().is_contiguous() else one.t()[1:]
        assert counter.moved == 0
        one.mul_(2)
        assert counter.moved == 2 * one.nbytes


def test_asking_for_a_device_moves_nothing() -> None:
    with fake_tensors(), Counter() as counter:
        one = torch.zeros(4, 5)
        counter.begin()
        assert str(one.device) == "cpu"
    assert counter.moved == 0
    assert not counter.work
