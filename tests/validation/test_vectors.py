"""The auction's vectors: what it refuses a bid for, the response validator reports, and no more."""

import json
from pathlib import Path

import pytest

from validation.messages import request, response
from xsp_server.openrtb.validation import BidResponseValidator

FOLDER = Path(__file__).parent.parent / "vectors" / "auction"
VECTORS = sorted(path for path in FOLDER.glob("*.json") if path.name != "index.json")

RULE_OF = {
    "duplicate_bid_id": "bid.id.unique",
    "currency_not_allowed": "bidresponse.cur.accepted",
    "wrong_request_id": "bidresponse.id.request",
    "unknown_imp": "bid.impid.known",
    "invalid_price": "bid.price",
    "missing_markup": "bid.markup",
    "seat_blocked": "seatbid.seat.accepted",
    "unknown_deal": "bid.dealid.known",
    "deal_seat": "bid.dealid.seat",
    "deal_advertiser": "bid.adomain.deal",
    "private_auction": "bid.dealid.private-auction",
    "media_type": "bid.mtype.offered",
    "blocked_advertiser": "bid.adomain.blocked",
    "blocked_category": "bid.cat",
    "blocked_app": "bid.bundle.blocked",
    "blocked_attribute": "bid.attr.blocked",
    "language": "bid.language.allowed",
    "not_secure": "bid.adm.secure",
    "size": "bid.size.offered",
    "duration": "bid.dur",
    "protocol": "bid.protocol.supported",
    "api": "bid.apis.supported",
    "slot_not_offered": "bid.slotinpod.offered",
    "below_floor": "bid.price.floor",
    "below_deal_floor": "bid.price.deal-floor",
}
"""Fate of a bid and the rule that says so, or how its id begins."""
ELIGIBLE = {"won", "lost_price", "lost_deal", "lost_group", "lost_pod", "seat_limit"}
PRICES_ARE_CHANGED_BY = {"rates", "bid_adjustments", "adjust_deal_bids", "durfloors_overlap"}
"""Rules of an auction after which a price is no longer compared with a floor as both were sent."""
STRICTER = {"bid.hratio.with-wratio", "bid.wratio.with-hratio"}
"""What the validator calls an error and the auction does not refuse: half a ratio tells nothing."""
NOT_THE_VALIDATOR_S = {
    # The request is refused before any bid is looked at.
    ("imp_that_offers_nothing", "1"),
    ("imp_that_offers_nothing", "2"),
    ("imp_that_offers_nothing", "3"),
    # A banner's bid for a slot: the validator holds slots against video and audio alone.
    ("ads_of_unknown_duration", "3"),
}
"""Bids, by vector, that the auction refuses and the validator can't."""
PRICE_RULES = {"bid.price.floor", "bid.price.deal-floor"}


def broken_rules(answer, asked):
    """By bid id: the rules that the bid, its seat or the whole response breaks."""
    errors = BidResponseValidator().validate(answer, asked).errors
    rules = {}
    for i, seatbid in enumerate(answer.seatbid):
        for j, bid in enumerate(seatbid.bid):
            here = f"seatbid[{i}].bid[{j}]"
            places = (here, f"{here}.", f"seatbid[{i}].seat", "id", "cur")
            rules.setdefault(bid.id, set()).update(
                e.rule for e in errors if e.path == here or e.path.startswith(places[1:])
            )
    return rules


def disagreements(vector):
    """Fates that the validator sees otherwise."""
    asked = request(vector["request"])
    switched = set(PRICE_RULES) if PRICES_ARE_CHANGED_BY & vector["rules"].keys() else set()
    if vector["rules"].get("allow_adid_only"):
        switched.add("bid.markup")
    for reply in vector["replies"]:
        answer = response(reply["response"] or {})
        for bid, broken in broken_rules(answer, asked).items():
            fate = vector["expected"]["fates"][f"{reply['bidder']}/{bid}"]
            if fate in ELIGIBLE:
                agreed = broken <= switched | STRICTER
            elif fate in RULE_OF:
                rule = RULE_OF[fate]
                agreed = rule in switched or any(found.startswith(rule) for found in broken)
            else:
                agreed = True  # late, no rate, no advertiser: not a matter of the standard
            if not agreed and (vector["name"], bid) not in NOT_THE_VALIDATOR_S:
                yield reply["bidder"], bid, fate, broken


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_the_validator_refuses_the_bids_that_the_auction_refuses(path):
    assert list(disagreements(json.loads(path.read_text(encoding="utf-8")))) == []
