"""Small InLine VAST documents, each valid in the version it claims (2.0 to 4.3).

All text comes from our own tables and from domains, whose letters need no escaping.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from xsp.openrtb.v2.lists_pb2 import (
    CREATIVE_SUBTYPE_VAST_2_0,
    CREATIVE_SUBTYPE_VAST_3_0,
    CREATIVE_SUBTYPE_VAST_4_0,
    CREATIVE_SUBTYPE_VAST_4_1,
    CREATIVE_SUBTYPE_VAST_4_2,
    CREATIVE_SUBTYPE_VAST_4_3,
)

VERSIONS: Mapping[int, str] = {
    CREATIVE_SUBTYPE_VAST_4_2: "4.2",
    CREATIVE_SUBTYPE_VAST_4_3: "4.3",
    CREATIVE_SUBTYPE_VAST_4_1: "4.1",
    CREATIVE_SUBTYPE_VAST_4_0: "4.0",
    CREATIVE_SUBTYPE_VAST_3_0: "3.0",
    CREATIVE_SUBTYPE_VAST_2_0: "2.0",
}
"""Versions by their value in `protocols`, the one preferred first."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A linear ad with one media file.

    Attributes:
        medium: video or audio.
        advertiser: the advertiser's domain.
        crid: the creative's id.
        seconds: how long it plays.
        mime: MIME type of the media file.
        ending: how the media file's name ends, without the dot.
        w: width in pixels; 0 for audio.
        h: height in pixels; 0 for audio.
    """

    medium: str
    advertiser: str
    crid: str
    seconds: int
    mime: str
    ending: str
    w: int = 0
    h: int = 0


def render(spot: Spot, version: str, serving_id: str) -> str:
    """The document.

    Args:
        spot: the ad.
        version: one of `VERSIONS`.
        serving_id: names this one delivery of the ad, in the versions that have it (from 4.1).
    """
    modern = version >= "4.1"
    namespace = ' xmlns="http://www.iab.com/VAST"' if version >= "4.0" else ""
    ad_type = f' adType="{spot.medium}"' if modern else ""
    serving = f"<AdServingId>{serving_id}</AdServingId>" if modern else ""
    return (
        f'<VAST version="{version}"{namespace}><Ad id="{spot.crid}"{ad_type}><InLine>'
        "<AdSystem>XSP simulator</AdSystem>"
        # In 4.x the schema puts Impression first, in 2.0 and 3.0 AdTitle.
        + _in_order(
            version >= "4.0",
            f"<Impression>{_url(spot.advertiser, f'impression?ad={spot.crid}')}</Impression>",
            f"{serving}<AdTitle>{spot.crid}</AdTitle>",
        )
        + f"<Creatives><Creative>{_creative(spot, version)}</Creative></Creatives>"
        "</InLine></Ad></VAST>"
    )


def _creative(spot: Spot, version: str) -> str:
    minutes, seconds = divmod(spot.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    file = _url(f"cdn.{spot.advertiser}", f"{spot.crid}.{spot.ending}")
    clicks = f"<VideoClicks><ClickThrough>{_url(spot.advertiser, '')}</ClickThrough></VideoClicks>"
    files = (
        f'<MediaFiles><MediaFile delivery="progressive" type="{spot.mime}" width="{spot.w}" '
        f'height="{spot.h}">{file}</MediaFile></MediaFiles>'
    )
    return (
        f"<Linear><Duration>{hours:02}:{minutes:02}:{seconds:02}</Duration>"
        + _in_order(version >= "4.0", files, clicks)
        + f"</Linear>{_universal_ad_id(spot, version)}"
    )


def _universal_ad_id(spot: Spot, version: str) -> str:
    if version < "4.0":
        return ""
    value = f' idValue="{spot.crid}"' if version == "4.0" else ""
    registry = f'idRegistry="{spot.advertiser}"{value}'
    return f"<UniversalAdId {registry}>{spot.crid}</UniversalAdId>"


def _in_order(forward: bool, first: str, second: str) -> str:
    return first + second if forward else second + first


def _url(host: str, path: str) -> str:
    return f"<![CDATA[https://{host}/{path}]]>"
