"""Other rules on the same auctions: sums are exact, and every changed fate is counted."""

from fractions import Fraction

import pytest

from record.traffic import bid, first_price, run, runs
from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp_server import auction
from xsp_server.auction import Fate, Rules
from xsp_server.auction.what_if import AuctionChange, FateChange, WhatIf, lay_over
from xsp_server.errors import ConfigError

NONE = Fraction(0)


def again(was, **rules):
    """The result by the recorded rules and by others."""
    return was.result, auction.run(was.request, was.replies, lay_over(was.rules, rules))


def test_rules_are_laid_over_one_by_one_and_tables_entry_by_entry():
    below = Rules.from_mapping(
        {
            "deadline_ms": 80,
            "rates": {"EUR": {"USD": "1.1", "GBP": "0.8"}},
            "bid_adjustments": {"a": "0.9"},
        }
    )
    above = {
        "rates": {"EUR": {"USD": "1.2"}, "JPY": {"USD": "0.007"}},
        "bid_adjustments": {"b": "0.5"},
        "require_adomain": True,
    }
    assert lay_over(below, above) == Rules.from_mapping(
        {
            "deadline_ms": 80,
            "rates": {"EUR": {"USD": "1.2", "GBP": "0.8"}, "JPY": {"USD": "0.007"}},
            "bid_adjustments": {"a": "0.9", "b": "0.5"},
            "require_adomain": True,
        }
    )


def test_a_deadline_can_be_laid_over_too():
    assert lay_over(Rules(deadline_ms=80), {"deadline_ms": 5}).deadline_ms == 5


def test_a_wrong_rule_is_told():
    with pytest.raises(ConfigError, match=r"new\.toml\.margin: no such setting"):
        lay_over(Rules(), {"margin": 1}, "new.toml")


def test_the_same_rules_change_nothing():
    what_if = WhatIf()
    for number, was in enumerate(runs(40)):
        what_if.add(f"a-{number}", *again(was))
    assert what_if.auctions == 40
    assert what_if.changed == what_if.repriced == 0
    assert what_if.before == what_if.after
    assert all(before is after for before, after in what_if.fates)
    assert sum(what_if.fates.values()) > 40
    assert all(what_if.greatest(currency) == [] for currency in ("USD", "EUR"))


def test_sums_are_those_of_the_auctions():
    what_if, auctions = WhatIf(), list(runs(40))
    for was in auctions:
        what_if.add("a", *again(was))
    results = [was.result for was in auctions]
    assert what_if.before.imps == sum(len(was.request.imp) for was in auctions)
    assert what_if.before.won == sum(len(result.winners) for result in results)
    filled = {(n, w.imp) for n, result in enumerate(results) for w in result.winners}
    assert what_if.before.filled == len(filled)
    for currency in ("USD", "EUR"):
        prices = [w.clearing_price for r in results for w in r.winners if w.currency == currency]
        assert what_if.before.revenue[currency] == sum(prices)


def test_revenue_is_exact():
    """A third of 1 CPM, three hundred times, is 100 CPM."""
    what_if = WhatIf()
    for _ in range(300):
        what_if.add("a", *again(first_price(1), bid_adjustments={"a": "1/3"}))
    assert what_if.before.revenue == {"USD": 300}
    assert what_if.after.revenue == {"USD": 100}


def test_currencies_are_not_added_up():
    what_if = WhatIf()
    for currency in ("USD", "EUR"):
        request = BidRequest(id="req", at=1, cur=[currency], imp=[{"id": "1", "banner": {}}])
        what_if.add("a", *again(run(request, [bid("a", 2, cur=currency)])))
    assert what_if.before.revenue == {"USD": 2, "EUR": 2}


def test_fates_are_counted_by_what_they_were_and_what_they_become():
    what_if = WhatIf()
    what_if.add(
        "a", *again(first_price(3, 2, 1, floor=0.9), bid_adjustments={"a": "0.5", "c": "0.5"})
    )
    assert what_if.fates == {
        (Fate.WON, Fate.LOST_PRICE): 1,
        (Fate.LOST_PRICE, Fate.WON): 1,
        (Fate.LOST_PRICE, Fate.BELOW_FLOOR): 1,
    }
    assert what_if.changed == 1
    assert what_if.repriced == 0


def test_a_bid_that_wins_at_another_price_is_counted():
    was = first_price(4)
    what_if = WhatIf()
    what_if.add("a", *again(was, bid_adjustments={"a": "0.5"}))
    assert (what_if.changed, what_if.repriced) == (1, 1)
    assert what_if.fates == {(Fate.WON, Fate.WON): 1}
    [change] = what_if.greatest("USD")
    assert change == AuctionChange("a", "USD", Fraction(4), Fraction(2), ())
    assert change.difference == -2


def test_an_imp_that_is_not_filled_any_more_counts_as_fill_and_revenue():
    what_if = WhatIf()
    what_if.add("a", *again(first_price(4), require_adomain=True))
    assert (what_if.before.filled, what_if.after.filled) == (1, 0)
    assert what_if.after.revenue == {"USD": NONE}
    change = FateChange("a/1", "1", Fate.WON, Fate.MISSING_ADOMAIN)
    assert what_if.greatest("USD") == [AuctionChange("a", "USD", Fraction(4), NONE, (change,))]


def test_the_greatest_changes_come_first_and_are_few():
    what_if = WhatIf(greatest=3)
    for number, price in enumerate((5, 1, 7, 7, 3, 2)):
        what_if.add(f"a-{number}", *again(first_price(price), require_adomain=True))
    assert what_if.changed == 6
    greatest = [(change.auction_id, change.difference) for change in what_if.greatest("USD")]
    assert greatest == [("a-2", -7), ("a-3", -7), ("a-0", -5)]


def test_bids_that_share_an_id_are_told_apart():
    was = first_price(3, 2)
    for reply in was.replies:
        reply.response.seatbid[0].bid.add().CopyFrom(reply.response.seatbid[0].bid[0])
    what_if = WhatIf()
    what_if.add("a", *again(run(was.request, was.replies), bid_adjustments={"a": "0.5"}))
    assert what_if.fates == {(Fate.DUPLICATE_BID_ID, Fate.DUPLICATE_BID_ID): 4}
