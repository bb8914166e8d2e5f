"""Many processes on one user and one campaign: each limit is reached exactly and never passed."""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from state import race_processes, servers
from state.postgres_server import drop_schema, new_schema, shared_url
from state.race_processes import BUDGET, CAP, PROCESSES, USER, Told
from state.settings import campaign, candidate
from xsp.money.v1.money_pb2 import Money
from xsp.state.v1.campaign_pb2 import BudgetLimits
from xsp.state.v1.state_service_pb2 import CheckFrequencyRequest
from xsp_server.state.accounts import Accounts
from xsp_server.state.backend import StateBackend
from xsp_server.state.money_book import book_of
from xsp_server.state.urls import backend_of

pytestmark = pytest.mark.xdist_group("machine")  # it takes all of it: one at a time

OPERATIONS = 100_000
"""Of all processes together."""

TESTS = Path(__file__).parent.parent

STORES = ("sqlite", "redis", "redis+cluster", "postgresql")
"""Stores that processes can share."""


@pytest.fixture(params=STORES)
async def shared(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[dict[str, Any]]:
    """An empty store: what every process opens it with."""
    kind = request.param
    if kind == "sqlite":
        yield {"url": f"sqlite:///{tmp_path}/state.db", "settings": {}}
    elif kind == "postgresql":
        url, schema = shared_url(request.config), new_schema()
        yield {"url": url, "settings": {"schema": schema}}
        await drop_schema(url, schema)
    else:
        single = kind == "redis"
        url = servers.server_url(request.config) if single else servers.cluster(request.config).url
        yield {"url": url, "settings": {"namespace": f"race-{tmp_path.name}", "timeout": 5.0}}


@asynccontextmanager
async def opened(shared: dict[str, Any]) -> AsyncIterator[StateBackend]:
    backend = backend_of(shared["url"], **shared["settings"])
    yield backend
    await backend.close()


async def test_a_hundred_thousand_operations_of_four_processes_reach_each_limit_exactly(shared):
    async with opened(shared) as backend:
        accounts = Accounts.over(backend)
        await accounts.campaigns.put(
            campaign(limits=BudgetLimits(total=Money(currency="USD", micros=BUDGET)))
        )
        before, used_before = time.monotonic(), processor_time()
        told = await asyncio.gather(*(raced(shared, place) for place in range(PROCESSES)))
        took, used = time.monotonic() - before, processor_time() - used_before
        counted, spent, committed = (
            agreed([getattr(each, kind) for each in told])
            for kind in ("counted", "spent", "committed")
        )
        operations = sum(each.operations for each in told)
        print(  # noqa: T201 with -s: the figures
            f"\n{operations} operations in {took:.1f} s, {used:.1f} s of processor time; "
            f"{sum(each.replays for each in told)} replays, {sum(each.away for each in told)} away"
        )
        assert operations >= OPERATIONS

        shown = [id_ for id_, allowed in counted.items() if allowed]
        shown += [id_ for id_, micros in committed.items() if micros and id_.startswith("all")]
        assert len(shown) == CAP.limit
        [cap] = await accounts.caps.check(
            CheckFrequencyRequest(subject=USER, candidates=[candidate("a", CAP)], include_caps=True)
        )
        assert (cap.caps[0].count, cap.caps[0].reserved) == (CAP.limit, 0)

        assert sum(spent.values()) + sum(committed.values()) == BUDGET
        budget, _ = await accounts.budgets.get(accounts.campaigns.get("c1"))
        assert (budget.spent.micros, budget.reserved.micros) == (BUDGET, 0)
        if backend.keeps_ledger:
            await adds_up(backend, spent, committed)


async def raced(shared: dict[str, Any], place: int) -> Told:
    """What one process was told."""
    arguments = shared | {"place": place, "operations": OPERATIONS // PROCESSES}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        race_processes.__file__,
        json.dumps(arguments),
        stdout=asyncio.subprocess.PIPE,
        env=environment(),
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0
    return Told(**json.loads(printed))


def processor_time() -> float:
    """Seconds that processes of ours have used which have ended."""
    times = os.times()
    return times.children_user + times.children_system


def environment() -> dict[str, str]:
    """Of a process of ours: it finds the tests, and its lines are not counted: it is in a hurry."""
    kept = {name: told for name, told in os.environ.items() if not name.startswith("COVERAGE_")}
    return kept | {"PYTHONPATH": str(TESTS)}


def agreed(answers: list[dict[str, Any]]) -> dict[str, Any]:
    """Answers by id: whoever asked was told the same."""
    all_of_them: dict[str, Any] = {}
    for answer in answers:
        for id_, told in answer.items():
            assert all_of_them.setdefault(id_, told) == told, id_
    return all_of_them


async def adds_up(backend: StateBackend, spent: dict[str, int], committed: dict[str, int]) -> None:
    """The ledger has each movement once, and proves the counters."""
    balances = await backend.audit()
    assert balances
    assert all(balance.proven for balance in balances)
    lines: dict[str, list[tuple[str, int]]] = {}
    after = 0
    while page := await backend.movements(book_of("c1").name, after=after):
        for line in page:
            if line.counted:
                lines.setdefault(line.counter, []).append((line.id, line.counted))
        after = page[-1].number
    expected = sorted(micros for told in (spent, committed) for micros in told.values() if micros)
    assert len(lines) >= 3  # total, day and hour
    for counter, moves in lines.items():
        assert len({id_ for id_, _ in moves}) == len(moves), counter
    total = max(lines, key=lambda counter: len(lines[counter]))
    assert sorted(micros for _, micros in lines[total]) == expected
