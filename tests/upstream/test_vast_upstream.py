"""A VAST upstream by itself: one document, as it is, over a real socket."""

import pytest
from aiohttp import web

from xsp.session.v1 import session_context_pb2
from xsp_server.errors import ConfigError
from xsp_server.openrtb.reply import Outcome
from xsp_server.upstream import (
    InMemoryState,
    Session,
    SessionContext,
    TransportError,
    UpstreamSession,
)
from xsp_server.upstream.vast_upstream import VastUpstream

DOCUMENT = b'<VAST version="4.2"/>'
CONTEXT = SessionContext.from_message(session_context_pb2.SessionContext(request_id="session-1"))


@pytest.fixture
async def ads():
    """An ad server: its address, and what it was asked."""
    asked = []

    async def answer(request):
        asked.append(request)
        if request.path == "/none":
            return web.Response(status=204)
        if request.path == "/gone":
            return web.Response(status=404)
        return web.Response(body=DOCUMENT, content_type="application/xml")

    app = web.Application()
    app.router.add_get("/{path}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    yield f"127.0.0.1:{port}", asked
    await runner.cleanup()


def upstream(host, path, **settings):
    guard = {"allow_hosts": [host]}
    return VastUpstream.from_section(
        {"name": "ads", "endpoint": f"http://{host}{path}", "guard": guard, **settings}
    )


def session_of(one):
    return UpstreamSession(one, CONTEXT, InMemoryState(lambda: 0))


async def test_it_fetches_a_document_with_parameters_and_the_session_s_headers(ads):
    host, asked = ads
    async with upstream(host, "/tag?a=1", headers={"X-Key": "k"}) as one:
        assert one.config.name == "ads"
        document = await one.fetch(params={"b": "x y"}, session=Session(CONTEXT))
    assert document.body == DOCUMENT
    assert asked[0].rel_url.raw_query_string == "a=1&b=x+y"
    assert asked[0].headers["x-request-id"] == "session-1"
    assert asked[0].headers["X-Key"] == "k"


async def test_a_204_is_no_document_and_a_404_a_failure(ads):
    host, _ = ads
    async with upstream(host, "/none") as none, upstream(host, "/gone") as gone:
        assert await none.fetch() is None
        with pytest.raises(TransportError) as caught:
            await gone.fetch(timeout=5)
    assert caught.value.outcome is Outcome.ERROR
    assert caught.value.http_status == 404


async def test_a_session_asks_it(ads):
    host, _ = ads
    async with upstream(host, "/tag") as one, session_of(one) as session:
        assert (await session.request()).body == DOCUMENT


async def test_an_inside_address_is_refused_unless_it_is_allowed(ads):
    host, asked = ads
    async with upstream(host, "/tag", guard={}) as one:
        with pytest.raises(TransportError):
            await one.fetch()
    assert asked == []


def test_a_setting_that_does_not_fit_is_told():
    with pytest.raises(ConfigError, match=r"upstream\.timeout_ms: got 0"):
        VastUpstream.from_section({"name": "ads", "timeout_ms": 0})
