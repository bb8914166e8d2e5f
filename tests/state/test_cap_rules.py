"""Caps as they are read: remembered, and the names of their counters."""

import json

import pytest

from state.settings import cap
from xsp.state.v1.frequency_pb2 import CapScope, FrequencyCap, Window, WindowAlignment, WindowUnit
from xsp_server.state import cap_rules
from xsp_server.state.cap_rules import REMEMBERED_BYTES, counter_name, rule_of
from xsp_server.state.faults import InvalidField

NOW = 1_800_000_000_000


@pytest.fixture(autouse=True)
def remembered(monkeypatch: pytest.MonkeyPatch) -> dict:
    """What is remembered: nothing yet."""
    empty: dict = {}
    monkeypatch.setattr(cap_rules, "_remembered", empty)
    return empty


@pytest.mark.parametrize("value", ["", "sale", 'say "no"\\', "\n\t\x01", "é 漢 😀", "\u2028"])
def test_the_name_of_a_counter_is_json_that_tells_all_of_it(value: str):
    told = FrequencyCap(
        scope=CapScope.CAP_SCOPE_CUSTOM,
        custom_scope=value or "line",
        limit=3,
        window=Window(unit=WindowUnit.WINDOW_UNIT_SESSION),
    )
    name, *_ = rule_of("caps", told, 0).counter("bid", value, value, NOW)
    parts = [told.scope, told.custom_scope, value, told.window.unit, 0, 1, "", value, 0]
    assert name == json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
    assert counter_name(name).session_id == value


def test_only_calendar_windows_begin_anew_by_themselves():
    aligned = Window(
        unit=WindowUnit.WINDOW_UNIT_DAY,
        alignment=WindowAlignment.WINDOW_ALIGNMENT_CALENDAR,
        time_zone="Europe/Berlin",
    )
    rule, other = rule_of("caps", cap(3, window=aligned), 0), rule_of("caps", cap(3), 0)
    day = 86_400_000
    assert rule.counter("bid", "x", "", NOW) != rule.counter("bid", "x", "", NOW + day)
    assert other.counter("bid", "x", "", NOW) == other.counter("bid", "x", "", NOW + day)


def test_a_cap_that_comes_again_is_not_read_again():
    assert rule_of("a.caps", cap(3), 0) is rule_of("b.caps", cap(3), 0)
    assert rule_of("a.caps", cap(4), 0).limit == 4


def test_caps_without_names_are_called_by_their_places():
    assert [rule_of("caps", cap(3), place).id for place in (0, 1, 0)] == [
        "caps[0]",
        "caps[1]",
        "caps[0]",
    ]


def test_a_cap_that_can_not_be_is_told_with_its_path_each_time():
    for path in ("a", "b"):
        with pytest.raises(InvalidField) as wrong:
            rule_of(path, cap(-1), 2)
        assert wrong.value.violations[0].path == f"{path}[2].limit"


def test_what_is_remembered_is_bounded(remembered: dict, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cap_rules, "RULES_REMEMBERED", 4)
    for limit in range(50):
        assert rule_of("caps", cap(limit), 0).limit == limit
        assert len(remembered) <= 4


def test_long_caps_are_not_remembered(remembered: dict):
    assert rule_of("caps", cap(3, cap_id="x" * REMEMBERED_BYTES), 0).limit == 3
    assert not remembered
