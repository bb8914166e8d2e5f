"""Conversion by a table of rates: exact, and never guessed."""

from collections.abc import Mapping
from fractions import Fraction

Rates = Mapping[str, Mapping[str, Fraction]]
"""`{base: {quote: n}}`: 1 base = n quote."""

ONE = Fraction(1)


def find_rate(rates: Rates, base: str, quote: str) -> Fraction | None:
    """How many `quote` one `base` is.

    Looks for the pair, then for the pair the other way round, then for one currency between them:
    the first in code point order that has a rate to both.

    Args:
        rates: the table; every rate above 0.
        base: the currency to convert from (ISO 4217).
        quote: the currency to convert to.

    Returns:
        The rate; None where the table doesn't tell it.
    """
    if base == quote:
        return ONE
    direct = _pair(rates, base, quote)
    if direct is not None:
        return direct
    for between in sorted({*rates, *(other for row in rates.values() for other in row)}):
        first, second = _pair(rates, base, between), _pair(rates, between, quote)
        if first is not None and second is not None:
            return first * second
    return None


def _pair(rates: Rates, base: str, quote: str) -> Fraction | None:
    """The rate that the table tells for two currencies, one way or the other."""
    rate = rates.get(base, {}).get(quote)
    if rate is not None:
        return rate
    inverse = rates.get(quote, {}).get(base)
    return None if inverse is None else 1 / inverse
