"""The ledger: which bid a key fits, and what goes when room is needed."""

from fractions import Fraction

import pytest

from xsp.bid.v1.auction_options_pb2 import NoticeDelivery
from xsp.bid.v1.notice_pb2 import BidKey
from xsp_server.service.bid_ledger import (
    AuctionFacts,
    BidFacts,
    BidLedger,
    BidNotFound,
    NoticeAmbiguous,
)
from xsp_server.upstream.notices import NoticeKind

SERVER = NoticeDelivery.NOTICE_DELIVERY_SERVER


def bid(bid_id="1", *, bidder="acme", seat=None, imp="imp", won=True, urls=None) -> BidFacts:
    return BidFacts(
        bidder=bidder,
        seat=seat,
        imp=imp,
        bid=bid_id,
        path="seatbid[0].bid[0]",
        won=won,
        currency="USD",
        price=Fraction(1),
        urls=urls or {},
        values={},
        win_gets_markup=False,
    )


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def ledger(*bids: BidFacts, auction="a", request="r", most=100, seconds=600.0):
    made = BidLedger(most, seconds, Clock())
    if bids:
        made.put(AuctionFacts(auction, request, bids), SERVER)
    return made


def put(made, auction, *bids, request="r"):
    return made.put(AuctionFacts(auction, request, bids), SERVER)


def found(made, **key) -> str:
    """Which bid: `auction/bidder/id`, or the reason why none."""
    try:
        one = made.find(BidKey(**key), "notices[0]")
    except (BidNotFound, NoticeAmbiguous) as error:
        return error.reason
    return f"{one.auction.id}/{one.facts.bidder}/{one.facts.bid}"


@pytest.mark.parametrize(
    "key",
    [
        {"auction_id": "a"},
        {"openrtb_request_id": "r"},
        {"auction_id": "a", "openrtb_request_id": "r", "imp_id": "imp", "bidder": "acme"},
        {"auction_id": "a", "seat": ""},
        {"auction_id": "a", "seat": "acme"},  # as the answer names a bid without a seat
    ],
)
def test_a_bid_is_found_by_whatever_names_it(key):
    assert found(ledger(bid("1"), bid("2")), bid_id="1", **key) == "a/acme/1"


@pytest.mark.parametrize(
    "key",
    [
        {"auction_id": "b"},
        {"openrtb_request_id": "s"},
        {"auction_id": "a", "openrtb_request_id": "s"},
        {"auction_id": "b", "openrtb_request_id": "r"},
        {"auction_id": "a", "imp_id": "other"},
        {"auction_id": "a", "bidder": "other"},
        {"auction_id": "a", "seat": "other"},
    ],
)
def test_all_that_a_key_says_has_to_hold(key):
    assert found(ledger(bid()), bid_id="1", **key) == "BID_NOT_FOUND"
    assert found(ledger(bid()), auction_id="a", bid_id="2") == "BID_NOT_FOUND"


def test_a_seat_is_its_own_and_not_the_bidder_s():
    made = ledger(bid(seat="s"))
    assert found(made, auction_id="a", bid_id="1", seat="s") == "a/acme/1"
    assert found(made, auction_id="a", bid_id="1", seat="") == "BID_NOT_FOUND"
    assert found(made, auction_id="a", bid_id="1", seat="acme") == "BID_NOT_FOUND"
    assert found(made, auction_id="a", bid_id="1") == "a/acme/1"


def test_an_id_that_two_bidders_share_needs_the_bidder_or_the_answer_s_form_of_it():
    made = ledger(bid(bidder="acme"), bid(bidder="zeta"))
    with pytest.raises(NoticeAmbiguous) as caught:
        made.find(BidKey(auction_id="a", bid_id="1"), "notices[3]")
    assert str(caught.value) == (
        "notices[3].bid: fits 2 bids in auction 'a', which differ in bidder; "
        "expected a key that fits one"
    )
    assert caught.value.metadata == {"auction_id": "a", "bid_id": "1"}
    assert found(made, auction_id="a", bid_id="1", bidder="zeta") == "a/zeta/1"
    assert found(made, auction_id="a", bid_id="zeta/1") == "a/zeta/1"


def test_bids_that_differ_in_nothing_can_t_be_told_apart():
    with pytest.raises(NoticeAmbiguous, match="differ in nothing that a key has"):
        ledger(bid(), bid()).find(BidKey(auction_id="a", bid_id="1"), "notices[0]")


def test_auctions_of_one_request_id_are_told_apart_by_their_own():
    made = ledger(bid(), auction="a")
    put(made, "b", bid(), bid("2"))
    assert found(made, openrtb_request_id="r", bid_id="1") == "NOTICE_AMBIGUOUS"
    assert found(made, auction_id="b", bid_id="1") == "b/acme/1"
    assert found(made, openrtb_request_id="r", bid_id="2") == "b/acme/2"


def test_of_one_request_id_only_the_newest_auctions_are_looked_through():
    made = ledger(bid("first"), auction="first", most=1000)
    for number in range(100):
        put(made, f"a{number}", bid(f"{number}"))
    assert found(made, openrtb_request_id="r", bid_id="0") == "a0/acme/0"
    assert found(made, openrtb_request_id="r", bid_id="first") == "BID_NOT_FOUND"
    assert found(made, auction_id="first", bid_id="first") == "first/acme/first"


def test_an_auction_of_the_same_id_replaces_the_one_before():
    made = ledger(bid("1"))
    put(made, "a", bid("2"), request="s")
    assert found(made, auction_id="a", bid_id="1") == "BID_NOT_FOUND"
    assert found(made, openrtb_request_id="r", bid_id="1") == "BID_NOT_FOUND"
    assert found(made, auction_id="a", bid_id="2") == "a/acme/2"
    assert len(made) == 1


def test_winners_are_kept_for_their_time_and_losers_for_a_minute():
    made = ledger(bid("won"), bid("lost", won=False), seconds=600)
    made._clock.now = 59.9
    assert found(made, auction_id="a", bid_id="lost") == "a/acme/lost"
    made._clock.now = 60.0
    assert found(made, auction_id="a", bid_id="lost") == "BID_NOT_FOUND"
    assert found(made, auction_id="a", bid_id="won") == "a/acme/won"
    made._clock.now = 599.9
    assert found(made, auction_id="a", bid_id="won") == "a/acme/won"
    made._clock.now = 600.0
    assert found(made, auction_id="a", bid_id="won") == "BID_NOT_FOUND"
    assert len(made) == 0


def test_room_is_made_by_the_oldest_losers_and_then_by_the_oldest_auctions():
    made = ledger(most=4)
    put(made, "a", bid("won"), bid("lost", won=False))
    put(made, "b", bid("won"), bid("lost", won=False))
    put(made, "c", bid("won"))
    assert found(made, auction_id="a", bid_id="lost") == "BID_NOT_FOUND"
    assert found(made, auction_id="b", bid_id="lost") == "b/acme/lost"
    put(made, "d", bid("won"))
    assert found(made, auction_id="b", bid_id="lost") == "BID_NOT_FOUND"
    put(made, "e", bid("won"))
    assert found(made, auction_id="a", bid_id="won") == "BID_NOT_FOUND"
    assert found(made, auction_id="b", bid_id="won") == "b/acme/won"
    assert len(made) == 4


def test_an_auction_that_is_larger_than_the_ledger_is_kept_alone():
    made = ledger(bid("a"), most=2)
    put(made, "large", *[bid(str(number)) for number in range(5)])
    assert found(made, auction_id="large", bid_id="4") == "large/acme/4"
    assert found(made, auction_id="a", bid_id="a") == "BID_NOT_FOUND"
    assert len(made) == 5


def test_all_bids_of_an_auction_are_given_back_even_those_without_room():
    made = ledger(most=1)
    given = put(made, "a", bid("won"), bid("lost", won=False))
    assert [one.facts.bid for one in given] == ["won", "lost"]
    assert found(made, auction_id="a", bid_id="lost") == "BID_NOT_FOUND"


def test_long_urls_count_for_more():
    made = ledger(most=4)
    long = "http://acme.example/" + "x" * 3000
    put(made, "a", bid(urls={NoticeKind.WIN: long}))
    assert len(made) == 3
    put(made, "b", bid(urls={NoticeKind.WIN: long}))
    assert len(made) == 3
    assert found(made, auction_id="a", bid_id="1") == "BID_NOT_FOUND"


def test_losers_of_an_auction_that_is_gone_count_no_more():
    made = ledger(bid("won"), bid("lost", won=False), seconds=10)
    made._clock.now = 10.0
    assert found(made, auction_id="a", bid_id="won") == "BID_NOT_FOUND"
    put(made, "b", bid("won"))
    made._clock.now = 60.0
    assert found(made, auction_id="a", bid_id="lost") == "BID_NOT_FOUND"
    assert len(made) == 0


def test_nothing_is_left_of_what_is_forgotten():
    made = ledger(most=10, seconds=100)
    for number in range(50):
        made._clock.now = float(number)
        put(made, f"a{number}", bid(), bid("2", won=False), request=f"r{number}")
    assert len(made) <= 10
    made._clock.now = 1000.0
    assert found(made, auction_id="a49", bid_id="1") == "BID_NOT_FOUND"
    assert (len(made), made._auctions, made._by_request) == (0, {}, {})
    assert not made._with_losers
