"""The circuit breaker of one bidder: a state machine that is told the time and waits for nothing.

closed ──── failed ────> open ──── waited ────> half-open
  ^                        ^                     │     │
  │                        └─── probe failed ────┘     │
  └────────────────────── probes passed ───────────────┘
"""

from collections import deque
from collections.abc import Callable
from enum import StrEnum
from typing import Final, NamedTuple

from xsp_server.upstream.policies.health import Health
from xsp_server.upstream.policies.settings import BreakerSettings

SLICES = 10
"""The window of the failure rate moves on by a tenth of its length."""


class BreakerState(StrEnum):
    """Whether a bidder is asked."""

    CLOSED = "closed"
    """It is."""
    OPEN = "open"
    """It is left alone."""
    HALF_OPEN = "half_open"
    """A few calls find out how it is."""


class Entry(NamedTuple):
    """What a call holds between `enter` and `leave`.

    Attributes:
        is_probe: it is to find out whether the bidder is well again.
    """

    is_probe: bool


class _Event(StrEnum):
    FAILED = "failed"
    WAITED = "waited"
    PROBE_FAILED = "probe_failed"
    PROBES_PASSED = "probes_passed"


_CLOSED, _HALF_OPEN = BreakerState.CLOSED, BreakerState.HALF_OPEN
_GOOD, _BAD = Health.GOOD, Health.BAD  # which Python 3.11 takes 8 times as long to find
_NEXT: Final = {
    (BreakerState.CLOSED, _Event.FAILED): BreakerState.OPEN,
    (BreakerState.OPEN, _Event.WAITED): BreakerState.HALF_OPEN,
    (BreakerState.HALF_OPEN, _Event.PROBE_FAILED): BreakerState.OPEN,
    (BreakerState.HALF_OPEN, _Event.PROBES_PASSED): BreakerState.CLOSED,
}
"""What an event makes of a state; there are no others."""


class CircuitBreaker:
    """Counts failures and says when a bidder is to be left alone.

    A call enters with `enter` and has to leave with `leave`, exactly once. Calls that entered in
    an earlier state say nothing about the present one.

    Attributes:
        state: as of the last call; time alone turns it by `admits`.
    """

    def __init__(
        self, settings: BreakerSettings, on_change: Callable[[BreakerState], None] | None = None
    ) -> None:
        """Starts closed.

        Args:
            settings: what opens and closes it.
            on_change: called with each new state.
        """
        self.state = _CLOSED
        self._settings = settings
        self._on_change = on_change
        self._entry = Entry(is_probe=False)
        self._row = 0
        self._rate = _FailureRate(settings.window_seconds)
        self._open_until = 0.0
        self._open_for = settings.open_seconds
        self._probes = 0
        self._passed = 0

    def admits(self, now: float) -> bool:
        """Whether a call may enter now.

        Args:
            now: by the clock, in seconds; never less than before.
        """
        if self.state is _CLOSED:
            return True
        if self.state is BreakerState.OPEN and now >= self._open_until:
            self._turn(_Event.WAITED)
        return self.state is _HALF_OPEN and self._probes + self._passed < self._settings.probes

    def enter(self) -> Entry:
        """Takes in a call that `admits` has let through."""
        if self.state is _HALF_OPEN:
            self._probes += 1
        return self._entry

    def leave(self, entry: Entry, health: Health, now: float) -> None:
        """Counts a call that has ended.

        Args:
            entry: what `enter` gave.
            health: what the call says about the bidder.
            now: by the clock, in seconds.
        """
        if entry is not self._entry:
            return
        if self.state is _HALF_OPEN:
            self._end_probe(health, now)
        elif health is _GOOD:
            self._row = 0
            self._rate.count(now, 0)
        elif health is _BAD:
            self._row += 1
            self._rate.count(now, 1)
            if self._is_too_much():
                self._open_until = now + self._open_for
                self._turn(_Event.FAILED)

    def _end_probe(self, health: Health, now: float) -> None:
        self._probes -= 1
        if health is _BAD:
            self._open_for = min(self._open_for * 2, self._settings.max_open_seconds)
            self._open_until = now + self._open_for
            self._turn(_Event.PROBE_FAILED)
        elif health is _GOOD:
            self._passed += 1
            if self._passed == self._settings.probes:
                self._open_for = self._settings.open_seconds
                self._turn(_Event.PROBES_PASSED)

    def _is_too_much(self) -> bool:
        if self._row >= self._settings.consecutive_failures:
            return True
        calls = self._rate.calls
        enough = calls >= self._settings.least_calls
        return enough and self._rate.failures >= self._settings.failure_rate * calls

    def _turn(self, event: _Event) -> None:
        self.state = _NEXT[self.state, event]
        self._entry = Entry(self.state is _HALF_OPEN)
        self._row = self._probes = self._passed = 0
        self._rate = _FailureRate(self._settings.window_seconds)
        if self._on_change is not None:
            self._on_change(self.state)


class _FailureRate:
    """Calls and failures of the last seconds, in slices of time."""

    def __init__(self, seconds: float) -> None:
        self._slice_seconds = seconds / SLICES
        self._slices: deque[list[int]] = deque()  # number of the slice, calls, failures
        self.calls = 0
        self.failures = 0

    def count(self, now: float, failed: int) -> None:
        number = int(now / self._slice_seconds)
        slices = self._slices
        if not slices or slices[-1][0] != number:
            while slices and slices[0][0] <= number - SLICES:
                _, calls, failures = slices.popleft()
                self.calls -= calls
                self.failures -= failures
            slices.append([number, 0, 0])
        slices[-1][1] += 1
        self.calls += 1
        if failed:
            slices[-1][2] += 1
            self.failures += 1
