"""One upstream asked alone."""

import asyncio

import pytest

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server import registry
from xsp_server.errors import ConfigError, InvalidJson
from xsp_server.openrtb.reply import Outcome
from xsp_server.upstream import Transport, TransportError, UpstreamConfig
from xsp_server.upstream.file import FileTransport
from xsp_server.upstream.openrtb_upstream import OpenRtbUpstream, Upstream

BASE = {"id": "base", "imp": [{"id": "1"}], "site": {"id": "s", "page": "https://p.example"}}


class Scripted(Transport):
    """Remembers what it was asked and does what the test says."""

    def __init__(self, function=None, timeout_ms=60_000):
        super().__init__(UpstreamConfig(name="acme", timeout_ms=timeout_ms))
        self._function = function
        self.asks, self.timeouts, self.closed = [], [], False

    async def send(self, ask, timeout):
        self.asks.append(ask)
        self.timeouts.append(timeout)
        return await self._function() if self._function else BidResponse(id=ask.request.id)

    async def close(self):
        self.closed = True


async def test_the_answer_comes_as_it_is():
    async def other():
        return BidResponse(id="of another request")

    async with OpenRtbUpstream.over(Scripted(other)) as upstream:
        assert await upstream.fetch(BidRequest(id="1")) == BidResponse(id="of another request")


async def test_a_call_without_a_request_starts_from_that_of_the_settings():
    transport = Scripted()
    await OpenRtbUpstream.over(transport, BASE).fetch()
    [ask] = transport.asks
    assert (ask.request.id, ask.request.imp[0].id) == ("base", "1")


async def test_params_go_on_top_member_by_member():
    transport = Scripted()
    params = {"id": "new", "site": {"page": None, "domain": "d"}, "imp": [{"id": "2"}], "tmax": 90}
    await OpenRtbUpstream.over(transport, BASE).fetch(params=params)
    request = transport.asks[0].request
    assert (request.id, request.tmax) == ("new", 90)
    assert (request.site.id, request.site.domain) == ("s", "d")
    assert not request.site.HasField("page")
    assert [imp.id for imp in request.imp] == ["2"]


async def test_the_request_of_the_caller_stays_as_it_is():
    transport = Scripted()
    request = BidRequest(tmax=50)
    await OpenRtbUpstream.over(transport).fetch(request, params={"at": 1})
    assert request == BidRequest(tmax=50)
    assert transport.asks[0].request.at == 1


async def test_a_request_without_an_id_gets_one_of_its_own_each_time():
    transport = Scripted()
    upstream = OpenRtbUpstream.over(transport)
    await upstream.fetch()
    await upstream.fetch()
    first, second = (ask.request.id for ask in transport.asks)
    assert first
    assert second
    assert first != second


async def test_params_that_are_no_openrtb_are_told():
    with pytest.raises(InvalidJson, match="tmax: expected integer"):
        await OpenRtbUpstream.over(Scripted()).fetch(params={"tmax": "soon"})


@pytest.mark.parametrize(
    ("tmax", "timeout", "expected"),
    [(None, None, 2.0), (100, None, 0.1), (100, 0.5, 0.5), (5000, None, 2.0), (None, 9.0, 2.0)],
)
async def test_the_timeout_is_the_call_s_else_tmax_and_the_settings_at_most(
    tmax, timeout, expected
):
    transport = Scripted(timeout_ms=2000)
    await OpenRtbUpstream.over(transport).fetch(BidRequest(id="1", tmax=tmax), timeout=timeout)
    assert transport.timeouts == [pytest.approx(expected)]


async def test_the_session_goes_along():
    transport, session = Scripted(), object()
    await OpenRtbUpstream.over(transport).fetch(session=session)
    assert transport.asks[0].session is session


async def test_a_failure_is_raised():
    async def fail():
        raise TransportError(Outcome.UNREACHABLE, "refused")

    with pytest.raises(TransportError, match="refused"):
        await OpenRtbUpstream.over(Scripted(fail)).fetch()


@pytest.mark.parametrize("ends", ["answer", "failure"])
async def test_a_caller_that_walks_away_leaves_the_call_to_end_by_itself(ends):
    entered, release, ended = asyncio.Event(), asyncio.Event(), []

    async def slow():
        entered.set()
        await release.wait()
        ended.append(True)
        if ends == "failure":
            raise TransportError(Outcome.TIMEOUT, "too late")

    transport = Scripted(slow)
    upstream = OpenRtbUpstream.over(transport)
    call = asyncio.ensure_future(upstream.fetch())
    await entered.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    closing = asyncio.ensure_future(upstream.close())
    release.set()
    await closing
    assert ended
    assert transport.closed


async def test_a_section_of_the_settings_makes_one(tmp_path):
    path = tmp_path / "answer.json"
    path.write_text('{"id": "{request_id}"}')
    transport = {"type": "file", "name": "acme", "path": path}
    upstream = registry.build("upstream", {"type": "openrtb", "transport": transport}, "x")
    assert isinstance(upstream, OpenRtbUpstream)
    assert isinstance(upstream, Upstream)
    assert upstream.config.name == "acme"
    assert (await upstream.fetch(BidRequest(id="1"))).id == "1"
    same = OpenRtbUpstream.from_section(transport, BASE)
    assert isinstance(same.config, FileTransport.Settings)
    assert (await same.fetch()).id == "base"


def test_a_section_that_does_not_fit_is_told():
    with pytest.raises(ConfigError, match=r"transport\.type: got 'carrier pigeon'"):
        registry.build(
            "upstream", {"type": "openrtb", "transport": {"type": "carrier pigeon"}}, "x"
        )
    with pytest.raises(ConfigError, match=r"x\.transport: got 5"):
        registry.build("upstream", {"type": "openrtb", "transport": 5}, "x")


def test_a_request_in_the_settings_that_is_none_is_told():
    with pytest.raises(InvalidJson, match="imp: expected array"):
        OpenRtbUpstream.over(Scripted(), {"imp": 5})
