"""What `apply.lua` stores of a book, as values."""

from collections.abc import Sequence
from struct import Struct
from typing import Any, Final

from xsp_server.state.backend import Counter, HoldState, Kind, Known
from xsp_server.state.counters import CounterState, inspect
from xsp_server.state.windows import Window, WindowKind
from xsp_server.state.wire import outcome_from_json


def key_of(namespace: str, book: str) -> str:
    """What all keys of a book begin with; its name is the hash tag.

    A tag ends with the first `}`, so that in a name is written otherwise.
    """
    tag = book.replace("%", "%25").replace("}", "%7D")
    return f"{namespace}:{{{tag}}}"


def known_of(id_: str, stored: Sequence[Any], now_ms: int) -> Known | None:
    """What is known of a move, from what `find.lua` tells. A due hold is told as expired."""
    kind, content, outcome, until, state, expires, keep, resolved, resolution, is_open = stored
    if kind is None:
        return None
    known = (id_, Kind(kind.decode()), content.decode(), outcome_from_json(outcome, replayed=True))
    if state is None:
        return Known(*known) if int(until) > now_ms else None
    stands, expires_at, resolved_at = HoldState(state.decode()), int(expires), int(resolved or 0)
    known_until = int(until)
    if stands is HoldState.HELD and (expires_at <= now_ms or not is_open):
        stands, resolved_at = HoldState.EXPIRED, expires_at
        known_until = expires_at + int(keep)
    if known_until <= now_ms:
        return None
    return Known(*known, stands, expires_at, resolved_at, (resolution or b"").decode())


def counter_of(name: str, stored: bytes, now_ms: int) -> Counter | None:
    """A counter as it is told to people; None for one that reads as not existing."""
    kind, ms, counted, counted_low, held, held_low, first_at, last_at, ends_at, kept, held_until = (
        map(int, _COUNTER.unpack_from(stored))
    )
    steps = {
        int(step): int(high) * _BASE + int(low)
        for step, high, low in _STEP.iter_unpack(stored[_COUNTER.size :])
    }
    state = CounterState(
        Window(_KINDS[kind - 1], ms),
        counted * _BASE + counted_low,
        held * _BASE + held_low,
        first_at,
        last_at,
        ends_at,
        kept,
        held_until,
        steps or None,
    )
    return inspect(name, state, now_ms)


# As `apply.lua` packs them.
_COUNTER: Final = Struct("<11d")
_STEP: Final = Struct("<3d")
_BASE: Final = 10**9
_KINDS: Final = (
    WindowKind.FIRST,
    WindowKind.UNTIL,
    WindowKind.SLIDING,
    WindowKind.REFRESH,
    WindowKind.FOREVER,
)
