"""Random bits that nobody can guess, taken from the system by the page.

Each call to a bidder has a span of its own: to ask the system for each takes ten times as long.
"""

import os
import struct
from collections.abc import Callable
from typing import Final

_WORDS: Final = struct.Struct("=512Q")


class Randomness:
    """Gives out every bit once, whatever thread asks, and after a fork none of the parent's."""

    def __init__(self, draw: Callable[[int], bytes] = os.urandom) -> None:
        """Draws nothing yet.

        Args:
            draw: gives as many random bytes as asked for.
        """
        self._draw = draw
        self._words: list[int] = []
        os.register_at_fork(after_in_child=self._words.clear)

    def bits(self, count: int) -> int:
        """As many random bits as asked for, as a number."""
        drawn = self._word()
        for _ in range((count - 1) // 64):
            drawn = drawn << 64 | self._word()
        return drawn >> -count % 64

    def _word(self) -> int:
        while True:
            try:
                return self._words.pop()  # in one step, so that no two threads get the same
            except IndexError:
                self._words += _WORDS.unpack(self._draw(_WORDS.size))
