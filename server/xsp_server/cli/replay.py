"""`xsp replay`."""

import json
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any, BinaryIO

import click
from rich import box
from rich.console import Console
from rich.table import Table

from xsp.bid.v1.auction_record_pb2 import AuctionRecord
from xsp_server.auction import Rules
from xsp_server.auction.what_if import AuctionChange, FateChange, WhatIf, lay_over
from xsp_server.cli.words import counted
from xsp_server.errors import ConfigError, XspError
from xsp_server.openrtb import money
from xsp_server.service.exchange import AuctionRun
from xsp_server.service.record_file import read_records
from xsp_server.service.replay import Difference, differences, run_again, same_answer

SHOWN = 20
"""Differences of one auction that are drawn; the rest is counted. JSON has all."""

FILE_WIDTH = 500
"""Columns of a table that doesn't go to a terminal: nothing is cut."""


@click.command("replay")
@click.argument("files", type=click.File("rb"), nargs=-1, required=True)
@click.option(
    "--rules",
    "rules_file",
    type=click.File("rb"),
    help="Try other rules: a TOML file with rules, or with a section [rules]. They are laid over "
    "the recorded ones.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print JSON: a line for each auction that differs, and one for the whole.",
)
def command(files: tuple[BinaryIO, ...], rules_file: BinaryIO | None, as_json: bool) -> None:
    """Run recorded auctions again and tell what comes out otherwise.

    FILES hold auction records; `-` is standard input. Nobody is asked to bid: the recorded replies
    are judged again, on the request as it was judged, by the recorded rules. Exit status 1 if an
    answer, a fate or a price differs, or a record can't be read.

    With --rules the same auctions are run by other rules, and the sums are compared: revenue, fill,
    fates. Exit status 0 unless a record can't be read.
    """
    replays = _Replays(files)
    if rules_file is not None:
        what_if = _try_rules(replays, rules_file)
        (_print_sums_json if as_json else _draw_sums)(what_if, replays, rules_file.name)
        sys.exit(int(replays.failed > 0))
    show = _print_json if as_json else _print_text
    for again in replays:
        found = differences(again.record, again.run)
        if found:
            replays.different += 1
            show(again, found)
    click.echo(json.dumps(replays.counts()) if as_json else replays.summary())
    sys.exit(int(replays.failed > 0 or replays.different > 0))


@dataclass(frozen=True, slots=True)
class _Again:
    """One record, run again."""

    file: str
    record: AuctionRecord
    run: AuctionRun


class _Replays:
    """Runs every record of some files again, one at a time; what can't be is told and counted."""

    def __init__(self, files: Iterable[BinaryIO]) -> None:
        self._files = files
        self.replayed = self.different = self.failed = 0

    def __iter__(self) -> Iterator[_Again]:
        for name, record in self._records():
            try:
                run = run_again(record)
            except XspError as error:
                self._fail(f"{name}: auction {record.auction_id} can't be replayed: {error}")
                continue
            self.replayed += 1
            yield _Again(name, record, run)

    def counts(self) -> dict[str, int]:
        return {"replayed": self.replayed, "different": self.different, "failed": self.failed}

    def summary(self) -> str:
        failed = f", {counted(self.failed, 'failure')}" if self.failed else ""
        return f"{counted(self.replayed, 'auction')} replayed, {self.different:,} different{failed}"

    def _records(self) -> Iterator[tuple[str, AuctionRecord]]:
        """Of all files; one that ends within a record doesn't keep us from the next."""
        for file in self._files:
            name = getattr(file, "name", "-")
            try:
                for record in read_records(file, name):
                    yield name, record
            except XspError as error:
                self._fail(str(error))

    def _fail(self, message: str) -> None:
        self.failed += 1
        click.echo(f"xsp: {message}", err=True)


def _print_json(again: _Again, found: Sequence[Difference]) -> None:
    line = {
        "file": again.file,
        "auction_id": again.record.auction_id,
        "differences": [asdict(difference) for difference in found],
    }
    click.echo(json.dumps(line))


def _print_text(again: _Again, found: Sequence[Difference]) -> None:
    click.echo(
        f"auction {again.record.auction_id} ({again.file}): {counted(len(found), 'difference')}"
    )
    for difference in found[:SHOWN]:
        click.echo(f"  {difference.path}: {difference.recorded}, replayed {difference.replayed}")
    if len(found) > SHOWN:
        click.echo(f"  and {len(found) - SHOWN} more")


def _try_rules(replays: _Replays, file: BinaryIO) -> WhatIf:
    values = _read_rules(file)
    what_if = WhatIf()
    for again in replays:
        replays.different += not same_answer(again.record, again.run)
        after = run_again(again.record, lay_over(again.run.rules, values, f"{file.name}: rules"))
        what_if.add(again.record.auction_id, again.run.result, after.result)
    return what_if


def _read_rules(file: BinaryIO) -> Mapping[str, Any]:
    """The section [rules] of a settings file, or a file of rules alone."""
    try:
        values = tomllib.loads(file.read().decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file.name}: not TOML: {error}") from None
    section = values.get("rules", values)
    if not isinstance(section, dict):
        raise ConfigError(f"{file.name}: rules: got {section!r}; expected a section [rules]")
    Rules.from_mapping(section, f"{file.name}: rules")  # before the first record is read
    return section


def _draw_sums(what_if: WhatIf, replays: _Replays, rules_name: str) -> None:
    console = Console(highlight=False, width=None if sys.stdout.isatty() else FILE_WIDTH)
    auctions = counted(what_if.auctions, "auction")
    console.print(f"{auctions}, {what_if.changed:,} come out otherwise with {rules_name}")
    if replays.different:
        console.print(
            f"{replays.different:,} don't replay to the answer that they recorded; "
            "before is what this version makes of them"
        )
    if replays.failed:
        console.print(
            f"{counted(replays.failed, 'failure')}: what couldn't be read is not in the sums"
        )
    console.print(_sums(what_if))
    console.print(_fates(what_if))
    for currency in sorted(what_if.before.revenue):
        greatest = what_if.greatest(currency)
        if greatest:
            console.print(_greatest(currency, greatest))


def _sums(what_if: WhatIf) -> Table:
    table = _table("", "before", "after", "difference")
    before, after = what_if.before, what_if.after
    for currency in sorted(before.revenue):
        table.add_row(
            f"revenue, CPM in {currency}",
            *_three(before.revenue[currency], after.revenue[currency]),
        )
    counts = (("imps filled", before.filled, after.filled), ("bids won", before.won, after.won))
    for name, old, new in counts:
        table.add_row(name, f"{old:,}", f"{new:,}", f"{new - old:+,}")
    old_fill, new_fill = (_percent(sums.filled, sums.imps) for sums in (before, after))
    change = f"{new_fill - old_fill:+.2f}"
    table.add_row("fill, %", f"{old_fill:.2f}", f"{new_fill:.2f}", change)
    return table


def _fates(what_if: WhatIf) -> Table:
    table = _table("fate", "bids")
    same = 0
    for (before, after), bids in what_if.fates.most_common():
        if before is after:
            same += bids
        else:
            table.add_row(f"{before} -> {after}", f"{bids:,}")
    table.add_row("won, at another price", f"{what_if.repriced:,}")
    table.add_row("as before, at the same price", f"{same - what_if.repriced:,}")
    return table


def _greatest(currency: str, changes: list[AuctionChange]) -> Table:
    table = _table(f"greatest changes, CPM in {currency}", "before", "after", "difference")
    table.add_column("fates")
    for change in changes:
        fates = ", ".join(map(_fate_text, change.fates[:2]))
        more = f", {len(change.fates) - 2} more" if len(change.fates) > 2 else ""
        table.add_row(change.auction_id, *_three(change.before, change.after), fates + more)
    return table


def _fate_text(change: FateChange) -> str:
    return f"{change.bid}: {change.before} -> {change.after}"


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    for index, name in enumerate(columns):
        table.add_column(name, justify="right" if index else "left", no_wrap=True)
    return table


def _three(before: Fraction, after: Fraction) -> tuple[str, str, str]:
    """Before, after and difference, each rounded by itself from the exact sum."""
    sign = "+" if after >= before else ""
    return money.to_text(before), money.to_text(after), sign + money.to_text(after - before)


def _percent(part: int, whole: int) -> float:
    return 100 * part / whole if whole else 0.0


def _print_sums_json(what_if: WhatIf, replays: _Replays, rules_name: str) -> None:
    before, after = what_if.before, what_if.after
    revenue = {
        currency: _three_json(before.revenue[currency], after.revenue[currency])
        for currency in sorted(before.revenue)
    }
    fates = [
        {"before": old, "after": new, "bids": bids}
        for (old, new), bids in what_if.fates.most_common()
    ]
    click.echo(
        json.dumps(
            {
                "rules": rules_name,
                **replays.counts(),
                "changed": what_if.changed,
                "revenue": revenue,
                "imps": before.imps,
                "filled": _counts_json(before.filled, after.filled),
                "won": _counts_json(before.won, after.won),
                "repriced": what_if.repriced,
                "fates": fates,
                "greatest": [
                    _change_json(change)
                    for currency in revenue
                    for change in what_if.greatest(currency)
                ],
            }
        )
    )


def _change_json(change: AuctionChange) -> dict[str, Any]:
    return {
        "auction_id": change.auction_id,
        "currency": change.currency,
        **_three_json(change.before, change.after),
        "fates": [asdict(fate) for fate in change.fates],
    }


def _three_json(before: Fraction, after: Fraction) -> dict[str, str]:
    texts = map(money.to_text, (before, after, after - before))
    return dict(zip(("before", "after", "difference"), texts, strict=True))


def _counts_json(before: int, after: int) -> dict[str, int]:
    return {"before": before, "after": after, "difference": after - before}
