"""What a request and the rules say, read once: the terms that every bid is held against."""

import math
from collections.abc import Collection, Mapping, Sequence
from enum import IntEnum
from fractions import Fraction
from types import MappingProxyType
from typing import Any, TypeVar, cast

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp_server.auction.currency import ONE, Rates, find_rate
from xsp_server.auction.fates import FloorSource
from xsp_server.auction.rules import Overlap, Rules
from xsp_server.openrtb import money
from xsp_server.openrtb.matching import domain_set, language_set
from xsp_server.values import value

DEFAULT_CURRENCY = "USD"
DEFAULT_AUCTION_TYPE = 2
DEFAULT_TAXONOMY = 1
NOTHING: frozenset[Any] = frozenset()
ZERO = Fraction(0)


class MediaType(IntEnum):
    """AdCOM markup types, as `Bid.mtype` tells them."""

    BANNER = 1
    VIDEO = 2
    AUDIO = 3
    NATIVE = 4


class AuctionTerms:
    """The terms of one auction.

    Attributes:
        request: what is for sale.
        rules: the exchange's rules.
        imp_index: place of each imp in the request; of imps that share an id, the first counts.
        wseat, bseat: seats that may bid (empty: any), and that may not.
        badv: advertisers that may not bid, for `matching.domain_in`.
        bapp: apps that may not be advertised.
        acat, bcat: categories that may bid (empty: any), and that may not.
        cattax: their taxonomy.
        wlang, wlangb: languages of creatives, as ISO 639-1 codes and as BCP 47 ranges in lower
            case; empty: any.
        rates: for conversion.
        adjustments: by bidder, what of its price counts here.
        currency: of the auction: the first of `cur`, else USD.
        currencies: in which bids may be.
        auction_type: `at` of the request, else 2.
        deadline_ms: a reply after it is late; None: no deadline.
        asked: ids of the imps that each bidder was asked for; one that isn't in it, for all.
    """

    def __init__(
        self,
        request: BidRequest,
        rules: Rules,
        asked: Mapping[str, Collection[str]] = MappingProxyType({}),
    ) -> None:
        """Reads what is for the whole request; an imp is read when a bid first names it."""
        self.request = request
        self.rules = rules
        self.asked = asked
        self.rates = cast(Rates, rules.rates)  # Rules makes every amount a Fraction
        self.adjustments = cast(Mapping[str, Fraction], rules.bid_adjustments)
        self.currencies: Sequence[str] = tuple(request.cur) or (DEFAULT_CURRENCY,)
        self.currency = self.currencies[0]
        self.auction_type = request.at if request.HasField("at") else DEFAULT_AUCTION_TYPE
        self.deadline_ms = rules.deadline_ms
        if self.deadline_ms is None and request.tmax > 0:
            self.deadline_ms = request.tmax
        self.wseat, self.bseat = _set(request.wseat), _set(request.bseat)
        badv, wlang, wlangb = request.badv, request.wlang, request.wlangb
        self.badv = domain_set(badv) if badv else NOTHING
        self.bapp = _set(request.bapp)
        self.acat, self.bcat = _set(request.acat), _set(request.bcat)
        self.cattax = request.cattax if request.HasField("cattax") else DEFAULT_TAXONOMY
        self.wlang = language_set(wlang) if wlang else NOTHING
        self.wlangb = language_set(wlangb) if wlangb else NOTHING
        self.imp_index: dict[str, int] = {}
        for place, imp in enumerate(request.imp):
            self.imp_index.setdefault(imp.id, place)
        self._rates = {self.currency: ONE}
        self._imps: dict[str, ImpTerms] = {}

    def rate(self, currency: str) -> Fraction | None:
        """How much of the auction currency one unit of `currency` is; None: no way to convert."""
        rate = self._rates.get(currency)
        if rate is None:
            rate = find_rate(self.rates, currency, self.currency)
            if rate is not None:
                self._rates[currency] = rate
        return rate

    def imp(self, imp_id: str) -> "ImpTerms | None":
        """The terms of one imp; None where the request has no such imp."""
        terms = self._imps.get(imp_id)
        if terms is None:
            index = self.imp_index.get(imp_id)
            if index is None:
                return None
            terms = self._imps[imp_id] = ImpTerms(self, index)
        return terms


class ImpTerms:
    """The terms of one imp.

    Attributes:
        auction: the auction that it is in.
        imp: the imp itself.
        path: `imp[0]`.
        media: what it offers, by media type, in the order banner, video, audio, native.
        deals: by deal id; of deals that share an id, the first counts.
        private: whether bids have to name a deal.
        pod: the pod that it is in; None outside pods.
        floor: that of the imp itself, where nothing more special holds.
    """

    def __init__(self, auction: AuctionTerms, index: int) -> None:
        """Reads the imp at `index` of the request."""
        imp = auction.request.imp[index]
        self.auction = auction
        self.imp = imp
        self.id = imp.id
        self.path = f"imp[{index}]"
        self.media = _read_media(imp, self.path)
        self.pod = read_pod(imp)
        self.currency = imp.bidfloorcur or DEFAULT_CURRENCY
        self.private = False
        self.deals: dict[str, DealTerms] = {}
        if imp.HasField("pmp"):  # asked first: to read below what is absent makes an empty object
            self.private = imp.pmp.private_auction
            for place, deal in enumerate(imp.pmp.deals):
                if deal.id not in self.deals:
                    self.deals[deal.id] = DealTerms(deal, f"{self.path}.pmp.deals[{place}]")
        self.floor = self._convert(amount(imp.bidfloor), FloorSource.IMP, self.currency, self.path)
        self._floors: dict[tuple[DealTerms | None, MediaType, int | None], Floor] = {}

    def floor_for(
        self, deal: "DealTerms | None", media: "MediaTerms", seconds: int | None
    ) -> "Floor":
        """The floor of a bid: the deal's, else that of its video or audio, else the imp's.

        Args:
            deal: the deal that the bid names; None for an open bid.
            media: the imp's object of the bid's type.
            seconds: the bid's duration; None: unknown, or neither video nor audio.
        """
        if deal is None and media.by_duration is None:
            return self.floor
        key = (deal, media.type, seconds)
        floor = self._floors.get(key)
        if floor is None:
            floor = self._floors[key] = self._find_floor(deal, media, seconds)
        return floor

    def _find_floor(
        self, deal: "DealTerms | None", media: "MediaTerms", seconds: int | None
    ) -> "Floor":
        """A floor by duration holds for its durations; outside of them only the imp's does."""
        overlap = self.auction.rules.durfloors_overlap
        if deal is not None:
            if media.timed and deal.by_duration:
                found = deal.by_duration.at(seconds, overlap)
                return self._convert(*found, deal.currency, deal.path) if found else self.floor
            if deal.bidfloor is not None:
                return self._convert(deal.bidfloor, FloorSource.DEAL, deal.currency, deal.path)
        if media.by_duration:
            found = media.by_duration.at(seconds, overlap)
            if found:
                return self._convert(*found, self.currency, media.path)
        return self.floor

    def _convert(self, sent: Fraction, source: FloorSource, currency: str, path: str) -> "Floor":
        """A floor in the auction currency; one of 0 needs no rate."""
        of_deal, name = _FIELDS[source]
        rate = self.auction.rate(currency) if sent else ONE
        converted = None if rate is None else sent if rate is ONE else sent * rate
        return Floor(converted, source, f"{path}.{name}", of_deal)


@value
class Floor:
    """What the price of a bid has to reach.

    Attributes:
        amount: CPM in the auction currency; None where its currency can't be converted.
        source: which field told it.
        path: where that field is in the request.
        of_deal: whether a price under it is under the deal's floor.
    """

    amount: Fraction | None
    source: FloorSource
    path: str
    of_deal: bool


@value
class FloorsByDuration:
    """Floors of video and audio that depend on how long the ad is.

    Attributes:
        ranges: mindur, maxdur (seconds, inclusive; infinite where open) and CPM of `durfloors`.
        range_source: what a floor by `ranges` is called.
        per_second: `mincpmpersec`, which holds where there are no ranges.
        second_source: what a floor per second is called.
    """

    ranges: tuple[tuple[float, float, Fraction], ...]
    range_source: FloorSource
    per_second: Fraction
    second_source: FloorSource

    def at(self, seconds: int | None, overlap: Overlap) -> tuple[Fraction, FloorSource] | None:
        """The floor for a duration and where it comes from; None: none is told for it."""
        if seconds is None:
            return None
        if not self.ranges:
            return self.per_second * seconds, self.second_source
        floors = [cpm for least, most, cpm in self.ranges if least <= seconds <= most]
        if not floors:
            return None
        return (max if overlap is Overlap.MAX else min)(floors), self.range_source


class DealTerms:
    """The terms of one deal.

    Attributes:
        deal: the deal itself.
        path: `imp[0].pmp.deals[0]`.
        currency: of its floors; not inherited from the imp.
        guaranteed: whether it ranks above everything that is not.
        wseat: seats that may buy under it; empty: any.
        wadomain: advertisers that may buy under it, for `matching.domain_in`; empty: any.
        bidfloor: its floor, CPM in its currency; None where it is not written.
        by_duration: its floors by duration; None where it has none.
    """

    def __init__(self, deal: BidRequest.Deal, path: str) -> None:
        """Reads the deal."""
        self.deal = deal
        self.path = path
        self.currency = deal.bidfloorcur or DEFAULT_CURRENCY
        self.guaranteed = deal.guar == 1
        self.wseat = _set(deal.wseat)
        self.bidfloor = amount(deal.bidfloor) if deal.HasField("bidfloor") else None
        self.wadomain = domain_set(deal.wadomain) if deal.wadomain else NOTHING
        self.by_duration = _read_floors(
            deal, FloorSource.DEAL_DURATION, FloorSource.DEAL_PER_SECOND
        )


@value
class Lengths:
    """How long an ad may be, in seconds.

    Attributes:
        required: `rqddurs`; empty: `shortest` and `longest` hold.
        shortest: `minduration`.
        longest: `maxduration` and `maxextended`; infinite where there is no limit.
        assumed: of a bid that tells none: the longest allowed; None: unknown.
        pod: `poddur`; infinite where there is none.
    """

    required: frozenset[int]
    shortest: int
    longest: float
    assumed: int | None
    pod: float


@value
class MediaTerms:
    """What an imp says in its banner, video, audio or native.

    Attributes:
        type: which of them.
        path: `imp[0].video`.
        battr: creative attributes that are refused.
        api: API frameworks that are supported.
        protocols: VAST and DAAST versions that are supported; empty: any.
        fixed_sizes: width and height pairs of a banner.
        ratios: width ratio, height ratio and least width of the flexible formats of a banner.
        lengths: how long a video or audio ad may be; None for other types.
        by_duration: floors of video or audio; None where it has none.
        slotinpod: the place in the pod that the seller guarantees.
    """

    type: MediaType
    path: str
    battr: frozenset[int]
    api: frozenset[int]
    protocols: frozenset[int] = frozenset()
    fixed_sizes: frozenset[tuple[int, int]] = frozenset()
    ratios: tuple[tuple[int, int, int], ...] = ()
    lengths: Lengths | None = None
    by_duration: FloorsByDuration | None = None
    slotinpod: int = 0

    @property
    def timed(self) -> bool:
        """Whether its ads have a duration."""
        return self.lengths is not None


@value
class PodTerms:
    """The part of an imp in its pod.

    Attributes:
        id: `podid`.
        seconds: `poddur` of a dynamic imp, which several ads may fill; None: one place.
        ads: `maxseq` of a dynamic imp; None: any number.
        slotinpod: the place in the pod that the seller guarantees.
        poddedupe: what its ads may not share (AdCOM list "Pod Deduplication Settings").
    """

    id: str
    seconds: int | None
    ads: int | None
    slotinpod: int
    poddedupe: frozenset[int]


def read_pod(imp: BidRequest.Imp) -> PodTerms | None:
    """The pod of an imp, named by its video or its audio; None outside pods."""
    timed: BidRequest.Video | BidRequest.Audio
    if imp.HasField("video") and imp.video.podid:
        timed, poddedupe = imp.video, _set(imp.video.poddedupe)
    elif imp.HasField("audio") and imp.audio.podid:
        timed, poddedupe = imp.audio, NOTHING
    else:
        return None
    return PodTerms(
        id=timed.podid,
        seconds=timed.poddur if timed.HasField("poddur") else None,
        ads=timed.maxseq if timed.HasField("maxseq") else None,
        slotinpod=timed.slotinpod,
        poddedupe=poddedupe,
    )


def amount(price: float) -> Fraction:
    """A floor as it was written; one that is no number, or below 0, asks for nothing."""
    return money.exact(price) if 0 < price < math.inf else ZERO


T = TypeVar("T")


def _set(listed: Collection[T]) -> frozenset[T]:
    """A list of a message as a set; most lists are empty, and then nothing is made."""
    return frozenset(listed) if listed else NOTHING


_FIELDS = {source: (source.startswith("deal."), source.partition(".")[2]) for source in FloorSource}
"""Of each floor whether a deal has it, and the name of its field."""
_BANNER, _VIDEO, _AUDIO, _NATIVE = MediaType  # Python 3.11 takes 8 times as long for MediaType.X


def _read_media(imp: BidRequest.Imp, path: str) -> dict[MediaType, MediaTerms]:
    media: dict[MediaType, MediaTerms] = {}
    if imp.HasField("banner"):
        media[_BANNER] = _read_banner(imp.banner, f"{path}.banner")
    if imp.HasField("video"):
        media[_VIDEO] = _read_timed(imp.video, _VIDEO, f"{path}.video")
    if imp.HasField("audio"):
        media[_AUDIO] = _read_timed(imp.audio, _AUDIO, f"{path}.audio")
    if imp.HasField("native"):
        native = imp.native
        media[_NATIVE] = MediaTerms(_NATIVE, f"{path}.native", _set(native.battr), _set(native.api))
    return media


def _read_banner(banner: BidRequest.Banner, path: str) -> MediaTerms:
    fixed, ratios = set(), []
    for size in banner.format:
        w, h = size.w, size.h
        if w and h:
            fixed.add((w, h))
        if (wratio := size.wratio) and (hratio := size.hratio):
            ratios.append((wratio, hratio, size.wmin))
    if (w := banner.w) and (h := banner.h):
        fixed.add((w, h))
    return MediaTerms(
        _BANNER,
        path,
        _set(banner.battr),
        _set(banner.api),
        fixed_sizes=frozenset(fixed),
        ratios=tuple(ratios),
    )


def _read_timed(
    timed: BidRequest.Video | BidRequest.Audio, media_type: MediaType, path: str
) -> MediaTerms:
    return MediaTerms(
        media_type,
        path,
        _set(timed.battr),
        _set(timed.api),
        protocols=_set(timed.protocols),
        lengths=_read_lengths(timed),
        by_duration=_read_floors(timed, FloorSource.MEDIA_DURATION, FloorSource.MEDIA_PER_SECOND),
        slotinpod=timed.slotinpod,
    )


def _read_lengths(timed: BidRequest.Video | BidRequest.Audio) -> Lengths:
    required = _set(timed.rqddurs)
    longest = timed.maxduration if timed.HasField("maxduration") else None
    pod = timed.poddur if timed.HasField("poddur") else None
    unlimited = longest is None or timed.maxextended == -1
    return Lengths(
        required=required,
        shortest=timed.minduration,
        longest=math.inf if unlimited or longest is None else longest + timed.maxextended,
        assumed=max(required) if required else pod if longest is None else longest,
        pod=math.inf if pod is None else pod,
    )


def _read_floors(
    holder: BidRequest.Deal | BidRequest.Video | BidRequest.Audio,
    range_source: FloorSource,
    second_source: FloorSource,
) -> FloorsByDuration | None:
    """`durfloors`, else `mincpmpersec`; None without either."""
    if not holder.durfloors and not holder.HasField("mincpmpersec"):
        return None
    ranges = tuple(
        (
            span.mindur if span.HasField("mindur") else -math.inf,
            span.maxdur if span.HasField("maxdur") else math.inf,
            amount(span.bidfloor),
        )
        for span in holder.durfloors
    )
    return FloorsByDuration(ranges, range_source, amount(holder.mincpmpersec), second_source)
