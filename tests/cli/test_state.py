"""`xsp state audit`: what it prints, and its exit status."""

import asyncio
import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from click.testing import CliRunner

from state.postgres_server import shared_url
from xsp_server.cli import group
from xsp_server.state.budgets import BudgetTracker
from xsp_server.state.urls import backend_of

XSP = Path(sys.executable).parent / "xsp"
DATABASE = "audited"


async def fill(url: str) -> None:
    """Three campaigns, one of which has spent 2.50 of 1000.00."""
    store = backend_of(url)
    tracker = BudgetTracker(store)
    await tracker.put_campaign("c1", Decimal(1000))
    await tracker.put_campaign("free", None)
    await tracker.put_campaign("idle", Decimal("0.5"), currency="EUR")
    await tracker.track_spend("c1", Decimal("2.50"))
    await store.close()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/state.db"
    asyncio.run(fill(url))
    return url


def tamper(url: str) -> None:
    with closing(sqlite3.connect(urlsplit(url).path[1:])) as connection:
        connection.execute("UPDATE counter SET counted = 3000000 WHERE name = 't/c1'")
        connection.commit()


@pytest.fixture
def audit():
    def run(*arguments, **kwargs):
        return CliRunner().invoke(group, ["state", "audit", *arguments], **kwargs)

    return run


def test_proven_is_a_table_and_status_0(audit, sqlite_url):
    done = audit("--url", sqlite_url)
    assert done.exit_code == 0
    rows = [row.split() for row in done.output.splitlines() if row.strip()]
    assert rows[0] == ["campaign", "level", "limit", "spent", "reserved", "available"]
    assert rows[2:] == [
        ["c1", "total", "USD", "1,000.00", "2.50", "0.00", "997.50", "proven"],
        ["free", "total", "USD", "-", "0.00", "0.00", "-", "proven"],
        ["idle", "total", "EUR", "0.50", "0.00", "0.00", "0.50", "proven"],
        ["3", "campaigns,", "3", "counters,", "3", "movements:", "proven"],
    ]


def test_a_difference_is_told_where_and_status_1(audit, sqlite_url):
    tamper(sqlite_url)
    done = audit("--url", sqlite_url)
    assert done.exit_code == 1
    assert "997.00   differs" in done.output
    assert (
        "counter: campaign/c1 t/c1: spent is 2500000 by the ledger and 3000000 by the counter; "
        "expected the same"
    ) in done.output
    assert done.output.rstrip().endswith("3 movements: 1 difference")


def test_json_has_a_line_for_each_limit_each_difference_and_the_whole(audit, sqlite_url):
    tamper(sqlite_url)
    done = audit("--url", sqlite_url, "--json")
    assert done.exit_code == 1
    difference, limit, _, idle, whole = map(json.loads, done.output.splitlines())
    assert difference["type"] == "difference"
    assert (difference["kind"], difference["campaign_id"]) == ("counter", "c1")
    assert (difference["place"], difference["ledger"], difference["stored"]) == (
        "campaign/c1 t/c1",
        2_500_000,
        3_000_000,
    )
    assert limit == {
        "type": "limit",
        "campaign_id": "c1",
        "period": "total",
        "currency": "USD",
        "limit": 1_000_000_000,
        "spent": 2_500_000,
        "reserved": 0,
        "available": 997_000_000,
        "proven": False,
    }
    assert (idle["campaign_id"], idle["proven"]) == ("idle", True)
    assert whole == {
        "type": "audit",
        "campaigns": 3,
        "counters": 3,
        "movements": 3,
        "waiting": 0,
        "differences": 1,
        "proven": False,
    }


def test_the_store_of_the_settings_is_audited_where_no_url_is_told(audit, sqlite_url, tmp_path):
    file = tmp_path / "xsp.toml"
    file.write_text(f'[state]\nurl = "{sqlite_url}"\n')
    assert audit("--config", str(file)).exit_code == 0
    assert audit(env={"XSP_STATE__URL": sqlite_url}).exit_code == 0


def test_a_store_without_campaigns_is_proven(audit, tmp_path):
    url = f"sqlite:///{tmp_path}/empty.db"

    async def make() -> None:
        store = backend_of(url)
        await store.ping()
        await store.close()

    asyncio.run(make())
    done = audit("--url", url)
    assert (done.exit_code, done.output) == (
        0,
        "0 campaigns, 0 counters, 0 movements: proven\n",
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "memory:// keeps no ledger, so there is nothing to audit; expected sqlite:///FILE"),
        (("--url", "redis://host"), "redis:// keeps no ledger"),
        (("--url", "sqlite:///gone/state.db"), "gone/state.db: there is no such file"),
        (("--url", "postgresql://u:secret@127.0.0.1:1/db"), "postgresql://127.0.0.1/db: "),
        (("--config", "gone.toml"), "gone.toml: No such file"),
        (("--url", "foo"), "state.url: got foo: no such store; expected memory://"),
        (("--url", "foo://host"), "state.url: got foo://: no such store; expected memory://"),
    ],
)
def test_what_can_not_be_audited_is_told_and_status_2(arguments, told):
    done = subprocess.run(
        [XSP, "state", "audit", *arguments], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("xsp: ")
    assert told in done.stderr
    assert "secret" not in done.stderr


def test_what_is_due_and_waits_for_a_call_is_told_beside(audit, sqlite_url):
    with closing(sqlite3.connect(urlsplit(sqlite_url).path[1:])) as connection:
        connection.execute(
            "INSERT INTO move VALUES"
            " ('campaign/c1', 'h', 'hold', '', '{}', 9, 'held', 1, 1, 0, '', '[]')"
        )
        connection.execute("UPDATE book SET sequence = 1")
        connection.commit()
    done = audit("--url", sqlite_url)
    assert done.exit_code == 0
    assert "3 movements; reservations that expire at the next call: 1: proven" in done.output


async def test_a_database_is_audited_beside_the_servers_that_use_it(request):
    url = shared_url(request.config)
    connection = await asyncpg.connect(url)
    await connection.execute(f"CREATE DATABASE {DATABASE}")
    audited = urlunsplit(urlsplit(url)._replace(path=f"/{DATABASE}"))
    try:
        await fill(audited)
        process = await asyncio.create_subprocess_exec(
            *(XSP, "state", "audit", "--url", audited), stdout=asyncio.subprocess.PIPE
        )
        output, _ = await asyncio.wait_for(process.communicate(), 60)
    finally:
        await connection.execute(f"DROP DATABASE {DATABASE}")
        await connection.close()
    assert process.returncode == 0
    assert output.decode().rstrip().endswith("3 campaigns, 3 counters, 3 movements: proven")
