"""The session of a call: read from it, judged by privacy, and named in the logs."""

import asyncio
import json

import pytest
import structlog

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.session.v1 import session_context_pb2 as pb
from xsp_server.auction.privacy import PrivacyPolicy
from xsp_server.config import LogSettings
from xsp_server.errors import InvalidField
from xsp_server.service import logs
from xsp_server.service.session import View, disclosed, logged, open_session, signals_of

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
URL = "https://ads.example.com/"

MESSAGE = pb.SessionContext(
    request_id="r-1",
    user_id="u-1",
    household_id="h-1",
    cookies=[pb.Cookie(name="a", value="1", host="ads.example.com")],
    device=pb.Device(
        ip="192.0.2.44",
        user_agent="TV/1.0",
        ifa="ifa-1",
        ifa_type="rida",
        ids=[pb.DeviceId(source="idfv", id="x-1")],
    ),
    referrer="https://news.example.com/a",
    language="pt-BR",
)


def opened(message=None, metadata=(), request=None):
    return open_session(message, metadata, request)


def test_a_session_comes_from_message_metadata_and_request():
    request = BidRequest(id="1", user={"id": "u-2"})
    metadata = [
        ("user-agent", "grpc-go/1.80"),
        ("traceparent", PARENT),
        ("tracestate", "a=1"),
        ("tracestate", "b=2"),
        ("x-request-id", "m-1"),
        ("x-request-id", "m-2"),
        ("x-other-bin", b"\x00"),
    ]
    message = opened(pb.SessionContext(household_id="h-1"), metadata, request).to_message()
    assert message.request_id == "m-1"
    assert message.traceparent == PARENT
    assert message.tracestate == "a=1,b=2"
    assert message.household_id == "h-1"
    assert message.user_id == "u-2"


def test_without_a_message_it_comes_from_metadata_and_request():
    session = opened(None, [("x-request-id", "m-1")], BidRequest(id="1", user={"id": "u-2"}))
    assert not session.was_told
    assert session.request_id == "m-1"
    assert session.to_message().user_id == "u-2"


def test_without_anything_it_is_made():
    session = open_session(None, None, None)
    assert session.request_id == session.to_message().request_id


def test_an_empty_message_is_as_good_as_none():
    message = opened(pb.SessionContext(), [("x-request-id", "m-1")]).to_message()
    assert message.request_id == "m-1"


def test_a_message_that_breaks_the_contract_is_refused_at_once():
    with pytest.raises(InvalidField, match=r"^session.cachebusting: expected exactly 8"):
        opened(pb.SessionContext(cachebusting="1"))


@pytest.fixture(autouse=True)
def restore():
    yield
    structlog.reset_defaults()


async def test_logs_name_the_session_that_they_belong_to(capsys):
    logs.configure(LogSettings(format="json"))
    together = asyncio.Barrier(2)

    async def ask(bidder):
        await together.wait()
        structlog.get_logger().info("asked", bidder=bidder)

    async def call(number):
        with logged(opened(pb.SessionContext(request_id=f"r-{number}", user_id="u-1"))):
            await asyncio.create_task(ask(f"b-{number}"))
        structlog.get_logger().info("after", bidder=f"b-{number}")

    await asyncio.gather(call(1), call(2))
    events = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    asked = {event["bidder"]: event["request_id"] for event in events if event["event"] == "asked"}
    assert asked == {"b-1": "r-1", "b-2": "r-2"}
    after = [event for event in events if event["event"] == "after"]
    assert len(after) == 2
    assert not any("request_id" in event for event in after)
    assert not any("user_id" in event for event in events)


def said(request, **consent):
    session = opened(pb.SessionContext(consent=pb.Consent(**consent)), (), request)
    return signals_of(request, session)


def test_a_request_whose_caller_told_no_session_is_read_as_it_is():
    request = BidRequest(id="1", regs={"coppa": True})
    assert signals_of(request, opened(None, (), request)) is request


def test_the_session_adds_what_the_request_lacks():
    read = said(
        BidRequest(id="1"),
        gdpr_applies=True,
        tcf_consent="CP",
        us_privacy="1YYN",
        gpp="DBAA",
        gpp_sid=[7],
        coppa=False,
        lmt=True,
        dnt=False,
    )
    assert read == BidRequest(
        regs={"gdpr": True, "us_privacy": "1YYN", "gpp": "DBAA", "gpp_sid": [7], "coppa": False},
        user={"consent": "CP"},
        device={"lmt": True, "dnt": False},
    )


def test_a_session_that_says_nothing_of_consent_adds_nothing():
    request = BidRequest(id="1", regs={"ext": {"gpc": "1"}}, device={"lmt": True})
    assert said(request) == BidRequest(regs={"ext": {"gpc": "1"}}, device={"lmt": True})
    assert said(BidRequest(id="1")) == BidRequest()


@pytest.mark.parametrize(("told", "asked"), [(True, False), (False, True)])
def test_of_flags_the_stricter_stands(told, asked):
    request = BidRequest(
        id="1", regs={"gdpr": asked, "coppa": asked}, device={"lmt": asked, "dnt": asked}
    )
    read = said(request, gdpr_applies=told, coppa=told, lmt=told, dnt=told)
    flags = (read.regs.gdpr, read.regs.coppa, read.device.lmt, read.device.dnt)
    assert flags == (True,) * 4
    assert request.regs.gdpr is asked  # it stays as it is


def test_strings_of_the_request_stand():
    request = BidRequest(
        id="1",
        regs={"gpp": "DBBB", "gpp_sid": [2]},
        user={"ext": {"consent": "CQ"}},
    )
    read = said(request, tcf_consent="CP", gpp="DBAA", gpp_sid=[7])
    assert read == BidRequest(regs={"gpp": "DBBB", "gpp_sid": [2]}, user={"consent": "CQ"})


def test_a_gpp_string_in_its_old_place_stands():
    request = BidRequest(id="1", regs={"ext": {"raw_json": '{"gpp":"DBBB"}'}})
    assert not said(request, gpp="DBAA").regs.HasField("gpp")


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, {"us_privacy": "1YYN"}),
        ({"us_privacy": "1NNN"}, {"us_privacy": "1NNN", "ext": {"us_privacy": "1YYN"}}),
        (
            {"us_privacy": "1NNN", "ext": {"us_privacy": "1-N-"}},
            {"us_privacy": "1NNN", "ext": {"us_privacy": "1-N-"}},
        ),
    ],
)
def test_of_us_privacy_strings_both_stand_so_that_the_stricter_counts(asked, expected):
    assert said(BidRequest(id="1", regs=asked), us_privacy="1YYN").regs == BidRequest.Regs(
        **expected
    )


def privacy(**rule):
    """What privacy does to a request for a bidder, whatever the request says."""
    policy = PrivacyPolicy.from_mapping({"rules": {"policy": rule}})
    return policy.plan(policy.read(BidRequest()), policy.bidder({})).apply


def removing(*fields):
    return privacy(fields=dict.fromkeys(fields, "remove"))


def test_where_privacy_takes_nothing_the_session_is_seen_as_it_is():
    session = opened(MESSAGE)
    assert disclosed(session, removing()) is session
    assert disclosed(session, removing("device.geo")) is session


def test_ids_go_together():
    view = disclosed(opened(MESSAGE), removing("user.id", "device.ifa")).context
    assert (view.user_id, view.household_id) == (None, None)
    assert (view.device.ifa, view.device.ifa_type, view.device.ids) == (None, None, ())
    assert (view.device.ip, view.device.user_agent) == ("192.0.2.44", "TV/1.0")
    assert view.request_id == "r-1"


def test_an_unknown_id_is_judged_for_what_goes_with_it():
    message = pb.SessionContext()
    message.CopyFrom(MESSAGE)
    message.ClearField("user_id")
    message.device.ClearField("ifa")
    kept = disclosed(opened(message), removing("device.ip")).context
    assert (kept.user_id, kept.household_id, kept.device.ifa) == (None, "h-1", None)
    assert len(kept.device.ids) == 1
    view = disclosed(opened(message), removing("user.id", "device.ifa")).context
    assert (view.household_id, view.device.ids) == (None, ())


@pytest.mark.parametrize(
    ("field", "header"),
    [("site.page", "Referer"), ("device.langb", "Accept-Language"),
     ("device.language", "Accept-Language"), ("user.buyeruid", "Cookie")],
)  # fmt: skip
def test_a_header_goes_with_the_field_that_means_the_same(field, header):
    session = opened(MESSAGE)
    headers = session.headers(URL)
    assert header in headers
    view = disclosed(session, removing(field))
    assert view.headers(URL).keys() == headers.keys() - {header}


def test_where_cookies_are_withheld_none_is_kept():
    session = opened(MESSAGE)
    view = disclosed(session, removing("user.buyeruid"))
    view.cookies.store(URL, ["b=2"])
    assert [cookie.name for cookie in session.to_message().cookies] == ["a"]
    kept = disclosed(session, removing("user.id"))
    kept.cookies.store(URL, ["b=2"])
    assert [cookie.name for cookie in session.to_message().cookies] == ["a", "b"]


@pytest.mark.parametrize(
    ("ip", "seen"), [("192.0.2.44", "192.0.2.0"), ("2001:db8:1:2::3", "2001:db8:1::")]
)
def test_an_address_is_as_exact_as_the_rules_let_it_be(ip, seen):
    session = opened(pb.SessionContext(device=pb.Device(ip=ip)))
    truncate = privacy(fields=dict.fromkeys(("device.ip", "device.ipv6"), "truncate"))
    assert disclosed(session, truncate).context.device.ip == seen


def test_a_user_agent_that_is_withheld_leaves_the_servers_own():
    view = disclosed(opened(MESSAGE), removing("device.ua"))
    assert view.context.device.user_agent == "XSP"


def test_who_must_not_be_asked_sees_nothing():
    refuse = privacy(skip=True)
    view = disclosed(opened(MESSAGE), refuse)
    assert (view.context.user_id, view.context.device.ip, view.context.referrer) == (None,) * 3
    assert view.headers(URL).keys() == {"x-request-id", "traceparent"}


def test_a_device_without_an_address_stays_without():
    view = disclosed(opened(pb.SessionContext(user_id="u-1")), removing("user.id"))
    assert (view.context.user_id, view.context.device.ip) == (None, None)


def test_a_view_is_worked_out_once_and_only_if_a_transport_asks():
    judged = []
    remove = removing("site.page")

    def apply(request):
        judged.append(request)
        return remove(request)

    session = opened(MESSAGE)
    view = View(session, apply)
    assert dict(view.metadata())["x-request-id"] == "r-1"
    assert judged == []  # of id and trace privacy takes nothing
    assert "Referer" not in view.headers(URL)
    view.took(URL, ["b=2; Path=/"])
    assert view.headers(URL)["Cookie"] == session.headers(URL)["Cookie"] == "a=1; b=2"
    assert len(judged) == 1


def test_a_log_names_the_outer_session_again_when_the_inner_one_has_ended():
    outer, inner = (opened(pb.SessionContext(request_id=name)) for name in ("outer", "inner"))
    with logged(outer):
        with logged(inner):
            assert structlog.contextvars.get_contextvars()["request_id"] == "inner"
        assert structlog.contextvars.get_contextvars()["request_id"] == "outer"
    assert "request_id" not in structlog.contextvars.get_contextvars()
