"""W3C Trace Context (level 2): what ties the calls of a session together in everybody's traces.

A header that breaks the rules is as good as absent: tracing never costs an auction (section 4.3).
"""

import re

_PARENT = re.compile(
    r"""
    (?P<version> (?!ff) [0-9a-f]{2} )
    - (?P<trace> (?!0{32}) [0-9a-f]{32} )
    - (?!0{16}) [0-9a-f]{16}
    - (?P<flags> [0-9a-f]{2} )
    (?P<more> -.* )?
    """,
    re.VERBOSE | re.ASCII,
)
_KNOWN_FLAGS = 0x03
"""Sampled, and random trace id; others are not to be passed on (section 3.2.2.5)."""

_MEMBER = re.compile(
    r"[a-z0-9][a-z0-9_\-*/@]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
)
_MOST_MEMBERS = 32
_MOST_CHARACTERS = 512
"""What everybody has to pass on at least (section 3.3.1.5), and we at most."""
_LONG_MEMBER = 128
"""Characters above which a member goes first when the whole is too long."""


def is_parent(traceparent: str) -> bool:
    """Whether it is a `traceparent` that calls can be children of."""
    match = _PARENT.fullmatch(traceparent)
    # Version 00 ends with its flags; later ones may say more.
    return match is not None and (match["version"] != "00" or not match["more"])


def new(trace_id: int, span_id: int) -> str:
    """The `traceparent` of a new trace; not sampled, since nobody records its root.

    Args:
        trace_id: 128 random bits.
        span_id: 64 random bits.
    """
    return f"00-{trace_id or 1:032x}-{span_id or 1:016x}-02"


def child(traceparent: str, span_id: int) -> str:
    """The `traceparent` of a call under another: same trace, its own span.

    Args:
        traceparent: of the session; `is_parent` holds for it.
        span_id: 64 random bits.
    """
    before, after = around_span(traceparent)
    return f"{before}{span_id or 1:016x}{after}"


def around_span(traceparent: str) -> tuple[str, str]:
    """What stands before and after the span in the `traceparent`s of calls under another."""
    flags = int(traceparent[53:55], 16) & _KNOWN_FLAGS
    return f"00-{traceparent[3:35]}-", f"-{flags:02x}"


def is_same_trace(one: str, other: str) -> bool:
    """Whether two `traceparent`s are of one trace."""
    return one[3:35] == other[3:35]


def state(tracestate: str) -> str | None:
    """A `tracestate` as it may be passed on, cut to 512 characters; None where it is none."""
    members = [member.strip(" \t") for member in tracestate.split(",")]
    members = [member for member in members if member]
    keys = {member.partition("=")[0] for member in members}
    if (
        not members
        or len(members) > _MOST_MEMBERS
        or len(keys) != len(members)
        or not all(map(_MEMBER.fullmatch, members))
    ):
        return None
    return ",".join(_shortened(members)) or None


def _shortened(members: list[str]) -> list[str]:
    """Long members go first, each time the last of them (section 3.3.1.5)."""
    kept = list(members)
    while sum(map(len, kept)) + len(kept) - 1 > _MOST_CHARACTERS:
        long = [place for place, member in enumerate(kept) if len(member) > _LONG_MEMBER]
        del kept[long[-1] if long else -1]
    return kept
