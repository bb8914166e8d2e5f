"""The quick look at plain bids, held against all checks one by one, over bids of every kind."""

import random
from typing import Any

import pytest

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.auction import Rules
from xsp_server.auction.bids import Bid, read_bids
from xsp_server.auction.checks import BID_CHECKS, Checks, is_plain
from xsp_server.auction.terms import AuctionTerms
from xsp_server.openrtb.reply import Outcome, Reply

CASES = 6000

DOMAINS = (
    *("example.com", "EXAMPLE.com.", "ads.Example.com", "notexample.com", "com"),
    *("müller.de", "MÜLLER.de", "shop.müller.de", "xn--mller-kva.de", "straße.de", "STRASSE.de"),
    *("", ".", "example.com:80", f"{'a.' * 200}example.com"),
)
CATEGORIES = ("IAB1", "IAB1-2", "IAB2", "iab1", "1", "")
LANGUAGES = ("en", "EN", "en-GB", "pt-BR", "pt", "xx", "XX", "")
SEATS = ("s1", "s2", "S1", "")
DEALS = ("d1", "D1", "f1", "")
ADDRESSES = ("http://a.example/x", "HTTPS://a.example/x", "https://a.example/x", "//a.example/x")
MARKUPS = (
    *("", "<div>ad</div>", '{"native":{}}'),
    *(f'<img src="{address}">' for address in ADDRESSES),
    *(f'<VAST xmlns="http://www.iab.com/vast"><A>{address}</A></VAST>' for address in ADDRESSES),
)
SIZES = (
    *({}, {}, {"w": 300, "h": 250}, {"w": 300, "h": 90}, {"w": 728}, {"wratio": 16, "hratio": 9}),
    {"w": 320, "h": 180, "wratio": 4, "hratio": 3},
)
PRICES = (0, -1, 0.5, 1, 1.000001, 2, 1e12, float("nan"), float("inf"))


def some(chance: random.Random, values: Any, most: int = 2) -> list[Any]:
    """None of them as often as any."""
    return chance.sample(values, chance.randint(0, most)) if chance.random() < 0.6 else []


def only(chance: random.Random, **fields: Any) -> dict[str, Any]:
    """Each of the fields now and then."""
    return {name: value for name, value in fields.items() if chance.random() < 0.25}


def request(chance: random.Random) -> BidRequest:
    return BidRequest(
        id="req",
        imp=[imp(chance, str(number)) for number in range(chance.randint(1, 2))],
        cur=chance.choice(([], [], [], ["USD", "EUR"], ["EUR"])),
        wseat=some(chance, SEATS),
        bseat=some(chance, SEATS),
        badv=some(chance, DOMAINS),
        bapp=some(chance, ("app.one", "App.One", "")),
        bcat=some(chance, CATEGORIES),
        acat=some(chance, CATEGORIES),
        wlang=some(chance, LANGUAGES),
        wlangb=some(chance, LANGUAGES),
        **only(chance, cattax=chance.choice((1, 2)), at=chance.choice((1, 2, 3))),
    )


def imp(chance: random.Random, imp_id: str) -> dict[str, Any]:
    attributes = {"battr": some(chance, (1, 2, 3)), "api": some(chance, (1, 2, 7))}
    lengths = only(
        chance,
        minduration=6,
        maxduration=30,
        rqddurs=[15, 30],
        poddur=40,
        podid="p",
        maxextended=-1,
        slotinpod=chance.choice((0, 1, -1, 2)),
        mincpmpersec=0.1,
        durfloors=[{"mindur": 1, "maxdur": 15, "bidfloor": 1.5}],
    )
    protocols = {"protocols": some(chance, (2, 3, 7))}
    sizes = only(
        chance,
        w=300,
        h=250,
        format=[{"w": 728, "h": 90}, {"wratio": 16, "hratio": 9, "wmin": 320}],
    )
    media = {
        "banner": {**attributes, **sizes},
        "video": {**attributes, **lengths, **protocols},
        "audio": {**attributes, **protocols, **only(chance, minduration=6, maxduration=30)},
        "native": attributes,
    }
    offered = chance.sample(sorted(media), chance.choice((0, 1, 1, 1, 1, 1, 2, 4)))
    return {
        "id": imp_id,
        **{name: media[name] for name in offered},
        **only(
            chance,
            bidfloor=chance.choice((0, 1, float("nan"), -1)),
            bidfloorcur=chance.choice(("USD", "EUR", "GBP")),
            secure=1,
            pmp=pmp(chance),
        ),
    }


def pmp(chance: random.Random) -> dict[str, Any]:
    terms = only(
        chance,
        wseat=some(chance, SEATS),
        wadomain=some(chance, DOMAINS),
        bidfloorcur=chance.choice(("EUR", "GBP")),
        at=3,
        mincpmpersec=0.1,
    )
    deals = chance.sample(DEALS, chance.randint(0, 3))
    return {
        "private_auction": chance.random() < 0.3,
        "deals": [
            {"id": deal_id, "bidfloor": chance.choice((0, 1.5, 5)), **terms} for deal_id in deals
        ],
    }


def bid(chance: random.Random) -> dict[str, Any]:
    given = only(
        chance,
        cat=some(chance, CATEGORIES),
        cattax=chance.choice((1, 2)),
        bundle=chance.choice(("app.one", "APP.ONE", "")),
        attr=some(chance, (1, 2, 3)),
        language=chance.choice(LANGUAGES),
        langb=chance.choice(LANGUAGES),
        dur=chance.choice((0, 5, 15, 31, -1)),
        protocol=chance.choice((0, 2, 11)),
        api=chance.choice((0, 1, 5)),
        apis=some(chance, (1, 5)),
        mtype=chance.choice((0, 1, 2, 3, 4, 9)),
        slotinpod=chance.choice((0, 1, -1, 2, 5)),
        dealid=chance.choice(("d1", "d1", "d1", *DEALS, "d9")),
        nurl=chance.choice(ADDRESSES),
        adid="a",
        adm_native={"link": {"url": chance.choice(ADDRESSES)}},
    )
    usual = {
        "id": chance.choice(("1", "2", "3", "4", "5", "6", "")),
        "impid": chance.choice((*"0000000", "1", "9", "")),
        "price": chance.choice(PRICES) if chance.random() < 0.2 else 2,
        "adm": chance.choice(MARKUPS),
        "adomain": some(chance, DOMAINS),
    }
    for name in tuple(usual):
        if chance.random() < 0.03:
            del usual[name]
    return {**usual, **given, **chance.choice(SIZES)}


def bids(chance: random.Random) -> list[Bid]:
    """Bids of one reply with all their facts."""
    rules = Rules.from_mapping(
        only(
            chance,
            rates={"EUR": {"USD": "1.1"}},
            bid_adjustments={"b": "0.9"},
            adjust_deal_bids=True,
            require_adomain=True,
            allow_adid_only=True,
            allow={"b": only(chance, seats=["s1"], deals=["d1"], adomain=["example.com"])},
        )
    )
    asked = {"b": ("0",)} if chance.random() < 0.2 else {}
    response = BidResponse(id="req", cur=chance.choice(("", "", "", "USD", "EUR", "GBP", "usd")))
    for _ in range(chance.randint(1, 2)):
        seat = chance.choice((None, *SEATS))
        response.seatbid.add(seat=seat, bid=[bid(chance) for _ in range(chance.randint(0, 2))])
    terms = AuctionTerms(request(chance), rules, asked)
    return read_bids(terms, Reply("b", Outcome.BIDS, 5, response))


@pytest.fixture(scope="module")
def generated():
    """Bids of many auctions, those of one together."""
    return [bids(random.Random(seed)) for seed in range(CASES)]


def slow(bid: Bid, without: frozenset[str]):
    """What all checks, one after the other, have against a bid first; as text, for NaN's sake."""
    for check in BID_CHECKS:
        evidence = check.find(bid)
        if evidence is not None and check.rule.id not in without:
            return check.rule.id, repr(evidence)
    return None


def test_a_quick_look_and_all_checks_give_the_same_refusal(generated):
    for chance, of_one in enumerate(generated):
        picked = Checks()  # what it has picked for an imp holds for the bids that follow
        without = frozenset(
            check.rule.id for check in random.Random(chance).sample(BID_CHECKS, chance % 3)
        )
        for each in of_one:
            refusal = picked.first_refusal(each, without)
            quick = refusal and (refusal.rule.id, repr(refusal.evidence))
            assert quick == slow(each, without)


@pytest.mark.parametrize("check", BID_CHECKS, ids=lambda check: check.rule.id)
def test_every_check_has_something_against_some_of_the_bids(generated, check):
    assert any(check.find(bid) for of_one in generated for bid in of_one)


def test_a_check_that_does_not_matter_to_an_imp_has_nothing_against_its_bids(generated):
    idle = 0
    for each in (bid for of_one in generated for bid in of_one if bid.imp is not None):
        for check in BID_CHECKS:
            if check.matters is not None and not check.matters(each.imp):
                assert check.find(each) is None
                idle += 1
    assert idle > CASES


def test_plain_is_just_what_no_plain_check_refuses_but_for_markup_elsewhere(generated):
    plain_checks = [check for check in BID_CHECKS if check.is_plain]
    plain = 0
    for each in (bid for of_one in generated for bid in of_one):
        refused = any(check.find(each) for check in plain_checks)
        known = each.imp is not None and each.markup != ""  # what is elsewhere takes all checks
        assert is_plain(each) == (known and not refused)
        plain += is_plain(each)
    assert plain > CASES / 10
