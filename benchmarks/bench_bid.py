"""Unary Bid with in-process bidders against a bare gRPC echo of the same messages.

Both servers are processes of their own on uvloop, loaded in turn by the same client code with
`CALLERS` calls at once: what is compared is calls a second and CPU of the server a call. The
bidders have their answers ready, so what they cost is not what is measured.
"""

import asyncio
import statistics
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import grpc
import uvloop

from canned import make_request
from servers import BID_METHOD, Process, canned, echo

LOADS = ((1, 1), (3, 1), (3, 2))
"""Bidders and imps; every bidder bids on every imp."""
CALLERS = 32
ROUNDS = 8
CALLS_A_ROUND = 400

Call = Callable[[bytes], Awaitable[bytes]]


def run() -> dict[str, Any]:
    """Measures, and gives figures by load."""
    return {
        f"{bidders} bidders, {imps} imps": uvloop.run(_run(bidders, imps))
        for bidders, imps in LOADS
    }


async def _run(bidders: int, imps: int) -> dict[str, Any]:
    request = make_request(imps).SerializeToString()
    async with AsyncExitStack() as stack:
        xsp = await stack.enter_async_context(canned(bidders, imps))
        bid = await _dial(stack, xsp)
        answer = await bid(request)
        bare = await stack.enter_async_context(echo(answer))
        servers = {"bid": (xsp, bid), "echo": (bare, await _dial(stack, bare))}
        rates: dict[str, list[float]] = {name: [] for name in servers}
        cpu: dict[str, list[float]] = {name: [] for name in servers}
        clock = asyncio.get_running_loop().time
        for round_ in range(ROUNDS + 1):
            for name, (server, call) in servers.items():
                before, started = server.cpu_seconds(), clock()
                await _load(call, request)
                took, busy = clock() - started, server.cpu_seconds() - before
                if round_:  # the first one warms up
                    rates[name].append(CALLS_A_ROUND / took)
                    cpu[name].append(busy / CALLS_A_ROUND)
    return {
        "request_bytes": len(request),
        "response_bytes": len(answer),
        "callers": CALLERS,
        "calls_a_second": {name: round(statistics.median(r)) for name, r in rates.items()},
        "server_cpu_us": {name: round(statistics.mean(c) * 1e6) for name, c in cpu.items()},
        "share_of_echo": statistics.median(rates["bid"]) / statistics.median(rates["echo"]),
    }


async def _load(call: Call, request: bytes) -> None:
    left = iter(range(CALLS_A_ROUND))

    async def caller() -> None:
        for _ in left:
            await call(request)

    await asyncio.gather(*(caller() for _ in range(CALLERS)))


async def _dial(stack: AsyncExitStack, server: Process) -> Call:
    channel = await stack.enter_async_context(grpc.aio.insecure_channel(server.address))
    return channel.unary_unary(BID_METHOD)


def table(figures: dict[str, Any]) -> str:
    """The figures for people."""
    lines = [f"{'':20} {'Bid':>19} {'bare echo':>19}   share"]
    for load, each in figures.items():
        rate, cpu = each["calls_a_second"], each["server_cpu_us"]
        columns = (f"{rate[name]:6}/s {cpu[name]:6} us" for name in ("bid", "echo"))
        lines.append(f"{load:20} {'   '.join(columns)}   {each['share_of_echo']:5.0%}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(run()))
