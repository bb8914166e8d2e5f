"""Companions of a chain (VAST 3.0 sections 2.4.1.6 and 2.4.1.7, 4.3 section 2.3.5.2).

All companions on offer are one concept. Those that want the same slot are in conflict, and the one
closest to the InLine is to be preferred. A Wrapper's companion without a resource only tracks: it
joins the companions that have its id, else those of its size, else all of the InLine.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from xsp.vast.v1 import resolution_pb2, vast_pb2
from xsp_server.vast.merge.joining import closest_first, join
from xsp_server.vast.merge.origins import Origins

Placed = tuple[int, vast_pb2.CompanionAds]
"""Companions of a Wrapper, with the Wrapper's position in the chain."""


@dataclass(slots=True)
class _Offer:
    """A companion of the merged ad.

    Attributes:
        position: of its document in the chain.
        source: the companion as that document has it.
        creative: which creative of the ad it is in.
        index: its place there.
        joined: companions without a resource that track it, outermost first, by position.
        preferred: False: one closer to the InLine wants the same slot.
    """

    position: int
    source: vast_pb2.Companion
    creative: int
    index: int
    joined: list[tuple[int, vast_pb2.Companion]] = field(default_factory=list)
    preferred: bool = True


def merge_companions(
    merged: vast_pb2.InLine,
    inline: vast_pb2.InLine,
    wrappers: Sequence[Placed],
    position: int,
    origins: Origins | None,
) -> None:
    """Adds the Wrappers' companions to the ad, and their trackers to its companions.

    Args:
        merged: to be changed.
        inline: the InLine as its document has it.
        wrappers: outermost first.
        position: of the InLine.
        origins: notes where all came from; None: nobody wants to know.
    """
    offers = _own_offers(inline, position)
    _add_offers(offers, merged, wrappers)
    for place, companion_ads in wrappers:
        for companion in companion_ads.companions:
            if not _has_resource(companion):
                for offer in _tracked_by(companion, place, offers, position):
                    offer.joined.append((place, companion))
    for offer in offers:
        if offer.joined:
            _join_trackers(_of(merged, offer), [other for _, other in offer.joined])
    if origins is not None:
        for offer in offers:
            _list(offer, origins)


def _own_offers(inline: vast_pb2.InLine, position: int) -> list[_Offer]:
    return [
        _Offer(position, companion, creative_index, index)
        for creative_index, creative in enumerate(inline.creatives)
        if creative.HasField("companion_ads")
        for index, companion in enumerate(creative.companion_ads.companions)
    ]


def _add_offers(offers: list[_Offer], merged: vast_pb2.InLine, wrappers: Sequence[Placed]) -> None:
    """Puts the Wrappers' companions behind the InLine's, those of the closest one first."""
    home = _last_with_companions(merged)
    for place, companion_ads in closest_first(wrappers):
        for companion in companion_ads.companions:
            if not _has_resource(companion):
                continue
            if home is None:
                home = len(merged.creatives)
                merged.creatives.add().companion_ads.SetInParent()
                if companion_ads.HasField("required"):
                    merged.creatives[home].companion_ads.required = companion_ads.required
            offered = merged.creatives[home].companion_ads.companions
            offer = _Offer(place, companion, home, len(offered))
            offered.append(companion)
            offer.preferred = not any(
                place < closer.position and _same_slot(companion, closer.source)
                for closer in offers
            )
            offers.append(offer)


def _last_with_companions(inline: vast_pb2.InLine) -> int | None:
    found = [
        index
        for index, creative in enumerate(inline.creatives)
        if creative.HasField("companion_ads")
    ]
    return found[-1] if found else None


def _tracked_by(
    companion: vast_pb2.Companion, place: int, offers: Sequence[_Offer], position: int
) -> list[_Offer]:
    """The companions below a Wrapper that its companion without a resource tracks."""
    below = [offer for offer in offers if offer.position > place]
    if companion.id:
        same = [offer for offer in below if offer.source.id == companion.id]
        if same:
            return same
    if companion.HasField("width") and companion.HasField("height"):
        same = [offer for offer in below if _same_size(companion, offer.source)]
        if same:
            return same
    return [offer for offer in below if offer.position == position] or below


def _same_slot(one: vast_pb2.Companion, other: vast_pb2.Companion) -> bool:
    """Whether two companions can't be shown side by side: slots that are named tell, else sizes."""
    if one.ad_slot_id and other.ad_slot_id:
        return one.ad_slot_id == other.ad_slot_id
    return _same_size(one, other)


def _same_size(one: vast_pb2.Companion, other: vast_pb2.Companion) -> bool:
    return (one.width, one.height) == (other.width, other.height)


def _has_resource(companion: vast_pb2.Companion) -> bool:
    return bool(
        companion.static_resources or companion.iframe_resources or companion.html_resources
    )


def _of(merged: vast_pb2.InLine, offer: _Offer) -> vast_pb2.Companion:
    return merged.creatives[offer.creative].companion_ads.companions[offer.index]


def _join_trackers(companion: vast_pb2.Companion, others: Sequence[vast_pb2.Companion]) -> None:
    join(companion.companion_click_trackings, [other.companion_click_trackings for other in others])
    join(companion.tracking_events, [other.tracking_events for other in others])


def _list(offer: _Offer, origins: Origins) -> None:
    origins.companion(offer.position, offer.creative, offer.index, preferred=offer.preferred)
    for place, companion in (*offer.joined, (offer.position, offer.source)):
        where = (offer.creative, offer.index)
        origins.events(
            place, resolution_pb2.TRACKING_KIND_COMPANION_EVENT, companion.tracking_events, *where
        )
        origins.identified(
            place,
            resolution_pb2.TRACKING_KIND_COMPANION_CLICK,
            companion.companion_click_trackings,
            *where,
        )
