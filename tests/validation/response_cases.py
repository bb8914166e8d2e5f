"""Valid responses, or the requests they answer, each spoiled by one change."""

from typing import Any, Literal, NamedTuple

from validation.messages import VAST, Edit, drop, put


class Case(NamedTuple):
    """One change to one base, and the one violation that it causes."""

    name: str
    base: str
    edit: Edit
    path: str
    rule: str
    of: Literal["response", "request"] = "response"


def wrong(name: str, base: str, path: str, value: Any, rule: str) -> Case:
    """A value that is wrong where it stands."""
    return Case(name, base, put(path, value), path, rule)


def missing(name: str, base: str, path: str, rule: str) -> Case:
    """A member that has to be there."""
    return Case(name, base, drop(path), path, rule)


HTML = "<img src='http://cdn.example/1.png'>"

# Refused, at exactly this path, by exactly this rule.
INVALID = [
    # The response and its bids alone
    missing("no id", "web", "id", "bidresponse.id.required"),
    wrong("empty id", "dooh", "id", "", "bidresponse.id.required"),
    wrong("no currency", "dooh", "cur", "DOLLAR", "bidresponse.cur.format"),
    wrong(
        "custom data with a line break",
        "native",
        "customdata",
        "a\nb",
        "bidresponse.customdata.format",
    ),
    wrong("seat without bids", "web", "seatbid[1].bid", [], "seatbid.bid.required"),
    missing("bid without id", "web", "seatbid[0].bid[1].id", "bid.id.required"),
    wrong("two bids of one id", "web", "seatbid[1].bid[0].id", "1", "bid.id.unique"),
    missing("bid for no imp", "web", "seatbid[1].bid[0].impid", "bid.impid.required"),
    missing("bid without price", "web", "seatbid[1].bid[0].price", "bid.price.required"),
    wrong("price of 0", "web", "seatbid[1].bid[0].price", 0, "bid.price.range"),
    wrong("negative price", "web", "seatbid[0].bid[0].price", -1, "bid.price.range"),
    Case("no markup", "web", drop("seatbid[1].bid[0].nurl"), "seatbid[1].bid[0]", "bid.markup"),
    wrong(
        "only a preloaded ad",
        "native",
        "seatbid[0].bid[0]",
        {"id": "1", "impid": "1", "price": 1, "adid": "x", "cat": ["IAB1"]},
        "bid.markup",
    ),
    wrong(
        "win notice without host",
        "web",
        "seatbid[0].bid[0].nurl",
        "https:///win",
        "bid.nurl.format",
    ),
    wrong(
        "billing notice with a blank",
        "web",
        "seatbid[0].bid[0].burl",
        "https://dsp.example/a b",
        "bid.burl.format",
    ),
    wrong(
        "loss notice without scheme",
        "web",
        "seatbid[0].bid[0].lurl",
        "//dsp.example",
        "bid.lurl.format",
    ),
    wrong(
        "unknown language", "audio", "seatbid[0].bid[0].language", "en-US", "bid.language.format"
    ),
    wrong("malformed tag", "web", "seatbid[0].bid[1].langb", "en_US", "bid.langb.format"),
    Case(
        "language twice",
        "web",
        put("seatbid[0].bid[1].language", "en"),
        "seatbid[0].bid[1].langb",
        "bid.langb.exclusive",
    ),
    Case(
        "negative width",
        "native",
        put(
            "seatbid[0].bid[0]",
            {"id": "1", "impid": "1", "price": 1, "adm": "{}", "cat": ["IAB1"], "w": -1, "h": 1},
        ),
        "seatbid[0].bid[0].w",
        "bid.w.range",
    ),
    Case(
        "negative height",
        "native",
        put(
            "seatbid[0].bid[0]",
            {"id": "1", "impid": "1", "price": 1, "adm": "{}", "cat": ["IAB1"], "w": 1, "h": -1},
        ),
        "seatbid[0].bid[0].h",
        "bid.h.range",
    ),
    missing(
        "flexible ad without hratio", "web", "seatbid[1].bid[0].hratio", "bid.hratio.with-wratio"
    ),
    missing(
        "flexible ad without wratio", "web", "seatbid[1].bid[0].wratio", "bid.wratio.with-hratio"
    ),
    wrong("ratio of 0", "web", "seatbid[1].bid[0].wratio", 0, "bid.wratio.range"),
    Case(
        "negative ratio",
        "native",
        put(
            "seatbid[0].bid[0]",
            {
                "id": "1",
                "impid": "1",
                "price": 1,
                "adm": "{}",
                "cat": ["IAB1"],
                "wratio": 1,
                "hratio": -1,
            },
        ),
        "seatbid[0].bid[0].hratio",
        "bid.hratio.range",
    ),
    wrong("negative expiry", "web", "seatbid[0].bid[0].exp", -1, "bid.exp.range"),
    wrong("negative duration", "native", "seatbid[0].bid[0].dur", -1, "bid.dur.range"),
    # Against the request as a whole
    wrong("answer to another request", "web", "id", "r9", "bidresponse.id.request"),
    wrong("currency that wasn't asked for", "web", "cur", "GBP", "bidresponse.cur.accepted"),
    Case(
        "default currency not asked for",
        "audio",
        put("cur", ["EUR"]),
        "cur",
        "bidresponse.cur.accepted",
        "request",
    ),
    wrong("seat that isn't invited", "pod", "seatbid[0].seat", "s2", "seatbid.seat.accepted"),
    missing(
        "nameless seat where seats are listed", "pod", "seatbid[0].seat", "seatbid.seat.accepted"
    ),
    wrong("blocked seat", "audio", "seatbid[0].seat", "s9", "seatbid.seat.accepted"),
    wrong(
        "blocked advertiser",
        "web",
        "seatbid[0].bid[0].adomain[0]",
        "blocked.example",
        "bid.adomain.blocked",
    ),
    wrong(
        "subdomain of a blocked advertiser",
        "web",
        "seatbid[0].bid[0].adomain[1]",
        "Shop.BLOCKED.example",
        "bid.adomain.blocked",
    ),
    wrong("blocked category", "web", "seatbid[0].bid[0].cat[0]", "IAB7-39", "bid.cat.blocked"),
    wrong(
        "below a blocked category", "web", "seatbid[0].bid[0].cat[1]", "IAB25-3", "bid.cat.blocked"
    ),
    wrong(
        "category that isn't allowed",
        "native",
        "seatbid[0].bid[0].cat[1]",
        "IAB2",
        "bid.cat.allowed",
    ),
    missing(
        "untold category where some are allowed",
        "native",
        "seatbid[0].bid[0].cat",
        "bid.cat.allowed",
    ),
    Case(
        "category of another taxonomy",
        "native",
        put("seatbid[0].bid[0].cattax", 7),
        "seatbid[0].bid[0].cat",
        "bid.cat.allowed",
    ),
    Case(
        "blocked app",
        "web",
        put("bapp", ["com.example.app"]),
        "seatbid[1].bid[0].bundle",
        "bid.bundle.blocked",
        "request",
    ),
    wrong(
        "language that isn't allowed",
        "audio",
        "seatbid[0].bid[0].language",
        "de",
        "bid.language.allowed",
    ),
    wrong(
        "tag outside the allowed ranges",
        "pod",
        "seatbid[0].bid[0].langb",
        "de-DE",
        "bid.language.allowed",
    ),
    # Against the imp
    wrong("imp that wasn't offered", "web", "seatbid[1].bid[0].impid", "9", "bid.impid.known"),
    wrong("deal that wasn't offered", "web", "seatbid[0].bid[0].dealid", "D9", "bid.dealid.known"),
    Case(
        "deal of another seat",
        "web",
        put("imp[0].pmp.deals[1].wseat[0]", "s2"),
        "seatbid[0].bid[1].dealid",
        "bid.dealid.seat",
        "request",
    ),
    wrong(
        "deal of another advertiser",
        "web",
        "seatbid[0].bid[1].adomain[0]",
        "b.example",
        "bid.adomain.deal",
    ),
    missing(
        "deal for advertisers, none told", "web", "seatbid[0].bid[1].adomain", "bid.adomain.deal"
    ),
    Case(
        "open bid in a private auction",
        "audio",
        put("imp[0].pmp", {"private_auction": 1, "deals": [{"id": "D"}]}),
        "seatbid[0].bid[0].dealid",
        "bid.dealid.private-auction",
        "request",
    ),
    wrong("type that isn't offered", "web", "seatbid[1].bid[0].mtype", 3, "bid.mtype.offered"),
    wrong("type that nobody knows", "native", "seatbid[0].bid[0].mtype", 5, "bid.mtype.offered"),
    wrong("insecure picture", "web", "seatbid[0].bid[0].adm", HTML, "bid.adm.secure"),
    wrong(
        "insecure address, encoded",
        "web",
        "seatbid[0].bid[0].adm",
        "<a href='https://r.example?u=HTTP%3a%2F%2Fa.example'>",
        "bid.adm.secure",
    ),
    wrong(
        "insecure markup behind the win notice",
        "web",
        "seatbid[1].bid[0].nurl",
        "http://dsp.example/ad",
        "bid.adm.secure",
    ),
    wrong("price under the imp's floor", "web", "seatbid[0].bid[0].price", 0.49, "bid.price.floor"),
    Case(
        "price under the floor per second",
        "pod",
        put("seatbid[0].bid[1].dur", 16),
        "seatbid[0].bid[1].price",
        "bid.price.floor",
    ),
    wrong(
        "price under the deal's floor per second",
        "web",
        "seatbid[0].bid[1].price",
        1.99,
        "bid.price.deal-floor",
    ),
    # Against banner, video, audio or native
    wrong("blocked attribute", "web", "seatbid[0].bid[0].attr[1]", 1, "bid.attr.blocked"),
    wrong(
        "blocked attribute of the exchange's own",
        "web",
        "seatbid[0].bid[0].attr[0]",
        900,
        "bid.attr.blocked",
    ),
    wrong("API that isn't supported", "web", "seatbid[0].bid[0].apis[1]", 3, "bid.apis.supported"),
    Case(
        "API where none is supported",
        "web",
        put("seatbid[0].bid[1].apis", [2]),
        "seatbid[0].bid[1].apis[0]",
        "bid.apis.supported",
    ),
    wrong("size that isn't offered", "web", "seatbid[0].bid[0].w", 728, "bid.size.offered"),
    Case(
        "ratio that isn't offered",
        "web",
        put("seatbid[1].bid[0].hratio", 17),
        "seatbid[1].bid[0].wratio",
        "bid.size.offered",
    ),
    Case(
        "flexible ad that is too narrow",
        "web",
        put("seatbid[1].bid[0].w", 319),
        "seatbid[1].bid[0].wratio",
        "bid.size.offered",
    ),
    Case(
        "too long",
        "pod",
        put("imp[1].video.maxduration", 14),
        "seatbid[0].bid[1].dur",
        "bid.dur.allowed",
        "request",
    ),
    wrong("too short", "web", "seatbid[0].bid[1].dur", 4, "bid.dur.allowed"),
    wrong("another length than required", "pod", "seatbid[0].bid[0].dur", 20, "bid.dur.allowed"),
    Case(
        "longer than the pod",
        "pod",
        put("imp[0].video.poddur", 29),
        "seatbid[0].bid[0].dur",
        "bid.dur.poddur",
        "request",
    ),
    Case(
        "untold length that may pass the pod",
        "audio",
        put("imp[0].audio.maxduration", 121),
        "seatbid[0].bid[0].dur",
        "bid.dur.poddur",
        "request",
    ),
    wrong(
        "protocol that isn't supported",
        "web",
        "seatbid[0].bid[1].protocol",
        8,
        "bid.protocol.supported",
    ),
    wrong(
        "first slot where the last is guaranteed",
        "pod",
        "seatbid[0].bid[1].slotinpod",
        1,
        "bid.slotinpod.offered",
    ),
    Case(
        "last slot where none is guaranteed",
        "pod",
        put("imp[1].video.slotinpod", 0),
        "seatbid[0].bid[1].slotinpod",
        "bid.slotinpod.offered",
        "request",
    ),
]

# Accepted, with exactly this warning.
DOUBTFUL = [
    Case("nothing at all", "dooh", dict.clear, "", "bidresponse.empty"),
    wrong("reason for no bid beside bids", "audio", "nbr", 2, "bidresponse.nbr.with-bids"),
    wrong(
        "sample image without scheme",
        "web",
        "seatbid[0].bid[0].iurl",
        "cdn.example/1.png",
        "bid.iurl.format",
    ),
    wrong("single API", "web", "seatbid[1].bid[0].api", 5, "bid.api.deprecated"),
    Case(
        "width alone", "audio", put("seatbid[0].bid[0].w", 1), "seatbid[0].bid[0].h", "bid.h.with-w"
    ),
    Case(
        "height alone",
        "audio",
        put("seatbid[0].bid[0].h", 1),
        "seatbid[0].bid[0].w",
        "bid.w.with-h",
    ),
    wrong(
        "native markup that is no JSON",
        "native",
        "seatbid[0].bid[0].adm",
        "{ ... }",
        "bid.adm.native-json",
    ),
    wrong("VAST that is no XML", "web", "seatbid[0].bid[1].adm", VAST[:-1], "bid.adm.vast-xml"),
    wrong(
        "VAST with a DOCTYPE",
        "web",
        "seatbid[0].bid[1].adm",
        "<?xml version='1.0'?><!DOCTYPE VAST [<!ENTITY a 'b'>]><VAST>&a;</VAST>",
        "bid.adm.vast-xml",
    ),
    wrong(
        "slot told where the imp is one",
        "pod",
        "seatbid[0].bid[0].slotinpod",
        1,
        "bid.slotinpod.dynamic",
    ),
]
