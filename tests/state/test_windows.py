"""Windows of the calendar, in time zones; and what a window may be."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from xsp_server.errors import InvalidRequest
from xsp_server.state.windows import (
    Calendar,
    Window,
    WindowKind,
    calendar,
    first,
    refresh,
    sliding,
    until,
)

# Unit, zone, now, first moment, first moment after: all as the clock of the zone shows them, with
# the offset where it is needed.
CALENDAR = [
    ("day", "UTC", "2026-11-23T18:00:00.999", "2026-11-23T00:00", "2026-11-24T00:00"),
    ("day", "UTC", "2026-11-23T00:00", "2026-11-23T00:00", "2026-11-24T00:00"),
    ("hour", "UTC", "2026-11-23T18:59:59", "2026-11-23T18:00", "2026-11-23T19:00"),
    ("hour", "Asia/Kolkata", "2026-11-23T18:10", "2026-11-23T18:00", "2026-11-23T19:00"),
    ("week", "UTC", "2026-11-22T23:59", "2026-11-16T00:00", "2026-11-23T00:00"),
    ("week", "UTC", "2026-11-23T00:00", "2026-11-23T00:00", "2026-11-30T00:00"),
    # 25 hours and 23 hours.
    ("day", "America/New_York", "2026-11-01T12:00", "2026-11-01T00:00", "2026-11-02T00:00"),
    ("day", "America/New_York", "2026-03-08T12:00", "2026-03-08T00:00", "2026-03-09T00:00"),
    # Midnight is skipped: the day begins at 01:00.
    ("day", "America/Santiago", "2026-09-06T12:00", "2026-09-06T01:00", "2026-09-07T00:00"),
    ("day", "America/Santiago", "2026-09-05T12:00", "2026-09-05T00:00", "2026-09-06T01:00"),
    # Midnight comes twice: the clock goes back from 24:00 to 23:00 of the day before.
    ("day", "America/Santiago", "2026-04-04T12:00", "2026-04-04T00:00", "2026-04-05T00:00"),
]


def ms(text: str, zone: str) -> int:
    moment = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))
    return round(moment.timestamp() * 1000)


@pytest.mark.parametrize(("unit", "zone", "now", "start", "end"), CALENDAR)
def test_calendar_windows(unit, zone, now, start, end):
    expected = ms(start, zone), ms(end, zone)
    assert calendar(Calendar(unit), ZoneInfo(zone), ms(now, zone)) == expected


def test_days_have_23_or_25_hours_when_the_clocks_change():
    zone = ZoneInfo("America/New_York")
    lengths = []
    for day in ("2026-03-08", "2026-11-01"):
        start, end = calendar(Calendar.DAY, zone, ms(f"{day}T12:00", "America/New_York"))
        lengths.append((end - start) / 3_600_000)
    assert lengths == [23, 25]


def test_windows_follow_each_other_without_gap_or_overlap():
    for zone in ("America/Santiago", "Europe/Lisbon", "Australia/Lord_Howe", "UTC"):
        for unit in (Calendar.DAY, Calendar.WEEK):
            end = ms("2026-01-01T00:00", zone)
            for _ in range(400):
                start, after = calendar(unit, ZoneInfo(zone), end)
                assert start <= end < after
                assert calendar(unit, ZoneInfo(zone), after - 1) == (start, after)
                end = after


def test_an_hour_that_the_clock_goes_back_to_is_two_windows():
    once = ms("2026-11-01T00:30", "America/New_York") + 3_600_000
    again = once + 3_600_000
    starts = [calendar(Calendar.HOUR, ZoneInfo("America/New_York"), at)[0] for at in (once, again)]
    assert starts[1] - starts[0] == 3_600_000


@pytest.mark.parametrize(
    "make",
    [
        lambda: first(0),
        lambda: sliding(2**45 + 1),
        lambda: refresh(1.5),
        lambda: until(0),
        lambda: until(2**53),
        lambda: Window(WindowKind.FOREVER, 1),
    ],
)
def test_windows_have_whole_lengths_of_their_range(make):
    with pytest.raises(InvalidRequest, match="expected a whole number from"):
        make()


def test_a_sliding_window_forgets_in_sixtieths_rounded_up():
    assert [sliding(length).step_ms for length in (1, 60, 61, 3_600_000)] == [1, 1, 2, 60_000]
