"""Linear and NonLinear creatives of a chain: trackers, clicks and icons."""

from collections.abc import Sequence
from typing import Any, Final

from xsp.vast.v1 import resolution_pb2, vast_pb2
from xsp_server.vast.merge.companions import merge_companions
from xsp_server.vast.merge.icons import list_icons, merge_icons
from xsp_server.vast.merge.joining import closest_first, join
from xsp_server.vast.merge.origins import Origins

Linears = Sequence[tuple[int, vast_pb2.Linear]]
"""Those of the Wrappers with their positions in the chain, outermost first."""
NonLinears = Sequence[tuple[int, vast_pb2.NonLinearAds]]
"""Likewise."""


def merge_creatives(
    merged: vast_pb2.InLine,
    inline: vast_pb2.InLine,
    wrappers: Sequence[vast_pb2.Wrapper],
    origins: Origins | None,
) -> None:
    """Adds to each creative of the ad what the Wrappers have for its kind.

    What they have for a kind that the ad lacks has nothing to join, but for companions.

    Args:
        merged: to be changed.
        inline: the InLine as its document has it.
        wrappers: outermost first.
        origins: notes where all came from; None: nobody wants to know.
    """
    position = len(wrappers)
    given = [
        (place, creative)
        for place, wrapper in enumerate(wrappers)
        for creative in wrapper.creatives
    ]
    linears = [(place, one.linear) for place, one in given if one.HasField("linear")]
    non_linears = [
        (place, one.non_linear_ads) for place, one in given if one.HasField("non_linear_ads")
    ]
    companions = [
        (place, one.companion_ads) for place, one in given if one.HasField("companion_ads")
    ]
    position = len(wrappers)
    for index, own in enumerate(inline.creatives):
        creative = merged.creatives[index]
        if own.HasField("linear"):
            _merge_linear(creative.linear, own.linear, linears)
            icons = merge_icons(creative.linear, own.linear, linears, position)
            if origins is not None:
                _list_linear((*linears, (position, own.linear)), index, origins)
                list_icons(creative.linear, icons, index, origins)
        if own.HasField("non_linear_ads"):
            _merge_non_linear(creative.non_linear_ads, non_linears)
            if origins is not None:
                everyone = (*non_linears, (position, own.non_linear_ads))
                _list_non_linear(everyone, own.non_linear_ads, index, origins)
    merge_companions(merged, inline, companions, position, origins)


_OWN_FIELDS: Final = tuple(
    name
    for name in vast_pb2.Linear.DESCRIPTOR.fields_by_name
    if name not in ("tracking_events", "video_clicks")
)
"""What a Linear doesn't get from Wrappers, or not by adding: icons are chosen."""


def _merge_linear(merged: vast_pb2.Linear, own: vast_pb2.Linear, wrappers: Linears) -> None:
    """Joins trackers and clicks. The page of a click is the InLine's, else the closest one."""
    if not wrappers:
        return
    joined: Any = vast_pb2.Linear()
    for _, linear in wrappers:
        joined.MergeFrom(linear)
    for name in _OWN_FIELDS:
        joined.ClearField(name)
    if joined.HasField("video_clicks"):
        joined.video_clicks.ClearField("unknown")
        joined.video_clicks.ClearField("click_through")
        if not joined.video_clicks.ByteSize():
            joined.ClearField("video_clicks")
    joined.MergeFrom(own)
    page = None if own.video_clicks.click_through.url else _closest_page(wrappers)
    if page is not None:
        joined.video_clicks.click_through.CopyFrom(page)
    merged.CopyFrom(joined)


def _closest_page(wrappers: Linears) -> vast_pb2.IdentifiedUrl | None:
    """The `ClickThrough` closest to the InLine; an empty one is none."""
    pages = (linear.video_clicks.click_through for _, linear in closest_first(wrappers))
    return next((page for page in pages if page.url), None)


def _list_linear(everyone: Linears, creative: int, origins: Origins) -> None:
    for place, linear in everyone:
        origins.events(
            place, resolution_pb2.TRACKING_KIND_LINEAR_EVENT, linear.tracking_events, creative
        )
        if linear.HasField("video_clicks"):
            clicks = linear.video_clicks
            origins.identified(
                place, resolution_pb2.TRACKING_KIND_CLICK, clicks.click_trackings, creative
            )
            origins.identified(
                place, resolution_pb2.TRACKING_KIND_CUSTOM_CLICK, clicks.custom_clicks, creative
            )


def _merge_non_linear(merged: vast_pb2.NonLinearAds, wrappers: NonLinears) -> None:
    """Joins trackers: those of the Wrappers' NonLinears join every one of the InLine.

    Wrappers only track; the resources that they could have in 2.0 are left out.
    """
    if not wrappers:
        return
    join(merged.tracking_events, [ads.tracking_events for _, ads in wrappers])
    others = [non_linear for _, ads in wrappers for non_linear in ads.non_linears]
    for non_linear in merged.non_linears:
        join(
            non_linear.non_linear_click_trackings,
            [other.non_linear_click_trackings for other in others],
        )
        join(non_linear.tracking_events, [other.tracking_events for other in others])


def _list_non_linear(
    everyone: NonLinears, own: vast_pb2.NonLinearAds, creative: int, origins: Origins
) -> None:
    position = everyone[-1][0]
    for place, ads in everyone:
        origins.events(
            place, resolution_pb2.TRACKING_KIND_NON_LINEAR_EVENT, ads.tracking_events, creative
        )
        for index, non_linear in enumerate(own.non_linears):
            for other in (non_linear,) if place == position else ads.non_linears:
                origins.events(
                    place,
                    resolution_pb2.TRACKING_KIND_NON_LINEAR_EVENT,
                    other.tracking_events,
                    creative,
                    index,
                )
                origins.identified(
                    place,
                    resolution_pb2.TRACKING_KIND_NON_LINEAR_CLICK,
                    other.non_linear_click_trackings,
                    creative,
                    index,
                )
