"""What one bidder gave back: the word that upstream says and the auction reads."""

from dataclasses import dataclass
from enum import StrEnum

from xsp.openrtb.v2.bid_response_pb2 import BidResponse


class Outcome(StrEnum):
    """How asking a bidder ended."""

    BIDS = "bids"
    """A response with at least one bid in it."""
    NO_BID = "no_bid"
    """A response without bids, or the empty answer (HTTP 204)."""
    TIMEOUT = "timeout"
    """Nothing came before the deadline."""
    UNREACHABLE = "unreachable"
    """No connection: refused, reset, name not found, TLS not agreed."""
    INVALID_RESPONSE = "invalid_response"
    """Something came that is not a bid response."""
    ERROR = "error"
    """Any other failure, such as HTTP 500 or a gRPC status."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One bidder's answer to one request.

    Attributes:
        bidder: the bidder's name, unique within an auction.
        outcome: how it ended.
        arrived_ms: milliseconds from the start of the auction to the end of the call; None when
            nothing came.
        response: the answer itself; None unless the outcome is BIDS or NO_BID.
        detail: for people: what went wrong, as `HTTP 500` or `connection refused`.
    """

    bidder: str
    outcome: Outcome
    arrived_ms: float | None
    response: BidResponse | None = None
    detail: str = ""
