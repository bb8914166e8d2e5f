"""When a slow call is given a second try, and how many may have one."""

from xsp_server.upstream.policies.latency import LatencyCurve, LatencyWindow
from xsp_server.upstream.policies.settings import HedgeSettings

MOST_CREDIT = 10.0
"""Second tries that may be saved up: so many may come in a row after a calm time."""


class Hedge:
    """Says after what time a second try starts, and keeps them to their share of the calls."""

    def __init__(self, settings: HedgeSettings, window: LatencyWindow) -> None:
        """Takes the share, and the window to learn from."""
        self._settings = settings
        self._window = window
        self._credit = 0.0
        self._curve: LatencyCurve | None = None
        self._delay_ms: float | None = None

    def delay_ms(self, now: float) -> float | None:
        """How long to wait for the first try of a call that starts now, in ms.

        Every call has to ask: it earns its part of a second try.

        Args:
            now: by the clock, in seconds.

        Returns:
            The time; None: too little is known, or there is no credit for a second try.
        """
        self._credit = min(self._credit + self._settings.share, MOST_CREDIT)
        curve = self._window.curve(now)
        if curve is not self._curve:
            self._curve, self._delay_ms = curve, self._learn(curve)
        return self._delay_ms if self._credit >= 1 else None

    def take(self) -> bool:
        """Takes the credit for a second try that starts now, if there is enough still."""
        if self._credit < 1:
            return False
        self._credit -= 1
        return True

    def _learn(self, curve: LatencyCurve | None) -> float | None:
        wait = None if curve is None else curve.wait_for(self._settings.after_share)
        return None if wait is None else max(wait, self._settings.min_ms)
