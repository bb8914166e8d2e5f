"""HTTP bidders over real sockets: whatever comes back, it ends in an outcome within its time."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp_server.openrtb import codec
from xsp_server.openrtb.reply import Outcome
from xsp_server.upstream import Ask, HttpTransport, TransportError

ASK = Ask(BidRequest(id="1", imp=[{"id": "1", "banner": {"w": 300, "h": 250}}]))
BIDS = '{"id": "1", "seatbid": [{"bid": [{"id": "b", "impid": "1", "price": 1.5}]}]}'


@asynccontextmanager
async def bidder(handler, **settings):
    """An HTTP server with one handler, and a transport to it."""
    app = web.Application()
    app.router.add_post("/bid", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.01, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0]
    endpoint = f"http://{host}:{port}/bid"
    transport = HttpTransport(HttpTransport.Settings(name="acme", endpoint=endpoint, **settings))
    try:
        yield transport
    finally:
        await transport.close()
        await runner.cleanup()


def answers(**kwargs):
    async def handler(request):  # noqa: ARG001
        return web.Response(**kwargs)

    return handler


async def outcome(handler, timeout=5.0, **settings):
    async with bidder(handler, **settings) as transport:
        with pytest.raises(TransportError) as caught:
            await transport.send(ASK, timeout)
        return caught.value


async def test_200_with_json_is_a_response():
    async with bidder(answers(text=BIDS)) as transport:
        response = await transport.send(ASK, 5)
    assert response.seatbid[0].bid[0].price == 1.5


async def test_204_is_a_no_bid():
    async with bidder(answers(status=204)) as transport:
        assert await transport.send(ASK, 5) is None


async def test_the_request_is_openrtb_json_with_the_version_and_our_headers():
    seen = {}

    async def handler(request):
        seen["headers"], seen["body"] = request.headers, await request.read()
        return web.Response(status=204)

    async with bidder(handler, headers={"X-Api-Key": "k"}) as transport:
        await transport.send(ASK, 5)
    assert codec.parse_bid_request(seen["body"]).message == ASK.request
    assert seen["headers"]["Content-Type"] == "application/json"
    assert seen["headers"]["x-openrtb-version"] == "2.6"
    assert seen["headers"]["X-Api-Key"] == "k"


async def test_connections_are_kept_alive():
    peers = set()

    async def handler(request):
        peers.add(request.transport.get_extra_info("peername"))
        return web.Response(status=204)

    async with bidder(handler) as transport:
        for _ in range(5):
            await transport.send(ASK, 5)
    assert len(peers) == 1


@pytest.mark.parametrize(
    ("answer", "expected", "detail"),
    [
        ({"status": 500}, Outcome.ERROR, "HTTP 500"),
        ({"status": 302, "headers": {"Location": "/bid"}}, Outcome.ERROR, "HTTP 302"),
        ({"text": "<html>"}, Outcome.INVALID_RESPONSE, ""),
        ({"text": '{"id": 5}'}, Outcome.INVALID_RESPONSE, "id: expected string, got integer"),
        ({"text": '{"id": "1"'}, Outcome.INVALID_RESPONSE, ""),
        ({"body": b"\xff\xfe"}, Outcome.INVALID_RESPONSE, ""),
        ({"body": b" " * 5000}, Outcome.INVALID_RESPONSE, "above 2048 bytes"),
    ],
)
async def test_an_answer_that_is_no_bid_response(answer, expected, detail):
    error = await outcome(answers(**answer), max_response_bytes=2048)
    assert error.outcome is expected
    assert detail in error.detail


async def test_a_bidder_that_hangs_costs_its_timeout_and_no_more():
    async def hang(request):  # noqa: ARG001
        await asyncio.Event().wait()

    loop = asyncio.get_running_loop()
    before = loop.time()
    error = await outcome(hang, timeout=0.05)
    assert error.outcome is Outcome.TIMEOUT
    assert loop.time() - before < 2


async def test_a_body_that_drips_is_cut_at_the_timeout():
    async def drip(request):
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.01)

    assert (await outcome(drip, timeout=0.1)).outcome is Outcome.TIMEOUT


async def test_a_connection_reset_within_the_body_is_unreachable():
    async def reset(request):
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"{")
        request.transport.abort()
        return response

    assert (await outcome(reset)).outcome is Outcome.UNREACHABLE


async def test_nobody_listening_is_unreachable():
    async with bidder(answers(status=204)) as transport:
        settings = transport.settings
    gone = HttpTransport(settings)
    with pytest.raises(TransportError) as caught:
        await gone.send(ASK, 5)
    await gone.close()
    assert caught.value.outcome is Outcome.UNREACHABLE


async def test_cookies_of_one_auction_do_not_travel_with_the_next():
    seen = []

    async def handler(request):
        seen.append(request.headers.get("Cookie"))
        return web.Response(status=204, headers={"Set-Cookie": "user=1"})

    async with bidder(handler) as transport:
        await transport.send(ASK, 5)
        await transport.send(ASK, 5)
    assert seen == [None, None]
