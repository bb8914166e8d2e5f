"""What a simulated bidder can be told, and what it refuses."""

import pytest
from pydantic import ValidationError

from xsp_server.registry import describe
from xsp_server.simulator import BidderSettings, Fixed, LogNormal, Uniform


def complaint(**values) -> str:
    with pytest.raises(ValidationError) as caught:
        BidderSettings(**values)
    return describe(caught.value)


def test_spreads_are_read_from_text():
    settings = BidderSettings(price="uniform min=1 max=2", latency_ms="lognormal median=9 sigma=1")
    assert settings.price == Uniform(1, 2)
    assert settings.latency_ms == LogNormal(9, 1)
    assert BidderSettings(price=2.5).price == Fixed(2.5)


def test_a_wrong_spread_is_named_with_what_would_be_right():
    assert complaint(price="much").startswith("price: got 'much'; expected a number, 'uniform")


@pytest.mark.parametrize("name", ["no_bid_rate", "error_rate", "timeout_rate"])
@pytest.mark.parametrize("rate", [-0.1, 1.1])
def test_a_rate_is_a_share_of_the_whole(name, rate):
    assert f"{name}: got {rate}; expected" in complaint(**{name: rate})


def test_the_rates_may_add_up_to_1():
    settings = BidderSettings(no_bid_rate=0.3, error_rate=0.3, timeout_rate=0.4)
    assert settings.timeout_rate == 0.4


@pytest.mark.parametrize(
    "rates",
    [
        {"no_bid_rate": 0.6, "error_rate": 0.6},
        {"no_bid_rate": 0.6, "timeout_rate": 0.6},
        {"error_rate": 0.6, "timeout_rate": 0.6},
    ],
)
def test_the_rates_may_not_add_up_to_more(rates):
    assert "to add up to 1 at most; they make 1.2" in complaint(**rates)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seat", ""),
        ("currency", "usd"),
        ("bids_per_imp", 0),
        ("adomain", []),
        ("adomain", ["a.example/<script>"]),
        ("notice_url", "not a url"),
        ("deal_rate", 2),
        ("sead", "typo"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(name, value):
    assert complaint(**{name: value}).startswith(name)
