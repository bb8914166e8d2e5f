"""One counter: what it says at a time, what it refuses, how it changes.

The rules under "Counters", "Judging" and "Outcome" of `backend.py` as pure functions. Most take
`counted`, the counter's current count, which their caller has worked out by `current`.
"""

from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from xsp_server.state.backend import AMOUNT_MAX, Counter, Entry, Numbers, Why
from xsp_server.state.windows import NEVER, Window, WindowKind

LIMIT: Final = Why.LIMIT.value
SOFT: Final = Why.SOFT.value
COOLDOWN: Final = Why.COOLDOWN.value
OVERFLOW: Final = Why.OVERFLOW.value

# Members of enums by names of the module: reading one from its class costs six times as much.
SLIDING: Final = WindowKind.SLIDING
REFRESH: Final = WindowKind.REFRESH


@dataclass(slots=True)
class CounterState:
    """One counter as it is stored; `steps` is not None once a SLIDING window has counted."""

    window: Window
    counted: int = 0
    held: int = 0
    first_at: int = 0
    last_at: int = 0
    ends_at: int = 0
    kept_until: int = 0
    held_until: int = 0
    steps: dict[int, int] | None = None


def gone(counter: CounterState, now_ms: int) -> bool:
    """Whether the counter reads as one that does not exist."""
    return counter.kept_until <= now_ms and not counter.held


def current(counter: CounterState, now_ms: int) -> int:
    """The current count."""
    if now_ms < counter.ends_at:
        if counter.steps is None:
            return counter.counted
        return sum(_live_steps(counter, now_ms).values())
    if counter.held and counter.window.kind is WindowKind.UNTIL:
        return counter.counted
    return 0


def count(counter: CounterState, counted: int, add: int, cooldown_ms: int, now_ms: int) -> None:
    """Counts `add` > 0 on top of the current count `counted`."""
    window = counter.window
    kind = window.kind
    if kind is SLIDING:
        _count_step(counter, add, now_ms)
    else:
        counter.counted = counted + add
        if not counted:
            counter.first_at = now_ms
            counter.ends_at = _end(window, now_ms)
        elif kind is REFRESH:
            counter.ends_at = max(counter.ends_at, now_ms + window.ms)
    # Ifs cost half of what max() costs, and this is the busiest line of the house.
    if counter.last_at < now_ms:  # noqa: PLR1730
        counter.last_at = now_ms
    if counter.kept_until < counter.ends_at:  # noqa: PLR1730
        counter.kept_until = counter.ends_at
    if counter.kept_until < now_ms + cooldown_ms:  # noqa: PLR1730
        counter.kept_until = now_ms + cooldown_ms


def hold(counter: CounterState, add: int, expires_at: int) -> None:
    """Holds `add` > 0."""
    counter.held += add
    counter.held_until = max(counter.held_until, expires_at)


def give_back(counter: CounterState, add: int) -> None:
    """Gives back what was held."""
    counter.held -= add
    if not counter.held:
        counter.held_until = 0


def refusal(counter: CounterState, counted: int, entry: Entry, now_ms: int) -> int:
    """What refuses the entry, as bits of `Why`."""
    add = entry.add
    if not add:
        return 0
    total = counted + counter.held + add
    why = OVERFLOW if total > AMOUNT_MAX else 0
    if entry.forced:
        return why
    limit = entry.limit
    if limit is not None and total > limit:
        why |= LIMIT
    soft = entry.soft
    if soft is not None and total > soft:
        why |= SOFT
    cooldown_ms = entry.cooldown_ms
    if cooldown_ms and (
        counter.held or (counter.last_at and now_ms < counter.last_at + cooldown_ms)
    ):
        why |= COOLDOWN
    return why


def frees_at(counter: CounterState, entry: Entry, why: int, now_ms: int) -> int:
    """When the entry, refused for `why`, would pass if nothing else is counted or released."""
    if why & OVERFLOW:
        return NEVER
    moment = 0
    if why & LIMIT and entry.limit is not None:
        moment = _room_at(counter, entry.add, entry.limit, now_ms)
    if why & COOLDOWN:
        rested_at = counter.last_at + entry.cooldown_ms if counter.last_at else 0
        moment = max(moment, rested_at, counter.held_until)
    return moment


def numbers(counter: CounterState, now_ms: int, freed_at: int = 0, why: int = 0) -> Numbers:
    """How the counter stands."""
    counted, overcount = counter.counted, 0
    if counter.steps is not None or counter.ends_at <= now_ms:
        if gone(counter, now_ms):
            return Numbers(0, 0, 0, 0, 0, 0, freed_at, why)
        counted = current(counter, now_ms)
        if not counted:
            return Numbers(0, counter.held, 0, 0, counter.last_at, 0, freed_at, why)
        overcount = _overcount(counter, now_ms)
    return Numbers(
        counted,
        counter.held,
        overcount,
        counter.first_at,
        counter.last_at,
        counter.ends_at,
        freed_at,
        why,
    )


def inspect(name: str, counter: CounterState, now_ms: int) -> Counter | None:
    """A counter as it is told to people; None for one that reads as not existing."""
    if gone(counter, now_ms):
        return None
    counted = current(counter, now_ms)
    return Counter(
        name,
        counter.window,
        counted,
        counter.held,
        counter.first_at if counted else 0,
        counter.last_at,
        max(counter.kept_until, counter.held_until),
    )


def _end(window: Window, now_ms: int) -> int:
    """When a window ends that opens now. SLIDING has no such moment."""
    if window.kind is WindowKind.FOREVER:
        return NEVER
    return window.ms if window.kind is WindowKind.UNTIL else now_ms + window.ms


def _count_step(counter: CounterState, add: int, now_ms: int) -> None:
    """Counts in a sliding window, and drops the steps that no longer count."""
    window = counter.window
    step = now_ms // window.step_ms
    steps = _live_steps(counter, now_ms)
    steps[step] = steps.get(step, 0) + add
    counter.steps = steps
    counter.counted = sum(steps.values())
    counter.ends_at = max(counter.ends_at, (step + 1) * window.step_ms + window.ms)


def _live_steps(counter: CounterState, now_ms: int) -> dict[int, int]:
    """Steps of a sliding window that still count: now < (step + 1) * step_ms + length."""
    oldest = (now_ms - counter.window.ms) // counter.window.step_ms
    return {step: count for step, count in (counter.steps or {}).items() if step >= oldest}


def _overcount(counter: CounterState, now_ms: int) -> int:
    """What of a sliding window may be over already; 0 for other windows."""
    if counter.steps is None:
        return 0
    length, step_ms = counter.window.ms, counter.window.step_ms
    live = _live_steps(counter, now_ms)
    return sum(count for step, count in live.items() if step * step_ms + length <= now_ms)


def _room_at(counter: CounterState, add: int, limit: int, now_ms: int) -> int:
    """When a limit that refuses has room for `add`, if nothing else is counted or released."""
    beside_held = _down_to(counter, limit - add - counter.held, now_ms)
    if not counter.held:
        return beside_held
    return min(beside_held, max(counter.held_until, _down_to(counter, limit - add, now_ms)))


def _down_to(counter: CounterState, most: int, now_ms: int) -> int:
    """When the current count is down to `most` by itself. 0: it is."""
    if most < 0:
        return NEVER
    if current(counter, now_ms) <= most:
        return 0
    if counter.window.kind is SLIDING:
        return _slid_to(counter, most, now_ms)
    return counter.ends_at


def _slid_to(counter: CounterState, most: int, now_ms: int) -> int:
    """When the count of a sliding window, now above `most`, is down to it."""
    live = sorted(_live_steps(counter, now_ms).items())
    over = sum(counted for _, counted in live) - most
    dropped = accumulate(counted for _, counted in live)
    last = next(step for (step, _), gone_by in zip(live, dropped, strict=True) if gone_by >= over)
    return (last + 1) * counter.window.step_ms + counter.window.ms
