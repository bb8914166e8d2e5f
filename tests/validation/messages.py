"""Valid requests and responses as OpenRTB JSON, and one change at a time to them."""

import copy
import json
from collections.abc import Callable, Mapping
from typing import Any

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.openrtb import codec

Json = dict[str, Any]
Edit = Callable[[Json], None]

# A web page: banner and in-stream video on one imp, deals, a supply chain, a known user.
WEB: Json = {
    "id": "r1",
    "at": 1,
    "tmax": 120,
    "cur": ["USD", "EUR"],
    "bcat": ["IAB25", "IAB7-39"],
    "badv": ["blocked.example"],
    "imp": [
        {
            "id": "1",
            "tagid": "top",
            "bidfloor": 0.5,
            "bidfloorcur": "USD",
            "secure": 1,
            "exp": 300,
            "metric": [{"type": "viewability", "value": 0.7, "vendor": "meter.example"}],
            "banner": {
                "id": "b1",
                "format": [{"w": 300, "h": 250}, {"wratio": 16, "hratio": 9, "wmin": 320}],
                "w": 300,
                "h": 250,
                "pos": 1,
                "battr": [1, 900],
                "api": [5, 6, 7],
            },
            "video": {
                "mimes": ["video/mp4"],
                "minduration": 5,
                "maxduration": 30,
                "maxextended": -1,
                "startdelay": -2,
                "protocols": [2, 3, 7],
                "w": 640,
                "h": 360,
                "plcmt": 1,
                "skip": 1,
                "skipmin": 10,
                "skipafter": 5,
                "minbitrate": 300,
                "maxbitrate": 1500,
                "durfloors": [{"maxdur": 15, "bidfloor": 1}, {"mindur": 16, "maxdur": 30}],
                "companionad": [
                    {"id": "c1", "w": 300, "h": 250, "vcm": 1},
                    {"id": "c2", "w": 728, "h": 90},
                ],
            },
            "pmp": {
                "private_auction": 0,
                "deals": [
                    {"id": "D1", "bidfloor": 2.5, "bidfloorcur": "EUR", "at": 3, "guar": 1},
                    {"id": "D2", "mincpmpersec": 0.1, "wseat": ["s1"], "wadomain": ["a.example"]},
                ],
            },
            "refresh": {"count": 2, "refsettings": [{"reftype": 3, "minint": 30}]},
        }
    ],
    "site": {
        "id": "s",
        "domain": "news.example",
        "page": "https://news.example/1",
        "keywords": "a,b",
        "publisher": {"id": "p"},
        "content": {
            "id": "c",
            "language": "en",
            "kwarray": ["x"],
            "len": 600,
            "isrc": "AA-6Q7-20-00047",
        },
    },
    "device": {
        "ua": "Mozilla/5.0",
        "ip": "203.0.113.7",
        "ipv6": "2001:db8::7",
        "langb": "zh-Hant-TW",
        "mccmnc": "310-005",
        "w": 1920,
        "h": 1080,
        "ppi": 96,
        "pxratio": 1.5,
        "geo": {
            "lat": 40.7,
            "lon": -74.0,
            "type": 2,
            "ipservice": 3,
            "accuracy": 100,
            "lastfix": 0,
            "country": "USA",
            "region": "NY",
            "utcoffset": -300,
        },
        "sua": {"browsers": [{"brand": "Chrome", "version": ["130"]}], "source": 2},
    },
    "user": {
        "id": "u",
        "kwarray": ["sports"],
        "customdata": "aB3$x",
        "geo": {"country": "GBR", "region": "GB-SCT"},
        "eids": [
            {"source": "a.example", "mm": 2, "uids": [{"id": "x", "atype": 1}]},
            {"source": "b.example", "mm": 3, "matcher": "m.example", "uids": [{"id": "y"}]},
        ],
    },
    "source": {
        "tid": "t",
        "schain": {
            "ver": "1.0",
            "complete": 1,
            "nodes": [
                {"asi": "one.example", "sid": "7", "hp": 1},
                {"asi": "two.example", "sid": "8", "hp": 1},
            ],
        },
    },
    "regs": {"gdpr": 1, "gpp": "DBAA", "gpp_sid": [2]},
}

# A hybrid pod of connected TV in an app: a first slot, a dynamic part, and a second pod.
POD: Json = {
    "id": "r2",
    "at": 500,
    "wseat": ["s1"],
    "wlangb": ["en", "de-AT"],
    "imp": [
        {
            "id": "1",
            "bidfloor": 15,
            "video": {
                "mimes": ["video/mp4"],
                "podid": "pod_1",
                "podseq": 1,
                "slotinpod": 1,
                "rqddurs": [15, 30],
            },
        },
        {
            "id": "2",
            "bidfloor": 8,
            "video": {
                "mimes": ["video/mp4"],
                "podid": "pod_1",
                "podseq": 1,
                "slotinpod": -1,
                "poddur": 60,
                "maxseq": 4,
                "minduration": 5,
                "maxduration": 30,
                "mincpmpersec": 0.2,
                "poddedupe": [1],
            },
        },
        {
            "id": "3",
            "video": {"mimes": ["video/mp4"], "podid": "pod_2", "podseq": -1, "slotinpod": 1},
        },
    ],
    "app": {"id": "a", "bundle": "tv.example", "kwarray": ["tv"]},
    "device": {"devicetype": 3, "language": "de", "ifa": "x"},
}

AUDIO: Json = {
    "id": "r3",
    "bseat": ["s9"],
    "wlang": ["en"],
    "imp": [
        {
            "id": "1",
            "audio": {
                "mimes": ["audio/mpeg"],
                "minduration": 10,
                "maxduration": 30,
                "minbitrate": 64,
                "maxbitrate": 128,
                "startdelay": 0,
                "maxextended": 0,
                "podid": "break",
                "podseq": 0,
                "slotinpod": 2,
                "poddur": 120,
                "maxseq": 6,
                "companionad": [{"id": "c1", "w": 300, "h": 250}],
            },
        }
    ],
    "app": {"id": "a", "content": {"id": "show", "langb": "en-US"}},
}

NATIVE: Json = {
    "id": "r4",
    "acat": ["IAB1"],
    "imp": [
        {
            "id": "1",
            "native": {
                "ver": "1.2",
                "request": {
                    "ver": "1.2",
                    "context": 1,
                    "plcmttype": 4,
                    "plcmtcnt": 1,
                    "seq": 0,
                    "assets": [
                        {"id": 0, "required": 1, "title": {"len": 90}},
                        {"id": 1, "img": {"type": 3, "wmin": 300, "hmin": 200}},
                        {"id": 2, "data": {"type": 1, "len": 25}},
                        {
                            "id": 3,
                            "video": {
                                "mimes": ["video/mp4"],
                                "minduration": 5,
                                "maxduration": 15,
                                "protocols": [3],
                            },
                        },
                        {"id": 4, "img": {"type": 1, "w": 80, "h": 80}},
                    ],
                    "eventtrackers": [{"event": 1, "methods": [1, 2]}],
                },
            },
        }
    ],
    "site": {"id": "s", "kwarray": ["x"]},
}

DOOH: Json = {
    "id": "r5",
    "imp": [
        {
            "id": "1",
            "banner": {"w": 1080, "h": 1920},
            "dt": 1_700_000_000_000,
            "qty": {"multiplier": 14.2, "sourcetype": 1, "vendor": "count.example"},
        }
    ],
    "dooh": {"id": "d", "venuetype": ["1"], "venuetypetax": 1},
    "device": {"geo": {"lat": 51.5, "lon": -0.1, "type": 1}},
}

REQUESTS: Mapping[str, Json] = {
    "web": WEB,
    "pod": POD,
    "audio": AUDIO,
    "native": NATIVE,
    "dooh": DOOH,
}


VAST = '<VAST version="4.0"><Ad><InLine><AdSystem>x</AdSystem></InLine></Ad></VAST>'

# Each answers the request of the same name.
RESPONSES: Mapping[str, Json] = {
    "web": {
        "id": "r1",
        "bidid": "x",
        "cur": "USD",
        "seatbid": [
            {
                "seat": "s1",
                "bid": [
                    {
                        "id": "1",
                        "impid": "1",
                        "price": 0.5,
                        "adm": "<a href='https://a.example'>buy</a>",
                        "nurl": "https://dsp.example/win?p=${AUCTION_PRICE}",
                        "burl": "https://dsp.example/bill",
                        "lurl": "http://dsp.example/loss",
                        "iurl": "https://cdn.example/1.png",
                        "adomain": ["www.a.example"],
                        "cat": ["IAB7-3"],
                        "attr": [2],
                        "apis": [5, 7],
                        "language": "xx",
                        "w": 300,
                        "h": 250,
                        "exp": 300,
                        "mtype": 1,
                    },
                    {
                        "id": "2",
                        "impid": "1",
                        "price": 2,
                        "adm": VAST,
                        "adomain": ["a.example"],
                        "dealid": "D2",
                        "protocol": 7,
                        "langb": "en-US",
                        "dur": 20,
                        "mtype": 2,
                    },
                ],
            },
            {
                "bid": [
                    {
                        "id": "3",
                        "impid": "1",
                        "price": 1,
                        "nurl": "https://dsp.example/ad",
                        "wratio": 32,
                        "hratio": 18,
                        "w": 640,
                        "mtype": 1,
                        "bundle": "com.example.app",
                    }
                ]
            },
        ],
    },
    "pod": {
        "id": "r2",
        "cur": "USD",
        "seatbid": [
            {
                "seat": "s1",
                "bid": [
                    {
                        "id": "1",
                        "impid": "1",
                        "price": 15,
                        "adm": VAST,
                        "dur": 30,
                        "langb": "en-GB",
                    },
                    {
                        "id": "2",
                        "impid": "2",
                        "price": 3,
                        "adm": VAST,
                        "dur": 15,
                        "slotinpod": -1,
                        "language": "en",
                    },
                ],
            }
        ],
    },
    "audio": {
        "id": "r3",
        "seatbid": [
            {
                "seat": "s1",
                "bid": [{"id": "1", "impid": "1", "price": 1, "adm": VAST, "language": "en"}],
            }
        ],
    },
    "native": {
        "id": "r4",
        "customdata": "x",
        "seatbid": [
            {
                "bid": [
                    {
                        "id": "1",
                        "impid": "1",
                        "price": 1,
                        "adm": '{"native":{"assets":[]}}',
                        "cat": ["IAB1-2"],
                    }
                ]
            }
        ],
    },
    "dooh": {"id": "r5", "seatbid": []},
}


def put(path: str, value: Any) -> Edit:
    """Sets a member; an index one past the end appends."""

    def edit(root: Json) -> None:
        holder, last = _find(root, path)
        if isinstance(holder, list) and last == len(holder):
            holder.append(value)
        else:
            holder[last] = value

    return edit


def drop(path: str) -> Edit:
    """Takes a member away."""

    def edit(root: Json) -> None:
        holder, last = _find(root, path)
        del holder[last]

    return edit


def changed(base: Json, *edits: Edit) -> Json:
    """A copy with the changes made."""
    result = copy.deepcopy(base)
    for edit in edits:
        edit(result)
    return result


def request(source: Json) -> BidRequest:
    """The message; a native request that is an object becomes text."""
    source = copy.deepcopy(source)
    for imp in source.get("imp", []):
        native = imp.get("native", {})
        if isinstance(native.get("request"), dict):
            native["request"] = json.dumps(native["request"])
    return codec.from_dict(BidRequest, source).message


def response(source: Json) -> BidResponse:
    return codec.from_dict(BidResponse, source).message


def _find(root: Any, path: str) -> tuple[Any, Any]:
    """The object or list that holds the last member of a path, and its name or index there."""
    words = path.replace("[", ".").replace("]", "").split(".")
    keys = [int(word) if word.isdigit() else word for word in words]
    for key in keys[:-1]:
        root = root[key]
    return root, keys[-1]
