"""Notices: at most once each, tried again only while nobody can have been told, all bounded."""

import asyncio
import random
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from xsp_server.errors import Unavailable
from xsp_server.upstream.fetch import Failure, Fetched, FetchError, GuardedFetcher, Redirect
from xsp_server.upstream.guard import AddressGuard, AddressRefused, GuardSettings
from xsp_server.upstream.notices import (
    Notice,
    NoticeKind,
    NoticeOutcome,
    NoticeQueueFull,
    NoticeSender,
    NoticeSettings,
)

WIN, BILLING, LOSS, ERROR = NoticeKind


def notice(kind=WIN, bid="b", *, auction="a", bidder="acme", host="acme.example", url=None, **more):
    return Notice(auction, bidder, bid, kind, url or f"http://{host}/{kind}?bid={bid}", **more)


async def until(condition):
    """Lets everybody else work until a condition holds."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0)


class Clock:
    """Time that passes when somebody sleeps."""

    def __init__(self):
        self.now = 1000.0
        self.slept = []

    def __call__(self):
        return self.now

    async def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


class Fetcher:
    """Answers in turn as it is told; the last answer stays."""

    def __init__(self, *answers):
        self.guard = AddressGuard()
        self.answers = list(answers) or [200]
        self.calls = []
        self.at_once = self.most_at_once = 0

    async def get(self, url, *, timeout, max_bytes, headers=None, once=False):
        self.calls.append(url)
        self.terms = (timeout, max_bytes, headers, once)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            if isinstance(answer, asyncio.Event):
                await answer.wait()
                answer = 200
            if isinstance(answer, Exception):
                raise answer
            return answer if isinstance(answer, Fetched) else Fetched(url, answer, {}, b"", 1.0, ())
        finally:
            self.at_once -= 1


class _Came:
    """How far a call came."""

    def __init__(self, **facts):
        self.__dict__ = {"url": "", "status": None, "sent": False, "redirects": (), **facts}
        self.elapsed_ms = 1.0


def error(failure, **facts) -> FetchError:
    return FetchError(failure, "…", _Came(**facts))


UNREACHABLE = error(Failure.UNREACHABLE)
LOST = error(Failure.TIMEOUT, sent=True)


class Sending:
    """A sender with a clock and a fetcher of its own."""

    def __init__(self, *answers, **settings):
        self.clock = Clock()
        self.fetcher = Fetcher(*answers)
        self.sender = NoticeSender(
            self.fetcher,
            NoticeSettings(**settings),
            clock=self.clock,
            sleep=self.clock.sleep,
            rng=random.Random(1),
        )

    async def settle(self):
        """Until nothing waits."""
        await until(lambda: not self.sender.pending)

    async def outcome(self, one=None):
        one = one or notice()
        assert self.sender.send(one)
        await self.settle()
        ((kind, outcome), count), *others = self.sender.outcomes.items()
        assert (kind, count, others) == (one.kind, 1, [])
        return outcome


async def test_a_notice_goes_out_at_once_with_its_headers_and_once():
    sending = Sending(timeout_ms=1500)
    headers = {"traceparent": "00-1"}
    assert await sending.outcome(notice(headers=headers)) is NoticeOutcome.SENT
    assert sending.fetcher.calls == ["http://acme.example/win?bid=b"]
    assert sending.fetcher.terms == (1.5, 65_536, headers, True)


@pytest.mark.parametrize("status", [200, 204, 301, 304])
async def test_2xx_and_3xx_have_arrived(status):
    sending = Sending(status)
    assert await sending.outcome() is NoticeOutcome.SENT
    assert len(sending.fetcher.calls) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
async def test_other_answers_refuse_it_for_good(status):
    sending = Sending(status)
    assert await sending.outcome() is NoticeOutcome.REJECTED
    assert len(sending.fetcher.calls) == 1


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503, 599])
async def test_what_was_not_taken_by_the_receivers_own_word_is_tried_again(status):
    sending = Sending(status, 200)
    assert await sending.outcome() is NoticeOutcome.SENT
    assert len(sending.fetcher.calls) == 2
    assert sending.sender.retries == {WIN: 1}


@pytest.mark.parametrize("kind", list(NoticeKind))
@pytest.mark.parametrize(
    "answer",
    [
        502,
        504,
        LOST,
        error(Failure.BROKEN, sent=True),
        error(Failure.UNREACHABLE, sent=True),
        error(Failure.TIMEOUT, sent=True, status=504),
    ],
)
async def test_what_may_have_arrived_is_not_tried_again_whatever_it_tells(kind, answer):
    sending = Sending(answer, 200)
    assert await sending.outcome(notice(kind)) is NoticeOutcome.UNKNOWN
    assert len(sending.fetcher.calls) == 1


@pytest.mark.parametrize("answer", [UNREACHABLE, error(Failure.TIMEOUT), error(Failure.BROKEN)])
async def test_what_never_went_out_is_tried_again(answer):
    sending = Sending(answer, answer, 200)
    assert await sending.outcome() is NoticeOutcome.SENT
    assert len(sending.fetcher.calls) == 3


@pytest.mark.parametrize(
    "answer",
    [
        error(Failure.TOO_LARGE, sent=True, status=200),
        error(Failure.TIMEOUT, sent=True, status=200),
        error(Failure.ENCODING, sent=True, status=204),
        error(Failure.REFUSED, sent=True, status=302, redirects=(Redirect("http://a/", 302),)),
        error(Failure.UNREACHABLE, sent=True, status=302, redirects=(Redirect("http://a/", 302),)),
        Fetched("http://b/", 500, {}, b"", 1.0, (Redirect("http://a/", 302),)),
    ],
)
async def test_what_comes_after_a_good_head_or_a_redirect_changes_nothing(answer):
    sending = Sending(answer)
    assert await sending.outcome() is NoticeOutcome.SENT
    assert len(sending.fetcher.calls) == 1


@pytest.mark.parametrize("failure", [Failure.REFUSED, Failure.HEADER])
async def test_what_may_not_be_sent_is_not_tried_again(failure):
    sending = Sending(error(failure))
    assert await sending.outcome() is NoticeOutcome.REFUSED
    assert len(sending.fetcher.calls) == 1


async def test_a_bug_costs_its_notice_and_no_other():
    sending = Sending(ValueError("bug"), 200)
    assert sending.sender.send(notice(bid="1"))
    assert sending.sender.send(notice(bid="2"))
    await sending.settle()
    assert sending.sender.outcomes == {
        (WIN, NoticeOutcome.FAILED): 1,
        (WIN, NoticeOutcome.SENT): 1,
    }


async def test_pauses_double_up_to_the_longest_and_are_half_random():
    sending = Sending(UNREACHABLE, attempts=6, pause_ms=100, max_pause_ms=500)
    assert await sending.outcome() is NoticeOutcome.FAILED
    assert len(sending.fetcher.calls) == 6
    slept = sending.clock.slept
    assert len(slept) == 5
    for pause, whole in zip(slept, [0.1, 0.2, 0.4, 0.5, 0.5], strict=True):
        assert whole / 2 <= pause <= whole
    assert len({pause / whole for pause, whole in zip(slept[3:], [0.5, 0.5], strict=True)}) == 2


async def test_a_notice_grows_too_old_to_be_tried_again():
    sending = Sending(UNREACHABLE, attempts=20, pause_ms=1000, max_age_seconds=4)
    start = sending.clock.now
    assert await sending.outcome() is NoticeOutcome.EXPIRED
    assert sending.clock.now < start + 4


async def test_a_notice_that_waited_too_long_for_its_turn_is_not_sent():
    gate = asyncio.Event()
    sending = Sending(gate, concurrency=1, max_age_seconds=4)
    sending.sender.send(notice(bid="1"))
    sending.sender.send(notice(bid="2"))
    await asyncio.sleep(0)
    sending.clock.now += 5
    gate.set()
    await sending.settle()
    assert sending.sender.outcomes == {
        (WIN, NoticeOutcome.SENT): 1,
        (WIN, NoticeOutcome.EXPIRED): 1,
    }


@pytest.mark.parametrize("answer", [200, 404, LOST, UNREACHABLE])
async def test_a_notice_is_taken_once_whatever_became_of_it(answer):
    sending = Sending(answer, attempts=1)
    assert sending.sender.send(notice())
    assert not sending.sender.send(notice())
    await sending.settle()
    assert not sending.sender.send(notice(url="http://other.example/"))
    await sending.settle()
    assert len(sending.fetcher.calls) == 1
    assert sending.sender.duplicates == {WIN: 2}


async def test_each_kind_bid_bidder_and_auction_has_its_own_notice():
    sending = Sending()
    different = [
        notice(),
        notice(BILLING),
        notice(bid="c"),
        notice(bidder="other"),
        notice(auction="other"),
    ]
    assert all(sending.sender.send(one) for one in different)
    await sending.settle()
    assert len(sending.fetcher.calls) == 5


async def test_what_was_taken_is_forgotten_after_its_time():
    sending = Sending(remember_seconds=60)
    assert sending.sender.send(notice())
    sending.clock.now += 59
    assert not sending.sender.send(notice())
    sending.clock.now += 1
    assert sending.sender.send(notice())
    await sending.settle()
    assert len(sending.fetcher.calls) == 2


async def test_what_was_taken_is_remembered_up_to_a_number():
    sending = Sending(remember=2)
    for bid in "123":
        sending.sender.send(notice(bid=bid))
        await sending.settle()
    assert not sending.sender.send(notice(bid="3"))
    assert not sending.sender.send(notice(bid="2"))
    assert sending.sender.send(notice(bid="1"))
    assert len(sending.sender._taken._until) == 2
    await sending.settle()


async def test_memory_of_what_was_taken_drops_what_is_too_old():
    sending = Sending(remember_seconds=60)
    for bid in "123":
        sending.sender.send(notice(bid=bid))
    sending.clock.now += 61
    sending.sender.send(notice(bid="4"))
    await sending.settle()
    assert len(sending.sender._taken._until) == 1


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/", "http://acme.example:22/", "ftp://acme.example/", "nonsense"]
)
async def test_a_url_that_may_not_be_called_is_refused_at_once(url):
    sending = Sending()
    with pytest.raises(AddressRefused):
        sending.sender.send(notice(url=url))
    assert sending.sender.pending == 0
    assert sending.sender.send(notice())
    await sending.settle()


async def test_the_queue_is_bounded_and_billing_finds_the_last_places():
    gate = asyncio.Event()
    sending = Sending(gate, queue_size=20)
    taken = {LOSS: 15, WIN: 18, BILLING: 20}
    for kind, most in taken.items():
        while sending.sender.pending < most:
            assert sending.sender.send(notice(kind, bid=str(sending.sender.pending)))
        with pytest.raises(NoticeQueueFull) as caught:
            sending.sender.send(notice(kind, bid="more"))
        assert (caught.value.status, caught.value.reason) == (
            "RESOURCE_EXHAUSTED",
            "NOTICE_QUEUE_FULL",
        )
        assert caught.value.metadata == {"limit": str(most)}
        assert caught.value.retry_after > 0
    assert sending.sender.dropped == {LOSS: 1, WIN: 1, BILLING: 1}
    gate.set()
    await sending.settle()
    assert sending.sender.send(notice(BILLING, bid="more"))  # it was not remembered as taken
    await sending.settle()


async def test_a_host_that_hangs_leaves_room_to_others():
    gate = asyncio.Event()
    sending = Sending(gate, host_queue_size=2)
    assert sending.sender.send(notice(BILLING, bid="1"))
    assert sending.sender.send(notice(BILLING, bid="2"))
    with pytest.raises(NoticeQueueFull, match=r"for acme\.example"):
        sending.sender.send(notice(BILLING, bid="3"))
    assert sending.sender.send(notice(BILLING, bid="3", host="other.example"))
    gate.set()
    await sending.settle()
    assert sending.sender._lanes == {}


async def test_the_smallest_queue_takes_one_of_each_kind():
    sending = Sending(queue_size=1, host_queue_size=1)
    for kind in NoticeKind:
        assert sending.sender.send(notice(kind))
        await sending.settle()


@pytest.mark.parametrize(
    ("limits", "most"), [({"host_concurrency": 3}, 6), ({"concurrency": 4}, 4)]
)
async def test_attempts_under_way_are_bounded_in_all_and_for_a_host(limits, most):
    gate = asyncio.Event()
    sending = Sending(gate, **limits)
    for number in range(20):
        for host in ("acme.example", "other.example"):
            assert sending.sender.send(notice(bid=f"{host}{number}", host=host))
    for _ in range(50):
        await asyncio.sleep(0)
    assert sending.fetcher.at_once == most
    gate.set()
    await sending.settle()
    assert sending.fetcher.most_at_once == most
    assert sending.sender.outcomes == {(WIN, NoticeOutcome.SENT): 40}


async def test_who_pauses_holds_no_place():
    sending = Sending(UNREACHABLE, 200, concurrency=1)
    woken = asyncio.Event()

    async def sleep(_seconds):
        await woken.wait()

    sending.sender._sleep = sleep
    sending.sender.send(notice(bid="1"))
    sending.sender.send(notice(bid="2"))
    await until(lambda: sending.sender.outcomes)
    assert len(sending.fetcher.calls) == 2
    woken.set()
    await sending.settle()
    assert sending.sender.outcomes == {(WIN, NoticeOutcome.SENT): 2}


async def test_closing_lets_what_waits_go_out_and_takes_no_more():
    gate = asyncio.Event()
    sending = Sending(gate, concurrency=1)
    for bid in "123":
        sending.sender.send(notice(bid=bid))
    closing = asyncio.ensure_future(sending.sender.close(5))
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        sending.sender.send(notice(bid="4"))
    gate.set()
    await closing
    assert sending.sender.outcomes == {(WIN, NoticeOutcome.SENT): 3}


async def test_closing_cuts_what_hangs_at_the_deadline():
    sending = Sending(asyncio.Event())
    sending.sender.send(notice())
    await sending.sender.close(0.05)
    assert sending.sender.pending == 0
    assert sending.sender.outcomes == {(WIN, NoticeOutcome.CUT): 1}


async def test_closing_does_not_wait_for_a_pause_that_ends_after_the_deadline():
    sending = Sending(UNREACHABLE, pause_ms=60_000, max_pause_ms=60_000)
    resting = asyncio.Event()

    async def sleep(_seconds):
        resting.set()
        await asyncio.Event().wait()

    sending.sender._sleep = sleep
    sending.sender.send(notice())
    await resting.wait()
    async with asyncio.timeout(5):
        await sending.sender.close(20)
    assert sending.sender.outcomes == {(WIN, NoticeOutcome.CUT): 1}


async def test_closing_waits_for_a_pause_that_ends_before_the_deadline():
    sending = Sending(UNREACHABLE, 200)
    resting, woken = asyncio.Event(), asyncio.Event()

    async def sleep(_seconds):
        resting.set()
        await woken.wait()

    sending.sender._sleep = sleep
    sending.sender.send(notice())
    await resting.wait()
    closing = asyncio.ensure_future(sending.sender.close(20))
    await asyncio.sleep(0)
    woken.set()
    await closing
    assert sending.sender.outcomes == {(WIN, NoticeOutcome.SENT): 1}


async def test_an_attempt_that_fails_while_closing_is_not_tried_after_the_deadline():
    gate = asyncio.Event()
    sending = Sending(gate, UNREACHABLE, pause_ms=60_000, max_pause_ms=60_000, concurrency=1)
    sending.sender.send(notice(bid="1"))
    sending.sender.send(notice(bid="2"))
    closing = asyncio.ensure_future(sending.sender.close(20))
    await asyncio.sleep(0)
    gate.set()
    await closing
    assert sending.sender.outcomes == {
        (WIN, NoticeOutcome.SENT): 1,
        (WIN, NoticeOutcome.CUT): 1,
    }
    assert sending.clock.slept == []


async def test_closing_with_nothing_to_send_does_nothing():
    await Sending().sender.close(5)


@asynccontextmanager
async def receiver(handler):
    """A bidder's notice server over a real socket, and a sender that may reach it."""
    app = web.Application()
    app.router.add_get("/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.01, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    guard = AddressGuard(GuardSettings(allow_networks=["127.0.0.1/32"], ports=[port]))
    fetcher = GuardedFetcher(guard)
    settings = NoticeSettings(pause_ms=1, timeout_ms=200)
    sender = NoticeSender(fetcher, settings)
    try:
        yield sender, f"http://127.0.0.1:{port}"
    finally:
        await sender.close(5)
        await fetcher.close()
        await runner.cleanup()


async def test_notices_arrive_over_sockets_each_once():
    seen = []

    async def handler(request):
        seen.append(request.path_qs)
        return web.Response(status=503 if len(seen) == 1 else 204)

    async with receiver(handler) as (sender, base):
        for bid in "12":
            for kind in NoticeKind:
                one = notice(kind, bid, url=f"{base}/{kind}?bid={bid}&price=1.50")
                assert sender.send(one)
                assert not sender.send(one)
        await until(lambda: not sender.pending)
    first = seen.pop(0)
    assert sorted(seen) == sorted(
        f"/{kind}?bid={bid}&price=1.50" for kind in NoticeKind for bid in "12"
    )
    assert first in seen


async def test_a_receiver_that_dies_over_the_notice_does_not_get_it_again():
    seen = []

    async def handler(request):
        seen.append(request.path)
        request.transport.abort()
        return web.Response()

    async with receiver(handler) as (sender, base):
        assert sender.send(notice(BILLING, url=f"{base}/billing"))
        await until(lambda: not sender.pending)
        assert sender.outcomes == {(BILLING, NoticeOutcome.UNKNOWN): 1}
    assert seen == ["/billing"]


async def test_a_receiver_that_hangs_does_not_get_it_again():
    seen = []

    async def handler(request):
        seen.append(request.path)
        await asyncio.Event().wait()

    async with receiver(handler) as (sender, base):
        assert sender.send(notice(BILLING, url=f"{base}/billing"))
        await until(lambda: not sender.pending)
        assert sender.outcomes == {(BILLING, NoticeOutcome.UNKNOWN): 1}
    assert seen == ["/billing"]


async def test_a_redirect_to_a_private_address_is_not_followed_but_the_notice_has_arrived():
    async def handler(_request):
        return web.Response(status=302, headers={"Location": "http://10.0.0.1/"})

    async with receiver(handler) as (sender, base):
        assert sender.send(notice(url=f"{base}/win"))
        await until(lambda: not sender.pending)
        assert sender.outcomes == {(WIN, NoticeOutcome.SENT): 1}


async def test_a_receiver_that_is_away_gets_it_when_it_is_back():
    seen = asyncio.Event()

    async def handler(_request):
        seen.set()
        return web.Response()

    async with receiver(handler) as (sender, base):
        fetcher = sender._fetcher
        tries = 0

        async def look_up(_host, _port):
            nonlocal tries
            tries += 1
            if tries < 3:
                raise OSError(-3, "Temporary failure in name resolution")
            return ["127.0.0.1"]

        fetcher._look_up = look_up
        port = base.rpartition(":")[2]
        assert sender.send(notice(url=f"http://acme.example:{port}/win"))
        await until(lambda: not sender.pending)
        assert sender.outcomes == {(WIN, NoticeOutcome.SENT): 1}
        assert sender.retries == {WIN: 2}
    assert seen.is_set()
