"""What OpenRTB 2.6-202606 and Native 1.2 say about single fields, object by object.

A field that isn't here may hold anything of its type. Values of lists are open: a receiver has to
accept those that it doesn't know, so no list is checked, but for `BidRequest.at`. `recommended`
fields may be absent. Checks that look at several fields or objects stand in `request`, `media`,
`native` and `response`.
"""

import math
from typing import Final

from xsp.openrtb.v2.bid_request_pb2 import BidRequest, NativeRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.openrtb.matching import NO_LANGUAGE
from xsp_server.openrtb.validation import formats
from xsp_server.openrtb.validation.facts import (
    Deprecated,
    Excludes,
    Fact,
    Facts,
    Holds,
    Needs,
    OneOf,
    Required,
    UniqueIds,
    above,
    at_least,
    between,
    text,
)
from xsp_server.openrtb.validation.result import Severity

FIXED_PRICE: Final = 3
"""Deal.at: bidfloor is the agreed price."""
_EXCHANGE_DEFINED: Final = 500
_EARLIEST_MS: Final = 10**11
"""March 1973 in milliseconds; as seconds it would be the year 5138."""
_SID_LENGTH: Final = 64

_WARNING: Final = Severity.WARNING
_CURRENCY: Final = text(formats.is_currency, "an ISO 4217 code, as USD")
_LANGUAGE: Final = text(formats.is_language, "an ISO 639-1 code, as en")
_LANGUAGE_TAG: Final = text(formats.is_language_tag, "a BCP 47 tag, as zh-Hant")
_COOKIE_SAFE: Final = text(formats.is_cookie_safe, "base85 cookie-safe characters")
_HTTP_URL: Final = text(formats.is_http_url, "an absolute http or https URL")

_LANGUAGES: Final[dict[str, tuple[Fact, ...]]] = {
    "language": (_LANGUAGE,),
    "langb": (Excludes(("language",)), _LANGUAGE_TAG),
}
_KEYWORDS: Final[dict[str, tuple[Fact, ...]]] = {"kwarray": (Excludes(("keywords",)),)}
_IN_POD: Final = Needs(("podid", "poddur"), _WARNING)

# Video and Audio agree on these.
_TIMED: Final[dict[str, tuple[Fact, ...]]] = {
    "mimes": (Required(),),
    "minduration": (at_least(0),),
    "maxduration": (at_least(0),),
    "startdelay": (at_least(-2),),
    "maxextended": (at_least(-1),),
    "minbitrate": (at_least(0),),
    "maxbitrate": (at_least(0),),
    "rqddurs": (Excludes(("minduration", "maxduration")), at_least(1)),
    "poddur": (at_least(1),),
    "maxseq": (at_least(1), Needs(("poddur",))),
    "podseq": (_IN_POD,),
    "slotinpod": (_IN_POD,),
    "sequence": (Deprecated("slotinpod"),),
    "mincpmpersec": (at_least(0),),
    "durfloors": (Excludes(("mincpmpersec",)),),
}

REQUEST_TABLES: Final = (
    Facts(
        "bidrequest",
        BidRequest,
        "3.2.1",
        {
            "id": (Required(),),
            "imp": (Required(), UniqueIds()),
            "at": (
                Holds("deal-only", lambda at: at != FIXED_PRICE, "1, 2 or from 500; 3 is Deal's"),
                Holds(
                    "known",
                    lambda at: 1 <= at <= FIXED_PRICE or at >= _EXCHANGE_DEFINED,
                    "1, 2 or from 500",
                    _WARNING,
                ),
            ),
            "tmax": (at_least(0),),
            "bseat": (Excludes(("wseat",)),),
            "cur": (_CURRENCY,),
            "wlang": (_LANGUAGE,),
            "wlangb": (Excludes(("wlang",)), _LANGUAGE_TAG),
            "bcat": (Excludes(("acat",)),),
        },
    ),
    Facts("source.ext", BidRequest.Source.Ext, "3.2.2", {"schain": (Deprecated("source.schain"),)}),
    Facts(
        "regs.ext",
        BidRequest.Regs.Ext,
        "3.2.3",
        {"gdpr": (Deprecated("regs.gdpr"),), "us_privacy": (Deprecated("regs.us_privacy"),)},
    ),
    Facts(
        "imp",
        BidRequest.Imp,
        "3.2.4",
        {
            "id": (Required(),),
            "bidfloor": (at_least(0),),
            "bidfloorcur": (_CURRENCY,),
            "exp": (at_least(0),),
            "dt": (
                at_least(0),
                Holds(
                    "milliseconds",
                    lambda dt: not 0 <= dt < _EARLIEST_MS,
                    "milliseconds since 1970; this reads like seconds",
                    _WARNING,
                ),
            ),
        },
        (OneOf(("banner", "video", "audio", "native"), "media-type"),),
    ),
    Facts(
        "skadn",
        BidRequest.SKAdNetworkRequest,
        "SKAdNetwork extension",
        {"version": (Deprecated("versions"),)},
    ),
    Facts(
        "metric",
        BidRequest.Metric,
        "3.2.5",
        {
            "type": (Required(),),
            "value": (Required(), Holds("finite", math.isfinite, "a finite number")),
        },
    ),
    Facts(
        "banner",
        BidRequest.Banner,
        "3.2.6",
        {
            "w": (at_least(1), Needs(("h",))),
            "h": (at_least(1), Needs(("w",))),
            "wmax": (Deprecated("format"),),
            "hmax": (Deprecated("format"),),
            "wmin": (Deprecated("format"),),
            "hmin": (Deprecated("format"),),
        },
    ),
    Facts(
        "video",
        BidRequest.Video,
        "3.2.7",
        _TIMED
        | {
            "w": (at_least(1),),
            "h": (at_least(1),),
            "skipmin": (at_least(0),),
            "skipafter": (at_least(0),),
            "poddedupe": (_IN_POD,),
            "placement": (Deprecated("plcmt"),),
            "protocol": (Deprecated("protocols"),),
        },
    ),
    Facts("audio", BidRequest.Audio, "3.2.8", _TIMED),
    Facts(
        "native",
        BidRequest.Native,
        "3.2.9",
        {"ver": (text(formats.is_version, "a version, as 1.2"),)},
        (OneOf(("request", "request_native"), "request.required", "request"),),
    ),
    Facts(
        "format",
        BidRequest.Format,
        "3.2.10",
        {
            "w": (at_least(1), Needs(("h",))),
            "h": (at_least(1), Needs(("w",))),
            "wratio": (at_least(1), Needs(("hratio",))),
            "hratio": (at_least(1), Needs(("wratio",))),
            "wmin": (at_least(0), Needs(("wratio",), _WARNING)),
        },
        (OneOf(("w", "h", "wratio", "hratio"), "size", severity=_WARNING),),
    ),
    Facts("pmp", BidRequest.Pmp, "3.2.11", {"deals": (UniqueIds(),)}),
    Facts(
        "deal",
        BidRequest.Deal,
        "3.2.12",
        {
            "id": (Required(),),
            "bidfloor": (at_least(0),),
            "bidfloorcur": (_CURRENCY,),
            "guar": (Holds("flag", lambda guar: guar in {0, 1}, "0 or 1"),),
            "mincpmpersec": (at_least(0), Excludes(("bidfloor",))),
            "durfloors": (Excludes(("bidfloor", "mincpmpersec")),),
        },
    ),
    Facts("site", BidRequest.Site, "3.2.13", _KEYWORDS),
    Facts("app", BidRequest.App, "3.2.14", _KEYWORDS),
    Facts(
        "content",
        BidRequest.Content,
        "3.2.16",
        _KEYWORDS
        | _LANGUAGES
        | {
            "len": (at_least(0),),
            "isrc": (text(formats.is_isrc, "an ISO 3901 code, as AA-6Q7-20-00047"),),
            "videoquality": (Deprecated("prodq"),),
        },
    ),
    Facts(
        "device",
        BidRequest.Device,
        "3.2.18",
        _LANGUAGES
        | {
            "ip": (text(formats.is_ipv4, "an IPv4 address"),),
            "ipv6": (text(formats.is_ipv6, "an IPv6 address"),),
            "w": (at_least(0),),
            "h": (at_least(0),),
            "ppi": (at_least(0),),
            "pxratio": (above(0),),
            "mccmnc": (text(formats.is_mcc_mnc, "MCC and MNC with a dash, as 310-005"),),
            "didsha1": (Deprecated(),),
            "didmd5": (Deprecated(),),
            "dpidsha1": (Deprecated(),),
            "dpidmd5": (Deprecated(),),
            "macsha1": (Deprecated(),),
            "macmd5": (Deprecated(),),
        },
    ),
    Facts(
        "geo",
        BidRequest.Geo,
        "3.2.19",
        {
            "lat": (between(-90, 90), Needs(("lon",), _WARNING)),
            "lon": (between(-180, 180), Needs(("lat",), _WARNING)),
            "accuracy": (at_least(0),),
            "lastfix": (at_least(0),),
            "country": (text(formats.is_country, "an ISO 3166-1 alpha-3 code, as USA"),),
            "region": (text(formats.is_subdivision, "an ISO 3166-2 code, as CA or GB-SCT"),),
            # UTC-12 to UTC+14, in minutes.
            "utcoffset": (between(-720, 840),),
        },
    ),
    Facts(
        "user",
        BidRequest.User,
        "3.2.20",
        _KEYWORDS
        | {
            "yob": (Deprecated(),),
            "gender": (Deprecated(),),
            "customdata": (_COOKIE_SAFE,),
        },
    ),
    Facts(
        "user.ext",
        BidRequest.User.Ext,
        "3.2.20",
        {"consent": (Deprecated("user.consent"),), "eids": (Deprecated("user.eids"),)},
    ),
    Facts(
        "supplychain",
        BidRequest.SupplyChain,
        "3.2.25",
        {
            "complete": (Required(),),
            "nodes": (Required(),),
            "ver": (Required(), text(formats.is_major_minor, "major.minor, as 1.0")),
        },
    ),
    Facts(
        "supplychainnode",
        BidRequest.SupplyChainNode,
        "3.2.26",
        {
            "asi": (Required(),),
            "sid": (
                Required(),
                Holds(
                    "length",
                    lambda sid: len(sid) <= _SID_LENGTH,
                    f"at most {_SID_LENGTH} characters",
                    _WARNING,
                ),
            ),
            # supplychainobject.md requires it, 2.6.md doesn't.
            "hp": (
                Required(_WARNING),
                Holds("version-1", lambda hp: hp, "1, as always in SupplyChain 1.0"),
            ),
        },
    ),
    Facts("eid", BidRequest.EID, "3.2.27"),
    Facts("brandversion", BidRequest.BrandVersion, "3.2.30", {"brand": (Required(),)}),
    Facts(
        "qty",
        BidRequest.Qty,
        "3.2.31",
        {"multiplier": (Required(), above(0))},
    ),
    Facts(
        "dooh",
        BidRequest.Dooh,
        "3.2.32",
        {
            "venuetypetax": (
                Needs(("venuetype",), _WARNING),
                Holds("deprecated", lambda tax: tax != 0, "1 or above; 0 is deprecated", _WARNING),
            ),
        },
    ),
    Facts("refresh", BidRequest.Refresh, "3.2.33", {"count": (at_least(0),)}),
    Facts("refsettings", BidRequest.RefSettings, "3.2.34", {"minint": (at_least(0),)}),
    Facts(
        "durfloors",
        BidRequest.DurFloors,
        "3.2.35",
        {"mindur": (at_least(0),), "maxdur": (at_least(0),), "bidfloor": (at_least(0),)},
        (OneOf(("mindur", "maxdur"), "bounds"),),
    ),
    Facts(
        "nativerequest",
        NativeRequest,
        "Native 1.2, 4.1",
        {
            "ver": (text(formats.is_version, "a version, as 1.2"),),
            "assets": (Required(), UniqueIds()),
            "plcmtcnt": (at_least(1),),
            "seq": (at_least(0),),
        },
    ),
    Facts(
        "nativeasset",
        NativeRequest.Asset,
        "Native 1.2, 4.2",
        {"id": (Required(),)},
        (OneOf(("title", "img", "video", "data"), "kind"),),
    ),
    Facts(
        "nativetitle",
        NativeRequest.Title,
        "Native 1.2, 4.3",
        {"len": (Required(), at_least(1))},
    ),
    Facts(
        "nativeimg",
        NativeRequest.Image,
        "Native 1.2, 4.4",
        {
            "w": (at_least(1),),
            "h": (at_least(1),),
            "wmin": (at_least(0),),
            "hmin": (at_least(0),),
        },
    ),
    Facts(
        "nativedata",
        NativeRequest.Data,
        "Native 1.2, 4.6",
        {"type": (Required(),), "len": (at_least(1),)},
    ),
    Facts(
        "nativeeventtracker",
        NativeRequest.EventTrackers,
        "Native 1.2, 4.7",
        {"event": (Required(),), "methods": (Required(),)},
    ),
)

RESPONSE_TABLES: Final = (
    Facts(
        "bidresponse",
        BidResponse,
        "4.2.1",
        {
            "id": (Required(),),
            "cur": (_CURRENCY,),
            "customdata": (_COOKIE_SAFE,),
        },
    ),
    Facts("seatbid", BidResponse.SeatBid, "4.2.2", {"bid": (Required(),)}),
    Facts(
        "bid",
        BidResponse.Bid,
        "4.2.3",
        {
            "id": (Required(),),
            "impid": (Required(),),
            "price": (Required(), above(0)),
            "nurl": (_HTTP_URL,),
            "burl": (_HTTP_URL,),
            "lurl": (_HTTP_URL,),
            "iurl": (text(formats.is_http_url, "an absolute http or https URL", _WARNING),),
            "api": (Deprecated("apis"),),
            "language": (
                text(
                    lambda code: formats.is_language(code) or code.lower() == NO_LANGUAGE,
                    f"an ISO 639-1 code or {NO_LANGUAGE}",
                ),
            ),
            "langb": _LANGUAGES["langb"],
            # A flexible ad may tell its width alone.
            "w": (at_least(0), Needs(("h", "wratio", "hratio"), _WARNING)),
            "h": (at_least(0), Needs(("w",), _WARNING)),
            "wratio": (at_least(1), Needs(("hratio",))),
            "hratio": (at_least(1), Needs(("wratio",))),
            "exp": (at_least(0),),
            "dur": (at_least(0),),
        },
        (OneOf(("adm", "adm_native", "nurl"), "markup"),),
    ),
)
