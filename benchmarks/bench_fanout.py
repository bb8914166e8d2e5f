"""Whole auctions with bidders behind sockets, against the same calls by bare aiohttp and grpc.aio.

Exchange, bare exchange and far side are processes of their own. Compared are auctions a second and
CPU of the exchange an auction; the bare one makes the same calls in and out and nothing else.
"""

import asyncio
import statistics
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import grpc
import uvloop

from canned import make_request
from servers import BID_METHOD, Process, bare_exchange, exchange, far_side
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.openrtb import codec

BIDDERS = 5
IMPS = 1
CALLERS = 32
ROUNDS = 8
CALLS_A_ROUND = 300
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "http bidders": ("http", {"type": "http"}),
    "gRPC streams": ("grpc", {"type": "grpc-stream"}),
    "gRPC streams, no gathering": ("grpc", {"type": "grpc-stream", "gather_ms": 0}),
}
"""Floor and section of the bidders. The floor of streams sends a message for each ask, and so does
XSP without gathering; with it, asks that come often share messages."""


def run() -> dict[str, Any]:
    """Measures, and gives figures by kind of bidders."""
    return {
        f"{BIDDERS} {name}": uvloop.run(_run(kind, section))
        for name, (kind, section) in KINDS.items()
    }


async def _run(kind: str, section: dict[str, Any]) -> dict[str, Any]:
    request = make_request(IMPS)
    async with AsyncExitStack() as stack:
        http_url, grpc_address = await stack.enter_async_context(far_side(IMPS))
        endpoint = http_url if kind == "http" else grpc_address
        sections = [section | {"name": f"b{n}", "endpoint": endpoint} for n in range(BIDDERS)]
        xsp = await stack.enter_async_context(exchange(sections))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        data = request.SerializeToString()
        body = codec.write(request) if kind == "http" else data
        calls = {"xsp": await _dial(stack, xsp)}
        answer = await calls["xsp"](data)
        assert len(BidResponse.FromString(answer).seatbid) == 1
        bare = await stack.enter_async_context(
            bare_exchange(kind, endpoint, BIDDERS, body, answer, folder)
        )
        calls["bare"] = await _dial(stack, bare)
        processes = {"xsp": xsp, "bare": bare}
        rates, cpu = await _measure(calls, processes, data)
    return {
        "callers": CALLERS,
        "auctions_a_second": {name: round(statistics.median(r)) for name, r in rates.items()},
        "cpu_us": {name: round(statistics.mean(c) * 1e6) for name, c in cpu.items()},
        "times_cpu_of_bare": statistics.mean(cpu["xsp"]) / statistics.mean(cpu["bare"]),
    }


async def _measure(
    calls: dict[str, Any], processes: dict[str, Process], data: bytes
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    clock = asyncio.get_running_loop().time
    rates: dict[str, list[float]] = {name: [] for name in calls}
    cpu: dict[str, list[float]] = {name: [] for name in calls}
    for round_ in range(ROUNDS + 1):
        for name, call in calls.items():
            before, started = processes[name].cpu_seconds(), clock()
            await _load(call, data)
            took, busy = clock() - started, processes[name].cpu_seconds() - before
            if round_:  # the first one warms up
                rates[name].append(CALLS_A_ROUND / took)
                cpu[name].append(busy / CALLS_A_ROUND)
    return rates, cpu


async def _load(call: Any, data: bytes) -> None:
    left = iter(range(CALLS_A_ROUND))

    async def caller() -> None:
        for _ in left:
            await call(data)

    await asyncio.gather(*(caller() for _ in range(CALLERS)))


async def _dial(stack: AsyncExitStack, server: Process) -> Any:
    channel = await stack.enter_async_context(grpc.aio.insecure_channel(server.address))
    return channel.unary_unary(BID_METHOD)


def table(figures: dict[str, Any]) -> str:
    """The figures for people."""
    lines = [f"{'':28} {'XSP':>19} {'bare calls':>19}   CPU"]
    for kind, each in figures.items():
        rate, cpu = each["auctions_a_second"], each["cpu_us"]
        columns = (f"{rate[name]:6}/s {cpu[name]:6} us" for name in ("xsp", "bare"))
        lines.append(f"{kind:28} {'   '.join(columns)}   x {each['times_cpu_of_bare']:.2f}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(run()))
