"""How a simulated bidder decides about a request."""

import math
from collections import Counter
from statistics import median

import pytest

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.openrtb.reply import Outcome
from xsp_server.simulator import BidderModel, BidderSettings

BANNER = {"w": 300, "h": 250}


def request(number=0, *, imps=1, **fields) -> BidRequest:
    imp = [{"id": f"imp-{n}", "banner": BANNER} for n in range(imps)]
    return BidRequest(id=f"auction-{number}", **{"imp": imp, **fields})


def plan(asked=None, seed=0, **settings):
    return BidderModel(BidderSettings(**settings), seed).plan(asked or request())


def plans(count, **settings):
    model = BidderModel(BidderSettings(**settings))
    return [model.plan(request(number)) for number in range(count)]


def bids(asked=None, **settings) -> list[BidResponse.Bid]:
    return [bid for seatbid in plan(asked, **settings).response.seatbid for bid in seatbid.bid]


def test_the_same_request_gets_the_same_plan_in_any_order():
    settings = BidderSettings(latency_ms="lognormal median=20 p99=80", no_bid_rate=0.3)
    forwards, backwards = BidderModel(settings, 5), BidderModel(settings, 5)
    there = [forwards.plan(request(n)) for n in range(50)]
    back = [backwards.plan(request(n)) for n in reversed(range(50))]
    assert there == back[::-1]
    assert len({entry.delay for entry in there}) == 50


def test_another_seed_or_seat_answers_differently():
    prices = {
        bids(price="uniform min=1 max=9")[0].price,
        plan(seed=1, price="uniform min=1 max=9").response.seatbid[0].bid[0].price,
        bids(price="uniform min=1 max=9", seat="other")[0].price,
    }
    assert len(prices) == 3


def test_another_no_bid_rate_leaves_prices_and_delays_as_they_were():
    spread = {"price": "uniform min=1 max=9", "latency_ms": "uniform min=1 max=9"}
    all_bid, half_bid = plans(200, **spread), plans(200, **spread, no_bid_rate=0.5)
    both = [(a, b) for a, b in zip(all_bid, half_bid, strict=True) if b.outcome is Outcome.BIDS]
    assert 70 < len(both) < 130
    assert all(a == b for a, b in both)


def test_the_outcomes_come_at_their_rates():
    rates = {"timeout_rate": 0.1, "error_rate": 0.2, "no_bid_rate": 0.3}
    count = Counter(entry.outcome for entry in plans(4000, **rates))
    assert count[Outcome.TIMEOUT] == pytest.approx(400, abs=80)
    assert count[Outcome.ERROR] == pytest.approx(800, abs=100)
    assert count[Outcome.NO_BID] == pytest.approx(1200, abs=120)
    assert count[Outcome.BIDS] == pytest.approx(1600, abs=120)


@pytest.mark.parametrize(
    ("rate", "outcome"),
    [
        ("timeout_rate", Outcome.TIMEOUT),
        ("error_rate", Outcome.ERROR),
        ("no_bid_rate", Outcome.NO_BID),
    ],
)
def test_a_rate_of_1_leaves_no_other_outcome(rate, outcome):
    assert {entry.outcome for entry in plans(500, **{rate: 1})} == {outcome}


@pytest.mark.parametrize("rate", ["timeout_rate", "error_rate", "no_bid_rate"])
def test_what_is_no_bid_carries_the_id_and_nothing_else(rate):
    assert plan(**{rate: 1}).response == BidResponse(id="auction-0")


def test_a_timeout_never_ends():
    assert plan(timeout_rate=1).delay == math.inf


@pytest.mark.parametrize("rates", [{}, {"no_bid_rate": 1}, {"error_rate": 1}])
def test_every_other_outcome_takes_the_latency(rates):
    assert plan(latency_ms=20, **rates).delay == 0.02


def test_latencies_spread_as_set():
    delays = sorted(p.delay for p in plans(4000, latency_ms="lognormal median=20 p99=80"))
    assert median(delays) == pytest.approx(0.020, rel=0.05)
    assert delays[3960] == pytest.approx(0.080, rel=0.15)


def test_prices_spread_as_set_and_are_whole_micros():
    model = BidderModel(BidderSettings(price="lognormal median=2 sigma=0.5"))
    prices = [model.plan(request(n)).response.seatbid[0].bid[0].price for n in range(2000)]
    assert median(prices) == pytest.approx(2, rel=0.05)
    assert all(price == round(price * 1_000_000) / 1_000_000 for price in prices)
    assert len(set(prices)) > 1900


def test_a_price_is_one_micro_at_least():
    assert bids(price=0)[0].price == 0.000001


def test_a_response_names_request_currency_and_seat():
    response = plan(currency="EUR", seat="agency").response
    assert (response.id, response.cur) == ("auction-0", "EUR")
    assert [seatbid.seat for seatbid in response.seatbid] == ["agency"]
    assert response.bidid


def test_every_imp_gets_its_bids_each_with_an_id_of_its_own():
    made = bids(request(imps=3), bids_per_imp=2)
    assert Counter(bid.impid for bid in made) == {"imp-0": 2, "imp-1": 2, "imp-2": 2}
    assert len({bid.id for bid in made}) == 6
    assert len({bid.price for bid in made}) == 6


def test_an_imp_that_nothing_fits_is_left_out():
    asked = BidRequest(
        id="1", imp=[{"id": "none", "banner": {}}, {"id": "fits", "banner": BANNER}, {"id": "bare"}]
    )
    assert [bid.impid for bid in bids(asked)] == ["fits"]


def test_a_request_that_nothing_fits_gets_no_bid():
    nothing = plan(BidRequest(id="1", imp=[{"id": "none", "banner": {}}]))
    assert nothing.outcome is Outcome.NO_BID
    assert nothing.response == BidResponse(id="1")


def test_a_bid_is_for_one_of_the_advertisers():
    domains = ("a.example", "b.example")
    made = [bids(request(number), adomain=domains)[0] for number in range(50)]
    assert {tuple(bid.adomain) for bid in made} == {("a.example",), ("b.example",)}
    assert all(bid.cid == f"{bid.adomain[0]}-campaign" for bid in made)
    assert all(bid.crid.startswith(bid.adomain[0]) for bid in made)


def test_blocked_advertisers_do_not_bid():
    domains = ("a.example", "b.example")
    made = [bids(request(n, badv=["a.example"]), adomain=domains)[0] for n in range(20)]
    assert {bid.adomain[0] for bid in made} == {"b.example"}
    assert not bids(request(badv=list(domains)), adomain=domains)


def test_bids_state_the_categories():
    assert list(bids(cat=("IAB1", "IAB2"))[0].cat) == ["IAB1", "IAB2"]


@pytest.mark.parametrize(
    ("terms", "bidding"),
    [
        ({"cur": ["USD", "EUR"]}, True),
        ({"cur": ["EUR"]}, False),
        ({"wseat": ["simulated", "other"]}, True),
        ({"wseat": ["other"]}, False),
        ({"bseat": ["other"]}, True),
        ({"bseat": ["simulated"]}, False),
        ({"bcat": ["IAB9"]}, True),
        ({"bcat": ["IAB2"]}, False),
        ({"acat": ["IAB1", "IAB2"]}, True),
        ({"acat": ["IAB1"]}, False),
    ],
)
def test_the_bidder_keeps_to_the_terms_of_the_request(terms, bidding):
    assert bool(bids(request(**terms), cat=("IAB2",))) is bidding


def test_prices_do_not_look_at_the_floor_of_the_imp():
    asked = BidRequest(id="1", imp=[{"id": "1", "banner": BANNER, "bidfloor": 50}])
    assert bids(asked, price=2)[0].price == 2


def deal_request(*deals, private=False, number=0) -> BidRequest:
    pmp = {"deals": deals, "private_auction": private}
    return BidRequest(id=str(number), imp=[{"id": "1", "banner": BANNER, "pmp": pmp}])


def test_some_bids_are_made_under_a_deal_if_the_imp_offers_one():
    asked = [deal_request({"id": "d"}, number=number) for number in range(400)]
    under = [bids(entry, deal_rate=0.25)[0].dealid for entry in asked]
    assert under.count("d") == pytest.approx(100, abs=30)
    assert under.count("") == 400 - under.count("d")


@pytest.mark.parametrize(
    ("deal", "taken"),
    [
        ({"id": "d"}, "d"),
        ({"id": "d", "wseat": ["simulated"]}, "d"),
        ({"id": "d", "wseat": ["other"]}, ""),
        ({"id": "d", "wadomain": ["advertiser.example"]}, "d"),
        ({"id": "d", "wadomain": ["other.example"]}, ""),
    ],
)
def test_a_deal_for_other_seats_or_advertisers_is_not_taken(deal, taken):
    assert bids(deal_request(deal), deal_rate=1)[0].dealid == taken


def test_a_private_auction_gets_bids_under_deals_only():
    assert bids(deal_request({"id": "d"}, private=True), deal_rate=0)[0].dealid == "d"
    assert not bids(deal_request({"id": "d", "wseat": ["other"]}, private=True), deal_rate=1)


@pytest.mark.parametrize(
    ("deal", "price"),
    [
        ({"bidfloor": 1.5}, 2),
        ({"bidfloor": 2.5}, 2.5),
        ({"bidfloor": 2.0000001}, 2.000001),
        ({"bidfloor": 2.5, "bidfloorcur": "EUR"}, 2),
    ],
)
def test_a_bid_under_a_deal_reaches_its_floor_in_the_same_currency(deal, price):
    assert bids(deal_request({"id": "d", **deal}), deal_rate=1, price=2)[0].price == price


def test_an_unstated_deal_currency_is_usd():
    asked = deal_request({"id": "d", "bidfloor": 5})
    assert bids(asked, deal_rate=1, price=2, currency="EUR")[0].price == 2


def test_bids_carry_notice_urls_with_macros_where_they_have_somewhere_to_go():
    bid = bids(notice_url="http://127.0.0.1:9/notices/")[0]
    query = f"bid={bid.id}&price=${{AUCTION_PRICE}}"
    assert bid.nurl == f"http://127.0.0.1:9/notices/win?{query}"
    assert bid.burl == f"http://127.0.0.1:9/notices/billing?{query}"
    assert bid.lurl == f"http://127.0.0.1:9/notices/loss?{query}&reason=${{AUCTION_LOSS}}"


def test_bids_carry_no_notice_urls_without():
    bid = bids()[0]
    assert not any(bid.HasField(name) for name in ("nurl", "burl", "lurl"))


def test_an_imp_in_several_forms_gets_one_of_them():
    imp = {"id": "1", "banner": BANNER, "video": {"mimes": ["video/mp4"]}}
    made = [bids(BidRequest(id=str(number), imp=[imp]))[0].mtype for number in range(40)]
    assert set(made) == {1, 2}


def test_the_form_that_fits_is_taken_whatever_else_is_offered():
    imp = {"id": "1", "banner": {}, "video": {"mimes": ["video/mp4"]}}
    made = [bids(BidRequest(id=str(number), imp=[imp]))[0].mtype for number in range(20)]
    assert set(made) == {2}
