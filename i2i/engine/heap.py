"""How much of a process's memory a C library's heap holds, of which tensors are only a part."""

from __future__ import annotations

from bisect import bisect_left, insort

PAGE, LEAST, MOST = 2**12, 2**17, 2**25
"""glibc's numbers: a page, the smallest and the largest block that gets a mapping of its own."""


class Heap:
    """A heap as glibc manages it: best fit, neighbours joined, only the free end given back to the system.

    What torch frees between two larger blocks stays resident, so a process on a CPU needs more than its tensors. On
    other devices torch counts by itself, and this does not apply.

    Args:
        self.peak: the most bytes that were held at one time.
        self.asked: bytes that the system was asked for, which it clears at their first use.
    """

    def __init__(self) -> None:
        self.peak = self.asked = 0
        self._end = self._top = self._mapped = 0  # the heap is [0, end), of which [top, end) has never been used since
        self._threshold = LEAST
        self._holes: list[tuple[int, int]] = []  # size and start, sorted
        self._starts: dict[int, int] = {}  # of holes: start to size
        self._ends: dict[int, int] = {}  # end to start

    def take(self, size: int) -> tuple[int, int]:
        """A block of `size` bytes, to be given to `give`."""
        size = -(-(size + 96) // 64) * 64  # torch wants blocks at multiples of 64
        index = bisect_left(self._holes, (size, 0))
        if index < len(self._holes):
            length, start = self._holes[index]
            self._forget(start)
            if length - size > 64:
                self._keep(start + size, length - size)
            return start, size
        if self._end - self._top < size:
            if size >= self._threshold:
                size = -(-(size + 8) // PAGE) * PAGE
                self._mapped += size
                self._note(size)
                return -1, size
            before, self._end = self._end, -(-(self._top + size + LEAST) // PAGE) * PAGE
            self._note(self._end - before)
        self._top += size
        return self._top - size, size

    def give(self, block: tuple[int, int]) -> None:
        """Takes a block back."""
        start, size = block
        if start < 0:
            self._mapped -= size
            if self._threshold < size <= MOST:
                self._threshold = size  # the library takes what comes and goes from the heap from now on
            return
        before = self._ends.get(start)
        if before is not None:
            size += self._forget(before)
            start = before
        if start + size in self._starts:
            size += self._forget(start + size)
        if start + size < self._top:
            self._keep(start, size)
            return
        self._top = start
        if self._end - self._top >= 2 * self._threshold:
            self._end = -(-(self._top + LEAST) // PAGE) * PAGE

    def _note(self, asked: int) -> None:
        self.asked += asked
        self.peak = max(self.peak, self._end + self._mapped)

    def _keep(self, start: int, size: int) -> None:
        insort(self._holes, (size, start))
        self._starts[start] = size
        self._ends[start + size] = start

    def _forget(self, start: int) -> int:
        size = self._starts.pop(start)
        del self._ends[start + size]
        del self._holes[bisect_left(self._holes, (size, start))]
        return size
