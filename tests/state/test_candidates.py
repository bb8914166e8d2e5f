"""Candidates as they are read: what is remembered of them, and for whom it holds."""

import pytest

from state.clock import Clock
from state.settings import at, candidate, cap
from xsp.state.v1.frequency_pb2 import (
    CapScope,
    CapSubject,
    Subject,
    Window,
    WindowAlignment,
    WindowUnit,
)
from xsp_server.state import candidates
from xsp_server.state.campaigns import Campaigns
from xsp_server.state.candidates import candidate_of
from xsp_server.state.memory import InMemoryBackend

NOON = at("2026-11-24 12:00")
BOTH = cap(3, scope=CapScope.CAP_SCOPE_CREATIVE, subject=CapSubject.CAP_SUBJECT_USER_AND_HOUSEHOLD)
BY_SESSION = cap(3, scope=CapScope.CAP_SCOPE_CREATIVE, window=WindowUnit.WINDOW_UNIT_SESSION)
BY_DAY = cap(
    3,
    scope=CapScope.CAP_SCOPE_CREATIVE,
    window=Window(
        unit=WindowUnit.WINDOW_UNIT_DAY, alignment=WindowAlignment.WINDOW_ALIGNMENT_CALENDAR
    ),
)


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    """Nothing is remembered of candidates before."""
    monkeypatch.setattr(candidates, "_remembered", {})
    monkeypatch.setattr(candidates, "_room", candidates.REMEMBERED)


def read(told, now_ms=NOON, **subject):
    campaigns = Campaigns(InMemoryBackend(), Clock())
    return candidate_of(told, Subject(**subject), campaigns, now_ms, path="candidates[0]")


def counters(read_):
    return [entry.counter for book in read_.books for entry in read_.entries(book)]


def test_a_candidate_is_read_once_whatever_it_is_called():
    first = read(candidate("a", BOTH, creative_id="red"), user_id="u")
    second = read(candidate("another", BOTH, creative_id="red"), user_id="v")
    assert second.form is first.form
    assert (first.id, second.id) == ("a", "another")
    assert (list(first.books), list(second.books)) == (["user/u"], ["user/v"])


def test_a_name_of_any_length_is_no_part_of_what_is_asked():
    names = ("", "a", "ä" * 60, "x" * 127, "x" * 128, "x" * 5000, "\n\x01a")
    read_ = [read(candidate(name, BOTH, creative_id="red"), user_id="u") for name in names]
    assert [each.id for each in read_] == list(names)
    assert {tuple(counters(each)) for each in read_} == {tuple(counters(read_[0]))}


def test_other_content_is_read_anew():
    red = read(candidate("a", BOTH, creative_id="red"), user_id="u")
    blue = read(candidate("a", BOTH, creative_id="blue"), user_id="u")
    two = read(candidate("a", BOTH, creative_id="red", impressions=2), user_id="u")
    assert counters(red) != counters(blue)
    assert [entry.add for entry in two.entries("user/u")] == [2]


def test_who_is_known_decides_what_is_missing():
    told = candidate("a", BOTH, creative_id="red")
    assert read(told, user_id="u").is_missing
    assert read(told, household_id="h").is_missing
    both = read(told, user_id="u", household_id="h")
    assert not both.is_missing
    assert list(both.books) == ["user/u", "household/h"]
    assert read(told).books == {}


def test_windows_of_a_session_and_of_the_calendar_are_worked_out_each_time():
    by_session = candidate("a", BY_SESSION, creative_id="red")
    one = read(by_session, user_id="u", session_id="1")
    assert counters(one) != counters(read(by_session, user_id="u", session_id="2"))
    assert read(by_session, user_id="u").is_missing
    by_day = candidate("a", BY_DAY, creative_id="red")
    today = read(by_day, user_id="u")
    assert counters(today) != counters(read(by_day, NOON + 24 * 3_600_000, user_id="u"))


def test_what_is_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr(candidates, "_room", 10)
    for number in range(1000):
        read(candidate("a", BOTH, creative_id=str(number)), user_id="u")
        assert len(candidates._remembered) <= 1 + candidates.REMEMBERED // 3
        if number == 3:
            assert len(candidates._remembered) == 1
    long = candidate("a", BOTH, creative_id="red", custom_scopes={"line item": "x" * 9000})
    before = len(candidates._remembered)
    read(long, user_id="u")
    assert len(candidates._remembered) == before
