"""A request that knows all about a person, and how to put signals on it."""

from typing import Any

from xsp.openrtb.v2.bid_request_pb2 import BidRequest

GEO: dict[str, Any] = {
    "lat": 48.137154,
    "lon": 11.576124,
    "type": 1,
    "accuracy": 12,
    "lastfix": 30,
    "country": "DEU",
    "region": "DE-BY",
    "city": "Munich",
    "metro": "M1",
    "zip": "80331",
    "utcoffset": 60,
    "ext": {"raw_json": '{"geohash":"u281z7j"}'},
}
EIDS = [{"source": "ids.example", "uids": [{"id": "eid-1", "atype": 1}]}]


def request(
    regs: dict[str, Any] | None = None, consent: str | None = None, **device: Any
) -> BidRequest:
    """The request; `device` adds flags such as lmt."""
    message = BidRequest(
        id="r1",
        imp=[{"id": "1", "banner": {"w": 300, "h": 250}, "ext": {"tid": "t-1"}}],
        site={"page": "https://news.example/a", "keywords": "news"},
        user={
            "id": "user-1",
            "buyeruid": "buyer-1",
            "yob": 1987,
            "gender": "F",
            "keywords": "sailing",
            "kwarray": ["sailing", "chess"],
            "customdata": "cookie",
            "geo": GEO,
            "data": [{"id": "d", "segment": [{"id": "s", "value": "v"}]}],
            "eids": EIDS,
            "ext": {"eids": EIDS, "raw_json": '{"hashed_email":"abc","n":12345678901234567890123}'},
        },
        device={
            "geo": GEO,
            "ua": "Browser/1",
            "ip": "198.51.100.77",
            "ipv6": "2001:db8:aaaa:bbbb::77",
            "devicetype": 2,
            "carrier": "carrier",
            "ifa": "ifa-1",
            "didsha1": "a",
            "didmd5": "b",
            "dpidsha1": "c",
            "dpidmd5": "d",
            "macsha1": "e",
            "macmd5": "f",
            "ext": {"ifv": "ifv-1", "atts": 3, "raw_json": '{"idfv":"x"}'},
            **device,
        },
        source={"tid": "t"},
    )
    if regs is not None:
        message.regs.CopyFrom(BidRequest.Regs(**regs))
    if consent is not None:
        message.user.consent = consent
    return message
