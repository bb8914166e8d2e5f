"""What a resolution has to be, as `expected.json` of a chain says it; see `index.json`.

A key that is absent is not checked; an empty list or null has to be empty.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from vast.chain_server import ChainServer
from xsp.vast.v1 import resolution_pb2 as pb
from xsp.vast.v1 import vast_pb2
from xsp_server.vast.merge import Link, merge
from xsp_server.vast.parse import parse

_OUTCOMES = {
    "ad": pb.RESOLUTION_OUTCOME_AD,
    "no_ad": pb.RESOLUTION_OUTCOME_NO_AD,
    "error": pb.RESOLUTION_OUTCOME_ERROR,
}
_Kind = pb.TrackingKind


def check(resolution: pb.Resolution, server: ChainServer) -> None:
    """Holds a resolution, and what the server was asked, against what is expected of its chain."""
    expected = server.chain.expected
    assert resolution.outcome == _OUTCOMES[expected["outcome"]]
    _check_fetched(server, expected)
    _check_hops(resolution, expected)
    assert [each.ad.id for each in resolution.ads] == [each["id"] for each in expected["ads"]]
    for resolved, each in zip(resolution.ads, expected["ads"], strict=True):
        _check_ad(resolved, each)
        _check_origins(resolved)
    _check_errors(resolution, expected)
    _check_fallback(resolution, expected)
    _check_xml(resolution, expected)
    if "xml_version" not in server.chain.documents["options"]:
        _check_whole(resolution)
    _check_others(resolution, expected)


def _check_fetched(server: ChainServer, expected: Mapping[str, Any]) -> None:
    assert server.unknown == []
    if "fetched" in expected:
        assert server.fetched == expected["fetched"]
    if "fetched_set" in expected:
        assert set(server.fetched) == set(expected["fetched_set"])
    if "fetched_like" in expected:
        _check_like(server.fetched, expected)
    assert len(server.fetched) <= expected.get("max_fetches", 1000)
    assert not set(server.fetched) & set(expected.get("must_not_fetch", ()))
    for rule in expected.get("must_not_send", ()):
        assert all(
            rule["header"] not in headers for uri, headers in server.asked if uri == rule["to"]
        )
    for rule in expected.get("must_send", ()):
        sent = [headers.get(rule["header"]) for uri, headers in server.asked if uri == rule["to"]]
        assert sent == [rule["value"]]


def _check_like(fetched: Sequence[str], expected: Mapping[str, Any]) -> None:
    matches = [
        re.fullmatch(pattern, uri)
        for pattern, uri in zip(expected["fetched_like"], fetched, strict=True)
    ]
    assert all(matches), fetched
    for name in expected["differ"]:
        assert len({match and match[name] for match in matches}) == len(matches)
    for name in expected["same"]:
        assert len({match and match[name] for match in matches}) == 1


def _check_hops(resolution: pb.Resolution, expected: Mapping[str, Any]) -> None:
    assert [hop.index for hop in resolution.hops] == list(range(len(resolution.hops)))
    assert resolution.fetch_count == sum(hop.request_count for hop in resolution.hops)
    if "hops" in expected:
        depths = [hop.depth for hop in resolution.hops if hop.request_count or not hop.tag_uri]
        assert max(depths) == expected["hops"]
        assert all(each.wrapper_count == expected["hops"] for each in resolution.ads)


def _check_ad(resolved: pb.ResolvedAd, expected: Mapping[str, Any]) -> None:
    for key, value in expected.items():
        read = _READ[key](resolved)
        if key == "impressions":
            assert read == value
        elif key in _LISTS_OF_OBJECTS:
            assert len(read) == len(value), key
            for one, other in zip(read, value, strict=True):
                for name, wanted in other.items():
                    assert _sorted(one[name]) == _sorted(wanted), f"{key}.{name}"
        else:
            assert _sorted(read) == _sorted(value), key


_LISTS_OF_OBJECTS = {"linear", "nonlinear", "companions", "icons", "verifications"}
"""Their objects have an order; of their members those that are expected are compared."""


def _check_errors(resolution: pb.Resolution, expected: Mapping[str, Any]) -> None:
    assert len(resolution.failures) == len(expected["errors"])
    unexplained = Counter(url.url for url in resolution.error_plan)
    for index, each in enumerate(expected["errors"]):
        failure = resolution.failures[index]
        assert failure.code == each["code"]
        if "ad" in each:
            assert failure.chain[-1].ad_id == each["ad"]
        plan = [url for url in resolution.error_plan if url.HasField("failure")]
        plan = [url for url in plan if url.failure == index]
        assert all(url.code == failure.code for url in plan)
        must = Counter(url.url for url in plan if url.duty == pb.FIRING_DUTY_MUST)
        should = Counter(url.url for url in plan if url.duty == pb.FIRING_DUTY_SHOULD)
        assert not Counter(each["must_fire"]) - must
        assert not Counter(each.get("should_fire", ())) - (must + should)
        if "fire_rule" not in each:
            assert not must - Counter(each["must_fire"])
            assert not should - Counter(each.get("should_fire", ()))
        unexplained -= must + should
    may = Counter(url.url for url in resolution.error_plan if url.duty == pb.FIRING_DUTY_MAY)
    assert may == Counter(expected.get("may_fire", ()))
    assert unexplained - may == Counter(expected.get("root_fire", ()))


def _check_fallback(resolution: pb.Resolution, expected: Mapping[str, Any]) -> None:
    found = [
        {
            "failed_ad": resolution.failures[each.fallback_for].chain[-1].ad_id,
            "use": each.ad.id,
        }
        for each in resolution.ads
        if each.HasField("fallback_for")
    ]
    assert found == expected.get("fallback", [])


def _check_xml(resolution: pb.Resolution, expected: Mapping[str, Any]) -> None:
    """The merged document reads as the ads do, as far as its version has a place for them."""
    merged = parse(resolution.xml.encode())
    assert not merged.errors
    assert len(merged.ads) == len(resolution.ads)
    for ad, resolved in zip(merged.ads, resolution.ads, strict=True):
        assert (ad.id, ad.HasField("sequence")) == (
            resolved.ad.id,
            resolved.ad.HasField("sequence"),
        )
        assert _urls(ad.inline.impressions) == _urls(resolved.ad.inline.impressions)
        assert [_tracking(each.linear) for each in ad.inline.creatives] == [
            _tracking(each.linear) for each in resolved.ad.inline.creatives
        ]
    for text in expected.get("xml_has", ()):
        assert text in resolution.xml
    if "xml_ad_parameters" in expected:
        assert expected["xml_ad_parameters"] == [
            each.linear.ad_parameters.value for ad in merged.ads for each in ad.inline.creatives
        ]


def _check_whole(resolution: pb.Resolution) -> None:
    """The version of the merged document has a place for all of the ads.

    Every URL that is there to be requested is in it, as often as the answer lists it.
    """
    for ad, resolved in zip(parse(resolution.xml.encode()).ads, resolution.ads, strict=True):
        assert _without_old_ids(ad) == _without_old_ids(resolved.ad)
        assert _requested(merge([Link(ad, 0)])) == _requested(resolved)


def _without_old_ids(ad: vast_pb2.Ad) -> vast_pb2.Ad:
    """An ad without `idValue`, which only 4.0 has, and 4.0 has one UniversalAdId."""
    copied = vast_pb2.Ad()
    copied.CopyFrom(ad)
    for creative in copied.inline.creatives:
        for each in creative.universal_ad_ids:
            each.ClearField("id_value")
    return copied


def _requested(resolved: pb.ResolvedAd) -> Counter[tuple[Any, ...]]:
    """Every tracking URL with what it is for, as often as it is there."""
    return Counter(
        (url.kind, url.event, url.offset, url.id, url.url) for url in resolved.tracking_urls
    )


def _check_others(resolution: pb.Resolution, expected: Mapping[str, Any]) -> None:
    left_out = [each.ad.ad_id for each in resolution.left_out_ads]
    if "left_out" in expected:
        assert left_out == expected["left_out"]
    if "source" in expected:
        assert resolution.source == expected["source"]
    if "expires_s" in expected:
        begin, end = resolution.start_time.ToDatetime(), resolution.expire_time.ToDatetime()
        left = (end - begin).total_seconds() - expected["expires_s"]
        assert 0 <= left <= resolution.elapsed.ToTimedelta().total_seconds()
        assert all(ad.metadata.expire_time == resolution.expire_time for ad in resolution.ads)


def _check_origins(resolved: pb.ResolvedAd) -> None:
    """Every URL of the ad is listed once for each time that it stands there, with its hop."""
    hops = [link.hop for link in resolved.chain]
    positions = [hops.index(url.hop) for url in resolved.tracking_urls]
    assert positions == sorted(positions), "outermost Wrapper first"
    assert Counter(url.url for url in resolved.tracking_urls) == Counter(_all_urls(resolved))
    inline = resolved.ad.inline
    assert [(each.creative_index, each.companion_index) for each in resolved.companions] == [
        (creative, index)
        for creative, one in enumerate(inline.creatives)
        for index in range(len(one.companion_ads.companions))
    ]
    assert [(each.creative_index, each.icon_index) for each in resolved.icons] == [
        (creative, index)
        for creative, one in enumerate(inline.creatives)
        for index in range(len(one.linear.icons))
    ]
    assert len(resolved.extension_hops) == len(inline.extensions)


def _all_urls(resolved: pb.ResolvedAd) -> Iterable[str]:
    inline = resolved.ad.inline
    viewable = inline.viewable_impression
    found = [
        _urls(inline.impressions),
        inline.errors,
        viewable.viewables,
        viewable.not_viewables,
        viewable.view_undetermineds,
        *(_urls(each.verification.tracking_events) for each in resolved.verifications),
    ]
    for creative in inline.creatives:
        linear = creative.linear
        found += [
            _urls(linear.tracking_events),
            _urls(linear.video_clicks.click_trackings),
            _urls(linear.video_clicks.custom_clicks),
            _urls(creative.non_linear_ads.tracking_events),
        ]
        for icon in linear.icons:
            clicks = icon.icon_clicks.icon_click_trackings
            found += [icon.icon_view_trackings, _urls(clicks)]
        for non_linear in creative.non_linear_ads.non_linears:
            clicks = non_linear.non_linear_click_trackings
            found += [_urls(non_linear.tracking_events), _urls(clicks)]
        for companion in creative.companion_ads.companions:
            clicks = companion.companion_click_trackings
            found += [_urls(companion.tracking_events), _urls(clicks)]
    return (url for url in chain.from_iterable(found) if url != "about:blank")


def _urls(elements: Iterable[Any]) -> list[str]:
    return [element.url for element in elements]


def _sorted(value: Any) -> Any:
    """Lists without their order, as deep as they go."""
    if isinstance(value, Mapping):
        return {key: _sorted(each) for key, each in value.items()}
    if isinstance(value, list):
        return sorted((_sorted(each) for each in value), key=repr)
    return value


def _linear(resolved: pb.ResolvedAd) -> list[dict[str, Any]]:
    return [
        _linear_creative(creative, metadata)
        for creative, metadata in zip(
            resolved.ad.inline.creatives, resolved.metadata.creatives, strict=True
        )
        if creative.HasField("linear")
    ]


def _linear_creative(creative: vast_pb2.Creative, metadata: Any) -> dict[str, Any]:
    linear = creative.linear
    clicks = linear.video_clicks
    files = linear.media_files
    return {
        "id": creative.id or None,
        "ad_id": creative.ad_id or None,
        "duration": linear.duration or None,
        "skipoffset": linear.skipoffset or None,
        "universal_ad_ids": [
            {"id_registry": each.id_registry, "value": each.value}
            for each in metadata.universal_ad_ids
        ],
        "media_files": [_media_file(each) for each in files.media_files],
        "mezzanines": _urls(files.mezzanines),
        "interactive": [
            {
                "url": each.url,
                "type": each.type,
                "api_framework": each.api_framework,
                **({"variable_duration": True} if each.variable_duration else {}),
            }
            for each in files.interactive_creative_files
        ],
        "captions": [
            {"url": each.url, "type": each.type, "language": each.language}
            for each in files.closed_caption_files
        ],
        "ad_parameters": linear.ad_parameters.value or None,
        "tracking": _tracking(linear),
        "click_through": clicks.click_through.url or None,
        "click_tracking": _urls(clicks.click_trackings),
        "custom_click": _urls(clicks.custom_clicks),
    }


def _media_file(file: vast_pb2.MediaFile) -> dict[str, Any]:
    read: dict[str, Any] = {
        "url": file.url,
        "type": file.type,
        "width": file.width,
        "height": file.height,
        "bitrate": file.bitrate if file.HasField("bitrate") else None,
    }
    if file.delivery == "streaming":
        read["delivery"] = file.delivery
    for name in ("min_bitrate", "max_bitrate", "api_framework"):
        if file.HasField(name):
            read[name] = getattr(file, name)
    return read


def _tracking(holder: Any) -> dict[str, list[str]]:
    """URLs by event; progress has its offset as written."""
    events: dict[str, list[str]] = {}
    for each in holder.tracking_events:
        name = f"{each.event}@{each.offset}" if each.event == "progress" else each.event
        events.setdefault(name, []).append(each.url)
    return events


def _non_linear(resolved: pb.ResolvedAd) -> list[dict[str, Any]]:
    return [
        {
            "id": creative.id or None,
            "tracking": _tracking(creative.non_linear_ads),
            "items": [
                {
                    "id": each.id or None,
                    "width": each.width,
                    "height": each.height,
                    "min_suggested_duration": each.min_suggested_duration or None,
                    "static": _urls(each.static_resources),
                    "click_through": each.non_linear_click_through or None,
                    "click_tracking": _urls(each.non_linear_click_trackings),
                }
                for each in creative.non_linear_ads.non_linears
            ],
        }
        for creative in resolved.ad.inline.creatives
        if creative.HasField("non_linear_ads")
    ]


def _companions(resolved: pb.ResolvedAd) -> list[dict[str, Any]]:
    found = []
    for origin in resolved.companions:
        ads = resolved.ad.inline.creatives[origin.creative_index].companion_ads
        each = ads.companions[origin.companion_index]
        found.append(
            {
                "id": each.id or None,
                "width": each.width,
                "height": each.height,
                "static": _urls(each.static_resources),
                "html": [resource.value for resource in each.html_resources],
                "iframe": list(each.iframe_resources),
                "click_through": each.companion_click_through or None,
                "click_tracking": _urls(each.companion_click_trackings),
                "tracking": _tracking(each),
                "preferred": origin.preferred,
            }
        )
    return found


def _companions_required(resolved: pb.ResolvedAd) -> str | None:
    required = [each.companion_ads.required for each in resolved.ad.inline.creatives]
    return next(filter(None, required), None)


def _icons(resolved: pb.ResolvedAd) -> list[dict[str, Any]]:
    return sorted(
        (
            {
                "program": icon.program,
                "width": str(icon.width),
                "height": str(icon.height),
                "static": _urls(icon.static_resources),
                "click_through": icon.icon_clicks.icon_click_through or None,
                "click_tracking": _urls(icon.icon_clicks.icon_click_trackings),
                "view_tracking": list(icon.icon_view_trackings),
            }
            for creative in resolved.ad.inline.creatives
            for icon in creative.linear.icons
        ),
        key=lambda icon: icon["program"],
    )


def _viewable(resolved: pb.ResolvedAd) -> dict[str, list[str]]:
    viewable = resolved.ad.inline.viewable_impression
    return {
        "viewable": list(viewable.viewables),
        "not_viewable": list(viewable.not_viewables),
        "view_undetermined": list(viewable.view_undetermineds),
    }


def _verifications(resolved: pb.ResolvedAd) -> list[dict[str, Any]]:
    return [
        {
            "vendor": each.verification.vendor,
            "javascript": _urls(each.verification.javascript_resources),
            "executable": _urls(each.verification.executable_resources),
            "not_executed": _urls(each.verification.tracking_events),
            "parameters": each.verification.verification_parameters or None,
            "from_extension": each.from_extension,
        }
        for each in resolved.verifications
    ]


def _pricing(resolved: pb.ResolvedAd) -> dict[str, str] | None:
    inline = resolved.ad.inline
    if not inline.HasField("pricing"):
        return None
    pricing = inline.pricing
    return {"model": pricing.model, "currency": pricing.currency, "value": pricing.value}


def _price(resolved: pb.ResolvedAd) -> dict[str, Any]:
    price = resolved.metadata.price
    return {
        "model": price.model,
        "currency": price.currency,
        "micros": price.micros,
        "hop": price.hop,
    }


def _text(name: str) -> Any:
    return lambda resolved: getattr(resolved.ad.inline, name) or None


_READ: Mapping[str, Any] = {
    "id": lambda resolved: resolved.ad.id or None,
    "sequence": lambda resolved: resolved.ad.sequence if resolved.ad.HasField("sequence") else None,
    "ad_system": lambda resolved: resolved.ad.inline.ad_system.value,
    "ad_title": _text("ad_title"),
    "ad_serving_id": _text("ad_serving_id"),
    "inline_version": lambda resolved: resolved.inline_version or None,
    "chain_versions": lambda resolved: [link.version or None for link in resolved.chain],
    "impressions": lambda resolved: [
        url.url for url in resolved.tracking_urls if url.kind == _Kind.TRACKING_KIND_IMPRESSION
    ],
    "error_urls": lambda resolved: list(resolved.ad.inline.errors),
    "categories": lambda resolved: [
        {"authority": each.authority, "value": each.value} for each in resolved.ad.inline.categories
    ],
    "blocked_ad_categories": lambda resolved: {
        each.authority: list(each.codes) for each in resolved.blocked_categories
    },
    "price": _price,
    "pricing": _pricing,
    "extensions": lambda resolved: [{"type": each.type} for each in resolved.ad.inline.extensions],
    "linear": _linear,
    "nonlinear": _non_linear,
    "companions": _companions,
    "companions_required": _companions_required,
    "icons": _icons,
    "viewable": _viewable,
    "verifications": _verifications,
}
"""How each key is read off a resolved ad."""
