"""One bid with every fact that rules compare: whose it is, what it is, what it is worth here."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.auction.currency import ONE
from xsp_server.auction.fates import RankClass
from xsp_server.auction.rules import DealPolicy
from xsp_server.auction.terms import (
    DEFAULT_CURRENCY,
    AuctionTerms,
    DealTerms,
    Floor,
    ImpTerms,
    MediaTerms,
    MediaType,
)
from xsp_server.openrtb import money
from xsp_server.openrtb.reply import Reply

FIXED_PRICE = 3
"""AdCOM auction type: the deal's floor is the agreed price."""

_VAST_ELEMENT = re.compile(r"<VAST[\s>/]")


@dataclass(slots=True, eq=False)
class Group:
    """A seatbid whose bids win together or not at all (`SeatBid.group` 1).

    Attributes:
        imps: the ids of all imps that any of its bids names.
        order: what ranks it among groups of the same total; the last goes first.
    """

    imps: frozenset[str]
    order: "TieOrder"


TieOrder = tuple[float, str, bool, str, str]
"""Arrival in ms, bidder, whether there is a seat, seat, bid id: the smaller goes first."""


@dataclass(slots=True, eq=False)
class Bid:
    """A bid of one reply. Facts that can't be worked out are None; the checks say why.

    Attributes:
        auction: the terms it is held against.
        response: what it came in.
        bidder: whose it is.
        seat: for whom; None where the seatbid names none.
        arrived_ms: when its reply came.
        seatbid_index: place of its seatbid in the reply.
        bid_index: place of the bid in its seatbid.
        group: with which others it has to win.
        bid: the message.
        id: its id; empty where it has none.
        markup: `adm`; empty where it has none.
        repeated_id: whether another bid of the reply has the same id.
        currency: of its price.
        rate: of `currency` to the auction's.
        factor: what of its price counts here.
        imp: what it is for; None where the request has no such imp.
        deal: the deal that it names; None for an open bid and for a deal that the imp doesn't have.
        media_type: what kind of ad it is; None where it can't be told.
        media: the imp's object of that type; None where it isn't offered.
        seconds: its duration, told or assumed; None: unknown, or neither video nor audio.
        price: as it was sent; None where it is absent or not above 0.
        net: price, converted and adjusted: CPM in the auction currency.
        floor: what `net` has to reach.
        auction_type: `at` that holds for it.
        rank_class: what ranks before its value.
        value: what ranks it: the agreed price of a fixed-price deal, else `net`.
    """

    auction: AuctionTerms
    response: BidResponse
    bidder: str
    seat: str | None
    arrived_ms: float
    seatbid_index: int
    bid_index: int
    group: Group | None
    bid: BidResponse.Bid
    id: str
    markup: str
    repeated_id: bool
    currency: str
    rate: Fraction | None
    factor: Fraction
    imp: ImpTerms | None
    deal: DealTerms | None
    media_type: MediaType | None
    media: MediaTerms | None
    seconds: int | None
    price: Fraction | None
    net: Fraction | None
    floor: Floor | None
    auction_type: int
    rank_class: RankClass
    value: Fraction | None

    @property
    def path(self) -> str:
        """Where it is in the bidder's answer."""
        return f"seatbid[{self.seatbid_index}].bid[{self.bid_index}]"

    def in_own_terms(self, amount: Fraction) -> Fraction:
        """An amount in the auction currency as its own currency and scale: rate and factor out."""
        if self.rate is None:
            raise ValueError(f"no rate for {self.currency}")
        if self.rate is ONE and self.factor is ONE:
            return amount
        return amount / (self.rate * self.factor)

    @property
    def tie_order(self) -> TieOrder:
        """What ranks it among bids of equal class and value; the smaller goes first."""
        return (self.arrived_ms, self.bidder, self.seat is not None, self.seat or "", self.id)


def read_bids(auction: AuctionTerms, reply: Reply) -> list[Bid]:
    """Every bid of a reply with its facts.

    Args:
        auction: the terms of the auction.
        reply: a bidder's answer; one without a response has no bids.
    """
    response = reply.response
    if response is None:
        return []
    shared = _SharedFacts(auction, reply, response)
    bids: list[Bid] = []
    for seatbid_index, seatbid in enumerate(response.seatbid):
        sent = seatbid.bid
        seat = seatbid.seat if seatbid.HasField("seat") else None
        group = shared.read_group(sent, seat) if seatbid.group and sent else None
        for bid_index, bid in enumerate(sent):
            bids.append(shared.read_bid(seat, group, seatbid_index, bid_index, bid))
    if len(bids) > 1:
        _mark_repeated_ids(bids)
    return bids


def _mark_repeated_ids(bids: Sequence[Bid]) -> None:
    ids = [bid.id for bid in bids]
    if len(set(ids)) < len(ids):
        counted = Counter(ids)
        for bid in bids:
            bid.repeated_id = counted[bid.id] > 1


class _SharedFacts:
    """What all bids of a reply have in common."""

    def __init__(self, auction: AuctionTerms, reply: Reply, response: BidResponse) -> None:
        self.auction = auction
        self.response = response
        self.bidder = reply.bidder
        self.arrived_ms = math.inf if reply.arrived_ms is None else reply.arrived_ms
        self.currency = response.cur or DEFAULT_CURRENCY
        self.rate = auction.rate(self.currency)
        self.adjustment = auction.adjustments.get(reply.bidder, ONE)
        self.adjusts_deals = auction.rules.adjust_deal_bids

    def read_group(self, bids: Sequence[BidResponse.Bid], seat: str | None) -> Group:
        """The group that the bids of a seatbid form."""
        first = min(bid.id for bid in bids)
        return Group(
            frozenset(bid.impid for bid in bids),
            (self.arrived_ms, self.bidder, seat is not None, seat or "", first),
        )

    def read_bid(
        self,
        seat: str | None,
        group: Group | None,
        seatbid_index: int,
        bid_index: int,
        bid: BidResponse.Bid,
    ) -> Bid:
        """One bid, in the order in which its facts follow from each other."""
        auction = self.auction
        impid, dealid, markup, sent = bid.impid, bid.dealid, bid.adm, bid.price
        imp = auction.imp(impid)
        deal = media_type = media = seconds = floor = None
        if imp is not None:
            deal = imp.deals.get(dealid) if dealid else None
            media_type = find_media_type(bid, imp, markup)
            media = imp.media.get(media_type) if media_type else None
            if media is not None:
                if media.lengths:
                    seconds = bid.dur if bid.HasField("dur") else media.lengths.assumed
                floor = imp.floor_for(deal, media, seconds)
        factor = self.adjustment
        if dealid and not self.adjusts_deals:
            factor = ONE
        price = money.exact(sent) if 0 < sent < math.inf else None
        net = _net(price, self.rate, factor)
        at, value, rank_class = auction.auction_type, net, _OPEN
        if deal is not None:
            at, value = _worth(auction, deal, net, floor)
            rank_class = _rank_class(auction, deal)
        return Bid(
            auction,
            self.response,
            self.bidder,
            seat,
            self.arrived_ms,
            seatbid_index,
            bid_index,
            group,
            bid,
            bid.id,
            markup,
            False,  # until all bids of the reply are read
            self.currency,
            self.rate,
            factor,
            imp,
            deal,
            media_type,
            media,
            seconds,
            price,
            net,
            floor,
            at,
            rank_class,
            value,
        )


def find_media_type(bid: BidResponse.Bid, imp: ImpTerms, markup: str) -> MediaType | None:
    """What kind of ad a bid is: as it tells, else as the imp or its markup leaves no choice.

    Returns:
        The type, offered or not; None for a value of `mtype` that is none.
    """
    if bid.HasField("mtype"):
        return _MEDIA_TYPES.get(bid.mtype)
    offered = imp.media
    if len(offered) == 1:
        return next(iter(offered))
    if bid.HasField("adm_native") or markup.lstrip().startswith("{"):
        return MediaType.NATIVE
    if _VAST_ELEMENT.search(markup):
        return MediaType.VIDEO if MediaType.VIDEO in offered else MediaType.AUDIO
    if markup:
        return MediaType.BANNER
    return next(iter(offered), None)


_MEDIA_TYPES = {int(media_type): media_type for media_type in MediaType}
_OPEN = RankClass.OPEN  # which Python 3.11 takes 8 times as long to find


def repriced(bid: Bid, price: Fraction) -> Bid:
    """The bid as it would be at another price, in its own currency."""
    net = _net(price, bid.rate, bid.factor)
    _, value = _worth(bid.auction, bid.deal, net, bid.floor)
    return replace(bid, price=price, net=net, value=value)


def best_first(bids: Sequence[Bid]) -> list[Bid]:
    """Eligible bids by class, value and tie order."""
    if len(bids) == 1:
        return list(bids)
    unit = math.lcm(*(worth(bid).denominator for bid in bids))  # whole numbers compare faster

    def rank(bid: Bid) -> tuple[int, int, TieOrder]:
        value = worth(bid)
        return -bid.rank_class, -value.numerator * (unit // value.denominator), bid.tie_order

    return sorted(bids, key=rank)


def worth(bid: Bid) -> Fraction:
    """The value of an eligible bid; it has one."""
    assert bid.value is not None  # noqa: S101 - the checks refuse a bid without price or rate
    return bid.value


def _net(price: Fraction | None, rate: Fraction | None, factor: Fraction) -> Fraction | None:
    """A price in the auction currency, adjusted."""
    if price is None or rate is None:
        return None
    if rate is not ONE:
        price *= rate
    return price if factor is ONE else price * factor


def _worth(
    auction: AuctionTerms, deal: DealTerms | None, net: Fraction | None, floor: Floor | None
) -> tuple[int, Fraction | None]:
    """The auction type that holds for a bid, and its value under it."""
    if deal is None or not deal.deal.HasField("at"):
        return auction.auction_type, net
    at = deal.deal.at
    if at == FIXED_PRICE and net is not None and floor and floor.of_deal and floor.amount:
        return at, floor.amount
    return at, net


def _rank_class(auction: AuctionTerms, deal: DealTerms) -> RankClass:
    if deal.guaranteed:
        return RankClass.GUARANTEED
    if auction.rules.deal_policy is DealPolicy.DEALS_FIRST:
        return RankClass.DEAL
    return _OPEN
