"""Names in the book of a campaign tree."""

from typing import Final

from xsp_server.state.backend import Book, Entry, Kind, Move
from xsp_server.state.windows import FOREVER

PERIODS: Final = 3
"""Counters of a campaign: total, day, hour."""


def book_of(root_id: str) -> Book:
    """The book of all campaigns below one at the top."""
    return Book(f"campaign/{root_id}", ledger=True)


def total(campaign_id: str) -> str:
    """Counter of all that a campaign spends."""
    return f"t/{campaign_id}"


def day(campaign_id: str, start: int) -> str:
    """Counter of a day."""
    return f"d/{start}/{campaign_id}"


def hour(campaign_id: str, start: int) -> str:
    """Counter of an hour."""
    return f"h/{start}/{campaign_id}"


def read_totals(campaign_ids: list[str]) -> Move:
    """Reads what these have spent and hold."""
    return Move(Kind.CHECK, tuple(Entry(total(each), FOREVER, 0) for each in campaign_ids))
