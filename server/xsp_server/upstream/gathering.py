"""When the writer of a stream goes: at once, or a little later with more.

A message costs both ends of a stream more than an item in it does. So where items come faster than
they need to go, they wait for each other for a moment and share a message. One that comes alone
never waits. Nor, but for a try now and then, do those for which the other end is waiting before it
goes on, as nothing more comes then: each wait in vain doubles how many go without one.
"""

import asyncio
import math
from collections.abc import Callable

LONGEST_REST = 100
"""The most items that don't wait after one that has waited in vain."""


class Gathering:
    """Wakes a writer."""

    def __init__(self, wake: Callable[[], None], seconds: float) -> None:
        """Starts with nothing to write.

        Args:
            wake: called when the writer is to go.
            seconds: for which an item waits at most; 0: none ever waits. Only items that come
                within as long after another wait at all.
        """
        self._wake = wake
        self._seconds = seconds
        self._latest = -math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._waiting = 0  # since the timer was set
        self._rest = 0  # items after the last wait in vain
        self._resting = 0  # of which so many are to come

    def add(self, *, in_a_hurry: bool = False) -> None:
        """There is one more item to write.

        Args:
            in_a_hurry: it doesn't wait, nor do those that wait already.
        """
        if self._seconds and self._waits(in_a_hurry):
            return
        self._wake()

    def taken(self) -> None:
        """The writer has taken all that there was, or there is no writer any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _waits(self, in_a_hurry: bool) -> bool:
        loop = asyncio.get_running_loop()
        now = loop.time()
        is_alone = now - self._latest >= self._seconds
        self._latest = now
        if in_a_hurry:
            return False
        if self._timer is not None:
            self._waiting += 1
            return True
        if is_alone or self._resting:
            self._resting = max(self._resting - 1, 0)
            return False
        self._waiting = 1
        self._timer = loop.call_at(now + self._seconds, self._end)
        return True

    def _end(self) -> None:
        """Enough has been waited."""
        self._timer = None
        in_vain = self._waiting == 1
        self._rest = min(2 * self._rest + 1, LONGEST_REST) if in_vain else 0
        self._resting = self._rest
        self._wake()
