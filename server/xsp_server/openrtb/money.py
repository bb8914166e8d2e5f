"""Prices, exactly.

OpenRTB sends CPM prices as JSON numbers, so as binary doubles. `exact` takes the decimal that was
written (the shortest that names the double) and everything after it is rational arithmetic; what
leaves is rounded once, at the end, half-even to micros.
"""

from fractions import Fraction

MICROS = 1_000_000
_WHOLE = 10**15  # within it a double has room for six decimals, so they are all that was written


def exact(price: float) -> Fraction:
    """The decimal that a double was written as: 0.1 is one tenth, not 0.1000000000000000055."""
    micros = round(price * MICROS)
    if micros / MICROS == price and -_WHOLE < micros < _WHOLE:
        return Fraction(micros, MICROS)  # what prices are, and several times as fast
    return Fraction(repr(price))


def to_micros(amount: Fraction) -> int:
    """Whole micros, rounded half-even (IEEE 754 and banker's rounding)."""
    return round(amount * MICROS)


def from_micros(micros: int) -> float:
    """The double to send: the nearest to a whole number of micros."""
    return micros / MICROS


def to_text(amount: Fraction) -> str:
    """Exactly six decimals, as `1.300000`."""
    micros = to_micros(amount)
    sign = "-" if micros < 0 else ""
    whole, part = divmod(abs(micros), MICROS)
    return f"{sign}{whole}.{part:06d}"
