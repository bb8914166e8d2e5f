"""StreamBids against unary Bid: the same auctions on the same server, in the same run.

The server is a process of its own with bidders in process that have their answers ready. Unary has
`CALLERS` calls at once; the stream keeps `IN_FLIGHT` items in flight, sent one or `ITEMS` at a time
in a message. Compared are auctions a second, and CPU of the server an auction.
"""

import asyncio
import statistics
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any

import grpc
import uvloop

from canned import make_request
from servers import BID_METHOD, STREAM_METHOD, Process, canned
from xsp.bid.v1.bid_service_pb2 import StreamBidsItem, StreamBidsRequest, StreamBidsResponse
from xsp.openrtb.v2.bid_request_pb2 import BidRequest

LOADS = ((1, 1), (3, 1), (3, 2))
"""Bidders and imps; every bidder bids on every imp."""
CALLERS = 32
IN_FLIGHT = 64
ITEMS = 8
ROUNDS = 8
AUCTIONS_A_ROUND = 800

Load = Callable[[int], Awaitable[None]]


def run() -> dict[str, Any]:
    """Measures, and gives figures by load."""
    return {
        f"{bidders} bidders, {imps} imps": uvloop.run(_run(bidders, imps))
        for bidders, imps in LOADS
    }


async def _run(bidders: int, imps: int) -> dict[str, Any]:
    request = make_request(imps)
    async with (
        canned(bidders, imps) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        loads: dict[str, Load] = {
            "unary": partial(_unary, channel, request),
            "stream, 1 item a message": partial(_stream, channel, request, 1),
            f"stream, {ITEMS} items a message": partial(_stream, channel, request, ITEMS),
        }
        rates, cpu = await _measure(server, loads)
    unary = statistics.median(rates["unary"])
    return {
        "callers": CALLERS,
        "in_flight": IN_FLIGHT,
        "auctions_a_second": {name: round(statistics.median(r)) for name, r in rates.items()},
        "server_cpu_us": {name: round(statistics.mean(c) * 1e6) for name, c in cpu.items()},
        "times_unary": {name: statistics.median(r) / unary for name, r in rates.items()},
    }


async def _measure(
    server: Process, loads: dict[str, Load]
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Auctions a second and CPU seconds an auction, by load, round for round."""
    clock = asyncio.get_running_loop().time
    rates: dict[str, list[float]] = {name: [] for name in loads}
    cpu: dict[str, list[float]] = {name: [] for name in loads}
    for round_ in range(ROUNDS + 1):
        for name, load in loads.items():
            before, started = server.cpu_seconds(), clock()
            await load(AUCTIONS_A_ROUND)
            took, busy = clock() - started, server.cpu_seconds() - before
            if round_:  # the first one warms up
                rates[name].append(AUCTIONS_A_ROUND / took)
                cpu[name].append(busy / AUCTIONS_A_ROUND)
    return rates, cpu


async def _unary(channel: grpc.aio.Channel, request: BidRequest, auctions: int) -> None:
    bid, data = channel.unary_unary(BID_METHOD), request.SerializeToString()
    left = iter(range(auctions))

    async def caller() -> None:
        for _ in left:
            await bid(data)

    await asyncio.gather(*(caller() for _ in range(CALLERS)))


async def _stream(
    channel: grpc.aio.Channel, request: BidRequest, items: int, auctions: int
) -> None:
    """Sends a message whenever there is room for its items; ends when all are answered."""
    call = channel.stream_stream(STREAM_METHOD)()
    messages = _messages(request, items, auctions)
    room = asyncio.Semaphore(IN_FLIGHT // items)

    async def send() -> None:
        for message in messages:
            await room.acquire()
            await call.write(message)
        await call.done_writing()

    sending = asyncio.ensure_future(send())
    answered = 0
    while (data := await call.read()) is not grpc.aio.EOF:
        for result in StreamBidsResponse.FromString(data).results:
            assert result.bid_response.seatbid
            answered += 1
            if answered % items == 0:
                room.release()
    await sending
    assert answered == auctions


def _messages(request: BidRequest, items: int, auctions: int) -> Iterator[bytes]:
    """Encoded requests; the ids are unique."""
    for first in range(0, auctions, items):
        yield StreamBidsRequest(
            items=[StreamBidsItem(id=str(first + n), bid_request=request) for n in range(items)]
        ).SerializeToString()


def table(figures: dict[str, Any]) -> str:
    """The figures for people."""
    lines = []
    for load, each in figures.items():
        lines.append(load)
        for name, rate in each["auctions_a_second"].items():
            cpu, times = each["server_cpu_us"][name], each["times_unary"][name]
            lines.append(f"  {name:26} {rate:6}/s {cpu:6} us   x {times:.2f}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(run()))
