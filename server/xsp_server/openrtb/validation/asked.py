"""A request, and one bid before it: what the checks of a response look at."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, TypeAlias

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.openrtb.matching import domain_set, language_set
from xsp_server.openrtb.validation.findings import NO_INDEX, Findings, Place
from xsp_server.openrtb.validation.result import Rule

Timed: TypeAlias = BidRequest.Video | BidRequest.Audio

DEFAULT_CURRENCY: Final = "USD"
DEFAULT_TAXONOMY: Final = 1
_MEDIA: Final = ("banner", "video", "audio", "native")
"""What an imp can offer, in the order of Bid.mtype from 1."""
_TIMED_MEDIA: Final = ("video", "audio")
_VAST: Final = re.compile(r"<VAST[\s>/]")
_NAMED: Final = 5
"""Items of a list that a violation names."""


class Asked:
    """A request as bids are held against it.

    Attributes:
        request: the request itself.
        currencies: in which bids may be.
        wseat: seats that may bid; empty: any.
        bseat: seats that may not bid.
        imps: by id; of those that share one, the first.
        taxonomy: of `bcat` and `acat`.
    """

    def __init__(self, request: BidRequest) -> None:
        self.request = request
        self.currencies = frozenset(request.cur) or frozenset({DEFAULT_CURRENCY})
        self.wseat = frozenset(request.wseat)
        self.bseat = frozenset(request.bseat)
        self.imps = {imp.id: imp for imp in reversed(request.imp)}
        self.taxonomy = request.cattax if request.HasField("cattax") else DEFAULT_TAXONOMY

    @cached_property
    def badv(self) -> frozenset[str]:
        """Advertisers that may not bid, for `domain_in`."""
        return domain_set(self.request.badv)

    @cached_property
    def bcat(self) -> frozenset[str]:
        """Categories that may not bid."""
        return frozenset(self.request.bcat)

    @cached_property
    def acat(self) -> frozenset[str]:
        """The only categories that may bid; empty: any."""
        return frozenset(self.request.acat)

    @cached_property
    def wlang(self) -> frozenset[str]:
        """The only languages of creatives by their codes, for `primary_language_in`."""
        return language_set(self.request.wlang)

    @cached_property
    def wlangb(self) -> frozenset[str]:
        """The only languages of creatives as ranges, for `language_range_in`."""
        return language_set(self.request.wlangb)


@dataclass
class Case:
    """One bid before the request.

    Attributes:
        asked: the request.
        seat: of the bid; empty if not told.
        currency: of the response.
        bid: the bid itself.
        place: where it stands in the response.
        findings: what is wrong goes there.
    """

    asked: Asked
    seat: str
    currency: str
    bid: BidResponse.Bid
    place: Place
    findings: Findings

    def report(
        self,
        rule: Rule,
        found: str,
        *,
        expected: str = "",
        index: int = NO_INDEX,
        field: str | None = None,
    ) -> None:
        """Reports a rule that the bid breaks."""
        self.findings.report(rule, self.place, found, expected=expected, index=index, field=field)


@dataclass
class OnImp(Case):
    """One bid before the imp that it is for.

    Attributes:
        imp: that imp.
    """

    imp: BidRequest.Imp

    @cached_property
    def deal(self) -> BidRequest.Deal | None:
        """The imp's deal that the bid names."""
        if not self.bid.dealid:
            return None
        return next((d for d in self.imp.pmp.deals if d.id == self.bid.dealid), None)

    @cached_property
    def media(self) -> str:
        """The bid's type of media: told, the only one there is, or seen in the markup."""
        bid, offered = self.bid, self.offered
        if bid.HasField("mtype"):
            return _MEDIA[bid.mtype - 1] if 1 <= bid.mtype <= len(_MEDIA) else "unknown"
        if len(offered) == 1:
            return offered[0]
        if _VAST.search(bid.adm):
            return "video" if "video" in offered else "audio"
        if bid.HasField("adm_native") or bid.adm.lstrip().startswith("{"):
            return "native"
        return "banner" if bid.adm or not offered else offered[0]

    @cached_property
    def offered(self) -> list[str]:
        """What the imp offers."""
        present = {descriptor.name for descriptor, _ in self.imp.ListFields()}
        return [name for name in _MEDIA if name in present]

    @cached_property
    def offer(self) -> Any:
        """The imp's object for the bid's type of media; it is offered."""
        return getattr(self.imp, self.media)

    @property
    def timed(self) -> Timed | None:
        """The imp's video or audio, if the bid is for that."""
        return self.offer if self.media in _TIMED_MEDIA and self.media in self.offered else None


def duration(bid: BidResponse.Bid, timed: Timed) -> int | None:
    """How long an ad is, in seconds: told, or the longest that is allowed."""
    if bid.HasField("dur"):
        return bid.dur
    if timed.rqddurs:
        return max(timed.rqddurs)
    if timed.HasField("maxduration"):
        return timed.maxduration
    return timed.poddur if timed.HasField("poddur") else None


def some(values: Collection[object]) -> str:
    """The first few of a list, for people. Sets have no order of their own: theirs is by text."""
    texts = [str(value)[:40] for value in values]
    if isinstance(values, frozenset):
        texts.sort()
    return ", ".join([*texts[:_NAMED], "…"] if len(texts) > _NAMED else texts)
