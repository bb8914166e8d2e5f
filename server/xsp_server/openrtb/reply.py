"""What one bidder gave back, or why it was not asked: what upstream says and the auction reads."""

from enum import StrEnum

from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.values import value


class Outcome(StrEnum):
    """How asking a bidder ended."""

    BIDS = "bids"
    """A response with at least one bid in it."""
    NO_BID = "no_bid"
    """A response without bids, or the empty answer (HTTP 204)."""
    TIMEOUT = "timeout"
    """Nothing came before the deadline."""
    UNREACHABLE = "unreachable"
    """No connection: refused, name not found, TLS not agreed."""
    INVALID_RESPONSE = "invalid_response"
    """Something came that is not a bid response."""
    ERROR = "error"
    """Any other failure, such as HTTP 500 or a gRPC status."""
    CANCELLED = "cancelled"
    """The auction was over before it answered: nobody waited for it, or its group was filled."""


class NotAsked(StrEnum):
    """Why a bidder that fits the request was passed over; words of the contract's SkipReason."""

    BREAKER_OPEN = "breaker_open"
    """It failed too often; it is left alone for a while."""
    RATE_LIMIT = "rate_limit"
    """Its limit of requests a second is reached."""
    CONCURRENCY_LIMIT = "concurrency_limit"
    """Its limit of requests at once is reached."""
    SAMPLED_OUT = "sampled_out"
    """It is asked for a share of the requests; this one isn't among them."""
    NO_TIME = "no_time"
    """Too little time was left for it."""
    NOT_REACHED = "not_reached"
    """Its group was filled, or out of time, before its turn."""
    CAPPED = "capped"
    """All of its campaigns are capped for the user."""
    NO_BUDGET = "no_budget"
    """None of its campaigns can pay, or some can't and the others are capped."""


@value
class Skipped:
    """A bidder that was to be asked and was not.

    Attributes:
        bidder: the bidder's name.
        reason: why.
        detail: for people: the limit that was met, as `512 calls at once`.
    """

    bidder: str
    reason: NotAsked
    detail: str = ""


@value
class Reply:
    """One bidder's answer to one request.

    Attributes:
        bidder: the bidder's name, unique within an auction.
        outcome: how it ended.
        arrived_ms: milliseconds from the start of the auction to the end of the call; None when
            nothing came.
        response: the answer itself; None unless the outcome is BIDS or NO_BID.
        detail: for people: what went wrong, as `HTTP 500` or `connection refused`.
        attempts: how often it was asked: 2 with a hedged second try.
        sent_ms: milliseconds from the start of the auction to the first try; None: not told.
        timeout_ms: how long the auction would wait for it from then on, as learned or set; None:
            not told.
        secondary: nobody waited for it.
        late: it came when the auction was over.
        http_status: of an answer over HTTP that was refused; None: none, or not told.
        grpc_status: name of the status of a gRPC call that failed, as `INTERNAL`; empty: none.
    """

    bidder: str
    outcome: Outcome
    arrived_ms: float | None
    response: BidResponse | None = None
    detail: str = ""
    attempts: int = 1
    sent_ms: float | None = None
    timeout_ms: float | None = None
    secondary: bool = False
    late: bool = False
    http_status: int | None = None
    grpc_status: str = ""
