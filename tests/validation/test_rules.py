"""The rules as a whole: each is proved by a case, each fact of the standard has one."""

import json
import re

import pytest

from validation import request_cases, response_cases
from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp_server.openrtb.validation import RULES, Severity
from xsp_server.openrtb.validation.facts import Facts, at_least
from xsp_server.openrtb.validation.plans import compile_plans
from xsp_server.openrtb.validation.result import define

ELSEWHERE = {
    "bidrequest.channel": "test_request: site and app together",
    "seatbid.group.complete": "test_response: groups",
    "ext.raw_json.object": "test_request: messages that JSON can't make",
    "metric.value.finite": "test_request: messages that JSON can't make",
}
"""Rules that no single change to the bases breaks, and the tests that prove them."""

# Facts whose rule isn't named after the field alone.
RULE_OF = {
    "BidRequest.app exclusive": "bidrequest.channel",
    "BidRequest.dooh exclusive": "bidrequest.channel",
    "BidRequest.site exclusive": "bidrequest.channel",
    "Native.request required": "native.request.required",
    "Imp.banner required_when": "imp.media-type",
    "Imp.video required_when": "imp.media-type",
    "Imp.audio required_when": "imp.media-type",
    "Imp.native required_when": "imp.media-type",
    "Video.poddur required_when": "video.poddur.with-maxseq",
    "Audio.poddur required_when": "audio.poddur.with-maxseq",
    "DurFloors.mindur required_when": "durfloors.bounds",
    "DurFloors.maxdur required_when": "durfloors.bounds",
    "Qty.vendor required_when": "qty.vendor.with-sourcetype",
    "Bid.wratio required_when": "bid.wratio.with-hratio",
    "Bid.hratio required_when": "bid.hratio.with-wratio",
    # Without a seatbid no bid is made; an empty one is refused.
    "BidResponse.seatbid required_when": "seatbid.bid.required",
    "Bid.impid refers_to": "bid.impid.known",
    "Bid.dealid refers_to": "bid.dealid.known",
    "BidResponse.id refers_to": "bidresponse.id.request",
    "Metric.value range_when_probability": "metric.value.probability",
    "Geo.ipservice only_when": "geo.ipservice.type",
    "Banner.vcm only_when": "banner.vcm.companion-only",
    "EID.matcher may_be_absent_when": "eid.matcher.with-mm",
}
KINDS = {
    "required": "required",
    "min_items": "required",
    "minimum": "range",
    "range": "range",
    "format": "format",
    "deprecated": "deprecated",
    "max_length_should": "length",
}


def test_every_rule_is_broken_by_a_case():
    cases = [
        *request_cases.INVALID,
        *request_cases.DOUBTFUL,
        *response_cases.INVALID,
        *response_cases.DOUBTFUL,
    ]
    assert {case.rule for case in cases} | ELSEWHERE.keys() == RULES.keys()


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.id)
def test_a_rule_says_what_is_expected_and_who_says_so(rule):
    assert re.fullmatch(r"[a-z_0-9]+(\.[a-z_0-9-]+){1,3}", rule.id)
    assert rule.expected
    assert rule.source
    assert rule.severity in Severity


def test_rule_ids_are_unique():
    with pytest.raises(ValueError, match=r"imp\.id\.required is defined twice"):
        define("imp.id.required", "id", "x", "y")


def test_a_fact_about_a_field_that_does_not_exist_is_refused():
    facts = Facts("geo2", BidRequest.Geo, "x", {"latitude": (at_least(0),)})
    with pytest.raises(ValueError, match="geo2 has no field latitude"):
        compile_plans([facts])


def test_every_fact_about_a_field_has_its_rule(openrtb_examples):
    table = openrtb_examples.parent / "openrtb_2_6_fields.json"
    if not table.is_file():
        pytest.skip(f"the table of OpenRTB's fields is not in {table.parent}")
    objects = json.loads(table.read_text())["objects"]
    missing = []
    for name, described in objects.items():
        for field, facts in described["fields"].items():
            missing += [rule for rule in rules_of(name, field, facts) if rule not in RULES]
    assert missing == []


def rules_of(name, field, facts):
    """Ids of the rules that the facts about one field ask for."""
    for fact in facts:
        known = RULE_OF.get(f"{name}.{field} {fact.removesuffix('_with')}")
        if known:
            yield known
        elif fact in KINDS:
            yield f"{name.lower()}.{field}.{KINDS[fact]}"
        elif fact == "exclusive_with":
            others = [f"{name.lower()}.{other}.exclusive" for other in facts[fact]]
            own = f"{name.lower()}.{field}.exclusive"
            # One rule serves a pair; it bears the name of either.
            yield next((rule for rule in [own, *others] if rule in RULES), own)
        elif fact in {"required_when", "refers_to", "only_when", "range_when_probability"}:
            yield f"{name}.{field} {fact}"
