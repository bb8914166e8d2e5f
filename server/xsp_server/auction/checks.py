"""The checks of a bid, in their order: the first that finds something decides its fate.

A list of what is allowed refuses a bid that doesn't tell (seat, advertiser, category; not
language); a list of what is blocked lets it pass. An empty list restricts nothing.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from xsp_server.auction.bids import Bid
from xsp_server.auction.fates import Evidence, Fate, Relation, Rule
from xsp_server.auction.terms import DEFAULT_TAXONOMY, ImpTerms, MediaTerms
from xsp_server.openrtb.matching import (
    NO_LANGUAGE,
    category_in,
    domain_in,
    language_range_in,
    primary_language_in,
)
from xsp_server.values import value


@value
class Refusal:
    """Why a bid may not compete."""

    rule: Rule
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that is asked of a bid.

    Attributes:
        rule: what a refusal by it is called.
        find: finds what is against a bid; None: nothing.
        matters: whether it can find anything against a bid on an imp; None: it always can.
        is_plain: whether `is_plain` knows the answer.
    """

    rule: Rule
    find: Callable[[Bid], Evidence | None]
    matters: Callable[[ImpTerms], object] | None = None
    is_plain: bool = False


class Checks:
    """The checks of one auction: those that matter to each imp's plain bids are picked once."""

    def __init__(self) -> None:
        """Nothing is picked yet."""
        self._not_plain: dict[ImpTerms | None, Sequence[Check]] = {}

    def first_refusal(self, bid: Bid, without: frozenset[str] = frozenset()) -> Refusal | None:
        """The first check that the bid fails; None: it is eligible.

        Args:
            bid: a bid of a reply in time to this request.
            without: ids of rules to pass over.
        """
        for check in self._pick(bid.imp) if is_plain(bid) else BID_CHECKS:
            evidence = check.find(bid)
            if evidence is not None and check.rule.id not in without:
                return Refusal(check.rule, evidence)
        return None

    def _pick(self, imp: ImpTerms | None) -> Sequence[Check]:
        """Those that can find anything against a plain bid on an imp."""
        checks = self._not_plain.get(imp)
        if checks is None:
            checks = self._not_plain[imp] = [
                check
                for check in BID_CHECKS
                if not check.is_plain
                and (imp is None or check.matters is None or check.matters(imp))
            ]
        return checks


def is_plain(bid: Bid) -> bool:
    """Whether none of the checks that are marked as plain has anything against a bid.

    Nearly all bids are, and one look takes a third of the time of ten checks. One that isn't goes
    through all of them, so that the first in their order decides.
    """
    floor, net = bid.floor, bid.net
    return (
        bid.media is not None  # and so there is an imp
        and net is not None  # and so price and rate
        and floor is not None
        and floor.amount is not None
        and (not floor.amount or net >= floor.amount)
        and bid.markup != ""
        and not bid.repeated_id
        and bid.currency in bid.auction.currencies
        and (bid.deal is not None or not bid.bid.dealid)
    )


def _duplicate_bid_id(bid: Bid) -> Evidence | None:
    if not bid.repeated_id:
        return None
    return Evidence(f"{bid.path}.id", bid.id, Relation.NOT_IN, "other bids of the reply", (bid.id,))


def _currency_not_allowed(bid: Bid) -> Evidence | None:
    allowed = bid.auction.currencies
    if bid.currency in allowed:
        return None
    return Evidence("cur", bid.currency, Relation.IN, "cur", tuple(allowed))


def _no_rate(bid: Bid) -> Evidence | None:
    if bid.rate is not None:
        return None
    return Evidence(f"rate {bid.currency} to {bid.auction.currency}", None, Relation.PRESENT)


def _unknown_imp(bid: Bid) -> Evidence | None:
    if bid.imp is not None:
        return None
    imps = tuple(bid.auction.imp_index)
    return Evidence(f"{bid.path}.impid", bid.bid.impid, Relation.IN, "imp[].id", imps)


def _imp_not_asked(bid: Bid) -> Evidence | None:
    asked = bid.auction.asked.get(bid.bidder)
    if asked is None or bid.bid.impid in asked:
        return None
    return Evidence(f"{bid.path}.impid", bid.bid.impid, Relation.IN, "imps asked for", tuple(asked))


def _invalid_price(bid: Bid) -> Evidence | None:
    if bid.price is not None:
        return None
    sent = bid.bid.price if bid.bid.HasField("price") else None
    return Evidence(f"{bid.path}.price", sent, Relation.ABOVE, "0", 0)


def _missing_markup(bid: Bid) -> Evidence | None:
    message = bid.bid
    if bid.markup or message.nurl or message.HasField("adm_native"):
        return None
    if message.adid and bid.auction.rules.allow_adid_only:
        return None
    return Evidence(f"{bid.path}.adm", None, Relation.PRESENT)


def _seat_blocked(bid: Bid) -> Evidence | None:
    auction, path = bid.auction, f"seatbid[{bid.seatbid_index}].seat"
    if auction.wseat and bid.seat not in auction.wseat:
        return Evidence(path, bid.seat, Relation.IN, "wseat", _listed(auction.wseat))
    if bid.seat in auction.bseat:
        return Evidence(path, bid.seat, Relation.NOT_IN, "bseat", _listed(auction.bseat))
    return None


def _bidder_not_allowed(bid: Bid) -> Evidence | None:
    """A list of what is allowed refuses a bid that does not tell; an open bid has no deal."""
    lists = bid.auction.rules.allow.get(bid.bidder)
    if lists is None:
        return None
    against = f"rules.allow.{bid.bidder}"
    seats, deals, adomain = lists.get("seats"), lists.get("deals"), lists.get("adomain")
    if seats and bid.seat not in seats:
        path = f"seatbid[{bid.seatbid_index}].seat"
        return Evidence(path, bid.seat, Relation.IN, f"{against}.seats", _listed(seats))
    if deals and bid.bid.dealid and bid.bid.dealid not in deals:
        path = f"{bid.path}.dealid"
        return Evidence(path, bid.bid.dealid, Relation.IN, f"{against}.deals", _listed(deals))
    if adomain:
        return _advertiser_not_in(bid, adomain, f"{against}.adomain")
    return None


def _advertiser_not_in(bid: Bid, allowed: frozenset[str], against: str) -> Evidence | None:
    told = tuple(bid.bid.adomain)
    if told and all(domain_in(domain, allowed) is not None for domain in told):
        return None
    return Evidence(f"{bid.path}.adomain", told or None, Relation.IN, against, _listed(allowed))


def _unknown_deal(bid: Bid) -> Evidence | None:
    if bid.imp is None or bid.deal or not bid.bid.dealid:
        return None
    deals, against = tuple(bid.imp.deals), f"{bid.imp.path}.pmp.deals[].id"
    return Evidence(f"{bid.path}.dealid", bid.bid.dealid, Relation.IN, against, deals)


def _deal_seat(bid: Bid) -> Evidence | None:
    deal = bid.deal
    if deal is None or not deal.wseat or bid.seat in deal.wseat:
        return None
    path = f"seatbid[{bid.seatbid_index}].seat"
    return Evidence(path, bid.seat, Relation.IN, f"{deal.path}.wseat", _listed(deal.wseat))


def _deal_advertiser(bid: Bid) -> Evidence | None:
    deal = bid.deal
    if deal is None or not deal.wadomain:
        return None
    strangers = tuple(d for d in bid.bid.adomain if domain_in(d, deal.wadomain) is None)
    if bid.bid.adomain and not strangers:
        return None
    against, allowed = f"{deal.path}.wadomain", _listed(deal.wadomain)
    return Evidence(f"{bid.path}.adomain", strangers or None, Relation.IN, against, allowed)


def _private_auction(bid: Bid) -> Evidence | None:
    if bid.imp is None or not bid.imp.private or bid.bid.dealid:
        return None
    deals, against = tuple(bid.imp.deals), f"{bid.imp.path}.pmp.deals[].id"
    return Evidence(f"{bid.path}.dealid", None, Relation.IN, against, deals)


def _media_type(bid: Bid) -> Evidence | None:
    if bid.media is not None or bid.imp is None:
        return None
    told = bid.bid.mtype if bid.bid.HasField("mtype") else None
    found = told if bid.media_type is None else bid.media_type.value
    offered = tuple(int(media_type) for media_type in bid.imp.media)
    return Evidence(f"{bid.path}.mtype", found, Relation.IN, bid.imp.path, offered)


def _missing_adomain(bid: Bid) -> Evidence | None:
    if not bid.auction.rules.require_adomain or bid.bid.adomain:
        return None
    return Evidence(f"{bid.path}.adomain", None, Relation.PRESENT)


def _blocked_advertiser(bid: Bid) -> Evidence | None:
    badv = bid.auction.badv
    for domain in bid.bid.adomain:
        blocked = domain_in(domain, badv)
        if blocked is not None:
            return Evidence(f"{bid.path}.adomain", domain, Relation.NOT_IN, "badv", (blocked,))
    return None


def _blocked_category(bid: Bid) -> Evidence | None:
    auction, message = bid.auction, bid.bid
    if not message.cat and not auction.acat:  # nothing to compare, in whatever taxonomy
        return None
    taxonomy = message.cattax if message.HasField("cattax") else DEFAULT_TAXONOMY
    if taxonomy != auction.cattax:
        return _other_taxonomy(bid, taxonomy)
    for category in message.cat if auction.bcat else ():
        blocked = category_in(category, auction.bcat, taxonomy)
        if blocked is not None:
            return Evidence(f"{bid.path}.cat", category, Relation.NOT_IN, "bcat", (blocked,))
    if auction.acat:
        strangers = [c for c in message.cat if category_in(c, auction.acat, taxonomy) is None]
        if strangers or not message.cat:
            found = tuple(strangers) or None
            return Evidence(f"{bid.path}.cat", found, Relation.IN, "acat", _listed(auction.acat))
    return None


def _other_taxonomy(bid: Bid, taxonomy: int) -> Evidence | None:
    """Categories of another taxonomy can't be compared: not found blocked, nor found allowed."""
    if not bid.auction.acat:
        return None
    return Evidence(f"{bid.path}.cattax", taxonomy, Relation.EQUAL, "cattax", bid.auction.cattax)


def _blocked_app(bid: Bid) -> Evidence | None:
    bundle = bid.bid.bundle
    if not bundle or bundle not in bid.auction.bapp:
        return None
    return Evidence(f"{bid.path}.bundle", bundle, Relation.NOT_IN, "bapp", (bundle,))


def _blocked_attribute(bid: Bid) -> Evidence | None:
    media = bid.media
    if media is None or not media.battr or media.battr.isdisjoint(bid.bid.attr):
        return None
    found, blocked = tuple(bid.bid.attr), tuple(sorted(media.battr.intersection(bid.bid.attr)))
    return Evidence(f"{bid.path}.attr", found, Relation.NOT_IN, f"{media.path}.battr", blocked)


def _language(bid: Bid) -> Evidence | None:
    auction = bid.auction
    name = "langb" if bid.bid.langb else "language"
    tag = bid.bid.langb or bid.bid.language
    if not tag or tag.lower() == NO_LANGUAGE:
        return None
    path = f"{bid.path}.{name}"
    if auction.wlang and primary_language_in(tag, auction.wlang) is None:
        return Evidence(path, tag, Relation.IN, "wlang", _listed(auction.wlang))
    if auction.wlangb and language_range_in(tag, auction.wlangb) is None:
        return Evidence(path, tag, Relation.IN, "wlangb", _listed(auction.wlangb))
    return None


_INSECURE = ("http://", "http%3a%2f%2f")
_NAMES_NOT_ADDRESSES = re.compile(
    # No part can run past the start of another match, so the time is linear in the markup.
    r"""
    (?: xmlns (?: :[\w.-]+ )? | schemaLocation ) \s*=\s* \\*(?: "[^"]*" | '[^']*' )
    | <!DOCTYPE [^<>\[]* (?: \[ [^\[\]]* \] \s* )? >
    """,
    re.IGNORECASE | re.VERBOSE,
)
_VAST_NAMESPACE = 'xmlns="http://www.iab.com/vast"'
_NAMES_BEGIN = ("xmlns", "schemalocation", "<!doctype")
"""How a match begins, in lower case."""


def _not_secure(bid: Bid) -> Evidence | None:
    if bid.imp is None or not bid.imp.imp.secure:
        return None
    message = bid.bid
    name, text = "adm", bid.markup
    if not text and message.HasField("adm_native"):
        text = message.adm_native.SerializeToString().decode("latin-1")
    if text:
        insecure = _insecure_part(text)
    else:
        name, text = "nurl", message.nurl
        insecure = text if text and not text.lower().startswith("https://") else None
    if insecure is None:
        return None
    return Evidence(f"{bid.path}.{name}", insecure, Relation.EQUAL, f"{bid.imp.path}.secure", 1)


def _insecure_part(markup: str) -> str | None:
    """The start of the first plain HTTP address that markup would load; None: there is none."""
    folded = markup.lower()
    if _INSECURE[0] not in folded and _INSECURE[1] not in folded:
        return None
    if _VAST_NAMESPACE in folded and markup.isascii():  # in nearly all VAST, at a sixth of the time
        rest = folded.replace(_VAST_NAMESPACE, "")
        if not any(mark in rest for mark in (*_INSECURE, *_NAMES_BEGIN)):
            return None
    names = _names(markup, folded)
    rest = _without(names, folded) if markup.isascii() else _without(names, markup).lower()
    places = [place for mark in _INSECURE if (place := rest.find(mark)) >= 0]
    return _without(names, markup)[min(places) : min(places) + 80] if places else None


def _names(markup: str, folded: str) -> list[tuple[int, int]]:
    """From where to where `_NAMES_NOT_ADDRESSES` matches.

    To try the pattern only where one of its first words stands takes a tenth of the time that a
    search takes, which tries it at every character.

    Args:
        markup: as it came.
        folded: the same in lower case.
    """
    if not markup.isascii():  # other letters than these fold to them, or fold to several
        return [match.span() for match in _NAMES_NOT_ADDRESSES.finditer(markup)]
    names, end = [], 0
    for start in sorted(place for word in _NAMES_BEGIN for place in _places(folded, word)):
        match = _NAMES_NOT_ADDRESSES.match(markup, start) if start >= end else None
        if match is not None:
            end = match.end()
            names.append((start, end))
    return names


def _without(names: Sequence[tuple[int, int]], text: str) -> str:
    """Text with the parts cut out that are named by where they start and end."""
    starts = (0, *(end for _, end in names))
    ends = (*(start for start, _ in names), len(text))
    return "".join(text[start:end] for start, end in zip(starts, ends, strict=True))


def _places(text: str, word: str) -> Iterator[int]:
    place = text.find(word)
    while place >= 0:
        yield place
        place = text.find(word, place + len(word))


def _size(bid: Bid) -> Evidence | None:
    media, message = bid.media, bid.bid
    if media is None or not (media.fixed_sizes or media.ratios):
        return None
    size, ratio = (message.w, message.h), (message.wratio, message.hratio)
    tells_size, tells_ratio = all(size), all(ratio)
    if not tells_size and not tells_ratio:
        return None
    if tells_size and size in media.fixed_sizes:
        return None
    pairs = [pair for pair, told in ((size, tells_size), (ratio, tells_ratio)) if told]
    for wratio, hratio, wmin in media.ratios:
        wide_enough = not message.w or message.w >= wmin
        if wide_enough and any(w * hratio == h * wratio for w, h in pairs):
            return None
    name, found = ("w x h", size) if tells_size else ("wratio:hratio", ratio)
    offered = [f"{w}x{h}" for w, h in sorted(media.fixed_sizes)]
    offered += [f"{wratio}:{hratio} from {wmin}" for wratio, hratio, wmin in media.ratios]
    return Evidence(f"{bid.path}.{name}", found, Relation.IN, media.path, tuple(offered))


def _duration(bid: Bid) -> Evidence | None:
    lengths = bid.media.lengths if bid.media else None
    if bid.media is None or lengths is None or bid.seconds is None:
        return None
    path, media, seconds = f"{bid.path}.dur", bid.media.path, bid.seconds
    if bid.bid.HasField("dur"):
        if lengths.required:
            if seconds not in lengths.required:
                required = tuple(sorted(lengths.required))
                return Evidence(path, seconds, Relation.IN, f"{media}.rqddurs", required)
        elif seconds < lengths.shortest:
            against = f"{media}.minduration"
            return Evidence(path, seconds, Relation.AT_LEAST, against, lengths.shortest)
        elif seconds > lengths.longest:
            against = f"{media}.maxduration"
            return Evidence(path, seconds, Relation.AT_MOST, against, lengths.longest)
    if seconds > lengths.pod:
        return Evidence(path, seconds, Relation.AT_MOST, f"{media}.poddur", lengths.pod)
    return None


def _protocol(bid: Bid) -> Evidence | None:
    media = bid.media
    if media is None or not media.protocols or not bid.bid.HasField("protocol"):
        return None
    protocol = bid.bid.protocol
    if protocol in media.protocols:
        return None
    supported = tuple(sorted(media.protocols))
    path = f"{bid.path}.protocol"
    return Evidence(path, protocol, Relation.IN, f"{media.path}.protocols", supported)


def _api(bid: Bid) -> Evidence | None:
    media, message = bid.media, bid.bid
    if media is None:
        return None
    if message.apis:
        name, needed = "apis", tuple(message.apis)
    elif message.HasField("api"):
        name, needed = "api", (message.api,)
    else:
        return None
    if media.api.issuperset(needed):
        return None
    supported = tuple(sorted(media.api))
    return Evidence(f"{bid.path}.{name}", needed, Relation.IN, f"{media.path}.api", supported)


_SLOTS_THAT_COVER = {1: (1, 2), -1: (-1, 2), 2: (1, -1, 2)}
"""AdCOM slot positions (1 first, -1 last, 2 either): demanded by a bid, and guaranteed by an imp
that can meet it."""


def _slot_not_offered(bid: Bid) -> Evidence | None:
    if bid.imp is None or bid.imp.pod is None or bid.media is None:
        return None
    demanded = bid.bid.slotinpod
    covering = _SLOTS_THAT_COVER.get(demanded)
    if covering is None or bid.media.slotinpod in covering:
        return None
    path, against = f"{bid.path}.slotinpod", f"{bid.media.path}.slotinpod"
    return Evidence(path, demanded, Relation.IN, against, (bid.media.slotinpod,))


def _no_floor_rate(bid: Bid) -> Evidence | None:
    if bid.floor is None or bid.floor.amount is not None:
        return None
    return Evidence(f"rate of {bid.floor.path}", None, Relation.PRESENT)


def _below_floor(bid: Bid) -> Evidence | None:
    if bid.floor is None or bid.floor.of_deal:
        return None
    return _under(bid)


def _below_deal_floor(bid: Bid) -> Evidence | None:
    if bid.floor is None or not bid.floor.of_deal:
        return None
    return _under(bid)


def _under(bid: Bid) -> Evidence | None:
    floor = bid.floor
    if floor is None or not floor.amount or bid.net is None or bid.net >= floor.amount:
        return None
    return Evidence("adjusted_price", bid.net, Relation.AT_LEAST, floor.path, floor.amount)


def _listed(names: frozenset[str]) -> tuple[str, ...]:
    return tuple(sorted(names))


def _rule(fate: Fate, loss_code: int, nonbid: int | None, name: str = "") -> Rule:
    return Rule(f"bid.{name or fate}", fate, loss_code, nonbid)


def _never(_imp: ImpTerms) -> bool:
    return False


def _any_media(trait: Callable[[MediaTerms], object]) -> Callable[[ImpTerms], bool]:
    def matters(imp: ImpTerms) -> bool:
        for media in imp.media.values():  # noqa: SIM110 - any() takes three times as long
            if trait(media):
                return True
        return False

    return matters


BID_CHECKS: Sequence[Check] = (
    Check(_rule(Fate.DUPLICATE_BID_ID, 3, 302), _duplicate_bid_id, is_plain=True),
    Check(_rule(Fate.CURRENCY_NOT_ALLOWED, 3, 300), _currency_not_allowed, is_plain=True),
    Check(_rule(Fate.NO_RATE, 1, 300), _no_rate, is_plain=True),
    Check(_rule(Fate.UNKNOWN_IMP, 3, None), _unknown_imp, _never),
    Check(_rule(Fate.IMP_NOT_ASKED, 3, 300), _imp_not_asked, lambda imp: imp.auction.asked),
    Check(_rule(Fate.INVALID_PRICE, 9, 300), _invalid_price, is_plain=True),
    Check(_rule(Fate.MISSING_MARKUP, 7, 350), _missing_markup, is_plain=True),
    Check(
        _rule(Fate.SEAT_BLOCKED, 104, 300),
        _seat_blocked,
        lambda imp: imp.auction.wseat or imp.auction.bseat,
    ),
    Check(
        _rule(Fate.BIDDER_NOT_ALLOWED, 505, 300),
        _bidder_not_allowed,
        lambda imp: imp.auction.rules.allow,
    ),
    Check(_rule(Fate.UNKNOWN_DEAL, 4, 300), _unknown_deal, is_plain=True),
    Check(_rule(Fate.DEAL_SEAT, 104, 300), _deal_seat, lambda imp: imp.deals),
    Check(_rule(Fate.DEAL_ADVERTISER, 213, 350), _deal_advertiser, lambda imp: imp.deals),
    Check(_rule(Fate.PRIVATE_AUCTION, 4, 300), _private_auction, lambda imp: imp.private),
    Check(_rule(Fate.MEDIA_TYPE, 204, 353), _media_type, is_plain=True),
    Check(
        _rule(Fate.MISSING_ADOMAIN, 6, 350),
        _missing_adomain,
        lambda imp: imp.auction.rules.require_adomain,
    ),
    Check(
        _rule(Fate.BLOCKED_ADVERTISER, 205, 356), _blocked_advertiser, lambda imp: imp.auction.badv
    ),
    Check(
        _rule(Fate.BLOCKED_CATEGORY, 209, 357),
        _blocked_category,
        lambda imp: imp.auction.bcat or imp.auction.acat,
    ),
    Check(_rule(Fate.BLOCKED_APP, 206, 350), _blocked_app, lambda imp: imp.auction.bapp),
    Check(
        _rule(Fate.BLOCKED_ATTRIBUTE, 210, 350),
        _blocked_attribute,
        _any_media(lambda media: media.battr),
    ),
    Check(
        _rule(Fate.LANGUAGE, 208, 350),
        _language,
        lambda imp: imp.auction.wlang or imp.auction.wlangb,
    ),
    Check(_rule(Fate.NOT_SECURE, 207, 352), _not_secure, lambda imp: imp.imp.secure),
    Check(
        _rule(Fate.SIZE, 203, 351),
        _size,
        _any_media(lambda media: media.fixed_sizes or media.ratios),
    ),
    Check(_rule(Fate.DURATION, 200, 350), _duration, _any_media(lambda media: media.timed)),
    Check(_rule(Fate.PROTOCOL, 204, 353), _protocol, _any_media(lambda media: media.protocols)),
    Check(_rule(Fate.API, 204, 353), _api),
    Check(_rule(Fate.SLOT_NOT_OFFERED, 200, 350), _slot_not_offered, lambda imp: imp.pod),
    Check(_rule(Fate.NO_RATE, 1, 300, "no_floor_rate"), _no_floor_rate, is_plain=True),
    Check(_rule(Fate.BELOW_FLOOR, 100, 301), _below_floor, is_plain=True),
    Check(
        _rule(Fate.BELOW_DEAL_FLOOR, 101, 304),
        _below_deal_floor,
        lambda imp: imp.deals,
        is_plain=True,
    ),
)
"""In the order that counts."""
