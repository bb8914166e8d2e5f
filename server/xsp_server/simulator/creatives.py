"""Creatives that fit an imp: HTML for a banner, VAST for video and audio (native has its module).

Each maker reads what the imp accepts and gives a `Bid` with those fields set that the creative
alone decides (adm, mtype, crid, size, duration, protocol), or None when it has nothing that fits.
A crid names advertiser, kind and size, so the same ad has the same crid wherever it is offered.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TypeVar

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp.openrtb.v2.lists_pb2 import (
    BID_MARKUP_TYPE_AUDIO,
    BID_MARKUP_TYPE_BANNER,
    BID_MARKUP_TYPE_VIDEO,
    LINEARITY_MODE_NON_LINEAR,
)
from xsp_server.simulator import vast
from xsp_server.simulator.draws import Draws

K = TypeVar("K", str, int)

DURATIONS = (6, 10, 15, 20, 30, 45, 60)
"""Lengths in which video and audio ads are commonly made, in seconds."""
LONGEST_UNASKED = 30
"""Seconds of the longest ad for an imp that states no maximum."""
PLAYER_SIZE = (640, 360)
"""Size of a video for an imp that states none."""

VIDEO_FILES = {"video/mp4": "mp4", "video/webm": "webm", "video/ogg": "ogv"}
AUDIO_FILES = {"audio/mpeg": "mp3", "audio/mp3": "mp3", "audio/mp4": "m4a", "audio/ogg": "ogg"}
"""Endings of file names by MIME type, the type preferred first."""


def banner(spec: BidRequest.Banner, advertiser: str, draws: Draws) -> BidResponse.Bid | None:
    """An image behind a link, in one of the fixed sizes that the imp accepts."""
    sizes = [(size.w, size.h) for size in spec.format] or [(spec.w, spec.h)]
    sizes = [(w, h) for w, h in sizes if w > 0 and h > 0]
    if not sizes:
        return None
    w, h = draws.pick(sizes, "size")
    crid = f"{advertiser}-banner-{w}x{h}"
    markup = (
        f'<a href="https://{advertiser}/"><img src="https://cdn.{advertiser}/{crid}.png" '
        f'width="{w}" height="{h}" alt="{advertiser}"></a>'
    )
    mtype = BID_MARKUP_TYPE_BANNER
    return BidResponse.Bid(mtype=mtype, crid=crid, w=w, h=h, adm=markup)


def video(spec: BidRequest.Video, advertiser: str, draws: Draws) -> BidResponse.Bid | None:
    """An InLine linear ad of the player's size."""
    if spec.linearity == LINEARITY_MODE_NON_LINEAR:
        return None
    w, h = (spec.w, spec.h) if spec.w > 0 and spec.h > 0 else PLAYER_SIZE
    bid = _spot(spec, _Medium("video", VIDEO_FILES, w, h), advertiser, draws)
    if bid is not None:
        bid.mtype, bid.w, bid.h = BID_MARKUP_TYPE_VIDEO, w, h
    return bid


def audio(spec: BidRequest.Audio, advertiser: str, draws: Draws) -> BidResponse.Bid | None:
    """An InLine ad with a sound file."""
    bid = _spot(spec, _Medium("audio", AUDIO_FILES), advertiser, draws)
    if bid is not None:
        bid.mtype = BID_MARKUP_TYPE_AUDIO
    return bid


@dataclass(frozen=True, slots=True)
class _Medium:
    """What tells video from audio."""

    name: str
    files: Mapping[str, str]
    w: int = 0
    h: int = 0


def _spot(
    spec: BidRequest.Video | BidRequest.Audio, medium: _Medium, advertiser: str, draws: Draws
) -> BidResponse.Bid | None:
    protocol = preferred(vast.VERSIONS, spec.protocols)
    mime = preferred(medium.files, spec.mimes)
    seconds = duration(spec, draws)
    if protocol is None or mime is None or seconds is None:
        return None
    spot = vast.Spot(
        medium=medium.name,
        advertiser=advertiser,
        crid=f"{advertiser}-{medium.name}-{seconds}s",
        seconds=seconds,
        mime=mime,
        ending=medium.files[mime],
        w=medium.w,
        h=medium.h,
    )
    markup = vast.render(spot, vast.VERSIONS[protocol], draws.name("serving"))
    return BidResponse.Bid(crid=spot.crid, dur=seconds, protocol=protocol, adm=markup)


def duration(spec: BidRequest.Video | BidRequest.Audio, draws: Draws) -> int | None:
    """A length that the imp accepts, in seconds: one it lists, or a common one within bounds."""
    if spec.rqddurs:
        listed = [seconds for seconds in spec.rqddurs if seconds > 0]
        return draws.pick(listed, "duration") if listed else None
    least = max(1, spec.minduration)
    stated = [spec.maxduration] if spec.HasField("maxduration") else []
    stated += [spec.poddur] if spec.HasField("poddur") else []
    most = min(stated, default=max(least, LONGEST_UNASKED))
    common = [seconds for seconds in DURATIONS if least <= seconds <= most]
    if common:
        return draws.pick(common, "duration")
    return least if least <= most else None


def preferred(known: Mapping[K, str], accepted: Collection[K]) -> K | None:
    """The first of the known ones that is accepted; an empty list accepts all."""
    return next((key for key in known if not accepted or key in accepted), None)
