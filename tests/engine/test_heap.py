"""Holes in a heap stay; its end and large blocks are given back."""

from __future__ import annotations

from i2i.engine.heap import LEAST, MOST, Heap

SMALL, SLACK = 60_000, 2 * LEAST


def test_the_peak_is_what_lives_together() -> None:
    heap = Heap()
    for _ in range(10):
        heap.give(heap.take(SMALL))
    assert SMALL < heap.peak < SMALL + SLACK
    blocks = [heap.take(SMALL) for _ in range(10)]
    assert 10 * SMALL < heap.peak < 10 * SMALL + SLACK
    for block in blocks:
        heap.give(block)
    heap.take(9 * SMALL)
    assert heap.peak < 10 * SMALL + SLACK  # neighbours have become one


def test_a_hole_that_is_too_small_is_no_use() -> None:
    heap = Heap()
    blocks = [heap.take(SMALL) for _ in range(20)]
    for block in blocks[::2]:
        heap.give(block)
    held = heap.peak
    heap.take(SMALL)
    assert heap.peak == held
    heap.take(2 * SMALL)
    assert heap.peak >= held + SMALL


def test_large_blocks_go_back_and_common_sizes_go_to_the_heap() -> None:
    heap = Heap()
    first = heap.take(MOST + 1)
    heap.give(first)
    heap.give(heap.take(MOST + 1))
    assert MOST < heap.peak < MOST + SLACK
    common = heap.take(20 * LEAST)
    assert common[0] < 0, "a mapping of its own"
    heap.give(common)
    assert heap.take(20 * LEAST)[0] >= 0, "a size that was given back once comes from the heap"


def test_the_system_is_asked_again_for_what_was_given_back() -> None:
    heap = Heap()
    heap.give(heap.take(MOST + 1))
    heap.give(heap.take(MOST + 1))
    assert 2 * MOST < heap.asked < 2 * (MOST + SLACK)
    heap = Heap()
    held = heap.take(SMALL)
    once = heap.asked
    assert SMALL < once < SMALL + SLACK
    heap.give(held)
    heap.give(heap.take(SMALL))
    assert heap.asked == once, "small blocks stay in the heap"
