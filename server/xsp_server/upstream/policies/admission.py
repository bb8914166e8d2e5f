"""Whether a bidder may be asked now: every limit and the breaker, in one order."""

from collections.abc import Callable

from xsp_server.openrtb.reply import NotAsked, Skipped
from xsp_server.upstream.policies.breaker import BreakerState, CircuitBreaker, Entry
from xsp_server.upstream.policies.health import Health
from xsp_server.upstream.policies.limits import Sampler, TokenBucket
from xsp_server.upstream.policies.settings import PolicySettings


class Admission:
    """Lets calls to one bidder through, or says what is against it.

    What costs nothing is asked first, and what is counted is counted only for calls that go out:
    time left, sample, breaker, requests at once, requests a second.
    """

    def __init__(
        self,
        bidder: str,
        settings: PolicySettings,
        on_breaker: Callable[[BreakerState], None] | None = None,
    ) -> None:
        """Starts with nothing under way.

        Args:
            bidder: its name.
            settings: its policies.
            on_breaker: called with each new state of its breaker.
        """
        self._bidder = bidder
        self._settings = settings
        self._least_time = settings.least_time_ms / 1000
        self._under_way = 0
        self._most = settings.max_concurrent
        self._breaker = (
            CircuitBreaker(settings.breaker, on_breaker) if settings.breaker.enabled else None
        )
        self._sampler = Sampler(settings.sample_rate, bidder) if settings.sample_rate < 1 else None
        self._bucket = TokenBucket(settings.qps, settings.burst) if settings.qps else None

    def admit(self, request_id: str, now: float, time_left: float) -> Entry | Skipped:
        """Lets a call through, or not. A call that is let through ends with `call_ended`.

        Args:
            request_id: of the OpenRTB request; decides the sample.
            now: by the clock, in seconds.
            time_left: seconds that the bidder would have.
        """
        refusal = self._refuse(request_id, now, time_left)
        if refusal is not None:
            return refusal
        self._under_way += 1
        return _UNGUARDED if self._breaker is None else self._breaker.enter()

    def admit_again(self, now: float) -> bool:
        """Whether a second try of an admitted call may go out now; if so it is counted."""
        if self._under_way >= self._most:
            return False
        if self._bucket is not None and not self._bucket.take(now):
            return False
        self._under_way += 1
        return True

    def attempt_ended(self) -> None:
        """Gives back the place of a try; the first is counted by `admit`."""
        self._under_way -= 1

    def call_ended(self, entry: Entry, health: Health, now: float) -> None:
        """Tells the breaker how a call ended, whatever number of tries it had."""
        if self._breaker is not None:
            self._breaker.leave(entry, health, now)

    def _refuse(self, request_id: str, now: float, time_left: float) -> Skipped | None:
        settings, breaker = self._settings, self._breaker
        if time_left < self._least_time:
            return self._skip(NotAsked.NO_TIME, f"{max(time_left, 0) * 1000:.1f} ms were left")
        if self._sampler is not None and not self._sampler.picks(request_id):
            return self._skip(NotAsked.SAMPLED_OUT, f"asked for {settings.sample_rate:.2%}")
        if breaker is not None and breaker.state is not _CLOSED and not breaker.admits(now):
            return self._skip(NotAsked.BREAKER_OPEN, f"the breaker is {breaker.state}")
        if self._under_way >= self._most:
            return self._skip(NotAsked.CONCURRENCY_LIMIT, f"{self._most} calls at once")
        if self._bucket is not None and not self._bucket.take(now):
            return self._skip(NotAsked.RATE_LIMIT, f"{settings.qps:g} calls a second")
        return None

    def _skip(self, reason: NotAsked, detail: str) -> Skipped:
        return Skipped(self._bidder, reason, detail)


_CLOSED = BreakerState.CLOSED
_UNGUARDED = Entry(is_probe=False)
