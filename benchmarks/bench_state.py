"""Caps counted on each store, against the bare client library, and StateService against an echo.

In process: one `check and count` of 1 and of 10 caps, by 1 and by 64 callers that each wait for
their answer. Compared with one operation at a time by the bare client (`state_stores.py`) are

    store      `StateBackend.apply` of a move that is ready made
    store, id  the same with an id of its own, which makes a retry harmless
    caps       `Caps.check_and_increment` of a decoded request: what the service does
    caps, id   the same with a request id

By RPC: CheckAndIncrementFrequency of a server with `memory://` against a bare grpc.aio echo of
messages of the same size, each in a process of its own.
"""

import asyncio
import gc
import itertools
import os
import statistics
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import grpc
import pytest
import uvloop

from servers import BID_METHOD, Process, echo, exchange
from state_stores import BOOKS, HOUR_MS, LIMIT, NOW, STORES, Store, entries
from xsp.state.v1.frequency_pb2 import (
    CapScope,
    FrequencyCandidate,
    FrequencyCap,
    Subject,
    Window,
)
from xsp.state.v1.state_service_pb2 import CheckAndIncrementFrequencyRequest
from xsp_server.state.backend import Book, Kind, Move
from xsp_server.state.campaigns import Campaigns
from xsp_server.state.cap_rules import duration
from xsp_server.state.caps import Caps

CAPS = (1, 10)
CALLERS = (1, 64)
ROUNDS = 7
ROUND_SECONDS = 0.06
CALLS_EACH = 6
"""Least calls of each caller in a round: its begin and end must not be all there is."""
TIMED = 4
"""Of each round a part as long as this fraction is repeated, with each call timed."""

STATE_METHOD = "/xsp.state.v1.StateService/CheckAndIncrementFrequency"
RPC_ROUNDS = 10
RPC_CALLS = {1: 150, 64: 600}
"""Calls a round, by callers."""

Call = Callable[[int], Awaitable[object]]

IDS = itertools.count()
"""Ids that nothing was called before."""


def run() -> dict[str, Any]:
    """Measures, and gives figures by store, and of the RPC."""
    figures: dict[str, Any] = {"load": os.getloadavg()[0], "stores": {}}
    for name in STORES:
        figures["stores"] |= uvloop.run(_store(name))
    figures["rpc"] = {f"{caps} caps": uvloop.run(_rpc(caps)) for caps in CAPS}
    return figures


async def _store(name: str) -> dict[str, Any]:
    """Figures of one store; why there are none, where it can't be brought up."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            async with STORES[name](Path(folder)) as store:
                told = {name: await _cells(store, BOOKS)}
                if store.hot:
                    told[f"{name}, one hot book"] = await _cells(store, 1)
                return told
    except (OSError, AssertionError, pytest.skip.Exception) as error:
        return {name: {"skipped": f"{type(error).__name__}: {error}"[:200]}}


async def _cells(store: Store, books: int) -> dict[str, Any]:
    return {
        f"{caps} caps, {callers} callers": await _cell(store, _levels(store, books, caps), callers)
        for caps in CAPS
        for callers in CALLERS
    }


async def _cell(store: Store, levels: dict[str, Call], callers: int) -> dict[str, Any]:
    """Interleaved rounds of all levels."""

    def cpu_seconds() -> float:
        return process_time() + store.server_cpu_seconds()

    gc.collect()
    gc.freeze()  # what is known by now is not looked at again and again
    counts = {name: await _calibrate(call, callers) for name, call in levels.items()}
    rates: dict[str, list[float]] = {name: [] for name in levels}
    cpu: dict[str, list[float]] = {name: [] for name in levels}
    waits: dict[str, list[float]] = {name: [] for name in levels}
    for _ in range(ROUNDS):
        for name, call in levels.items():
            count, busy = counts[name], cpu_seconds()
            rates[name].append(count / await _load(call, callers, count))
            cpu[name].append((cpu_seconds() - busy) / count)
            await _load(_timed(call, waits[name]), callers, max(count // TIMED, callers))
    bare, bare_cpu = statistics.median(rates["bare"]), statistics.median(cpu["bare"])
    return {
        name: {
            "calls_a_second": round(statistics.median(rates[name])),
            "times_bare": statistics.median(rates[name]) / bare,
            "cpu_us": statistics.median(cpu[name]) * 1e6,
            "times_bare_by_cpu": bare_cpu / statistics.median(cpu[name]),
            "p50_ms": statistics.median(waits[name]) * 1e3,
            "p99_ms": statistics.quantiles(waits[name], n=100)[-1] * 1e3,
        }
        for name in levels
    }


def _levels(store: Store, books: int, caps: int) -> dict[str, Call]:
    """What is measured, each as a call of a number."""
    names = [f"user/{n}" for n in range(books)]
    by_name = [Book(name) for name in names]
    caps_of = Caps(store.backend, Campaigns(store.backend), lambda: NOW)
    requests = [_request(str(n), caps).SerializeToString() for n in range(books)]
    counting, apply = entries(caps), store.backend.apply
    ready = (Move(Kind.COUNT, counting),)

    async def with_id(n: int) -> None:
        move = Move(Kind.COUNT, counting, id=str(next(IDS)), content="content", keep_ms=HOUR_MS)
        await apply(by_name[n % books], (move,), NOW)

    async def caps_with_id(n: int) -> None:
        request = CheckAndIncrementFrequencyRequest.FromString(requests[n % books])
        request.request_id = str(next(IDS))
        await caps_of.check_and_increment(request)

    return {
        "bare": lambda n: store.bare(names[n % books], caps),
        "store": lambda n: apply(by_name[n % books], ready, NOW),
        "store, id": with_id,
        "caps": lambda n: caps_of.check_and_increment(
            CheckAndIncrementFrequencyRequest.FromString(requests[n % books])
        ),
        "caps, id": caps_with_id,
    }


def _request(user_id: str, caps: int) -> CheckAndIncrementFrequencyRequest:
    """One candidate with so many caps, of windows of their own."""
    told = [
        FrequencyCap(
            scope=CapScope.CAP_SCOPE_CUSTOM,
            custom_scope="line item",
            limit=LIMIT,
            window=Window(duration=duration(HOUR_MS * (n + 1))),
        )
        for n in range(caps)
    ]
    candidate = FrequencyCandidate(
        candidate_id="bid-1", custom_scopes={"line item": "spring sale"}, caps=told
    )
    return CheckAndIncrementFrequencyRequest(
        subject=Subject(user_id=user_id), candidates=[candidate]
    )


async def _load(call: Call, callers: int, count: int) -> float:
    """Seconds that so many calls take."""
    left = iter(range(count))

    async def caller() -> None:
        for n in left:
            await call(n)

    started = perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    return perf_counter() - started


def _timed(call: Call, waits: list[float]) -> Call:
    async def timed(n: int) -> None:
        started = perf_counter()
        await call(n)
        waits.append(perf_counter() - started)

    return timed


async def _calibrate(call: Call, callers: int) -> int:
    """Calls that fill a round."""
    count = callers
    while True:
        took = await _load(call, callers, count)
        if took >= ROUND_SECONDS / 4:
            return max(round(count * ROUND_SECONDS / took), CALLS_EACH * callers)
        count *= 2


async def _rpc(caps: int) -> dict[str, Any]:
    """StateService and the echo, by callers."""
    async with AsyncExitStack() as stack:
        ours = await stack.enter_async_context(exchange([]))
        state = await _dial(stack, ours, STATE_METHOD)
        [request] = _messages(1, caps)
        answer = await state(request)
        bare = await stack.enter_async_context(echo(answer))
        calls = {"state": (ours, state), "echo": (bare, await _dial(stack, bare, BID_METHOD))}
        told: dict[str, Any] = {"request_bytes": len(request), "response_bytes": len(answer)}
        for callers, count in RPC_CALLS.items():
            told[f"{callers} callers"] = await _rpc_rounds(calls, caps, callers, count)
    return told


async def _rpc_rounds(
    calls: dict[str, tuple[Process, Any]],
    caps: int,
    callers: int,
    count: int,
) -> dict[str, Any]:
    rates: dict[str, list[float]] = {name: [] for name in calls}
    cpu: dict[str, list[float]] = {name: [] for name in calls}
    waits: dict[str, list[float]] = {name: [] for name in calls}
    for round_ in range(RPC_ROUNDS + 1):
        for name, (server, call) in calls.items():
            messages, waited = _messages(count, caps), []
            timed = _timed(lambda n, call=call, messages=messages: call(messages[n]), waited)
            busy = server.cpu_seconds()
            took = await _load(timed, callers, count)
            if round_:  # the first one warms up
                rates[name].append(count / took)
                cpu[name].append((server.cpu_seconds() - busy) / count)
                waits[name] += waited
    return {
        "calls_a_second": {name: round(statistics.median(r)) for name, r in rates.items()},
        "server_cpu_us": {name: round(statistics.mean(c) * 1e6) for name, c in cpu.items()},
        "share_of_echo": statistics.median(rates["state"]) / statistics.median(rates["echo"]),
        "p50_ms": {name: statistics.median(w) * 1e3 for name, w in waits.items()},
        "p99_ms": {name: statistics.quantiles(w, n=100)[-1] * 1e3 for name, w in waits.items()},
    }


def _messages(count: int, caps: int) -> list[bytes]:
    """Requests of a thousand users, each with an id of its own."""
    made = []
    for n in itertools.islice(IDS, count):
        request = _request(str(n % BOOKS), caps)
        request.request_id = f"request {n}"
        made.append(request.SerializeToString())
    return made


async def _dial(stack: AsyncExitStack, server: Process, method: str) -> Any:
    channel = await stack.enter_async_context(grpc.aio.insecure_channel(server.address))
    return channel.unary_unary(method)


def table(figures: dict[str, Any]) -> str:
    """The figures for people."""
    levels = ("bare", "store", "store, id", "caps", "caps, id")
    lines = [
        "calls a second, and CPU a call of this process and the store's; times the bare client",
        f"{'':20}{''.join(f'{level:>19}' for level in levels)}   p50 / p99 ms of each",
    ]
    for store, cells in figures["stores"].items():
        if "skipped" in cells:
            lines.append(f"{store}: skipped, {cells['skipped']}")
            continue
        lines.append(store)
        for cell, told in cells.items():
            rates = "".join(
                f"{told[level]['calls_a_second']:9,}/s x{told[level]['times_bare']:6.2f}"
                for level in levels
            )
            cpu = "".join(
                f"{told[level]['cpu_us']:8.1f} us x{told[level]['times_bare_by_cpu']:6.2f}"
                for level in levels
            )
            waits = [f"{told[level]['p50_ms']:.2f}/{told[level]['p99_ms']:.2f}" for level in levels]
            lines += [f"  {cell:18}{rates}   {'  '.join(waits)}", f"{'':20}{cpu}"]
    lines.append("CheckAndIncrementFrequency on memory, against a bare echo")
    for caps, each in figures["rpc"].items():
        for callers in RPC_CALLS:
            told = each[f"{callers} callers"]
            rate, cpu, p50, p99 = (
                told[name] for name in ("calls_a_second", "server_cpu_us", "p50_ms", "p99_ms")
            )
            columns = [
                f"{rate[name]:6,}/s {cpu[name]:4} us {p50[name]:5.2f}/{p99[name]:5.2f} ms"
                for name in ("state", "echo")
            ]
            label = f"{caps}, {callers} callers"
            lines.append(f"  {label:20} {'   '.join(columns)}   {told['share_of_echo']:5.0%}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(run()))
