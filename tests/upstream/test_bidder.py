"""One bidder: policies and transport, call by call."""

import asyncio

import pytest
import structlog

from upstream.scripted import ASK, BIDS, NO_BIDS, REFUSED, Scripted, bidder, now
from upstream.virtual_time import run
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.openrtb.reply import NotAsked, Outcome, Skipped
from xsp_server.upstream import Ask, TransportError

QUICK_BREAKER = {"consecutive_failures": 2, "open_seconds": 5, "probes": 1}


async def ask(one, seconds=0.3, started=None):
    """A reply, or why there is none."""
    started = now() if started is None else started
    call = one.admit(ASK, started, now() + seconds)
    return call if isinstance(call, Skipped) else await made(one, call)


async def made(one, call):
    """The reply to a call that was let through; who is cancelled cuts it off."""
    answer = one.begin(call)
    if not isinstance(answer, asyncio.Future):
        return answer
    try:
        await asyncio.wait([answer])
    except asyncio.CancelledError:
        answer.cancel()
        await asyncio.wait([answer])
    reply = one.end(call, answer)
    if reply is None:
        raise asyncio.CancelledError
    return reply


async def ask_and_close(one, *args):
    reply = await ask(one, *args)
    await one.close()
    return reply


async def train(one, count=60):
    """Enough calls to learn from."""
    for _ in range(count):
        await ask(one)


@pytest.mark.parametrize(
    ("answer", "outcome", "detail"),
    [
        (BIDS, Outcome.BIDS, ""),
        (NO_BIDS, Outcome.NO_BID, ""),
        (None, Outcome.NO_BID, ""),
        (REFUSED, Outcome.UNREACHABLE, "connection refused"),
        (ZeroDivisionError(), Outcome.ERROR, "ZeroDivisionError in the transport"),
        (TransportError(Outcome.ERROR, "HTTP 500"), Outcome.ERROR, "HTTP 500"),
    ],
)
def test_every_call_ends_in_a_reply(answer, outcome, detail):
    async def scenario():
        reply = await ask_and_close(bidder(Scripted("acme", (0.02, answer))))
        assert (reply.bidder, reply.outcome, reply.detail) == ("acme", outcome, detail)
        assert reply.arrived_ms == pytest.approx(20)
        assert reply.response is (answer if outcome in (Outcome.BIDS, Outcome.NO_BID) else None)
        assert (reply.attempts, reply.late, reply.secondary) == (1, False, False)

    run(scenario())


@pytest.mark.parametrize(
    ("seatbids", "outcome"),
    [
        ([3], Outcome.BIDS),
        ([1, 2], Outcome.BIDS),
        ([4], Outcome.INVALID_RESPONSE),
        ([2, 2], Outcome.INVALID_RESPONSE),
        ([0, 0, 1], Outcome.BIDS),
        ([0, 0, 0, 0], Outcome.INVALID_RESPONSE),
    ],
)
def test_an_answer_has_at_most_so_many_bids_and_seats(seatbids, outcome):
    async def scenario():
        answer = BidResponse(id="1", seatbid=[{"bid": [{}] * bids} for bids in seatbids])
        reply = await ask_and_close(bidder(Scripted("acme", (0.02, answer)), max_bids=3))
        assert reply.outcome is outcome
        if outcome is Outcome.INVALID_RESPONSE:
            assert reply.response is None
            assert reply.detail == "4 bids or seats; expected at most 3 (max_bids)"

    run(scenario())


def test_a_plug_in_s_bug_is_in_the_log_and_a_failure_of_the_far_side_is_not():
    async def scenario():
        with structlog.testing.capture_logs() as written:
            bug = ZeroDivisionError()
            await ask_and_close(bidder(Scripted("acme", (0.02, bug))))
            await ask_and_close(bidder(Scripted("acme", (0.02, REFUSED))))
        assert [(each["event"], each["where"], each["exc_info"]) for each in written] == [
            ("fault", "transport of acme", bug)
        ]

    run(scenario())


def test_a_call_without_answer_ends_by_its_limit_and_never_arrived():
    async def scenario():
        one = bidder(Scripted("acme", (9, BIDS)), late_ms=50)
        started = now()
        reply = await ask_and_close(one)
        assert (reply.outcome, reply.arrived_ms, reply.response) == (Outcome.TIMEOUT, None, None)
        assert now() - started == pytest.approx(0.35)

    run(scenario())


def test_a_reply_tells_when_it_was_sent_and_how_long_it_was_given():
    async def scenario():
        one = bidder(Scripted("acme", (0.02, BIDS)))
        reply = await ask_and_close(one, 0.3, now() - 0.1)
        assert (reply.sent_ms, reply.timeout_ms) == (pytest.approx(100), pytest.approx(300))
        assert reply.arrived_ms == pytest.approx(120)

    run(scenario())


def test_statuses_travel_with_the_reply():
    async def scenario():
        http = bidder(Scripted("a", (0, TransportError(Outcome.ERROR, "", http_status=503))))
        grpc = bidder(Scripted("b", (0, TransportError(Outcome.ERROR, "", grpc_status="INTERNAL"))))
        assert (await ask_and_close(http)).http_status == 503
        assert (await ask_and_close(grpc)).grpc_status == "INTERNAL"

    run(scenario())


def test_the_own_timeout_of_a_bidder_is_a_hard_limit():
    async def scenario():
        transport = Scripted("acme", (0.03, BIDS), timeout_ms=20)
        reply = await ask_and_close(bidder(transport, late_ms=50))
        assert reply.outcome is Outcome.TIMEOUT
        assert transport.timeouts == [pytest.approx(0.02)]

    run(scenario())


def test_an_answer_is_still_taken_in_for_a_while_after_the_deadline():
    async def scenario():
        transport = Scripted("acme", (0.34, BIDS))
        reply = await ask_and_close(bidder(transport, late_ms=50))
        assert transport.timeouts == [pytest.approx(0.35)]
        assert (reply.outcome, reply.arrived_ms) == (Outcome.BIDS, pytest.approx(340))

    run(scenario())


def test_without_late_ms_a_call_ends_at_the_deadline():
    async def scenario():
        transport = Scripted("acme", (0.34, BIDS))
        assert (await ask_and_close(bidder(transport, late_ms=0))).outcome is Outcome.TIMEOUT
        assert transport.timeouts == [pytest.approx(0.3)]

    run(scenario())


def test_without_time_it_is_not_asked():
    async def scenario():
        transport = Scripted("acme", (0, BIDS))
        skipped = await ask(bidder(transport), -1)
        assert (skipped.bidder, skipped.reason) == ("acme", NotAsked.NO_TIME)
        assert transport.timeouts == []

    run(scenario())


def test_the_request_decides_whether_it_is_sampled():
    async def scenario():
        one = bidder(Scripted("acme", (0, BIDS)), sample_rate=0.5)
        again = bidder(Scripted("acme", (0, BIDS)), sample_rate=0.5)
        asks = [Ask(ASK.request.__class__(id=str(number))) for number in range(200)]

        def skipped(which):
            calls = [which.admit(each, 0.0, now() + 1) for each in asks]
            return [isinstance(call, Skipped) for call in calls]

        assert skipped(one) == skipped(again)
        assert 60 < sum(skipped(one)) < 140

    run(scenario())


@pytest.mark.parametrize("answer", [BIDS, REFUSED, ValueError()])
def test_a_place_is_given_back_however_the_call_ends(answer):
    async def scenario():
        one = bidder(Scripted("acme", (0.02, answer)), max_concurrent=1)
        for _ in range(3):
            running = asyncio.ensure_future(ask(one))
            await asyncio.sleep(0.01)
            assert (await ask(one)).reason is NotAsked.CONCURRENCY_LIMIT
            await running

    run(scenario())


def test_a_bidder_that_fails_is_left_alone_and_tried_again():
    async def scenario():
        one = bidder(Scripted("acme", (0, REFUSED), (0, REFUSED), (0, BIDS)), breaker=QUICK_BREAKER)
        with structlog.testing.capture_logs() as logs:
            assert (await ask(one)).outcome is Outcome.UNREACHABLE
            assert (await ask(one)).outcome is Outcome.UNREACHABLE
            assert (await ask(one)).reason is NotAsked.BREAKER_OPEN
            await asyncio.sleep(5)
            assert (await ask(one)).outcome is Outcome.BIDS
        assert [(entry["log_level"], entry["bidder"], entry["state"]) for entry in logs] == [
            ("warning", "acme", "open"),
            ("info", "acme", "half_open"),
            ("info", "acme", "closed"),
        ]

    run(scenario())


def test_a_probe_is_not_waited_for():
    async def scenario():
        one = bidder(Scripted("acme", (0, REFUSED)), breaker=QUICK_BREAKER)
        assert one.admit(ASK, now(), now() + 1).is_waited_for
        await ask(one)
        await ask(one)
        await asyncio.sleep(5)
        assert not one.admit(ASK, now(), now() + 1).is_waited_for

    run(scenario())


@pytest.mark.parametrize(
    ("line", "seconds", "is_left_alone"),
    [
        ((9, BIDS), 0.3, True),
        ((0.32, BIDS), 0.3, True),  # late is too late
        ((0.29, BIDS), 0.3, False),
        ((9, BIDS), 0.04, False),  # too little time to blame it
        ((0, None), 0.3, False),
        ((0, TransportError(Outcome.ERROR, "", http_status=500)), 0.3, True),
        ((0, TransportError(Outcome.ERROR, "", http_status=400)), 0.3, False),
    ],
)
def test_what_counts_as_a_failure(line, seconds, is_left_alone):
    async def scenario():
        one = bidder(Scripted("acme", line), breaker=QUICK_BREAKER)
        await ask(one, seconds)
        await ask(one, seconds)
        assert isinstance(await ask(one, seconds), Skipped) is is_left_alone

    run(scenario())


def test_a_call_that_is_cancelled_takes_no_place_and_no_probe_with_it():
    async def scenario():
        one = bidder(
            Scripted("acme", (0, REFUSED), (0, REFUSED), (9, BIDS), (0, BIDS)),
            max_concurrent=1,
            breaker=QUICK_BREAKER,
        )
        await ask(one)
        await ask(one)
        await asyncio.sleep(5)
        probe = asyncio.ensure_future(ask(one))
        await asyncio.sleep(0.01)
        probe.cancel()
        with pytest.raises(asyncio.CancelledError):
            await probe
        assert (await ask(one)).outcome is Outcome.BIDS

    run(scenario())


LEARNING = {"learned_timeout": {"enabled": True, "max_ms": 100, "slack": 1.5}}


def given(one, seconds=0.3):
    """Milliseconds for which the auction would wait."""
    call = one.admit(ASK, now(), now() + seconds)
    return (call.wait_until - call.sent) * 1000


def test_how_long_it_is_waited_for_follows_its_latency():
    async def scenario():
        one = bidder(Scripted("acme", (0.02, BIDS)), **LEARNING)
        assert given(one) == pytest.approx(100)
        await train(one)
        assert 30 <= given(one) <= 31.5
        assert given(one, 0.025) == pytest.approx(25)

    run(scenario())


def test_without_a_bound_and_without_experience_it_is_waited_for_up_to_the_deadline():
    async def scenario():
        one = bidder(Scripted("acme", (0.02, BIDS)), learned_timeout={"enabled": True})
        assert given(one) == pytest.approx(300)
        await train(one)
        assert 30 <= given(one) <= 31.5

    run(scenario())


def test_what_is_learned_shortens_the_wait_and_not_the_call():
    async def scenario():
        transport = Scripted("acme", *[(0.02, BIDS)] * 60, (0.2, BIDS))
        one = bidder(transport, late_ms=0, **LEARNING)
        await train(one)
        reply = await ask(one)
        assert (reply.outcome, reply.arrived_ms) == (Outcome.BIDS, pytest.approx(200))
        assert 30 <= reply.timeout_ms <= 31.5

    run(scenario())


def test_without_learning_it_is_waited_for_up_to_the_deadline():
    async def scenario():
        one = bidder(Scripted("acme", (0.02, BIDS)))
        await train(one)
        assert given(one) == pytest.approx(300)

    run(scenario())


@pytest.mark.parametrize("answer", [REFUSED, TransportError(Outcome.ERROR, "", http_status=500)])
def test_failures_teach_nothing_about_latency(answer):
    async def scenario():
        one = bidder(Scripted("acme", (0.02, answer)), **LEARNING, breaker={"enabled": False})
        await train(one)
        assert given(one) == pytest.approx(100)

    run(scenario())


HEDGING = {
    "hedge": {"enabled": True, "after_share": 0.9, "share": 0.5, "min_ms": 5},
    "late_ms": 0,
}


async def hedged(*lines, **policy):
    """A bidder that has learned to answer in 20 ms, and then goes on with these lines."""
    transport = Scripted("acme", *[(0.02, BIDS)] * 60, *lines)
    one = bidder(transport, **{**HEDGING, **policy})
    await train(one)
    transport.timeouts.clear()
    return one, transport


def test_a_slow_call_has_a_second_try_and_the_first_answer_wins():
    async def scenario():
        one, transport = await hedged((0.2, NO_BIDS), (0.02, BIDS))
        reply = await ask(one)
        assert (reply.outcome, reply.attempts, reply.response) == (Outcome.BIDS, 2, BIDS)
        assert 40 <= reply.arrived_ms <= 42
        assert transport.timeouts == [pytest.approx(0.3), pytest.approx(0.28, abs=0.002)]

    run(_closing(scenario()))


def test_the_first_try_may_win_over_the_second():
    async def scenario():
        one, _ = await hedged((0.03, BIDS), (0.2, NO_BIDS))
        reply = await ask_and_close(one)
        assert (reply.outcome, reply.attempts) == (Outcome.BIDS, 2)
        assert reply.arrived_ms == pytest.approx(30)

    run(scenario())


def test_a_quick_call_has_one_try():
    async def scenario():
        one, transport = await hedged()
        assert (await ask(one)).attempts == 1
        assert len(transport.timeouts) == 1

    run(scenario())


@pytest.mark.parametrize("answer", [REFUSED, ValueError()])
def test_a_failure_before_the_second_try_is_the_answer(answer):
    async def scenario():
        one, transport = await hedged((0.01, answer))
        reply = await ask(one)
        assert reply.outcome in (Outcome.UNREACHABLE, Outcome.ERROR)
        assert len(transport.timeouts) == 1

    run(scenario())


@pytest.mark.parametrize("lines", [((0.03, REFUSED), (0.1, BIDS)), ((0.2, BIDS), (0.03, REFUSED))])
def test_where_one_try_fails_the_other_is_waited_for(lines):
    async def scenario():
        one, _ = await hedged(*lines)
        reply = await ask(one)
        assert (reply.outcome, reply.attempts) == (Outcome.BIDS, 2)

    run(scenario())


def test_where_both_tries_fail_so_does_the_call():
    async def scenario():
        one, _ = await hedged((0.03, REFUSED), (0.04, REFUSED))
        reply = await ask(one)
        assert (reply.outcome, reply.attempts) == (Outcome.UNREACHABLE, 2)

    run(scenario())


def test_the_try_that_loses_is_not_cut_and_closing_waits_for_it():
    async def scenario():
        one, transport = await hedged((0.2, BIDS), (0.02, BIDS))
        ended = transport.ended
        await ask(one)
        assert transport.ended == ended + 1
        await one.close()
        assert transport.ended == ended + 2
        assert transport.closed

    run(scenario())


@pytest.mark.parametrize(
    "policy", [{"max_concurrent": 1}, {"qps": 0.1, "burst": 61}, {"secondary": True}]
)
def test_limits_hold_for_the_second_try_and_only_awaited_calls_have_one(policy):
    async def scenario():
        one, transport = await hedged((0.2, BIDS), **policy)
        reply = await ask(one)
        assert (reply.attempts, len(transport.timeouts)) == (1, 1)

    run(scenario())


def test_both_tries_hold_a_place_until_they_end():
    async def scenario():
        one, _ = await hedged((0.2, BIDS), (0.02, BIDS), max_concurrent=2)
        await ask(one)  # the first try is still out
        assert isinstance(one.admit(ASK, now(), now() + 1).sent, float)
        assert one.admit(ASK, now(), now() + 1).reason is NotAsked.CONCURRENCY_LIMIT
        await asyncio.sleep(0.2)
        assert not isinstance(one.admit(ASK, now(), now() + 1), Skipped)

    run(scenario())


def test_no_second_try_when_the_auction_has_stopped_waiting():
    async def scenario():
        one, transport = await hedged((0.2, BIDS))
        assert (await ask(one, 0.02)).attempts == 1
        assert len(transport.timeouts) == 1

    run(scenario())


def test_a_try_that_is_cut_with_the_event_loop_takes_no_place_with_it():
    async def scenario():
        one, _ = await hedged((9, BIDS), (0.02, BIDS), max_concurrent=1)
        call = asyncio.ensure_future(ask(one))
        await asyncio.sleep(0.01)
        for task in one._tries:
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert (await ask(one)).outcome is Outcome.BIDS

    run(scenario())


def test_second_tries_keep_to_their_share_of_calls():
    async def scenario():
        hedge = {"enabled": True, "after_share": 0.7, "share": 0.1}
        lines = [(0.02, BIDS) if number % 5 else (0.2, BIDS) for number in range(400)]
        one = bidder(Scripted("acme", *lines), hedge=hedge, late_ms=0)
        replies = [await ask(one) for _ in range(300)]
        assert sum(reply.attempts == 2 for reply in replies) == pytest.approx(30, abs=1)
        await one.close()

    run(scenario())


async def _closing(scenario):
    """Lets the tries that lost run out."""
    await scenario
    await asyncio.sleep(1)
