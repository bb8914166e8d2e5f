"""The context of a session: what is taken from where, what is made, and what goes out."""

import dataclasses
import re
import uuid
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.session.v1 import session_context_pb2 as pb
from xsp_server.errors import InvalidField, TooManyItems
from xsp_server.upstream.cookies import Cookie
from xsp_server.upstream.session import (
    Consent,
    Device,
    Origin,
    Session,
    SessionContext,
    Unmade,
    new_id,
)

NOW = 1_795_000_000_123_456_789
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
OTHER = "00-11111111111111111111111111111111-2222222222222222-01"
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")

make = SessionContext.from_message


class Draws:
    """Bits that differ from draw to draw and are the same in every run."""

    def __init__(self):
        self.drawn = 0

    def __call__(self, bits):
        self.drawn += 1
        return pow(self.drawn + 2, 3001) >> 7 & ((1 << bits) - 1)


@pytest.fixture
def origin():
    return Origin(clock=lambda: NOW, randbits=Draws())


WHOLE = pb.SessionContext(
    request_id="r-1",
    correlator="ad break 7",
    cachebusting="00000042",
    timestamp=Timestamp(seconds=1_795_000_000, nanos=123_456_789),
    user_id="u-1",
    household_id="h-1",
    visit_id="v-1",
    cookies=[
        pb.Cookie(name="a", value="1", host="ads.example.com"),
        pb.Cookie(
            name="b",
            value="2",
            host="ads.example.com",
            domain="example.com",
            path="/vast",
            secure=True,
            expiry=Timestamp(seconds=1_800_000_000),
        ),
    ],
    device=pb.Device(
        ip="192.0.2.44",
        user_agent="TV/1.0",
        ifa="ifa-1",
        ifa_type="rida",
        ids=[pb.DeviceId(source="idfv", id="x-1")],
    ),
    referrer="https://news.example.com/a?b=c",
    consent=pb.Consent(
        gdpr_applies=True,
        tcf_consent="CP",
        us_privacy="1YNN",
        gpp="DBAA",
        gpp_sid=[2, 6],
        coppa=False,
        lmt=True,
        dnt=False,
        additional_consent="1~7.12",
    ),
    language="pt-BR",
    traceparent=PARENT,
    tracestate="vendor=1",
)

REQUEST = BidRequest(
    id="1",
    site={"page": "https://page.example.com/"},
    user={"id": "u-2", "consent": "CQ"},
    device={
        "ip": "198.51.100.7",
        "ipv6": "2001:db8::7",
        "ua": "Browser/2.0",
        "ifa": "ifa-2",
        "language": "de",
        "langb": "de-AT",
        "lmt": False,
        "dnt": True,
        "ext": {"ifa_type": "dpid"},
    },
    regs={"gdpr": True, "us_privacy": "1NNN", "gpp": "DBBB", "gpp_sid": [8], "coppa": True},
)


def test_a_whole_message_comes_back_as_it_went_in(origin):
    assert make(WHOLE, origin=origin).to_message() == WHOLE


def test_what_the_message_tells_is_not_taken_from_elsewhere(origin):
    metadata = {"x-request-id": "m-1", "traceparent": OTHER, "tracestate": "other=1"}
    told = pb.SessionContext()
    told.CopyFrom(WHOLE)
    for flag in ("gdpr_applies", "coppa", "lmt", "dnt"):
        setattr(told.consent, flag, True)
    assert make(told, metadata=metadata, request=REQUEST, origin=origin).to_message() == told


def test_every_field_is_optional_and_filled_in_once(origin):
    context = make(origin=origin)
    assert UUID.fullmatch(context.request_id)
    assert re.fullmatch(r"[0-9]{16}", context.correlator)
    assert re.fullmatch(r"[0-9]{8}", context.cachebusting)
    assert context.timestamp_ns == NOW
    assert context.timestamp == datetime(2026, 11, 18, 11, 6, 40, 123456, UTC)
    assert (context.user_id, context.household_id, context.cookies) == (None, None, ())
    assert context.visit_id == context.request_id
    assert context.device == Device(user_agent="XSP")
    assert context.consent == Consent()
    assert (context.referrer, context.language, context.tracestate) == (None, None, None)
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-02", context.traceparent)


def test_sent_again_it_is_the_same_whatever_the_later_call_tells(origin):
    first = make(origin=origin)
    again = make(
        first.to_message(),
        metadata={"x-request-id": "m-2", "traceparent": OTHER},
        request=BidRequest(id="2"),
        origin=Origin(clock=lambda: NOW + 10**9, randbits=origin.randbits),
    )
    assert again == first


def test_two_sessions_share_nothing_that_is_made():
    one, two = make(), make()
    for name in ("request_id", "correlator", "cachebusting", "traceparent"):
        assert getattr(one, name) != getattr(two, name)


def test_what_is_made_keeps_leading_zeros():
    ones = 1 << 192 | 1 << 256
    context = make(origin=Origin(lambda: NOW, lambda bits: ones & ((1 << bits) - 1)))
    assert context.cachebusting == "00000001"
    assert context.correlator == "0000000000000001"


def test_randomness_of_nothing_but_zeros_makes_a_valid_trace():
    context = make(origin=Origin(clock=lambda: NOW, randbits=lambda _: 0))
    assert context.traceparent == f"00-{1:032x}-{1:016x}-02"
    assert dict(context.metadata(lambda _: 0))["traceparent"] == f"00-{1:032x}-{1:016x}-02"


def test_the_openrtb_request_fills_in_what_is_absent(origin):
    context = make(request=REQUEST, origin=origin)
    assert context.user_id == "u-2"
    assert context.device == Device(ip="198.51.100.7", user_agent="Browser/2.0", ifa="ifa-2")
    assert context.referrer == "https://page.example.com/"
    assert context.language == "de-AT"
    assert context.consent == Consent(
        gdpr_applies=True,
        tcf_consent="CQ",
        us_privacy="1NNN",
        gpp="DBBB",
        gpp_sid=(8,),
        coppa=True,
        lmt=False,
        dnt=True,
    )


def test_a_part_that_is_told_in_part_is_filled_in_member_by_member(origin):
    told = pb.SessionContext(device={"user_agent": "TV/1.0"})
    context = make(told, request=REQUEST, origin=origin)
    assert context.device == Device(ip="198.51.100.7", user_agent="TV/1.0", ifa="ifa-2")


@pytest.mark.parametrize(
    ("device", "ip", "language"),
    [
        ({"ipv6": "2001:db8::7", "language": "de"}, "2001:db8::7", "de"),
        ({"ip": "", "langb": ""}, None, None),
    ],
)
def test_of_two_places_in_openrtb_the_first_that_is_filled_counts(device, ip, language, origin):
    context = make(request=BidRequest(id="1", device=device), origin=origin)
    assert (context.device.ip, context.language) == (ip, language)


def test_members_are_found_where_they_stood_before_openrtb_26(origin):
    request = BidRequest(
        id="1",
        regs={"ext": {"gdpr": True, "us_privacy": "1YYN"}},
        user={"ext": {"consent": "CX"}},
    )
    consent = make(request=request, origin=origin).consent
    assert consent == Consent(gdpr_applies=True, us_privacy="1YYN", tcf_consent="CX")


def test_an_empty_id_that_is_told_says_that_nobody_is_known(origin):
    context = make(pb.SessionContext(user_id=""), request=REQUEST, origin=origin)
    assert context.user_id == ""
    assert context.to_message().HasField("user_id")


@pytest.mark.parametrize(
    ("told", "asked", "holds"),
    [
        (True, False, True),
        (False, True, True),
        (False, False, False),
        (None, True, True),
        (True, None, True),
        (None, None, None),
    ],
)
@pytest.mark.parametrize(
    "flags",
    [
        ("gdpr_applies", "regs", "gdpr"),
        ("coppa", "regs", "coppa"),
        ("lmt", "device", "lmt"),
        ("dnt", "device", "dnt"),
    ],
)
def test_of_a_flag_the_stricter_holds(flags, told, asked, holds, origin):
    flag, place, name = flags
    message, request = pb.SessionContext(), BidRequest(id="1")
    if told is not None:
        setattr(message.consent, flag, told)
    if asked is not None:
        setattr(getattr(request, place), name, asked)
    context = make(message, request=request, origin=origin)
    assert getattr(context.consent, flag) is holds


def test_metadata_fills_in_id_and_trace(origin):
    metadata = {"x-request-id": "m-1", "traceparent": PARENT, "tracestate": "vendor=1"}
    context = make(metadata=metadata, origin=origin)
    assert context.request_id == context.visit_id == "m-1"
    assert (context.traceparent, context.tracestate) == (PARENT, "vendor=1")


@pytest.mark.parametrize("value", ["", "x" * 129, "naïve", "a\nb"])
def test_a_request_id_of_the_metadata_that_is_none_is_passed_over(value, origin):
    assert UUID.fullmatch(make(metadata={"x-request-id": value}, origin=origin).request_id)


@pytest.mark.parametrize(
    ("told", "metadata", "expected"),
    [
        pytest.param({}, {"tracestate": "a=1"}, None, id="a state without a trace is dropped"),
        pytest.param({"tracestate": "a=1"}, {}, None, id="also the message's own"),
        pytest.param(
            {"traceparent": PARENT},
            {"traceparent": OTHER, "tracestate": "a=1"},
            None,
            id="the state of another trace is not taken",
        ),
        pytest.param(
            {"traceparent": PARENT},
            {"traceparent": PARENT, "tracestate": "a=1"},
            "a=1",
            id="that of the same one is",
        ),
        pytest.param(
            {"traceparent": PARENT}, {"tracestate": "a=1"}, "a=1", id="and that of none told"
        ),
        pytest.param(
            {"traceparent": "00-x"},
            {"traceparent": PARENT, "tracestate": "a=1"},
            "a=1",
            id="a traceparent that is none counts as absent",
        ),
        pytest.param(
            {"traceparent": PARENT, "tracestate": "b=2"},
            {"tracestate": "a=1"},
            "b=2",
            id="the message comes first",
        ),
    ],
)
def test_tracestate_goes_with_its_trace(told, metadata, expected, origin):
    context = make(pb.SessionContext(**told), metadata=metadata, origin=origin)
    assert context.tracestate == expected


@pytest.mark.parametrize(
    ("message", "violation"),
    [
        (
            pb.SessionContext(request_id=""),
            "session.request_id: expected 1 to 128 printable ASCII characters",
        ),
        (
            pb.SessionContext(request_id="x" * 129),
            "session.request_id: expected 1 to 128 printable ASCII characters",
        ),
        (
            pb.SessionContext(request_id="a\r\nb: c"),
            "session.request_id: expected 1 to 128 printable ASCII characters",
        ),
        (pb.SessionContext(correlator=""), "session.correlator: expected 1 to 128 characters"),
        (
            pb.SessionContext(cachebusting="1234567"),
            "session.cachebusting: expected exactly 8 decimal digits",
        ),
        (
            pb.SessionContext(cachebusting="١٢٣٤٥٦٧٨"),
            "session.cachebusting: expected exactly 8 decimal digits",
        ),
        (
            pb.SessionContext(timestamp=Timestamp(nanos=-1)),
            "session.timestamp: expected a time from year 1 to 9999, its nanos from 0 to 999999999",
        ),
        (
            pb.SessionContext(device={"ids": [{"source": "a", "id": "1"}, {"source": "b"}]}),
            "session.device.ids[1].id: expected text, got none",
        ),
        (
            pb.SessionContext(device={"ids": [{"id": "1"}]}),
            "session.device.ids[0].source: expected text, got none",
        ),
        (
            pb.SessionContext(cookies=[pb.Cookie(name="a", host="Example.com")]),
            "session.cookies[0].host: expected a host in lower case, without a port",
        ),
    ],
)
def test_what_the_contract_forbids_is_refused_with_its_path(message, violation, origin):
    with pytest.raises(InvalidField) as caught:
        make(message, origin=origin)
    assert str(caught.value) == violation
    assert (caught.value.status, caught.value.reason) == ("INVALID_ARGUMENT", "FIELD_INVALID")


def test_more_cookies_than_a_session_may_have_are_refused(origin):
    cookies = [pb.Cookie(name=f"c{n}", host="a.example") for n in range(101)]
    with pytest.raises(TooManyItems, match="expected at most 100 cookies, got 101") as caught:
        make(pb.SessionContext(cookies=cookies), origin=origin)
    assert caught.value.metadata == {"limit": "100"}
    assert (caught.value.status, caught.value.reason) == ("RESOURCE_EXHAUSTED", "TOO_MANY_ITEMS")


def test_a_context_never_changes(origin):
    context = make(WHOLE, origin=origin)
    with pytest.raises(dataclasses.FrozenInstanceError):
        context.request_id = "r-2"
    assert not hasattr(context, "__dict__")
    assert hash(context) == hash(make(WHOLE, origin=origin))


def test_nothing_that_tells_who_somebody_is_is_shown(origin):
    shown = repr(make(WHOLE, origin=origin)) + repr(make(WHOLE, origin=origin).device)
    shown += repr(make(WHOLE, origin=origin).consent) + repr(make(WHOLE, origin=origin).cookies)
    assert "r-1" in shown
    for personal in ("u-1", "h-1", "v-1", "192.0.2", "ifa-1", "x-1", "news.", "CP", "DBAA", "1YNN"):
        assert personal not in shown
    assert "value" not in shown


def test_metadata_of_each_call_names_the_session_and_a_span_of_its_own(origin):
    context = make(WHOLE, origin=origin)
    one, two = dict(context.metadata()), dict(context.metadata())
    assert one["x-request-id"] == two["x-request-id"] == "r-1"
    assert one["tracestate"] == two["tracestate"] == "vendor=1"
    trace = "00-0af7651916cd43dd8448eb211c80319c-"
    assert one["traceparent"].startswith(trace)
    assert two["traceparent"].startswith(trace)
    assert len({one["traceparent"], two["traceparent"], PARENT}) == 3
    assert "tracestate" not in dict(make(origin=origin).metadata())


def test_http_headers_have_page_and_language_besides(origin):
    headers = make(WHOLE, origin=origin).headers(lambda _: 0xABC)
    assert headers == {
        "x-request-id": "r-1",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-0000000000000abc-01",
        "tracestate": "vendor=1",
        "Referer": "https://news.example.com/a?b=c",
        "Accept-Language": "pt-BR",
    }


def written(headers):
    return sorted(f"{name.lower()}: {value}" for name, value in headers.items())


@pytest.mark.parametrize("url", ["https://a.example/x", "http://a.example/x"])
def test_lines_say_what_headers_say(url):
    origin = Origin(clock=lambda: NOW, randbits=lambda _: 0xABC)
    session = Session(make(WHOLE, origin=origin), origin=origin)
    session.took("http://a.example/", ["seen=1"])
    lines = session.lines(url)
    assert lines.endswith("\r\n")
    assert sorted(lines.removesuffix("\r\n").split("\r\n")) == written(session.headers(url))


def test_lines_have_a_span_and_cookies_of_their_own_each_time(origin):
    session = Session(make(WHOLE, origin=origin))
    one = session.lines("http://a.example/")
    session.took("http://a.example/", ["seen=1"])
    two = session.lines("http://a.example/")
    assert "cookie: seen=1\r\n" in two
    assert "cookie" not in one
    assert one.partition("\r\n")[0] != two.partition("\r\n")[0]
    assert "cookie" not in session.lines("http://b.example/")


def test_what_could_make_a_header_of_its_own_is_in_no_line(origin):
    evil = "a\r\nX-Evil: b"
    whole = make(WHOLE, origin=origin)
    cookie = Cookie(name="a", value=evil, host="a.example")
    trace = f"00-{'a' * 30}\r\n-{'b' * 16}-01"
    context = replace(whole, request_id=evil, tracestate=evil, traceparent=trace, cookies=(cookie,))
    lines = Session(context).lines("https://a.example/")
    names = [line.partition(":")[0] for line in lines.removesuffix("\r\n").split("\r\n")]
    assert names == ["referer", "accept-language"]


@pytest.mark.parametrize(
    ("page", "referer"),
    [
        ("https://user:secret@a.example:8443/x#part", "https://a.example:8443/x"),
        ("http://a.example", "http://a.example/"),
        ("https://a.example/ä b?q=ö%20", "https://a.example/%C3%A4%20b?q=%C3%B6%20"),
        ("https://a.example/x\r\nSet-Cookie: a=b", "https://a.example/xSet-Cookie:%20a=b"),
        ("https://a.example/" + "x" * 4096, "https://a.example/"),
        ("http://[2001:db8::1]:80/", "http://[2001:db8::1]:80/"),
        ("app://com.example", None),
        ("https://", None),
        ("https://exämple.com/", None),
        ("http://[", None),
        ("", None),
    ],
)
def test_the_referer_is_a_url_that_may_be_told(page, referer, origin):
    context = make(pb.SessionContext(referrer=page), origin=origin)
    assert context.headers().get("Referer") == referer


@pytest.mark.parametrize("language", ["", "en\r\nX: y", "en, de", "überlang"])
def test_what_is_no_language_tag_is_not_sent(language, origin):
    context = make(pb.SessionContext(language=language), origin=origin)
    assert "Accept-Language" not in context.headers()


@pytest.mark.parametrize("scheme", ["http", "HTTP", "Http", " http", "\nHTTP"])
def test_a_page_over_https_is_not_told_over_http(origin, scheme):
    session = Session(make(WHOLE, origin=origin), origin=origin)
    assert "Referer" in session.headers("https://ads.example.com/")
    assert "Referer" in session.headers("HTTPS://ads.example.com/")
    assert "Referer" not in session.headers(f"{scheme}://ads.example.com/")
    assert "referer" not in session.lines(f"{scheme}://ads.example.com/")


def test_a_session_sends_cookies_back_and_hands_on_those_that_hosts_set(origin):
    session = Session(make(WHOLE, origin=origin), origin=origin)
    url = "https://ads.example.com/vast/tag"
    assert session.headers(url)["Cookie"] == "b=2; a=1"
    assert "Cookie" not in session.headers("https://other.example.net/")
    session.took(url, ["c=3"])
    assert session.headers(url)["Cookie"] == "b=2; c=3; a=1"
    message = session.to_message()
    assert [cookie.name for cookie in message.cookies] == ["a", "b", "c"]
    assert session.snapshot().request_id == "r-1"
    assert session.context == make(WHOLE, origin=origin)


def test_a_session_that_nobody_added_to_gives_back_its_context(origin):
    context = make(WHOLE, origin=origin)
    assert Session(context, origin=origin).snapshot() is context


def test_a_context_that_was_not_told_is_made_when_it_is_asked_for():
    times = iter(range(NOW, NOW + 10**6))
    metadata, request = {"traceparent": PARENT}, REQUEST
    origin = Origin(clock=lambda: next(times))
    session = Session(Unmade(metadata, request, origin), origin=origin)
    assert not session.was_told
    assert next(times) == NOW + 1  # it has looked at the clock once, when the call came
    context = session.context
    assert context is session.context
    assert context.request_id == session.request_id
    assert context.timestamp_ns == NOW
    assert context.user_id == "u-2"
    assert context.traceparent == PARENT


def test_an_unmade_context_has_the_id_of_its_metadata():
    session = Session(Unmade({"x-request-id": "m-1"}, None))
    assert session.request_id == session.context.request_id == "m-1"
    assert dict(session.metadata())["x-request-id"] == "m-1"


def test_a_view_of_a_session_shares_its_cookies_or_has_none(origin):
    session = Session(make(WHOLE, origin=origin), origin=origin)
    bare = dataclasses.replace(session.context, user_id=None)
    url = "https://ads.example.com/"
    with_cookies = session.seen_as(bare, cookies=True)
    with_cookies.cookies.store(url, ["c=3"])
    assert session.cookies.header(url) == with_cookies.cookies.header(url) == "a=1; c=3"
    without = session.seen_as(bare, cookies=False)
    without.cookies.store(url, ["d=4"])
    assert "Cookie" in without.headers(url)  # its own call's, and nobody else's
    assert session.cookies.header(url) == "a=1; c=3"
    assert without.context.user_id is None


def test_a_branch_is_the_same_session_with_cookies_that_count_once_it_joins(origin):
    url = "https://ads.example.com/"
    for session in (
        Session(make(WHOLE, origin=origin), origin=origin),
        Session(Unmade({"x-request-id": "m-1"}, None, origin), origin=origin),
    ):
        kept, given_up = session.branch(), session.branch()
        assert kept.context is given_up.context is session.context
        assert kept.request_id == session.request_id
        assert kept.was_told is session.was_told
        before = session.cookies.cookies()
        kept.took(url, ["c=3"])
        given_up.took(url, ["d=4"])
        assert session.cookies.cookies() == before
        session.join(kept)
        assert "c=3" in session.cookies.header(url)
        assert "d=4" not in session.cookies.header(url)


TEXT = st.text(max_size=40) | st.builds("http://{}".format, st.text(max_size=40))


@given(TEXT, TEXT, TEXT, TEXT)
def test_whatever_a_caller_tells_headers_can_be_sent(referrer, language, traceparent, tracestate):
    message = pb.SessionContext(
        referrer=referrer, language=language, traceparent=traceparent, tracestate=tracestate
    )
    metadata = {"x-request-id": language, "traceparent": tracestate, "tracestate": referrer}
    headers = make(message, metadata=metadata).headers()
    for value in headers.values():
        assert value.isascii()
        assert value.isprintable()


@pytest.mark.parametrize("metadata", [{}, {"traceparent": PARENT, "tracestate": "a=1"}])
def test_metadata_of_an_unmade_context_is_that_of_the_context_made_later(metadata, origin):
    session = Session(Unmade(metadata, REQUEST, origin), origin=origin)
    before = dict(session.metadata())
    context = session.context
    assert before["x-request-id"] == context.request_id
    assert before["traceparent"][:35] == context.traceparent[:35]
    assert before.get("tracestate") == context.tracestate
    assert dict(session.metadata()).keys() == before.keys()


def test_an_unmade_context_is_made_of_one_draw_whatever_is_asked_first():
    def context(first):
        origin = Origin(clock=lambda: NOW, randbits=Draws())
        unmade = Unmade({"x-request-id": "r-1"}, REQUEST, origin)
        first(unmade)
        return unmade.make()

    assert context(Unmade.trace) == context(lambda _: None)


@given(st.integers(0, 2**128 - 1))
def test_a_made_id_is_the_uuid_of_its_random_bits(bits):
    assert new_id(lambda _: bits) == str(uuid.UUID(int=bits, version=4))
