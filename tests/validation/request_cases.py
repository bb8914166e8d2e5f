"""Valid requests, each spoiled by one change, and what the validator has to say about it."""

from typing import Any, NamedTuple

from validation.messages import Edit, drop, put


class Case(NamedTuple):
    """One change to one base, and the one violation that it causes."""

    name: str
    base: str
    edit: Edit
    path: str
    rule: str


def wrong(name: str, base: str, path: str, value: Any, rule: str) -> Case:
    """A value that is wrong where it stands."""
    return Case(name, base, put(path, value), path, rule)


def missing(name: str, base: str, path: str, rule: str) -> Case:
    """A member that has to be there."""
    return Case(name, base, drop(path), path, rule)


IMP = {"id": "2", "banner": {"w": 300, "h": 250}}

# Refused, at exactly this path, by exactly this rule.
INVALID = [
    # BidRequest
    missing("no id", "web", "id", "bidrequest.id.required"),
    wrong("empty id", "web", "id", "", "bidrequest.id.required"),
    missing("no imp", "web", "imp", "bidrequest.imp.required"),
    wrong("empty imp list", "web", "imp", [], "bidrequest.imp.required"),
    Case(
        "two imps of one id",
        "web",
        put("imp[1]", {**IMP, "id": "1"}),
        "imp[1].id",
        "bidrequest.imp.unique",
    ),
    wrong("fixed price as auction type", "web", "at", 3, "bidrequest.at.deal-only"),
    wrong("negative tmax", "web", "tmax", -1, "bidrequest.tmax.range"),
    wrong("bseat beside wseat", "pod", "bseat", ["s2"], "bidrequest.bseat.exclusive"),
    Case("wseat beside bseat", "audio", put("wseat", ["s"]), "bseat", "bidrequest.bseat.exclusive"),
    Case(
        "wlang beside wlangb", "pod", put("wlang", ["en"]), "wlangb", "bidrequest.wlangb.exclusive"
    ),
    wrong("wlangb beside wlang", "audio", "wlangb", ["en"], "bidrequest.wlangb.exclusive"),
    Case("acat beside bcat", "web", put("acat", ["IAB1"]), "bcat", "bidrequest.bcat.exclusive"),
    wrong("bcat beside acat", "native", "bcat", ["IAB1"], "bidrequest.bcat.exclusive"),
    wrong("unknown currency", "web", "cur[1]", "EURO", "bidrequest.cur.format"),
    wrong("currency in small letters", "web", "cur[0]", "usd", "bidrequest.cur.format"),
    wrong("language by name", "audio", "wlang[0]", "English", "bidrequest.wlang.format"),
    wrong("three-letter language", "audio", "wlang[0]", "eng", "bidrequest.wlang.format"),
    wrong("tag with underscore", "pod", "wlangb[1]", "de_AT", "bidrequest.wlangb.format"),
    # Imp
    missing("imp without id", "web", "imp[0].id", "imp.id.required"),
    wrong("imp of an empty id", "web", "imp[0].id", "", "imp.id.required"),
    Case("imp that offers nothing", "dooh", drop("imp[0].banner"), "imp[0]", "imp.media-type"),
    wrong("second imp offers nothing", "web", "imp[1]", {"id": "2"}, "imp.media-type"),
    wrong("negative floor", "web", "imp[0].bidfloor", -0.01, "imp.bidfloor.range"),
    wrong("floor in no currency", "web", "imp[0].bidfloorcur", "US", "imp.bidfloorcur.format"),
    wrong("negative expiry", "web", "imp[0].exp", -1, "imp.exp.range"),
    wrong("negative time of display", "dooh", "imp[0].dt", -1, "imp.dt.range"),
    # Metric
    missing("metric without type", "web", "imp[0].metric[0].type", "metric.type.required"),
    missing("metric without value", "web", "imp[0].metric[0].value", "metric.value.required"),
    wrong(
        "viewability in percent", "web", "imp[0].metric[0].value", 70, "metric.value.probability"
    ),
    wrong(
        "negative probability", "web", "imp[0].metric[0].value", -0.1, "metric.value.probability"
    ),
    # Banner and Format
    wrong("banner of width 0", "web", "imp[0].banner.w", 0, "banner.w.range"),
    wrong("banner of negative height", "dooh", "imp[0].banner.h", -250, "banner.h.range"),
    missing("banner without height", "dooh", "imp[0].banner.h", "banner.h.with-w"),
    missing("banner without width", "dooh", "imp[0].banner.w", "banner.w.with-h"),
    wrong("format of width 0", "web", "imp[0].banner.format[0].w", 0, "format.w.range"),
    wrong("format of height 0", "web", "imp[0].banner.format[0].h", 0, "format.h.range"),
    missing("format without width", "web", "imp[0].banner.format[0].w", "format.w.with-h"),
    missing("format without height", "web", "imp[0].banner.format[0].h", "format.h.with-w"),
    missing(
        "flexible without hratio",
        "web",
        "imp[0].banner.format[1].hratio",
        "format.hratio.with-wratio",
    ),
    Case(
        "flexible without wratio",
        "web",
        put("imp[0].banner.format[1]", {"hratio": 9}),
        "imp[0].banner.format[1].wratio",
        "format.wratio.with-hratio",
    ),
    wrong("ratio of 0", "web", "imp[0].banner.format[1].wratio", 0, "format.wratio.range"),
    wrong("negative ratio", "web", "imp[0].banner.format[1].hratio", -9, "format.hratio.range"),
    wrong("negative least width", "web", "imp[0].banner.format[1].wmin", -1, "format.wmin.range"),
    wrong("companion of width 0", "web", "imp[0].video.companionad[0].w", 0, "banner.w.range"),
    missing(
        "companion without height", "audio", "imp[0].audio.companionad[0].h", "banner.h.with-w"
    ),
    # Video
    missing("video without mimes", "web", "imp[0].video.mimes", "video.mimes.required"),
    wrong("video with empty mimes", "pod", "imp[2].video.mimes", [], "video.mimes.required"),
    wrong("negative minduration", "web", "imp[0].video.minduration", -5, "video.minduration.range"),
    wrong("negative maxduration", "pod", "imp[2].video.maxduration", -1, "video.maxduration.range"),
    wrong(
        "minduration over maxduration",
        "web",
        "imp[0].video.minduration",
        31,
        "video.minduration.order",
    ),
    Case(
        "required durations beside minduration",
        "pod",
        put("imp[0].video.minduration", 5),
        "imp[0].video.rqddurs",
        "video.rqddurs.exclusive",
    ),
    Case(
        "required durations beside maxduration",
        "pod",
        put("imp[0].video.maxduration", 30),
        "imp[0].video.rqddurs",
        "video.rqddurs.exclusive",
    ),
    wrong(
        "range beside required durations",
        "web",
        "imp[0].video.rqddurs",
        [15],
        "video.rqddurs.exclusive",
    ),
    wrong("required duration of 0", "pod", "imp[0].video.rqddurs[1]", 0, "video.rqddurs.range"),
    wrong("start delay under -2", "web", "imp[0].video.startdelay", -3, "video.startdelay.range"),
    wrong("extension under -1", "web", "imp[0].video.maxextended", -2, "video.maxextended.range"),
    wrong("negative minbitrate", "web", "imp[0].video.minbitrate", -1, "video.minbitrate.range"),
    wrong("negative maxbitrate", "pod", "imp[2].video.maxbitrate", -1, "video.maxbitrate.range"),
    wrong(
        "minbitrate over maxbitrate",
        "web",
        "imp[0].video.minbitrate",
        1501,
        "video.minbitrate.order",
    ),
    wrong("player of width 0", "web", "imp[0].video.w", 0, "video.w.range"),
    wrong("player of negative height", "web", "imp[0].video.h", -1, "video.h.range"),
    wrong("negative skipmin", "web", "imp[0].video.skipmin", -1, "video.skipmin.range"),
    wrong("negative skipafter", "web", "imp[0].video.skipafter", -1, "video.skipafter.range"),
    wrong(
        "negative floor per second",
        "pod",
        "imp[1].video.mincpmpersec",
        -0.2,
        "video.mincpmpersec.range",
    ),
    Case(
        "floor per second beside duration floors",
        "web",
        put("imp[0].video.mincpmpersec", 0.1),
        "imp[0].video.durfloors",
        "video.durfloors.exclusive",
    ),
    wrong(
        "duration floors beside floor per second",
        "pod",
        "imp[1].video.durfloors",
        [{"maxdur": 9}],
        "video.durfloors.exclusive",
    ),
    # Pods
    missing("dynamic pod without poddur", "pod", "imp[1].video.poddur", "video.poddur.with-maxseq"),
    wrong("pod of 0 seconds", "pod", "imp[2].video.poddur", 0, "video.poddur.range"),
    wrong("maxseq of 0", "pod", "imp[1].video.maxseq", 0, "video.maxseq.range"),
    wrong(
        "pod too short for minduration", "web", "imp[0].video.poddur", 4, "video.poddur.shortest-ad"
    ),
    wrong(
        "pod too short for required durations",
        "pod",
        "imp[0].video.poddur",
        14,
        "video.poddur.shortest-ad",
    ),
    wrong(
        "pod in two places of the stream", "pod", "imp[1].video.podseq", -1, "imp.podseq.same-pod"
    ),
    wrong("two first slots in a pod", "pod", "imp[1].video.slotinpod", 1, "imp.slotinpod.same-pod"),
    Case(
        "two last slots in a pod",
        "pod",
        put("imp[0].video.slotinpod", -1),
        "imp[1].video.slotinpod",
        "imp.slotinpod.same-pod",
    ),
    # Audio
    missing("audio without mimes", "audio", "imp[0].audio.mimes", "audio.mimes.required"),
    wrong(
        "audio: negative minduration",
        "audio",
        "imp[0].audio.minduration",
        -1,
        "audio.minduration.range",
    ),
    Case(
        "audio: negative maxduration",
        "audio",
        put("imp[0].audio", {"mimes": ["a"], "maxduration": -1}),
        "imp[0].audio.maxduration",
        "audio.maxduration.range",
    ),
    wrong(
        "audio: minduration over maxduration",
        "audio",
        "imp[0].audio.minduration",
        31,
        "audio.minduration.order",
    ),
    wrong(
        "audio: required durations beside a range",
        "audio",
        "imp[0].audio.rqddurs",
        [15],
        "audio.rqddurs.exclusive",
    ),
    Case(
        "audio: required duration under 0",
        "audio",
        put("imp[0].audio", {"mimes": ["a"], "rqddurs": [-15]}),
        "imp[0].audio.rqddurs[0]",
        "audio.rqddurs.range",
    ),
    wrong(
        "audio: start delay under -2",
        "audio",
        "imp[0].audio.startdelay",
        -9,
        "audio.startdelay.range",
    ),
    wrong(
        "audio: extension under -1",
        "audio",
        "imp[0].audio.maxextended",
        -2,
        "audio.maxextended.range",
    ),
    wrong(
        "audio: negative minbitrate",
        "audio",
        "imp[0].audio.minbitrate",
        -1,
        "audio.minbitrate.range",
    ),
    Case(
        "audio: negative maxbitrate",
        "audio",
        put("imp[0].audio", {"mimes": ["a"], "maxbitrate": -1}),
        "imp[0].audio.maxbitrate",
        "audio.maxbitrate.range",
    ),
    Case(
        "audio: minbitrate over maxbitrate",
        "audio",
        put("imp[0].audio.maxbitrate", 63),
        "imp[0].audio.minbitrate",
        "audio.minbitrate.order",
    ),
    missing(
        "audio: dynamic pod without poddur",
        "audio",
        "imp[0].audio.poddur",
        "audio.poddur.with-maxseq",
    ),
    Case(
        "audio: pod of negative length",
        "audio",
        put("imp[0].audio", {"mimes": ["a"], "poddur": -1}),
        "imp[0].audio.poddur",
        "audio.poddur.range",
    ),
    wrong(
        "audio: pod too short for an ad",
        "audio",
        "imp[0].audio.poddur",
        9,
        "audio.poddur.shortest-ad",
    ),
    wrong("audio: maxseq of 0", "audio", "imp[0].audio.maxseq", 0, "audio.maxseq.range"),
    wrong(
        "audio: negative floor per second",
        "audio",
        "imp[0].audio.mincpmpersec",
        -1,
        "audio.mincpmpersec.range",
    ),
    Case(
        "audio: two kinds of floors by duration",
        "audio",
        put("imp[0].audio", {"mimes": ["a"], "mincpmpersec": 1, "durfloors": [{"mindur": 1}]}),
        "imp[0].audio.durfloors",
        "audio.durfloors.exclusive",
    ),
    # DurFloors
    wrong(
        "range without ends",
        "web",
        "imp[0].video.durfloors[0]",
        {"bidfloor": 1},
        "durfloors.bounds",
    ),
    Case(
        "range upside down",
        "web",
        put("imp[0].video.durfloors[1].maxdur", 15),
        "imp[0].video.durfloors[1].mindur",
        "durfloors.mindur.order",
    ),
    wrong(
        "negative lower end",
        "web",
        "imp[0].video.durfloors[0].mindur",
        -1,
        "durfloors.mindur.range",
    ),
    wrong(
        "negative upper end",
        "web",
        "imp[0].video.durfloors[0].maxdur",
        -1,
        "durfloors.maxdur.range",
    ),
    wrong(
        "negative floor of a range",
        "web",
        "imp[0].video.durfloors[0].bidfloor",
        -1,
        "durfloors.bidfloor.range",
    ),
    Case(
        "deal's range without ends",
        "web",
        put("imp[0].pmp.deals[2]", {"id": "D3", "durfloors": [{}]}),
        "imp[0].pmp.deals[2].durfloors[0]",
        "durfloors.bounds",
    ),
    # Pmp and Deal
    wrong("two deals of one id", "web", "imp[0].pmp.deals[1].id", "D1", "pmp.deals.unique"),
    missing("deal without id", "web", "imp[0].pmp.deals[1].id", "deal.id.required"),
    wrong("negative deal floor", "web", "imp[0].pmp.deals[0].bidfloor", -2, "deal.bidfloor.range"),
    wrong(
        "deal floor in no currency",
        "web",
        "imp[0].pmp.deals[0].bidfloorcur",
        "€",
        "deal.bidfloorcur.format",
    ),
    wrong("guarantee that is no flag", "web", "imp[0].pmp.deals[0].guar", 2, "deal.guar.flag"),
    wrong(
        "negative deal floor per second",
        "web",
        "imp[0].pmp.deals[1].mincpmpersec",
        -1,
        "deal.mincpmpersec.range",
    ),
    Case(
        "deal floor beside floor per second",
        "web",
        put("imp[0].pmp.deals[1].bidfloor", 0),
        "imp[0].pmp.deals[1].mincpmpersec",
        "deal.mincpmpersec.exclusive",
    ),
    wrong(
        "deal floor beside duration floors",
        "web",
        "imp[0].pmp.deals[0].durfloors",
        [{"mindur": 1}],
        "deal.durfloors.exclusive",
    ),
    wrong(
        "deal's duration floors beside per second",
        "web",
        "imp[0].pmp.deals[1].durfloors",
        [{"mindur": 1}],
        "deal.durfloors.exclusive",
    ),
    # Native
    missing("native without request", "native", "imp[0].native.request", "native.request.required"),
    wrong(
        "native request that is no JSON",
        "native",
        "imp[0].native.request",
        "{assets}",
        "native.request.json",
    ),
    wrong(
        "native request that is empty", "native", "imp[0].native.request", "", "native.request.json"
    ),
    wrong(
        "native request that is no object",
        "native",
        "imp[0].native.request",
        "[]",
        "native.request.json",
    ),
    wrong(
        "native asset of a wrong type",
        "native",
        "imp[0].native.request.assets[0].title",
        9,
        "native.request.json",
    ),
    wrong(
        "another native version inside",
        "native",
        "imp[0].native.request.ver",
        "1.3",
        "native.request.version",
    ),
    wrong("native version in words", "native", "imp[0].native.ver", "v1.2", "native.ver.format"),
    wrong(
        "inner native version in words",
        "native",
        "imp[0].native.request.ver",
        "1.x",
        "nativerequest.ver.format",
    ),
    wrong(
        "native without assets",
        "native",
        "imp[0].native.request.assets",
        [],
        "nativerequest.assets.required",
    ),
    wrong(
        "two assets of one id",
        "native",
        "imp[0].native.request.assets[1].id",
        0,
        "nativerequest.assets.unique",
    ),
    wrong(
        "no places", "native", "imp[0].native.request.plcmtcnt", 0, "nativerequest.plcmtcnt.range"
    ),
    wrong(
        "negative sequence", "native", "imp[0].native.request.seq", -1, "nativerequest.seq.range"
    ),
    missing(
        "asset without id",
        "native",
        "imp[0].native.request.assets[1].id",
        "nativeasset.id.required",
    ),
    Case(
        "asset of no kind",
        "native",
        drop("imp[0].native.request.assets[1].img"),
        "imp[0].native.request.assets[1]",
        "nativeasset.kind",
    ),
    Case(
        "asset of two kinds",
        "native",
        put("imp[0].native.request.assets[1].data", {"type": 2}),
        "imp[0].native.request.assets[1].img",
        "native.request.json",
    ),
    Case(
        "title without length",
        "native",
        put("imp[0].native.request.assets[0].title", {}),
        "imp[0].native.request.assets[0].title.len",
        "nativetitle.len.required",
    ),
    wrong(
        "title of no length",
        "native",
        "imp[0].native.request.assets[0].title.len",
        0,
        "nativetitle.len.range",
    ),
    wrong(
        "image of width 0",
        "native",
        "imp[0].native.request.assets[4].img.w",
        0,
        "nativeimg.w.range",
    ),
    wrong(
        "image of height 0",
        "native",
        "imp[0].native.request.assets[4].img.h",
        0,
        "nativeimg.h.range",
    ),
    wrong(
        "negative least image width",
        "native",
        "imp[0].native.request.assets[1].img.wmin",
        -1,
        "nativeimg.wmin.range",
    ),
    wrong(
        "negative least image height",
        "native",
        "imp[0].native.request.assets[1].img.hmin",
        -1,
        "nativeimg.hmin.range",
    ),
    missing(
        "data without type",
        "native",
        "imp[0].native.request.assets[2].data.type",
        "nativedata.type.required",
    ),
    wrong(
        "data of no length",
        "native",
        "imp[0].native.request.assets[2].data.len",
        0,
        "nativedata.len.range",
    ),
    missing(
        "native video without mimes",
        "native",
        "imp[0].native.request.assets[3].video.mimes",
        "video.mimes.required",
    ),
    missing(
        "native video without minduration",
        "native",
        "imp[0].native.request.assets[3].video.minduration",
        "nativevideo.minduration.required",
    ),
    missing(
        "native video without maxduration",
        "native",
        "imp[0].native.request.assets[3].video.maxduration",
        "nativevideo.maxduration.required",
    ),
    missing(
        "native video without protocols",
        "native",
        "imp[0].native.request.assets[3].video.protocols",
        "nativevideo.protocols.required",
    ),
    missing(
        "tracker without event",
        "native",
        "imp[0].native.request.eventtrackers[0].event",
        "nativeeventtracker.event.required",
    ),
    wrong(
        "tracker without methods",
        "native",
        "imp[0].native.request.eventtrackers[0].methods",
        [],
        "nativeeventtracker.methods.required",
    ),
    # Site, App, Content
    Case(
        "site: keywords twice",
        "native",
        put("site.keywords", "x"),
        "site.kwarray",
        "site.kwarray.exclusive",
    ),
    Case(
        "app: keywords twice",
        "pod",
        put("app.keywords", "tv"),
        "app.kwarray",
        "app.kwarray.exclusive",
    ),
    Case(
        "content: keywords twice",
        "web",
        put("site.content.keywords", "x"),
        "site.content.kwarray",
        "content.kwarray.exclusive",
    ),
    wrong("content: language twice", "web", "site.content.langb", "en", "content.langb.exclusive"),
    wrong(
        "content: unknown language", "web", "site.content.language", "qq", "content.language.format"
    ),
    wrong("content: malformed tag", "audio", "app.content.langb", "e", "content.langb.format"),
    wrong("content of negative length", "web", "site.content.len", -1, "content.len.range"),
    wrong("malformed recording code", "web", "site.content.isrc", "AA-6Q7", "content.isrc.format"),
    # Device
    wrong("IPv4 out of range", "web", "device.ip", "203.0.113.256", "device.ip.format"),
    wrong("IPv4 with a blank octet", "web", "device.ip", "203.0.113.", "device.ip.format"),
    wrong("IPv6 in the field of IPv4", "web", "device.ip", "2001:db8::7", "device.ip.format"),
    wrong("IPv6 with two gaps", "web", "device.ipv6", "2001::db8::7", "device.ipv6.format"),
    wrong("IPv6 with a zone", "web", "device.ipv6", "fe80::1%eth0", "device.ipv6.format"),
    Case(
        "device: language twice",
        "web",
        put("device.language", "zh"),
        "device.langb",
        "device.langb.exclusive",
    ),
    wrong(
        "device: language with region", "pod", "device.language", "de-AT", "device.language.format"
    ),
    wrong("device: malformed tag", "web", "device.langb", "zh--TW", "device.langb.format"),
    wrong("carrier without dash", "web", "device.mccmnc", "310005", "device.mccmnc.format"),
    wrong("negative screen width", "web", "device.w", -1, "device.w.range"),
    wrong("negative screen height", "web", "device.h", -1, "device.h.range"),
    wrong("negative resolution", "web", "device.ppi", -1, "device.ppi.range"),
    wrong("pixel ratio of 0", "web", "device.pxratio", 0, "device.pxratio.range"),
    missing(
        "browser without brand",
        "web",
        "device.sua.browsers[0].brand",
        "brandversion.brand.required",
    ),
    Case(
        "platform without brand",
        "web",
        put("device.sua.platform", {"version": ["1"]}),
        "device.sua.platform.brand",
        "brandversion.brand.required",
    ),
    # Geo
    wrong("latitude beyond the pole", "web", "device.geo.lat", 90.5, "geo.lat.range"),
    wrong("longitude beyond the date line", "web", "device.geo.lon", -180.5, "geo.lon.range"),
    wrong("negative accuracy", "web", "device.geo.accuracy", -1, "geo.accuracy.range"),
    wrong("fix in the future", "web", "device.geo.lastfix", -1, "geo.lastfix.range"),
    wrong("two-letter country", "web", "user.geo.country", "GB", "geo.country.format"),
    wrong("unknown country", "web", "user.geo.country", "ZZZ", "geo.country.format"),
    wrong("region by name", "web", "user.geo.region", "Scotland", "geo.region.format"),
    wrong("state of the USA by number", "web", "device.geo.region", "36", "geo.region.state"),
    wrong("UTC offset in seconds", "web", "device.geo.utcoffset", -18000, "geo.utcoffset.range"),
    # User
    Case(
        "user: keywords twice",
        "web",
        put("user.keywords", "sports"),
        "user.kwarray",
        "user.kwarray.exclusive",
    ),
    wrong("custom data with a blank", "web", "user.customdata", "a b", "user.customdata.format"),
    # Supply chain
    missing(
        "chain without completeness",
        "web",
        "source.schain.complete",
        "supplychain.complete.required",
    ),
    wrong("chain without nodes", "web", "source.schain.nodes", [], "supplychain.nodes.required"),
    missing("chain without version", "web", "source.schain.ver", "supplychain.ver.required"),
    wrong("chain of half a version", "web", "source.schain.ver", "1", "supplychain.ver.format"),
    wrong("chain of an empty version", "web", "source.schain.ver", "", "supplychain.ver.format"),
    missing(
        "node without system", "web", "source.schain.nodes[0].asi", "supplychainnode.asi.required"
    ),
    missing(
        "node without seller", "web", "source.schain.nodes[1].sid", "supplychainnode.sid.required"
    ),
    wrong(
        "node of an empty seller",
        "web",
        "source.schain.nodes[1].sid",
        "",
        "supplychainnode.sid.required",
    ),
    wrong(
        "node outside the payment",
        "web",
        "source.schain.nodes[0].hp",
        0,
        "supplychainnode.hp.version-1",
    ),
    # Qty, Refresh
    missing(
        "quantity without multiplier", "dooh", "imp[0].qty.multiplier", "qty.multiplier.required"
    ),
    wrong("multiplier of 0", "dooh", "imp[0].qty.multiplier", 0, "qty.multiplier.range"),
    missing(
        "measurement without vendor", "dooh", "imp[0].qty.vendor", "qty.vendor.with-sourcetype"
    ),
    wrong("negative refresh count", "web", "imp[0].refresh.count", -1, "refresh.count.range"),
    wrong(
        "negative refresh interval",
        "web",
        "imp[0].refresh.refsettings[0].minint",
        -1,
        "refsettings.minint.range",
    ),
]

# Accepted, with exactly this warning.
DOUBTFUL = [
    wrong("auction type that nobody defined", "web", "at", 4, "bidrequest.at.known"),
    wrong("time of display in seconds", "dooh", "imp[0].dt", 1_700_000_000, "imp.dt.milliseconds"),
    wrong("format without any size", "web", "imp[0].banner.format[1]", {}, "format.size"),
    Case(
        "least width without ratio",
        "web",
        put("imp[0].banner.format[0].wmin", 200),
        "imp[0].banner.format[0].wratio",
        "format.wratio.with-wmin",
    ),
    wrong("banner: wmax", "web", "imp[0].banner.wmax", 9, "banner.wmax.deprecated"),
    wrong("banner: hmax", "web", "imp[0].banner.hmax", 9, "banner.hmax.deprecated"),
    wrong("banner: wmin", "web", "imp[0].banner.wmin", 9, "banner.wmin.deprecated"),
    wrong("banner: hmin", "web", "imp[0].banner.hmin", 9, "banner.hmin.deprecated"),
    wrong(
        "banner that says how companions show",
        "web",
        "imp[0].banner.vcm",
        0,
        "banner.vcm.companion-only",
    ),
    wrong(
        "companion of audio with vcm",
        "audio",
        "imp[0].audio.companionad[0].vcm",
        1,
        "banner.vcm.companion-only",
    ),
    wrong(
        "companion with the banner's id",
        "web",
        "imp[0].video.companionad[1].id",
        "b1",
        "banner.id.unique",
    ),
    wrong(
        "two companions of one id",
        "web",
        "imp[0].video.companionad[1].id",
        "c1",
        "banner.id.unique",
    ),
    wrong("video: placement", "web", "imp[0].video.placement", 1, "video.placement.deprecated"),
    wrong("video: sequence", "web", "imp[0].video.sequence", 1, "video.sequence.deprecated"),
    wrong("video: protocol", "web", "imp[0].video.protocol", 2, "video.protocol.deprecated"),
    wrong("audio: sequence", "audio", "imp[0].audio.sequence", 1, "audio.sequence.deprecated"),
    Case(
        "podseq outside a pod",
        "web",
        put("imp[0].video.podseq", 1),
        "imp[0].video.podid",
        "video.podid.with-podseq",
    ),
    Case(
        "slot outside a pod",
        "web",
        put("imp[0].video.slotinpod", 1),
        "imp[0].video.podid",
        "video.podid.with-slotinpod",
    ),
    Case(
        "deduplication outside a pod",
        "web",
        put("imp[0].video.poddedupe", [1]),
        "imp[0].video.podid",
        "video.podid.with-poddedupe",
    ),
    Case(
        "audio: podseq outside a pod",
        "audio",
        put("imp[0].audio", {"mimes": ["a"], "podseq": 1}),
        "imp[0].audio.podid",
        "audio.podid.with-podseq",
    ),
    Case(
        "audio: slot outside a pod",
        "audio",
        put("imp[0].audio", {"mimes": ["a"], "slotinpod": 1}),
        "imp[0].audio.podid",
        "audio.podid.with-slotinpod",
    ),
    wrong(
        "ad longer than its pod", "pod", "imp[1].video.maxduration", 61, "video.maxduration.poddur"
    ),
    wrong(
        "audio ad longer than its pod",
        "audio",
        "imp[0].audio.maxduration",
        121,
        "audio.maxduration.poddur",
    ),
    Case(
        "private auction without deals",
        "pod",
        put("imp[0].pmp", {"private_auction": 1}),
        "imp[0].pmp.deals",
        "pmp.deals.private-auction",
    ),
    wrong(
        "fixed price of 0", "web", "imp[0].pmp.deals[0].bidfloor", 0, "deal.bidfloor.fixed-price"
    ),
    missing(
        "fixed price untold", "web", "imp[0].pmp.deals[0].bidfloor", "deal.bidfloor.fixed-price"
    ),
    Case(
        "native 1.0 without its root",
        "native",
        put(
            "imp[0].native", {"ver": "1.0", "request": {"assets": [{"id": 1, "title": {"len": 9}}]}}
        ),
        "imp[0].native.request",
        "native.request.root",
    ),
    Case(
        "native 1.2 with the root of 1.0",
        "native",
        put(
            "imp[0].native",
            {"ver": "1.2", "request": {"native": {"assets": [{"id": 1, "title": {"len": 9}}]}}},
        ),
        "imp[0].native.request",
        "native.request.root",
    ),
    Case(
        "native 1.1 with event trackers",
        "native",
        put(
            "imp[0].native",
            {
                "request": {
                    "ver": "1.1",
                    "eventtrackers": [{"event": 1, "methods": [1]}],
                    "assets": [{"id": 1, "title": {"len": 9}}],
                }
            },
        ),
        "imp[0].native.request.eventtrackers",
        "nativerequest.eventtrackers.version",
    ),
    wrong(
        "native layout after 1.0",
        "native",
        "imp[0].native.request.layout",
        3,
        "nativerequest.layout.version",
    ),
    wrong(
        "native ad unit after 1.0",
        "native",
        "imp[0].native.request.adunit",
        2,
        "nativerequest.adunit.version",
    ),
    wrong(
        "quality of video", "web", "site.content.videoquality", 1, "content.videoquality.deprecated"
    ),
    missing("longitude alone", "web", "device.geo.lat", "geo.lat.with-lon"),
    missing("latitude alone", "web", "device.geo.lon", "geo.lon.with-lat"),
    Case(
        "IP service for a GPS position",
        "web",
        put("device.geo.type", 1),
        "device.geo.ipservice",
        "geo.ipservice.type",
    ),
    wrong("year of birth", "web", "user.yob", 1990, "user.yob.deprecated"),
    wrong("gender", "web", "user.gender", "F", "user.gender.deprecated"),
    *(
        Case(
            f"device: {name}",
            "web",
            put(f"device.{name}", "00"),
            f"device.{name}",
            f"device.{name}.deprecated",
        )
        for name in ("didsha1", "didmd5", "dpidsha1", "dpidmd5", "macsha1", "macmd5")
    ),
    missing(
        "node that doesn't tell hp",
        "web",
        "source.schain.nodes[0].hp",
        "supplychainnode.hp.required",
    ),
    wrong(
        "seller id of 65 characters",
        "web",
        "source.schain.nodes[0].sid",
        "x" * 65,
        "supplychainnode.sid.length",
    ),
    missing("inferred id without matcher", "web", "user.eids[1].matcher", "eid.matcher.with-mm"),
    missing(
        "venue taxonomy without venue", "dooh", "dooh.venuetype", "dooh.venuetype.with-venuetypetax"
    ),
    wrong("venue taxonomy 0", "dooh", "dooh.venuetypetax", 0, "dooh.venuetypetax.deprecated"),
    missing("DOOH without geo", "dooh", "device.geo", "dooh.geo"),
    Case(
        "chain in ext",
        "web",
        put(
            "source.ext",
            {"schain": {"ver": "1.0", "complete": 1, "nodes": [{"asi": "a", "sid": "b", "hp": 1}]}},
        ),
        "source.ext.schain",
        "source.ext.schain.deprecated",
    ),
    Case(
        "gdpr in ext",
        "web",
        put("regs.ext", {"gdpr": 1}),
        "regs.ext.gdpr",
        "regs.ext.gdpr.deprecated",
    ),
    Case(
        "us_privacy in ext",
        "web",
        put("regs.ext", {"us_privacy": "1YNN"}),
        "regs.ext.us_privacy",
        "regs.ext.us_privacy.deprecated",
    ),
    Case(
        "consent in ext",
        "web",
        put("user.ext", {"consent": "C"}),
        "user.ext.consent",
        "user.ext.consent.deprecated",
    ),
    Case(
        "eids in ext",
        "web",
        put("user.ext", {"eids": [{"source": "a.example"}]}),
        "user.ext.eids",
        "user.ext.eids.deprecated",
    ),
    Case(
        "single SKAdNetwork version",
        "web",
        put("imp[0].ext", {"skadn": {"version": "2.0"}}),
        "imp[0].ext.skadn.version",
        "skadn.version.deprecated",
    ),
]
