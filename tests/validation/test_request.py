"""What a bid request has to be."""

import math

import pytest

from validation.messages import REQUESTS, changed, drop, put, request
from validation.request_cases import DOUBTFUL, INVALID
from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp_server.openrtb.validation import BidRequestValidator, Severity


def violations(source):
    result = BidRequestValidator().validate(request(source), source)
    return [(v.severity, v.path, v.rule) for v in result.violations]


@pytest.mark.parametrize("name", REQUESTS)
def test_a_valid_request_passes_without_a_word(name):
    assert violations(REQUESTS[name]) == []


@pytest.mark.parametrize("case", INVALID, ids=lambda case: case.name)
def test_one_wrong_thing_refuses_a_request_at_its_path(case):
    found = violations(changed(REQUESTS[case.base], case.edit))
    assert found == [(Severity.ERROR, case.path, case.rule)]


@pytest.mark.parametrize("case", DOUBTFUL, ids=lambda case: case.name)
def test_one_doubtful_thing_is_warned_about_at_its_path(case):
    found = violations(changed(REQUESTS[case.base], case.edit))
    assert found == [(Severity.WARNING, case.path, case.rule)]


def test_enough_requests_are_refused():
    assert len(INVALID) >= 120
    assert len({case.name for case in [*INVALID, *DOUBTFUL]}) == len(INVALID) + len(DOUBTFUL)


NOT_JSON = ["{", "[1]", "1", '"text"', "null", "{} {}", '{"a": NaN}', "[" * 100_000]


@pytest.mark.parametrize("text", NOT_JSON, ids=range(len(NOT_JSON)))
@pytest.mark.parametrize(
    "place", ["", "imp[0]", "imp[0].banner.format[0]", "device.geo", "user.eids[0].uids[0]"]
)
def test_raw_members_of_an_ext_are_the_text_of_one_object(place, text):
    message = request(REQUESTS["web"])
    path = f"{place}.ext" if place else "ext"
    put_raw(message, path, text)
    result = BidRequestValidator().validate(message)
    assert [(v.path, v.rule) for v in result.errors] == [
        (f"{path}.raw_json", "ext.raw_json.object")
    ]


@pytest.mark.parametrize("text", ["", "{}", ' {"a": {"b": [1e40, 12345678901234567890123]}} '])
def test_an_object_may_be_in_an_ext_and_empty_text_is_none(text):
    message = request(REQUESTS["web"])
    put_raw(message, "imp[0].ext", text)
    assert BidRequestValidator().validate(message).ok


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_metric_is_a_finite_number(value):
    message = request(REQUESTS["web"])
    message.imp[0].metric.add(type="x", value=value)
    index = len(message.imp[0].metric) - 1
    result = BidRequestValidator().validate(message)
    assert [(v.path, v.rule) for v in result.errors] == [
        (f"imp[0].metric[{index}].value", "metric.value.finite")
    ]


def put_raw(message, path, text):
    for step in path.split("."):
        name, _, index = step.partition("[")
        message = getattr(message, name)
        if index:
            while len(message) <= int(index[:-1]):
                message.add()
            message = message[int(index[:-1])]
    message.raw_json = text


def test_site_and_app_together_are_seen_in_the_json_only():
    """A message holds one of them, whichever came last."""
    raw = {**REQUESTS["web"], "app": {"id": "a"}}
    message = request(REQUESTS["web"])
    assert BidRequestValidator().validate(message).ok
    (violation,) = BidRequestValidator().validate(message, raw).violations
    assert (violation.path, violation.rule) == ("app", "bidrequest.channel")
    assert violation.found == "site and app"


@pytest.mark.parametrize("absent", [{}, {"app": None}, {"dooh": None, "app": None}])
def test_one_channel_beside_nulls_is_one_channel(absent):
    raw = {**REQUESTS["web"], **absent}
    assert BidRequestValidator().validate(request(REQUESTS["web"]), raw).ok


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_floors_are_numbers(number):
    """JSON can't say these, protobuf can."""
    message = request(REQUESTS["web"])
    message.imp[0].bidfloor = number
    assert [v.rule for v in BidRequestValidator().validate(message).errors] == [
        "imp.bidfloor.range"
    ]


@pytest.mark.parametrize(
    "edit",
    [
        put("at", 777),
        put("imp[0].video.protocols", [2, 99, 700]),
        put("imp[0].video.plcmt", 77),
        put("imp[0].banner.api", [-1, 4711]),
        put("imp[0].pmp.deals[0].at", 600),
        put("device.devicetype", 99),
        put("device.connectiontype", 0),
        put("user.eids[0].mm", 501),
        put("user.eids[0].uids[0].atype", 12345),
        put("site.cattax", 501),
        put("imp[0].ssai", 9),
    ],
)
def test_values_that_a_list_does_not_have_are_accepted(edit):
    assert violations(changed(REQUESTS["web"], edit)) == []


@pytest.mark.parametrize("value", [2, 5])
def test_pod_positions_that_nobody_knows_are_accepted(value):
    edits = [put(f"imp[{i}].video.podseq", value) for i in range(2)]
    assert violations(changed(REQUESTS["pod"], *edits)) == []


def test_imps_of_one_pod_may_leave_its_place_untold():
    assert violations(changed(REQUESTS["pod"], drop("imp[1].video.podseq"))) == []


def test_pods_of_video_and_of_audio_are_two_pods_though_their_ids_are_equal():
    audio = {"mimes": ["audio/mpeg"], "podid": "pod_1", "podseq": -1, "slotinpod": 1}
    assert violations(changed(REQUESTS["pod"], put("imp[2].audio", audio))) == []


@pytest.mark.parametrize("version", ["1.0", "1"])
def test_native_1_0_has_a_root_object(version):
    asked = {"native": {"ver": version, "layout": 3, "assets": [{"id": 1, "title": {"len": 9}}]}}
    native = {"ver": "1.0", "request": asked}
    assert violations(changed(REQUESTS["native"], put("imp[0].native", native))) == []


def test_a_native_request_may_say_no_version():
    edits = [drop("imp[0].native.ver"), drop("imp[0].native.request.ver")]
    assert violations(changed(REQUESTS["native"], *edits)) == []


def test_a_native_request_as_a_message_is_judged_like_text():
    message = BidRequest(id="1")
    native = message.imp.add(id="1").native
    native.ver = "1.2"
    native.request_native.ver = "1.1"
    native.request_native.assets.add(id=1).title.len = 0
    found = [(v.path, v.rule) for v in BidRequestValidator().validate(message).errors]
    assert found == [
        ("imp[0].native.request_native.assets[0].title.len", "nativetitle.len.range"),
        ("imp[0].native.request_native.ver", "native.request.version"),
    ]


def test_every_violation_is_reported_and_each_says_what_is_there_and_what_would_be_right():
    source = changed(
        REQUESTS["web"],
        put("imp[0].bidfloor", -1),
        put("imp[0].video.h", 0),
        put("device.ip", "x" * 100),
        put("user.yob", 1990),
    )
    result = BidRequestValidator().validate(request(source))
    assert not result.ok
    assert [str(v) for v in result.errors] == [
        "error imp[0].video.h: expected at least 1, found 0 [video.h.range]",
        "error imp[0].bidfloor: expected at least 0, found -1.0 [imp.bidfloor.range]",
        f'error device.ip: expected an IPv4 address, found "{"x" * 60}…" [device.ip.format]',
    ]
    assert [v.path for v in result.warnings] == ["user.yob"]


def test_a_flood_of_violations_is_counted_and_only_the_first_hundred_are_kept():
    message = BidRequest(id="1")
    for number in range(150):
        message.imp.add(id=str(number), bidfloor=-1).video.mimes.append("video/mp4")
        message.imp[number].video.sequence = 1
    result = BidRequestValidator().validate(message)
    assert (result.error_count, result.warning_count) == (150, 150)
    assert (len(result.errors), len(result.warnings)) == (100, 100)
    assert result.truncated
    assert not result.ok


def test_errors_after_a_flood_of_warnings_still_refuse():
    message = BidRequest(id="1")
    for number in range(150):
        message.imp.add(id=str(number)).video.mimes.append("video/mp4")
        message.imp[number].video.sequence = 1
    message.cur.append("x")
    result = BidRequestValidator().validate(message)
    assert [v.path for v in result.errors] == ["cur[0]"]


def test_a_native_request_nested_too_deep_is_reported_not_raised():
    source = changed(REQUESTS["native"], put("imp[0].native.request", "[" * 2000))
    assert violations(source) == [(Severity.ERROR, "imp[0].native.request", "native.request.json")]


def test_combinations_of_fields_beyond_those_remembered_are_judged_all_the_same():
    """Fields are taken away in more ways than a plan remembers; what is required stays required."""
    names = ["startdelay", "minduration", "maxduration", "minbitrate", "maxbitrate", "poddur"]
    names += ["maxseq", "podid", "podseq", "slotinpod"]
    for combination in range(2 ** len(names)):
        message = BidRequest(id="1")
        video = message.imp.add(id="1").video
        video.SetInParent()
        for bit, name in enumerate(names):
            if combination >> bit & 1:
                setattr(video, name, "p" if name == "podid" else 1)
        found = {v.path for v in BidRequestValidator().validate(message).errors}
        lost = {"imp[0].video.poddur"} if video.maxseq and not video.poddur else set()
        assert found == {"imp[0].video.mimes"} | lost
