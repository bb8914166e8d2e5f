"""What no vector shows: names of rules, what made a price, evidence, values that JSON lacks."""

import math
import random
import re
from dataclasses import replace
from fractions import Fraction

import pytest

from auction.small import reply
from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp_server.auction import Fate, PriceBasis, Rules, Standing, checks, engine, pods
from xsp_server.auction.bids import repriced
from xsp_server.auction.contest import CONTEST_RULES
from xsp_server.auction.currency import find_rate
from xsp_server.auction.plan import Channel, Offering, SkipReason, plan
from xsp_server.openrtb.reply import Outcome, Reply

DEALS_AT_3 = {"pmp": {"deals": [{"id": "d1", "at": 3, "bidfloor": 2}, {"id": "d2", "at": 3}]}}


def test_rules_are_named_after_where_they_decide_and_what_becomes_of_the_bid():
    named = [check.rule.id for check in checks.BID_CHECKS]
    fates = [check.rule.fate for check in checks.BID_CHECKS]
    floor_rate = len(fates) - 1 - fates[::-1].index(Fate.NO_RATE)
    expected = [f"bid.{fate}" for fate in fates]
    expected[floor_rate] = "bid.no_floor_rate"
    assert named == expected
    assert [rule.id for rule in CONTEST_RULES.values()] == [f"auction.{f}" for f in CONTEST_RULES]


def test_rules_of_whole_replies_have_one_name_for_bidder_and_bid(auction):
    result = auction(reply("a", {}, arrived_ms=9), reply("b", {}, id="other"), tmax=8)
    assert [verdict.rule_id for verdict in result.bidders] == [
        "reply.late",
        "reply.wrong_request_id",
    ]
    assert [v.rule_id for v in result.verdicts] == [v.rule_id for v in result.bidders]


@pytest.mark.parametrize(
    ("imp", "bid", "basis"),
    [
        (DEALS_AT_3, {"dealid": "d1"}, PriceBasis.AGREED),
        (DEALS_AT_3, {"dealid": "d2"}, PriceBasis.OWN_PRICE),
        ({"bidfloor": 1, **DEALS_AT_3}, {"dealid": "d2"}, PriceBasis.OWN_PRICE),
        ({"pmp": {"deals": [{"id": "d1", "at": 3, "bidfloor": 0}]}}, {"dealid": "d1"}, "own_price"),
        ({"pmp": {"deals": [{"id": "d1", "bidfloor": 2}]}}, {"dealid": "d1"}, "own_price"),
    ],
)
def test_a_price_is_agreed_where_the_deal_fixes_one(auction, imp, bid, basis):
    result = auction(reply("a", {"price": 3, **bid}), imp=imp)
    assert result.winners[0].basis == basis


@pytest.mark.parametrize(
    ("own", "rival", "floor", "basis"),
    [
        (3, 2, 2.5, PriceBasis.FLOOR),
        (3, 2, 2.01, PriceBasis.RIVAL),
        (2.01, 2, 0, PriceBasis.RIVAL),
        (2.005, 2, 0, PriceBasis.CAPPED_AT_OWN_PRICE),
        (2.5, None, 2.5, PriceBasis.FLOOR),
        (0.01, None, 0, PriceBasis.INCREMENT),
        (0.005, None, 0, PriceBasis.CAPPED_AT_OWN_PRICE),
    ],
)
def test_of_equal_reasons_for_a_second_price_the_first_is_told(auction, own, rival, floor, basis):
    deal = {
        "bidfloor": rival and min(rival, floor),
        "pmp": {"deals": [{"id": "d", "bidfloor": floor}]},
    }
    bids = [reply("a", {"price": own, "dealid": "d"})]
    bids += [reply("b", {"price": rival})] if rival else []
    result = auction(*bids, imp=deal, at=2)
    assert result.winners[0].basis is basis
    told = basis is PriceBasis.RIVAL or (basis is PriceBasis.CAPPED_AT_OWN_PRICE and rival)
    assert result.winners[0].rival == ("b/0" if told else None)


@pytest.mark.parametrize(
    ("markup", "shown"),
    [
        ("<a href=http://a.example.com><a href=http://b.example.com>", "http://a.example.com><a"),
        ("<a u=http%3A%2F%2Fa.example.com href=http://b.example.com>", "http%3A%2F%2Fa.example."),
        ("<a href=http://b.example.com u=http%3A%2F%2Fa.example.com>", "http://b.example.com u="),
        ("<x xmlns='http://names/'><a href=HTTP://b.example.com/>", "HTTP://b.example.com/>"),
        ("<a href=http://b.example.com><x xmlns='http://names/'>", "http://b.example.com><x >"),
    ],
)
def test_the_first_insecure_address_is_shown_as_it_was_written(markup, shown):
    assert checks._insecure_part(markup).startswith(shown)


def test_of_a_long_address_the_first_80_characters_are_shown():
    assert checks._insecure_part("<a href=http://" + "x" * 99) == "http://" + "x" * 73

    both = "http%3A%2F%2Fa.example.com" + " " * 99 + "http://b.example.com"
    assert len(checks._insecure_part(both)) == 80


def test_a_name_within_another_is_taken_out_with_it():
    assert checks._insecure_part("""<x xmlns="schemaLocation='a' http://b">""") is None


def test_lists_are_shown_in_order(auction):
    seats = [f"s{n}" for n in range(20, 40)]
    evidence = auction(reply("a", {}), wseat=reversed(seats)).verdicts[0].evidence
    assert evidence.required == tuple(seats)


def test_a_document_type_that_does_not_end_hides_nothing():
    assert checks._insecure_part('<!DOCTYPE html SYSTEM "http://a.example.com/a.dtd"')
    assert not checks._insecure_part('<!DOCTYPE html SYSTEM "http://a.example.com/a.dtd">')


PIECES = [
    *("xmlns", ":a", "=", "'", '"', "http://", "HTTP%3A%2F%2F", "a", " "),
    *("schemaLocation", "<!DOCTYPE", "[", "]", ">"),
]


@pytest.mark.parametrize(
    "letters", [[], ["\u0130", "xmln\u017f"]], ids=["ascii", "that fold oddly"]
)
def test_an_insecure_address_is_found_just_where_names_are_taken_out(letters):
    """The search by first words comes to the same as taking out every match of the pattern."""
    chance = random.Random(7)
    for _ in range(3000):
        markup = "".join(chance.choices([*PIECES, *letters], k=chance.randint(2, 14)))
        rest = checks._NAMES_NOT_ADDRESSES.sub("", markup)
        found = re.search("http(://|%3a%2f%2f)", rest, re.IGNORECASE)
        assert (checks._insecure_part(markup) is not None) == (found is not None)


def test_a_price_without_end_is_none(auction):
    result = auction(reply("a", {"price": math.inf}), reply("b", {"price": math.nan}))
    assert {verdict.fate for verdict in result.verdicts} == {Fate.INVALID_PRICE}


@pytest.mark.parametrize("floor", [math.inf, math.nan, -1])
def test_a_floor_that_is_no_amount_asks_for_nothing(auction, floor):
    assert auction(reply("a", {}), imp={"bidfloor": floor}).winners


def test_a_deal_without_an_id_is_not_the_deal_of_open_bids(auction):
    result = auction(reply("a", {}), imp={"pmp": {"deals": [{"bidfloor": 9, "guar": 1}]}})
    assert result.verdicts[0].fate is Fate.WON


def test_a_deal_may_be_called_anything(auction):
    """Floors are kept by deal: those of open bids under no name that a deal could have."""
    deals = [{"id": name, "bidfloor": 9} for name in "*-0"]
    bids = [{"price": 9, "dealid": name} for name in "*-0"]
    result = auction(reply("a", *bids), reply("b", {"price": 1}), imp={"pmp": {"deals": deals}})
    assert {verdict.floor for verdict in result.verdicts if verdict.deal is None} == {0}


def test_a_currency_is_itself_whatever_the_table_says():
    assert find_rate({"USD": {"EUR": Fraction(2)}}, "EUR", "EUR") == 1
    assert find_rate({}, "USD", "USD") == 1


def test_bids_that_tell_no_arrival_go_last(auction):
    result = auction(reply("a", {}, arrived_ms=None), reply("b", {}, arrived_ms=10**9))
    assert result.winners[0].bidder == "b"


def test_what_failed_is_not_looked_into(auction):
    late = reply("a", {}, id="other")
    result = auction(replace(late, outcome=Outcome.ERROR))
    assert result.bidders[0].standing is Standing.ERROR


def test_an_answer_without_a_reason_tells_none(auction):
    result = auction(reply("a", nbr=2), reply("b"), Reply("c", Outcome.NO_BID, 5))
    assert [verdict.nbr for verdict in result.bidders] == [2, None, None]


def test_a_bid_without_a_rate_has_no_price_in_its_own_terms(auction):
    bid = auction(reply("a", {}, cur="EUR"), cur=["USD", "EUR"]).verdicts[0].facts
    with pytest.raises(ValueError, match="EUR"):
        bid.in_own_terms(Fraction(1))


def test_a_bid_at_another_price_has_that_price_and_what_follows_from_it(auction):
    rules = Rules.from_mapping({"rates": {"EUR": {"USD": "2"}}, "bid_adjustments": {"a": "0.5"}})
    bid = auction(reply("a", {}, cur="EUR"), cur=["USD", "EUR"], rules=rules).verdicts[0].facts
    other = repriced(bid, Fraction(3))
    assert (other.price, other.net, other.value) == (3, 3, 3)
    assert (bid.price, bid.net, bid.value) == (1, 1, 1)


def test_a_pod_tells_how_long_its_ads_are_together(video_pod):
    result = video_pod([{"dur": 10}, {"dur": 15}, {"mtype": 1, "price": 0.1}], Rules())
    assert [(pod.ads, pod.seconds) for pod in result.pods] == [(2, 25)]
    banner = video_pod([{"mtype": 1}], Rules())
    assert [(pod.ads, pod.seconds) for pod in banner.pods] == [(1, 0)]


@pytest.mark.parametrize(
    ("markup", "addresses"),
    [
        ("<MediaFile>a</MediaFile><MediaFile>b</MediaFile>", {"a", "b"}),
        ("<MediaFile\n type='video/mp4'> a </MediaFile>", {"a"}),
        ("<MediaFile\ttype='video/mp4'>a&amp;b</MediaFile>", {"a&b"}),
        ("<MediaFile>a", set()),
        ("<MediaFile>a</MediaFile><MediaFile>b", {"a"}),
        ("<MediaFile </MediaFile><MediaFile>b</MediaFile>", {"b"}),
        ("<MediaFileX>a</MediaFile>", set()),
        ("<MediaFile*>a</MediaFile>", set()),
        ("<MediaFile>]]></MediaFile>", {"]]>"}),
        ("<MediaFile><![CDATA[a</MediaFile>", {"<![CDATA[a"}),
    ],
)
def test_media_addresses_are_read_from_whole_elements(markup, addresses):
    assert pods.media_addresses(markup) == addresses


def test_pairs_that_may_not_meet_are_counted_once_whatever_they_share():
    pairs = pods._pairs(4, [0b0011, 0b0110, 0b0111])
    assert (pairs, type(pairs)) == (3, int)
    assert pods._pairs(3, [0b001]) == 0
    assert pods._pairs(4, [0b1001]) == 1


def test_a_pod_without_bids_is_filled_exactly_with_nothing(video_pod):
    (pod,) = video_pod([], Rules()).pods
    assert (pod.ads, pod.revenue, pod.exact, pod.gap, pod.conflicts) == (0, 0, True, 0, 0)


def test_the_failures_of_bidders_have_their_codes():
    codes = {outcome: code for outcome, (_, code) in engine._FAILURES.items()}
    assert codes == {
        Outcome.TIMEOUT: 101,
        Outcome.CANCELLED: 101,
        Outcome.ERROR: 100,
        Outcome.INVALID_RESPONSE: 102,
        Outcome.UNREACHABLE: 103,
    }


@pytest.mark.parametrize(
    ("offering", "reason"),
    [
        ({"currencies": frozenset({"EUR"})}, None),
        ({"currencies": frozenset({"USD"})}, SkipReason.CURRENCY),
        ({"channels": frozenset({Channel.DOOH})}, None),
        ({"channels": frozenset({Channel.SITE})}, SkipReason.CHANNEL),
    ],
)
def test_a_plan_goes_by_the_currencies_and_the_channel_of_the_request(offering, reason):
    imps = [{"id": "1", "banner": {}}]
    request = BidRequest(cur=["EUR", "GBP"], dooh={"id": "d"}, imp=imps)
    assert plan(request, [Offering("a", **offering)])[0].reason is reason


@pytest.mark.parametrize("trait", ["publishers", "inventory"])
def test_a_request_that_tells_no_place_is_in_no_list_of_places(trait):
    request = BidRequest(imp=[{"id": "1", "banner": {}}])
    planned = plan(request, [Offering("a", **{trait: frozenset({"*", "a"})})])
    assert planned[0].imps == ()


def test_the_reasons_not_to_ask_have_the_words_of_the_report():
    words = "country currency channel publisher inventory media_type no_imp"
    assert [*SkipReason] == words.split()
