"""Bids that are withdrawn: fit to compete, and refused by what the auction itself can't know.

Who asks the world outside (an ad server for the VAST behind a bid, a store for caps and budgets)
runs the auction again without the bids that it refuses, and the next best gets the chance.
"""

from collections.abc import Mapping
from types import MappingProxyType

from xsp_server.auction.bids import Bid
from xsp_server.auction.checks import Refusal
from xsp_server.auction.fates import Evidence, Fate, Relation, Rule

BidKey = tuple[str, int, int]
"""Which bid: its bidder, and the places of seatbid and bid in the bidder's answer."""

NOTHING_WITHDRAWN: MappingProxyType[BidKey, Refusal] = MappingProxyType({})

WITHDRAWN_FATES = frozenset(
    {
        Fate.CAPPED,
        Fate.NO_BUDGET,
        Fate.PACED,
        Fate.CAMPAIGN_INACTIVE,
        Fate.STATE_UNAVAILABLE,
        Fate.VAST_UNRESOLVED,
    }
)
"""What a withdrawn bid's fate can be. No price of its own would have helped it."""

_STATE_RULES: Mapping[Fate, Rule] = MappingProxyType(
    {
        Fate.CAPPED: Rule("bid.capped", Fate.CAPPED, 500, 300),
        Fate.NO_BUDGET: Rule("bid.no_budget", Fate.NO_BUDGET, 501, 300),
        Fate.PACED: Rule("bid.paced", Fate.PACED, 502, 300),
        Fate.CAMPAIGN_INACTIVE: Rule("bid.campaign_inactive", Fate.CAMPAIGN_INACTIVE, 503, 300),
        Fate.STATE_UNAVAILABLE: Rule("bid.state_unavailable", Fate.STATE_UNAVAILABLE, 1, 300),
    }
)
_VAST_UNRESOLVED = Rule("bid.vast_unresolved", Fate.VAST_UNRESOLVED, 504, 350)


def key_of(bid: Bid) -> BidKey:
    """The key of a bid."""
    return bid.bidder, bid.seatbid_index, bid.bid_index


def vast_unresolved(code: int) -> Refusal:
    """The VAST behind a bid ends in no ad.

    Args:
        code: the VAST error code; 0: an empty answer without one.
    """
    evidence = Evidence("vast.error_code", code, Relation.EQUAL, "no error", 0)
    return Refusal(_VAST_UNRESOLVED, evidence)


def refused_by_state(fate: Fate, evidence: Evidence) -> Refusal:
    """Caps or budgets are against a bid.

    Args:
        fate: what it is called: one of `WITHDRAWN_FATES`, and not of VAST.
        evidence: what was found.
    """
    return Refusal(_STATE_RULES[fate], evidence)
