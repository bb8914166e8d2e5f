"""Many bidders, one deadline."""

import asyncio

import pytest

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.openrtb.reply import Outcome
from xsp_server.upstream import Ask, Bidder, FanOut, Transport, TransportError, UpstreamConfig

ASK = Ask(BidRequest(id="1"))
BIDS = BidResponse(id="1", seatbid=[{"bid": [{"id": "b", "impid": "1", "price": 1}]}])


class Scripted(Transport):
    """Does what the test says."""

    def __init__(self, name, function, timeout_ms=60_000):
        super().__init__(UpstreamConfig(name=name, timeout_ms=timeout_ms))
        self._function = function
        self.closed = False
        self.timeouts = []

    async def send(self, ask, timeout):
        self.timeouts.append(timeout)
        return await self._function(ask)

    async def close(self):
        self.closed = True


async def bids(_ask):
    return BIDS


async def empty(_ask):
    return BidResponse(id="1", seatbid=[{}])


async def nothing(_ask):
    return None


async def broken(_ask):
    raise ZeroDivisionError


async def refused(_ask):
    raise TransportError(Outcome.UNREACHABLE, "connection refused")


def fan_out(*transports):
    clock = asyncio.get_running_loop().time
    return FanOut([Bidder(transport, clock) for transport in transports])


async def ask(out, deadline):
    """Asks all of them the same."""
    return await out.ask({bidder.name: ASK for bidder in out._bidders}, deadline)


def soon(seconds=5.0):
    return asyncio.get_running_loop().time() + seconds


async def test_every_bidder_has_a_reply_in_the_order_of_the_bidders():
    functions = {"a": bids, "b": empty, "c": nothing, "d": broken, "e": refused}
    replies = await ask(fan_out(*(Scripted(n, f) for n, f in functions.items())), soon())
    assert [(reply.bidder, reply.outcome) for reply in replies] == [
        ("a", Outcome.BIDS),
        ("b", Outcome.NO_BID),
        ("c", Outcome.NO_BID),
        ("d", Outcome.ERROR),
        ("e", Outcome.UNREACHABLE),
    ]
    assert replies[0].response is BIDS
    assert replies[3].detail == "ZeroDivisionError in the transport"
    assert all(reply.arrived_ms >= 0 for reply in replies)


async def test_a_bidder_that_ignores_its_timeout_delays_nobody():
    release = asyncio.Event()

    async def stuck(_ask):
        await release.wait()
        return BIDS

    out = fan_out(Scripted("stuck", stuck), Scripted("quick", bids))
    replies = await ask(out, soon(0.05))
    assert [reply.outcome for reply in replies] == [Outcome.TIMEOUT, Outcome.BIDS]
    assert replies[0].arrived_ms is None
    release.set()
    await out.close()


async def test_close_waits_for_late_calls_and_closes_every_transport():
    release, ended = asyncio.Event(), asyncio.Event()

    async def late(_ask):
        await release.wait()
        ended.set()

    transports = [Scripted("late", late), Scripted("quick", bids)]
    out = fan_out(*transports)
    await ask(out, soon(0.01))
    closing = asyncio.ensure_future(out.close())
    release.set()
    await closing
    assert ended.is_set()
    assert all(transport.closed for transport in transports)


async def test_the_timeout_is_the_tighter_of_deadline_and_setting():
    patient, hasty = Scripted("patient", bids), Scripted("hasty", bids, timeout_ms=20)
    await ask(fan_out(patient, hasty), soon(1))
    assert 0.5 < patient.timeouts[0] <= 1
    assert hasty.timeouts[0] == pytest.approx(0.02)


async def test_without_time_nobody_is_asked():
    transport = Scripted("a", bids)
    [reply] = await ask(fan_out(transport), soon(-1))
    assert reply.outcome is Outcome.TIMEOUT
    assert transport.timeouts == []


async def test_only_those_are_asked_who_have_a_request():
    first, second = Scripted("first", bids), Scripted("second", bids)
    [reply] = await fan_out(first, second).ask({"second": ASK}, soon())
    assert reply.bidder == "second"
    assert first.timeouts == []


async def test_without_bidders_there_are_no_replies():
    assert await fan_out().ask(ASK, soon()) == []


async def test_a_caller_that_walks_away_leaves_no_call_unwatched():
    entered, release = asyncio.Event(), asyncio.Event()

    async def slow(_ask):
        entered.set()
        await release.wait()
        return BIDS

    out = fan_out(Scripted("slow", slow))
    caller = asyncio.ensure_future(ask(out, soon()))
    await entered.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    release.set()
    await out.close()
    assert not out._late


def test_each_encoding_is_made_once():
    ask = Ask(BidRequest(id="1"))
    assert ask.json is ask.json
    assert ask.protobuf is ask.protobuf
    assert ask.json == b'{"id":"1"}'
