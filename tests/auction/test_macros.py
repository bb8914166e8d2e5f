"""Macros: every one of the specification, its encodings, and its worked examples."""

import base64
from fractions import Fraction

import pytest

from auction.small import reply
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.auction import macros

# OpenRTB 2.6-202606, section 4.4.
NAMES = {
    "AUCTION_ID",
    "AUCTION_BID_ID",
    "AUCTION_IMP_ID",
    "AUCTION_SEAT_ID",
    "AUCTION_AD_ID",
    "AUCTION_PRICE",
    "AUCTION_CURRENCY",
    "AUCTION_MBR",
    "AUCTION_LOSS",
    "AUCTION_MIN_TO_WIN",
    "AUCTION_MULTIPLIER",
    "AUCTION_IMP_TS",
    "AUCTION_DISCOUNT_CPM",
    "AUCTION_DISCOUNT_PCT",
}


def values(result, key, **event):
    verdict = next(verdict for verdict in result.verdicts if verdict.key == key)
    return macros.find_values(result, verdict, macros.Event(**event))


@pytest.fixture
def two_bids(auction):
    """a wins at 1.50 of its 2.00 (second price with a floor of 1.50); b is under the floor."""
    return auction(
        reply("a", {"price": 2, "adid": "ad-7"}, seat="s1", bidid="track-9"),
        reply("b", {"price": 1.25}),
        imp={"bidfloor": 1.5, "qty": {"multiplier": 30.3}},
        at=2,
    )


def test_every_macro_of_the_specification_has_a_value_for_a_winner(two_bids):
    found = values(two_bids, "a/0", imp_ts_ms=1_700_000_000_000, discount_percent=Fraction(20))
    assert found == {
        "AUCTION_ID": "req",
        "AUCTION_BID_ID": "track-9",
        "AUCTION_IMP_ID": "1",
        "AUCTION_SEAT_ID": "s1",
        "AUCTION_AD_ID": "ad-7",
        "AUCTION_PRICE": "1.20",
        "AUCTION_CURRENCY": "USD",
        "AUCTION_MBR": "0.60",
        "AUCTION_LOSS": "0",
        "AUCTION_MIN_TO_WIN": "1.50",
        "AUCTION_MULTIPLIER": "30.3",
        "AUCTION_IMP_TS": "1700000000000",
        "AUCTION_DISCOUNT_CPM": "0.30",
        "AUCTION_DISCOUNT_PCT": "20.00",
    }
    assert found.keys() == NAMES


def test_a_loser_is_told_why_and_what_it_took_but_no_price(two_bids):
    assert values(two_bids, "b/0") == {
        **dict.fromkeys(NAMES),
        "AUCTION_ID": "req",
        "AUCTION_IMP_ID": "1",
        "AUCTION_CURRENCY": "USD",
        "AUCTION_LOSS": "100",
        "AUCTION_MIN_TO_WIN": "1.50",
    }


def test_what_the_caller_knows_better_goes_before_the_auction(two_bids):
    found = values(two_bids, "b/0", price=Fraction(5, 4), loss_code=2, impressions=Fraction(5, 2))
    assert (found["AUCTION_PRICE"], found["AUCTION_MBR"]) == ("1.25", "1.00")
    assert (found["AUCTION_LOSS"], found["AUCTION_MULTIPLIER"]) == ("2", "2.5")


def test_a_bid_without_a_price_or_an_imp_has_empty_values(auction):
    result = auction(reply("a", {"price": 0, "impid": "9"}))
    assert values(result, "a/0", price=Fraction(1))["AUCTION_MBR"] is None
    assert values(result, "a/0")["AUCTION_MULTIPLIER"] is None


@pytest.mark.parametrize(("multiplier", "text"), [(1, "1"), (30, "30"), (0.5, "0.5")])
def test_a_multiplier_is_a_plain_decimal(auction, multiplier, text):
    result = auction(reply("a", {}), imp={"qty": {"multiplier": multiplier}})
    assert values(result, "a/0")["AUCTION_MULTIPLIER"] == text


def test_price_and_multiplier_give_the_cost_of_a_play(auction):
    """implementation.md 7.9.4: 2.50 CPM and 30.3 impressions cost 0.07575."""
    result = auction(reply("a", {"price": 2.5}), imp={"qty": {"multiplier": 30.3}})
    found = values(result, "a/0")
    cost = Fraction(found["AUCTION_PRICE"]) * Fraction(found["AUCTION_MULTIPLIER"]) / 1000
    assert cost == Fraction("0.07575")


def test_a_discount_is_taken_off_the_price(auction):
    """implementation.md 7.16: a bid of 10 with 20 percent agreed."""
    result = auction(reply("a", {"price": 10}))
    found = values(result, "a/0", discount_percent=Fraction(20))
    assert Fraction(found["AUCTION_PRICE"]) == 8
    assert Fraction(found["AUCTION_DISCOUNT_CPM"]) == 2
    assert Fraction(found["AUCTION_DISCOUNT_PCT"]) == 20


@pytest.mark.parametrize(("at", "price", "to_win"), [(1, "1.00", "1.00"), (2, "0.91", "0.91")])
def test_prices_of_the_specifications_examples(auction, at, price, to_win):
    """implementation.md 7.16: floor 0.85, bids of 1.00, 0.90 and 0.80."""
    result = auction(
        *(reply(name, {"price": p}) for name, p in (("a", 1.0), ("b", 0.9), ("c", 0.8))),
        imp={"bidfloor": 0.85},
        at=at,
    )
    assert values(result, "a/0")["AUCTION_PRICE"] == price
    assert values(result, "a/0")["AUCTION_MIN_TO_WIN"] == "0.90"
    for loser in ("b/0", "c/0"):
        assert values(result, loser)["AUCTION_PRICE"] is None
        assert values(result, loser)["AUCTION_MIN_TO_WIN"] == to_win


VALUES = {"AUCTION_PRICE": "1.20", "AUCTION_SEAT_ID": None, "AUCTION_ID": "a/b&c ${AUCTION_PRICE}"}


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("https://a.example.com/?p=${AUCTION_PRICE}", "https://a.example.com/?p=1.20"),
        ("${AUCTION_PRICE}${AUCTION_PRICE}", "1.201.20"),
        ("[${AUCTION_SEAT_ID}]", "[]"),
        ("${AUCTION_PRICE:B64}", base64.b64encode(b"1.20").decode()),
        ("[${AUCTION_SEAT_ID:B64}]", "[]"),
        ("${AUCTION_ID}", "a/b&c ${AUCTION_PRICE}"),
        ("${AUCTION_PRICE:ROT13}", "${AUCTION_PRICE:ROT13}"),
        ("${AUCTION_PRICE:}", "${AUCTION_PRICE:}"),
        ("${AUCTION_UNKNOWN} ${auction_price} {AUCTION_PRICE}", None),
        ("${AUCTION_PRICE", None),
        ("nothing here", None),
    ],
)
def test_text_is_replaced_blindly_and_what_is_no_macro_stays(text, filled):
    assert macros.fill(text, VALUES) == (text if filled is None else filled)


def test_the_parties_agree_on_encodings(two_bids):
    found = values(two_bids, "a/0")
    encodings = {"REV": lambda text: text[::-1]}
    assert macros.fill("${AUCTION_PRICE:REV} ${AUCTION_PRICE:B64}", found, encodings) == (
        "05.1 ${AUCTION_PRICE:B64}"
    )


def test_an_audit_shows_where_a_value_is_not_known():
    text = "${AUCTION_PRICE} ${AUCTION_SEAT_ID} ${AUCTION_SEAT_ID:B64}"
    audit = base64.b64encode(b"AUDIT").decode()
    assert macros.fill(text, VALUES, audit=True) == f"1.20 AUDIT {audit}"


def test_a_bid_carries_macros_in_notices_and_markup_only():
    bid = BidResponse.Bid(
        id="${AUCTION_PRICE}",
        nurl="n${AUCTION_PRICE}",
        burl="b${AUCTION_PRICE}",
        lurl="l${AUCTION_PRICE}",
        adm="a${AUCTION_PRICE}",
        iurl="i${AUCTION_PRICE}",
    )
    macros.fill_bid(bid, VALUES)
    assert (bid.nurl, bid.burl, bid.lurl, bid.adm) == ("n1.20", "b1.20", "l1.20", "a1.20")
    assert (bid.id, bid.iurl) == ("${AUCTION_PRICE}", "i${AUCTION_PRICE}")


def test_a_bid_without_markup_gets_none():
    bid = BidResponse.Bid(nurl="n")
    macros.fill_bid(bid, VALUES)
    assert not bid.HasField("adm")


def test_only_the_macros_of_the_texts_are_worked_out_where_texts_are_told(two_bids):
    verdict = next(verdict for verdict in two_bids.verdicts if verdict.key == "a/0")
    texts = ["https://x.example/?p=${AUCTION_PRICE:B64}&i=${AUCTION_IMP_ID}", "${NO_MACRO} plain"]
    found = macros.find_values(two_bids, verdict, texts=texts)
    every = macros.find_values(two_bids, verdict)
    assert found == {name: every[name] for name in ("AUCTION_PRICE", "AUCTION_IMP_ID")}
    assert [macros.fill(text, found) for text in texts] == [
        macros.fill(text, every) for text in texts
    ]
