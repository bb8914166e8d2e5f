"""Numbers as they are written, where 64-bit integers and doubles would change them."""

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson


class Exact:
    """A number that neither a 64-bit integer nor a double holds, as its text.

    No dataclass, because orjson would write it as an object of its own accord.
    """

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


def load(text: bytes) -> Any:
    """Reads JSON that orjson has accepted, with `Exact` where it rounds."""
    return json.loads(str(text, "utf-8"), parse_int=_integer, parse_float=_fraction)


def dump(value: Any) -> bytes:
    """Writes what `load` or `orjson.loads` gave.

    Raises:
        orjson.JSONEncodeError: nested deeper than 254 levels.
    """
    return orjson.dumps(value, default=_as_written)


def has_fraction(text: bytes) -> bool:
    """Tells whether JSON by orjson holds a number with a fraction or exponent.

    It may err on the side of yes. What orjson rounds, integers beyond 64 bits too, it writes so.
    """
    if _POINT not in text and _PLUS not in text and _MINUS not in text:
        return False
    return text.translate(_FRACTION, b"-0123456789").find(b":.") >= 0


class Source:
    """The text of a document that was read with plain numbers."""

    __slots__ = ("_may_round", "_text")

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._may_round: bool | None = None

    def may_round(self) -> bool:
        """Tells whether it holds a number of which a double could lose something.

        That takes more than 15 digits or an exponent beyond 99. It may err on the side of yes. The
        text is searched once, however often this is asked.
        """
        if self._may_round is None:
            self._may_round = _LONG_NUMBER.search(self._text) is not None
        return self._may_round


_POINT, _PLUS, _MINUS = b".+-"
_FRACTION = bytes.maketrans(b",[e", b"::.")  # what stands before a number, and in it, made equal
_LONG_NUMBER = re.compile(rb"[:,\[\s]-?\d(?:[\d.]{15}|[\d.]*[eE][-+]?\d{3})")
_MAX_INTEGER_TEXT = 20


def _as_written(number: Exact) -> orjson.Fragment:
    return orjson.Fragment(number.text)


def _integer(text: str) -> int | Exact:
    if len(text) <= _MAX_INTEGER_TEXT:
        number = int(text)
        if -(2**63) <= number < 2**64:
            return number
    return Exact(text)


def _fraction(text: str) -> float | Exact:
    number = float(text)
    try:
        if Decimal(repr(number)) == Decimal(text):
            return number
    except InvalidOperation:  # an exponent beyond even Decimal's range
        pass
    return Exact(text)
