"""Rules from TOML or JSON, and the conversion of currencies by their rates."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest

from xsp_server.auction import DealPolicy, Overlap, Rules, Separation
from xsp_server.auction.currency import find_rate
from xsp_server.errors import ConfigError

FULL = {
    "deadline_ms": 120,
    "second_price_increment": "0.05",
    "rates": {"EUR": {"USD": "1.0873514"}, "JPY": {"USD": "1/150"}},
    "bid_adjustments": {"a": "0.80"},
    "adjust_deal_bids": True,
    "deal_policy": "deals_first",
    "max_bids_per_imp_per_seat": 3,
    "durfloors_overlap": "min",
    "separation": ["cat", "adomain"],
    "require_adomain": True,
    "allow_adid_only": True,
    "nbr_no_demand": 600,
    "nbr_all_refused": 601,
    "pod_search_limit": 1000,
}


def test_every_rule_can_be_set_from_text():
    rules = Rules.from_mapping(FULL)
    assert rules.second_price_increment == Fraction(5, 100)
    assert rules.rates == {"EUR": {"USD": Fraction("1.0873514")}, "JPY": {"USD": Fraction(1, 150)}}
    assert rules.bid_adjustments == {"a": Fraction(4, 5)}
    assert (rules.deal_policy, rules.durfloors_overlap) == (DealPolicy.DEALS_FIRST, Overlap.MIN)
    assert rules.separation == {Separation.ADOMAIN, Separation.CAT}
    assert rules.max_bids_per_imp_per_seat == 3


@pytest.mark.parametrize("values", [{}, FULL])
def test_rules_written_out_are_read_back_the_same(values):
    rules = Rules.from_mapping(values)
    assert Rules.from_mapping(rules.to_mapping()) == rules


def test_amounts_are_written_as_decimals_where_they_have_an_end():
    written = Rules.from_mapping(FULL).to_mapping()
    assert written["second_price_increment"] == "0.05"
    assert written["rates"] == {"EUR": {"USD": "1.0873514"}, "JPY": {"USD": "1/150"}}
    assert Rules.from_mapping({"bid_adjustments": {"a": "1.125"}}).to_mapping()[
        "bid_adjustments"
    ] == {"a": "1.125"}
    assert (
        Rules.from_mapping({"second_price_increment": 3}).to_mapping()["second_price_increment"]
        == "3"
    )


def test_defaults_are_those_of_no_rules_at_all():
    assert Rules.from_mapping({}) == Rules()
    assert "deadline_ms" not in Rules().to_mapping()
    assert Rules.from_mapping({"deadline_ms": None}) == Rules()


@pytest.mark.parametrize("value", [0.1, "0.1", Decimal("0.1")])
def test_a_number_is_taken_as_the_decimal_that_is_written(value):
    rules = Rules.from_mapping({"second_price_increment": value})
    assert rules.second_price_increment == Fraction(1, 10)


def test_amounts_given_to_the_class_become_exact():
    rules = Rules(second_price_increment=Decimal("0.1"), bid_adjustments={"a": Decimal("0.9")})
    assert rules.second_price_increment == Fraction(1, 10)
    assert rules.bid_adjustments["a"] == Fraction(9, 10)
    assert replace(rules, deadline_ms=5).bid_adjustments is rules.bid_adjustments


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"increment": "0.01"}, "rules.increment: no such setting"),
        ({"second_price_increment": "a penny"}, "expected a decimal"),
        ({"second_price_increment": True}, "expected a decimal"),
        ({"second_price_increment": float("nan")}, "expected a decimal"),
        (
            {"second_price_increment": "-1"},
            "rules.second_price_increment: got -1; expected at least 0",
        ),
        (
            {"rates": {"EUR": "1.1"}},
            "rules.rates: got {'EUR': '1.1'}; expected a table of decimals",
        ),
        ({"rates": "none"}, "expected a table of tables of decimals"),
        ({"rates": {"EUR": {"USD": "0"}}}, "rules.rates.EUR.USD: got 0; expected more than 0"),
        ({"rates": {"EUR": {"USD": "1/0"}}}, "expected a decimal"),
        (
            {"bid_adjustments": {"a": "-0.8"}},
            "rules.bid_adjustments.a: got -0.8; expected more than 0",
        ),
        ({"adjust_deal_bids": 1}, "rules.adjust_deal_bids: got 1; expected true or false"),
        ({"deal_policy": "best"}, "expected one of: price, deals_first"),
        ({"deal_policy": []}, "expected one of: price, deals_first"),
        ({"max_bids_per_imp_per_seat": 0}, "expected at least 1"),
        ({"max_bids_per_imp_per_seat": 1.5}, "expected a whole number"),
        ({"separation": ["crid"]}, "expected a list of: adomain, cat"),
        ({"separation": "adomain"}, "expected a list of: adomain, cat"),
        ({"separation": [["adomain"]]}, "expected a list of: adomain, cat"),
        ({"deadline_ms": "soon"}, "expected a number of ms"),
        ({"deadline_ms": -1}, "rules.deadline_ms: got -1; expected at least 0"),
    ],
)
def test_a_wrong_rule_is_named_with_what_would_be_right(values, message):
    with pytest.raises(ConfigError, match="rules") as error:
        Rules.from_mapping(values)
    assert message in str(error.value)


def test_every_wrong_rule_has_a_line():
    with pytest.raises(ConfigError) as error:
        Rules.from_mapping({"a": 1, "b": 2}, "auction.rules")
    assert str(error.value).split("\n") == [
        "auction.rules.a: no such setting",
        "auction.rules.b: no such setting",
    ]
    with pytest.raises(ConfigError) as error:
        Rules(max_bids_per_imp_per_seat=0, pod_search_limit=0)
    assert len(str(error.value).split("\n")) == 2


RATES = {
    "EUR": {"USD": Fraction(11, 10), "CHF": Fraction(2)},
    "GBP": {"EUR": Fraction(6, 5)},
    "SEK": {"CHF": Fraction(1, 4)},
}


@pytest.mark.parametrize(
    ("base", "quote", "rate"),
    [
        ("USD", "USD", Fraction(1)),
        ("XTS", "XTS", Fraction(1)),
        ("EUR", "USD", Fraction(11, 10)),
        ("USD", "EUR", Fraction(10, 11)),
        ("GBP", "USD", Fraction(66, 50)),
        ("USD", "GBP", Fraction(50, 66)),
        ("SEK", "EUR", Fraction(1, 8)),
        ("SEK", "USD", None),
        ("USD", "XTS", None),
    ],
)
def test_a_rate_is_direct_or_inverse_or_through_one_currency(base, quote, rate):
    assert find_rate(RATES, base, quote) == rate


def test_rules_with_a_deadline_are_the_same_rules_but_for_it():
    rules = Rules.from_mapping(FULL)
    assert rules.with_deadline(75.5) == replace(rules, deadline_ms=75.5)
    assert rules.deadline_ms == 120


def test_a_deadline_below_0_is_refused():
    with pytest.raises(ConfigError, match="deadline_ms: got -1; expected at least 0"):
        Rules().with_deadline(-1)
