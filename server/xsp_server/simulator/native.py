"""Native ads: a Native 1.2 response with an answer to every asset that we have one for."""

from collections.abc import Mapping

import orjson

from xsp.openrtb.v2.bid_request_pb2 import BidRequest, NativeRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse, NativeResponse
from xsp.openrtb.v2.lists_pb2 import (
    BID_MARKUP_TYPE_NATIVE,
    NATIVE_DATA_ASSET_TYPE_ADDRESS,
    NATIVE_DATA_ASSET_TYPE_CTA_TEXT,
    NATIVE_DATA_ASSET_TYPE_DESC,
    NATIVE_DATA_ASSET_TYPE_DESC2,
    NATIVE_DATA_ASSET_TYPE_DISPLAY_URL,
    NATIVE_DATA_ASSET_TYPE_DOWNLOADS,
    NATIVE_DATA_ASSET_TYPE_LIKES,
    NATIVE_DATA_ASSET_TYPE_PHONE,
    NATIVE_DATA_ASSET_TYPE_PRICE,
    NATIVE_DATA_ASSET_TYPE_RATING,
    NATIVE_DATA_ASSET_TYPE_SALE_PRICE,
    NATIVE_DATA_ASSET_TYPE_SPONSORED,
    NATIVE_IMAGE_ASSET_TYPE_ICON,
)
from xsp_server.errors import XspError
from xsp_server.openrtb import codec
from xsp_server.simulator import creatives
from xsp_server.simulator.draws import Draws

IMAGE_FILES = {"image/png": "png", "image/jpeg": "jpg", "image/gif": "gif"}
"""Endings of file names by MIME type, the type preferred first."""
ICON_SIZE = (80, 80)
MAIN_SIZE = (1200, 627)
"""Sizes in pixels of images whose asset states none."""

TITLE = "An offer made by chance, for trying things out"
DATA: Mapping[int, str] = {
    NATIVE_DATA_ASSET_TYPE_SPONSORED: "Simulated Advertiser",
    NATIVE_DATA_ASSET_TYPE_DESC: "Nothing is sold here. This ad is simulated.",
    NATIVE_DATA_ASSET_TYPE_RATING: "4.5",
    NATIVE_DATA_ASSET_TYPE_LIKES: "1200",
    NATIVE_DATA_ASSET_TYPE_DOWNLOADS: "56000",
    NATIVE_DATA_ASSET_TYPE_PRICE: "9.99",
    NATIVE_DATA_ASSET_TYPE_SALE_PRICE: "7.99",
    NATIVE_DATA_ASSET_TYPE_PHONE: "+1 555 0100",
    NATIVE_DATA_ASSET_TYPE_ADDRESS: "1 Example Street",
    NATIVE_DATA_ASSET_TYPE_DESC2: "It shows how a native ad is laid out.",
    NATIVE_DATA_ASSET_TYPE_DISPLAY_URL: "advertiser.example",
    NATIVE_DATA_ASSET_TYPE_CTA_TEXT: "Learn more",
}
"""What the ad says, by the kind of data that an asset asks for."""


def native(spec: BidRequest.Native, advertiser: str, draws: Draws) -> BidResponse.Bid | None:
    """A native ad; None when a required asset is of a kind that we lack.

    The request may be text or a message; the answer is text, which both sides of either can read.
    Native 1.0 wraps its root in a member `native`, and is answered alike.
    """
    asked = _read(spec)
    if asked is None:
        return None
    request, wrapped = asked
    answer = NativeResponse(
        ver=request.ver or "1.2", link=NativeResponse.Link(url=f"https://{advertiser}/")
    )
    for wanted in request.assets:
        asset = _asset(wanted, advertiser, draws)
        if asset is not None:
            answer.assets.append(asset)
        elif wanted.required:
            return None
    if not answer.assets:
        return None
    text = codec.write(answer).decode()
    return BidResponse.Bid(
        mtype=BID_MARKUP_TYPE_NATIVE,
        crid=f"{advertiser}-native",
        adm=f'{{"native":{text}}}' if wrapped else text,
    )


def _read(spec: BidRequest.Native) -> tuple[NativeRequest, bool] | None:
    """The request and whether it came wrapped; None when it can't be read."""
    if spec.WhichOneof("request_oneof") == "request_native":
        return spec.request_native, False
    try:
        root = orjson.loads(spec.request)
        wrapped = isinstance(root, dict) and "native" in root
        text = orjson.dumps(root["native"]) if wrapped else spec.request.encode()
        return codec.parse(NativeRequest, text).message, wrapped
    except (orjson.JSONDecodeError, XspError):
        return None


def _asset(
    wanted: NativeRequest.Asset, advertiser: str, draws: Draws
) -> NativeResponse.Asset | None:
    """Our answer to one asset."""
    asset = NativeResponse.Asset(id=wanted.id)
    match wanted.WhichOneof("asset_oneof"):
        case "title":
            asset.title.text = _cut(TITLE, wanted.title.len)
        case "img" if (mime := creatives.preferred(IMAGE_FILES, wanted.img.mimes)) is not None:
            w, h = _size(wanted.img)
            url = f"https://cdn.{advertiser}/{w}x{h}.{IMAGE_FILES[mime]}"
            asset.img.MergeFrom(NativeResponse.Image(url=url, w=w, h=h))
        case "data" if wanted.data.type in DATA:
            asset.data.value = _cut(DATA[wanted.data.type], wanted.data.len)
        case "video" if (bid := creatives.video(wanted.video, advertiser, draws)) is not None:
            asset.video.vasttag = bid.adm
        case _:
            return None
    return asset


def _size(image: NativeRequest.Image) -> tuple[int, int]:
    """The exact size asked for, else the least one, else a common one."""
    icon = image.type == NATIVE_IMAGE_ASSET_TYPE_ICON
    common_w, common_h = ICON_SIZE if icon else MAIN_SIZE
    return image.w or image.wmin or common_w, image.h or image.hmin or common_h


def _cut(text: str, length: int) -> str:
    return text[:length] if length > 0 else text
