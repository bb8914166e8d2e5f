"""Many bidders, one deadline."""

import asyncio

import pytest
import uvloop

from upstream.scripted import ASK, BIDS, NO_BIDS, REFUSED, Scripted, bidder, now
from upstream.virtual_time import run
from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.openrtb.reply import NotAsked, Outcome, Skipped
from xsp_server.upstream import Ask, FanOut, First, Parallel, Waterfall

BROKEN = ZeroDivisionError()
OTHER_BIDS = BidResponse(id="2", seatbid=BIDS.seatbid)


class Bench:
    """Bidders by name, each with its line (seconds, answer) and policies, and what came of them."""

    def __init__(self, lines, group=None, policies=None, **settings):
        self.transports = {name: Scripted(name, line, **settings) for name, line in lines.items()}
        policies = policies or {}
        self.bidders = {
            name: bidder(transport, **policies.get(name, {}))
            for name, transport in self.transports.items()
        }
        self.out = FanOut(list(self.bidders.values()), group)
        self.late = []

    def open(self, seconds=0.3, names=None, **keywords):
        asks = dict.fromkeys(self.transports if names is None else names, ASK)
        return self.out.open(asks, now() + seconds, on_late=self.late.append, **keywords)

    async def ask(self, seconds=0.3):
        """Replies by bidder, and how long they took."""
        started = now()
        self.round = self.open(seconds)
        replies = {reply.bidder: reply for reply in await self.round.replies()}
        self.took = now() - started
        await self.out.close()
        return replies

    def asked(self):
        return [name for name, transport in self.transports.items() if transport.timeouts]


def outcomes(replies):
    return {name: str(reply.outcome) for name, reply in replies.items()}


def with_bench(*args, **keywords):
    """Runs a test in virtual time with a bench of its own."""

    def decorate(test):
        def wrapped():
            async def scenario():
                bench = Bench(*args, **keywords)
                await test(bench)
                await bench.out.close()

            run(scenario())

        wrapped.__name__, wrapped.__doc__ = test.__name__, test.__doc__
        return wrapped

    return decorate


@with_bench(
    {
        "a": (0.05, BIDS),
        "b": (0.04, NO_BIDS),
        "c": (0.03, None),
        "d": (0.02, BROKEN),
        "e": (0.01, REFUSED),
        "f": (9, BIDS),
    }
)
async def test_every_bidder_has_a_reply_in_the_order_of_the_bidders(bench):
    replies = await bench.ask()
    assert list(outcomes(replies).items()) == [
        ("a", "bids"),
        ("b", "no_bid"),
        ("c", "no_bid"),
        ("d", "error"),
        ("e", "unreachable"),
        ("f", "timeout"),
    ]
    assert replies["a"].response is BIDS
    assert replies["f"].detail == "no answer in 300 ms"
    assert [reply.arrived_ms for reply in replies.values()][:5] == pytest.approx(
        [50, 40, 30, 20, 10]
    )


AT_ONCE = None


@with_bench(
    {
        "a": (AT_ONCE, BIDS),
        "b": (AT_ONCE, NO_BIDS),
        "c": (AT_ONCE, None),
        "d": (AT_ONCE, BROKEN),
        "e": (AT_ONCE, REFUSED),
    }
)
async def test_a_round_whose_answers_are_there_at_once_is_over_before_anybody_waits(bench):
    opened = bench.open()
    assert opened.is_over
    replies = {reply.bidder: reply for reply in await opened.replies()}
    assert outcomes(replies) == {
        "a": "bids",
        "b": "no_bid",
        "c": "no_bid",
        "d": "error",
        "e": "unreachable",
    }
    assert replies["a"].response is BIDS
    assert replies["d"].detail == "ZeroDivisionError in the transport"
    assert {reply.arrived_ms for reply in replies.values()} == {0}
    assert [reply.bidder async for reply in opened] == list("abcde")
    assert not bench.out._out


@with_bench({"a": (AT_ONCE, BIDS), "b": (0.02, BIDS)})
async def test_who_answers_at_once_does_not_end_the_round_for_the_others(bench):
    assert outcomes(await bench.ask()) == {"a": "bids", "b": "bids"}
    assert bench.took == pytest.approx(0.02)


@with_bench(
    {"a": (AT_ONCE, BIDS), "b": (0.02, BIDS)},
    policies={"a": {"max_concurrent": 1, "breaker": {"consecutive_failures": 1}}},
)
async def test_an_answer_at_once_gives_its_place_back_at_once(bench):
    first, second = bench.open(), bench.open()
    assert len(await first.replies()) == len(await second.replies()) == 2
    bench.transports["a"].script = [(AT_ONCE, REFUSED)]
    await bench.open().replies()
    last = bench.open()
    assert [each.reason for each in last.skipped] == [NotAsked.BREAKER_OPEN]


@with_bench(
    {"a": (AT_ONCE, "no response"), "b": (0.01, "no response"), "c": (0.02, BIDS)},
    policies={name: {"max_concurrent": 1} for name in "ab"},
)
async def test_an_answer_that_is_no_response_is_an_error_of_its_bidder_alone(bench):
    for _ in range(2):
        replies = await bench.ask()
        assert outcomes(replies) == {"a": "error", "b": "error", "c": "bids"}
        assert replies["b"].detail == "AttributeError in the transport"


@with_bench(
    {"a": (AT_ONCE, NO_BIDS), "b": (AT_ONCE, BIDS), "c": (AT_ONCE, BIDS)}, Waterfall(*"abc")
)
async def test_a_waterfall_ends_with_the_first_that_bids_at_once(bench):
    assert outcomes(await bench.ask()) == {"a": "no_bid", "b": "bids"}
    assert bench.asked() == ["a", "b"]


@with_bench(
    {"a": (AT_ONCE, BIDS), "b": (0.02, BIDS)},
    Waterfall("a", "b"),
    policies={"a": {"secondary": True}},
)
async def test_a_secondary_bidder_fills_no_waterfall_at_once_either(bench):
    assert outcomes(await bench.ask()) == {"a": "bids", "b": "bids"}


@with_bench({"a": (0.05, BIDS), "b": (0.02, BIDS)})
async def test_a_round_is_over_when_the_last_has_answered(bench):
    await bench.ask()
    assert bench.took == pytest.approx(0.05)
    assert bench.round.is_over


@with_bench({"stuck": (9, BIDS), "quick": (0.01, BIDS)}, stubborn=True)
async def test_a_bidder_that_ignores_its_timeout_delays_nobody(bench):
    replies = await bench.ask()
    assert outcomes(replies) == {"stuck": "timeout", "quick": "bids"}
    assert bench.took == pytest.approx(0.3)


@with_bench({"a": (0.05, BIDS)})
async def test_arrivals_count_from_the_start_of_the_auction(bench):
    opened = bench.open(started=now() - 0.1)
    [reply] = await opened.replies()
    assert (reply.sent_ms, reply.arrived_ms) == (pytest.approx(100), pytest.approx(150))


@with_bench({"a": (0, BIDS), "b": (0, BIDS)})
async def test_only_those_are_asked_who_have_a_request(bench):
    opened = bench.open(names=["b"])
    assert [reply.bidder for reply in await opened.replies()] == ["b"]
    assert bench.asked() == ["b"]
    assert opened.skipped == []


@with_bench({"a": (0, BIDS)})
async def test_who_is_asked_for_nothing_answers_nothing(bench):
    opened = bench.open(names=[])
    assert opened.is_over
    assert await opened.replies() == []


@with_bench({"a": (0, BIDS), "b": (0, BIDS)}, policies={"b": {"least_time_ms": 500}})
async def test_a_bidder_that_is_passed_over_is_no_timeout(bench):
    replies = await bench.ask()
    assert list(replies) == ["a"]
    assert bench.round.skipped == [Skipped("b", NotAsked.NO_TIME, "300.0 ms were left")]
    assert bench.asked() == ["a"]


@with_bench(
    {"a": (0, BIDS), "b": (0, BIDS)},
    policies={"a": {"sample_rate": 0}, "b": {"least_time_ms": 500}},
)
async def test_for_callers_that_want_replies_alone_lack_of_time_is_a_timeout(bench):
    [reply] = await bench.out.ask({"a": ASK, "b": ASK}, now() + 0.3)
    assert (reply.bidder, reply.outcome, reply.arrived_ms) == ("b", Outcome.TIMEOUT, None)


@with_bench({"late": (0.32, BIDS), "never": (9, BIDS), "refused": (0.34, REFUSED)})
async def test_what_comes_after_the_deadline_is_told_as_late(bench):
    replies = await bench.ask()
    assert set(outcomes(replies).values()) == {"timeout"}
    assert [(each.bidder, each.outcome, each.late) for each in bench.late] == [
        ("late", Outcome.BIDS, True),
        ("refused", Outcome.UNREACHABLE, True),
    ]
    assert bench.late[0].arrived_ms == pytest.approx(320)
    assert bench.late[0].response is BIDS


@with_bench({"late": (0.32, BIDS)})
async def test_nobody_needs_to_hear_of_late_ones(bench):
    opened = bench.out.open({"late": ASK}, now() + 0.3)
    [reply] = await opened.replies()
    assert reply.outcome is Outcome.TIMEOUT
    await bench.out.close()
    assert bench.late == []


@with_bench({"slow": (0.2, BIDS)})
async def test_all_callers_may_walk_away(bench):
    opened = bench.open()
    callers = [asyncio.ensure_future(opened.replies()) for _ in range(2)]
    await asyncio.sleep(0.05)
    for caller in callers:
        caller.cancel()
    assert all(isinstance(end, asyncio.CancelledError) for end in await _ends(callers))
    assert opened.is_over


async def _ends(tasks):
    return await asyncio.gather(*tasks, return_exceptions=True)


@with_bench({"a": (0.05, BIDS), "b": (0.02, BIDS), "c": (0.04, REFUSED), "d": (9, BIDS)})
async def test_replies_are_told_as_they_come(bench):
    opened = bench.open()
    told = [(reply.bidder, round((now() - 1000) * 1000)) async for reply in opened]
    assert told == [("b", 20), ("c", 40), ("a", 50)]
    assert len(await opened.replies()) == 4
    assert [reply.bidder async for reply in opened] == ["b", "c", "a"]


@with_bench({"a": (0, BIDS), "b": (0, BIDS)})
async def test_replies_that_come_together_are_all_told(bench):
    assert {reply.bidder async for reply in bench.open()} == {"a", "b"}


@with_bench(
    {"a": (0.05, BIDS), "second": (0.04, BIDS), "slow": (0.06, BIDS)},
    policies={"second": {"secondary": True}, "slow": {"secondary": True}},
)
async def test_nobody_waits_for_secondary_bidders(bench):
    replies = await bench.ask()
    assert outcomes(replies) == {"a": "bids", "second": "bids", "slow": "cancelled"}
    assert bench.took == pytest.approx(0.05)
    assert replies["second"].secondary
    assert replies["slow"].secondary
    assert replies["slow"].detail == "the auction was over, and did not wait for it"
    assert [(each.bidder, each.outcome) for each in bench.late] == [("slow", Outcome.BIDS)]


@with_bench(
    {"a": (9, BIDS), "second": (9, BIDS)},
    policies={"second": {"secondary": True}},
)
async def test_a_secondary_bidder_that_had_all_the_time_is_a_timeout(bench):
    assert outcomes(await bench.ask()) == {"a": "timeout", "second": "timeout"}


@with_bench(
    {"second": (0.05, BIDS), "slow": (0.06, BIDS)},
    policies={name: {"secondary": True} for name in ("second", "slow")},
)
async def test_where_all_are_secondary_all_are_waited_for(bench):
    assert outcomes(await bench.ask()) == {"second": "bids", "slow": "bids"}


@with_bench(
    {"a": (0, BIDS), "second": (0.05, BIDS)},
    policies={"a": {"sample_rate": 0}, "second": {"secondary": True}},
)
async def test_where_all_others_are_passed_over_secondary_ones_are_waited_for(bench):
    assert outcomes(await bench.ask()) == {"second": "bids"}


@with_bench({"a": (0.05, BIDS), "second": (0.05, BIDS)}, policies={"second": {"secondary": True}})
async def test_a_secondary_bidder_that_answers_together_with_the_last_counts(bench):
    opened = bench.open()
    assert [reply.bidder async for reply in opened] == ["a", "second"]
    assert [str(reply.outcome) for reply in await opened.replies()] == ["bids", "bids"]
    assert bench.late == []


LEARNED = {
    "learned_timeout": {"enabled": True, "max_ms": 100, "slack": 2},
    "latency": {"calls": 60, "least_calls": 50},
    "late_ms": 0,
}


async def learn(bench, seconds):
    """Sixty auctions in which every bidder takes its seconds."""
    lines = {name: transport.script for name, transport in bench.transports.items()}
    for transport in bench.transports.values():
        transport.script = [(seconds, BIDS)]
    for _ in range(60):
        await bench.open().replies()
    for name, transport in bench.transports.items():
        transport.script = lines[name]


@with_bench({"slow": (0.2, BIDS), "quick": (0.03, BIDS)}, policies={"slow": LEARNED})
async def test_a_learned_timeout_ends_the_wait_and_the_answer_is_late(bench):
    await learn(bench, 0.02)
    replies = await bench.ask()
    assert outcomes(replies) == {"slow": "timeout", "quick": "bids"}
    assert 0.04 <= bench.took <= 0.042
    assert replies["slow"].detail in ("no answer in 40 ms", "no answer in 41 ms")
    assert [(each.bidder, each.outcome) for each in bench.late] == [("slow", Outcome.BIDS)]
    assert bench.late[0].arrived_ms == pytest.approx(200)


@with_bench({"slow": (0.2, BIDS), "slower": (0.25, BIDS)}, policies={"slow": LEARNED})
async def test_an_answer_after_its_learned_timeout_counts_while_others_are_waited_for(bench):
    await learn(bench, 0.02)
    assert outcomes(await bench.ask()) == {"slow": "bids", "slower": "bids"}
    assert bench.late == []


@with_bench({"a": (9, BIDS), "b": (9, BIDS)}, policies={"a": LEARNED, "b": LEARNED})
async def test_a_round_is_over_when_all_have_had_their_time(bench):
    await learn(bench, 0.02)
    assert outcomes(await bench.ask()) == {"a": "timeout", "b": "timeout"}
    assert 0.04 <= bench.took <= 0.042


@with_bench(
    {"acme": (0.02, BIDS)},
    policies={
        "acme": {
            "learned_timeout": {"enabled": True, "max_ms": 100, "min_ms": 10},
            "latency": {"calls": 200},
        }
    },
)
async def test_a_bidder_that_slows_down_costs_no_more_than_its_bound_and_recovers(bench):
    async def auctions(count, seconds):
        """Outcomes, and how long each auction took."""
        bench.transports["acme"].script = [(seconds, BIDS)]
        ends = []
        for _ in range(count):
            started = now()
            [reply] = await bench.open().replies()
            ends.append((reply.outcome, now() - started))
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)  # what is still out teaches before the next phase begins
        return ends

    before = await auctions(300, 0.02)
    slow = await auctions(400, 0.2)
    after = await auctions(300, 0.02)
    assert {outcome for outcome, _ in before} == {Outcome.BIDS}
    assert max(took for _, took in slow) < 0.035  # 20 ms by 1.5, and the width of a bucket
    assert max(took for _, took in slow[250:]) == pytest.approx(0.01)
    assert {outcome for outcome, _ in slow} == {Outcome.TIMEOUT}
    assert {outcome for outcome, _ in after[40:]} == {Outcome.BIDS}


@with_bench({"late": (0.2, BIDS), "quick": (0.01, BIDS)}, stubborn=True)
async def test_close_waits_for_late_calls_and_closes_every_transport(bench):
    await bench.open(0.1).replies()
    await bench.out.close()
    assert now() - 1000 == pytest.approx(0.2)
    assert all(transport.closed for transport in bench.transports.values())
    assert [each.bidder for each in bench.late] == ["late"]
    assert not bench.out._out


@with_bench({"slow": (0.2, BIDS), "quick": (0.01, BIDS)})
async def test_a_caller_that_walks_away_leaves_no_call_unwatched(bench):
    opened = bench.open()
    caller = asyncio.ensure_future(opened.replies())
    await asyncio.sleep(0.05)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert opened.is_over
    await bench.out.close()
    assert bench.transports["slow"].ended == 1
    assert [each.bidder for each in bench.late] == ["slow"]


@with_bench({"a": (0.1, BIDS), "b": (0.2, BIDS)})
async def test_a_call_that_is_cut_with_the_event_loop_harms_nobody(bench):
    opened = bench.open()
    await asyncio.sleep(0.01)
    next(task for task in bench.out._out if task.get_name() == "a").cancel()
    replies = {reply.bidder: reply for reply in await opened.replies()}
    assert outcomes(replies) == {"a": "cancelled", "b": "bids"}


@with_bench(
    {"a": (0, REFUSED), "b": (0.02, BIDS)}, policies={"a": {"breaker": {"consecutive_failures": 1}}}
)
async def test_a_probe_costs_no_auction_its_time(bench):
    await bench.open().replies()
    opened = bench.open(names=["a"])
    assert opened.is_over
    assert [each.reason for each in opened.skipped] == [NotAsked.BREAKER_OPEN]
    await asyncio.sleep(5)
    bench.transports["a"].script = [(9, BIDS)]
    replies = await bench.ask()
    assert outcomes(replies) == {"a": "cancelled", "b": "bids"}
    assert bench.took == pytest.approx(0.02)


@with_bench({"a": (0.02, NO_BIDS), "b": (0.03, BIDS), "c": (0, BIDS)}, Waterfall("a", "b", "c"))
async def test_a_waterfall_asks_until_one_bids(bench):
    replies = await bench.ask()
    assert outcomes(replies) == {"a": "no_bid", "b": "bids"}
    assert bench.round.skipped == [Skipped("c", NotAsked.NOT_REACHED)]
    assert (replies["b"].sent_ms, replies["b"].arrived_ms) == (
        pytest.approx(20),
        pytest.approx(50),
    )
    assert bench.took == pytest.approx(0.05)
    assert bench.asked() == ["a", "b"]


@with_bench({"a": (0.02, OTHER_BIDS), "b": (0.03, BIDS)}, Waterfall("a", "b"))
async def test_bids_for_another_request_fill_no_waterfall(bench):
    assert outcomes(await bench.ask()) == {"a": "bids", "b": "bids"}


@with_bench({"a": (9, BIDS), "b": (0.03, BIDS)}, Waterfall("a", "b"))
async def test_who_has_had_its_turn_in_a_waterfall_is_a_timeout(bench):
    replies = await bench.ask()
    assert outcomes(replies) == {"a": "timeout", "b": "bids"}
    assert replies["a"].timeout_ms == pytest.approx(150)
    assert bench.took == pytest.approx(0.18)
    assert bench.transports["a"].timeouts == [pytest.approx(0.35)]  # its call goes on


@with_bench({"a": (0.16, BIDS), "b": (0.03, BIDS)}, Waterfall("a", "b"))
async def test_an_answer_after_its_turn_counts_while_the_auction_goes_on(bench):
    assert outcomes(await bench.ask()) == {"a": "bids", "b": "bids"}


@with_bench({"a": (0.2, BIDS), "b": (0.02, NO_BIDS), "c": (0.05, BIDS)}, First("a", "b", "c"))
async def test_a_race_is_over_with_the_first_bid(bench):
    replies = await bench.ask()
    assert outcomes(replies) == {"a": "cancelled", "b": "no_bid", "c": "bids"}
    assert bench.took == pytest.approx(0.05)
    assert [each.bidder for each in bench.late] == ["a"]


@with_bench(
    {"a": (0.1, BIDS), "b": (0.02, NO_BIDS), "c": (0.03, BIDS), "d": (0, BIDS)},
    Parallel("a", Waterfall("b", "c", "d")),
)
async def test_groups_are_nested(bench):
    replies = await bench.ask()
    assert outcomes(replies) == {"a": "bids", "b": "no_bid", "c": "bids"}
    assert [each.bidder for each in bench.round.skipped] == ["d"]
    assert bench.took == pytest.approx(0.1)


@with_bench({"a": (0.02, BIDS), "b": (0.02, BIDS), "c": (0.05, BIDS)}, Waterfall(*"abc"))
async def test_in_a_group_too_only_those_are_asked_who_have_a_request(bench):
    opened = bench.open(names=["b", "c"])
    assert [reply.bidder for reply in await opened.replies()] == ["b"]
    assert opened.skipped == [Skipped("c", NotAsked.NOT_REACHED)]


@with_bench(
    {"a": (0, BIDS), "b": (0.02, BIDS)},
    Waterfall("a", "b"),
    policies={"a": {"sample_rate": 0}},
)
async def test_a_waterfall_goes_on_where_a_bidder_is_passed_over(bench):
    assert outcomes(await bench.ask()) == {"b": "bids"}
    assert [each.reason for each in bench.round.skipped] == [NotAsked.SAMPLED_OUT]


@with_bench(
    {"a": (0.03, BIDS), "b": (0.02, BIDS)},
    Waterfall("a", "b"),
    policies={"a": {"secondary": True}},
)
async def test_a_waterfall_waits_for_no_secondary_bidder(bench):
    assert outcomes(await bench.ask()) == {"a": "cancelled", "b": "bids"}


@with_bench(
    {"a": (0.03, BIDS), "b": (0, BIDS)},
    Waterfall("a", "b"),
    policies={"a": {"secondary": True}, "b": {"sample_rate": 0}},
)
async def test_a_group_of_secondary_bidders_alone_is_waited_for(bench):
    assert outcomes(await bench.ask()) == {"a": "bids"}


@with_bench(
    {"a": (0, BIDS), "b": (0.02, BIDS)},
    Parallel("a", Parallel(Parallel(Parallel("b")))),
    policies={name: {"secondary": True} for name in "ab"},
)
async def test_of_secondary_bidders_alone_those_are_waited_for_that_are_out(bench):
    assert outcomes(await bench.ask()) == {"a": "bids", "b": "bids"}


@with_bench({"a": (9, BIDS), "b": (9, BIDS)}, First(Waterfall("a", "b")), stubborn=True)
async def test_a_group_ends_with_the_deadline(bench):
    replies = await bench.ask()
    assert outcomes(replies) == {"a": "timeout", "b": "timeout"}
    assert bench.took == pytest.approx(0.3)


@with_bench({"a": (0.2, BIDS), "b": (0.2, BIDS)}, Waterfall("a", "b"))
async def test_a_caller_that_walks_away_ends_its_group(bench):
    caller = asyncio.ensure_future(bench.open().replies())
    await asyncio.sleep(0.05)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    await bench.out.close()
    assert bench.asked() == ["a"]


def test_the_event_loop_of_production_keeps_the_deadline():
    async def scenario():
        bench = Bench({"never": (9, BIDS), "at_once": (0, BIDS)})
        started = now()
        replies = await bench.open(0.05).replies()
        assert [str(reply.outcome) for reply in replies] == ["timeout", "bids"]
        assert 0.045 < now() - started < 2
        await bench.out.close()

    uvloop.run(scenario())


def test_each_encoding_is_made_once():
    ask = Ask(BidRequest(id="1"))
    assert ask.json is ask.json
    assert ask.protobuf is ask.protobuf
    assert ask.json == b'{"id":"1"}'
