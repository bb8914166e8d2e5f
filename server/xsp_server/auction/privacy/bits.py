"""Consent strings as bits: the web-safe base64 and the number types that TCF and GPP share."""

import base64
from typing import Final

MAX_CHARACTERS: Final = 32_768
"""Longest part of a consent string that is read. Real ones have some hundred characters."""

_MAX_FIBONACCI_BITS: Final = 32


class Bits:
    """A string of bits that is read from left to right.

    Each character stands for six bits, first the most significant one. Where bytes are left
    incomplete, as GPP allows, the last character still counts in full.

    Raises:
        ValueError: the text is too long or has a character that base64 doesn't.
    """

    __slots__ = ("_at", "_bits")

    def __init__(self, text: str) -> None:
        if len(text) > MAX_CHARACTERS:
            raise ValueError(f"{len(text)} characters; expected at most {MAX_CHARACTERS}")
        text = text.rstrip("=")
        data = base64.b64decode(text + "A" * (-len(text) % 4), altchars=b"-_", validate=True)
        bits = f"{int.from_bytes(data, 'big'):b}".zfill(len(data) * 8)
        self._bits = bits[: len(text) * 6]
        self._at = 0

    def __len__(self) -> int:
        """How many bits there are, read or not."""
        return len(self._bits)

    def take(self, count: int) -> str:
        """The next bits as text of 0 and 1.

        Raises:
            ValueError: there are fewer.
        """
        bits = self._bits[self._at : self._at + count]
        if len(bits) < count:
            raise ValueError(f"ends at bit {len(self._bits)}, within a field of {count}")
        self._at += count
        return bits

    def integer(self, count: int) -> int:
        """The next bits as a number without sign."""
        return int(self.take(count), 2)

    def flag(self) -> bool:
        """The next bit."""
        return self.take(1) == "1"

    def fibonacci(self) -> int:
        """The next number in Fibonacci code: a sum of 1, 2, 3, 5, 8, …, ended by two ones.

        Raises:
            ValueError: there is no end within 32 bits.
        """
        value, this, after = 0, 1, 2
        before = False
        for _ in range(_MAX_FIBONACCI_BITS):
            bit = self.flag()
            if bit and before:
                return value
            value += this if bit else 0
            this, after, before = after, this + after, bit
        raise ValueError(f"a Fibonacci number of more than {_MAX_FIBONACCI_BITS} bits")
