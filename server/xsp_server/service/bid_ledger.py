"""The bids of recent auctions, kept so that notices about them can still be sent."""

import marshal
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import islice
from typing import Any, Self

from xsp.bid.v1 import notice_pb2 as pb
from xsp.bid.v1.auction_options_pb2 import NoticeDelivery
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.auction import BidKey, BidVerdict, Result, key_of, macros
from xsp_server.auction.fates import Fate
from xsp_server.errors import XspError
from xsp_server.service.held import Held
from xsp_server.upstream.notices import NoticeKind
from xsp_server.values import value

LOSER_SECONDS = 60.0
"""How long bids that lost are kept at most."""
MAX_SAME_REQUEST = 100
"""Auctions of one OpenRTB request id that are looked through, the newest first."""

FIELDS: Sequence[tuple[NoticeKind, Any]] = (
    (NoticeKind.WIN, "nurl"),
    (NoticeKind.BILLING, "burl"),
    (NoticeKind.LOSS, "lurl"),
)
"""Which field of a bid has the URL; Any, as the stubs know the names as literals only."""


@dataclass(slots=True)  # not frozen: there is one for every bid, and frozen takes twice as long
class BidFacts:
    """What notices about one bid need.

    Attributes:
        bidder: whose it is.
        seat: for whom it was made; None: no seat.
        imp: id of the imp.
        bid: its id.
        path: where it is in the bidder's answer, which tells it from all others there.
        won: whether it won the auction.
        currency: of its price.
        price: as it was sent, CPM in `currency`; None: it has none.
        urls: its notice URLs by what they tell, macros not filled.
        values: of the macros in its URLs, as the auction decided.
        win_gets_markup: the reply to its win URL is the markup, so whoever fetches that tells the
            win.
        held: what is held for it until its billing; None: nothing.
    """

    bidder: str
    seat: str | None
    imp: str
    bid: str
    path: str
    won: bool
    currency: str
    price: Fraction | None
    urls: Mapping[NoticeKind, str] = field(repr=False)
    values: macros.Values = field(repr=False)
    win_gets_markup: bool
    held: Held | None = None


@value
class AuctionFacts:
    """What notices about one auction need.

    Attributes:
        auction_id: what the server calls it.
        openrtb_request_id: `BidRequest.id`.
        bids: all of them, refused ones too.
        headers: that go along with every notice, such as the session's traceparent.
    """

    auction_id: str
    openrtb_request_id: str
    bids: Sequence[BidFacts]
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


def facts_of(
    auction_id: str,
    result: Result,
    headers: Callable[[], Mapping[str, str]] = dict,
    held: Mapping[BidKey, Held] | None = None,
) -> AuctionFacts:
    """The facts of an auction's result. Of bids without a notice URL nothing is worked out.

    Args:
        auction_id: what the server calls the auction.
        result: what was decided.
        headers: makes what goes along with its notices; called if there is a URL to request.
        held: what is held for its winners; None: nothing.
    """
    bids = [_facts_of_bid(result, verdict) for verdict in result.verdicts]
    if held:
        for bid, verdict in zip(bids, result.verdicts, strict=True):
            bid.held = held.get(key_of(verdict.facts))
    told = headers() if any(bid.urls for bid in bids) else {}
    return AuctionFacts(auction_id, result.request_id, bids, told)


def _facts_of_bid(result: Result, verdict: BidVerdict) -> BidFacts:
    facts = verdict.facts
    message = facts.bid
    urls, values = _NO_URLS, _NO_VALUES
    if message.nurl or message.burl or message.lurl:
        urls = {kind: url for kind, name in FIELDS if (url := getattr(message, name))}
        if any("${" in url for url in urls.values()):
            values = macros.find_values(result, verdict, texts=urls.values())
    return BidFacts(
        verdict.bidder,
        verdict.seat,
        verdict.imp,
        verdict.bid,
        facts.path,
        verdict.fate is _WON,
        facts.currency,
        facts.price,
        urls,
        values,
        bool(urls) and win_gets_markup(message),
    )


_WON = Fate.WON  # which Python 3.11 takes 8 times as long to find
_NO_URLS: Mapping[NoticeKind, str] = {}
_NO_VALUES: macros.Values = {}


def win_gets_markup(bid: BidResponse.Bid) -> bool:
    """Whether the reply to the win URL is the markup: the bid brings none (section 4.2.3)."""
    return bool(bid.nurl) and not bid.adm and not bid.HasField("adm_native")


Action = tuple[pb.NoticeAction.ValueType, str]
"""What the server does with a notice URL, and the URL where the caller is to send it."""
_NAMES = {kind: kind.value for kind in NoticeKind}
"""As plain texts, the only ones that `marshal` takes."""


class _Auction:
    """One auction in the ledger.

    At rest its bids are one piece of bytes: as objects, those of an hour would make every full
    collection of Python's garbage stop the server for a quarter of a second.

    Attributes:
        id: what the server calls it.
        openrtb_request_id: `BidRequest.id`.
        delivery: who sends its notices.
        headers: that go along with them.
        put_at: when it came in, by the ledger's clock.
        weight: what its bids count for.
    """

    __slots__ = (
        *("id", "openrtb_request_id", "delivery", "headers", "put_at", "weight"),
        *("_bids", "_packed"),
    )

    def __init__(
        self, facts: AuctionFacts, delivery: NoticeDelivery.ValueType, put_at: float
    ) -> None:
        self.id = facts.auction_id
        self.openrtb_request_id = facts.openrtb_request_id
        self.delivery = delivery
        self.headers = facts.headers
        self.put_at = put_at
        self._packed = b""
        self._bids: list[LedgerBid] | None = [LedgerBid(self, bid) for bid in facts.bids]
        self.weight = sum([bid.weight for bid in self._bids])

    @property
    def bids(self) -> "list[LedgerBid]":
        """All that are kept of it; what is noted of one counts until `pack`, and after it."""
        if self._bids is None:
            self._bids = [LedgerBid.unpacked(self, row) for row in marshal.loads(self._packed)]  # noqa: S302 - our own bytes
            self._packed = b""
        return self._bids

    def pack(self) -> None:
        """Puts its bids to rest."""
        if self._bids is not None:
            self._packed = marshal.dumps([bid.packed() for bid in self._bids])
            self._bids = None

    def drop_losers(self) -> None:
        """Forgets the bids that didn't win."""
        self._bids = [bid for bid in self.bids if bid.facts.won]
        self.weight = sum([bid.weight for bid in self._bids])
        self.pack()


class LedgerBid:
    """One bid in the ledger.

    Attributes:
        auction: that it was made in.
        facts: what notices about it need.
        told: what was told of it, and what was done then.
    """

    __slots__ = ("auction", "facts", "told")

    def __init__(self, auction: _Auction, facts: BidFacts) -> None:
        """Nothing is told yet."""
        self.auction = auction
        self.facts = facts
        self.told: dict[NoticeKind, Action] = {}

    def packed(self) -> tuple[Any, ...]:
        """It in plain values, as `unpacked` takes it."""
        facts, price = self.facts, self.facts.price
        return (
            *(facts.bidder, facts.seat, facts.imp, facts.bid, facts.path, facts.won),
            facts.currency,
            None if price is None else price.as_integer_ratio(),
            {_NAMES[kind]: url for kind, url in facts.urls.items()} if facts.urls else None,
            dict(facts.values) if facts.values else None,
            facts.win_gets_markup,
            None if facts.held is None else facts.held.packed(),
            {_NAMES[kind]: action for kind, action in self.told.items()} if self.told else None,
        )

    @classmethod
    def unpacked(cls, auction: "_Auction", row: tuple[Any, ...]) -> Self:
        """A bid that was packed."""
        bidder, seat, imp, bid_id, path, won, currency, price, *rest = row
        urls, values, markup, held, told = rest
        facts = BidFacts(
            bidder=bidder,
            seat=seat,
            imp=imp,
            bid=bid_id,
            path=path,
            won=won,
            currency=currency,
            price=None if price is None else Fraction(*price),
            urls={NoticeKind(kind): url for kind, url in (urls or {}).items()},
            values=values or {},
            win_gets_markup=markup,
            held=None if held is None else Held.unpacked(held),
        )
        bid = cls(auction, facts)
        bid.told = {NoticeKind(kind): (did, url) for kind, (did, url) in (told or {}).items()}
        return bid

    @property
    def key(self) -> pb.BidKey:
        """All that names it."""
        return pb.BidKey(
            auction_id=self.auction.id,
            openrtb_request_id=self.auction.openrtb_request_id,
            imp_id=self.facts.imp,
            bidder=self.facts.bidder,
            seat=self.facts.seat or "",
            bid_id=self.facts.bid,
        )

    @property
    def weight(self) -> int:
        """How many bids it counts for: one for each started KiB of its URLs."""
        urls = self.facts.urls
        return 1 + sum(map(len, urls.values())) // 1024 if urls else 1

    def note(self, kind: NoticeKind, action: Action) -> None:
        """Notes what was told of it; after a loss nothing else can be, so the rest goes."""
        self.told[kind] = action
        if kind is NoticeKind.LOSS and self.facts.urls:
            self.facts = replace(self.facts, urls={}, values={})

    def fits(self, key: pb.BidKey) -> bool:
        """Whether all that a key says holds for it.

        Ids and seats may be told as the answer has them, where a bid id that two bidders share
        becomes `bidder/id` and a bid without a seat goes by its bidder's name.
        """
        facts = self.facts
        if key.bid_id not in (facts.bid, f"{facts.bidder}/{facts.bid}"):
            return False
        if key.HasField("seat"):
            seats = ("", facts.bidder) if facts.seat is None else (facts.seat,)
            if key.seat not in seats:
                return False
        return key.imp_id in ("", facts.imp) and key.bidder in ("", facts.bidder)


class BidLedger:
    """The bids of recent auctions, as many and for as long as it may keep them.

    Billing has to find the winners, minutes or hours later. So bids that lost go after a minute,
    and where room is needed they go before any winner; each the oldest first.
    """

    def __init__(self, bids: int, seconds: float, clock: Callable[[], float]) -> None:
        """Takes the limits and the clock (seconds, monotonic)."""
        self._most = bids
        self._seconds = seconds
        self._clock = clock
        self._held = 0
        self._auctions: OrderedDict[str, _Auction] = OrderedDict()
        self._by_request: defaultdict[str, list[_Auction]] = defaultdict(list)
        self._with_losers: deque[_Auction] = deque()
        self._awake: list[_Auction] = []

    def __len__(self) -> int:
        """What the bids in it count for."""
        return self._held

    def put(self, facts: AuctionFacts, delivery: NoticeDelivery.ValueType) -> Sequence[LedgerBid]:
        """Takes the bids of an auction; an auction that had its id goes.

        Returns:
            All of them, whether there was room to keep them or not.
        """
        now = self._clock()
        for each in self._awake:
            each.pack()
        if facts.auction_id in self._auctions:
            self._forget(facts.auction_id)
        auction = _Auction(facts, delivery, now)
        self._awake = [auction]
        self._held += auction.weight
        self._auctions[auction.id] = auction
        self._by_request[auction.openrtb_request_id].append(auction)
        self._with_losers.append(auction)
        bids = auction.bids
        self._make_room(now)
        return bids

    def find(self, key: pb.BidKey, path: str) -> LedgerBid:
        """The one bid that a key fits.

        Raises:
            BidNotFound: there is none, or none any more.
            NoticeAmbiguous: there are several.
        """
        self._make_room(self._clock())
        auctions: Iterable[_Auction]
        if key.auction_id:
            auctions = filter(None, (self._auctions.get(key.auction_id),))
        else:
            same = self._by_request.get(key.openrtb_request_id, [])
            auctions = islice(reversed(same), MAX_SAME_REQUEST)
        meant = [one for one in auctions if key.openrtb_request_id in ("", one.openrtb_request_id)]
        self._awake += meant
        found = [bid for auction in meant for bid in auction.bids if bid.fits(key)]
        if not found:
            raise BidNotFound(path, key)
        if len(found) > 1:
            raise NoticeAmbiguous(path, key, found)
        return found[0]

    def _make_room(self, now: float) -> None:
        while self._with_losers and (
            self._held > self._most or self._with_losers[0].put_at + LOSER_SECONDS <= now
        ):
            self._drop_losers(self._with_losers.popleft())
        while self._auctions:
            oldest = next(iter(self._auctions.values()))
            crowded = self._held > self._most and len(self._auctions) > 1
            if not crowded and oldest.put_at + self._seconds > now:
                break
            self._forget(oldest.id)

    def _drop_losers(self, auction: _Auction) -> None:
        if self._auctions.get(auction.id) is auction:
            self._held -= auction.weight
            auction.drop_losers()
            self._held += auction.weight

    def _forget(self, auction_id: str) -> None:
        auction = self._auctions.pop(auction_id)
        self._held -= auction.weight
        same = self._by_request[auction.openrtb_request_id]
        same.remove(auction)  # nearly always the first
        if not same:
            del self._by_request[auction.openrtb_request_id]


class BidNotFound(XspError):
    """A notice names an auction or a bid that the server doesn't know, or not any more."""

    status = "NOT_FOUND"
    reason = "BID_NOT_FOUND"

    def __init__(self, path: str, key: pb.BidKey) -> None:
        """Repeats the key."""
        super().__init__(
            f"{path}.bid: no bid {key.bid_id[:100]!r} in {_auction_named(key)}; expected one of an "
            "auction that this server ran, not too long ago",
            **_named(key),
        )


class NoticeAmbiguous(XspError):
    """A notice fits several bids."""

    status = "FAILED_PRECONDITION"
    reason = "NOTICE_AMBIGUOUS"

    def __init__(self, path: str, key: pb.BidKey, found: Sequence[LedgerBid]) -> None:
        """Says how many, and what tells them apart."""
        parts: dict[str, set[str | None]] = {
            "auction_id": {bid.auction.id for bid in found},
            "imp_id": {bid.facts.imp for bid in found},
            "bidder": {bid.facts.bidder for bid in found},
            "seat": {bid.facts.seat for bid in found},
        }
        apart = ", ".join(name for name, values in parts.items() if len(values) > 1)
        super().__init__(
            f"{path}.bid: fits {len(found)} bids in {_auction_named(key)}, which differ in "
            f"{apart or 'nothing that a key has'}; expected a key that fits one",
            **_named(key),
        )


def _auction_named(key: pb.BidKey) -> str:
    if key.auction_id:
        return f"auction {key.auction_id[:100]!r}"
    return f"the auctions of request {key.openrtb_request_id[:100]!r}"


def _named(key: pb.BidKey) -> dict[str, str]:
    """What a key says, for the metadata of an error."""
    return {name.name: str(value)[:100] for name, value in key.ListFields()}
