"""A bidder is killed in the middle of a load: every auction is answered in time, none fails."""

import asyncio
import os
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("machine")  # its figures need some of it

XSP = Path(sys.executable).parent / "xsp"
AUCTIONS = 200
AT_ONCE = 20
GRACE = 10.0  # a shared machine may stall for longer than a tmax; the auction itself may not


@pytest.fixture
async def bidder_process():
    """`xsp simulate` in a process of its own, and where it listens."""
    process = await asyncio.create_subprocess_exec(
        XSP,
        "simulate",
        "--price",
        "9",
        "--seat",
        "mortal",
        "--latency-ms",
        "5",
        stdout=asyncio.subprocess.PIPE,
    )
    http = (await asyncio.wait_for(process.stdout.readline(), 30)).decode().split()[1]
    grpc = (await asyncio.wait_for(process.stdout.readline(), 30)).decode().split()[1]
    yield process, http, grpc
    if process.returncode is None:
        process.terminate()
    await process.wait()


async def test_killing_a_bidder_mid_load_costs_nobody_else(serve, dial, sample, bidder_process):
    process, http, grpc_target = bidder_process
    server = await serve(
        {"type": "http", "name": "mortal-http", "endpoint": http},
        {"type": "grpc", "name": "mortal-grpc", "endpoint": grpc_target},
        {"type": "simulated", "name": "steady", "price": 8.0, "latency_ms": 5},
    )
    bid = dial(server).Bid
    loop = asyncio.get_running_loop()
    gate = asyncio.Semaphore(AT_ONCE)
    answered = 0
    winners = Counter()
    slowest = 0.0
    in_time = 0

    async def one():
        nonlocal answered, slowest, in_time
        async with gate:
            before = loop.time()
            response = await bid(sample, timeout=sample.tmax / 1000 + GRACE)
            took = loop.time() - before
            slowest = max(slowest, took)
            in_time += took <= sample.tmax / 1000
            answered += 1
            if answered == AUCTIONS // 4:
                os.kill(process.pid, signal.SIGKILL)
            winners.update(seat.seat for seat in response.seatbid)

    await asyncio.gather(*(one() for _ in range(AUCTIONS)))  # an error of any call fails the test
    assert answered == AUCTIONS
    assert winners["mortal"] > 0, "the bidder never won: the test proves nothing"
    assert winners["simulated"] > AUCTIONS // 4, "the others' bids were lost with it"
    # With -s: the figures. A machine shared with others may stall, so a bound here would be noise.
    print(f"slowest {slowest * 1000:.0f} ms, {in_time} of {AUCTIONS} in tmax")  # noqa: T201
    assert in_time > AUCTIONS // 2
