"""An auction as a whole: what a result tells, and what odd messages do to it."""

import math
import random
from fractions import Fraction

import pytest

from auction import random_auctions, vector_files
from auction.small import reply
from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.auction import (
    Fate,
    FloorSource,
    MediaType,
    PriceBasis,
    RankClass,
    Rules,
    Standing,
    run,
)
from xsp_server.errors import ConfigError
from xsp_server.openrtb.reply import Outcome, Reply

DEALS = {
    "deals": [
        {"id": "f1", "at": 3, "bidfloor": 2},
        {"id": "d1", "bidfloor": 1, "bidfloorcur": "EUR"},
        {"id": "g1", "guar": 1},
    ]
}


def test_a_verdict_tells_every_fact_of_the_price(auction):
    rules = Rules.from_mapping(
        {
            "rates": {"EUR": {"USD": "1.25"}},
            "bid_adjustments": {"a": "0.8"},
            "adjust_deal_bids": True,
        }
    )
    result = auction(
        reply("a", {"price": 2, "dealid": "d1"}, seat="s1", cur="EUR"),
        rules=rules,
        cur=["USD", "EUR"],
        imp={"pmp": DEALS},
    )
    [verdict] = result.verdicts
    assert (verdict.key, verdict.seat, verdict.imp, verdict.deal) == ("a/0", "s1", "1", "d1")
    assert (verdict.price, verdict.bid_currency) == (2, "EUR")
    assert (verdict.rate, verdict.factor, verdict.net) == (Fraction(5, 4), Fraction(4, 5), 2)
    assert (verdict.floor, verdict.floor_source) == (Fraction(5, 4), FloorSource.DEAL)
    assert verdict.floor_path == "imp[0].pmp.deals[1].bidfloor"
    assert (verdict.value, verdict.rank_class) == (2, RankClass.OPEN)
    assert (verdict.fate, verdict.rule_id, verdict.loss_code) == (Fate.WON, "auction.won", 0)
    assert verdict.media_type is MediaType.BANNER
    assert (verdict.seconds, verdict.seconds_assumed) == (None, False)
    assert verdict.message.price == 2


def test_facts_that_can_not_be_worked_out_are_none(auction):
    result = auction(reply("a", {"impid": "9", "price": 0}))
    [verdict] = result.verdicts
    assert (verdict.price, verdict.net, verdict.value) == (None, None, None)
    assert (verdict.floor, verdict.floor_source, verdict.floor_path) == (None, None, "")
    assert verdict.deal is None


@pytest.mark.parametrize(
    ("field", "source"),
    [
        ({"durfloors": [{"bidfloor": 3}]}, FloorSource.MEDIA_DURATION),
        ({"mincpmpersec": 0.2}, FloorSource.MEDIA_PER_SECOND),
        ({}, FloorSource.IMP),
    ],
)
def test_a_floor_tells_where_it_comes_from(auction, field, source):
    result = auction(
        reply("a", {"price": 5}),
        imps=[{"id": "1", "video": {"maxduration": 15, **field}, "bidfloor": 3}],
    )
    [verdict] = result.verdicts
    assert (verdict.floor, verdict.floor_source) == (3, source)
    assert (verdict.seconds, verdict.seconds_assumed) == (15, True)


@pytest.mark.parametrize(
    ("field", "source"),
    [
        ({"durfloors": [{"bidfloor": 3}]}, FloorSource.DEAL_DURATION),
        ({"mincpmpersec": 0.2}, FloorSource.DEAL_PER_SECOND),
    ],
)
def test_a_deals_floor_tells_where_it_comes_from(auction, field, source):
    imp = {"id": "1", "video": {"maxduration": 15}, "pmp": {"deals": [{"id": "d", **field}]}}
    result = auction(reply("a", {"price": 5, "dealid": "d"}), imps=[imp])
    assert result.verdicts[0].floor_source is source


@pytest.mark.parametrize(
    ("at", "bids", "basis", "rival"),
    [
        (1, [{"price": 3}, {"price": 2}], PriceBasis.OWN_PRICE, None),
        (2, [{"price": 3}, {"price": 2}], PriceBasis.RIVAL, "b/0"),
        (2, [{"price": 3}, {"price": 1.2}], PriceBasis.FLOOR, None),
        (2, [{"price": 3}], PriceBasis.FLOOR, None),
        (2, [{"price": 3}, {"price": 2.999}], PriceBasis.CAPPED_AT_OWN_PRICE, "b/0"),
        (2, [{"price": 3, "dealid": "f1"}, {"price": 1.9}], PriceBasis.AGREED, None),
        (501, [{"price": 3}, {"price": 2}], PriceBasis.OWN_PRICE, None),
    ],
)
def test_a_winner_tells_what_made_its_price(auction, at, bids, basis, rival):
    floor = 1.5 if basis is PriceBasis.FLOOR else 1
    replies = [reply(bidder, bid) for bidder, bid in zip("abc", bids, strict=False)]
    imp = {"pmp": DEALS, "bidfloor": floor if len(bids) == 1 else 1}
    if basis is PriceBasis.FLOOR and len(bids) > 1:
        imp["pmp"] = {"deals": [{"id": "d", "bidfloor": 2.5}]}
        replies[0].response.seatbid[0].bid[0].dealid = "d"
    [winner] = auction(*replies, imp=imp, at=at).winners
    assert (winner.bidder, winner.basis, winner.rival) == ("a", basis, rival)


def test_the_increment_alone_makes_the_price_without_floor_and_rival(auction):
    [winner] = auction(reply("a", {"price": 3}), at=2).winners
    assert winner.basis is PriceBasis.INCREMENT


def test_the_rival_is_the_greatest_of_every_class(auction):
    [winner] = auction(
        reply("a", {"price": 9, "dealid": "g1"}),
        reply("b", {"price": 2, "dealid": "g1"}),
        reply("c", {"price": 5}),
        imp={"pmp": DEALS},
        at=2,
    ).winners
    assert (winner.rival, winner.clearing_price) == ("c/0", Fraction(501, 100))


def test_every_bidder_has_a_standing(auction):
    result = auction(
        reply("a", {}),
        Reply("b", Outcome.NO_BID, 5, BidResponse(nbr=8)),
        Reply("c", Outcome.TIMEOUT, None),
        Reply("d", Outcome.UNREACHABLE, 3, detail="connection refused"),
        Reply("e", Outcome.INVALID_RESPONSE, 3),
        Reply("f", Outcome.ERROR, 3),
        reply("g", {}, arrived_ms=20),
        reply("h", {}, id="x"),
        tmax=10,
    )
    assert [(b.bidder, b.standing, b.nonbid) for b in result.bidders] == [
        ("a", Standing.BIDS, None),
        ("b", Standing.NO_BID, 8),
        ("c", Standing.TIMEOUT, 101),
        ("d", Standing.UNREACHABLE, 103),
        ("e", Standing.INVALID_RESPONSE, 102),
        ("f", Standing.ERROR, 100),
        ("g", Standing.LATE, 101),
        ("h", Standing.WRONG_REQUEST_ID, 102),
    ]
    assert (result.bidders[1].nbr, result.bidders[3].detail) == (8, "connection refused")
    assert result.bidders[6].rule_id == "reply.late"
    assert [bidder.bids for bidder in result.bidders] == [1, 0, 0, 0, 0, 0, 1, 1]


def test_an_answer_that_came_with_a_failure_is_not_judged(auction):
    """A transport that failed may have left bytes that happen to be a response."""
    broken = Reply("a", Outcome.ERROR, 3, reply("a", {}).response)
    result = auction(broken)
    assert (result.verdicts, result.nbr) == ((), 1)


def test_without_any_arrival_time_a_bid_goes_last_in_a_tie(auction):
    result = auction(reply("a", {}, arrived_ms=None), reply("b", {}, arrived_ms=999))
    assert result.winners[0].bidder == "b"


def test_of_imps_and_deals_that_share_an_id_the_first_counts(auction):
    deals = {"deals": [{"id": "d", "bidfloor": 1}, {"id": "d", "bidfloor": 9}]}
    imps = [{"id": "1", "banner": {}, "pmp": deals}, {"id": "1", "video": {}}]
    result = auction(reply("a", {"price": 2, "dealid": "d"}), imps=imps)
    assert len(result.winners) == 1


@pytest.mark.parametrize("floor", [-1.0, math.nan, math.inf])
def test_a_floor_that_is_no_amount_asks_for_nothing(auction, floor):
    result = auction(reply("a", {"price": 0.01}), imp={"bidfloor": floor})
    assert result.winners[0].verdict.floor == 0


@pytest.mark.parametrize("price", [-1.0, math.nan, math.inf])
def test_a_price_that_is_no_amount_is_invalid(auction, price):
    result = auction(reply("a", {"price": price}))
    assert result.verdicts[0].fate is Fate.INVALID_PRICE


def test_an_empty_request_and_empty_replies_are_an_auction():
    result = run(BidRequest(), [Reply("a", Outcome.BIDS, 1, BidResponse())])
    assert (result.winners, result.verdicts, result.nbr) == ((), (), 500)


def test_a_tmax_of_zero_is_no_deadline(auction):
    assert auction(reply("a", {}, arrived_ms=1), tmax=0).winners


def test_a_bid_without_a_rate_has_no_amount_in_its_own_terms(auction):
    result = auction(reply("a", {}, cur="EUR"), cur=["USD", "EUR"])
    with pytest.raises(ValueError, match="EUR"):
        result.verdicts[0].facts.in_own_terms(Fraction(1))


def test_names_of_objects_and_rules_are_stable(auction):
    result = auction(reply("a", {"price": 2}), reply("b", {}), Reply("c", Outcome.NO_BID, 1))
    assert [verdict.rule_id for verdict in result.verdicts] == ["auction.won", "auction.lost_price"]
    assert [bidder.rule_id for bidder in result.bidders] == [
        "reply.bids",
        "reply.bids",
        "reply.no_bid",
    ]


@pytest.mark.parametrize("make_request", [random_auctions.request, random_auctions.pod_request])
def test_results_depend_on_nothing_but_what_goes_in(make_request):
    """Run twice and in another order: the same winners, fates, codes and prices."""
    for seed in range(60):
        chance = random.Random(seed)
        rules, request = random_auctions.rules(chance), make_request(chance)
        replies = tuple(random_auctions.replies(chance, request, groups=True))
        vector = vector_files.Vector("random", request, replies, rules, {})
        result = vector.run()
        assert result == vector.run()
        shuffled = vector.shuffled(chance).run()
        assert vector_files.outcome(shuffled) == vector_files.outcome(result)
        assert len(result.verdicts) == sum(len(s.bid) for r in replies for s in r.response.seatbid)


def test_a_bid_on_an_imp_that_its_bidder_was_not_asked_for_is_refused():
    request = BidRequest(id="r", imp=[{"id": "1", "banner": {}}, {"id": "2", "banner": {}}])
    bids = [{"id": imp, "impid": imp, "price": 1, "adm": "<a>"} for imp in ("1", "2")]
    response = BidResponse(id="r", seatbid=[{"bid": bids}])
    replies = [Reply(name, Outcome.BIDS, 1.0, response) for name in ("a", "b")]
    result = run(request, replies, asked={"a": ["2"]})
    assert result.fates == {
        "a/1": Fate.IMP_NOT_ASKED,
        "a/2": Fate.WON,
        "b/1": Fate.WON,
        "b/2": Fate.LOST_PRICE,
    }
    assert result.seatnonbid == {"a/1": 300}


@pytest.mark.parametrize(
    ("lists", "bid", "allowed"),
    [
        ({"seats": ["s1"]}, {}, True),
        ({"seats": ["s2"]}, {}, False),
        ({"adomain": ["Example.com."]}, {"adomain": ["shop.example.com"]}, True),
        ({"adomain": ["example.com"]}, {"adomain": ["example.com", "other.example.net"]}, False),
        ({"adomain": ["example.com"]}, {}, False),
        ({"deals": ["d1"]}, {}, True),
        ({"deals": ["d2"]}, {"dealid": "d1"}, False),
        ({"deals": ["d1"]}, {"dealid": "d1"}, True),
        ({"seats": [], "adomain": [], "deals": []}, {}, True),
    ],
)
def test_a_bidder_s_own_lists_say_what_its_bids_may_name(lists, bid, allowed):
    imp = {"id": "1", "banner": {}, "pmp": {"deals": [{"id": "d1"}]}}
    sent = {"id": "b", "impid": "1", "price": 1, "adm": "<a>", **bid}
    response = BidResponse(id="r", seatbid=[{"seat": "s1", "bid": [sent]}])
    rules = Rules.from_mapping({"allow": {"a": lists}})
    result = run(
        BidRequest(id="r", imp=[imp]),
        [Reply(name, Outcome.BIDS, 1.0, response) for name in ("a", "b")],
        rules,
    )
    assert (result.fates["a/b"] is not Fate.BIDDER_NOT_ALLOWED) == allowed
    assert result.fates["b/b"] is not Fate.BIDDER_NOT_ALLOWED
    if not allowed:
        assert (result.loss_codes["a/b"], result.seatnonbid["a/b"]) == (505, 300)


@pytest.mark.parametrize("value", [5, {"a": 5}, {"a": {"seat": []}}, {"a": {"seats": "s1"}}])
def test_lists_of_a_bidder_that_are_none_are_told(value):
    with pytest.raises(ConfigError, match=r"rules.allow: .* seats, adomain, deals"):
        Rules.from_mapping({"allow": value})


def test_lists_of_a_bidder_survive_the_trip_through_text():
    rules = Rules.from_mapping({"allow": {"a": {"seats": ["s2", "s1"]}}})
    assert Rules.from_mapping(rules.to_mapping()) == rules
