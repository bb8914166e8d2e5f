"""Prices: exact in, and rounded once on the way out."""

import sys
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from xsp_server.openrtb import money


@given(st.fractions())
@example(Fraction(5, 10**7))  # a half between 0 and 1 micro goes to the even one
@example(Fraction(15, 10**7))
@example(Fraction(-5, 10**7))
@example(Fraction(-15, 10**7))
def test_micros_are_rounded_half_even(amount):
    assert money.to_micros(amount) == round(amount * money.MICROS)


@given(st.floats(min_value=0, allow_infinity=False, allow_nan=False))
def test_a_price_is_the_shortest_decimal_that_names_its_double(price):
    assert money.exact(price) == Fraction(repr(price))


def test_an_amount_beyond_all_doubles_is_sent_as_the_greatest():
    beyond = 2 * money.to_micros(Fraction(sys.float_info.max))
    assert money.from_micros(beyond) == sys.float_info.max
    assert money.from_micros(-beyond) == -sys.float_info.max


@pytest.mark.parametrize(
    ("ratio", "text"),
    [("1", "1"), ("1/2", "0.5"), ("433/400", "1.0825"), ("25/27", "25/27"), ("1000", "1000")],
)
def test_a_ratio_is_told_as_a_decimal_where_one_is_exact(ratio, text):
    assert money.ratio_text(Fraction(ratio)) == text
