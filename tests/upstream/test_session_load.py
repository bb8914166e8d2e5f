"""Two sessions at once never see each other's data: hundreds of them, over real sockets."""

import asyncio
import json
import random
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal

import pytest
from aiohttp import web

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.session.v1 import session_context_pb2 as pb
from xsp_server.upstream.openrtb_upstream import OpenRtbUpstream
from xsp_server.upstream.session import SessionContext
from xsp_server.upstream.upstream_session import InMemoryState, UpstreamSession

SESSIONS = 300
CALLS = 6
HOSTS = ("127.0.0.1", "localhost")


async def echo(request: web.Request) -> web.Response:
    """Bids with what it saw as markup; sets a cookie that names session, host and call."""
    call = (await request.json())["id"]
    headers = {name.lower(): value for name, value in request.headers.items()}
    seen = json.dumps({"headers": headers, "cookies": dict(request.cookies)})
    bid = {"id": "1", "impid": "1", "price": 1, "adm": seen}
    response = web.json_response({"id": call, "seatbid": [{"bid": [bid]}]})
    owner, host = headers["x-request-id"], request.host.partition(":")[0]
    response.headers["Set-Cookie"] = f"{host}-{call}={owner}; Path=/"
    return response


class TwoHosts:
    """Asks one of two hosts, over connections that all sessions share."""

    def __init__(self, upstreams: dict[str, OpenRtbUpstream]):
        self._upstreams = upstreams

    async def fetch(self, request, *, params, session, timeout):
        upstream = self._upstreams[params["host"]]
        response = await upstream.fetch(request, session=session, timeout=timeout)
        return json.loads(response.seatbid[0].bid[0].adm)


@asynccontextmanager
async def echoing_hosts():
    app = web.Application()
    app.router.add_post("/", echo)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    async with AsyncExitStack() as stack:
        stack.push_async_callback(runner.cleanup)
        upstreams = {}
        for host in HOSTS:
            section = {"type": "http", "name": host, "endpoint": f"http://{host}:{port}/"}
            # Fewer connections than sessions, so that every one is shared.
            upstream = OpenRtbUpstream.from_section({**section, "max_connections": 16})
            upstreams[host] = await stack.enter_async_context(upstream)
        yield TwoHosts(upstreams)


def told(number: int) -> pb.SessionContext:
    """What only one session knows."""
    return pb.SessionContext(
        request_id=f"r-{number}",
        user_id=f"u-{number % 100}",  # three sessions a user
        referrer=f"http://page-{number}.example/",
        language=f"x-{number}",
        traceparent=f"00-{number + 1:032x}-{1:016x}-01",
        cookies=[pb.Cookie(name="first", value=f"r-{number}", host="127.0.0.1")],
    )


async def visit(number: int, upstream: TwoHosts, state: InMemoryState) -> bool:
    """One session from open to close; every echo must be its own."""
    order = random.Random(number)
    context = SessionContext.from_message(told(number))
    set_by = {"127.0.0.1": {"first": f"r-{number}"}, "localhost": {}}
    spans = set()
    async with UpstreamSession(upstream, context, state) as session:
        allowed = await session.check_frequency_cap(context.user_id, limit=2)
        for call in range(CALLS):
            host = order.choice(HOSTS)
            seen = await session.request(
                BidRequest(id=str(call)), params={"host": host}, timeout=30.0
            )
            headers = seen["headers"]
            assert headers["x-request-id"] == f"r-{number}"
            assert headers["referer"] == f"http://page-{number}.example/"
            assert headers["accept-language"] == f"x-{number}"
            assert seen["cookies"] == set_by[host]
            set_by[host][f"{host}-{call}"] = f"r-{number}"
            version, trace, span, flags = headers["traceparent"].split("-")
            assert (version, trace, flags) == ("00", f"{number + 1:032x}", "01")
            spans.add(span)
        if allowed:
            assert (await session.track_budget(f"c-{number % 10}", Decimal("2.50"))).accepted
        assert len(spans) == CALLS
        assert {cookie.value for cookie in session.context.cookies} == {f"r-{number}"}
        assert len(session.context.cookies) == CALLS + 1
        assert session.context.cachebusting == context.cachebusting
    return allowed


async def test_sessions_at_once_never_see_each_others_data():
    state = InMemoryState()
    for campaign in range(10):
        state.put_campaign(f"c-{campaign}", Decimal("1000.00"))
    async with asyncio.timeout(60), echoing_hosts() as upstream, asyncio.TaskGroup() as group:
        visits = [group.create_task(visit(number, upstream, state)) for number in range(SESSIONS)]
    allowed = [each.result() for each in visits]
    assert allowed.count(True) == 200  # of three sessions a user, two
    paid = Counter(number % 10 for number in range(SESSIONS) if allowed[number])
    for campaign, ads in paid.items():
        budget = await state.get_budget(f"c-{campaign}")
        assert budget.spent == ads * Decimal("2.50")


async def test_the_test_above_would_notice_a_cookie_of_another_session(monkeypatch):
    shared = UpstreamSession(None, SessionContext.from_message(told(0)), InMemoryState())
    jar = shared._session.cookies
    monkeypatch.setattr("xsp_server.upstream.session.CookieJar", lambda *_: jar)
    state = InMemoryState()
    state.put_campaign("c-0", None)
    state.put_campaign("c-1", None)
    async with asyncio.timeout(60), echoing_hosts() as upstream:
        await visit(0, upstream, state)
        with pytest.raises(AssertionError, match="r-0"):
            await visit(1, upstream, state)
