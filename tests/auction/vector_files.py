"""The auction vectors as values: which files there are, and how their JSON becomes an auction."""

import json
import os
import random
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server import auction
from xsp_server.openrtb import codec, money
from xsp_server.openrtb.reply import Outcome, Reply

FOLDER = Path(__file__).parent.parent / "vectors" / "auction"


@dataclass(frozen=True)
class Vector:
    """One file of vectors: what goes in and what has to come out."""

    name: str
    request: BidRequest
    replies: tuple[Reply, ...]
    rules: auction.Rules
    expected: dict[str, Any]
    asked: dict[str, list[str]] = field(default_factory=dict)

    def shuffled(self, chance: random.Random) -> "Vector":
        """The same auction with replies, seatbids and bids in another order."""
        replies = list(self.replies)
        chance.shuffle(replies)
        return replace(self, replies=tuple(_shuffled(reply, chance) for reply in replies))

    def run(self) -> auction.Result:
        return auction.run(self.request, self.replies, self.rules, self.asked)

    def found(self) -> dict[str, Any]:
        """What comes out, in the form of `expected`."""
        return outcome(self.run(), self.expected.keys())


def files() -> Iterator[Path]:
    """The project's vectors, then those of every folder that XSP_AUCTION_VECTORS names."""
    more = os.environ.get("XSP_AUCTION_VECTORS", "")
    for folder in (FOLDER, *map(Path, filter(None, more.split(os.pathsep)))):
        yield from sorted(path for path in folder.glob("*.json") if path.name != "index.json")


def read(path: Path) -> Vector:
    """One vector from its file."""
    data = json.loads(path.read_text(encoding="utf-8"))
    return Vector(
        name=data["name"],
        request=codec.from_dict(BidRequest, data["request"]).message,
        replies=tuple(map(_reply, data["replies"])),
        rules=auction.Rules.from_mapping(data["rules"]),
        expected=data["expected"],
        asked={reply["bidder"]: reply["asked"] for reply in data["replies"] if "asked" in reply},
    )


def outcome(result: auction.Result, wanted: Collection[str] = ()) -> dict[str, Any]:
    """A result in the form of a vector's `expected`, with what only some vectors tell if wanted."""
    found = {
        "winners": [_winner(winner) for winner in result.winners],
        "fates": {key: str(fate) for key, fate in result.fates.items()},
        "loss_codes": dict(result.loss_codes),
        "seatnonbid": dict(result.seatnonbid),
        "nbr": result.nbr,
    }
    if result.pods:
        found["revenue_micros"] = dict(result.revenue_micros)
    if "basis" in wanted:
        found["basis"] = {winner.verdict.key: str(winner.basis) for winner in result.winners}
    if "rules" in wanted:
        found["rules"] = {verdict.key: verdict.rule_id for verdict in result.verdicts}
    return found


def _winner(winner: auction.Winner) -> dict[str, Any]:
    found = {
        "imp": winner.imp,
        "bidder": winner.bidder,
        "seat": winner.seat,
        "bid": winner.bid,
        "clearing_price": money.to_text(winner.clearing_price),
        "currency": winner.currency,
        "auction_price": money.to_text(winner.auction_price),
        "bid_currency": winner.bid_currency,
        "deal": winner.deal,
    }
    if winner.slot is not None:
        found["slot"] = winner.slot
    return found


def _reply(data: dict[str, Any]) -> Reply:
    response = data["response"]
    outcome = data.get("detail") if data["outcome"] == "error" else data["outcome"]
    return Reply(
        bidder=data["bidder"],
        outcome=Outcome(outcome or "error"),
        arrived_ms=data["arrived_ms"],
        response=None if response is None else codec.from_dict(BidResponse, response).message,
    )


def _shuffled(reply: Reply, chance: random.Random) -> Reply:
    if reply.response is None:
        return reply
    response = BidResponse()
    response.CopyFrom(reply.response)
    for repeated in (response.seatbid, *(seatbid.bid for seatbid in response.seatbid)):
        items = list(repeated)
        chance.shuffle(items)
        del repeated[:]
        repeated.extend(items)
    return replace(reply, response=response)


def conventions() -> dict[str, Any]:
    """The rules that all vectors follow, as index.json says them."""
    return json.loads((FOLDER / "index.json").read_text(encoding="utf-8"))["conventions"]
