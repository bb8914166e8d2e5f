"""Memory of a server under a long load: streams with a stalled reader among the peers, then calls.

    python benchmarks/soak_stream.py [--auctions 200000] [--calls 50000]

First the auctions go over `PEERS` streams, while one more peer sends whatever it may and never
reads. Then come unary calls, every fifth with a request that no bidder answers: at most of these
callers the deadline passes, the others have their answer in the last moment. After each phase's
first tenth the server's memory is taken as its base; the run fails when it is ever more than 5 %
above that.
"""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

import grpc
import uvloop

from canned import HANG, make_request
from servers import BID_METHOD, STREAM_METHOD, Process, canned
from xsp.bid.v1.bid_service_pb2 import StreamBidsItem, StreamBidsRequest, StreamBidsResponse

BIDDERS = 3
IMPS = 2
PEERS = 4
ITEMS = 8
IN_FLIGHT = 64
CALLERS = 32
HANG_EVERY = 5
HANG_MS = 30
TMAX = 10_000  # ms: a machine that stalls must not fail the run
KEEP_BIDS = 10_000
"""Bids remembered for notices: what the server keeps on purpose is full before memory is taken."""
REPORTS = 20
MOST_GROWTH = 0.05


class Watch:
    """Counts what a phase has done, and takes the server's memory at even steps.

    Attributes:
        growth: the most by which memory was above that of the first tenth, as a share of it.
    """

    def __init__(self, phase: str, server: Process, total: int) -> None:
        """Takes what is to be done in all."""
        self._phase = phase
        self._server = server
        self._total = total
        self._done = 0
        self._clock = asyncio.get_running_loop().time
        self._started = self._clock()
        self._base = 0
        self.growth = 0.0

    def count(self, done: int) -> None:
        """Counts, and prints a line at each step."""
        before, self._done = self._done, self._done + done
        step = self._total // REPORTS
        if before // step == self._done // step:
            return
        resident = self._server.resident_bytes()
        if self._done >= self._total // 10 and not self._base:
            self._base = resident
        growth = (resident - self._base) / self._base if self._base else 0.0
        self.growth = max(self.growth, growth)
        seconds = self._clock() - self._started
        print(
            f"{self._phase:6} {seconds:7.1f} s {self._done:8} done "
            f"{resident / 2**20:7.1f} MiB {growth:+7.2%}",
            flush=True,
        )


async def main(auctions: int, calls: int) -> bool:
    """Runs both phases; True: memory stayed flat."""
    async with canned(BIDDERS, IMPS, margin_ms=0, keep_bids=KEEP_BIDS) as server:
        streams = Watch("stream", server, auctions)
        async with _stalled(server) as sent:
            await asyncio.gather(*(_peer(server, streams, auctions // PEERS) for _ in range(PEERS)))
            print(f"the peer that never reads got {sum(sent)} items off")
        unary = Watch("unary", server, calls)
        timed_out = await _calls(server, unary, calls)
        print(f"{timed_out} of {calls} calls passed their deadline")
        return max(streams.growth, unary.growth) <= MOST_GROWTH


@asynccontextmanager
async def _stalled(server: Process) -> AsyncIterator[list[int]]:
    """A peer that sends as long as it may and never reads; yields a list as long as it got."""
    sent: list[int] = []
    async with grpc.aio.insecure_channel(server.address) as channel:
        call = channel.stream_stream(STREAM_METHOD)()

        async def send() -> None:
            for message in _messages(sys.maxsize):
                await call.write(message)
                sent.append(ITEMS)

        sending = asyncio.ensure_future(send())
        try:
            yield sent
        finally:
            call.cancel()
            with suppress(asyncio.CancelledError, asyncio.InvalidStateError):
                await sending


async def _peer(server: Process, watch: Watch, auctions: int) -> None:
    """One stream, `IN_FLIGHT` items at once."""
    async with grpc.aio.insecure_channel(server.address) as channel:
        call = channel.stream_stream(STREAM_METHOD)()
        room = asyncio.Semaphore(IN_FLIGHT // ITEMS)

        async def send() -> None:
            for message in _messages(auctions):
                await room.acquire()
                await call.write(message)
            await call.done_writing()

        sending = asyncio.ensure_future(send())
        answered = 0
        while (data := await call.read()) is not grpc.aio.EOF:
            results = StreamBidsResponse.FromString(data).results
            assert all(result.bid_response.seatbid for result in results)
            full = answered // ITEMS
            answered += len(results)
            for _ in range(full, answered // ITEMS):
                room.release()
            watch.count(len(results))
        await sending
        assert answered == auctions // ITEMS * ITEMS


def _messages(auctions: int) -> Iterator[bytes]:
    request = make_request(IMPS, tmax=TMAX)
    for first in range(0, auctions - ITEMS + 1, ITEMS):
        items = [StreamBidsItem(id=str(first + n), bid_request=request) for n in range(ITEMS)]
        yield StreamBidsRequest(items=items).SerializeToString()


async def _calls(server: Process, watch: Watch, calls: int) -> int:
    """How many of the calls passed their deadline."""
    answered = make_request(IMPS, tmax=TMAX).SerializeToString()
    unanswered = make_request(IMPS, id=HANG, tmax=HANG_MS).SerializeToString()
    left, timed_out = iter(range(calls)), 0
    async with grpc.aio.insecure_channel(server.address) as channel:
        bid = channel.unary_unary(BID_METHOD)

        async def caller() -> None:
            nonlocal timed_out
            for n in left:
                try:
                    if n % HANG_EVERY:
                        await bid(answered)
                    else:
                        await bid(unanswered, timeout=HANG_MS / 1000)
                except grpc.aio.AioRpcError as error:
                    if error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
                        raise
                    timed_out += 1
                watch.count(1)

        await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return timed_out


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--auctions", type=int, default=200_000, help="over streams")
    parser.add_argument("--calls", type=int, default=50_000, help="unary")
    options = parser.parse_args()
    if not uvloop.run(main(options.auctions, options.calls)):
        sys.exit(f"memory grew by more than {MOST_GROWTH:.0%}")
