"""Streaming gRPC bidders over real sockets: one stream, many asks, answers in any order."""

import asyncio
from contextlib import AsyncExitStack

import grpc
import pytest
import uvloop

from upstream.certificates import Authority
from xsp.bid.v1.bid_service_pb2 import StreamBidsRequest, StreamBidsResponse, StreamBidsResult
from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp.rpc.v1.status_pb2 import Status
from xsp_server.openrtb.reply import Outcome
from xsp_server.upstream import Ask, TransportError, grpc_stream
from xsp_server.upstream.gathering import Gathering
from xsp_server.upstream.grpc_stream import GrpcStreamTransport


class Bidder:
    """Serves StreamBids; the test reads what came and says what goes back."""

    def __init__(self):
        self.streams = asyncio.Queue()
        self.open = []

    async def serve(self, _requests, context):
        stream = Stream(context)
        self.open.append(stream)
        self.streams.put_nowait(stream)
        await stream.over.wait()
        if stream.status is not None:
            await context.abort(stream.status, "because")


class Stream:
    """One stream, as the bidder sees it."""

    def __init__(self, context):
        self.context = context
        self.over = asyncio.Event()
        self.status = None

    async def message(self):
        """The next message; None: the other side has no more."""
        async with asyncio.timeout(10):
            data = await self.context.read()
        return None if data is grpc.aio.EOF else StreamBidsRequest.FromString(data)

    async def items(self, count):
        """As many items, out of however many messages."""
        items = []
        while len(items) < count:
            items += (await self.message()).items
        return items

    async def answer(self, *results):
        await self.context.write(StreamBidsResponse(results=results).SerializeToString())

    async def bid_next(self):
        """Reads an item, and answers it as usual."""
        [item] = await self.items(1)
        await self.bid(item)

    async def bid(self, item):
        """The usual answer to an item."""
        await self.answer(answer_to(item))

    def end(self, status=None):
        self.status = status
        self.over.set()


def answer_to(item):
    response = BidResponse(id=item.bid_request.id, bidid=f"to {item.id}")
    return StreamBidsResult(id=item.id, bid_response=response)


@pytest.fixture
async def bidder():
    """Serves a bidder; gives it and a transport to it."""
    async with AsyncExitStack() as stack:

        async def start(port=0, credentials=None, host="127.0.0.1", **settings):
            made = Bidder()
            server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
            handler = grpc.stream_stream_rpc_method_handler(made.serve)
            service = {"StreamBids": handler}
            server.add_generic_rpc_handlers(
                [grpc.method_handlers_generic_handler("xsp.bid.v1.BidService", service)]
            )
            if credentials is None:
                port = server.add_insecure_port(f"127.0.0.1:{port}")
            else:
                port = server.add_secure_port("127.0.0.1:0", credentials)
            await server.start()
            stack.push_async_callback(server.stop, None)
            transport = to(f"{host}:{port}", **settings)
            stack.push_async_callback(transport.close)
            stack.callback(lambda: [stream.end() for stream in made.open])
            made.port, made.server = port, server
            return made, transport

        yield start


def to(endpoint, sleep=asyncio.sleep, chance=lambda: 1.0, **settings):
    settings = GrpcStreamTransport.Settings(name="acme", endpoint=endpoint, **settings)
    return GrpcStreamTransport(settings, sleep=sleep, chance=chance)


def ask(request_id="r", **request):
    return Ask(BidRequest(id=request_id, **request))


def sent(transport, *asks, timeout=10.0):
    """Sends, all in one tick, and gives the calls."""
    return [asyncio.ensure_future(transport.send(each, timeout)) for each in asks]


async def failure(call):
    with pytest.raises(TransportError) as caught:
        await call
    return caught.value


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0)


# Many asks on one stream.


async def test_answers_find_their_asks_in_any_order(bidder):
    acme, transport = await bidder()
    calls = sent(transport, *(ask(f"r{n}") for n in range(50)))
    stream = await acme.streams.get()
    for item in reversed(await stream.items(50)):
        await stream.bid(item)
    assert [(await call).id for call in calls] == [f"r{n}" for n in range(50)]
    assert transport.streams == 1
    assert transport.in_flight == 0


async def test_asks_of_one_tick_share_a_message_and_answers_may_too(bidder):
    acme, transport = await bidder()
    calls = sent(transport, *(ask(f"r{n}") for n in range(20)))
    stream = await acme.streams.get()
    message = await stream.message()
    assert [item.bid_request.id for item in message.items] == [f"r{n}" for n in range(20)]
    assert len({item.id for item in message.items}) == 20
    await stream.answer(*map(answer_to, message.items))
    assert [(await call).id for call in calls] == [f"r{n}" for n in range(20)]


async def test_asks_that_come_often_wait_for_each_other_unless_their_time_is_short(bidder):
    acme, transport = await bidder()
    transport._gathering = Gathering(transport._wanted.set, 1000.0)  # which no test lasts
    transport._hurry_below = 1000.0
    calls = sent(transport, ask("alone"))
    stream = await acme.streams.get()
    assert [item.bid_request.id for item in (await stream.message()).items] == ["alone"]
    for name in ("a", "b"):
        calls += sent(transport, ask(name), timeout=2000.0)
        await asyncio.sleep(0)
    calls += sent(transport, ask("in a hurry"), timeout=10.0)
    message = await stream.message()
    assert [item.bid_request.id for item in message.items] == ["a", "b", "in a hurry"]
    await stream.answer(*map(answer_to, message.items))
    assert [(await call).id for call in calls[1:]] == ["a", "b", "in a hurry"]


@pytest.mark.parametrize("gather_ms", [0.0, 5.0])
async def test_what_less_than_ten_times_the_wait_is_left_for_waits_not_at_all(gather_ms):
    transport = to("127.0.0.1:1", gather_ms=gather_ms)
    assert transport._hurry_below == gather_ms / 100
    await transport.close()


async def test_a_message_does_not_grow_without_end(bidder, monkeypatch):
    monkeypatch.setattr(grpc_stream, "MESSAGE_BYTES", 1000)
    acme, transport = await bidder()
    calls = sent(transport, *(ask(f"r{n}", cur=["x" * 400]) for n in range(6)))
    stream = await acme.streams.get()
    sizes = []
    while sum(sizes) < 6:
        message = await stream.message()
        sizes.append(len(message.items))
        await stream.answer(*map(answer_to, message.items))
    assert max(sizes) <= 3
    await asyncio.gather(*calls)


async def test_an_item_is_the_request_with_what_is_left_of_its_time(bidder):
    acme, transport = await bidder()
    request = ask("r", imp=[{"id": "1", "banner": {"w": 300}}], cur=["USD" * 200])
    [call] = sent(transport, request, timeout=10)
    stream = await acme.streams.get()
    [item] = await stream.items(1)
    assert item.bid_request == request.request
    assert 5 < item.timeout.seconds + item.timeout.nanos / 1e9 <= 10
    assert not item.HasField("session")
    await stream.bid(item)
    await call


class Session:
    """What gRPC asks of a session."""

    def metadata(self):
        return (("x-request-id", "r-1"), ("traceparent", "t-1"), ("unknown", "x"))


async def test_the_session_goes_in_with_its_item_and_settings_with_the_stream(bidder):
    acme, transport = await bidder(headers={"X-Api-Key": "k"})
    headers = {"Accept-Language": "pt-BR"}
    [call] = sent(transport, Ask(BidRequest(id="r"), headers, Session()))
    stream = await acme.streams.get()
    [item] = await stream.items(1)
    assert item.session.request_id == "r-1"
    assert item.session.traceparent == "t-1"
    assert item.session.language == "pt-BR"
    assert ("x-api-key", "k") in stream.context.invocation_metadata()
    await stream.bid(item)
    await call


# Time and room.


async def test_a_deadline_ends_its_ask_and_not_the_stream(bidder):
    acme, transport = await bidder(max_in_flight=1)
    error = await failure(transport.send(ask("slow"), 0.05))
    assert error.outcome is Outcome.TIMEOUT
    assert error.detail == "no answer in 50 ms"
    stream = await acme.streams.get()
    [slow] = await stream.items(1)
    [call] = sent(transport, ask("next"))  # there is room for it again
    [item] = await stream.items(1)
    await stream.bid(slow)
    await stream.bid(item)
    assert (await call).id == "next"
    assert (transport.late, transport.strays, transport.streams) == (1, 0, 1)


async def test_every_ask_ends_by_its_own_deadline_whatever_their_order(bidder):
    acme, transport = await bidder()
    ended = []

    async def fail(seconds):
        assert (await failure(transport.send(ask(), seconds))).outcome is Outcome.TIMEOUT
        ended.append(seconds)

    answered = asyncio.ensure_future(transport.send(ask("answered"), 0.02))
    await (await acme.streams.get()).bid_next()
    await answered
    await asyncio.gather(*(fail(seconds) for seconds in (0.2, 0.05, 0.1, 0.15)))
    assert ended == [0.05, 0.1, 0.15, 0.2]
    assert transport.in_flight == 0


async def test_an_ask_that_began_without_a_task_ends_as_any_other(bidder):
    acme, transport = await bidder()
    answer, overdue = transport.begin(ask("r"), 10.0), transport.begin(ask("slow"), 0.05)
    stream = await acme.streams.get()
    await stream.bid((await stream.items(2))[0])
    assert (await answer).id == "r"
    with pytest.raises(TransportError, match="no answer in 50 ms"):
        await overdue


async def test_late_answers_are_known_up_to_a_number(bidder, monkeypatch):
    monkeypatch.setattr(grpc_stream, "REMEMBERED", 2)
    acme, transport = await bidder()
    calls = sent(transport, *(ask(f"r{n}") for n in range(4)), timeout=0.3)
    stream = await acme.streams.get()
    items = await stream.items(4)
    await asyncio.gather(*map(failure, calls))
    await stream.answer(*map(answer_to, items))
    await until(lambda: transport.late + transport.strays == 4)
    assert (transport.late, transport.strays) == (2, 2)


async def test_an_answer_to_nothing_is_counted_and_changes_nothing(bidder):
    acme, transport = await bidder()
    [call] = sent(transport, ask("r"))
    stream = await acme.streams.get()
    [item] = await stream.items(1)
    nobody = StreamBidsResult(id="nobody", bid_response=BidResponse(id="r"))
    await stream.answer(nobody, answer_to(item), answer_to(item))
    assert (await call).bidid == f"to {item.id}"
    assert (transport.late, transport.strays) == (0, 2)


async def test_one_ask_above_the_limit_fails_at_once(bidder):
    acme, transport = await bidder(max_in_flight=2)
    calls = sent(transport, ask("a"), ask("b"))
    stream = await acme.streams.get()
    items = await stream.items(2)
    error = await failure(transport.send(ask("c"), 10))
    assert error.outcome is Outcome.ERROR
    assert error.detail == "2 asks are in flight (max_in_flight)"
    await stream.answer(*map(answer_to, items))
    await asyncio.gather(*calls)


async def test_a_caller_that_walks_away_frees_its_place(bidder):
    acme, transport = await bidder(max_in_flight=1)
    [call] = sent(transport, ask("a"))
    stream = await acme.streams.get()
    [item] = await stream.items(1)
    call.cancel()
    await asyncio.wait([call])
    await stream.bid(item)
    await until(lambda: transport.late == 1)
    assert transport.in_flight == 0


async def test_a_bidder_that_does_not_read_holds_no_asks_beyond_their_deadlines(bidder):
    acme, transport = await bidder()
    large = ask("large", cur=["x" * 200_000])
    calls = sent(transport, *(large for _ in range(40)), timeout=0.3)
    errors = [await failure(call) for call in calls]
    assert {error.outcome for error in errors} == {Outcome.TIMEOUT}
    assert not transport._queued
    assert transport.in_flight == 0
    stream = await acme.streams.get()  # it reads again
    [call] = sent(transport, ask("last"))
    while (item := (await stream.items(1))[-1]).bid_request.id != "last":
        pass
    await stream.bid(item)
    assert (await call).id == "last"


# Answers that are none.


@pytest.mark.parametrize(
    ("code", "outcome", "detail"),
    [
        (3, Outcome.ERROR, "INVALID_ARGUMENT"),
        (4, Outcome.TIMEOUT, "DEADLINE_EXCEEDED"),
        (8, Outcome.ERROR, "RESOURCE_EXHAUSTED"),
        (14, Outcome.UNREACHABLE, "UNAVAILABLE"),
        (99, Outcome.ERROR, "UNKNOWN"),
    ],
)
async def test_the_status_of_an_item_is_its_own(bidder, code, outcome, detail):
    acme, transport = await bidder()
    good, bad = sent(transport, ask("good"), ask("bad"))
    stream = await acme.streams.get()
    one, other = await stream.items(2)
    status = Status(code=code, message="because")
    await stream.answer(StreamBidsResult(id=other.id, status=status), answer_to(one))
    error = await failure(bad)
    assert error.outcome is outcome
    assert error.detail == f"{detail}: because"
    assert error.grpc_status == detail
    assert (await good).id == "good"


async def test_a_result_without_an_answer_is_an_invalid_response(bidder):
    acme, transport = await bidder()
    [call] = sent(transport, ask("r"))
    stream = await acme.streams.get()
    [item] = await stream.items(1)
    await stream.answer(StreamBidsResult(id=item.id))
    assert (await failure(call)).outcome is Outcome.INVALID_RESPONSE


async def test_partial_answers_are_passed_over(bidder):
    acme, transport = await bidder()
    [call] = sent(transport, ask("r"))
    stream = await acme.streams.get()
    [item] = await stream.items(1)
    partial = StreamBidsResult(id=item.id, partial={"bidder": "inner", "bid_response": {"id": "r"}})
    await stream.answer(partial, answer_to(item))
    assert (await call).bidid == f"to {item.id}"


async def test_bytes_that_are_no_message_fail_what_is_out_and_not_the_stream(bidder):
    acme, transport = await bidder()
    calls = sent(transport, ask("a"), ask("b"))
    stream = await acme.streams.get()
    await stream.items(2)
    await stream.context.write(b"\xff\xff\xff")
    assert {(await failure(call)).outcome for call in calls} == {Outcome.INVALID_RESPONSE}
    [call] = sent(transport, ask("c"))
    [item] = await stream.items(1)
    await stream.bid(item)
    assert (await call).id == "c"
    assert transport.streams == 1


async def test_an_answer_above_the_limit_fails_alone(bidder):
    acme, transport = await bidder(max_response_bytes=2048)
    small, large = sent(transport, ask("small"), ask("large"))
    stream = await acme.streams.get()
    one, other = await stream.items(2)
    much = answer_to(other)
    much.bid_response.customdata = "x" * 3000
    await stream.answer(much, answer_to(one))
    error = await failure(large)
    assert error.outcome is Outcome.INVALID_RESPONSE
    assert "above 2048 bytes" in error.detail
    assert (await small).id == "small"


# Streams that break.


@pytest.mark.parametrize("status", [None, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE])
async def test_a_stream_that_ends_fails_what_is_out_and_is_replaced_at_once(bidder, status):
    acme, transport = await bidder(sleep=never)
    first, lost = sent(transport, ask("a"), ask("b"))
    stream = await acme.streams.get()
    one, _ = await stream.items(2)
    await stream.bid(one)
    assert (await first).id == "a"
    stream.end(status)
    error = await failure(lost)
    unavailable = status is grpc.StatusCode.UNAVAILABLE
    assert error.outcome is (Outcome.UNREACHABLE if unavailable else Outcome.ERROR)
    assert ("ended the stream" if status is None else "because") in error.detail
    assert error.grpc_status == ("" if status is None else status.name)
    [call] = sent(transport, ask("c"))
    stream = await acme.streams.get()
    [item] = await stream.items(1)
    await stream.bid(item)
    assert (await call).id == "c"
    assert transport.streams == 2


async def never(seconds):
    raise AssertionError(f"a pause of {seconds} s")


class Stuck:
    """A call of gRPC's that takes one message and no more, until it breaks."""

    def __init__(self):
        self.written = []
        self.answers = asyncio.Queue()
        self.broken = asyncio.Event()

    async def write(self, data):
        self.written.append(StreamBidsRequest.FromString(data))
        if len(self.written) > 1:
            await self.broken.wait()
            raise asyncio.InvalidStateError

    async def read(self):
        data = await self.answers.get()
        if data is grpc.aio.EOF:
            self.broken.set()
        return data


async def test_asks_that_were_not_sent_yet_go_over_the_next_stream(monkeypatch):
    monkeypatch.setattr(grpc_stream, "MESSAGE_BYTES", 1)
    transport = to("127.0.0.1:1", sleep=never)
    streams = [Stuck(), Stuck()]
    opened = iter(streams)
    channel = transport._dialer.open()
    monkeypatch.setattr(channel, "stream_stream", lambda _: lambda **_: next(opened))
    monkeypatch.setattr(transport._dialer, "open", lambda: channel)
    answered, lost, queued = sent(transport, ask("answered"), ask("lost"), ask("queued"))
    await until(lambda: len(streams[0].written) == 2)
    [item] = streams[0].written[0].items
    streams[0].answers.put_nowait(StreamBidsResponse(results=[answer_to(item)]).SerializeToString())
    assert (await answered).id == "answered"
    streams[0].answers.put_nowait(grpc.aio.EOF)
    assert (await failure(lost)).outcome is Outcome.ERROR
    await until(lambda: streams[1].written)
    [item] = streams[1].written[0].items
    assert item.bid_request.id == "queued"
    streams[1].answers.put_nowait(StreamBidsResponse(results=[answer_to(item)]).SerializeToString())
    assert (await queued).id == "queued"
    transport._keeper.cancel()
    await asyncio.wait([transport._keeper])
    await transport.close()


async def test_when_nobody_is_there_asks_that_were_not_sent_fail_too(monkeypatch):
    monkeypatch.setattr(grpc_stream, "MESSAGE_BYTES", 1)
    transport = to("127.0.0.1:1")
    calls = sent(transport, ask("a"), ask("b"), ask("c"))
    assert {(await failure(call)).outcome for call in calls} == {Outcome.UNREACHABLE}
    await transport.close()


async def test_while_nobody_is_there_pauses_grow_and_asks_fail_at_once():
    pauses, go_on = asyncio.Queue(), asyncio.Queue()

    async def sleep(seconds):
        pauses.put_nowait(seconds)
        await go_on.get()

    transport = to("127.0.0.1:1", sleep=sleep)
    error = await failure(transport.send(ask("a"), 10))
    assert error.outcome is Outcome.UNREACHABLE
    assert error.grpc_status == "UNAVAILABLE"
    seen = [await pauses.get()]
    error = await failure(transport.send(ask("b"), 10))
    assert error.outcome is Outcome.UNREACHABLE
    assert "waiting to reconnect" in error.detail
    assert transport.streams == 1
    for _ in range(7):
        go_on.put_nowait(None)
        seen.append(await pauses.get())
    assert seen == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    await transport.close()


async def test_a_bidder_that_comes_back_is_found(bidder):
    before, unused = await bidder()
    await unused.close()
    await before.server.stop(None)
    transport = to(f"127.0.0.1:{before.port}")
    await failure(transport.send(ask("a"), 10))
    acme, _ = await bidder(port=before.port)
    stream = await acme.streams.get()
    [call] = sent(transport, ask("b"))
    [item] = await stream.items(1)
    await stream.bid(item)
    assert (await call).id == "b"
    await transport.close()


async def test_exchanges_do_not_all_come_back_at_the_same_moment():
    pauses, chances = asyncio.Queue(), iter([0.0, 0.5])

    async def sleep(seconds):
        pauses.put_nowait(seconds)

    def chance():
        return next(chances, 1.0)

    transport = to("127.0.0.1:1", sleep=sleep, chance=chance)
    await failure(transport.send(ask("a"), 10))
    assert await pauses.get() == pytest.approx(0.1 * 0.5)
    assert await pauses.get() == pytest.approx(0.2 * 0.75)
    await transport.close()


async def test_whatever_ends_the_keeping_of_streams_it_begins_again(bidder):
    acme, transport = await bidder()
    [call] = sent(transport, ask("a"))
    await acme.streams.get()
    transport._keeper.cancel()
    await asyncio.wait([transport._keeper])
    call.cancel()
    [call] = sent(transport, ask("b"))
    stream = await acme.streams.get()
    [item] = await stream.items(1)
    await stream.bid(item)
    assert (await call).id == "b"


async def test_a_session_that_breaks_costs_its_own_ask_only(bidder):
    class Broken:
        def metadata(self):
            raise ZeroDivisionError

    acme, transport = await bidder()
    with pytest.raises(ZeroDivisionError):
        await transport.send(Ask(BidRequest(id="a"), session=Broken()), 10)
    assert transport.in_flight == 0
    [call] = sent(transport, ask("b"))
    stream = await acme.streams.get()
    [item] = await stream.items(1)
    await stream.bid(item)
    assert (await call).id == "b"


# The end.


async def test_closing_tells_the_bidder_that_no_more_will_come(bidder):
    acme, transport = await bidder()
    [call] = sent(transport, ask("r"))
    stream = await acme.streams.get()
    [item] = await stream.items(1)
    await stream.bid(item)
    await call
    closing = asyncio.ensure_future(transport.close())
    assert await stream.message() is None
    stream.end()
    await closing


async def test_a_bidder_that_does_not_end_the_stream_is_not_waited_for_long(bidder, monkeypatch):
    monkeypatch.setattr(grpc_stream, "CLOSING_SECONDS", 0.05)
    acme, transport = await bidder()
    [call] = sent(transport, ask("r"))
    stream = await acme.streams.get()
    [item] = await stream.items(1)
    await stream.bid(item)
    await call
    await transport.close()
    assert transport._keeper.done()


async def test_closing_does_not_wait_for_a_pause_to_end():
    paused = asyncio.Event()

    async def sleep(_seconds):
        paused.set()
        await asyncio.Event().wait()

    transport = to("127.0.0.1:1", sleep=sleep)
    await failure(transport.send(ask("a"), 10))
    await paused.wait()
    await transport.close()
    assert transport._keeper.done()


async def test_closing_ends_asks_that_nobody_will_send(monkeypatch):
    monkeypatch.setattr(grpc_stream, "MESSAGE_BYTES", 1)
    transport = to("127.0.0.1:1", sleep=never)
    stream, channel = Stuck(), transport._dialer.open()
    monkeypatch.setattr(channel, "stream_stream", lambda _: lambda **_: stream)
    monkeypatch.setattr(transport._dialer, "open", lambda: channel)
    answered, lost, queued = sent(transport, *map(ask, ("answered", "lost", "queued")))
    await until(lambda: len(stream.written) == 2)
    [item] = stream.written[0].items
    stream.answers.put_nowait(StreamBidsResponse(results=[answer_to(item)]).SerializeToString())
    await answered
    closing = asyncio.ensure_future(transport.close())
    stream.answers.put_nowait(grpc.aio.EOF)
    await closing
    assert (await failure(lost)).outcome is Outcome.ERROR
    assert (await failure(queued)).detail == "the transport was closed"
    assert not transport.in_flight


def test_on_the_event_loop_of_production_a_deadline_wakes_once(monkeypatch):
    """Its clock goes by the ms: a timer may find its time not quite there."""
    woken = []
    monkeypatch.setattr(GrpcStreamTransport, "_keep_stream", lambda *_: None)
    end_overdue = GrpcStreamTransport._end_overdue

    def wake(self, loop):
        woken.append(loop.time())
        end_overdue(self, loop)

    monkeypatch.setattr(GrpcStreamTransport, "_end_overdue", wake)

    async def scenario():
        transport = to("127.0.0.1:1")
        for micros in range(10_000, 11_000, 100):
            error = await failure(transport.send(ask(), micros / 1e6))
            assert error.outcome is Outcome.TIMEOUT

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scenario())
    assert len(woken) == 10


async def test_closing_what_was_never_opened_is_fine():
    await to("127.0.0.1:1").close()


# Exchanges.


async def test_an_exchange_is_the_bidder_of_another_over_one_stream(serve, dial, sample):
    sample.tmax = 5000
    simulated = {"type": "simulated", "name": "a", "price": 9.0, "latency_ms": 5}
    inner = await serve(simulated)
    outer = await serve({"type": "grpc-stream", "name": "inner", "endpoint": inner.address})
    bid = dial(outer).Bid
    responses = await asyncio.gather(*(bid(sample) for _ in range(20)))
    for response in responses:
        assert {bid.impid for seat in response.seatbid for bid in seat.bid} == {
            "pre-roll",
            "home-banner",
        }


# TLS.


async def test_tls_with_a_certificate_of_our_own(bidder, tmp_path):
    authority = Authority.make(tmp_path)
    localhost, exchange = authority.sign("localhost"), authority.sign("exchange.example")
    ca = authority.pair.cert
    credentials = grpc.ssl_server_credentials(
        [(localhost.key.read_bytes(), localhost.cert.read_bytes())], ca.read_bytes(), True
    )
    own = {"client_cert": exchange.cert, "client_key": exchange.key}
    acme, transport = await bidder(credentials=credentials, host="localhost", ca=ca, **own)
    [call] = sent(transport, ask("r"))
    stream = await acme.streams.get()
    [item] = await stream.items(1)
    await stream.bid(item)
    assert (await call).id == "r"
    anonymous = to(f"localhost:{acme.port}", ca=ca)
    assert (await failure(anonymous.send(ask("r"), 5))).outcome is Outcome.UNREACHABLE
    await anonymous.close()
