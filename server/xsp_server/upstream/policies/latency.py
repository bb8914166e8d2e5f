"""A bidder's latency over its last calls, those included whose answer nobody saw.

A call that ended without an answer tells only that the answer takes longer. Left out, such calls
would make a bidder look the faster the more of its answers are cut off; taken as answers, the
slower. The product-limit estimate (Kaplan and Meier, 1958) counts them for as long as they lasted.
"""

from bisect import bisect_left
from collections import deque
from typing import NamedTuple

from xsp_server.upstream.policies.settings import LatencySettings

SHORTEST_MS, LONGEST_MS, GROWTH = 0.1, 60_000.0, 1.05


def _edges() -> tuple[float, ...]:
    edges = [SHORTEST_MS]
    while edges[-1] < LONGEST_MS:
        edges.append(edges[-1] * GROWTH)
    return tuple(edges)


EDGES_MS = _edges()
"""Upper ends of the buckets in which latencies are counted: each 5 % above the one before."""

_ROUNDING = 1e-9


class Answered(NamedTuple):
    """One point of a curve: by `ms`, `share` of the calls are answered."""

    ms: float
    share: float


class LatencyCurve:
    """The share of calls that are answered within a time."""

    def __init__(self, points: tuple[Answered, ...]) -> None:
        """Takes the points where the share grows, in the order of time."""
        self.points = points

    def share_within(self, ms: float) -> float:
        """The share of calls that are answered within a time, to the bucket."""
        share = 0.0
        for point in self.points:
            if point.ms >= ms * GROWTH:
                break
            share = point.share
        return share

    def wait_for(self, share: float) -> float | None:
        """The time in ms within which a share of the calls is answered; None: in no time seen."""
        for point in self.points:
            if point.share >= share - _ROUNDING:
                return point.ms
        return None


class LatencyWindow:
    """The latency of the last calls: a sliding window, counted in buckets.

    Memory is bounded by the number of calls remembered. A call costs constant time; the curve is
    drawn anew when a thirtieth of the window has changed.
    """

    def __init__(self, settings: LatencySettings) -> None:
        """Starts empty."""
        self._settings = settings
        self._calls: deque[tuple[float, int, bool]] = deque()
        self._answered = [0] * len(EDGES_MS)
        self._unanswered = [0] * len(EDGES_MS)
        self._curve: LatencyCurve | None = None
        self._changes = 0

    def __len__(self) -> int:
        """Calls in the window."""
        return len(self._calls)

    def observe(self, now: float, ms: float, *, answered: bool) -> None:
        """Takes in a call that has ended.

        Args:
            now: by the clock, in seconds; never less than before.
            ms: how long it took.
            answered: whether an answer ended it, or waiting for one was given up.
        """
        bucket = min(bisect_left(EDGES_MS, ms), len(EDGES_MS) - 1)
        self._calls.append((now, bucket, answered))
        self._count(bucket, answered, 1)
        if len(self._calls) > self._settings.calls:
            self._forget()
        self._expire(now)

    def curve(self, now: float) -> LatencyCurve | None:
        """What is known by now; None while it is too little."""
        self._expire(now)
        if len(self._calls) < self._settings.least_calls:
            return None
        if self._curve is None or self._changes * 30 > len(self._calls):
            self._curve, self._changes = LatencyCurve(self._points()), 0
        return self._curve

    def _points(self) -> tuple[Answered, ...]:
        """The product-limit estimate: step by step, who is answered of those still waiting."""
        points = []
        waiting, missing = len(self._calls), 1.0
        for edge, answered, unanswered in zip(
            EDGES_MS, self._answered, self._unanswered, strict=True
        ):
            if answered:
                missing *= 1 - answered / waiting
                points.append(Answered(edge, 1 - missing))
            waiting -= answered + unanswered
        return tuple(points)

    def _expire(self, now: float) -> None:
        oldest = now - self._settings.seconds
        while self._calls and self._calls[0][0] < oldest:
            self._forget()

    def _forget(self) -> None:
        _, bucket, answered = self._calls.popleft()
        self._count(bucket, answered, -1)

    def _count(self, bucket: int, answered: bool, by: int) -> None:
        counts = self._answered if answered else self._unanswered
        counts[bucket] += by
        self._changes += 1
