"""Defaults of absent members, by message: OpenRTB 2.6-202606 and IAB's proto of that release.

Flags are 0 or 1, as JSON has them. A default holds where the object itself is present.
"""

from collections.abc import Mapping
from typing import Final

DEFAULTS: Final[Mapping[str, Mapping[str, str | int | float]]] = {
    "BidRequest": {"allimps": 0, "at": 2, "cattax": 1, "test": 0},
    "BidRequest.App": {"cattax": 1},
    "BidRequest.Audio": {"minduration": 0, "podseq": 0, "sequence": 0, "slotinpod": 0},
    "BidRequest.Content": {"cattax": 1, "gtax": 9},
    "BidRequest.Deal": {"bidfloor": 0.0, "bidfloorcur": "USD", "guar": 0},
    "BidRequest.Dooh": {"venuetypetax": 1},
    "BidRequest.DurFloors": {"bidfloor": 0.0},
    "BidRequest.Imp": {"bidfloor": 0.0, "bidfloorcur": "USD", "instl": 0, "rwdd": 0, "ssai": 0},
    "BidRequest.InterestGroupAuctionSupport": {"ae": 1, "biddable": 0},
    "BidRequest.Pmp": {"private_auction": 0},
    "BidRequest.Producer": {"cattax": 1},
    "BidRequest.Publisher": {"cattax": 1},
    "BidRequest.RefSettings": {"reftype": 0},
    "BidRequest.Site": {"cattax": 1},
    "BidRequest.UserAgent": {"source": 0},
    "BidRequest.Video": {
        "boxingallowed": 1,
        "minduration": 0,
        "podseq": 0,
        "sequence": 0,
        "skipafter": 0,
        "skipmin": 0,
        "slotinpod": 0,
    },
    "BidResponse": {"cur": "USD"},
    "BidResponse.Bid": {"cattax": 1, "slotinpod": 0},
    "BidResponse.InterestGroupAuctionBuyer": {"cur": "USD"},
    "BidResponse.SeatBid": {"group": 0},
    "NativeRequest": {"plcmtcnt": 1, "seq": 0},
    "NativeRequest.Asset": {"required": 0},
    "NativeResponse.Asset": {"required": 0},
}
