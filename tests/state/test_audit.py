"""The audit: what it proves, and that it finds what somebody did to the store."""

# ruff: noqa: S608 - statements of ours, in stores of ours

import random
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import asyncpg
import pytest

from state.play import DAY, HOUR, Play, count, entry
from state.postgres_server import drop_schema, new_schema, shared_url
from state.settings import World, at, seconds
from xsp_server.errors import ConfigError
from xsp_server.state.audit import Audit, Difference, Line, Sums
from xsp_server.state.backend import DUE_AT_ONCE, SLACK_MS, Book, StoreAway
from xsp_server.state.ledger import ledger_of
from xsp_server.state.money_book import Period, day, hour
from xsp_server.state.postgres import DatabaseBackend
from xsp_server.state.sqlite import SqliteBackend

NOON = "2026-03-14 12:00:00"
TREE = "campaign/c1"


class Audited(World):
    """All of the state over a store with a ledger, and ways around it."""

    def __init__(self, store, url: str, execute, **settings) -> None:
        super().__init__(NOON, store)
        self.url = url
        self.execute = execute
        self.settings = settings

    def opened(self):
        return ledger_of(self.url, **self.settings)

    async def audit(self) -> tuple[list[Line], list[Difference], Sums]:
        """Lines, differences, and what was looked at."""
        async with self.opened() as opened:
            run = Audit(opened, self.clock.now_ms)
            told = [each async for each in run.run()]
        lines = [each for each in told if isinstance(each, Line)]
        return lines, [each for each in told if isinstance(each, Difference)], run.sums

    async def found(self) -> list[tuple[str, str]]:
        """Kind and campaign of the differences."""
        _, differences, _ = await self.audit()
        return [(each.kind, each.campaign_id) for each in differences]


@asynccontextmanager
async def in_sqlite(_request, folder: Path) -> AsyncIterator[Audited]:
    path = folder / "state.db"
    store = SqliteBackend(path)

    async def execute(statement: str) -> None:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("DROP TRIGGER IF EXISTS movement_is_never_changed")
            connection.execute("DROP TRIGGER IF EXISTS movement_is_never_deleted")
            connection.execute(statement)
            connection.commit()

    yield Audited(store, f"sqlite:///{path}", execute)
    await store.close()


@asynccontextmanager
async def in_postgresql(request, _folder: Path) -> AsyncIterator[Audited]:
    url, schema = shared_url(request.config), new_schema()
    store = DatabaseBackend(url, schema=schema)

    async def execute(statement: str) -> None:
        connection = await asyncpg.connect(url, server_settings={"search_path": schema})
        await connection.execute("ALTER TABLE movement DISABLE TRIGGER ALL")
        await connection.execute(statement)
        await connection.close()

    yield Audited(store, url, execute, schema=schema)
    await store.close()
    await drop_schema(url, schema)


@pytest.fixture(params=[in_sqlite, in_postgresql])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Audited]:
    async with request.param(request, tmp_path) as opened:
        yield opened


def line(id_: str, period: Period, *amounts: float | None) -> Line:
    """Limit, spent, reserved and available in whole dollars."""
    micros = [None if units is None else round(units * 1e6) for units in amounts]
    return Line(id_, period, "USD", *micros)


# What it proves


async def test_each_limit_is_what_was_spent_is_reserved_and_is_left(world):
    await world.put("c1", 1000, 100, 20)
    await world.put("c2", 500, parent_id="c1")
    await world.put("idle", 7)
    await world.put("free")
    await world.spend("c1", 2.5)
    await world.reserve("a", 4)
    await world.reserve("b", 3, by="c2")
    await world.reserve("r", 1)
    await world.reserve("e", 1, ttl=seconds(1))
    await world.commit("a", 3.25)
    await world.release("r")
    world.clock.go(HOUR)
    await world.reserve("b2", 3, by="c2")
    lines, differences, sums = await world.audit()
    assert differences == []
    assert lines == [
        line("c1", Period.TOTAL, 1000, 5.75, 3, 991.25),
        line("c1", Period.DAILY, 100, 5.75, 3, 91.25),
        line("c1", Period.HOURLY, 20, 0, 3, 17),
        line("c2", Period.TOTAL, 500, 0, 3, 497),
        line("free", Period.TOTAL, None, 0, 0, None),
        line("idle", Period.TOTAL, 7, 0, 0, 7),
    ]
    assert all(each.proven for each in lines)
    assert (sums.campaigns, sums.counters, sums.waiting) == (4, 8, 0)
    # A spend is 3 movements; each hold 3 a level, as its end: 1 + a, b, r, e twice and b2 once.
    assert sums.movements == 3 * (1 + 2 + 2 * 2 + 2 + 2 + 2)


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_was_done_is_proven(world, seed, monkeypatch):
    for store in ("sqlite", "postgres"):
        monkeypatch.setattr(f"xsp_server.state.{store}.ledger.ROWS_AT_ONCE", 2)
    chance = random.Random(seed)
    await world.put("c1", 60, 40, 9)
    await world.put("c2", 30, 20, 5, parent_id="c1", time_zone="Asia/Kolkata")
    await world.put("c3", time_zone="America/New_York")
    open_: list[str] = []
    for step in range(60):
        campaign, units = chance.choice(("c1", "c2", "c3")), chance.randrange(1, 900) / 100
        act = chance.randrange(5)
        if act == 0:
            await world.spend(campaign, units)
        elif act == 1 or not open_:
            ttl = seconds(chance.choice((30, 7_000)))
            open_.append(f"r{step}")
            await world.reserve(open_[-1], units, by=campaign, ttl=ttl)
        elif act == 2:
            await world.release(open_.pop())
        elif act == 3:
            await world.commit(open_.pop(0), units, allow_more=True)
        else:
            world.clock.go(chance.choice((1_000, 61_000, HOUR, DAY)))
    lines, differences, sums = await world.audit()
    assert differences == []
    assert all(each.proven for each in lines)
    assert sums.counters > 9


async def test_what_is_told_is_one_moment_while_others_go_on_writing(world):
    await world.put("c1", 10)
    await world.spend("c1", 1)
    async with world.opened() as opened:
        await world.spend("c1", 2)
        run = Audit(opened, world.clock.now_ms)
        told = [each async for each in run.run()]
    assert told == [line("c1", Period.TOTAL, 10, 1, 0, 9)]
    lines, _, _ = await world.audit()
    assert lines == [line("c1", Period.TOTAL, 10, 3, 0, 7)]


async def test_counters_of_hours_that_are_over_may_be_gone_the_ledger_has_their_sums(world):
    await world.put("c1", 10, None, 5)
    await world.spend("c1", 1)
    world.clock.go(HOUR)
    await world.spend("c1", 2)
    await world.execute(f"DELETE FROM counter WHERE name = '{hour('c1', at(NOON))}'")
    lines, differences, _ = await world.audit()
    assert differences == []
    assert lines[1] == line("c1", Period.HOURLY, 5, 2, 0, 3)


async def test_a_campaign_that_was_deleted_keeps_its_line_without_a_limit(world):
    await world.put("c1", 10)
    await world.spend("c1", 4)
    await world.campaigns.delete("c1")
    lines, differences, sums = await world.audit()
    assert differences == []
    assert lines == [Line("c1", Period.TOTAL, "", None, 4_000_000, 0, None)]
    assert sums.campaigns == 0


async def test_money_in_a_tree_that_a_campaign_has_left_is_told_beside_its_own(world):
    await world.put("c1", 10)
    await world.spend("c1", 4)
    await world.campaigns.delete("c1")
    await world.put("top", 50)
    await world.put("c1", 10, parent_id="top")
    await world.spend("c1", 1)
    lines, differences, _ = await world.audit()
    assert differences == []
    assert lines == [
        Line("c1", Period.TOTAL, "", None, 4_000_000, 0, None),
        line("c1", Period.TOTAL, 10, 1, 0, 9),
        line("top", Period.TOTAL, 50, 1, 0, 49),
    ]


@pytest.mark.parametrize("later", [2 * SLACK_MS, 2 * DAY])
async def test_a_limit_that_was_lowered_beneath_what_was_spent_is_no_difference(world, later):
    await world.put("c1", 10, 10, 10)
    await world.spend("c1", 8)
    world.clock.go(later)
    await world.put("c1", 5, 5, 5)
    world.clock.go(2 * SLACK_MS)
    assert not (await world.spend("c1", 1)).accepted
    lines, differences, _ = await world.audit()
    assert differences == []
    assert lines[0] == line("c1", Period.TOTAL, 5, 8, 0, -3)


# What it finds


async def test_a_counter_that_was_changed_by_hand_is_told_with_both_numbers(world):
    await world.put("c1", 10)
    await world.spend("c1", 4)
    await world.execute("UPDATE counter SET counted = counted - 1000000 WHERE name = 't/c1'")
    lines, [difference], _ = await world.audit()
    assert (difference.kind, difference.campaign_id) == ("counter", "c1")
    assert difference.place == f"{TREE} t/c1"
    assert (difference.ledger, difference.stored) == (4_000_000, 3_000_000)
    assert lines == [line("c1", Period.TOTAL, 10, 4, 0, 7)]
    assert not lines[0].proven


async def test_a_movement_that_was_deleted_is_told(world):
    await world.put("c1", 10)
    await world.spend("c1", 4)
    await world.spend("c1", 1)
    await world.execute("DELETE FROM movement WHERE counter = 't/c1' AND counted = 1000000")
    _, differences, _ = await world.audit()
    told = [(each.kind, each.ledger, each.stored) for each in differences]
    assert told == [
        ("counter", 4_000_000, 5_000_000),
        ("periods", 5_000_000, 4_000_000),  # all days
        ("periods", 5_000_000, 4_000_000),  # all hours
    ]


async def test_a_movement_of_an_hour_that_is_forgotten_is_missed_in_the_sums(world):
    await world.put("c1", 10)
    await world.spend("c1", 4)
    world.clock.go(2 * HOUR)
    name = hour("c1", at(NOON))
    await world.execute(f"DELETE FROM counter WHERE name = '{name}'")
    await world.execute(f"DELETE FROM movement WHERE counter = '{name}'")
    assert await world.found() == [("periods", "c1")]


@pytest.mark.parametrize(
    ("tampering", "kinds"),
    [
        ("UPDATE counter SET held = held - 1 WHERE name = 't/c1'", ["counter"]),
        ("UPDATE move SET hold = 'released' WHERE hold = 'held'", 3 * ["holds"]),
        ("DELETE FROM counter WHERE name = 't/c1'", ["missing"]),
        (f"DELETE FROM counter WHERE name = '{day('c1', at('2026-03-14'))}'", ["missing"]),
        ("DELETE FROM movement WHERE kind = 'hold' AND counter = 't/c1'", None),
        ("DELETE FROM movement", None),
    ],
)
async def test_what_was_done_to_counters_holds_and_movements_is_told(world, tampering, kinds):
    await world.put("c1", 10)
    await world.spend("c1", 4)
    await world.reserve("h", 2)
    assert await world.found() == []
    await world.execute(tampering)
    found = [kind for kind, _ in await world.found()]
    assert found == kinds if kinds else found


async def test_movements_and_counters_that_are_gone_together_leave_the_holds(world):
    await world.put("c1", 10)
    await world.reserve("h", 2)
    await world.execute("DELETE FROM movement")
    await world.execute("DELETE FROM counter")
    assert await world.found() == 3 * [("holds", "c1")]


@pytest.mark.parametrize("before", [2 * SLACK_MS, 3 * DAY])
@pytest.mark.parametrize("held", [False, True])
async def test_a_limit_that_was_passed_since_it_was_set_is_told(world, before, held):
    """Ledger and counters agree with one another, but not with the limit."""
    await world.put("c1")
    await (world.reserve("h", 12) if held else world.spend("c1", 12))
    await world.put("c1", 10, 10)
    assert await world.found() == []
    await world.execute(f"UPDATE campaign SET updated_at = {at(NOON) - before}")
    lines, differences, _ = await world.audit()
    told = [(each.kind, each.campaign_id, each.ledger, each.stored) for each in differences]
    assert told == 2 * [("limit", "c1", 12_000_000, 10_000_000)]
    assert lines[0] == line("c1", Period.TOTAL, 10, *((0, 12) if held else (12, 0)), -2)


async def test_a_call_that_was_under_way_as_a_limit_was_set_may_have_gone_by_the_one_before(world):
    await world.put("c1")
    await world.spend("c1", 12)
    await world.put("c1", 10)
    await world.execute(f"UPDATE campaign SET updated_at = {at(NOON) - SLACK_MS}")
    assert await world.found() == []
    await world.execute(f"UPDATE campaign SET updated_at = {at(NOON) - SLACK_MS - 1}")
    assert await world.found() == [("limit", "c1")]


async def test_a_reservation_that_is_due_waits_for_the_next_call_and_is_no_difference(world):
    await world.put("c1", 10)
    await world.reserve("h", 2, ttl=seconds(10))
    world.clock.go(DAY)
    lines, differences, sums = await world.audit()
    assert (differences, sums.waiting) == ([], 1)
    assert lines == [line("c1", Period.TOTAL, 10, 0, 2, 8)]
    await world.budget("c1")
    lines, differences, sums = await world.audit()
    assert (differences, sums.waiting) == ([], 0)
    assert lines == [line("c1", Period.TOTAL, 10, 0, 0, 10)]


async def test_a_reservation_that_is_held_though_calls_came_by_is_told(world):
    await world.put("c1", 10)
    await world.reserve("h", 2, ttl=seconds(10))
    world.clock.go(10_000 + SLACK_MS)
    late = world.clock.now_ms * 1000
    await world.execute(f"UPDATE book SET sequence = {late - 1} WHERE name = '{TREE}'")
    assert await world.found() == []
    await world.execute(f"UPDATE book SET sequence = {late} WHERE name = '{TREE}'")
    _, [difference], sums = await world.audit()
    assert (difference.kind, difference.campaign_id) == ("stuck", "c1")
    assert difference.place.startswith(f"{TREE} ")
    assert difference.stored == at(NOON) + 10_000
    assert sums.waiting == 0


async def test_what_one_call_leaves_to_the_next_as_it_expires_only_so_many_is_not_stuck(world):
    await world.put("c1", 10)
    await world.reserve("h", 2, ttl=seconds(10))
    world.clock.go(DAY)
    now_ms = world.clock.now_ms
    await world.execute(f"UPDATE book SET sequence = {now_ms}000 WHERE name = '{TREE}'")
    expired = [
        f"('{TREE}', {now_ms}000, 't/c1', 'expire', 'x{number}', 0, 0, {now_ms})"
        for number in range(DUE_AT_ONCE)
    ]
    columns = "(book, sequence, counter, kind, id, counted, held, at)"
    await world.execute(f"INSERT INTO movement {columns} VALUES {','.join(expired[1:])}")
    assert await world.found() == [("stuck", "c1")]
    await world.execute(f"INSERT INTO movement {columns} VALUES {expired[0]}")
    _, differences, sums = await world.audit()
    assert (differences, sums.waiting) == ([], 1)


async def test_counters_of_other_books_with_a_ledger_are_compared_too(world):
    play = Play(world.backend, Book("book", ledger=True))
    await play(0, count(entry(3), entry(1, counter="d/x"), entry(1, counter="t")))
    lines, differences, sums = await world.audit()
    assert (lines, differences, sums.counters) == ([], [], 3)
    await world.execute("UPDATE counter SET counted = 4 WHERE name = 'c'")
    assert await world.found() == [("counter", "")]


# What it can't read


async def test_a_store_that_was_never_there_is_told_and_not_made(request, tmp_path: Path):
    path = tmp_path / "state.db"
    with pytest.raises(ConfigError, match="there is no such file; expected one that a server"):
        async with ledger_of(f"sqlite:///{path}"):
            pass
    assert not path.exists()
    url, schema = shared_url(request.config), new_schema()
    with pytest.raises(ConfigError, match=f"schema '{schema}': has no state; expected one"):
        async with ledger_of(url, schema=schema):
            pass
    connection = await asyncpg.connect(url)
    assert await connection.fetchval("SELECT to_regnamespace($1) IS NULL", schema)
    await connection.close()


async def test_tables_of_another_version_are_left_alone(world):
    await world.put("c1", 10)
    if world.settings:
        await world.execute("UPDATE schema_version SET version = 99")
    else:
        await world.execute("PRAGMA user_version = 99")
    with pytest.raises(ConfigError, match="has tables of version 99; this server knows 1"):
        await world.audit()


async def test_a_file_of_another_program_is_left_alone(tmp_path: Path):
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (x)")
    with pytest.raises(ConfigError, match="is another program's database; expected one of ours"):
        async with ledger_of(f"sqlite:///{path}"):
            pass
    path.write_text("no database at all, but a text that is long enough to be looked at")
    with pytest.raises(StoreAway, match=r"other\.db: file is not a database"):
        async with ledger_of(f"sqlite:///{path}"):
            pass


async def test_a_store_that_goes_away_meanwhile_is_told(request, tmp_path: Path):
    async with in_postgresql(request, tmp_path) as world:
        await world.put("c1", 10)
        async with world.opened() as opened:
            await end_sessions(world.url)
            with pytest.raises(StoreAway, match=r"^postgresql://127\.0\.0\.1/postgres: "):
                [each async for each in Audit(opened, 1).run()]


async def end_sessions(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'xsp state audit'"
    )
    await connection.close()


@pytest.mark.parametrize("url", ["memory://", "redis://host", "redis+cluster://host"])
def test_a_store_without_a_ledger_says_what_would_be_right(url):
    with pytest.raises(ConfigError, match=r"keeps no ledger.*expected sqlite:///FILE or postgres"):
        ledger_of(url)


async def test_a_server_that_can_not_be_reached_is_told_without_its_password():
    for url in ("postgresql://user:se%2Fcret@127.0.0.1:1/db", "postgresql://u:secret@h:x/db"):
        with pytest.raises((StoreAway, ConfigError)) as caught:
            async with ledger_of(url):
                pass
        assert "cret" not in str(caught.value)
