"""How long it takes to validate a request of about 2 KB, and a response to it.

The request has a banner and video imp with deals, a site with publisher and content, a device with
geo, a user with ids and data, a supply chain and regs; it comes as a fresh message each time, as
it does from the wire. The target for it is a median under 100 microseconds.
"""

import json
import statistics
import time
from collections.abc import Callable
from typing import Any

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.openrtb import codec
from xsp_server.openrtb.validation import BidRequestValidator, BidResponseValidator

CALLS = 5_000

IMP = {
    "id": "1",
    "tagid": "home-top",
    "bidfloor": 0.5,
    "bidfloorcur": "USD",
    "secure": 1,
    "banner": {
        "format": [{"w": 300, "h": 250}, {"w": 320, "h": 50}],
        "pos": 1,
        "api": [5, 6, 7],
        "battr": [1, 3],
    },
    "video": {
        "mimes": ["video/mp4", "video/webm"],
        "minduration": 5,
        "maxduration": 30,
        "protocols": [2, 3, 5, 6, 7, 8],
        "w": 640,
        "h": 480,
        "startdelay": 0,
        "plcmt": 1,
        "linearity": 1,
        "skip": 1,
        "skipmin": 10,
        "skipafter": 5,
        "playbackmethod": [1, 2],
        "api": [1, 2, 7],
    },
    "pmp": {
        "private_auction": 0,
        "deals": [
            {"id": "D-1", "bidfloor": 2.5, "bidfloorcur": "USD", "at": 1, "wseat": ["agency-1"]},
            {"id": "D-2", "bidfloor": 3, "at": 3, "wadomain": ["brand.example"]},
        ],
    },
}
SITE = {
    "id": "102855",
    "name": "News",
    "domain": "news.example",
    "cat": ["IAB12"],
    "page": "https://news.example/2026/11/article.html",
    "ref": "https://search.example/?q=news",
    "publisher": {"id": "8953", "name": "News Media", "domain": "news.example"},
    "content": {
        "id": "a-1",
        "title": "An article",
        "language": "en",
        "genre": "news",
        "livestream": 0,
        "len": 120,
        "keywords": "news,politics",
        "producer": {"id": "x", "name": "Wire"},
        "data": [{"id": "d", "segment": [{"id": "1"}, {"id": "2"}]}],
    },
}
DEVICE = {
    "ua": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0",
    "ip": "203.0.113.7",
    "devicetype": 2,
    "make": "Example",
    "os": "Linux",
    "osv": "6",
    "language": "en",
    "dnt": 0,
    "lmt": 0,
    "js": 1,
    "connectiontype": 2,
    "w": 1920,
    "h": 1080,
    "ifa": "df3a42f4-a388-43e9-a691-b0d308c963b4",
    "geo": {
        "lat": 51.5,
        "lon": -0.12,
        "country": "GBR",
        "region": "LND",
        "city": "London",
        "type": 2,
        "ipservice": 3,
    },
}
USER = {
    "id": "55816b39711f9b5acf3b90e313ed29e51665623f",
    "buyeruid": "545678765467876567898765678987654",
    "consent": "CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA",
    "eids": [
        {"source": "id.example", "uids": [{"id": "ZK5GQGDZ", "atype": 1}]},
        {
            "source": "graph.example",
            "inserter": "ssp.example",
            "matcher": "match.example",
            "mm": 3,
            "uids": [{"id": "JE6-1XvQEfD3", "atype": 3}],
        },
    ],
    "data": [{"id": "6", "name": "Provider", "segment": [{"id": "12341318394918"}]}],
}
REQUEST = {
    "id": "80ce30c53c16e6ede735f123ef6e32361bfc7b22",
    "at": 1,
    "tmax": 120,
    "cur": ["USD"],
    "bcat": ["IAB25", "IAB7-39"],
    "badv": ["one.example", "two.example"],
    "imp": [IMP],
    "site": SITE,
    "device": DEVICE,
    "user": USER,
    "source": {
        "tid": "7979d0c7",
        "fd": 1,
        "schain": {
            "ver": "1.0",
            "complete": 1,
            "nodes": [
                {"asi": "ssp.example", "sid": "1", "hp": 1},
                {"asi": "reseller.example", "sid": "2", "hp": 1, "rid": "r"},
            ],
        },
    },
    "regs": {"coppa": 0, "gdpr": 1, "gpp": "DBAA", "gpp_sid": [2]},
}
RESPONSE = {
    "id": REQUEST["id"],
    "cur": "USD",
    "seatbid": [
        {
            "seat": "agency-1",
            "bid": [
                {
                    "id": "1",
                    "impid": "1",
                    "price": 2.75,
                    "adm": "<a href='https://brand.example'><img src='https://cdn.example/1'></a>",
                    "nurl": "https://dsp.example/win?p=${AUCTION_PRICE}",
                    "adomain": ["brand.example"],
                    "cat": ["IAB3"],
                    "crid": "c-1",
                    "dealid": "D-1",
                    "w": 300,
                    "h": 250,
                    "mtype": 1,
                }
            ],
        }
    ],
}


def microseconds(make: Callable[[], object], judge: Callable[[object], object]) -> list[float]:
    """What each call took. Making its argument is not counted."""
    times = []
    for _ in range(CALLS):
        argument = make()
        start = time.perf_counter_ns()
        judge(argument)
        times.append((time.perf_counter_ns() - start) / 1000)
    return times


def run() -> dict[str, Any]:
    """Measures, and gives microseconds a call."""
    text = json.dumps(REQUEST, separators=(",", ":"))
    request = codec.parse_bid_request(text).message
    response = codec.from_dict(BidResponse, RESPONSE).message
    wire, answer = request.SerializeToString(), response.SerializeToString()
    judge_request = BidRequestValidator().validate
    judge_response = BidResponseValidator().validate
    assert not judge_request(request).violations
    assert not judge_response(response, request).violations
    times = {
        "request": microseconds(lambda: BidRequest.FromString(wire), judge_request),
        "response of one bid": microseconds(
            lambda: BidResponse.FromString(answer), lambda given: judge_response(given, request)
        ),
    }
    us = {}
    for name, each in times.items():
        low, *_, high = statistics.quantiles(each, n=10)
        us[name] = {"median": statistics.median(each), "p10": low, "p90": high}
    return {"request_bytes_of_json": len(text), "us": us}


def table(figures: dict[str, Any]) -> str:
    """The figures for people."""
    lines = [f"a request of {figures['request_bytes_of_json']} bytes of JSON"]
    for name, us in figures["us"].items():
        spread = f"p10 {us['p10']:6.1f}   p90 {us['p90']:6.1f}"
        lines.append(f"  {name:36} median {us['median']:6.1f} us   {spread}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(run()))
