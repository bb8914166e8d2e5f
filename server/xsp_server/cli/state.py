"""`xsp state`: what an operator asks of the store of caps and budgets."""

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import uvloop
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from xsp_server import config
from xsp_server.cli.words import counted
from xsp_server.errors import XspError
from xsp_server.state.audit import Audit, Difference, Line
from xsp_server.state.ledger import ledger_of
from xsp_server.state.urls import SCHEMES, not_one

PROVEN, DIFFERENT, IMPOSSIBLE = 0, 1, 2
"""Exit statuses of the audit."""

FILE_WIDTH = 500
"""Columns of a table that doesn't go to a terminal: nothing is cut."""


@click.group("state")
def command() -> None:
    """Caps and budgets: look after their store."""


@command.command("audit")
@click.option("--url", help="The store, as `state.url`. Without it that of the settings.")
@click.option(
    "--config",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Settings file with `state.url`. Without it: defaults and environment.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print JSON: a line for each limit, each difference and the whole; amounts in micros.",
)
def audit(url: str | None, file: Path | None, as_json: bool) -> None:
    """Prove by the ledger that no limit was passed.

    For every campaign and level (total, this day, this hour): limit = spent + reserved + available
    by the append-only ledger, counters are the sums of their movements and of open reservations,
    and no reservation is held past its time. Reads one snapshot of SQLite or PostgreSQL, changes
    nothing and stops nobody.

    Exit status 0: proven. 1: there are differences, each is told. 2: it can't be done, as memory
    and Redis keep no ledger.
    """
    show = _Json() if as_json else _Text()
    try:
        where = url if url is not None else config.load(file).state.url
        if where.partition("://")[0] not in SCHEMES:
            raise not_one(where)
        differences = uvloop.run(_audit(where, show))
    except XspError as error:
        click.echo(f"xsp: {error}", err=True)
        sys.exit(IMPOSSIBLE)
    sys.exit(DIFFERENT if differences else PROVEN)


async def _audit(url: str, show: "_Json | _Text") -> int:
    """Shows what the audit tells; the number of differences."""
    differences = 0
    async with ledger_of(url) as ledger:
        run = Audit(ledger, time.time_ns() // 1_000_000)
        async for told in run.run():
            if isinstance(told, Line):
                show.line(told)
            else:
                differences += 1
                show.difference(told)
        show.end({**asdict(run.sums), "differences": differences})
    return differences


class _Json:
    """Each thing as a line, when it is found."""

    def line(self, line: Line) -> None:
        self._print({"type": "limit", **asdict(line), "proven": line.proven})

    def difference(self, difference: Difference) -> None:
        self._print({"type": "difference", **asdict(difference)})

    def end(self, sums: dict[str, int]) -> None:
        self._print({"type": "audit", **sums, "proven": not sums["differences"]})

    def _print(self, line: dict[str, Any]) -> None:
        click.echo(json.dumps(line))


class _Text:
    """A table of all limits, below it the differences."""

    def __init__(self) -> None:
        self._table = Table("campaign", "level", box=box.SIMPLE_HEAD)
        for name in ("limit", "spent", "reserved", "available"):
            self._table.add_column(name, justify="right", no_wrap=True)
        self._table.add_column("")
        self._differences: list[Difference] = []

    def line(self, line: Line) -> None:
        amounts = (line.limit, line.spent, line.reserved, line.available)
        proven = Text("proven", "green") if line.proven else Text("differs", "bold red")
        currency = f" {line.currency}" if line.currency else ""
        self._table.add_row(
            line.campaign_id, f"{line.period.value}{currency}", *map(_amount, amounts), proven
        )

    def difference(self, difference: Difference) -> None:
        self._differences.append(difference)

    def end(self, sums: dict[str, int]) -> None:
        width = None if sys.stdout.isatty() else FILE_WIDTH
        console = Console(highlight=False, width=width, soft_wrap=True)
        if self._table.row_count:
            console.print(self._table)
        for difference in self._differences:
            place = Text(f"{difference.kind}: {difference.place}: ", "bold red")
            console.print(place.append(difference.message, "not bold default"))
        looked_at = ", ".join(
            counted(sums[f"{noun}s"], noun) for noun in ("campaign", "counter", "movement")
        )
        if sums["waiting"]:
            looked_at += f"; reservations that expire at the next call: {sums['waiting']:,}"
        console.print(f"{looked_at}: {self._verdict()}")

    def _verdict(self) -> str:
        return counted(len(self._differences), "difference") if self._differences else "proven"


def _amount(micros: int | None) -> str:
    """Micros in whole units, with two decimals at least."""
    if micros is None:
        return "-"
    whole, part = divmod(abs(micros), 1_000_000)
    decimals = f"{part:06d}".rstrip("0").ljust(2, "0")
    return f"{'-' if micros < 0 else ''}{whole:,}.{decimals}"
