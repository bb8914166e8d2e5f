"""The failure table: one bidder breaks over a real socket, and the auction goes on without it.

In each case the answer comes in time, with everybody else's bids, and the report names the outcome.
"""

import asyncio
import socket
import ssl
from contextlib import AsyncExitStack, asynccontextmanager

import grpc
import pytest

from upstream.certificates import Authority
from xsp.bid.v1.auction_report_pb2 import BidderOutcome
from xsp.bid.v1.bid_service_pb2 import (
    RunAuctionRequest,
    StreamBidsResponse,
    StreamBidsResult,
)
from xsp_server.simulator import (
    BidderModel,
    BidderSettings,
    Fault,
    FaultSettings,
    Fixed,
    GrpcSimulator,
    HttpSimulator,
)

TMAX_MS = 1000
GRACE = 2.0  # a shared machine may stall for longer than a tmax; the auction itself may not


def model(seat, price, **settings):
    return BidderModel(BidderSettings(seat=seat, price=Fixed(price), **settings))


@asynccontextmanager
async def simulated(fault, **settings):
    """A bidder over HTTP whose every answer goes wrong; it would win."""
    faulty = FaultSettings(fault=fault, **settings)
    async with HttpSimulator(model("faulty", 50.0), fault=faulty) as http:
        yield {"type": "http", "endpoint": http.url}


def free_port():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return unused.getsockname()[1]


@asynccontextmanager
async def refused():
    yield {"type": "http", "endpoint": f"http://127.0.0.1:{free_port()}/"}


@asynccontextmanager
async def unknown_name():
    loop = asyncio.get_running_loop()
    lookup = loop.run_in_executor(None, socket.getaddrinfo, "bidder.invalid", 80)
    await asyncio.wait([lookup], timeout=TMAX_MS / 2000)
    if not lookup.done():
        pytest.skip("names take too long here to tell one that is unknown from one that hangs")
    assert isinstance(lookup.exception(), socket.gaierror)
    yield {"type": "http", "endpoint": "http://bidder.invalid/"}


@asynccontextmanager
async def unknown_certificate(folder):
    pair = Authority.make(folder).sign("localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", ssl=context)
    port = server.sockets[0].getsockname()[1]
    yield {"type": "http", "endpoint": f"https://localhost:{port}/"}
    server.close()


@asynccontextmanager
async def raw(answer):
    """A bidder that answers with bytes as they are."""

    async def serve(reader, writer):
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
            await reader.read()  # until the other side closes
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    yield {"type": "http", "endpoint": f"http://127.0.0.1:{port}/"}
    server.close()


def http(content_type, body):
    head = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n"
    return head % (content_type, len(body)) + body


def many_bids(count):
    bids = b",".join(b'{"id":"%d","impid":"1","price":1}' % number for number in range(count))
    return http(b"application/json", b'{"id":"r","seatbid":[{"bid":[%b]}]}' % bids)


@asynccontextmanager
async def grpc_refused(kind):
    yield {"type": kind, "endpoint": f"127.0.0.1:{free_port()}"}


@asynccontextmanager
async def grpc_simulated(**settings):
    async with GrpcSimulator(model("faulty", 50.0, **settings)) as simulator:
        yield {"type": "grpc", "endpoint": simulator.target}


@asynccontextmanager
async def stream(behave):
    """A bidder that reads the first message of each stream, and then behaves in some way."""

    async def serve(_, context):
        await context.read()
        await behave(context)

    server = grpc.aio.server()
    handler = grpc.stream_stream_rpc_method_handler(serve)
    service = grpc.method_handlers_generic_handler("xsp.bid.v1.BidService", {"StreamBids": handler})
    server.add_generic_rpc_handlers([service])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield {"type": "grpc-stream", "endpoint": f"127.0.0.1:{port}"}
    await server.stop(None)


async def breaks(context):
    await context.abort(grpc.StatusCode.INTERNAL, "broken")


async def ends(context):
    pass


async def says_garbage(context):
    await context.write(b"\xff\xff\xff")
    await hangs(context)


async def hangs(context):
    done = asyncio.Event()
    context.add_done_callback(lambda _: done.set())
    await done.wait()


async def says_too_much(context):
    result = StreamBidsResult(id="?", bid_response={"id": "x" * 4_000_000})
    await context.write(StreamBidsResponse(results=[result]).SerializeToString())
    await hangs(context)


CASES = {
    "refused": (refused, "UNREACHABLE", "Cannot connect"),
    "reset within the body": (lambda: simulated(Fault.RESET), "INVALID_RESPONSE", "cut off"),
    "slow headers": (lambda: simulated(Fault.SLOW_HEADERS), "TIMEOUT", "no answer"),
    "slow drip": (lambda: simulated(Fault.SLOW_BODY, pause_ms=20), "TIMEOUT", "no answer"),
    "garbage": (lambda: simulated(Fault.GARBAGE), "INVALID_RESPONSE", "UTF-8"),
    "wrong content type": (
        lambda: simulated(Fault.CONTENT_TYPE),
        "INVALID_RESPONSE",
        "Content-Type text/html",
    ),
    "a content type that is no text": (
        lambda: raw(http(b";;;=\xff", b"{}")),
        "INVALID_RESPONSE",
        "Content-Type ;;;=\\udcff",
    ),
    "informational answers without end": (
        lambda: raw(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
        "ERROR",
        "HTTP 100",
    ),
    "too many bids": (lambda: raw(many_bids(1001)), "INVALID_RESPONSE", "1001 bids"),
    "stream says too much": (lambda: stream(says_too_much), "INVALID_RESPONSE", "larger than max"),
    "500": (lambda: simulated(Fault.STATUS_500), "ERROR", "HTTP 500"),
    "huge body": (lambda: simulated(Fault.HUGE_BODY), "INVALID_RESPONSE", "above 1048576 bytes"),
    "wrong id": (lambda: simulated(Fault.WRONG_ID), "WRONG_REQUEST_ID", ""),
    "hang": (lambda: simulated(Fault.HANG), "TIMEOUT", "no answer"),
    "unknown name": (unknown_name, "UNREACHABLE", "bidder.invalid"),
    "grpc refused": (lambda: grpc_refused("grpc"), "UNREACHABLE", "UNAVAILABLE"),
    "grpc error": (lambda: grpc_simulated(error_rate=1.0), "ERROR", "INTERNAL"),
    "grpc hang": (lambda: grpc_simulated(timeout_rate=1.0), "TIMEOUT", ""),
    "stream refused": (lambda: grpc_refused("grpc-stream"), "UNREACHABLE", "UNAVAILABLE"),
    "stream breaks": (lambda: stream(breaks), "ERROR", "INTERNAL: broken"),
    "stream ends": (lambda: stream(ends), "ERROR", "ended the stream"),
    "stream of garbage": (lambda: stream(says_garbage), "INVALID_RESPONSE", "StreamBidsResponse"),
    "stream hangs": (lambda: stream(hangs), "TIMEOUT", "no answer"),
}


@pytest.fixture
async def others():
    """Bidders that work, over HTTP and gRPC: their sections, and each one's bids in an auction."""
    async with HttpSimulator(model("http", 9.0)) as http, GrpcSimulator(model("grpc", 7.0)) as rpc:
        yield [
            {"type": "http", "name": "good-http", "endpoint": http.url},
            {"type": "grpc", "name": "good-grpc", "endpoint": rpc.target},
        ]


async def run(bid_service, sample):
    """One auction: its report by bidder; answered in time, and with everybody else's bids."""
    sample.tmax = TMAX_MS
    loop = asyncio.get_running_loop()
    before = loop.time()
    answer = await bid_service.RunAuction(RunAuctionRequest(bid_request=sample))
    assert loop.time() - before < TMAX_MS / 1000 + GRACE
    bidders = {bidder.bidder: bidder for bidder in answer.report.bidders}
    for name in ("good-http", "good-grpc"):
        assert BidderOutcome.Name(bidders[name].outcome) == "BIDDER_OUTCOME_BIDS"
        assert len(bidders[name].bids) == len(sample.imp)
    [seat] = answer.bid_response.seatbid
    assert seat.seat == "http"
    assert {bid.impid for bid in seat.bid} == {imp.id for imp in sample.imp}
    return bidders


def check(bidder, outcome, detail):
    assert BidderOutcome.Name(bidder.outcome) == f"BIDDER_OUTCOME_{outcome}"
    assert detail in bidder.detail
    assert bidder.outcome_rule_id


@pytest.mark.parametrize("case", CASES)
async def test_a_bidder_that_breaks_costs_nobody_else(case, serve, dial, sample, others):
    faulty, outcome, detail = CASES[case]
    async with faulty() as section:
        server = await serve({"name": "faulty", **section}, *others)
        bidders = await run(dial(server), sample)
    check(bidders["faulty"], outcome, detail)


async def test_a_certificate_of_nobody_we_trust_costs_nobody_else(
    serve, dial, sample, others, tmp_path
):
    async with unknown_certificate(tmp_path) as section:
        server = await serve({"name": "faulty", **section}, *others)
        bidders = await run(dial(server), sample)
    check(bidders["faulty"], "UNREACHABLE", "certificate verify failed")


async def test_all_of_them_at_once_cost_nobody_else_time_and_again(serve, dial, sample, others):
    async with AsyncExitStack() as stack:
        sections = [
            {"name": name, **await stack.enter_async_context(faulty())}
            for name, (faulty, _, _) in CASES.items()
        ]
        server = await serve(*sections, *others)
        bid_service = dial(server)
        for _ in range(3):
            bidders = await run(bid_service, sample)
            outcomes = {name: bidders[name].outcome for name in CASES}
            assert BidderOutcome.BIDDER_OUTCOME_BIDS not in outcomes.values()
            assert BidderOutcome.BIDDER_OUTCOME_UNSPECIFIED not in outcomes.values()
