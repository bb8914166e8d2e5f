"""Names in the book of a campaign tree."""

from enum import StrEnum
from typing import Final

from xsp_server.state.backend import Book, Entry, Kind, Move
from xsp_server.state.windows import FOREVER

_TREE: Final = "campaign/"

PERIODS: Final = 3
"""Counters of a campaign: total, day, hour."""


class Period(StrEnum):
    """What a counter counts, as the limits of a campaign are named."""

    TOTAL = "total"
    DAILY = "daily"
    HOURLY = "hourly"


def book_of(root_id: str) -> Book:
    """The book of all campaigns below one at the top."""
    return Book(f"{_TREE}{root_id}", ledger=True)


def total(campaign_id: str) -> str:
    """Counter of all that a campaign spends."""
    return f"t/{campaign_id}"


def day(campaign_id: str, start: int) -> str:
    """Counter of a day."""
    return f"d/{start}/{campaign_id}"


def hour(campaign_id: str, start: int) -> str:
    """Counter of an hour."""
    return f"h/{start}/{campaign_id}"


def read_name(book: str, counter: str) -> tuple[Period, str, int] | None:
    """Period, campaign and start (0: of the total) of a counter; None for one of something else."""
    if not book.startswith(_TREE):
        return None
    kind, _, rest = counter.partition("/")
    if kind == "t":
        return Period.TOTAL, rest, 0
    period = {"d": Period.DAILY, "h": Period.HOURLY}.get(kind)
    start, _, campaign_id = rest.partition("/")
    if period is None or not start.isdecimal():
        return None
    return period, campaign_id, int(start)


def read_totals(campaign_ids: list[str]) -> Move:
    """Reads what these have spent and hold."""
    return Move(Kind.CHECK, tuple(Entry(total(each), FOREVER, 0) for each in campaign_ids))
