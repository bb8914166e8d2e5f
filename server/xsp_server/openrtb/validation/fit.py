"""How a bid response has to fit the request that it answers.

The request tells what may be bid: its currencies, seats, blocks, media, sizes, durations, deals
and floors. Each check here is one of those rules, judged on its own: one bid may break several.
A list of what is allowed refuses a bid that doesn't tell (seat, advertiser, category; not
language); a list of what is blocked lets it pass; an empty list restricts nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import inf
from typing import Final

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.openrtb.matching import (
    NO_LANGUAGE,
    category_in,
    domain_in,
    domain_set,
    language_range_in,
    primary_language_in,
)
from xsp_server.openrtb.money import exact, to_text
from xsp_server.openrtb.validation.asked import (
    DEFAULT_CURRENCY,
    DEFAULT_TAXONOMY,
    Asked,
    Case,
    OnImp,
    Timed,
    duration,
    some,
)
from xsp_server.openrtb.validation.creative import check_creative
from xsp_server.openrtb.validation.findings import ROOT, Findings, Place, shown
from xsp_server.openrtb.validation.result import Rule, define


def check_fit(response: BidResponse, request: BidRequest, findings: Findings) -> None:
    """Reports where a response does not fit a request."""
    asked = Asked(request)
    # An id that is missing, here or there, is another rule's business.
    if request.id and response.id and response.id != request.id:
        findings.report(_ID, ROOT, shown(response.id), expected=f"{shown(request.id)}, as asked")
    currency = response.cur or DEFAULT_CURRENCY
    if currency not in asked.currencies and any(seatbid.bid for seatbid in response.seatbid):
        expected = f"one of {some(asked.currencies)}"
        findings.report(_CURRENCY, ROOT, shown(currency), expected=expected)
    for i, seatbid in enumerate(response.seatbid):
        place = (ROOT, "seatbid", i)
        _check_seat(seatbid, asked, place, findings)
        for j, bid in enumerate(seatbid.bid):
            case = Case(asked, seatbid.seat, currency, bid, (place, "bid", j), findings)
            _check_bid(case)


def _check_bid(case: Case) -> None:
    for check in _CHECKS_OF_REQUEST:
        check(case)
    imp = case.asked.imps.get(case.bid.impid)
    if imp is not None:
        offered = OnImp(**vars(case), imp=imp)
        for check_imp in _CHECKS_OF_IMP:
            check_imp(offered)


_ID: Final = define("bidresponse.id.request", "id", "the request's id", "4.2.1")
_CURRENCY: Final = define(
    "bidresponse.cur.accepted", "cur", "a currency of the request", "3.2.1, 4.2.1"
)
_SEAT: Final = define("seatbid.seat.accepted", "seat", "a seat that may bid", "3.2.1")
_ADVERTISER: Final = define(
    "bid.adomain.blocked", "adomain", "a domain that badv doesn't block", "3.2.1"
)
_BLOCKED_CATEGORY: Final = define(
    "bid.cat.blocked", "cat", "a category that bcat doesn't block", "3.2.1"
)
_ALLOWED_CATEGORY: Final = define("bid.cat.allowed", "cat", "only categories of acat", "3.2.1")
_APP: Final = define("bid.bundle.blocked", "bundle", "an app that bapp doesn't block", "3.2.1")
_LANGUAGE: Final = define(
    "bid.language.allowed", "language", "a language of wlang or wlangb", "3.2.1"
)
_IMP: Final = define("bid.impid.known", "impid", "the id of an imp of the request", "4.2.3")
_DEAL: Final = define("bid.dealid.known", "dealid", "the id of a deal of the imp", "4.2.3")
_DEAL_SEAT: Final = define("bid.dealid.seat", "dealid", "a deal that the seat may use", "3.2.12")
_DEAL_ADVERTISER: Final = define(
    "bid.adomain.deal", "adomain", "only advertisers of the deal's wadomain", "3.2.12"
)
_PRIVATE_AUCTION: Final = define(
    "bid.dealid.private-auction", "dealid", "a deal: the imp is for deals only", "3.2.11"
)
_FLOOR: Final = define("bid.price.floor", "price", "at least the floor", "3.2.4, 3.2.7, 3.2.35")
_DEAL_FLOOR: Final = define("bid.price.deal-floor", "price", "at least the deal's floor", "3.2.12")
_MEDIA_TYPE: Final = define(
    "bid.mtype.offered", "mtype", "a type of media that the imp offers", "3.2.4, 4.2.3"
)


def _check_seat(
    seatbid: BidResponse.SeatBid, asked: Asked, place: Place, findings: Findings
) -> None:
    seat = seatbid.seat
    if asked.wseat and seat not in asked.wseat:
        expected = f"one of wseat: {some(asked.wseat)}"
        findings.report(_SEAT, place, shown(seat or None), expected=expected)
    elif seat in asked.bseat:
        findings.report(_SEAT, place, shown(seat), expected="a seat that bseat doesn't block")


def _check_advertisers(case: Case) -> None:
    if case.asked.badv:
        for index, domain in enumerate(case.bid.adomain):
            blocked = domain_in(domain, case.asked.badv)
            if blocked is not None:
                expected = f"a domain outside {shown(blocked)}, which badv blocks"
                case.report(_ADVERTISER, shown(domain), expected=expected, index=index)


def _check_categories(case: Case) -> None:
    """Other taxonomies than the request's can't be compared: bcat passes them, acat doesn't."""
    bid, asked = case.bid, case.asked
    taxonomy = bid.cattax if bid.HasField("cattax") else DEFAULT_TAXONOMY
    comparable = taxonomy == asked.taxonomy
    if asked.bcat and comparable:
        for index, category in enumerate(bid.cat):
            blocked = category_in(category, asked.bcat, taxonomy)
            if blocked is not None:
                expected = f"a category outside {shown(blocked)}, which bcat blocks"
                case.report(_BLOCKED_CATEGORY, shown(category), expected=expected, index=index)
    if asked.acat and not comparable:
        expected = f"categories of taxonomy {asked.taxonomy}, as acat has"
        case.report(_ALLOWED_CATEGORY, f"taxonomy {taxonomy}", expected=expected)
    elif asked.acat and not bid.cat:
        case.report(_ALLOWED_CATEGORY, "nothing")
    elif asked.acat:
        for index, category in enumerate(bid.cat):
            if category_in(category, asked.acat, taxonomy) is None:
                case.report(_ALLOWED_CATEGORY, shown(category), index=index)


def _check_app(case: Case) -> None:
    if case.bid.bundle and case.bid.bundle in case.asked.request.bapp:
        case.report(_APP, shown(case.bid.bundle))


def _check_language(case: Case) -> None:
    field = "langb" if case.bid.langb else "language"
    tag: str = getattr(case.bid, field)
    if not tag or tag.lower() == NO_LANGUAGE:
        return
    wlang, wlangb = case.asked.wlang, case.asked.wlangb
    if wlang and primary_language_in(tag, wlang) is None:
        expected = f"one of wlang: {some(wlang)}"
        case.report(_LANGUAGE, shown(tag), expected=expected, field=field)
    elif wlangb and language_range_in(tag, wlangb) is None:
        expected = f"one of wlangb: {some(wlangb)}"
        case.report(_LANGUAGE, shown(tag), expected=expected, field=field)


def _check_imp(case: Case) -> None:
    if case.bid.impid and case.bid.impid not in case.asked.imps:
        case.report(_IMP, shown(case.bid.impid))


_CHECKS_OF_REQUEST: Final[tuple[Callable[[Case], None], ...]] = (
    _check_imp,
    _check_advertisers,
    _check_categories,
    _check_app,
    _check_language,
)


def _check_deal(case: OnImp) -> None:
    bid, deal = case.bid, case.deal
    if deal is None:
        if bid.dealid:
            case.report(_DEAL, shown(bid.dealid))
        elif case.imp.pmp.private_auction:
            case.report(_PRIVATE_AUCTION, "nothing")
        return
    if deal.wseat and case.seat not in deal.wseat:
        expected = f"a deal for seat {shown(case.seat)}; this one is for {some(deal.wseat)}"
        case.report(_DEAL_SEAT, shown(bid.dealid), expected=expected)
    if deal.wadomain:
        listed = domain_set(deal.wadomain)
        if not bid.adomain:
            case.report(_DEAL_ADVERTISER, "nothing")
        for index, domain in enumerate(bid.adomain):
            if domain_in(domain, listed) is None:
                expected = f"one of the deal's wadomain: {some(listed)}"
                case.report(_DEAL_ADVERTISER, shown(domain), expected=expected, index=index)


def _check_media_type(case: OnImp) -> None:
    if case.offered and case.media not in case.offered:
        expected = f"one of {', '.join(case.offered)}"
        found = shown(case.bid.mtype) if case.bid.HasField("mtype") else "markup of"
        case.report(_MEDIA_TYPE, f"{found} ({case.media})", expected=expected)


def _check_floor(case: OnImp) -> None:
    if not 0 < case.bid.price < inf:
        return  # another rule's business
    floor = _floor(case)
    if floor.currency == case.currency and exact(case.bid.price) < floor.amount:
        expected = f"at least {to_text(floor.amount)} {floor.currency}"
        case.report(floor.rule, shown(case.bid.price), expected=expected)


_CHECKS_OF_IMP: Final[tuple[Callable[[OnImp], None], ...]] = (
    _check_deal,
    _check_media_type,
    _check_floor,
    check_creative,
)


@dataclass(frozen=True, slots=True)
class _Floor:
    """What a price has to reach: an amount (CPM) in a currency, and the rule that asks for it."""

    amount: Fraction
    currency: str
    rule: Rule


def _floor(case: OnImp) -> _Floor:
    """The deal's floor, else that of the video or audio, else the imp's.

    Floors by duration hold for the durations that they name; others fall to the imp's floor, under
    a deal, too. Where ranges overlap the greatest counts.
    """
    imp, deal = case.imp, case.deal
    timed = case.timed
    seconds = None if timed is None else duration(case.bid, timed)
    currency = imp.bidfloorcur or DEFAULT_CURRENCY
    floor_of_imp = _Floor(_amount(imp.bidfloor), currency, _FLOOR)
    if deal is not None:
        deal_currency = deal.bidfloorcur or DEFAULT_CURRENCY
        if timed is not None and _has_floor_by_duration(deal):
            amount = _floor_at(deal, seconds)
            if amount is None:
                return floor_of_imp
            return _Floor(amount, deal_currency, _DEAL_FLOOR)
        if deal.HasField("bidfloor"):
            return _Floor(_amount(deal.bidfloor), deal_currency, _DEAL_FLOOR)
    if timed is not None and _has_floor_by_duration(timed):
        amount = _floor_at(timed, seconds)
        if amount is not None:
            return _Floor(amount, currency, _FLOOR)
    return floor_of_imp


def _has_floor_by_duration(priced: BidRequest.Deal | Timed) -> bool:
    return bool(priced.durfloors) or priced.HasField("mincpmpersec")


def _floor_at(priced: BidRequest.Deal | Timed, seconds: int | None) -> Fraction | None:
    """The floor of an ad of some length, if one is told for it."""
    if seconds is None:
        return None
    if not priced.durfloors:
        return _amount(priced.mincpmpersec) * seconds
    amounts = [
        _amount(span.bidfloor)
        for span in priced.durfloors
        if span.mindur <= seconds and (seconds <= span.maxdur or not span.HasField("maxdur"))
    ]
    return max(amounts, default=None)


def _amount(price: float) -> Fraction:
    return exact(price) if 0 < price < inf else Fraction(0)
