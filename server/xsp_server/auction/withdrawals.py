"""Bids that are withdrawn: fit to compete, and refused by what the auction itself can't know.

Who asks the world outside (an ad server for the VAST behind a bid) runs the auction again without
the bids that it refuses, and the next best gets the chance.
"""

from types import MappingProxyType

from xsp_server.auction.bids import Bid
from xsp_server.auction.checks import Refusal
from xsp_server.auction.fates import Evidence, Fate, Relation, Rule

BidKey = tuple[str, int, int]
"""Which bid: its bidder, and the places of seatbid and bid in the bidder's answer."""

NOTHING_WITHDRAWN: MappingProxyType[BidKey, Refusal] = MappingProxyType({})

_VAST_UNRESOLVED = Rule("bid.vast_unresolved", Fate.VAST_UNRESOLVED, 504, 350)


def key_of(bid: Bid) -> BidKey:
    """The key of a bid."""
    return bid.bidder, bid.seatbid_index, bid.bid_index


def vast_unresolved(code: int) -> Refusal:
    """The VAST behind a bid ends in no ad.

    Args:
        code: the VAST error code; 0: an empty answer without one.
    """
    evidence = Evidence("vast.error_code", float(code), Relation.EQUAL, "no error", 0.0)
    return Refusal(_VAST_UNRESOLVED, evidence)
