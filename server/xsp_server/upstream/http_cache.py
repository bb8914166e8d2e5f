"""What a shared HTTP cache may keep, and until when (RFC 9111). Pure.

Kept is only what says itself how long it is fresh: nothing is guessed, nothing is asked again for a
confirmation, nothing stale is given. So an answer that may be given after a confirmation alone
(`no-cache`) is not kept at all.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

SECOND = 1_000_000_000
LONGEST = 2**31
"""Seconds; whatever is longer counts as this long (section 1.2.2)."""

Pairs = Iterable[tuple[str, str]]
"""Headers of an answer: name and value, one for each line."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """How an answer may be kept.

    Attributes:
        expires_ns: it is fresh before this, ns since 1970-01-01 UTC by our clock.
        vary: names of the request's headers that it depends on, in lower case and sorted.
    """

    expires_ns: int
    vary: tuple[str, ...]


def keeping(
    request: Mapping[str, str], status: int, answer: Pairs, requested_ns: int, received_ns: int
) -> Keeping | None:
    """Whether and how the answer to a GET may be kept; None: not at all.

    Args:
        request: its headers.
        status: of the answer. Only a 200 is kept.
        answer: its headers.
        requested_ns: when it was asked for, by our clock.
        received_ns: when its head came.
    """
    headers = _joined(answer)
    if status != 200 or headers.keys().isdisjoint(_LIFETIME) or "set-cookie" in headers:
        return None
    control = _directives(headers)
    if not control.keys().isdisjoint(_NOT_KEPT):
        return None
    # Section 3.5: what somebody had to be known for is for nobody else, unless it says so.
    if _has(request, "authorization") and control.keys().isdisjoint(_FOR_ALL):
        return None
    vary = tuple(sorted({name.lower() for name in _items(headers.get("vary", ""))}))
    if "*" in vary:
        return None
    left = _lifetime(control, headers, received_ns) - _age(headers, requested_ns, received_ns)
    return Keeping(received_ns + left, vary) if left > 0 else None


def selected(vary: Iterable[str], request: Mapping[str, str]) -> tuple[str | None, ...]:
    """What a request has of the headers that an answer depends on (section 4.1)."""
    if not vary:
        return ()
    told = {name.lower(): " ".join(value.split()) for name, value in request.items()}
    return tuple(told.get(name) for name in vary)


_LIFETIME = frozenset({"cache-control", "expires"})
"""Headers that say for how long an answer is fresh."""
_NOT_KEPT = frozenset({"no-store", "private", "no-cache"})
_FOR_ALL = frozenset({"public", "s-maxage", "must-revalidate"})

_DIRECTIVE = re.compile(r"""([!#$%&'*+\-.^_`|~0-9A-Za-z]+)(?:\s*=\s*("[^"]*"|[^\s,]*))?""")
_SECONDS = re.compile('"?([0-9]+)"?', re.ASCII)


def _joined(pairs: Pairs) -> dict[str, str]:
    """Headers by their names in lower case; several lines of one are a list."""
    headers: dict[str, str] = {}
    for name, value in pairs:
        key = name.lower()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    return headers


def _directives(headers: Mapping[str, str]) -> dict[str, list[str]]:
    """Cache-Control by the names of its directives, each with all of its arguments.

    Without it, `Pragma: no-cache` counts as what those mean who write it.
    """
    text = headers.get("cache-control")
    if text is None:
        return {"no-cache": []} if "no-cache" in headers.get("pragma", "").lower() else {}
    directives: dict[str, list[str]] = {}
    for name, argument in _DIRECTIVE.findall(text):
        directives.setdefault(name.lower(), []).append(argument)
    return directives


def _lifetime(
    control: Mapping[str, list[str]], headers: Mapping[str, str], received_ns: int
) -> int:
    """How long the answer is fresh from its making on, in ns (section 4.2.1). Unreadable: 0."""
    for name in ("s-maxage", "max-age"):
        if name in control:
            return min(map(_seconds, control[name])) * SECOND
    expires = _time(headers.get("expires", ""))
    if expires is None:
        return 0
    made = _time(headers.get("date", ""))
    return min(expires - (received_ns if made is None else made), LONGEST * SECOND)


def _age(headers: Mapping[str, str], requested_ns: int, received_ns: int) -> int:
    """How old the answer was when it came, in ns (section 4.2.3)."""
    made = _time(headers.get("date", ""))
    apparent = 0 if made is None else max(0, received_ns - made)
    told = _seconds(headers.get("age", "").partition(",")[0].strip()) * SECOND
    return max(apparent, told + max(0, received_ns - requested_ns))


def _seconds(text: str) -> int:
    """A number of seconds; 0 for what is none."""
    match = _SECONDS.fullmatch(text)
    if match is None:
        return 0
    return LONGEST if len(match[1]) > len(str(LONGEST)) else min(int(match[1]), LONGEST)


def _time(text: str) -> int | None:
    """A date of HTTP as ns since 1970; None: it is none."""
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    aware = date if date.tzinfo is not None else date.replace(tzinfo=UTC)
    return int((aware - _EPOCH).total_seconds()) * SECOND


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _items(text: str) -> list[str]:
    return [item for part in text.split(",") if (item := part.strip())]


def _has(headers: Mapping[str, str], name: str) -> bool:
    return any(key.lower() == name for key in headers)
