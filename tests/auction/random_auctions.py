"""Auctions made by chance, small enough to be decided by trying everything."""

import random
from typing import Any

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.auction import Rules
from xsp_server.openrtb.reply import Outcome, Reply

DOMAINS = ("example.com", "car.example.com", "shop.car.example.com", "tea.example.com")
CATEGORIES = ("IAB1", "IAB1-2", "IAB1-3", "IAB2")


def prices(chance: random.Random) -> float:
    """Few different prices make ties, many make close calls."""
    if chance.random() < 0.5:
        return chance.choice((1, 2, 3))
    return chance.randrange(50, 500) / 100


def rules(chance: random.Random) -> Rules:
    return Rules.from_mapping(
        {
            "deal_policy": chance.choice(("price", "deals_first")),
            "separation": chance.choice(([], ["adomain"], ["cat"], ["adomain", "cat"])),
            "max_bids_per_imp_per_seat": chance.choice((1, 1, 2)),
            "bid_adjustments": chance.choice(({}, {"b": "0.9"})),
            "adjust_deal_bids": chance.random() < 0.5,
            "rates": {"EUR": {"USD": "1.1"}},
        }
    )


def pod_request(chance: random.Random, *, imps: int = 3) -> BidRequest:
    """One pod of places and breaks; now and then a second one."""
    return BidRequest(
        id="req",
        at=1,
        cur=["USD", "EUR"],
        imp=[_pod_imp(chance, str(n)) for n in range(1, chance.randint(1, imps) + 1)],
    )


def _pod_imp(chance: random.Random, imp_id: str) -> dict[str, Any]:
    video: dict[str, Any] = {
        "podid": chance.choice(("pod_1", "pod_1", "pod_1", "pod_2")),
        "maxduration": 30,
        "slotinpod": chance.choice((0, 0, 1, -1, 2)),
        "poddedupe": chance.choice(([], [], [1], [2], [3], [4], [5], [1, 3])),
    }
    if chance.random() < 0.6:
        video["poddur"] = chance.choice((30, 45, 60))
        if chance.random() < 0.5:
            video["maxseq"] = chance.choice((1, 2, 3))
    return {"id": imp_id, "video": video, "bidfloor": chance.choice((0, 0, 1)), "pmp": _pmp(chance)}


def request(chance: random.Random, *, imps: int = 3) -> BidRequest:
    """Imps outside pods."""
    return BidRequest(
        id="req",
        at=chance.choice((1, 2)),
        cur=["USD", "EUR"],
        imp=[
            {
                "id": str(n),
                "banner": {},
                "bidfloor": chance.choice((0, 0, 1)),
                "pmp": _pmp(chance),
            }
            for n in range(1, chance.randint(1, imps) + 1)
        ],
    )


def _pmp(chance: random.Random) -> dict[str, Any]:
    deals: list[dict[str, Any]] = [
        {"id": "d1", "bidfloor": 1.5},
        {"id": "f1", "at": 3, "bidfloor": chance.choice((1, 2))},
        {"id": "g1", "guar": 1, "at": 1, "bidfloor": 1},
    ]
    return {"deals": [deal for deal in deals if chance.random() < 0.6]}


def replies(
    chance: random.Random, sold: BidRequest, *, bids: int = 7, groups: bool = False
) -> list[Reply]:
    """Bids of up to four bidders, most of them good."""
    left = chance.randint(0, bids)
    made = []
    for bidder in "abcd":
        count = min(left, chance.randint(0, 4))
        left -= count
        seatbids: dict[str | None, list[dict[str, Any]]] = {}
        for n in range(count):
            seat = chance.choice((None, None, "s1", "s2"))
            seatbids.setdefault(seat, []).append(_bid(chance, sold, str(n)))
        response = BidResponse(id="req", cur=chance.choice(("USD", "USD", "EUR")))
        for seat, seat_bids in seatbids.items():
            grouped = groups and chance.random() < 0.4
            response.seatbid.add(seat=seat, bid=seat_bids, group=grouped)
        made.append(Reply(bidder, Outcome.BIDS, chance.choice((5, 6)), response))
    return made


def _bid(chance: random.Random, sold: BidRequest, bid_id: str) -> dict[str, Any]:
    imp = chance.choice(sold.imp)
    bid: dict[str, Any] = {
        "id": bid_id,
        "impid": imp.id,
        "price": prices(chance),
        "adm": f"<VAST><MediaFile>{chance.choice('xyz')}</MediaFile></VAST>",
        "adomain": chance.sample(DOMAINS, chance.choice((0, 1, 1, 2))),
        "cat": chance.sample(CATEGORIES, chance.choice((0, 1, 1, 2))),
        "crid": chance.choice(("", "c1", "c2")),
    }
    if chance.random() < 0.2:
        bid["cattax"] = 7
    if chance.random() < 0.4:
        bid["dealid"] = chance.choice(("d1", "f1", "g1"))
    if imp.HasField("video"):
        if chance.random() < 0.8:
            bid["dur"] = chance.choice((10, 15, 15, 30))
        if chance.random() < 0.4:
            bid["slotinpod"] = chance.choice((1, -1, 2))
    return bid
