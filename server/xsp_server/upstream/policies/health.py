"""What the end of a call says about the health of a bidder."""

from enum import Enum, auto

from xsp_server.openrtb.reply import Outcome, Reply


class Health(Enum):
    """What a breaker makes of a call."""

    GOOD = auto()
    """The bidder works, whether it bids or not."""
    BAD = auto()
    """It doesn't."""
    UNKNOWN = auto()
    """The call tells nothing about it."""


_ASKS_FOR_LESS = frozenset({408, 425, 429})
"""HTTP statuses below 500 that speak of the bidder's state and not of the request."""

_ABOUT_THE_REQUEST = frozenset(
    {
        "INVALID_ARGUMENT",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "FAILED_PRECONDITION",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "UNAUTHENTICATED",
    }
)
"""gRPC statuses by which a bidder that works refuses a request."""


def health(reply: Reply, *, in_time: bool, had_ms: float, timeout_from_ms: int) -> Health:
    """The health that a reply shows.

    A bidder that refuses the request (HTTP 4xx, gRPC INVALID_ARGUMENT and the like) works: one odd
    request must not take it from everybody. Too many requests (429, RESOURCE_EXHAUSTED) and 5xx
    are failures, and so is an answer that can't be read.

    Args:
        reply: how the call ended.
        in_time: whether it ended before the deadline; an answer after it is a timeout.
        had_ms: how long the bidder had.
        timeout_from_ms: a timeout is a failure if it had at least so long.
    """
    outcome = reply.outcome
    if outcome is Outcome.TIMEOUT or not in_time:
        return Health.BAD if had_ms >= timeout_from_ms else Health.UNKNOWN
    if outcome is Outcome.BIDS or outcome is Outcome.NO_BID:
        return Health.GOOD
    if outcome is Outcome.ERROR and _is_about_the_request(reply):
        return Health.GOOD
    return Health.BAD


def _is_about_the_request(reply: Reply) -> bool:
    status = reply.http_status
    if status is not None:
        return 400 <= status < 500 and status not in _ASKS_FOR_LESS
    return reply.grpc_status in _ABOUT_THE_REQUEST
