"""Prices, exactly.

OpenRTB sends CPM prices as JSON numbers, so as binary doubles. `exact` takes the decimal that was
written (the shortest that names the double) and everything after it is rational arithmetic; what
leaves is rounded once, at the end, half-even to micros.
"""

import sys
from fractions import Fraction
from functools import lru_cache

MICROS = 1_000_000
_WHOLE = 10**9  # below it a double has room for six decimals, so they are all that was written
_REMEMBERED = 4096


@lru_cache(_REMEMBERED)  # the same prices and floors come again and again
def exact(price: float) -> Fraction:
    """The decimal that a double was written as: 0.1 is one tenth, not 0.1000000000000000055."""
    if -_WHOLE < price < _WHOLE:
        micros = round(price * MICROS)
        if micros / MICROS == price:
            return Fraction(micros, MICROS)  # what prices are, and several times as fast
    return Fraction(repr(price))


def to_micros(amount: Fraction) -> int:
    """Whole micros, rounded half-even (IEEE 754 and banker's rounding)."""
    # As round(amount * MICROS), in whole numbers: a fifth of the time.
    numerator, denominator = amount.as_integer_ratio()
    micros, rest = divmod(numerator * MICROS, denominator)
    above_half = 2 * rest - denominator
    return micros + 1 if above_half > 0 or (above_half == 0 and micros % 2) else micros


def from_micros(micros: int) -> float:
    """The double to send: the nearest to a whole number of micros, the greatest one beyond it."""
    try:
        return micros / MICROS
    except OverflowError:  # as of a price that was near the greatest double before conversion
        return -sys.float_info.max if micros < 0 else sys.float_info.max


def to_text(amount: Fraction) -> str:
    """Exactly six decimals, as `1.300000`."""
    micros = to_micros(amount)
    sign = "-" if micros < 0 else ""
    whole, part = divmod(abs(micros), MICROS)
    return f"{sign}{whole}.{part:06d}"
