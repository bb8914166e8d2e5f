"""IAB's sample documents parse to the facts that are known of each."""

from collections import Counter

import pytest

from vast.documents import facts_of, samples
from xsp.vast.v1 import vast_lists_pb2 as lists
from xsp_server.vast.faults import VastUnreadable
from xsp_server.vast.parse import parse


@pytest.mark.parametrize("number", range(50))
def test_a_sample_parses_to_its_facts(number):
    path, facts = sorted(facts_of(samples("vast", "XSP_VAST_SAMPLES")).items())[number]
    if facts["root"] != "VAST":
        with pytest.raises(VastUnreadable) as caught:
            parse(path.read_bytes())
        assert caught.value.code == lists.VAST_ERROR_CODE_VERSION_NOT_SUPPORTED
        return
    read = parse(path.read_bytes())
    assert read.version == facts["version"]
    assert len(read.errors) == facts["root_error_urls"]
    assert len(read.ads) == facts["ads"]
    for ad, known in zip(read.ads, facts["ad_list"], strict=True):
        told = facts_of_ad(ad)
        assert told == {key: known.get(key) for key in told}
        told = [
            each for creative in content_of(ad).creatives for each in facts_of_creative(creative)
        ]
        compared = [
            {key: fact(each, key) for key in mine}
            for mine, each in zip(told, known["creatives"], strict=True)
        ]
        assert told == compared


def content_of(ad):
    return getattr(ad, ad.WhichOneof("content"))


def facts_of_ad(ad):
    """What the facts say of an ad, from the message."""
    content = content_of(ad)
    told = {
        "id": ad.id if ad.HasField("id") else None,
        "kind": ad.WhichOneof("content"),
        "ad_system": content.ad_system.value,
        "impression_urls": [each.url for each in content.impressions],
        "error_urls": len(content.errors),
        "viewable_impressions": int(content.HasField("viewable_impression")),
        "verifications": len(content.ad_verifications),
        "extensions": len(content.extensions),
        "creative_elements": len(content.creatives),
    }
    if told["kind"] == "wrapper":
        told["vast_ad_tag_uri"] = content.vast_ad_tag_uri
        told["blocked_ad_categories"] = len(content.blocked_ad_categories)
    else:
        told["ad_title"] = content.ad_title
        told["categories"] = len(content.categories)
    if content.extensions:
        told["extension_types"] = [
            each.type if each.HasField("type") else None for each in content.extensions
        ]
    return told


def facts_of_creative(creative):
    """The kinds of a creative, with what the facts count in each."""
    if creative.HasField("linear"):
        linear = creative.linear
        files = linear.media_files
        yield {
            "type": "linear",
            "duration": linear.duration or None,
            "media_files": [file.url for file in files.media_files],
            "mezzanines": len(files.mezzanines),
            "interactive_creative_files": len(files.interactive_creative_files),
            "closed_caption_files": len(files.closed_caption_files),
            "icons": len(linear.icons),
            "click_through": linear.video_clicks.click_through.url or None,
            "click_tracking": len(linear.video_clicks.click_trackings),
            "custom_clicks": len(linear.video_clicks.custom_clicks),
            "tracking_events": counted(linear.tracking_events),
        }
    if creative.HasField("non_linear_ads"):
        ads = creative.non_linear_ads
        inner = [event for each in ads.non_linears for event in each.tracking_events]
        yield {
            "type": "nonlinear",
            "non_linears": len(ads.non_linears),
            "tracking_events": counted([*ads.tracking_events, *inner]),
        }
    if creative.HasField("companion_ads"):
        ads = creative.companion_ads
        yield {
            "type": "companion",
            "companions": len(ads.companions),
            "tracking_events": counted(
                [event for each in ads.companions for event in each.tracking_events]
            ),
        }


def counted(events):
    return Counter(
        f"{each.event}@{each.offset}" if each.HasField("offset") else each.event for each in events
    )


def fact(known, key):
    return [file["url"] for file in known[key]] if key == "media_files" else known.get(key)
