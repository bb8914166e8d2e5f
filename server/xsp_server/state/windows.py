"""Windows of time that counters count in.

A window says when counting starts anew; `backend.py` tells the rules of each. `calendar` works out
the fixed windows of a time zone, each of which has a counter of its own.
"""

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from typing import Final

from xsp_server.state.arguments import check_int
from xsp_server.values import value

NEVER: Final = 2**53 - 1
"""The time that never comes, in milliseconds."""

DURATION_MAX: Final = 2**45
"""Longest duration, in milliseconds: about a thousand years."""

SLIDING_STEPS: Final = 60
"""Steps in the length of a sliding window."""


class WindowKind(StrEnum):
    """When counting starts anew."""

    FIRST = "first"
    """So long after the first impression."""
    UNTIL = "until"
    """Never: it ends at a time; what comes after has another counter."""
    SLIDING = "sliding"
    """Each impression counts for so long, and for at most a step longer."""
    REFRESH = "refresh"
    """So long after the last impression."""
    FOREVER = "forever"
    """Never."""


@value
class Window:
    """A window; made by the functions below.

    Attributes:
        kind: when counting starts anew.
        ms: the length, from 1 to `DURATION_MAX`; UNTIL: the first moment after the end, from 1 to
            `NEVER`; FOREVER: 0. Milliseconds.
    """

    kind: WindowKind
    ms: int

    def __post_init__(self) -> None:
        """Raises InvalidRequest where `ms` is out of its range."""
        if self.kind is WindowKind.UNTIL:
            check_int("window.ms", self.ms, 1, NEVER)
        elif self.kind is WindowKind.FOREVER:
            check_int("window.ms", self.ms, 0, 0)
        else:
            check_int("window.ms", self.ms, 1, DURATION_MAX)

    @property
    def step_ms(self) -> int:
        """SLIDING: how long one step is: a sixtieth of the length, rounded up."""
        return -(-self.ms // SLIDING_STEPS)


def first(length_ms: int) -> Window:
    """Opens at the first impression, ends `length_ms` after it."""
    return Window(WindowKind.FIRST, length_ms)


def until(ends_at: int) -> Window:
    """Ends at `ends_at`; its start is in the name of the counter."""
    return Window(WindowKind.UNTIL, ends_at)


def sliding(length_ms: int) -> Window:
    """The `length_ms` before now, at any moment."""
    return Window(WindowKind.SLIDING, length_ms)


def refresh(length_ms: int) -> Window:
    """Ends `length_ms` after the last impression."""
    return Window(WindowKind.REFRESH, length_ms)


FOREVER: Final = Window(WindowKind.FOREVER, 0)
"""Never ends."""


class Calendar(StrEnum):
    """Windows of the calendar, in a time zone."""

    HOUR = "hour"
    """The hour of the clock."""
    DAY = "day"
    """The calendar day: 23 or 25 hours when the clocks change."""
    WEEK = "week"
    """The week from Monday."""


def calendar(unit: Calendar, zone: tzinfo, now_ms: int) -> tuple[int, int]:
    """The calendar window that `now_ms` is in: its first moment and the first after it.

    Days and weeks begin with the first moment of their first day, also where midnight is skipped.
    Hours begin where the clock of the zone shows a whole hour; one that the clock goes back to
    is two windows.
    """
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    if unit is Calendar.HOUR:
        local = now.astimezone(zone)
        into = timedelta(minutes=local.minute, seconds=local.second)
        start = now.replace(microsecond=0) - into
        return _ms(start), _ms(start + timedelta(hours=1))
    today = now.astimezone(zone).date()
    if unit is Calendar.DAY:
        return _day_start(today, zone), _day_start(today + timedelta(days=1), zone)
    monday = today - timedelta(days=today.weekday())
    return _day_start(monday, zone), _day_start(monday + timedelta(days=7), zone)


def _day_start(day: date, zone: tzinfo) -> int:
    """First moment of a day: midnight, or where the clock skips midnight the moment it skips to."""
    return _ms(datetime.combine(day, time(), zone))


def _ms(moment: datetime) -> int:
    return int(moment.timestamp()) * 1000
