"""Prices, exactly.

OpenRTB sends CPM prices as JSON numbers, so as binary doubles. `exact` takes the decimal that was
written (the shortest that names the double) and everything after it is rational arithmetic; what
leaves is rounded once, at the end, half-even to micros.
"""

import sys
from decimal import Context, Decimal, Inexact
from fractions import Fraction
from functools import lru_cache

from xsp_server.errors import InvalidField

MICROS = 1_000_000
MOST_MICROS = 2**63 - 1
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


def micros_told(amount: Decimal | float, path: str = "amount") -> int:
    """Whole micros of an amount that somebody tells, exactly; nothing is rounded.

    Args:
        amount: a Decimal or an int; a float stands for the shortest decimal that names it.
        path: what it is called, for errors.

    Raises:
        InvalidField: it is no number from 0 up to what int64 micros hold, or has more than 6
            decimals.
    """
    if isinstance(amount, bool) or not isinstance(amount, Decimal | int | float):
        got = type(amount).__name__
        raise InvalidField(path, f'expected a number, such as Decimal("2.50"), got {got}')
    told = Decimal(repr(amount)) if isinstance(amount, float) else Decimal(amount)
    if not (told.is_finite() and 0 <= told <= _MOST):
        raise InvalidField(path, f"expected 0 to {_MOST}, got {told:.20}")
    try:
        return int(told.scaleb(6, _EXACT).to_integral_exact(context=_EXACT))
    except Inexact:
        raise InvalidField(path, f"expected at most 6 decimals, got {told}") from None


def to_decimal(micros: int) -> Decimal:
    """The amount, with at least two decimals: 997500000 is 997.50."""
    whole, part = divmod(micros, MICROS)
    return Decimal(f"{whole}.{f'{part:06d}'.rstrip('0').ljust(2, '0')}")


_MOST = to_decimal(MOST_MICROS)
_EXACT = Context(prec=60, traps=[Inexact])
"""More digits than any amount has; rounding raises."""


def from_micros(micros: int) -> float:
    """The double to send: the nearest to a whole number of micros, the greatest one beyond it."""
    try:
        return micros / MICROS
    except OverflowError:  # as of a price that was near the greatest double before conversion
        return -sys.float_info.max if micros < 0 else sys.float_info.max


def ratio_text(ratio: Fraction) -> str:
    """A rate or a factor, exactly: a decimal, as `1.0825`, or where none is exact, as `25/27`."""
    try:
        return f"{_EXACT.divide(*map(Decimal, ratio.as_integer_ratio())):f}"
    except Inexact:
        return str(ratio)


def to_text(amount: Fraction) -> str:
    """Exactly six decimals, as `1.300000`."""
    micros = to_micros(amount)
    sign = "-" if micros < 0 else ""
    whole, part = divmod(abs(micros), MICROS)
    return f"{sign}{whole}.{part:06d}"
