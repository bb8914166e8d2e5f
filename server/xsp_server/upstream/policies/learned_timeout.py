"""How long the auction waits for a bidder, learned from the bidder's own latency.

The rule: as short as can be while at most `slow_share` of all calls lose an answer that would have
come within `max_ms`; times `slack`, and within the bounds. So

- a bidder that answers within the bound is waited for as long as its slowest few take;
- one that has become slower than the bound is waited for `min_ms` only: more would buy nothing;
- one of which half the answers come at once and half beyond the bound is waited for as long as the
  quick half takes.

What is learned cuts the waiting and not the call. The call goes on to the deadline, so the window
sees what the bidder is really like, a recovery shows at once, and nobody has to be made to wait to
find out. An answer that comes while the auction still waits for others counts.
"""

import math

from xsp_server.upstream.policies.latency import LatencyCurve, LatencyWindow
from xsp_server.upstream.policies.settings import LearnedTimeoutSettings


class LearnedTimeout:
    """A timeout that follows a bidder's latency; the window is filled by whoever calls."""

    def __init__(self, settings: LearnedTimeoutSettings, window: LatencyWindow) -> None:
        """Takes the bounds, and the window to learn from."""
        self._settings = settings
        self._window = window
        self._max_ms = math.inf if settings.max_ms is None else settings.max_ms
        self._curve: LatencyCurve | None = None
        self._timeout_ms: float | None = settings.max_ms

    def timeout_ms(self, now: float) -> float | None:
        """How long to wait for a call that starts now, in ms.

        Until enough calls are known it is `max_ms`.

        Args:
            now: by the clock, in seconds.

        Returns:
            The time, or None: up to the deadline.
        """
        curve = self._window.curve(now)
        if curve is not self._curve:
            self._curve = curve
            self._timeout_ms = self._settings.max_ms if curve is None else self._learn(curve)
        return self._timeout_ms

    def _learn(self, curve: LatencyCurve) -> float:
        worth_having = curve.share_within(self._max_ms) - self._settings.slow_share
        wait = curve.wait_for(worth_having) if worth_having > 0 else None
        if wait is None:
            return float(self._settings.min_ms)
        return min(max(wait * self._settings.slack, self._settings.min_ms), self._max_ms)
