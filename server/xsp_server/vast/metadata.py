"""What buyers and ad servers ask about an ad, read out of its message and typed."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Final, NamedTuple
from xml.etree.ElementTree import Element

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from xsp.vast.v1 import metadata_pb2, vast_lists_pb2, vast_pb2
from xsp_server.vast.faults import VastUnreadable
from xsp_server.vast.limits import Limits
from xsp_server.vast.parse.source import well_formed

Content = vast_pb2.InLine | vast_pb2.Wrapper

_TIME: Final = re.compile(r"\s*(\d{1,4}):([0-5]?\d):([0-5]?\d)(?:\.(\d{1,9}))?\s*", re.ASCII)
_PERCENT: Final = re.compile(r"\s*(\d{1,3}(?:\.\d{1,9})?)\s*%\s*", re.ASCII)
_PRICE: Final = re.compile(r"\s*\+?(?=[\d.]*\d)(\d{0,12})(?:\.(\d{0,6}))?\s*", re.ASCII)
_LIMITS: Final = Limits()
_MAX_SECONDS: Final = 315_576_000_000
"""The most that a `Duration` holds."""


class _Hop(NamedTuple):
    """A document of the chain: what it holds, and its place in `Resolution.hops`."""

    content: Content
    place: int | None


def metadata_of(
    ad: vast_pb2.Ad,
    *,
    wrappers: Sequence[vast_pb2.Wrapper] = (),
    hops: Sequence[int] | None = None,
    expire_time: Timestamp | None = None,
) -> metadata_pb2.AdMetadata:
    """The facts of one ad.

    Args:
        ad: the ad; a Wrapper gives the facts that it has.
        wrappers: those that led to the ad, the first one followed first: the first price of them
            counts, and the last click-through where the ad has none.
        hops: indexes in `Resolution.hops` of the documents of `wrappers` and then of the ad; None
            when nothing was resolved.
        expire_time: when the chain's documents expire, if they do.

    Returns:
        The facts; a field is absent where the ad doesn't say, or what it says doesn't read.
    """
    is_wrapper = ad.WhichOneof("content") == "wrapper"
    content: Content = ad.wrapper if is_wrapper else ad.inline
    indexes = [None] * (len(wrappers) + 1) if hops is None else hops
    chain = [_Hop(*each) for each in zip([*wrappers, content], indexes, strict=True)]
    facts = metadata_pb2.AdMetadata(
        ad_id=ad.id if ad.HasField("id") else None,
        sequence=ad.sequence if ad.HasField("sequence") else None,
        ad_type=(ad.ad_type or "video").lower(),
        ad_system=content.ad_system.value if content.HasField("ad_system") else None,
        duration=_first_linear_duration(content),
        price=_price(chain),
        expire_time=expire_time,
        creatives=_creatives(content, chain),
    )
    if not is_wrapper:
        _add_inline(facts, ad.inline)
    return facts


def _add_inline(facts: metadata_pb2.AdMetadata, inline: vast_pb2.InLine) -> None:
    """What only an InLine says."""
    if inline.HasField("ad_title"):
        facts.ad_title = inline.ad_title
    if inline.HasField("ad_serving_id"):
        facts.ad_serving_id = inline.ad_serving_id
    if inline.HasField("advertiser"):
        facts.advertiser = inline.advertiser.value
        if inline.advertiser.HasField("id"):
            facts.advertiser_id = inline.advertiser.id
    facts.categories.extend(inline.categories)
    if inline.HasField("expires") and 0 <= inline.expires <= _MAX_SECONDS:
        facts.expires.seconds = inline.expires


def _first_linear_duration(content: Content) -> Duration | None:
    linear = next((each.linear for each in content.creatives if each.HasField("linear")), None)
    return duration_of(linear.duration) if linear is not None else None


def duration_of(text: str) -> Duration | None:
    """A time as HH:MM:SS, with or without a fraction; None where the text isn't one."""
    match = _TIME.fullmatch(text)
    if not match:
        return None
    hours, minutes, seconds = int(match[1]), int(match[2]), int(match[3])
    nanos = int((match[4] or "0").ljust(9, "0"))
    return Duration(seconds=(hours * 60 + minutes) * 60 + seconds, nanos=nanos)


def offset_of(text: str) -> metadata_pb2.TimeOffset | None:
    """A point in an ad's time, as HH:MM:SS, HH:MM:SS.mmm or n%; None where the text isn't one."""
    match = _PERCENT.fullmatch(text)
    if match:
        return metadata_pb2.TimeOffset(percent=float(match[1]))
    time = duration_of(text)
    return metadata_pb2.TimeOffset(time=time) if time is not None else None


def micros_of(text: str) -> int | None:
    """A price in millionths, exact; None where the text is no decimal of at most six places."""
    match = _PRICE.fullmatch(text)
    if not match:
        return None
    return int(match[1] or "0") * 1_000_000 + int((match[2] or "").ljust(6, "0"))


def _price(chain: Sequence[_Hop]) -> metadata_pb2.Price | None:
    """The first price from the outside; an empty element has none, and counts as the ad's alone."""
    priced = (each for each in chain if each.content.pricing.value.strip())
    hop = next(priced, chain[-1])
    if not hop.content.HasField("pricing"):
        return None
    pricing = hop.content.pricing
    return metadata_pb2.Price(
        model=pricing.model.strip().upper() or None,
        currency=pricing.currency.strip().upper() or None,
        micros=micros_of(pricing.value),
        hop=hop.place,
    )


def _creatives(content: Content, chain: Sequence[_Hop]) -> list[metadata_pb2.CreativeMetadata]:
    from_extensions = _ids_in_extensions(content)
    creatives = []
    for index, creative in enumerate(content.creatives):
        facts = metadata_pb2.CreativeMetadata(
            creative_id=creative.id if creative.HasField("id") else None,
            ad_id=creative.ad_id if creative.HasField("ad_id") else None,
            kind=_kind(creative),
            universal_ad_ids=[
                *creative.universal_ad_ids,
                *_ids_in(creative.creative_extensions),
                *from_extensions.get(index, ()),
            ],
            api_frameworks=_each_once(_frameworks(creative)),
        )
        if creative.HasField("linear"):
            _add_linear(facts, creative.linear)
        _add_click_through(facts, creative, chain)
        creatives.append(facts)
    return creatives


def _kind(creative: vast_pb2.Creative) -> "vast_lists_pb2.CreativeKind.ValueType":
    if creative.HasField("linear"):
        return vast_lists_pb2.CREATIVE_KIND_LINEAR
    if creative.HasField("non_linear_ads"):
        return vast_lists_pb2.CREATIVE_KIND_NON_LINEAR
    if creative.HasField("companion_ads"):
        return vast_lists_pb2.CREATIVE_KIND_COMPANION
    return vast_lists_pb2.CREATIVE_KIND_UNSPECIFIED


def _add_linear(facts: metadata_pb2.CreativeMetadata, linear: vast_pb2.Linear) -> None:
    duration = duration_of(linear.duration)
    if duration is not None:
        facts.duration.CopyFrom(duration)
    skip = offset_of(linear.skipoffset)
    if skip is not None:
        facts.skip_offset.CopyFrom(skip)
    facts.media_types.extend(_each_once(file.type for file in linear.media_files.media_files))


def _frameworks(creative: vast_pb2.Creative) -> Iterator[str]:
    yield creative.api_framework
    files = creative.linear.media_files
    yield from (each.api_framework for each in files.media_files)
    yield from (each.api_framework for each in files.interactive_creative_files)
    yield from (each.api_framework for each in creative.non_linear_ads.non_linears)
    yield from (each.api_framework for each in creative.companion_ads.companions)


def _each_once(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(text for text in texts if text))


def _add_click_through(
    facts: metadata_pb2.CreativeMetadata, creative: vast_pb2.Creative, chain: Sequence[_Hop]
) -> None:
    """The creative's own page, else that of the closest Wrapper for such creatives."""
    page_of = _PAGES.get(facts.kind)
    if page_of is None:
        return
    *wrappers, last = chain
    given = ((page_of(each), hop) for hop in reversed(wrappers) for each in hop.content.creatives)
    own = page_of(creative)
    page, hop = (own, last) if own else next(filter(itemgetter(0), given), ("", last))
    if page:
        facts.click_through = page
        if hop.place is not None:
            facts.click_through_hop = hop.place


def _linear_page(creative: vast_pb2.Creative) -> str:
    return creative.linear.video_clicks.click_through.url


def _non_linear_page(creative: vast_pb2.Creative) -> str:
    units = creative.non_linear_ads.non_linears
    return next(
        (unit.non_linear_click_through for unit in units if unit.non_linear_click_through), ""
    )


def _companion_page(creative: vast_pb2.Creative) -> str:
    units = creative.companion_ads.companions
    return next(
        (unit.companion_click_through for unit in units if unit.companion_click_through), ""
    )


_PAGES: Final[dict[int, Callable[[vast_pb2.Creative], str]]] = {
    vast_lists_pb2.CREATIVE_KIND_LINEAR: _linear_page,
    vast_lists_pb2.CREATIVE_KIND_NON_LINEAR: _non_linear_page,
    vast_lists_pb2.CREATIVE_KIND_COMPANION: _companion_page,
}


def _ids_in_extensions(content: Content) -> dict[int, list[vast_pb2.UniversalAdId]]:
    """The ids that stand in extensions of a 2.0 ad, by index of the creative they belong to.

    They name the creative; without a name it is the first (IAB's CTV addendum of 2024).
    """
    places = {each.id: index for index, each in reversed(list(enumerate(content.creatives)))}
    ids: dict[int, list[vast_pb2.UniversalAdId]] = {}
    for element in _elements_in(content.extensions):
        place = places.get(element.get("creativeId", ""), 0)
        ids.setdefault(place, []).append(_universal_ad_id(element))
    return ids


def _ids_in(extensions: Iterable[vast_pb2.Extension]) -> list[vast_pb2.UniversalAdId]:
    return [_universal_ad_id(element) for element in _elements_in(extensions)]


def _elements_in(extensions: Iterable[vast_pb2.Extension]) -> Iterator[Element]:
    """`UniversalAdId` elements of extensions of that type."""
    for extension in extensions:
        if extension.type.strip().lower() != "universaladid":
            continue
        try:
            inside = well_formed(f"<x>{extension.xml}</x>".encode(), None, _LIMITS)
        except VastUnreadable:
            continue
        yield from (each for each in inside if each.tag.rpartition(":")[2] == "UniversalAdId")


def _universal_ad_id(element: Element) -> vast_pb2.UniversalAdId:
    return vast_pb2.UniversalAdId(
        id_registry=element.get("idRegistry"), value=(element.text or "").strip()
    )
