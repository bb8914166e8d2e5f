"""Bidders that are functions."""

import asyncio

import pytest

from upstream import functions
from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp_server import registry
from xsp_server.errors import ConfigError
from xsp_server.openrtb.reply import Outcome
from xsp_server.upstream import Ask, TransportError
from xsp_server.upstream.memory import MemoryTransport


@pytest.fixture
async def bidder():
    """A transport to one of the functions."""
    made = []

    def make(name, **settings):
        section = {"type": "memory", "name": "acme", "call": f"upstream.functions:{name}"}
        made.append(registry.build("transport", section | settings, "bidders[0]"))
        return made[-1]

    yield make
    for transport in made:
        await transport.close()


async def failure(transport, timeout=5.0):
    with pytest.raises(TransportError) as caught:
        await transport.send(Ask(BidRequest(id="1")), timeout)
    return caught.value


@pytest.mark.parametrize(
    ("name", "thread"),
    [
        ("answer", "acme_0"),
        ("bidder", "acme_0"),
        ("partial", "MainThread"),  # called in a thread, awaited where awaitables are
        ("answer_async", "MainThread"),
        ("bidder.method", "MainThread"),
        ("async_bidder", "MainThread"),
    ],
)
async def test_any_callable_answers_and_what_may_block_does_so_in_a_thread(bidder, name, thread):
    response = await bidder(name).send(Ask(BidRequest(id="1")), 5)
    assert (response.id, response.bidid) == ("1", thread)


async def test_none_is_a_no_bid(bidder):
    assert await bidder("nothing").send(Ask(BidRequest(id="1")), 5) is None


async def test_a_function_has_the_request_for_itself(bidder):
    request = BidRequest(id="1")
    assert (await bidder("change").send(Ask(request), 5)).id == "changed"
    assert request.id == "1"


@pytest.mark.parametrize(
    ("name", "outcome", "detail"),
    [
        ("wrong", Outcome.INVALID_RESPONSE, "expected a BidResponse or None, got dict"),
        ("broken", Outcome.ERROR, "ZeroDivisionError: no"),
        ("out_of_time", Outcome.ERROR, "TimeoutError: of its own"),
        ("refuses", Outcome.UNREACHABLE, "on purpose"),
    ],
)
async def test_what_a_function_does_wrong_is_an_outcome(bidder, name, outcome, detail):
    error = await failure(bidder(name))
    assert (error.outcome, error.detail) == (outcome, detail)


@pytest.mark.parametrize("name", ["hang", "blocked"])
async def test_a_function_that_hangs_costs_its_timeout(bidder, name):
    functions.release.clear()
    try:
        error = await failure(bidder(name), timeout=0.05)
    finally:
        functions.release.set()
    assert (error.outcome, error.detail) == (Outcome.TIMEOUT, "no answer in 50 ms")


async def test_a_blocked_function_holds_up_only_calls_beyond_its_threads(bidder):
    functions.release.clear()
    transport = bidder("blocked", threads=1)
    request = Ask(BidRequest(id="1"))
    first = asyncio.ensure_future(transport.send(request, 10))
    try:
        assert (await failure(transport, timeout=0.05)).outcome is Outcome.TIMEOUT
    finally:
        functions.release.set()
    assert (await first).id == "1"


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("upstream.no_such_module:answer", "No module named 'upstream.no_such_module'"),
        ("upstream.functions:no_such", "has no attribute 'no_such'"),
        ("upstream.functions:NO_FUNCTION", "an? int; expected a function"),
    ],
)
def test_a_function_that_is_not_there_is_told(call, expected):
    with pytest.raises(ConfigError, match=f"call: got {call}.*{expected}"):
        MemoryTransport(MemoryTransport.Settings(name="acme", call=call))


def test_a_call_without_attribute_is_refused():
    section = {"type": "memory", "name": "acme", "call": "upstream.functions"}
    with pytest.raises(ConfigError, match=r"bidders\[0\].call: got 'upstream.functions'"):
        registry.build("transport", section, "bidders[0]")
