"""Pacing: how much of a limit may be spent by a moment, exactly and in whole micros."""

from collections.abc import Callable, Sequence
from typing import Final

from xsp.state.v1.campaign_pb2 import PacingMode, PacingPoint
from xsp_server.values import value

FULL: Final = 1_000_000
"""All, in parts per million."""

Span = tuple[int, int]
"""First moment and the first after it, in ms."""


@value
class Plan:
    """How spend is spread over one period.

    Attributes:
        limit: the limit that is spread, in micros.
        spans: the time it is spread over, in order, apart from each other.
        curve: points (elapsed, spend) in parts per million; from (0, 0) to (FULL, FULL).
        lookahead_ms: how far ahead of the plan spend may run.
    """

    limit: int
    spans: tuple[Span, ...]
    curve: tuple[tuple[int, int], ...]
    lookahead_ms: int

    def allows(self, now_ms: int) -> int:
        """Micros that may be spent and held by now, rounded down."""
        length = sum(end - start for start, end in self.spans)
        until = now_ms + self.lookahead_ms
        passed = sum(min(max(until - start, 0), end - start) for start, end in self.spans)
        return _share(self.limit, passed, length, self.curve)

    def allows_at(self, micros: int, now_ms: int) -> int:
        """The first moment from now on when it allows so much; 0: it never does."""
        last = self.spans[-1][1]
        return first_moment(now_ms, last, lambda at: self.allows(at) >= micros)


def first_moment(start: int, last: int, is_so: Callable[[int], bool]) -> int:
    """The first moment of these at which something is so, that stays so; 0: none."""
    if last < start or not is_so(last):
        return 0
    low, high = start, last
    while low < high:
        middle = (low + high) // 2
        if is_so(middle):
            high = middle
        else:
            low = middle + 1
    return low


def curve_of(mode: "PacingMode.ValueType", points: Sequence[PacingPoint]) -> tuple[Span, ...]:
    """The curve with both of its ends."""
    inner = (
        [(point.elapsed_ppm, point.spend_ppm) for point in points]
        if mode == PacingMode.PACING_MODE_CURVE
        else []
    )
    return ((0, 0), *inner, (FULL, FULL))


def merged(spans: Sequence[Span]) -> tuple[Span, ...]:
    """Spans in order, those that meet or overlap as one."""
    whole: list[Span] = []
    for start, end in sorted(spans):
        if whole and start <= whole[-1][1]:
            whole[-1] = (whole[-1][0], max(whole[-1][1], end))
        else:
            whole.append((start, end))
    return tuple(whole)


def _share(limit: int, passed: int, length: int, curve: Sequence[tuple[int, int]]) -> int:
    """The limit's part at `passed` of `length`, on straight lines between the points."""
    if passed >= length:
        return limit
    elapsed = passed * FULL  # in units of 1 / length, as the points' elapsed x length
    x0, y0 = 0, 0
    for x1, y1 in curve:
        if elapsed < x1 * length:
            rise = (y1 - y0) * (elapsed - x0 * length)
            run = (x1 - x0) * length
            return limit * (y0 * run + rise) // (run * FULL)
        x0, y0 = x1, y1
    raise AssertionError("the curve ends at FULL, and passed < length")
