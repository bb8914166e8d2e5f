"""Notices of auctions, and Notify: each is told once, its macros say what happened."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from google.protobuf.any_pb2 import Any
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo

from xsp.bid.v1 import notice_pb2 as pb
from xsp.bid.v1.bid_service_pb2 import NotifyRequest
from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server import auction
from xsp_server.errors import InvalidRequest, Overloaded, TooLarge, XspError
from xsp_server.openrtb.reply import Outcome, Reply
from xsp_server.service.bid_ledger import facts_of
from xsp_server.service.notify import Notices, withheld
from xsp_server.upstream.fetch import GuardedFetcher
from xsp_server.upstream.guard import AddressGuard, GuardSettings
from xsp_server.upstream.notices import NoticeKind, NoticeSender, NoticeSettings

WIN, BILLING, LOSS = pb.NOTICE_TYPE_WIN, pb.NOTICE_TYPE_BILLING, pb.NOTICE_TYPE_LOSS
QUEUED, NO_URL = pb.NOTICE_ACTION_QUEUED, pb.NOTICE_ACTION_NO_URL
RETURNED, REFUSED = pb.NOTICE_ACTION_RETURNED, pb.NOTICE_ACTION_REFUSED

NOW_MS = 1_700_000_000_123

URLS = {
    "nurl": "https://acme.example/win?p=${AUCTION_PRICE}&l=${AUCTION_LOSS}&b=${AUCTION_BID_ID}",
    "burl": "https://acme.example/bill?p=${AUCTION_PRICE}&r=${AUCTION_MBR}&t=${AUCTION_IMP_TS}"
    "&m=${AUCTION_MULTIPLIER}",
    "lurl": "https://acme.example/loss?p=${AUCTION_PRICE}&l=${AUCTION_LOSS}"
    "&w=${AUCTION_MIN_TO_WIN}",
}


def run(**bids: dict) -> auction.Result:
    """A second-price auction of one imp, a bid of each bidder; the first wins."""
    request = BidRequest(
        id="req", at=2, imp=[{"id": "imp", "bidfloor": 0.5, "banner": {"w": 300, "h": 250}}]
    )
    replies = []
    for place, (bidder, bid) in enumerate(bids.items()):
        message = {"id": "1", "impid": "imp", "price": 2.0 - place / 2, "adm": "<b/>", **bid}
        response = BidResponse(id="req", bidid="B7", cur=message.pop("cur", "USD"))
        response.seatbid.add(seat=message.pop("seat", None), bid=[message])
        replies.append(Reply(bidder, Outcome.BIDS, 5.0, response))
    return auction.run(request, replies)


class Sender:
    """Keeps what it is given; says no when it is told to."""

    def __init__(self):
        self.notices = []
        self.full = False
        self.guard = AddressGuard()

    def send(self, notice):
        self.guard.check_url(notice.url)
        if self.full:
            raise Overloaded("full", retry_after=1.0)
        self.notices.append(notice)
        return True

    @property
    def urls(self):
        return [notice.url for notice in self.notices]


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class Exchange:
    """Notices with what a test looks at."""

    def __init__(self, **settings):
        self.sender = Sender()
        self.clock = Clock()
        self.notices = Notices(
            self.sender,
            NoticeSettings(**settings),
            headers_of=lambda session: {"traceparent": session.traceparent},
            clock=self.clock,
            now_ms=lambda: NOW_MS,
        )
        self.calls = 0

    def ran(self, auction_id="a", headers=None, **bids):
        self.notices.send_for(facts_of(auction_id, run(**bids), lambda: headers or {}))
        sent = self.sender.urls
        self.sender.notices = []
        return sent

    def prepared(self, auction_id="a", **bids):
        return self.notices.prepare_for(facts_of(auction_id, run(**bids)))

    async def tell(self, *notices: dict, request_id=None, **more):
        self.calls += 1
        numbered = [{"notice_id": str(n), **notice} for n, notice in enumerate(notices)]
        request = NotifyRequest(request_id=request_id or f"r{self.calls}", notices=numbered, **more)
        return (await self.notices.notify(request, None)).results

    async def tell_one(self, type_, bid=None, **facts):
        key = {"auction_id": "a", "bid_id": "1", **(bid or {})}
        (result,) = await self.tell({"type": type_, "bid": key, **facts})
        return result


def failure(result) -> tuple[int, str, dict[str, str]]:
    """Code, reason and metadata of a result that failed."""
    info = details(result)["ErrorInfo"]
    assert info.domain == "xsp"
    return result.status.code, info.reason, dict(info.metadata)


def details(result):
    found = {}
    for kind in (ErrorInfo, BadRequest, RetryInfo):
        for packed in result.status.details:
            if Any(type_url=packed.type_url).Is(kind.DESCRIPTOR):
                found[kind.__name__] = kind.FromString(packed.value)
    return found


# What the server sends after an auction.


def test_after_an_auction_the_winner_and_the_losers_hear_of_it():
    sent = Exchange().ran(acme=URLS, zeta=URLS)
    assert sent == [
        "https://acme.example/win?p=1.51&l=0&b=B7",
        "https://acme.example/loss?p=&l=102&w=1.51",
    ]


def test_a_refused_bid_hears_the_reason():
    sent = Exchange().ran(acme=URLS, zeta={**URLS, "price": 0.2})
    assert sent[1] == "https://acme.example/loss?p=&l=100&w=0.50"


def test_notices_name_the_bid_and_carry_the_headers_of_the_auction():
    exchange = Exchange()
    headers = {"traceparent": "t"}
    exchange.notices.send_for(facts_of("a", run(acme=URLS), lambda: headers))
    (sent,) = exchange.sender.notices
    assert (sent.auction, sent.bidder, sent.bid) == ("a", "acme", "seatbid[0].bid[0]")
    assert (sent.kind, sent.headers) == (NoticeKind.WIN, headers)


def test_a_win_url_whose_reply_is_the_markup_is_not_called_by_the_server():
    assert Exchange().ran(acme={"nurl": "https://acme.example/markup", "adm": ""}) == []


def test_bids_without_urls_and_urls_that_may_not_be_called_are_passed_over():
    assert Exchange().ran(acme={}, zeta={"lurl": "http://127.0.0.1/loss"}) == []


def test_two_bids_of_one_id_are_two_bids():
    response = BidResponse(id="req")
    twice = {"id": "1", "impid": "imp", "price": 1.0, "adm": "<b/>", "lurl": "https://z.example/l"}
    response.seatbid.add(bid=[twice, twice])
    replies = [Reply("zeta", Outcome.BIDS, 5.0, response)]
    result = auction.run(BidRequest(id="req", imp=[{"id": "imp", "banner": {}}]), replies)
    exchange = Exchange()
    exchange.notices.send_for(facts_of("a", result))
    assert len({notice.bid for notice in exchange.sender.notices}) == 2


async def test_a_notice_that_found_the_queue_full_may_still_be_told():
    exchange = Exchange()
    exchange.sender.full = True
    assert exchange.ran(acme=URLS, zeta=URLS) == []
    exchange.sender.full = False
    result = await exchange.tell_one(LOSS, {"bidder": "zeta"})
    assert (result.action, result.replayed) == (QUEUED, False)
    assert exchange.sender.urls == ["https://acme.example/loss?p=&l=102&w=1.51"]


# What the caller is handed.


def test_a_caller_gets_win_and_billing_of_the_winner_and_loss_of_the_others():
    exchange = Exchange()
    notices = exchange.prepared(acme={**URLS, "seat": "s"}, zeta=URLS)
    key = {"auction_id": "a", "openrtb_request_id": "req", "imp_id": "imp", "bid_id": "1"}
    acme = pb.BidKey(**key, bidder="acme", seat="s")
    zeta = pb.BidKey(**key, bidder="zeta", seat="")
    assert notices == [
        pb.PreparedNotice(type=WIN, bid=acme, url="https://acme.example/win?p=1.51&l=0&b=B7"),
        pb.PreparedNotice(
            type=BILLING, bid=acme, url="https://acme.example/bill?p=1.51&r=0.755&t=&m="
        ),
        pb.PreparedNotice(type=LOSS, bid=zeta, url="https://acme.example/loss?p=&l=102&w=1.51"),
    ]
    assert exchange.sender.notices == []


def test_a_caller_gets_urls_that_can_be_requested_as_they_are():
    notices = Exchange().prepared(
        acme={"burl": " HTTPS://Acme.Example/b?x=a b|c ", "nurl": "javascript:alert(1)"},
        zeta={"lurl": "http://10.0.0.1/loss"},
    )
    assert [notice.url for notice in notices] == [
        "https://acme.example/b?x=a%20b%7Cc",
        "http://10.0.0.1/loss",  # whether the caller may reach it, it has to know
    ]


def test_a_win_url_whose_reply_is_the_markup_is_not_handed_out_as_a_notice():
    assert Exchange().prepared(acme={"nurl": "https://acme.example/markup", "adm": ""}) == []


async def test_a_caller_that_tells_gets_the_url_back_with_what_it_told():
    exchange = Exchange()
    exchange.prepared(acme=URLS)
    result = await exchange.tell_one(BILLING, event_time={"seconds": 5, "nanos": 7_000_000})
    assert result.action == RETURNED
    assert result.url == "https://acme.example/bill?p=0.50&r=0.25&t=5007&m=1"
    again = await exchange.tell_one(BILLING, event_time={"seconds": 6})
    assert (again.action, again.url, again.replayed) == (RETURNED, result.url, True)
    assert exchange.sender.notices == []


async def test_a_caller_may_let_a_bid_win_that_lost_the_auction():
    exchange = Exchange()
    exchange.prepared(acme=URLS, zeta=URLS)
    price = {"currency": "USD", "micros": 1_500_000}
    result = await exchange.tell_one(WIN, {"bidder": "zeta"}, price=price)
    assert result.url == "https://acme.example/win?p=1.50&l=0&b=B7"


async def test_a_caller_is_not_given_what_is_no_http_url():
    exchange = Exchange()
    exchange.prepared(acme={"burl": "javascript:alert(1)"})
    result = await exchange.tell_one(BILLING)
    assert (result.action, result.url) == (REFUSED, "")


@pytest.mark.parametrize(
    ("setting", "option", "expected"),
    [("server", 0, 1), ("caller", 0, 2), ("server", 2, 2), ("caller", 1, 1)],
)
def test_who_sends_is_said_by_the_options_or_else_by_the_settings(setting, option, expected):
    assert Exchange(delivery=setting).notices.delivery(option) == expected


def test_an_option_that_the_contract_does_not_have_is_refused():
    with pytest.raises(InvalidRequest) as caught:
        Exchange().notices.delivery(3)
    assert caught.value.reason == "FIELD_INVALID"
    assert caught.value.violations[0].path == "options.notice_delivery"


def test_an_answer_without_notice_urls_keeps_the_one_that_gets_the_markup():
    with_markup = {**URLS, "id": "1", "adm": "<b/>", "iurl": "https://acme.example/i"}
    native = {**URLS, "id": "2", "adm_native": {"assets": [{"id": 1}]}}
    without = {**URLS, "id": "3"}
    response = BidResponse(seatbid=[{"bid": [with_markup, native]}, {"bid": [without]}])
    before = response.SerializeToString()
    bids = [bid for seatbid in withheld(response).seatbid for bid in seatbid.bid]
    assert response.SerializeToString() == before  # records hold it
    assert [bid.nurl for bid in bids] == ["", "", URLS["nurl"]]
    assert not any(bid.HasField("burl") or bid.HasField("lurl") for bid in bids)
    assert bids[0].iurl


# What callers tell.


async def test_billing_fires_the_url_with_its_macros_filled():
    exchange = Exchange()
    exchange.ran(headers={"x": "auction"}, acme=URLS)
    result = await exchange.tell_one(BILLING)
    assert (result.action, result.url, result.replayed) == (QUEUED, "", False)
    assert not result.HasField("status")
    assert not result.HasField("reservation")
    (sent,) = exchange.sender.notices
    assert sent.kind is NoticeKind.BILLING
    assert sent.url == f"https://acme.example/bill?p=0.50&r=0.25&t={NOW_MS}&m=1"
    assert sent.headers == {"x": "auction"}


async def test_what_is_told_of_billing_fills_the_macros():
    exchange = Exchange()
    exchange.ran(acme=URLS)
    await exchange.tell_one(
        BILLING,
        price={"currency": "USD", "micros": 1_234_567},
        event_time={"seconds": 1_600_000_000},
        impressions_micros=30_300_000,
    )
    assert exchange.sender.urls == [
        "https://acme.example/bill?p=1.234567&r=0.617284&t=1600000000000&m=30.3"
    ]


async def test_the_session_of_the_call_goes_along_instead_of_the_auction_s():
    exchange = Exchange()
    exchange.ran(headers={"x": "auction"}, acme=URLS)
    key = {"auction_id": "a", "bid_id": "1"}
    await exchange.tell({"type": BILLING, "bid": key}, session={"traceparent": "t"})
    assert exchange.sender.notices[0].headers == {"traceparent": "t"}


async def test_a_winner_whose_impression_does_not_come_hears_that_it_expired():
    exchange = Exchange()
    exchange.ran(acme=URLS)
    result = await exchange.tell_one(LOSS)
    assert result.action == QUEUED
    assert exchange.sender.urls == ["https://acme.example/loss?p=&l=2&w=0.50"]


async def test_a_loss_carries_the_reason_and_the_price_that_were_told():
    exchange = Exchange()
    exchange.ran(acme=URLS)
    await exchange.tell_one(LOSS, loss_reason=1, price={"currency": "USD", "micros": 3_000_000})
    assert exchange.sender.urls == ["https://acme.example/loss?p=3.00&l=1&w=0.50"]


async def test_a_loss_url_may_ask_for_the_ratio():
    exchange = Exchange()
    url = "https://acme.example/loss?r=${AUCTION_MBR}&m=${AUCTION_MULTIPLIER}"
    exchange.ran(acme={"lurl": url})
    await exchange.tell_one(LOSS)
    assert exchange.sender.urls == ["https://acme.example/loss?r=&m="]


async def test_a_win_url_whose_reply_is_the_markup_is_the_caller_s_to_call():
    exchange = Exchange()
    exchange.ran(acme={"nurl": "https://acme.example/m?p=${AUCTION_PRICE}", "adm": ""})
    result = await exchange.tell_one(WIN)
    assert (result.action, result.url) == (RETURNED, "https://acme.example/m?p=0.50")


async def test_a_bid_without_the_url_is_told_all_the_same():
    exchange = Exchange()
    exchange.ran(acme={})
    assert (await exchange.tell_one(BILLING)).action == NO_URL
    assert (await exchange.tell_one(BILLING)).replayed
    assert failure(await exchange.tell_one(LOSS))[1] == "NOTICE_CONFLICT"


@pytest.mark.parametrize("url", ["http://169.254.169.254/", "http://127.1/", "mailto:a@b.example"])
async def test_a_url_that_may_not_be_called_is_told_as_refused(url):
    exchange = Exchange()
    exchange.ran(acme={"burl": url})
    result = await exchange.tell_one(BILLING)
    assert (result.action, result.HasField("status")) == (REFUSED, False)
    assert exchange.sender.notices == []


TAKEN, REPLAYED = "taken", "replayed"


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ((WIN,), WIN, REPLAYED),  # the server told it after the auction
        ((WIN,), BILLING, TAKEN),
        ((WIN,), LOSS, TAKEN),
        ((WIN, BILLING), WIN, REPLAYED),
        ((WIN, BILLING), BILLING, REPLAYED),
        ((WIN, BILLING), LOSS, "NOTICE_TYPE_BILLING"),
        ((WIN, LOSS), LOSS, REPLAYED),
        ((WIN, LOSS), BILLING, "NOTICE_TYPE_LOSS"),
    ],
)
async def test_what_is_told_of_a_bid_counts_once_and_holds(before, now, expected):
    exchange = Exchange()
    exchange.ran(acme=URLS)
    for type_ in before[1:]:
        assert not (await exchange.tell_one(type_)).HasField("status")
    exchange.sender.notices = []
    result = await exchange.tell_one(now)
    if expected in (TAKEN, REPLAYED):
        assert (result.action, result.replayed) == (QUEUED, expected == REPLAYED)
        assert len(exchange.sender.notices) == (expected == TAKEN)
    else:
        assert failure(result) == (9, "NOTICE_CONFLICT", {"earlier": expected})
        assert exchange.sender.notices == []


@pytest.mark.parametrize("type_", [WIN, BILLING])
async def test_a_bid_that_heard_that_it_lost_can_t_win(type_):
    exchange = Exchange()
    exchange.ran(acme=URLS, zeta=URLS)
    result = await exchange.tell_one(type_, {"bidder": "zeta"})
    assert failure(result) == (9, "NOTICE_CONFLICT", {"earlier": "NOTICE_TYPE_LOSS"})
    again = await exchange.tell_one(LOSS, {"bidder": "zeta"})
    assert (again.replayed, again.action) == (True, QUEUED)


async def test_a_caller_that_told_a_loss_can_t_tell_a_win():
    exchange = Exchange()
    exchange.prepared(acme=URLS)
    assert (await exchange.tell_one(LOSS)).action == RETURNED
    assert failure(await exchange.tell_one(WIN))[1] == "NOTICE_CONFLICT"


async def test_notices_of_one_call_are_taken_in_order_and_each_for_itself():
    exchange = Exchange()
    exchange.ran(acme=URLS)
    key = {"auction_id": "a", "bid_id": "1"}
    results = await exchange.tell(
        {"type": BILLING, "bid": {**key, "bid_id": "unknown"}},
        {"type": BILLING, "bid": key},
        {"type": LOSS, "bid": key},
        {"type": BILLING, "bid": key},
    )
    assert [result.notice_id for result in results] == ["0", "1", "2", "3"]
    assert failure(results[0]) == (
        5,
        "BID_NOT_FOUND",
        {"auction_id": "a", "bid_id": "unknown"},
    )
    assert results[0].action == pb.NOTICE_ACTION_UNSPECIFIED
    assert (results[1].action, results[1].replayed) == (QUEUED, False)
    assert failure(results[2])[1] == "NOTICE_CONFLICT"
    assert (results[3].action, results[3].replayed) == (QUEUED, True)
    assert len(exchange.sender.notices) == 1


async def test_a_bid_is_found_by_the_request_s_id_too():
    exchange = Exchange()
    exchange.ran(acme=URLS)
    key = {"auction_id": "", "openrtb_request_id": "req"}
    assert (await exchange.tell_one(BILLING, key)).action == QUEUED
    unknown = await exchange.tell_one(BILLING, {**key, "openrtb_request_id": "other"})
    assert "auctions of request 'other'" in unknown.status.message


async def test_a_full_queue_is_told_and_the_notice_may_be_told_again():
    exchange = Exchange()
    exchange.ran(acme=URLS)
    exchange.sender.full = True
    result = await exchange.tell_one(BILLING)
    assert result.status.code == 8
    assert details(result)["RetryInfo"].retry_delay.seconds == 1
    exchange.sender.full = False
    again = await exchange.tell_one(BILLING)
    assert (again.action, again.replayed) == (QUEUED, False)


@pytest.mark.parametrize(
    ("change", "reason", "path"),
    [
        ({"type": 0}, "FIELD_REQUIRED", "type"),
        ({"type": 9}, "FIELD_INVALID", "type"),
        ({"bid": {"auction_id": "a"}}, "FIELD_REQUIRED", "bid.bid_id"),
        ({"bid": {"bid_id": "1"}}, "FIELD_REQUIRED", "bid.auction_id"),
        ({"bid": None}, "FIELD_REQUIRED", "bid.bid_id"),
        ({"price": {"micros": 1}}, "CURRENCY_UNKNOWN", "price.currency"),
        ({"price": {"currency": "usd"}}, "CURRENCY_UNKNOWN", "price.currency"),
        ({"price": {"currency": "EURO"}}, "CURRENCY_UNKNOWN", "price.currency"),
        ({"price": {"currency": "EUR"}}, "CURRENCY_MISMATCH", "price.currency"),
        ({"price": {"currency": "USD", "micros": -1}}, "FIELD_INVALID", "price.micros"),
        ({"loss_reason": 2}, "FIELD_INVALID", "loss_reason"),
        ({"type": 3, "loss_reason": -1}, "FIELD_INVALID", "loss_reason"),
        ({"impressions_micros": 0}, "FIELD_INVALID", "impressions_micros"),
        ({"impressions_micros": -5}, "FIELD_INVALID", "impressions_micros"),
        ({"event_time": {"seconds": 10**15}}, "FIELD_INVALID", "event_time"),
        ({"event_time": {"nanos": -1}}, "FIELD_INVALID", "event_time"),
    ],
)
async def test_a_field_that_can_t_be_fails_its_notice_alone(change, reason, path):
    exchange = Exchange()
    exchange.ran(acme=URLS)
    good = {"type": BILLING, "bid": {"auction_id": "a", "bid_id": "1"}}
    bad, fine = await exchange.tell({**good, **change}, good)
    code, found, metadata = failure(bad)
    assert (code, found) == (3, reason)
    (violation,) = details(bad)["BadRequest"].field_violations
    assert violation.field == f"notices[0].{path}"
    assert "expected" in violation.description
    if reason == "CURRENCY_MISMATCH":
        assert metadata == {"expected": "USD", "found": "EUR"}
    assert fine.action == QUEUED
    assert not fine.replayed


async def test_a_reservation_that_is_named_is_not_built_yet():
    exchange = Exchange()
    exchange.ran(acme=URLS)
    result = await exchange.tell_one(BILLING, reservation_id="x")
    assert failure(result) == (12, "NOT_BUILT", {"what": "notices[0].reservation_id"})
    assert exchange.sender.notices == []


async def test_a_notice_about_a_bid_that_is_forgotten_is_not_found():
    exchange = Exchange(keep_seconds=600)
    exchange.ran(acme=URLS)
    exchange.clock.now = 600.0
    assert failure(await exchange.tell_one(BILLING))[1] == "BID_NOT_FOUND"


# The call as a whole.


async def refused(exchange, **request) -> XspError:
    with pytest.raises(XspError) as caught:
        await exchange.notices.notify(NotifyRequest(**request), None)
    return caught.value


async def test_a_call_needs_an_id_and_notices_with_ids_of_their_own():
    exchange = Exchange()
    error = await refused(exchange, notices=[{"notice_id": "1"}])
    assert error.reason == "REQUEST_ID_INVALID"
    error = await refused(exchange, request_id="r")
    assert (error.reason, error.violations[0].path) == ("REQUEST_EMPTY", "notices")
    error = await refused(exchange, request_id="r", notices=[{}])
    assert (error.reason, error.violations[0].path) == ("FIELD_REQUIRED", "notices[0].notice_id")
    same = [{"notice_id": "1"}, {"notice_id": "2"}, {"notice_id": "1"}]
    error = await refused(exchange, request_id="r", notices=same)
    assert error.reason == "DUPLICATE_ID"
    assert [violation.path for violation in error.violations] == [
        "notices[0].notice_id",
        "notices[2].notice_id",
    ]


async def test_a_call_has_at_most_a_thousand_notices():
    exchange = Exchange()
    numbered = [{"notice_id": str(number)} for number in range(1001)]
    error = await refused(exchange, request_id="r", notices=numbered)
    assert isinstance(error, TooLarge)
    assert (error.reason, error.metadata) == ("TOO_MANY_ITEMS", {"limit": "1000"})
    assert len(await exchange.tell(*numbered[:1000])) == 1000


async def test_the_same_call_again_gets_the_first_answer_and_does_nothing():
    exchange = Exchange()
    exchange.ran(acme=URLS)
    notice = {"type": BILLING, "bid": {"auction_id": "a", "bid_id": "1"}}
    first = await exchange.tell(notice, request_id="r")
    again = await exchange.tell(notice, request_id="r")
    assert first == again
    assert not again[0].replayed
    assert len(exchange.sender.notices) == 1


async def test_another_call_with_the_same_id_is_refused():
    exchange = Exchange()
    exchange.ran(acme=URLS)
    notice = {"type": BILLING, "bid": {"auction_id": "a", "bid_id": "1"}}
    await exchange.tell(notice, request_id="r")
    with pytest.raises(XspError) as caught:
        await exchange.tell({**notice, "type": LOSS}, request_id="r")
    assert (caught.value.status, caught.value.reason) == ("ALREADY_EXISTS", "REQUEST_ID_REUSED")
    assert caught.value.metadata == {"notices[0].type": "first '2', now '3'"}


# All of it over sockets.


@asynccontextmanager
async def bidder():
    """A bidder's notice server; yields its address and what it heard."""
    heard = []

    async def handler(request):
        heard.append(request.path_qs)
        return web.Response(status=204)

    app = web.Application()
    app.router.add_get("/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", heard
    finally:
        await runner.cleanup()


async def test_an_auction_and_its_billing_reach_the_bidders():
    async with bidder() as (address, heard):
        guard = AddressGuard(GuardSettings(allow_networks=["127.0.0.1/32"], ports=[]))
        fetcher = GuardedFetcher(guard)
        sender = NoticeSender(fetcher)
        notices = Notices(sender)
        urls = json.loads(json.dumps(URLS).replace("https://acme.example", address))
        notices.send_for(facts_of("a", run(acme=urls, zeta=urls)))
        told = {"notice_id": "1", "type": BILLING, "bid": {"auction_id": "a", "bid_id": "acme/1"}}
        told["event_time"] = {"seconds": 5}
        for request_id in ("r", "r", "s"):
            request = NotifyRequest(request_id=request_id, notices=[told])
            await notices.notify(request, None)
        async with asyncio.timeout(10):
            await sender.close(5)
        await fetcher.close()
    assert sorted(heard) == [
        "/bill?p=1.51&r=0.755&t=5000&m=1",
        "/loss?p=&l=102&w=1.51",
        "/win?p=1.51&l=0&b=B7",
    ]
