"""Auctions by chance, as a server would have run and recorded them."""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

from auction import random_auctions
from xsp.bid.v1.auction_options_pb2 import ExplainLevel
from xsp.bid.v1.auction_record_pb2 import AuctionRecord
from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server import auction
from xsp_server.auction import Rules
from xsp_server.auction.plan import Plan, SkipReason
from xsp_server.openrtb.reply import Outcome, Reply
from xsp_server.service.exchange import AnswerForm, AuctionRun, Timings
from xsp_server.service.planning import Asked
from xsp_server.service.record import record
from xsp_server.service.report import report
from xsp_server.simulator import BidderModel, BidderSettings

VERSION = "0.1.0"
FORM = AnswerForm()
START = datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)
FULL = ExplainLevel.EXPLAIN_LEVEL_FULL

RULES = [
    Rules(),
    Rules.from_mapping(
        {
            "rates": {"EUR": {"USD": "1.0834"}, "USD": {"GBP": "0.787"}},
            "bid_adjustments": {"amber": "0.85", "cobalt": "0.9"},
            "max_bids_per_imp_per_seat": 2,
        }
    ),
    Rules.from_mapping(
        {
            "rates": {"EUR": {"USD": "1.0791"}},
            "deal_policy": "deals_first",
            "separation": ["adomain", "cat"],
            "require_adomain": True,
            "second_price_increment": "1/3",
        }
    ),
]

_SETTINGS: list[dict[str, Any]] = [
    {"seat": "amber", "price": "lognormal median=2 sigma=0.6", "bids_per_imp": 2},
    {"seat": "beryl", "price": "uniform min=0.5 max=4", "notice_url": "https://beryl.example/"},
    {"seat": "cobalt", "currency": "EUR", "adomain": ("tea.example", "car.example")},
    {"seat": "delta", "no_bid_rate": 0.3, "error_rate": 0.2, "cat": ("IAB1", "IAB2-3")},
    {"seat": "ember", "timeout_rate": 0.3, "latency_ms": "lognormal median=60 p99=300"},
]
BIDDERS = [BidderModel(BidderSettings.model_validate(values), seed=7) for values in _SETTINGS]

_MEDIA: list[dict[str, Any]] = [
    {"banner": {"w": 300, "h": 250}},
    {"banner": {"format": [{"w": 320, "h": 50}, {"w": 728, "h": 90}]}},
    {"video": {"mimes": ["video/mp4"], "maxduration": 30, "w": 1920, "h": 1080}},
    {"audio": {"mimes": ["audio/mp4"], "maxduration": 60}, "banner": {"w": 300, "h": 50}},
    {"video": {"mimes": ["video/mp4"], "podid": "p", "poddur": 60, "maxseq": 3, "maxduration": 30}},
]


def runs(count: int, seed: int = 1, form: AnswerForm = FORM) -> Iterator[AuctionRun]:
    """Auctions of all kinds: pods, deals, groups, currencies, late and failing bidders."""
    for number in range(count):
        chance = random.Random(f"{seed}/{number}")
        if chance.random() < 0.15:
            request = random_auctions.pod_request(chance, imps=2)
            replies = random_auctions.replies(chance, request, bids=6, groups=True)
        else:
            request = _request(chance, number)
            bidders = chance.sample(BIDDERS, chance.choice((1, 2, 2, 4)))
            replies = [_reply(chance, bidder, request) for bidder in bidders]
        deadline_ms = None if chance.random() < 0.1 else round(chance.uniform(50, 120), 3)
        rules = replace(chance.choices(RULES, (1, 2, 2))[0], deadline_ms=deadline_ms)
        started_at = START + timedelta(milliseconds=3 * number)
        yield run(request, replies, rules, form=form, started_at=started_at, skipped=["zircon"])


def run(
    request: BidRequest,
    replies: Sequence[Reply],
    rules: Rules = RULES[0],
    *,
    form: AnswerForm = FORM,
    started_at: datetime = START,
    skipped: Iterable[str] = (),
) -> AuctionRun:
    """One auction as the exchange runs it, with times of its own."""
    result = auction.run(request, replies, rules)
    imps = tuple(imp.id for imp in request.imp)
    return AuctionRun(
        request=request,
        asked=[
            *(Asked(Plan(reply.bidder, imps)) for reply in replies),
            *(Asked(Plan(name, (), reason=SkipReason.COUNTRY)) for name in skipped),
        ],
        rules=rules,
        replies=list(replies),
        result=result,
        response=auction.build_response(
            request, result, seatnonbid=form.seatnonbid, fill_macros=form.fill_macros
        ),
        started_at=started_at,
        form=form,
        timings=Timings(
            available_ms=80.25,
            validation_ms=0.125,
            planning_ms=0.25,
            bidders_ms=61.5,
            decision_ms=1.5,
            total_ms=63.375,
        ),
    )


def recorded(run: AuctionRun, auction_id: str = "a-1", version: str = VERSION) -> AuctionRecord:
    return record(run, report(run, auction_id, FULL), version)


def records(count: int, seed: int = 1) -> Iterator[AuctionRecord]:
    for number, each in enumerate(runs(count, seed)):
        yield recorded(each, f"a-{number}")


def first_price(*prices: float, rules: Rules = RULES[0], floor: float = 0) -> AuctionRun:
    """A banner at first price; bidders a, b, c bid these prices."""
    request = BidRequest(id="req", at=1, imp=[{"id": "1", "banner": {}, "bidfloor": floor}])
    return run(
        request,
        [bid(name, price) for name, price in zip("abcdef", prices, strict=False)],
        rules,
    )


def bid(bidder: str, price: float, *, arrived_ms: float = 5.125, **response: Any) -> Reply:
    """A reply with one bid on the imp of `first_price`."""
    made = {"id": "1", "impid": "1", "price": price, "adm": "<div>ad</div>"}
    answer = BidResponse(**{"id": "req", **response})
    answer.seatbid.add(bid=[made])
    return Reply(bidder, Outcome.BIDS, arrived_ms, answer)


def _request(chance: random.Random, number: int) -> BidRequest:
    imps = [
        {
            "id": str(place),
            "bidfloor": chance.choice((0, 0.5, 1.25, Fraction(7, 3).__float__())),
            "bidfloorcur": chance.choice(("USD", "USD", "EUR")),
            "pmp": _pmp(chance),
            **chance.choice(_MEDIA),
        }
        for place in range(1, chance.choice((1, 1, 2)) + 1)
    ]
    return BidRequest(
        id=f"request-{number}",
        at=chance.choice((1, 2)),
        cur=chance.choice(([], ["USD", "EUR"], ["EUR", "USD"])),
        tmax=120,
        badv=chance.choice(([], ["car.example"])),
        imp=imps,
    )


def _pmp(chance: random.Random) -> dict[str, Any]:
    deals = [
        {"id": "open", "bidfloor": 1.5},
        {"id": "fixed", "at": 3, "bidfloor": 2, "wseat": ["amber", "cobalt"]},
        {"id": "sure", "guar": 1, "bidfloor": 0.75, "bidfloorcur": "EUR"},
    ]
    return {"deals": [deal for deal in deals if chance.random() < 0.3]}


def _reply(chance: random.Random, bidder: BidderModel, request: BidRequest) -> Reply:
    """What the simulated bidder plans, and now and then what no bidder plans."""
    name, planned = bidder.settings.seat, bidder.plan(request)
    arrived_ms = round(planned.delay * 1000 + chance.lognormvariate(3, 0.8), 3)
    oddity = chance.random()
    if planned.outcome is Outcome.TIMEOUT:
        return Reply(name, Outcome.TIMEOUT, None, detail="no answer before the deadline")
    if planned.outcome is Outcome.ERROR:
        return Reply(name, Outcome.ERROR, arrived_ms, detail="HTTP 500")
    if oddity < 0.02:
        return Reply(name, Outcome.UNREACHABLE, arrived_ms, detail="connection refused")
    if oddity < 0.04:
        return Reply(name, Outcome.INVALID_RESPONSE, arrived_ms, detail="no JSON: “…”")
    if oddity < 0.06:
        planned.response.id = "another"
    for seatbid in planned.response.seatbid:
        seatbid.group = oddity > 0.9
    empty = planned.outcome is Outcome.NO_BID and oddity < 0.5  # as HTTP 204
    return Reply(name, planned.outcome, arrived_ms, None if empty else planned.response)
