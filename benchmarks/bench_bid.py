"""Unary Bid with in-process bidders against a bare grpc.aio echo of the same messages.

Both servers are processes of their own on uvloop, loaded in turn by the same client code with
`CALLERS` calls at once: what is compared is calls a second and CPU of the server a call.
"""

import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import uvloop

from xsp_server.openrtb import codec

HERE = Path(__file__).parent
REQUEST = HERE.parent / "examples" / "requests" / "ctv_and_banner.json"
CALLERS = 32
ROUNDS = 12
CALLS_A_ROUND = 600

CONFIG = """
[server]
listen = "127.0.0.1:0"
[log]
format = "json"
"""
BIDDER = '[[bidders]]\ntype = "simulated"\nname = "b{n}"\nprice = {price}\n'
BIDDERS = 3

TICKS = os.sysconf("SC_CLK_TCK")


def run() -> dict[str, Any]:
    """Measures, and gives figures by name."""
    return uvloop.run(_run())


async def _run() -> dict[str, Any]:
    request = codec.parse_bid_request(REQUEST.read_bytes()).message.SerializeToString()
    async with AsyncExitStack() as stack:
        xsp, xsp_pid = await stack.enter_async_context(_xsp())
        answer = await xsp(request)
        echo, echo_pid = await stack.enter_async_context(_echo(answer))
        servers = {"bid": (xsp, xsp_pid), "echo": (echo, echo_pid)}
        rates: dict[str, list[float]] = {name: [] for name in servers}
        cpu: dict[str, list[float]] = {name: [] for name in servers}
        for round_ in range(ROUNDS + 1):
            for name, (call, pid) in servers.items():
                before, started = _cpu_seconds(pid), time.perf_counter()
                await _load(call, request)
                took, busy = time.perf_counter() - started, _cpu_seconds(pid) - before
                if round_:  # the first one warms up
                    rates[name].append(CALLS_A_ROUND / took)
                    cpu[name].append(busy / CALLS_A_ROUND)
    return {
        "request_bytes": len(request),
        "response_bytes": len(answer),
        "bidders": BIDDERS,
        "callers": CALLERS,
        "calls_a_second": {name: round(statistics.median(r)) for name, r in rates.items()},
        "server_cpu_us": {name: round(statistics.mean(c) * 1e6) for name, c in cpu.items()},
        "share_of_echo": statistics.median(rates["bid"]) / statistics.median(rates["echo"]),
    }


async def _load(call: Callable[[bytes], Awaitable[bytes]], request: bytes) -> None:
    left = iter(range(CALLS_A_ROUND))

    async def caller() -> None:
        for _ in left:
            await call(request)

    await asyncio.gather(*(caller() for _ in range(CALLERS)))


@asynccontextmanager
async def _xsp() -> AsyncIterator[tuple[Callable[[bytes], Awaitable[bytes]], int]]:
    bidders = "".join(BIDDER.format(n=n, price=5 + n) for n in range(BIDDERS))
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(CONFIG + bidders)
        file.flush()
        command = [Path(sys.executable).parent / "xsp", "serve", "--config", file.name]
        process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
        assert process.stderr is not None
        line = (await process.stderr.readline()).decode()
        address = line.partition('"address": "')[2].partition('"')[0]
        async with _dial(address) as call:
            yield call, process.pid
        process.terminate()
        await process.communicate()


@asynccontextmanager
async def _echo(answer: bytes) -> AsyncIterator[tuple[Callable[[bytes], Awaitable[bytes]], int]]:
    with tempfile.NamedTemporaryFile() as file:
        file.write(answer)
        file.flush()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, HERE / "echo.py", file.name),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        address = (await process.stdout.readline()).decode().strip()
        async with _dial(address) as call:
            yield call, process.pid
        await process.communicate(b"")


@asynccontextmanager
async def _dial(address: str) -> AsyncIterator[Callable[[bytes], Awaitable[bytes]]]:
    async with grpc.aio.insecure_channel(address) as channel:
        yield channel.unary_unary("/xsp.bid.v1.BidService/Bid")


def _cpu_seconds(pid: int) -> float:
    """User and system time of a process so far (proc(5), fields 14 and 15 of stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def table(figures: dict[str, Any]) -> str:
    """The figures for people."""
    rate, cpu = figures["calls_a_second"], figures["server_cpu_us"]
    return (
        f"Bid, {figures['bidders']} bidders in process, {figures['callers']} callers: "
        f"{rate['bid']} calls/s, {cpu['bid']} us CPU a call\n"
        f"bare grpc.aio echo of the same messages: {rate['echo']} calls/s, {cpu['echo']} us\n"
        f"share of the echo: {figures['share_of_echo']:.0%}"
    )


if __name__ == "__main__":
    print(table(run()))
