"""StreamBids: many auctions on one stream, each item its own fate, memory bounded."""

import asyncio
import time

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from service.errors import details
from xsp.bid.v1 import bid_service_pb2, bid_service_pb2_grpc
from xsp.bid.v1.auction_options_pb2 import AuctionOptions, ExplainLevel
from xsp.bid.v1.bid_service_pb2 import StreamBidsItem, StreamBidsRequest, StreamBidsResponse
from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server import registry
from xsp_server.auction import Rules
from xsp_server.config import AuctionSettings, ServerSettings, Settings
from xsp_server.errors import InvalidRequest, Violation
from xsp_server.openrtb.reply import Outcome, Reply
from xsp_server.service import auctions as served
from xsp_server.service.exchange import AnswerForm, Exchange
from xsp_server.service.methods import Gate, bind
from xsp_server.service.notify import Notices
from xsp_server.service.planning import Planner
from xsp_server.service.rates import RuleBook
from xsp_server.service.record import rules_in_force
from xsp_server.service.stream import (
    MAX_ID_BYTES,
    MAX_SHARED_BYTES,
    MAX_UNSENT_BYTES,
    BidStreams,
)
from xsp_server.upstream import Bidder, FanOut
from xsp_server.upstream.fetch import GuardedFetcher
from xsp_server.upstream.guard import AddressGuard
from xsp_server.upstream.notices import NoticeSender

BID = bid_service_pb2.DESCRIPTOR.services_by_name["BidService"]
INVALID = grpc.StatusCode.INVALID_ARGUMENT.value[0]


class Auctions:
    """Auctions that end when the test says so; the answer has the id of the request."""

    def __init__(self):
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.remaining: dict[str, float | None] = {}
        self.on_reply = {}
        self.sessions = {}
        self.errors: dict[str, Exception] = {}
        self.markup = ""
        self._ends: dict[str, asyncio.Event] = {}
        self._all = False

    async def run(self, request, time_remaining, on_reply=None, session=None, options=None):  # noqa: ARG002
        self.begun.append(request.id)
        self.remaining[request.id] = time_remaining
        self.on_reply[request.id] = on_reply
        self.sessions[request.id] = session
        if not self._all:
            await self._ends.setdefault(request.id, asyncio.Event()).wait()
        self.ended.append(request.id)
        if request.id in self.errors:
            raise self.errors[request.id]
        seatbid = [{"bid": [{"id": "1", "adm": self.markup}]}] if self.markup else []
        return served.Answer(BidResponse(id=request.id, seatbid=seatbid))

    def end(self, *ids):
        """Lets these auctions end, now or when they begin."""
        for id_ in ids:
            self._ends.setdefault(id_, asyncio.Event()).set()

    def end_all(self):
        """Lets all auctions end, those to come at once."""
        self._all = True
        self.end(*self.begun)


class Host:
    """A server of BidService with nothing behind it but the auctions that it is given."""

    def __init__(self, streams, gate, server, channel):
        self.streams = streams
        self.gate = gate
        self._server = server
        self.channel = channel
        self.stub = bid_service_pb2_grpc.BidServiceStub(channel)

    def open(self, **options):
        return self.stub.StreamBids(**options)


@pytest.fixture
async def host():
    hosts = []

    async def start(auctions, clock=time.monotonic, **limits):
        streams = BidStreams(auctions, clock)
        gate = Gate(ServerSettings(**limits))

        class Servicer:
            async def StreamBids(self, stream):  # noqa: N802
                await streams.serve(stream)

            async def Bid(self, request, context):  # noqa: ARG002, N802
                return (await auctions.run(request, None)).response

        server = grpc.aio.server()
        server.add_generic_rpc_handlers([bind(BID, Servicer(), gate)])
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        hosts.append(Host(streams, gate, server, channel))
        return hosts[-1]

    yield start
    for each in hosts:
        await each.channel.close()
        await each._server.stop(None)


@pytest.fixture
def auctions():
    return Auctions()


@pytest.fixture
async def stream(host, auctions):
    """A stream whose auctions the test ends."""
    return (await host(auctions)).open()


@pytest.fixture(autouse=True)
async def bounded():
    """No test of this file hangs."""
    async with asyncio.timeout(30):
        yield


def item(id_, **fields):
    """An item whose request has the item's id."""
    return StreamBidsItem(id=id_, **{"bid_request": BidRequest(id=id_), **fields})


def items(*all_):
    return StreamBidsRequest(
        items=[each if isinstance(each, StreamBidsItem) else item(each) for each in all_]
    )


async def results(stream, count):
    """The next results, as many as asked for."""
    found = []
    while len(found) < count:
        message = await stream.read()
        assert message is not grpc.aio.EOF, f"the stream ended after {found}"
        found += message.results
    assert len(found) == count, found
    return found


async def answered(stream, count):
    return [result.bid_response.id for result in await results(stream, count)]


async def until(condition):
    """Waits for what other tasks will make true."""
    while not condition():  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0)


def reason(result):
    """The reason in an item's status, whose bytes are a google.rpc.Status."""
    return detail(result, ErrorInfo).reason


def detail(result, kind):
    status = Status.FromString(result.status.SerializeToString())
    [packed] = [each for each in status.details if each.Is(kind.DESCRIPTOR)]
    found = kind()
    assert packed.Unpack(found)
    return found


# Answers


async def test_answers_come_as_auctions_end_whatever_the_order_of_the_items(stream, auctions):
    await stream.write(items("a", "b"))
    await stream.write(items("c"))
    for id_ in ("c", "a", "b"):
        auctions.end(id_)
        [result] = await results(stream, 1)
        assert result.id == id_
        assert result.bid_response.id == id_
        assert not result.HasField("status")
        assert not result.HasField("report")


async def test_results_that_are_ready_in_one_tick_share_a_message(stream, auctions):
    ids = [str(n) for n in range(50)]
    await stream.write(items(*ids))
    await until(lambda: len(auctions.begun) == 50)
    auctions.end(*ids)
    message = await stream.read()
    assert {result.id for result in message.results} == set(ids)


async def test_shared_messages_stay_below_their_bound(stream, auctions):
    auctions.markup = "x" * (MAX_SHARED_BYTES // 3)
    ids = [str(n) for n in range(10)]
    await stream.write(items(*ids))
    await until(lambda: len(auctions.begun) == 10)
    auctions.end(*ids)
    counts = []
    while sum(counts) < 10:
        counts.append(len((await stream.read()).results))
    assert counts == [2] * 5


async def test_an_answer_above_the_bound_has_a_message_of_its_own(stream, auctions):
    auctions.markup = "x" * (MAX_SHARED_BYTES + 1)
    auctions.end_all()
    await stream.write(items("a", "b"))
    assert [len((await stream.read()).results) for _ in range(2)] == [1, 1]


async def test_an_answer_that_is_too_large_fails_its_item_alone(host, auctions):
    stream = (await host(auctions, max_message_bytes=100_000)).open()
    auctions.markup = "x" * 100_000
    auctions.end("large", "small")
    await stream.write(items("large"))
    [result] = await results(stream, 1)
    assert result.id == "large"
    assert result.status.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    assert reason(result) == "MESSAGE_TOO_LARGE"
    assert detail(result, ErrorInfo).metadata["limit"] == "100000"
    auctions.markup = ""
    await stream.write(items("small"))
    assert await answered(stream, 1) == ["small"]


async def test_a_message_without_items_does_nothing(stream, auctions):
    await stream.write(StreamBidsRequest())
    auctions.end("a")
    await stream.write(items("a"))
    assert await answered(stream, 1) == ["a"]


# Items that fail


async def test_a_refused_item_tells_why_and_the_stream_goes_on(stream, auctions):
    auctions.errors["bad"] = InvalidRequest(Violation("imp[0].video.mimes", "expected one"))
    auctions.end("bad", "good")
    await stream.write(items("bad", "good"))
    by_id = {result.id: result for result in await results(stream, 2)}
    assert by_id["good"].bid_response.id == "good"
    assert by_id["bad"].WhichOneof("answer") is None
    assert by_id["bad"].status.code == INVALID
    assert by_id["bad"].status.message == "imp[0].video.mimes: expected one"
    assert reason(by_id["bad"]) == "REQUEST_INVALID"
    assert detail(by_id["bad"], ErrorInfo).domain == "xsp"
    [violation] = detail(by_id["bad"], BadRequest).field_violations
    assert violation.field == "imp[0].video.mimes"


async def test_a_bug_costs_its_item_alone_and_the_log_can_be_found(stream, auctions, capsys):
    auctions.errors["bug"] = ZeroDivisionError("secret")
    auctions.end("bug", "good")
    await stream.write(items("bug", "good"))
    by_id = {result.id: result for result in await results(stream, 2)}
    assert by_id["good"].bid_response.id == "good"
    assert by_id["bug"].status.code == grpc.StatusCode.INTERNAL.value[0]
    assert "secret" not in by_id["bug"].status.message
    info = detail(by_id["bug"], ErrorInfo)
    assert info.reason == "INTERNAL_FAULT"
    log = "".join(capsys.readouterr())
    assert "ZeroDivisionError" in log
    assert info.metadata["request_id"] in log


@pytest.mark.parametrize(
    ("wrong", "reason_", "path"),
    [
        (item(""), "FIELD_REQUIRED", "id"),
        (item("x" * (MAX_ID_BYTES + 1)), "FIELD_INVALID", "id"),
        (item("ä" * (MAX_ID_BYTES // 2 + 1)), "FIELD_INVALID", "id"),
        (StreamBidsItem(id="a"), "FIELD_REQUIRED", "bid_request"),
        (item("a", timeout=Duration()), "FIELD_INVALID", "timeout"),
        (item("a", timeout=Duration(seconds=-1)), "FIELD_INVALID", "timeout"),
    ],
)
async def test_a_wrong_field_is_named(stream, auctions, wrong, reason_, path):
    auctions.end_all()
    await stream.write(items(wrong))
    [result] = await results(stream, 1)
    assert result.id == wrong.id
    assert result.status.code == INVALID
    assert reason(result) == reason_
    assert [each.field for each in detail(result, BadRequest).field_violations] == [path]
    await stream.write(items("a"))  # a refusal is final: its id is free again
    assert await answered(stream, 1) == ["a"]


async def test_the_longest_id_is_taken(stream, auctions):
    auctions.end_all()
    id_ = "ä" * (MAX_ID_BYTES // 2)
    await stream.write(items(id_))
    assert await answered(stream, 1) == [id_]


@pytest.mark.parametrize(
    "options",
    [
        AuctionOptions(resolve_vast={}),
        AuctionOptions(test={"seed": 1}),
    ],
    ids=lambda options: options.ListFields()[0][0].name,
)
async def test_an_option_that_is_not_built_is_refused(host, exchange, options):
    stream = (await host(exchange())).open()
    await stream.write(items(item("a", options=options)))
    [result] = await results(stream, 1)
    assert result.status.code == grpc.StatusCode.UNIMPLEMENTED.value[0]
    assert detail(result, ErrorInfo).metadata["what"] == (
        f"options.{options.ListFields()[0][0].name}"
    )


# Ids


async def test_an_id_in_flight_is_refused_and_the_first_goes_on(stream, auctions):
    await stream.write(items("7", "7"))
    [refusal] = await results(stream, 1)
    assert refusal.id == "7"
    assert refusal.status.code == grpc.StatusCode.ALREADY_EXISTS.value[0]
    assert reason(refusal) == "ITEM_ID_IN_FLIGHT"
    await stream.write(items("7"))  # the refusal was no answer to the first
    assert reason((await results(stream, 1))[0]) == "ITEM_ID_IN_FLIGHT"
    auctions.end("7")
    assert await answered(stream, 1) == ["7"]
    assert auctions.begun == ["7"]


async def test_an_id_may_be_used_again_after_its_final_answer(stream, auctions):
    auctions.end("7")
    for _ in range(3):
        await stream.write(items("7"))
        assert await answered(stream, 1) == ["7"]


async def test_streams_do_not_share_ids(host, auctions):
    server = await host(auctions)
    streams = server.open(), server.open()
    for each in streams:
        await each.write(items("7"))
    await until(lambda: auctions.begun == ["7", "7"])
    auctions.end("7")
    for each in streams:
        assert await answered(each, 1) == ["7"]


# How many at once


async def test_item_1001_in_flight_is_told_to_come_again(stream, auctions):
    ids = [str(n) for n in range(1001)]
    await stream.write(items(*ids))
    [refusal] = await results(stream, 1)
    assert refusal.id == "1000"
    assert refusal.status.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    assert reason(refusal) == "TOO_BUSY"
    assert detail(refusal, RetryInfo).retry_delay.ToMilliseconds() == 50
    auctions.end(*ids)
    assert sorted(await answered(stream, 1000), key=int) == ids[:1000]
    await stream.write(items("1000"))
    assert await answered(stream, 1) == ["1000"]


async def test_places_are_taken_by_items_and_calls_but_not_by_streams(host, auctions):
    server = await host(auctions, max_concurrent_calls=1)
    first, second = server.open(), server.open()
    await first.write(items("a"))
    await until(lambda: auctions.begun == ["a"])
    await second.write(items("b"))
    assert reason((await results(second, 1))[0]) == "TOO_BUSY"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await server.stub.Bid(BidRequest(id="c"))
    assert details(caught.value)["ErrorInfo"].reason == "TOO_BUSY"
    auctions.end_all()
    assert await answered(first, 1) == ["a"]
    assert (await server.stub.Bid(BidRequest(id="c"))).id == "c"
    await second.write(items("b"))
    assert await answered(second, 1) == ["b"]
    assert server.gate.inside == 0


# Time


async def test_an_item_has_the_time_that_it_says(stream, auctions):
    await stream.write(items(item("a", timeout=Duration(nanos=250_000_000)), "b"))
    await until(lambda: len(auctions.begun) == 2)
    assert 0.2 < auctions.remaining["a"] <= 0.25
    assert auctions.remaining["b"] is None


async def test_an_item_has_no_more_time_than_its_stream(host, auctions):
    stream = (await host(auctions)).open(timeout=20)
    await stream.write(items("a", item("b", timeout=Duration(seconds=60)), item("c")))
    await until(lambda: len(auctions.begun) == 3)
    assert all(10 < remaining < 30 for remaining in auctions.remaining.values())


async def test_an_item_whose_time_ran_out_before_it_could_begin_is_told(host, auctions):
    ticks = iter(range(100))  # a second passes at every look
    stream = (await host(auctions, clock=lambda: next(ticks))).open()
    await stream.write(items(item("a", timeout=Duration(nanos=500_000_000))))
    [result] = await results(stream, 1)
    assert result.status.code == grpc.StatusCode.DEADLINE_EXCEEDED.value[0]
    assert reason(result) == "DEADLINE_PASSED"
    assert not auctions.begun


# Options


async def test_partial_results_are_each_bidders_bids_as_they_come(stream, auctions):
    await stream.write(items(item("a", options=AuctionOptions(partial_results=True)), "b"))
    await until(lambda: len(auctions.begun) == 2)
    assert auctions.on_reply["b"] is None
    bids = BidResponse(id="of bidder x", seatbid=[{"bid": [{"id": "1", "price": 2.5}]}])
    auctions.on_reply["a"](Reply("quiet", Outcome.NO_BID, 1.0, BidResponse(id="a")))
    auctions.on_reply["a"](Reply("slow", Outcome.TIMEOUT, None))
    auctions.on_reply["a"](Reply("x", Outcome.BIDS, 12.345, bids))
    [first] = await results(stream, 1)
    assert first.id == "a"
    assert first.partial.bidder == "x"
    assert first.partial.arrival.ToMicroseconds() == 12_345
    assert first.partial.bid_response == bids
    await stream.write(items("a"))  # a partial answer is not the final one
    assert reason((await results(stream, 1))[0]) == "ITEM_ID_IN_FLIGHT"
    auctions.end("a")
    [final] = await results(stream, 1)
    assert final.WhichOneof("answer") == "bid_response"


async def test_a_partial_result_that_is_too_large_is_left_out(host, auctions):
    stream = (await host(auctions, max_message_bytes=10_000)).open()
    await stream.write(items(item("a", options=AuctionOptions(partial_results=True))))
    await until(lambda: auctions.begun)
    bids = BidResponse(seatbid=[{"bid": [{"id": "1", "adm": "x" * 10_000}]}])
    auctions.on_reply["a"](Reply("x", Outcome.BIDS, 1.0, bids))
    auctions.end("a")
    assert await answered(stream, 1) == ["a"]


# The end


async def test_after_the_last_message_what_is_under_way_is_answered_and_the_end_is_ok(
    stream, auctions
):
    await stream.write(items("a", "b"))
    await stream.done_writing()
    await until(lambda: len(auctions.begun) == 2)
    auctions.end("b")
    assert await answered(stream, 1) == ["b"]
    auctions.end("a")
    assert await answered(stream, 1) == ["a"]
    assert await stream.read() is grpc.aio.EOF
    assert await stream.code() is grpc.StatusCode.OK


async def test_a_stream_without_items_ends_ok(stream):
    await stream.done_writing()
    assert await stream.read() is grpc.aio.EOF
    assert await stream.code() is grpc.StatusCode.OK


@pytest.mark.parametrize(
    ("data", "status", "reason_"),
    [
        (b'{"items": []}', grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_UNDECODABLE"),
        (bytes(5_000), grpc.StatusCode.RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE"),
    ],
)
async def test_bytes_that_are_no_message_end_the_stream_after_what_came_before(
    host, auctions, data, status, reason_
):
    server = await host(auctions, max_message_bytes=4096)
    stream = server.channel.stream_stream("/xsp.bid.v1.BidService/StreamBids")()
    await stream.write(items("a").SerializeToString())
    await stream.write(data)
    await until(lambda: auctions.begun)
    auctions.end("a")
    message = StreamBidsResponse.FromString(await stream.read())
    assert [result.id for result in message.results] == ["a"]
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stream.read()
    assert caught.value.code() is status
    assert details(caught.value)["ErrorInfo"].reason == reason_


@pytest.mark.parametrize("how", ["cancels", "closes its channel", "passes its deadline"])
async def test_when_the_client_goes_auctions_end_by_themselves_and_unheard(
    host, auctions, caplog, how
):
    server = await host(auctions)
    stream = server.open(timeout=0.2 if how == "passes its deadline" else None)
    await stream.write(items("a", item("b", options=AuctionOptions(partial_results=True))))
    await until(lambda: len(auctions.begun) == 2)
    if how == "cancels":
        stream.cancel()
    elif how == "closes its channel":
        await server.channel.close()
    await until(lambda: not server.streams._open)
    assert server.gate.inside == 2  # nobody cancelled them
    closing = asyncio.ensure_future(server.streams.close())
    bids = BidResponse(seatbid=[{"bid": [{"id": "1"}]}])
    auctions.on_reply["b"](Reply("x", Outcome.BIDS, 1.0, bids))
    auctions.end("a", "b")
    await closing
    assert auctions.ended == ["a", "b"]
    assert server.gate.inside == 0
    assert not caplog.records


async def test_a_client_that_goes_while_answers_wait_for_it_leaves_no_trace(host, auctions, caplog):
    server = await host(auctions)
    stream = server.open()
    auctions.markup = "x" * 500_000
    auctions.end_all()
    await stream.write(items(*map(str, range(100))))
    [bids] = await opened(server)
    await until(lambda: bids._unsent_bytes >= MAX_UNSENT_BYTES)
    stream.cancel()
    await until(lambda: not server.streams._open)
    await server.streams.close()
    assert server.gate.inside == 0
    assert not caplog.records


# A peer that doesn't read


async def test_while_the_peer_does_not_read_its_requests_are_not_read_either(host, auctions):
    """50 MB of answers in all: gRPC and the socket hold some of them, the server a bounded rest."""
    server = await host(auctions)
    stream = server.open()
    auctions.markup = "x" * 50_000
    auctions.end_all()
    everything = [str(n) for n in range(1000)]

    async def send():
        for id_ in everything:
            await stream.write(items(id_))
        await stream.done_writing()

    sending = asyncio.ensure_future(send())
    [bids] = await opened(server)
    await until(lambda: bids._unsent_bytes >= MAX_UNSENT_BYTES)
    begun = len(auctions.begun)
    assert begun < 500
    for n in range(20):  # time passes
        assert await server.stub.Bid(BidRequest(id=f"unary {n}"))
    assert len(auctions.begun) == begun + 20
    assert bids._unsent_bytes < MAX_UNSENT_BYTES + 60_000
    assert sorted(await answered(stream, 1000), key=int) == everything
    assert await stream.read() is grpc.aio.EOF
    await sending


async def test_one_message_of_many_items_is_taken_no_faster_than_answers_go(host, auctions):
    server = await host(auctions)
    stream = server.open()
    everything = [str(n) for n in range(20_000)]
    await stream.write(items(*everything))
    await stream.done_writing()
    [bids] = await opened(server)
    most = 0

    async def watch():
        nonlocal most
        while server.streams._open:
            most = max(most, bids._unsent_bytes)
            await asyncio.sleep(0)

    watching = asyncio.ensure_future(watch())
    await until(lambda: len(auctions.begun) == 1000)
    found = []
    while len(found) < 19_000:  # item 1,001 and all that follow
        found += (await stream.read()).results
    assert {reason(result) for result in found} == {"TOO_BUSY"}
    assert most < MAX_UNSENT_BYTES + 1000
    auctions.end_all()
    assert sorted(await answered(stream, 1000), key=int) == everything[:1000]
    assert await stream.read() is grpc.aio.EOF
    await watching


async def opened(server):
    """The server's streams, once there is one."""
    await until(lambda: server.streams._open)
    return list(server.streams._open)


# A server that stops


async def test_a_server_that_stops_answers_what_is_under_way_and_says_so(host, auctions):
    server = await host(auctions)
    stream = server.open()
    await stream.write(items("a"))
    await until(lambda: auctions.begun)
    server.streams.drain()
    await stream.write(items("late"))
    [refusal] = await results(stream, 1)
    assert refusal.id == "late"
    assert refusal.status.code == grpc.StatusCode.UNAVAILABLE.value[0]
    assert reason(refusal) == "SERVER_NOT_SERVING"
    assert detail(refusal, RetryInfo).retry_delay.ToMilliseconds() == 1000
    auctions.end("a")
    assert await answered(stream, 1) == ["a"]
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stream.read()
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert details(caught.value)["ErrorInfo"].reason == "SERVER_NOT_SERVING"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await server.open().read()
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_server_that_stops_ends_an_idle_stream_at_once(host, auctions):
    server = await host(auctions)
    stream = server.open()
    await stream.write(StreamBidsRequest())
    await opened(server)
    server.streams.drain()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stream.read()
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


# Sessions


async def test_an_item_without_a_session_has_one_of_its_own(host, auctions):
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    metadata = [("x-request-id", "of the stream"), ("traceparent", trace)]
    stream = (await host(auctions)).open(metadata=metadata)
    await stream.write(items("a", "b"))
    await until(lambda: len(auctions.begun) == 2)
    one, other = auctions.sessions["a"].context, auctions.sessions["b"].context
    assert len({one.request_id, other.request_id, "of the stream"}) == 3
    assert one.traceparent == other.traceparent == trace


async def test_an_item_has_the_session_that_it_tells(stream, auctions):
    await stream.write(items(item("a", session={"request_id": "r-1", "user_id": "u-1"})))
    await until(lambda: auctions.begun)
    assert auctions.sessions["a"].context.request_id == "r-1"
    assert auctions.sessions["a"].context.user_id == "u-1"


async def test_a_wrong_session_fails_its_item(stream):
    await stream.write(items(item("a", session={"cachebusting": "x"})))
    [result] = await results(stream, 1)
    assert reason(result) == "FIELD_INVALID"
    [violation] = detail(result, BadRequest).field_violations
    assert violation.field == "session.cachebusting"


# With the exchange itself


@pytest.fixture
async def exchange():
    """An exchange with bidders in process."""
    settings = Settings()
    loop = asyncio.get_running_loop()
    fanouts = []
    fetcher = GuardedFetcher(AddressGuard())
    notices = Notices(NoticeSender(fetcher))

    def build(*bidders):
        transports = [registry.build("transport", each, "bidders") for each in bidders]
        planner = Planner.from_settings(
            settings.privacy, settings.schain, [each.settings for each in transports]
        )
        fanouts.append(FanOut([Bidder(transport, loop.time) for transport in transports]))
        exchange = Exchange(settings.auction, RuleBook(Rules()), planner, fanouts[-1])
        return served.Auctions(exchange, notices, None, "1.2.3")

    yield build
    for fanout in fanouts:
        await fanout.close()
    await fetcher.close()


def simulated(name, price):
    return {"type": "simulated", "name": name, "seed": 7, "price": price, "latency_ms": 1}


async def test_an_item_gets_the_answer_of_its_auction(host, exchange, sample):
    stream = (await host(exchange(simulated("high", 9.0), simulated("low", 6.5)))).open()
    await stream.write(items(item("a", bid_request=sample)))
    [result] = await results(stream, 1)
    assert result.id == "a"
    assert result.bid_response.id == sample.id
    assert {each.price for seat in result.bid_response.seatbid for each in seat.bid} == {6.51}


async def test_the_standard_is_kept_item_by_item(host, exchange, sample):
    stream = (await host(exchange(simulated("a", 9.0)))).open()
    await stream.write(
        items(item("bad", bid_request=BidRequest(id="1")), item("good", bid_request=sample))
    )
    by_id = {result.id: result for result in await results(stream, 2)}
    assert by_id["good"].bid_response.seatbid
    assert reason(by_id["bad"]) == "REQUEST_INVALID"
    paths = {each.field for each in detail(by_id["bad"], BadRequest).field_violations}
    assert paths == {"imp"}


@pytest.mark.parametrize("level", ["SUMMARY", "FULL"])
async def test_a_report_comes_with_the_final_answer_where_it_is_asked_for(
    host, exchange, sample, level
):
    stream = (await host(exchange(simulated("a", 9.0)))).open()
    explain = ExplainLevel.Value(f"EXPLAIN_LEVEL_{level}")
    await stream.write(
        items(item("a", bid_request=sample, options=AuctionOptions(explain=explain)))
    )
    [result] = await results(stream, 1)
    assert result.bid_response.seatbid
    assert result.report.level == explain
    assert result.report.openrtb_request_id == sample.id
    assert [bidder.bidder for bidder in result.report.bidders] == ["a"]


@pytest.mark.parametrize("level", ["UNSPECIFIED", "NONE"])
async def test_no_report_comes_unless_it_is_asked_for(host, exchange, sample, level):
    stream = (await host(exchange(simulated("a", 9.0)))).open()
    options = AuctionOptions(explain=ExplainLevel.Value(f"EXPLAIN_LEVEL_{level}"))
    await stream.write(items(item("a", bid_request=sample, options=options)))
    [result] = await results(stream, 1)
    assert not result.HasField("report")


async def test_a_report_names_the_rules(host, exchange, sample):
    stream = (await host(exchange())).open()
    options = AuctionOptions(explain=ExplainLevel.EXPLAIN_LEVEL_FULL)
    await stream.write(items(item("a", bid_request=sample, options=options)))
    [result] = await results(stream, 1)
    rules = Rules(deadline_ms=sample.tmax - AuctionSettings().margin_ms)
    assert result.report.rules_digest == rules_in_force(rules, AnswerForm()).digest


async def test_a_record_comes_with_the_final_answer_where_it_is_asked_for(host, exchange, sample):
    stream = (await host(exchange(simulated("a", 9.0)))).open()
    options = AuctionOptions(record=True)
    session = {"request_id": "r-1"}
    await stream.write(items(item("a", bid_request=sample, options=options, session=session)))
    [result] = await results(stream, 1)
    assert not result.HasField("report")
    assert result.record.bid_request == sample
    assert result.record.bid_response == result.bid_response
    assert result.record.server_version == "1.2.3"
    assert result.record.session.request_id == "r-1"
    assert result.record.options == options
    assert [reply.bidder for reply in result.record.replies] == ["a"]
