"""How a simulated bidder decides: a pure function of its settings, its seed and the request.

It keeps the rules that a bidder is told by the request (currency, seats, blocked advertisers and
categories, deals, sizes, durations) but for floors: prices are drawn without a look at them, so
that some bids are refused, as in life.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.openrtb import money
from xsp_server.openrtb.reply import Outcome
from xsp_server.simulator import creatives, native
from xsp_server.simulator.draws import Draws
from xsp_server.simulator.settings import BidderSettings

_Maker: TypeAlias = Callable[[Any, str, Draws], BidResponse.Bid | None]
_MAKERS: Mapping[str, _Maker] = {
    "banner": creatives.banner,
    "video": creatives.video,
    "audio": creatives.audio,
    "native": native.native,
}
"""Who makes a creative for which member of an imp."""

Planned: TypeAlias = Literal[Outcome.BIDS, Outcome.NO_BID, Outcome.ERROR, Outcome.TIMEOUT]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a bidder will do about one request.

    Attributes:
        delay: seconds before it does so; infinite for TIMEOUT.
        outcome: which kind of answer. ERROR has no meaning of its own: each face fails its way.
        response: the answer, with its id; bids are in it only if the outcome is BIDS.
    """

    delay: float
    outcome: Planned
    response: BidResponse


class BidderModel:
    """One bidder. The same request gets the same plan in any order and in any process."""

    def __init__(self, settings: BidderSettings, seed: int = 0) -> None:
        """Takes the settings and what all chance follows from."""
        self.settings = settings
        self.seed = seed

    def plan(self, request: BidRequest) -> Plan:
        """Decides about one request."""
        draws = Draws(str(self.seed), self.settings.seat, request.id)
        outcome = self._outcome(draws.unit("outcome"))
        response = BidResponse(id=request.id)
        if outcome is Outcome.TIMEOUT:
            return Plan(math.inf, outcome, response)
        if outcome is Outcome.BIDS and not self._add_bids(response, request, draws):
            outcome = Outcome.NO_BID
        delay = self.settings.latency_ms.at(draws.unit("latency")) / 1000
        return Plan(delay, outcome, response)

    def _outcome(self, share: float) -> Planned:
        """The outcome in whose part of the range from 0 to 1 the share falls."""
        parts: tuple[tuple[Planned, float], ...] = (
            (Outcome.TIMEOUT, self.settings.timeout_rate),
            (Outcome.ERROR, self.settings.error_rate),
            (Outcome.NO_BID, self.settings.no_bid_rate),
        )
        for outcome, rate in parts:
            if share < rate:
                return outcome
            share -= rate
        return Outcome.BIDS

    def _add_bids(self, response: BidResponse, request: BidRequest, draws: Draws) -> bool:
        """Fills the response; False when there is nothing to bid."""
        bids = self._bids(request, draws)
        if bids:
            response.bidid = draws.name("bidid")
            response.cur = self.settings.currency
            response.seatbid.add(seat=self.settings.seat, bid=bids)
        return bool(bids)

    def _bids(self, request: BidRequest, draws: Draws) -> list[BidResponse.Bid]:
        advertisers = [name for name in self.settings.adomain if name not in request.badv]
        if not advertisers or not self._welcome(request):
            return []
        tries = (
            self._bid(imp, advertisers, draws.under(imp.id, number))
            for imp in request.imp
            for number in range(self.settings.bids_per_imp)
        )
        return [bid for bid in tries if bid is not None]

    def _welcome(self, request: BidRequest) -> bool:
        """Whether the request allows our currency, seat and categories."""
        seat, cat = self.settings.seat, set(self.settings.cat)
        return (
            (not request.cur or self.settings.currency in request.cur)
            and (not request.wseat or seat in request.wseat)
            and seat not in request.bseat
            and (not request.acat or cat.issubset(request.acat))
            and cat.isdisjoint(request.bcat)
        )

    def _bid(
        self, imp: BidRequest.Imp, advertisers: list[str], draws: Draws
    ) -> BidResponse.Bid | None:
        """One bid on one imp; None when nothing that we have fits."""
        advertiser = draws.pick(advertisers, "advertiser")
        deal = self._deal(imp.pmp, advertiser, draws)
        bid = _creative(imp, advertiser, draws)
        if bid is None or (deal is None and imp.pmp.private_auction):
            return None
        bid.id = draws.name("bid")
        bid.impid = imp.id
        bid.price = self._price(deal, draws)
        bid.cid = f"{advertiser}-campaign"
        bid.adomain.append(advertiser)
        bid.cat.extend(self.settings.cat)
        if deal is not None:
            bid.dealid = deal.id
        self._add_notices(bid)
        return bid

    def _deal(self, pmp: BidRequest.Pmp, advertiser: str, draws: Draws) -> BidRequest.Deal | None:
        """A deal to bid under, if the imp offers us one and we want it or must take it."""
        offered = [
            deal
            for deal in pmp.deals
            if (not deal.wseat or self.settings.seat in deal.wseat)
            and (not deal.wadomain or advertiser in deal.wadomain)
        ]
        wanted = pmp.private_auction or draws.chance(self.settings.deal_rate, "deal")
        return draws.pick(offered, "which deal") if offered and wanted else None

    def _price(self, deal: BidRequest.Deal | None, draws: Draws) -> float:
        """CPM in whole micros, one at least; under a deal no less than its floor."""
        micros = max(1, round(self.settings.price.at(draws.unit("price")) * money.MICROS))
        if deal is not None and (deal.bidfloorcur or "USD") == self.settings.currency:
            micros = max(micros, math.ceil(money.exact(deal.bidfloor) * money.MICROS))
        return money.from_micros(micros)

    def _add_notices(self, bid: BidResponse.Bid) -> None:
        if self.settings.notice_url is None:
            return
        base = str(self.settings.notice_url).rstrip("/")
        query = f"bid={bid.id}&price=${{AUCTION_PRICE}}"
        bid.nurl = f"{base}/win?{query}"
        bid.burl = f"{base}/billing?{query}"
        bid.lurl = f"{base}/loss?{query}&reason=${{AUCTION_LOSS}}"


def _creative(imp: BidRequest.Imp, advertiser: str, draws: Draws) -> BidResponse.Bid | None:
    """A creative in one of the forms that the imp is offered in; None when none fits."""
    made = [
        _MAKERS[field.name](spec, advertiser, draws)
        for field, spec in imp.ListFields()
        if field.name in _MAKERS
    ]
    fitting = [bid for bid in made if bid is not None]
    return draws.pick(fitting, "form") if fitting else None
