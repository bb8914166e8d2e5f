"""Chance that repeats: every draw follows from its key and its label, whatever was drawn before.

The standard `random` draws in sequence, so one draw more or less shifts all that follow. Here a
hash answers each question by itself: the same bidder gives the same request the same answer in
any order and in any process, and another no-bid rate leaves the prices as they were.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import TypeVar

import orjson

T = TypeVar("T")

_BITS = 52  # so that (n + 0.5) / 2**_BITS is exact and neither 0 nor 1


class Draws:
    """The draws of one key."""

    def __init__(self, *key: str | int) -> None:
        """Starts from the key; equal keys draw equally."""
        self._key = key
        self._hash = blake2b(orjson.dumps(key), digest_size=8)

    def under(self, *label: str | int) -> "Draws":
        """Draws of their own for one part of the whole, such as one bid on one imp."""
        return Draws(*self._key, *label)

    def unit(self, *label: str | int) -> float:
        """A number from the open interval (0, 1), evenly spread."""
        return ((self._number(label) >> (64 - _BITS)) + 0.5) / (1 << _BITS)

    def chance(self, rate: float, *label: str | int) -> bool:
        """True in a share `rate` of all keys."""
        return self.unit(*label) < rate

    def pick(self, options: Sequence[T], *label: str | int) -> T:
        """One of the options, each as likely as the others; there must be one at least."""
        return options[int(self.unit(*label) * len(options))]

    def name(self, *label: str | int) -> str:
        """Sixteen hexadecimal digits to serve as an id."""
        return f"{self._number(label):016x}"

    def _number(self, label: tuple[str | int, ...]) -> int:
        digest = self._hash.copy()
        digest.update(orjson.dumps(label))
        return int.from_bytes(digest.digest(), "big")
