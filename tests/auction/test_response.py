"""The answer to the request, and answers judged one at a time."""

import sys

import pytest

from auction.small import reply
from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp_server.auction import Rules, WinnerDetermination, build_response, run
from xsp_server.openrtb.reply import Outcome, Reply

TWO_IMPS = BidRequest(
    id="req",
    at=2,
    cur=["USD", "EUR"],
    imp=[{"id": "1", "banner": {}, "bidfloor": 0.5}, {"id": "2", "banner": {}}],
)


def answer(*replies, request=TWO_IMPS, rules=Rules(), **options):  # noqa: B008 - frozen
    return build_response(request, run(request, replies, rules), **options)


def test_prices_are_the_clearing_prices_in_the_auction_currency():
    rules = Rules.from_mapping({"rates": {"EUR": {"USD": "1.10"}}})
    response = answer(
        reply("a", {"price": 4, "crid": "c1"}, cur="EUR"), reply("b", {"price": 2}), rules=rules
    )
    assert (response.id, response.cur) == ("req", "USD")
    [seatbid] = response.seatbid
    assert seatbid.bid[0].price == 2.01
    assert seatbid.bid[0].crid == "c1"
    assert not response.HasField("nbr")


def test_macros_are_filled_when_asked_for():
    bid = {"price": 3, "nurl": "https://a.example.com/?p=${AUCTION_PRICE}", "adm": "${AUCTION_ID}"}
    [filled] = answer(reply("a", bid), fill_macros=True).seatbid[0].bid
    assert (filled.nurl, filled.adm) == ("https://a.example.com/?p=0.50", "req")
    [untouched] = answer(reply("a", bid)).seatbid[0].bid
    assert untouched.nurl == bid["nurl"]


def test_seats_are_merged_and_those_without_a_name_go_by_the_bidders():
    a = reply("a", {"impid": "1"}, {"impid": "2"})
    a.response.seatbid.add(bid=[a.response.seatbid[0].bid.pop()])
    assert [(s.seat, len(s.bid)) for s in answer(a).seatbid] == [("a", 2)]
    seats = answer(
        reply("a", {"impid": "1"}, seat="s1"), reply("b", {"impid": "2"}, seat="s1")
    ).seatbid
    assert [(s.seat, len(s.bid)) for s in seats] == [("s1", 1), ("s1", 1)]


def test_ids_are_unique_in_the_answer():
    response = answer(reply("a", {"impid": "1"}), reply("b", {"impid": "2"}))
    assert [bid.id for seatbid in response.seatbid for bid in seatbid.bid] == ["a/0", "b/0"]
    response = answer(reply("a", {"impid": "1"}, {"impid": "2"}))
    assert [bid.id for seatbid in response.seatbid for bid in seatbid.bid] == ["0", "1"]


def test_without_a_winner_there_is_a_reason():
    response = answer(reply("a", {"price": 0.1}))
    assert not response.seatbid
    assert response.nbr == 501
    assert not response.HasField("ext")


def test_who_did_not_bid_is_told_by_seat_when_asked_for():
    response = answer(
        Reply("a", Outcome.TIMEOUT, None),
        reply("b", {"price": 0.1}, seat="s1"),
        reply("c", {"impid": "9"}),
        seatnonbid=True,
    )
    found = [
        (entry.seat, [(nonbid.impid, nonbid.statuscode) for nonbid in entry.nonbid])
        for entry in response.ext.seatnonbid
    ]
    assert found == [("a", [("1", 101), ("2", 101)]), ("s1", [("1", 301)])]


def test_one_response_in_hand_has_a_winner():
    response = reply("a", {"price": 2}, {"price": 3}, {"price": 1, "impid": "2"}).response
    determination = WinnerDetermination()
    winner = determination.determine_winner(response, TWO_IMPS)
    assert (winner.imp, winner.bid, winner.clearing_price) == (
        "1",
        "1",
        Rules().second_price_increment * 50,
    )
    assert [w.bid for w in determination.determine_winners(response, TWO_IMPS)] == ["1", "2"]


def test_one_response_in_hand_may_have_none():
    assert (
        WinnerDetermination().determine_winner(reply("a", {"price": 0}).response, TWO_IMPS) is None
    )


def test_the_rules_hold_for_a_response_in_hand():
    rules = Rules.from_mapping({"require_adomain": True})
    assert WinnerDetermination(rules).determine_winner(reply("a", {}).response, TWO_IMPS) is None


@pytest.mark.parametrize(("price", "sent"), [(1.8e302, 2.7e304), (1e308, sys.float_info.max)])
def test_a_price_beyond_all_sense_costs_nobody_the_auction(price, sent):
    request = BidRequest(id="req", at=1, cur=["USD", "JPY"], imp=[{"id": "1", "banner": {}}])
    rules = Rules.from_mapping({"rates": {"JPY": {"USD": 150}}})
    replies = [reply("a", {"price": price}, cur="JPY"), reply("b", {"price": 2})]
    result = run(request, replies, rules)
    [winner] = result.winners
    assert winner.bidder == "a"
    [seatbid] = build_response(request, result, fill_macros=True).seatbid
    assert seatbid.bid[0].price == sent
