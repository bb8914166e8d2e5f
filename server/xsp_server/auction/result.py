"""What an auction came to: every bid's verdict, the winners and their prices, the codes."""

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from fractions import Fraction

from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.auction.bids import Bid
from xsp_server.auction.contest import Contest, Settlement
from xsp_server.auction.fates import Evidence, Fate, FloorSource, PriceBasis, RankClass
from xsp_server.auction.rules import Rules
from xsp_server.auction.terms import AuctionTerms, MediaType
from xsp_server.openrtb import money
from xsp_server.values import value


@value
class Winner:
    """A bid that won.

    Attributes:
        imp: id of the imp.
        bidder: whose bid it is.
        seat: for whom it was made; None where the bid named none.
        bid: id of the bid.
        deal: id of its deal; None for an open bid.
        slot: place of the ad within its imp, from 1; None outside pods.
        clearing_price: what the imp earns: CPM in the auction currency, after adjustment, exact.
        currency: the auction's.
        auction_price: the same in the bid's own currency and before adjustment, exact: the value of
            `${AUCTION_PRICE}`.
        bid_currency: the bid's.
        basis: what made the price.
        rival: the bid that set a second price, as `bidder/bid id`; None where none did.
        message: the bid as it was sent.
        verdict: its verdict.
    """

    imp: str
    bidder: str
    seat: str | None
    bid: str
    deal: str | None
    slot: int | None
    clearing_price: Fraction
    currency: str
    auction_price: Fraction
    bid_currency: str
    basis: PriceBasis
    rival: str | None
    message: BidResponse.Bid
    verdict: "BidVerdict"


@value
class BidVerdict:
    """What became of one bid, and the facts that decided it. A fact is None where it has none.

    Attributes:
        bidder: whose bid it is.
        seat: for whom it was made; None where the bid named none.
        bid: id of the bid.
        imp: id of the imp that it names, known or not.
        fate: what became of it.
        rule_id: the rule that decided, as `bid.below_floor`.
        loss_code: AdCOM Loss Reason Code, 0 for a winner.
        nonbid: status code of the seat-non-bid extension; None: it has no entry of its own.
        evidence: what a check found against it; None for a bid that competed. What ranked a bid
            that competed is told by `explain.comparison`.
        facts: all that was worked out about it: its price as sent, rate, factor, net, floor and
            its source, class, value, duration, media type.
    """

    bidder: str
    seat: str | None
    bid: str
    imp: str
    fate: Fate
    rule_id: str
    loss_code: int
    nonbid: int | None
    evidence: Evidence | None
    facts: Bid = field(repr=False, compare=False)

    @property
    def key(self) -> str:
        """`bidder/bid id`."""
        return f"{self.bidder}/{self.bid}"

    @property
    def message(self) -> BidResponse.Bid:
        """The bid as it was sent."""
        return self.facts.bid

    @property
    def deal(self) -> str | None:
        """Id of the deal that it names."""
        return self.facts.bid.dealid or None

    @property
    def media_type(self) -> MediaType | None:
        """Media type as told or as found in the markup."""
        return self.facts.media_type

    @property
    def seconds(self) -> int | None:
        """Duration of a video or audio ad, told or assumed."""
        return self.facts.seconds

    @property
    def seconds_assumed(self) -> bool:
        """Whether `seconds` is the longest that the imp allows, as the bid told none."""
        return self.facts.seconds is not None and not self.facts.bid.HasField("dur")

    @property
    def price(self) -> Fraction | None:
        """Price as it was sent, in `bid_currency`."""
        return self.facts.price

    @property
    def bid_currency(self) -> str:
        """Currency of `price`."""
        return self.facts.currency

    @property
    def rate(self) -> Fraction | None:
        """Auction currency for one unit of `bid_currency`; None: no way to convert."""
        return self.facts.rate

    @property
    def factor(self) -> Fraction:
        """What of its price counts here."""
        return self.facts.factor

    @property
    def net(self) -> Fraction | None:
        """Price after rate and factor: CPM in the auction currency."""
        return self.facts.net

    @property
    def floor(self) -> Fraction | None:
        """What `net` has to reach: CPM in the auction currency; None: not known, or no rate."""
        return self.facts.floor.amount if self.facts.floor else None

    @property
    def floor_source(self) -> FloorSource | None:
        """Which field told the floor."""
        return self.facts.floor.source if self.facts.floor else None

    @property
    def floor_path(self) -> str:
        """Where that field is in the request; empty: there is no floor."""
        return self.facts.floor.path if self.facts.floor else ""

    @property
    def rank_class(self) -> RankClass:
        """What ranks before its value."""
        return self.facts.rank_class

    @property
    def value(self) -> Fraction | None:
        """What ranks it: the agreed price of a fixed-price deal, else `net`."""
        return self.facts.value


class Standing(StrEnum):
    """What a whole reply was."""

    BIDS = "bids"
    NO_BID = "no_bid"
    LATE = "late"
    WRONG_REQUEST_ID = "wrong_request_id"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    INVALID_RESPONSE = "invalid_response"
    ERROR = "error"
    CANCELLED = "cancelled"


@value
class BidderVerdict:
    """What one bidder's reply was.

    Attributes:
        bidder: its name.
        standing: what its reply was.
        rule_id: the rule that decided, as `reply.late`.
        nonbid: status code of the seat-non-bid extension for the bidder as a whole, which holds for
            each imp; None where its bids were judged.
        nbr: why it made no bid, as it told; None where it told nothing.
        arrived_ms: when its reply came; None: nothing came.
        bids: how many bids it sent.
        detail: what went wrong, in English; empty: nothing.
    """

    bidder: str
    standing: Standing
    rule_id: str
    nonbid: int | None
    nbr: int | None
    arrived_ms: float | None
    bids: int
    detail: str


@value
class PodVerdict:
    """How a pod was filled.

    Attributes:
        id: `podid`.
        imps: ids of its imps, in the order of the request.
        revenue: sum of the clearing prices: CPM in the auction currency, exact.
        ads: how many ads it holds.
        seconds: how long they are together.
        exact: whether no filling is better; False: the search was cut off by `pod_search_limit`.
        gap: what the filling might lack to the best, at most: CPM in the auction currency, in the
            greatest class that was not searched to the end; 0 when exact.
        conflicts: pairs of its bids that may not be in one filling for what they share.
    """

    id: str
    imps: tuple[str, ...]
    revenue: Fraction
    ads: int
    seconds: int
    exact: bool
    gap: Fraction
    conflicts: int


@value
class Result:
    """What an auction came to.

    The order of replies, seatbids and bids makes no difference to it, but for the order of
    `bidders` and `verdicts`, which is that of the replies.

    Attributes:
        request_id: `BidRequest.id`.
        currency: the auction's.
        winners: in the order of `request.imp`, then slot.
        bidders: one verdict for every reply.
        verdicts: one for every bid of every reply.
        pods: one for every pod of the request, in the order of their first imp.
        nbr: `BidResponse.nbr` when nothing was won; None when something was.
        rules: the rules that held.
    """

    request_id: str
    currency: str
    winners: tuple[Winner, ...]
    bidders: tuple[BidderVerdict, ...]
    verdicts: tuple[BidVerdict, ...]
    pods: tuple[PodVerdict, ...]
    nbr: int | None
    rules: Rules
    _contest: Contest = field(repr=False, compare=False)
    _settlement: Settlement = field(repr=False, compare=False)

    @property
    def fates(self) -> Mapping[str, Fate]:
        """By `bidder/bid id`; bids of one reply that share an id share a key."""
        return {verdict.key: verdict.fate for verdict in self.verdicts}

    @property
    def loss_codes(self) -> Mapping[str, int]:
        """AdCOM Loss Reason Code by `bidder/bid id`; 0: won."""
        return {verdict.key: verdict.loss_code for verdict in self.verdicts}

    @property
    def seatnonbid(self) -> Mapping[str, int]:
        """Status codes of the seat-non-bid extension.

        By `bidder` for one that gave no usable answer, by `bidder/bid id` for a refused bid. Bids
        that only lost are not in it.
        """
        codes = {b.bidder: b.nonbid for b in self.bidders if b.nonbid is not None}
        codes |= {v.key: v.nonbid for v in self.verdicts if v.nonbid is not None}
        return codes

    @property
    def revenue_micros(self) -> Mapping[str, int]:
        """By `podid`, the sum of the clearing prices in micros of a CPM."""
        return {pod.id: money.to_micros(pod.revenue) for pod in self.pods}

    @property
    def auction(self) -> AuctionTerms:
        """The terms that bids were held against."""
        return self._contest.auction
