"""The settings of a bidder's policies: `[bidders.policy]` and the sections inside."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Milliseconds = Annotated[int, Field(ge=1, le=60_000)]
Share = Annotated[float, Field(gt=0, lt=1)]


class PolicySection(BaseModel):
    """A part of the policies: frozen, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class LatencySettings(PolicySection):
    """What is remembered of a bidder's own latency, for `learned_timeout` and `hedge`."""

    calls: Annotated[int, Field(ge=20, le=100_000)] = 1000
    """The last calls that are remembered."""
    seconds: Annotated[float, Field(gt=0, le=86_400)] = 300.0
    """How long they are remembered, in seconds."""
    least_calls: Annotated[int, Field(ge=1, le=100_000)] = 50
    """With fewer calls in memory nothing has been learned: it is waited for up to the deadline, and
    there is no second try."""

    @model_validator(mode="after")
    def _enough(self) -> Self:
        if self.least_calls > self.calls:
            raise ValueError(f"expected least_calls of at most calls ({self.calls})")
        return self


class LearnedTimeoutSettings(PolicySection):
    """How long the auction waits for the bidder, learned from its own latency."""

    enabled: bool = False
    """Whether the timeout is learned; else the bidder is waited for up to the deadline."""
    slow_share: Share = 0.05
    """The share of all calls whose answer may be given up as too slow, though it would have come
    within `max_ms`."""
    slack: Annotated[float, Field(ge=1, le=10)] = 1.5
    """The latency found is multiplied by this."""
    min_ms: Milliseconds = 10
    """It is waited for at least so long, in ms."""
    max_ms: Milliseconds | None = None
    """It is waited for at most so long, in ms. Without it: up to the deadline."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.max_ms is not None and self.max_ms < self.min_ms:
            raise ValueError(f"expected max_ms of at least min_ms ({self.min_ms})")
        return self


class BreakerSettings(PolicySection):
    """Leaves a bidder alone that fails, and finds out when it is well again."""

    enabled: bool = True
    """Whether there is a breaker."""
    consecutive_failures: Annotated[int, Field(ge=1)] = 20
    """Failures in a row that open it."""
    failure_rate: Annotated[float, Field(gt=0, le=1)] = 0.5
    """The share of failures within `window_seconds` that opens it."""
    least_calls: Annotated[int, Field(ge=1)] = 50
    """Calls within `window_seconds` below which `failure_rate` doesn't count."""
    window_seconds: Annotated[float, Field(gt=0, le=3600)] = 10.0
    """The window of `failure_rate`, in seconds."""
    timeout_from_ms: Annotated[int, Field(ge=1, le=60_000)] = 50
    """A call without answer is a failure if the bidder had at least so long, in ms; with less time
    it tells nothing about the bidder. 60000: timeouts are never failures."""
    open_seconds: Annotated[float, Field(gt=0, le=3600)] = 5.0
    """How long the bidder is left alone at first; doubled each time that it then fails again."""
    max_open_seconds: Annotated[float, Field(gt=0, le=3600)] = 60.0
    """The longest that it is left alone."""
    probes: Annotated[int, Field(ge=1, le=1000)] = 3
    """Afterwards so many calls at once find out how it is; so many successes close the breaker."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.max_open_seconds < self.open_seconds:
            raise ValueError(f"expected max_open_seconds of at least {self.open_seconds:g}")
        return self


class HedgeSettings(PolicySection):
    """A second try while the first is slow; the first answer wins."""

    enabled: bool = False
    """Whether there is one. Only for a bidder to which the same request twice is the same as once:
    it counts requests by their id, or not at all."""
    after_share: Share = 0.95
    """It starts when the first try takes longer than this share of the calls does."""
    share: Annotated[float, Field(gt=0, le=0.5)] = 0.05
    """The share of calls that may have a second try."""
    min_ms: Milliseconds = 5
    """It starts no sooner than this, in ms."""


class PolicySettings(PolicySection):
    """What one bidder may cost, and what it is spared."""

    qps: Annotated[float, Field(gt=0, le=1_000_000)] | None = None
    """Requests a second; beyond it the bidder isn't asked. Without it: no limit."""
    burst: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Requests that may go out at once after a pause. Without it: a tenth of a second's worth, and
    at least one."""
    max_concurrent: Annotated[int, Field(ge=1, le=100_000)] = 2000
    """Requests under way at once; beyond it the bidder isn't asked."""
    max_bids: Annotated[int, Field(ge=1, le=1_000_000)] = 1000
    """Bids in one answer; one with more is no valid answer. What judging bids costs, all pay."""
    sample_rate: Annotated[float, Field(ge=0, le=1)] = 1.0
    """The share of requests it is asked for. Which ones follows from their id: the same request is
    always in, or always out."""
    secondary: bool = False
    """Nobody waits for it: it counts if it is in by the time the others are done."""
    least_time_ms: Milliseconds = 1
    """With less time left it isn't asked, in ms."""
    late_ms: Annotated[int, Field(ge=0, le=10_000)] = 50
    """How long after the deadline an answer is still taken in, to be recorded as late, in ms."""
    latency: LatencySettings = LatencySettings()
    """What is remembered of its latency."""
    learned_timeout: LearnedTimeoutSettings = LearnedTimeoutSettings()
    """How long it is waited for."""
    breaker: BreakerSettings = BreakerSettings()
    """When it is left alone."""
    hedge: HedgeSettings = HedgeSettings()
    """When it is asked a second time."""

    @model_validator(mode="after")
    def _burst_of_something(self) -> Self:
        if self.burst is not None and self.qps is None:
            raise ValueError("expected qps together with burst")
        return self
