"""The order of an epoch is a permutation, and a pure function of its arguments."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from i2i.data.sampler import epoch_order


@pytest.mark.parametrize("count", [0, 1, 2, 97])
def test_every_item_once(count: int) -> None:
    order = epoch_order(3, "a", 0, count)
    assert order.dtype == np.int64
    assert sorted(order.tolist()) == list(range(count))


def test_each_argument_matters() -> None:
    orders = [epoch_order(*key, 50).tolist() for key in [(0, "a", 0), (1, "a", 0), (0, "b", 0), (0, "a", 1)]]
    assert all(one != other for i, one in enumerate(orders) for other in orders[:i])


def test_global_random_state_is_neither_read_nor_moved() -> None:
    epoch_order.cache_clear()
    np.random.seed(5)
    before = epoch_order(0, "a", 7, 20).tolist()
    drawn = np.random.random()
    epoch_order.cache_clear()
    np.random.seed(5)
    assert np.random.random() == drawn
    assert epoch_order(0, "a", 7, 20).tolist() == before


@pytest.mark.thorough
def test_another_process_computes_the_same_order() -> None:
    program = "from i2i.data.sampler import epoch_order; print(epoch_order(11, 'b', 4, 12).tolist())"
    # A fixed hash salt of its own: hash() would give itself away here.
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == str(epoch_order(11, "b", 4, 12).tolist())


def test_the_cached_order_cannot_be_spoilt() -> None:
    with pytest.raises(ValueError, match="read-only"):
        epoch_order(0, "a", 0, 5)[0] = 1
