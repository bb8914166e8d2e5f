"""The auction: who may bid, who wins, at what price, and why. Pure: no I/O, no clock, no chance.

run(request, replies, rules) -> Result      judges every bid, finds winners and prices
build_response(request, result)             the answer as an OpenRTB bid response
WinnerDetermination(rules)                  the same for one response in hand
"""

from xsp_server.auction.checks import Refusal
from xsp_server.auction.determination import WinnerDetermination
from xsp_server.auction.engine import run
from xsp_server.auction.fates import (
    Evidence,
    Fate,
    FloorSource,
    PriceBasis,
    RankClass,
    Relation,
)
from xsp_server.auction.response import build_response
from xsp_server.auction.result import (
    BidderVerdict,
    BidVerdict,
    PodVerdict,
    Result,
    Standing,
    Winner,
)
from xsp_server.auction.rules import DealPolicy, Overlap, Rules, Separation
from xsp_server.auction.terms import MediaType
from xsp_server.auction.withdrawals import (
    NOTHING_WITHDRAWN,
    BidKey,
    key_of,
    refused_by_state,
    vast_unresolved,
)

__all__ = [
    "NOTHING_WITHDRAWN",
    "BidKey",
    "BidVerdict",
    "BidderVerdict",
    "DealPolicy",
    "Evidence",
    "Fate",
    "FloorSource",
    "MediaType",
    "Overlap",
    "PodVerdict",
    "PriceBasis",
    "RankClass",
    "Refusal",
    "Relation",
    "Result",
    "Rules",
    "Separation",
    "Standing",
    "Winner",
    "WinnerDetermination",
    "build_response",
    "key_of",
    "refused_by_state",
    "run",
    "vast_unresolved",
]
