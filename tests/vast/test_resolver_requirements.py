"""What an ad has to be: each requirement with what meets it, what doesn't, and the code."""

from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from vast.memory_upstream import inline, linear, media_file, vast
from xsp.vast.v1 import resolve_options_pb2 as pb
from xsp.vast.v1 import vast_lists_pb2 as lists
from xsp_server.vast.parse import parse
from xsp_server.vast.resolver.reasons import CODES
from xsp_server.vast.resolver.requirements import refusal_of

NON_LINEAR = "<Creative><NonLinearAds/></Creative>"
COMPANION = "<Creative><CompanionAds/></Creative>"


def of(creatives: str) -> str:
    return inline("a", creatives=creatives)


def creative(inside: str) -> str:
    return f"<Creative>{inside}</Creative>"


FILES = linear(files=media_file("Video/MP4; codecs=x") + media_file("application/js", "vpaid"))
MEZZANINE = linear(files=media_file() + "<Mezzanine>http://cdn.example/m</Mezzanine>")
CATEGORY = inline("a", "<Category authority='x'>1</Category>")
EMPTY_CATEGORY = inline("a", "<Category authority='x'> </Category>")
CONDITIONAL = inline("a").replace("<Ad ", '<Ad conditionalAd="true" ')

MET: list[tuple[dict[str, Any], str]] = [
    ({}, of("")),
    ({"linearity": pb.LINEARITY_LINEAR}, of(creative(linear()) + NON_LINEAR)),
    ({"linearity": pb.LINEARITY_NON_LINEAR}, of(NON_LINEAR + COMPANION)),
    ({"min_duration": Duration(seconds=15)}, of(creative(linear("00:00:15")))),
    ({"max_duration": Duration(seconds=90, nanos=500_000_000)}, of(creative(linear("00:01:30.5")))),
    ({"max_duration": Duration(seconds=1)}, of(NON_LINEAR)),
    ({"require_category": True}, CATEGORY),
    ({"require_category": False}, inline("a")),
    ({"media_types": ["video/mp4"]}, of(creative(FILES))),
    ({"media_types": ["application/js"], "api_frameworks": ["VPAID"]}, of(creative(FILES))),
    ({"api_frameworks": ["SIMID"]}, of(creative(FILES))),
    ({"media_types": ["video/mp4"]}, of(NON_LINEAR)),
    ({"require_mezzanine": True}, of(creative(MEZZANINE))),
    ({"require_mezzanine": True}, of(NON_LINEAR)),
    ({"accept_conditional_ads": True}, CONDITIONAL),
    ({"accept_conditional_ads": False}, inline("a")),
    ({}, CONDITIONAL),
]

NOT_MET: list[tuple[int, dict[str, Any], str]] = [
    (200, {"linearity": pb.LINEARITY_LINEAR}, of(COMPANION)),
    (200, {"linearity": pb.LINEARITY_NON_LINEAR}, of("")),
    (201, {"linearity": pb.LINEARITY_LINEAR}, of(NON_LINEAR)),
    (201, {"linearity": pb.LINEARITY_NON_LINEAR}, of(creative(linear()))),
    (202, {"min_duration": Duration(seconds=15)}, of(creative(linear("00:00:14.999")))),
    (202, {"max_duration": Duration(seconds=15)}, of(creative(linear("00:00:15.001")))),
    (202, {"max_duration": Duration(seconds=15)}, of(creative(linear("soon")))),
    (204, {"require_category": True}, EMPTY_CATEGORY),
    (403, {"media_types": ["video/webm"]}, of(creative(FILES))),
    (403, {"media_types": ["application/js"], "api_frameworks": ["X"]}, of(creative(FILES))),
    (403, {"media_types": ["video/mp4"]}, of(creative(linear(files="")))),
    (406, {"require_mezzanine": True}, of(creative(FILES))),
    (408, {"accept_conditional_ads": False}, CONDITIONAL),
]


@pytest.mark.parametrize(("needs", "ad"), MET)
def test_an_ad_that_meets_a_requirement_is_taken(needs: dict[str, Any], ad: str) -> None:
    read = parse(vast(ad).encode()).ads[0]
    assert refusal_of(read, pb.AdRequirements(**needs)) is None


@pytest.mark.parametrize(("code", "needs", "ad"), NOT_MET)
def test_an_ad_that_does_not_is_refused_with_its_code(
    code: int, needs: dict[str, Any], ad: str
) -> None:
    read = parse(vast(ad).encode()).ads[0]
    refusal = refusal_of(read, pb.AdRequirements(**needs))
    assert refusal is not None
    assert CODES[refusal[0]] == code


def test_every_rule_that_is_an_error_has_a_code() -> None:
    without = {
        lists.FAILURE_REASON_UNSPECIFIED,
        lists.FAILURE_REASON_MULTIPLE_ADS_NOT_ALLOWED,
        lists.FAILURE_REASON_AD_LIMIT,
        lists.FAILURE_REASON_NOT_NEEDED,
    }
    assert set(lists.FailureReason.values()) - set(CODES) == without
