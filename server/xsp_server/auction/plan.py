"""Who is asked for what: which bidder may bid on which imp, from plain data.

What the rules of the request itself allow (seats, deals, blocks) is judged when bids are there.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp_server.auction.terms import DEFAULT_CURRENCY, MediaType
from xsp_server.openrtb.matching import domain_in, domain_set
from xsp_server.values import value


class Channel(StrEnum):
    """Where an ad is shown."""

    SITE = "site"
    APP = "app"
    DOOH = "dooh"


class SkipReason(StrEnum):
    """Why a bidder is not asked, or not for an imp."""

    COUNTRY = "country"
    CURRENCY = "currency"
    CHANNEL = "channel"
    PUBLISHER = "publisher"
    INVENTORY = "inventory"
    MEDIA_TYPE = "media_type"
    NO_IMP = "no_imp"

    @property
    def nonbid(self) -> int:
        """Status code of the seat-non-bid extension: 200 blocked, 201 channel, 202 media type."""
        return _NONBID.get(self, 200)


_NONBID = {SkipReason.CHANNEL: 201, SkipReason.MEDIA_TYPE: 202}


@dataclass(frozen=True, slots=True)
class Offering:
    """What one bidder may be asked for. Every list that is empty allows all.

    Attributes:
        bidder: its name.
        media_types: what kinds of ads it has.
        channels: where its ads may be shown.
        countries: of the device, ISO 3166-1 alpha-3; a request that doesn't tell is not for it.
        blocked_countries: where it is never asked; a request that doesn't tell passes.
        currencies: in which it bids (ISO 4217); one of them has to be allowed by the request.
        publishers: ids of publishers (`site.publisher.id`, likewise app and DOOH).
        inventory: domains of sites, with their subdomains, and bundles of apps.
        restricts_nothing: whether every list is empty.
    """

    bidder: str
    media_types: frozenset[MediaType] = frozenset()
    channels: frozenset[Channel] = frozenset()
    countries: frozenset[str] = frozenset()
    blocked_countries: frozenset[str] = frozenset()
    currencies: frozenset[str] = frozenset()
    publishers: frozenset[str] = frozenset()
    inventory: frozenset[str] = frozenset()
    restricts_nothing: bool = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Looks once whether there is any restriction: most bidders have none."""
        lists = (
            *(self.media_types, self.channels, self.countries, self.blocked_countries),
            *(self.currencies, self.publishers, self.inventory),
        )
        object.__setattr__(self, "restricts_nothing", not any(lists))


@value
class SkippedImp:
    """An imp that a bidder is not asked for."""

    imp: str
    reason: SkipReason


@value
class Plan:
    """What one bidder is asked for.

    Attributes:
        bidder: its name.
        imps: ids of the imps, in the order of the request; empty: it is not asked.
        skipped: the others, and why.
        reason: why it is not asked at all; None: it is.
    """

    bidder: str
    imps: tuple[str, ...]
    skipped: tuple[SkippedImp, ...] = ()
    reason: SkipReason | None = None


def plan(request: BidRequest, offerings: Iterable[Offering]) -> tuple[Plan, ...]:
    """What each bidder is asked for, in the order of the offerings.

    Args:
        request: what is for sale.
        offerings: what each bidder may be asked for.
    """
    scene: _Scene | None = None
    every = tuple([imp.id for imp in request.imp])
    plans = []
    for offering in offerings:
        if offering.restricts_nothing and every:
            plans.append(Plan(offering.bidder, every))
            continue
        if scene is None:
            scene = _read_scene(request)
        plans.append(_plan_bidder(scene, offering))
    return tuple(plans)


def asked_for(request: BidRequest, planned: Plan) -> BidRequest:
    """The request with the imps that a bidder is asked for; itself if these are all.

    Args:
        request: what is for sale.
        planned: the bidder's plan.
    """
    if not planned.skipped:
        return request
    asked = BidRequest()
    asked.CopyFrom(request)
    wanted = set(planned.imps)
    kept = [imp for imp in request.imp if imp.id in wanted]
    del asked.imp[:]
    asked.imp.extend(kept)
    return asked


@value
class _Scene:
    """What offerings are compared with, read once."""

    channel: Channel | None
    country: str
    currencies: Sequence[str]
    publisher: str
    domain: str
    bundle: str
    imps: Sequence[tuple[str, Sequence[MediaType]]]


def _read_scene(request: BidRequest) -> _Scene:
    channel = request.WhichOneof("distributionchannel_oneof")
    place = getattr(request, channel) if channel else None
    return _Scene(
        channel=_CHANNELS[channel] if channel else None,
        country=request.device.geo.country,
        currencies=request.cur or (DEFAULT_CURRENCY,),
        publisher=place.publisher.id if place else "",
        domain=place.domain if place else "",
        bundle=request.app.bundle,
        imps=[(imp.id, _offered(imp)) for imp in request.imp],
    )


_CHANNELS = {str(channel): channel for channel in Channel}
_MEDIA_TYPES = tuple((kind.name.lower(), kind) for kind in MediaType)


def _offered(imp: BidRequest.Imp) -> list[MediaType]:
    return [kind for name, kind in _MEDIA_TYPES if imp.HasField(name)]  # type: ignore[arg-type]


def _plan_bidder(scene: _Scene, offering: Offering) -> Plan:
    for reason, rules_out in _REASONS:
        if rules_out(scene, offering):
            skipped = tuple(SkippedImp(imp, reason) for imp, _ in scene.imps)
            return Plan(offering.bidder, (), skipped, reason)
    wanted = offering.media_types
    imps = tuple(imp for imp, offered in scene.imps if not wanted or not wanted.isdisjoint(offered))
    skipped = tuple(
        SkippedImp(imp, SkipReason.MEDIA_TYPE) for imp, _ in scene.imps if imp not in imps
    )
    reason = SkipReason.MEDIA_TYPE if skipped else SkipReason.NO_IMP
    return Plan(offering.bidder, imps, skipped, None if imps else reason)


def _other_country(scene: _Scene, offering: Offering) -> bool:
    if scene.country in offering.blocked_countries:
        return True
    return bool(offering.countries) and scene.country not in offering.countries


def _other_currency(scene: _Scene, offering: Offering) -> bool:
    return bool(offering.currencies) and offering.currencies.isdisjoint(scene.currencies)


def _other_channel(scene: _Scene, offering: Offering) -> bool:
    return bool(offering.channels) and scene.channel not in offering.channels


def _other_publisher(scene: _Scene, offering: Offering) -> bool:
    return bool(offering.publishers) and scene.publisher not in offering.publishers


def _other_inventory(scene: _Scene, offering: Offering) -> bool:
    if not offering.inventory or scene.bundle in offering.inventory:
        return False
    return domain_in(scene.domain, domain_set(offering.inventory)) is None


_REASONS = (
    (SkipReason.COUNTRY, _other_country),
    (SkipReason.CURRENCY, _other_currency),
    (SkipReason.CHANNEL, _other_channel),
    (SkipReason.PUBLISHER, _other_publisher),
    (SkipReason.INVENTORY, _other_inventory),
)
"""What rules a bidder out for the whole request; the first that does is the reason."""
