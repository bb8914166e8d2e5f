"""What a frequency cap may say, and the counter that it counts in.

A counter's name is a JSON list: [scope, custom scope, scope value, unit or "ms", length, alignment,
time zone, session, start]. It says all that tells one counter from another, so that a subject's
counters can be listed and reset without anything else.
"""

import json
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

from google.protobuf.duration_pb2 import Duration

from xsp.state.v1.frequency_pb2 import (
    CapScope,
    CapSubject,
    FrequencyCap,
    MissingPolicy,
    Window,
    WindowAlignment,
    WindowUnit,
)
from xsp.state.v1.guarantee_pb2 import FailPolicy
from xsp_server.state import windows
from xsp_server.state.backend import AMOUNT_MAX, NAME_MAX
from xsp_server.state.faults import InvalidField
from xsp_server.state.messages import DAY_MS, HOUR_MS, ms_of, zone_of
from xsp_server.state.windows import Calendar, calendar

MAX_TEXT: Final = 256
"""Longest name or value of a scope, in UTF-8 bytes."""

RULES_REMEMBERED: Final = 10_000
"""Caps that are remembered as they were read, as callers send the same ones again and again."""

REMEMBERED_BYTES: Final = 1024
"""Longest cap that is remembered."""

REST: Final = windows.first(1)
"""The window of a counter that only knows its last impression, for a cooldown."""

_SESSION: Final = WindowUnit.WINDOW_UNIT_SESSION
_LENGTHS: Final = {
    WindowUnit.WINDOW_UNIT_HOUR: HOUR_MS,
    WindowUnit.WINDOW_UNIT_DAY: DAY_MS,
    WindowUnit.WINDOW_UNIT_WEEK: 7 * DAY_MS,
}
_CALENDARS: Final = {
    WindowUnit.WINDOW_UNIT_HOUR: Calendar.HOUR,
    WindowUnit.WINDOW_UNIT_DAY: Calendar.DAY,
    WindowUnit.WINDOW_UNIT_WEEK: Calendar.WEEK,
}


@dataclass(frozen=True, slots=True)
class WindowRule:
    """A window that was checked.

    Attributes:
        unit: its named length; 0 where it is a duration.
        length_ms: its length; 0 for lifetime and session.
        alignment: where it begins; never unspecified.
        zone_name: its time zone as told; empty: UTC.
        zone: its time zone.
        fixed: the store's window, where it is always the same; None: a calendar's.
    """

    unit: "WindowUnit.ValueType"
    length_ms: int
    alignment: "WindowAlignment.ValueType"
    zone_name: str
    zone: ZoneInfo
    fixed: windows.Window | None

    @property
    def is_session(self) -> bool:
        """Whether it is that of a session."""
        return self.unit == _SESSION

    @property
    def varies(self) -> bool:
        """Whether its counters are others at another time, or in another session."""
        return self.fixed is None or self.is_session

    def at(self, now_ms: int) -> tuple[windows.Window, int]:
        """The store's window, and its start where the name of the counter has it, else 0."""
        if self.fixed is not None:
            return self.fixed, 0
        if self.unit:
            start, end = calendar(_CALENDARS[self.unit], self.zone, now_ms)
        else:
            start = now_ms - now_ms % self.length_ms
            end = start + self.length_ms
        return windows.until(end), start


@dataclass(frozen=True, slots=True)
class CapRule:
    """A cap that was checked.

    Attributes:
        id: its name, or its place.
        scope: never unspecified.
        custom_scope: name of a custom scope.
        subjects: whose impressions, user before household.
        limit: greatest number; None: the cooldown alone limits.
        window: its window.
        cooldown_ms: 0: none.
        allows_missing: whether it lets pass what it can't count.
        fail_policy: as told.
        name_parts: what the name of its counter has before and after the value of its scope.
    """

    id: str
    scope: "CapScope.ValueType"
    custom_scope: str
    subjects: "tuple[CapSubject.ValueType, ...]"
    limit: int | None
    window: WindowRule
    cooldown_ms: int
    allows_missing: bool
    fail_policy: "FailPolicy.ValueType"
    name_parts: tuple[str, str]

    def counter(
        self, path: str, scope_value: str, session_id: str, now_ms: int
    ) -> tuple[str, windows.Window, str]:
        """Name and window of its counter, and the name of the one of its cooldown.

        Windows of the calendar have a counter each, and a cooldown goes on from one to the next: so
        it has a counter of its own, whose window is `REST`. Else its name is empty.

        Args:
            path: of what the cap is asked for, for errors.
            scope_value: what it counts.
            session_id: of the subject.
            now_ms: the time.

        Raises:
            InvalidField: the name would be too long.
        """
        window, start = self.window.at(now_ms)
        before, after = self.name_parts
        session = _json(session_id if self.window.is_session else "")
        of_window = f"{before}{_json(scope_value)}{after}{session},"
        name = f"{of_window}{start}]"
        if len(name.encode()) > NAME_MAX:
            expected = f"expected at most {MAX_TEXT} bytes for each of scope value and session"
            raise InvalidField(path, f"{expected}, got {len(name)} characters in all for {self.id}")
        apart = self.cooldown_ms and self.window.fixed is None
        return name, window, f"{of_window}{_REST_START}]" if apart else ""


@dataclass(frozen=True, slots=True)
class CounterName:
    """What the name of a counter says; `is_rest`: it is that of a cooldown alone."""

    scope: "CapScope.ValueType"
    custom_scope: str
    scope_value: str
    window: Window
    session_id: str
    is_rest: bool


_REST_START: Final = -1
"""What the name of a cooldown's own counter has in the place of a start."""


def counter_name(name: str) -> CounterName:
    """Reads the name of a counter."""
    scope, custom, scope_value, unit, length, alignment, zone, session, start = json.loads(name)
    window = Window(time_zone=zone)
    if unit:
        window.unit = unit
    else:
        window.duration.CopyFrom(duration(length))
    if unit not in (WindowUnit.WINDOW_UNIT_LIFETIME, WindowUnit.WINDOW_UNIT_SESSION):
        window.alignment = alignment
    return CounterName(scope, custom, scope_value, window, session, start == _REST_START)


def duration(ms: int) -> Duration:
    """A length of time."""
    return Duration(seconds=ms // 1000, nanos=ms % 1000 * 1_000_000)


def rule_of(path: str, cap: FrequencyCap, place: int) -> CapRule:
    """Checks a cap, and reads it.

    Args:
        path: of the list that it stands in.
        cap: as it came.
        place: in the list.

    Raises:
        InvalidRequest: a field has a value that it can't have.
    """
    key = cap.SerializeToString(), place
    rule = _remembered.get(key)
    if rule is None:
        rule = _checked(f"{path}[{place}]", cap, place)
        if len(_remembered) >= RULES_REMEMBERED:
            _remembered.clear()
        if len(key[0]) <= REMEMBERED_BYTES:
            _remembered[key] = rule
    return rule


_remembered: Final[dict[tuple[bytes, int], CapRule]] = {}


def _checked(path: str, cap: FrequencyCap, place: int) -> CapRule:
    """As `rule_of`, of a cap that is not remembered."""
    limit = cap.limit if cap.HasField("limit") else None
    cooldown_ms = _length(f"{path}.cooldown", cap.cooldown, 0) if cap.HasField("cooldown") else 0
    if limit is None and not cooldown_ms:
        raise InvalidField(f"{path}.limit", "missing; expected a limit, a cooldown, or both")
    if limit is not None and not 0 <= limit <= AMOUNT_MAX:
        raise InvalidField(f"{path}.limit", f"expected 0 to {AMOUNT_MAX}, got {limit}")
    scope = cap.scope or CapScope.CAP_SCOPE_CAMPAIGN
    for name, told, known in (
        ("scope", scope, CapScope.values()),
        ("subject", cap.subject, CapSubject.values()),
        ("fail_policy", cap.fail_policy, FailPolicy.values()),
        ("missing_policy", cap.missing_policy, MissingPolicy.values()),
    ):
        if told not in known:
            raise InvalidField(f"{path}.{name}", f"expected a value of the enum, got {told}")
    is_custom = scope == CapScope.CAP_SCOPE_CUSTOM
    if is_custom != bool(cap.custom_scope) or len(cap.custom_scope.encode()) > MAX_TEXT:
        expected = f"expected 1 to {MAX_TEXT} bytes" if is_custom else "expected none"
        raise InvalidField(
            f"{path}.custom_scope", f"{expected} with this scope, got {cap.custom_scope!r:.80}"
        )
    window = window_rule(f"{path}.window", cap.window if cap.HasField("window") else _HOUR)
    return CapRule(
        id=cap.cap_id or f"caps[{place}]",
        scope=scope,
        custom_scope=cap.custom_scope,
        subjects=_SUBJECTS[cap.subject],
        limit=limit,
        window=window,
        cooldown_ms=cooldown_ms,
        allows_missing=cap.missing_policy == MissingPolicy.MISSING_POLICY_ALLOW,
        fail_policy=cap.fail_policy,
        name_parts=_name_parts(scope, cap.custom_scope, window),
    )


def _name_parts(
    scope: "CapScope.ValueType", custom_scope: str, window: WindowRule
) -> tuple[str, str]:
    """What the name of a counter has before and after the value of the scope."""
    before = f"[{scope},{_json(custom_scope)},"
    zone_name = _json(window.zone_name)
    return before, f",{window.unit},{window.length_ms},{window.alignment},{zone_name},"


_json: Final = json.JSONEncoder(ensure_ascii=False).encode


def window_rule(path: str, window: Window) -> WindowRule:
    """Checks a window, and reads it.

    Raises:
        InvalidRequest: a field has a value that it can't have.
    """
    kind = window.WhichOneof("length")
    unit = WindowUnit.WINDOW_UNIT_HOUR if kind is None else window.unit
    if kind == "duration":
        length = _length(f"{path}.duration", window.duration, 1000)
    elif unit not in WindowUnit.values() or not unit:
        raise InvalidField(f"{path}.unit", f"expected hour, day, week, lifetime, session: {unit}")
    else:
        length = _LENGTHS.get(unit, 0)
    alignment = window.alignment or WindowAlignment.WINDOW_ALIGNMENT_FIRST
    if alignment not in WindowAlignment.values():
        raise InvalidField(f"{path}.alignment", f"expected a value of the enum, got {alignment}")
    if not length and window.alignment:
        raise InvalidField(f"{path}.alignment", "expected none for lifetime and session")
    if window.time_zone and alignment != WindowAlignment.WINDOW_ALIGNMENT_CALENDAR:
        raise InvalidField(f"{path}.time_zone", "expected none but for calendar windows")
    return WindowRule(
        unit=WindowUnit.WINDOW_UNIT_UNSPECIFIED if kind == "duration" else unit,
        length_ms=length,
        alignment=alignment,
        zone_name=window.time_zone,
        zone=zone_of(f"{path}.time_zone", window.time_zone),
        fixed=_fixed(unit, alignment, length),
    )


def _fixed(
    unit: "WindowUnit.ValueType", alignment: "WindowAlignment.ValueType", length_ms: int
) -> windows.Window | None:
    """The store's window, where it is always the same."""
    if unit == _SESSION:
        return windows.refresh(DAY_MS)
    if unit == WindowUnit.WINDOW_UNIT_LIFETIME:
        return windows.FOREVER
    if alignment == WindowAlignment.WINDOW_ALIGNMENT_SLIDING:
        return windows.sliding(length_ms)
    if alignment == WindowAlignment.WINDOW_ALIGNMENT_FIRST:
        return windows.first(length_ms)
    return None


_HOUR: Final = Window(unit=WindowUnit.WINDOW_UNIT_HOUR)

_USER: Final = CapSubject.CAP_SUBJECT_USER
_HOUSEHOLD: Final = CapSubject.CAP_SUBJECT_HOUSEHOLD
_SUBJECTS: Final = {
    CapSubject.CAP_SUBJECT_UNSPECIFIED: (_USER,),
    _USER: (_USER,),
    _HOUSEHOLD: (_HOUSEHOLD,),
    CapSubject.CAP_SUBJECT_USER_AND_HOUSEHOLD: (_USER, _HOUSEHOLD),
}


def _length(path: str, told: Duration, least: int) -> int:
    ms = ms_of(told)
    if told.nanos % 1_000_000 or not least <= ms <= windows.DURATION_MAX:
        got = f"{told.seconds} s and {told.nanos} ns"
        raise InvalidField(path, f"expected whole milliseconds from {least} up, got {got}")
    return ms
