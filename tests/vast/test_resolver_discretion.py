"""What servers see of a session that nobody judged before: no more than macros tell."""

from collections.abc import Mapping
from typing import Any

import pytest

from vast.memory_upstream import Memory, inline, vast, wrapper
from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.session.v1 import session_context_pb2 as pb
from xsp_server.upstream.session import Session, SessionContext
from xsp_server.vast.resolver import VastChainResolver

TAG = "http://ads.example/1?ip=[DEVICEIP]"
OPEN = "http://ads.example/1?ip=203.0.113.9"
WITHHELD = "http://ads.example/1?ip=-2"


def session(consent: Mapping[str, Any], **fields: Any) -> Session:
    message = pb.SessionContext(
        user_id="u-1",
        household_id="h-1",
        device=pb.Device(
            ip="203.0.113.9",
            user_agent="TV/1",
            ifa="6d92078a",
            ifa_type="tifa",
            ids=[pb.DeviceId(source="idfv", id="5")],
        ),
        referrer="https://page.example/x",
        language="de",
        cookies=[pb.Cookie(name="uid", value="9", host="ads.example")],
        consent=pb.Consent(**consent),
    )
    message.MergeFrom(pb.SessionContext(**fields))
    return Session(SessionContext.from_message(message))


async def seen_of(whole: Session, address: str, **more: Any) -> Session:
    """The session that the fetcher gets, once it is known what the macro told."""
    upstream = Memory({address: vast(inline("a"))})
    await VastChainResolver(upstream).resolve(TAG, session=whole, **more)
    assert upstream.asked == [address]
    seen: Session = upstream.asks[0].session
    return seen


@pytest.mark.parametrize(
    "consent",
    [
        {"coppa": True},
        {"gdpr_applies": True},
        {"gdpr_applies": True, "tcf_consent": "CO"},
        {"lmt": True},
        {"dnt": True},
        {"us_privacy": "1YYN"},
        {"gpp": "DBABMA~CPX"},
        {"gpp_sid": [7]},
    ],
)
async def test_headers_and_cookies_tell_no_more_than_macros(consent: Mapping[str, Any]) -> None:
    whole = session(consent)
    seen = await seen_of(whole, WITHHELD)
    context, device = seen.context, seen.context.device
    assert (context.user_id, context.household_id, context.cookies) == (None, None, ())
    assert (device.ip, device.ifa, device.ifa_type, device.ids) == (None, None, None, ())
    assert "Cookie" not in seen.headers(OPEN)
    assert (device.user_agent, context.referrer, context.language) == (
        "TV/1",
        "https://page.example/x",
        "de",
    )
    seen.took(OPEN, ["new=1"])
    assert [cookie.name for cookie in whole.to_message().cookies] == ["uid"]


@pytest.mark.parametrize("consent", [{}, {"gdpr_applies": False}, {"us_privacy": "1YNN"}])
async def test_where_nothing_forbids_it_servers_see_the_session_itself(
    consent: Mapping[str, Any],
) -> None:
    whole = session(consent)
    assert await seen_of(whole, OPEN) is whole


async def test_a_session_that_was_judged_before_is_taken_as_it_is() -> None:
    whole = session({"coppa": True})
    assert await seen_of(whole, WITHHELD, seen=whole) is whole


async def test_where_a_judge_lets_nothing_out_servers_see_that_there_is_a_session() -> None:
    whole = session({})
    seen = await seen_of(whole, WITHHELD, judge=lambda _: None)
    assert seen.request_id == whole.request_id
    headers = seen.headers("https://ads.example/")
    assert headers.keys() == {"x-request-id", "traceparent"}
    assert (seen.context.device.ip, seen.context.device.user_agent) == (None, "XSP")


async def test_a_judge_of_the_call_may_cut_the_address() -> None:
    def cut(request: BidRequest) -> BidRequest:
        seen = BidRequest()
        seen.CopyFrom(request)
        seen.device.ip = "203.0.113.0"
        return seen

    whole = session({})
    seen = await seen_of(whole, "http://ads.example/1?ip=203.0.113.0", judge=cut)
    assert seen.context.device.ip == "203.0.113.0"
    assert seen.context.device.ifa == "6d92078a"
    assert seen.headers(OPEN)["Cookie"] == "uid=9"


async def test_an_address_of_version_6_is_judged_too() -> None:
    whole = session({"coppa": True}, device=pb.Device(ip="2001:db8::1"))
    assert (await seen_of(whole, WITHHELD)).context.device.ip is None


async def test_all_documents_of_a_chain_are_asked_for_in_the_same_view() -> None:
    upstream = Memory(
        {WITHHELD: vast(wrapper("w", "http://b.example/")), "http://b.example/": vast(inline("a"))}
    )
    await VastChainResolver(upstream).resolve(TAG, session=session({"lmt": True}))
    first, second = (ask.session for ask in upstream.asks)
    assert first is second
    assert first.context.device.ip is None
