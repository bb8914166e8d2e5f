"""What caps and budgets cost an auction, on each store, against the same auction without them.

An exchange in process with five bidders whose answers are ready: each bid belongs to a campaign
with money and a cap, so an auction looks at five campaigns and holds for one. CPU is that of this
process; that of Redis and PostgreSQL is not in it.
"""

import asyncio
import gc
import itertools
import os
import statistics
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import pytest
import uvloop

from canned import make_request
from state_stores import LIMIT, STORES
from xsp.session.v1.session_context_pb2 import SessionContext
from xsp.state.v1.campaign_pb2 import Campaign
from xsp_server.config import Settings
from xsp_server.service.auction_state import AuctionState
from xsp_server.service.live import LiveExchange
from xsp_server.service.session import open_session
from xsp_server.simulator.model import BidderModel
from xsp_server.simulator.settings import BidderSettings
from xsp_server.state.accounts import Accounts

BIDDERS = 5
AT_ONCE = 16
ROUNDS = 9
AUCTIONS_A_ROUND = 128
USERS = 10_000

_REQUEST = make_request(1, tmax=30_000)  # on a busy machine, too, nobody is too late
_numbers = itertools.count()


def run() -> dict[str, Any]:
    """Measures, and gives figures by store."""
    return {
        "load": os.getloadavg()[0],
        "stores": {name: uvloop.run(_store(name)) for name in STORES},
    }


async def _store(name: str) -> dict[str, Any]:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        try:
            store = await stack.enter_async_context(STORES[name](folder))
        except pytest.skip.Exception as why:
            return {"skipped": str(why)}
        accounts = Accounts.over(store.backend)
        sections = [
            {"type": "canned", "name": f"b{n}", "price": 9.0 - n, "imps": 1} for n in range(BIDDERS)
        ]
        for section in sections:
            await accounts.campaigns.put(_campaign(section))
        settings = Settings(bidders=tuple(sections))
        exchanges = {
            "without": LiveExchange(settings),
            "with": LiveExchange(settings, AuctionState(accounts, 1.0)),
        }
        gc.collect()
        gc.freeze()
        cpu: dict[str, list[float]] = {each: [] for each in exchanges}
        times: dict[str, list[float]] = {each: [] for each in exchanges}
        for round_ in range(ROUNDS + 1):
            for each, exchange in exchanges.items():
                before = process_time()
                took = await _round(exchange)
                if round_:  # the first one warms up
                    cpu[each].append((process_time() - before) / AUCTIONS_A_ROUND)
                    times[each] += took
        for exchange in exchanges.values():
            await exchange.close()
        await accounts.reservations.close()
    us = {each: statistics.median(values) * 1e6 for each, values in cpu.items()}
    ms = {each: statistics.median(values) * 1e3 for each, values in times.items()}
    return {
        "cpu_us": {each: round(value) for each, value in us.items()},
        "p50_ms": {each: round(value, 2) for each, value in ms.items()},
        "times_the_cpu": us["with"] / us["without"],
    }


async def _round(exchange: LiveExchange) -> list[float]:
    """Times of the auctions of a round, `AT_ONCE` of them under way at any moment."""
    left = iter(range(AUCTIONS_A_ROUND))
    took: list[float] = []

    async def caller() -> None:
        for _ in left:
            request = _REQUEST
            session = open_session(
                SessionContext(user_id=f"u{next(_numbers) % USERS}"), (), request
            )
            started = perf_counter()
            run = await exchange.run(request, None, session=session)
            took.append(perf_counter() - started)
            assert run.result.winners

    await asyncio.gather(*(caller() for _ in range(AT_ONCE)))
    return took


def _campaign(section: dict[str, Any]) -> Campaign:
    """The campaign of the bids of a bidder."""
    settings = BidderSettings(seat=section["name"], price=section["price"])
    answer = BidderModel(settings).plan(make_request(section["imps"])).response
    assert answer is not None
    limit = {"currency": "USD", "micros": LIMIT}
    return Campaign(
        campaign_id=section["name"],
        key={"cid": answer.seatbid[0].bid[0].cid, "bidder": section["name"]},
        currency="USD",
        limits={"total": limit, "daily": limit},
        caps=[{"limit": LIMIT}],
    )


def table(figures: dict[str, Any]) -> str:
    """The figures for people."""
    lines = [f"load {figures['load']:.1f}; CPU of this process and p50 of an auction"]
    lines.append(f"{'':14} {'without':>20} {'with':>20}   times the CPU")
    for name, each in figures["stores"].items():
        if "skipped" in each:
            lines.append(f"{name:14} {each['skipped']}")
            continue
        cpu, p50 = each["cpu_us"], each["p50_ms"]
        columns = (f"{cpu[kind]:6} us {p50[kind]:7.2f} ms" for kind in ("without", "with"))
        lines.append(f"{name:14} {'   '.join(columns)}   x {each['times_the_cpu']:.2f}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(run()))
