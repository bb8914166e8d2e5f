"""Auctions as tables on a terminal."""

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from xsp.bid.v1.auction_report_pb2 import (
    BidderOutcome,
    BidderReport,
    BidReport,
    Fate,
    ImpReport,
    Winner,
)
from xsp.bid.v1.bid_service_pb2 import RunAuctionResponse
from xsp.money.v1.money_pb2 import Money
from xsp_server.cli.words import counted
from xsp_server.openrtb.money import MICROS


def auction(answer: RunAuctionResponse, console: Console | None = None) -> None:
    """Draws one auction: a table of bids by imp, the bidders without bids, and a summary."""
    console = console or Console()
    report = answer.report
    console.print(_bids(answer))
    for bidder in report.bidders:
        if not bidder.bids:
            console.print(_silent(bidder))
    totals = report.totals
    console.print(
        f"{totals.imps_filled} of {len(report.imps)} imps won, "
        f"{counted(totals.bids, 'bid')} of {counted(totals.bidders_asked, 'bidder')}, "
        f"revenue {price(totals.revenue)} CPM, "
        f"{report.timings.total.ToMicroseconds() / 1000:.1f} ms"
        + (f", nbr {report.nbr}" if report.HasField("nbr") else "")
    )


def _bids(answer: RunAuctionResponse) -> Table:
    report = answer.report
    title = f"Auction {report.openrtb_request_id}, CPM in {report.currency}"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for name in ("imp", "bidder"):
        table.add_column(name, no_wrap=True)
    for name in ("price", "floor", "pays", "ms"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("fate", no_wrap=True)
    for imp in report.imps:
        rows = [
            (bidder, bid)
            for bidder in report.bidders
            for bid in bidder.bids
            if bid.imp_id == imp.imp_id
        ]
        rows.sort(key=lambda row: -row[1].adjusted_price.micros)
        for bidder, bid in rows:
            table.add_row(*_row(imp, bidder, bid, report.currency))
        if not rows:
            floor = price(imp.floor, report.currency)
            table.add_row(imp.imp_id, "", "", floor, "", "", "no bids")
        table.add_section()
    return table


def _row(
    imp: ImpReport, bidder: BidderReport, bid: BidReport, currency: str
) -> tuple[str | Text, ...]:
    won = _winner(imp, bidder, bid)
    fate = Fate.Name(bid.fate).removeprefix("FATE_").lower().replace("_", " ")
    return (
        imp.imp_id,
        bidder.bidder if bid.seat in {"", bidder.bidder} else f"{bidder.bidder}/{bid.seat}",
        price(bid.price, currency),
        price(bid.floor, currency),
        price(won.clearing_price, currency) if won else "",
        f"{bidder.latency.ToMicroseconds() / 1000:.1f}",
        Text(fate, style="bold green" if won else "dim"),
    )


def _winner(imp: ImpReport, bidder: BidderReport, bid: BidReport) -> Winner | None:
    for winner in imp.winners:
        if (winner.bidder, winner.bid_id) == (bidder.bidder, bid.bid_id):
            return winner
    return None


def _silent(bidder: BidderReport) -> str:
    outcome = BidderOutcome.Name(bidder.outcome).removeprefix("BIDDER_OUTCOME_").lower()
    detail = f" ({bidder.detail})" if bidder.detail else ""
    return f"{bidder.bidder}: {outcome.replace('_', ' ')}{detail}"


def price(money: Money, currency: str = "") -> str:
    """Money as people read a CPM: at least cents, its currency where it is not the usual one."""
    if not money.currency:
        return ""
    whole, part = divmod(abs(money.micros), MICROS)
    decimals = f"{part:06d}".rstrip("0").ljust(2, "0")
    unit = "" if money.currency == currency else f" {money.currency}"
    return f"{'-' if money.micros < 0 else ''}{whole}.{decimals}{unit}"
