"""What stands between the auction and a bidder: timeouts, breaker, limits, second tries.

All of it is told the time and waits for nothing, so it can be tested and simulated with any clock.
"""

from xsp_server.upstream.policies.admission import Admission
from xsp_server.upstream.policies.breaker import BreakerState, CircuitBreaker, Entry
from xsp_server.upstream.policies.health import Health, health
from xsp_server.upstream.policies.hedge import Hedge
from xsp_server.upstream.policies.latency import LatencyCurve, LatencyWindow
from xsp_server.upstream.policies.learned_timeout import LearnedTimeout
from xsp_server.upstream.policies.limits import Sampler, TokenBucket
from xsp_server.upstream.policies.settings import (
    BreakerSettings,
    HedgeSettings,
    LatencySettings,
    LearnedTimeoutSettings,
    PolicySettings,
)

__all__ = [
    "Admission",
    "BreakerSettings",
    "BreakerState",
    "CircuitBreaker",
    "Entry",
    "Health",
    "Hedge",
    "HedgeSettings",
    "LatencyCurve",
    "LatencySettings",
    "LatencyWindow",
    "LearnedTimeout",
    "LearnedTimeoutSettings",
    "PolicySettings",
    "Sampler",
    "TokenBucket",
    "health",
]
