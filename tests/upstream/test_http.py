"""HTTP bidders over real sockets: whatever comes back, it ends in an outcome within its time."""

import asyncio
import base64
import gzip
import socket
import ssl
import threading
import tracemalloc
import zlib
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from pydantic import ValidationError

from upstream.certificates import Authority
from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.errors import ConfigError
from xsp_server.openrtb import codec
from xsp_server.openrtb.reply import Outcome
from xsp_server.upstream import Ask, HttpTransport, TransportError
from xsp_server.upstream.transport import MAX_DETAIL

ASK = Ask(BidRequest(id="1", imp=[{"id": "1", "banner": {"w": 300, "h": 250}}]))
RESPONSE = BidResponse(id="1", seatbid=[{"bid": [{"id": "b", "impid": "1", "price": 1.5}]}])
JSON, PROTOBUF = "application/json", "application/x-protobuf"
BIDS = codec.write(RESPONSE)


@asynccontextmanager
async def bidder(handler, *, tls=None, host="127.0.0.1", **settings):
    """An HTTP server with one handler, and a transport to it."""
    app = web.Application()
    app.router.add_post("/bid", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.01, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    port = runner.addresses[0][1]
    endpoint = f"{'https' if tls else 'http'}://{host}:{port}/bid"
    transport = made(endpoint=endpoint, **settings)
    try:
        yield transport
    finally:
        await transport.close()
        await runner.cleanup()


@asynccontextmanager
async def sockets(serve, **settings):
    """A server of bare sockets, each connection in the hands of `serve`, and a transport to it."""
    tasks, writers = [], []

    async def connected(reader, writer):
        tasks.append(asyncio.current_task())
        writers.append(writer)
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    transport = made(**({"endpoint": f"http://127.0.0.1:{port}/bid"} | settings))
    transport.port = port
    try:
        yield transport
    finally:
        await transport.close()
        server.close()
        for writer in writers:
            writer.close()
        await asyncio.gather(*tasks)


def made(**settings):
    return HttpTransport(HttpTransport.Settings(**({"name": "acme"} | settings)))


def answers(**kwargs):
    async def handler(request):  # noqa: ARG001
        return web.Response(**kwargs)

    return handler


def recording(seen, **answer):
    async def handler(request):
        seen.append((request.headers, await request.read(), request.rel_url))
        return web.Response(**({"status": 204} | answer))

    return handler


async def failure(transport, timeout=5.0, ask=ASK):
    with pytest.raises(TransportError) as caught:
        await transport.send(ask, timeout)
    return caught.value


async def outcome(handler, timeout=5.0, **settings):
    async with bidder(handler, **settings) as transport:
        return await failure(transport, timeout)


async def read_request(reader):
    """One request off a socket: its head and its body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = next(
        (int(line[15:]) for line in head.lower().split("\r\n") if line.startswith("content-len")), 0
    )
    return head, await reader.readexactly(length)


def http(status="204 No Content", body=b"", **headers):
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body


# Requests.


async def test_the_request_is_openrtb_json_with_the_version_and_our_headers():
    seen = []
    async with bidder(recording(seen), headers={"X-Api-Key": "k"}) as transport:
        await transport.send(ASK, 5)
    [(headers, body, _)] = seen
    assert codec.parse_bid_request(body).message == ASK.request
    assert headers["Content-Type"] == JSON
    assert headers["Accept"] == JSON
    assert headers["x-openrtb-version"] == "2.6"
    assert headers["X-Api-Key"] == "k"
    assert headers["User-Agent"] == "xsp"


async def test_the_request_may_be_protobuf():
    seen = []
    async with bidder(recording(seen), body="protobuf") as transport:
        await transport.send(ASK, 5)
    [(headers, body, _)] = seen
    assert BidRequest.FromString(body) == ASK.request
    assert headers["Content-Type"] == PROTOBUF
    assert headers["Accept"] == PROTOBUF


@pytest.mark.parametrize(("body", "expected"), [("json", ASK.json), ("protobuf", ASK.protobuf)])
async def test_the_request_may_be_gzipped(body, expected):
    async def serve(reader, writer):
        head, data = await read_request(reader)
        seen.append((head.lower(), gzip.decompress(data)))
        writer.write(http())

    seen = []
    async with sockets(serve, gzip=True, body=body) as transport:
        assert await transport.send(ASK, 5) is None
    [(head, data)] = seen
    assert "content-encoding: gzip" in head
    assert data == expected


async def test_query_parameters_join_those_of_the_endpoint():
    seen = []
    async with bidder(recording(seen)) as transport:
        endpoint = f"{transport.settings.endpoint}?a=1"
        other = made(endpoint=endpoint, params={"key": "x y&z"})
        await other.send(ASK, 5)
        await other.close()
    assert dict(seen[0][2].query) == {"a": "1", "key": "x y&z"}


async def test_headers_of_the_ask_go_along_below_those_of_the_settings():
    seen = []
    headers = {"X-Request-Id": "r-1", "x-api-key": "theirs", "User-Agent": "them"}
    async with bidder(recording(seen), headers={"X-Api-Key": "ours"}) as transport:
        await transport.send(Ask(ASK.request, headers), 5)
    assert seen[0][0]["x-request-id"] == "r-1"
    assert seen[0][0]["user-agent"] == "them"
    assert seen[0][0].getall("x-api-key") == ["ours"]
    assert seen[0][0]["content-type"] == JSON


class Session:
    """A session that writes down what it is asked and told."""

    def __init__(self):
        self.calls = []

    def headers(self, url):
        self.calls.append(url)
        unfit = {"Content-Length": "0", "X-Evil": "a\r\nX-Key: b"}
        return {"traceparent": f"t-{len(self.calls)}", "Cookie": "user=1", **unfit}

    def lines(self, url):
        self.calls.append(url)
        return f"traceparent: t-{len(self.calls)}\r\naccept-language: en\r\ncookie: user=1\r\n"

    def metadata(self):
        return ()

    def took(self, url, set_cookie):
        self.calls.append((url, list(set_cookie)))


async def test_a_session_gives_the_headers_of_each_call_and_takes_its_cookies():
    seen, session = [], Session()
    cookies = {"Set-Cookie": "seen=1; Path=/"}
    async with bidder(recording(seen, headers=cookies)) as transport:
        await transport.send(Ask(ASK.request, {"a": "b"}, session), 5)
        url = str(transport.settings.endpoint)
    assert seen[0][0]["traceparent"] == "t-1"
    assert seen[0][0]["cookie"] == "user=1"
    assert seen[0][0]["a"] == "b"
    assert "X-Key" not in seen[0][0]
    assert seen[0][1] == ASK.json
    assert session.calls == [url, (url, ["seen=1; Path=/"])]


async def test_a_session_alone_gives_its_headers_as_it_has_written_them():
    seen, session = [], Session()
    async with bidder(recording(seen)) as transport:
        await transport.send(Ask(ASK.request, session=session), 5)
        await transport.send(Ask(ASK.request, session=session), 5)
        url = str(transport.settings.endpoint)
    assert [each[0]["traceparent"] for each in seen] == ["t-1", "t-2"]
    assert [each[0]["cookie"] for each in seen] == ["user=1", "user=1"]
    assert [each[0]["user-agent"] for each in seen] == ["xsp", "xsp"]
    assert seen[0][1] == ASK.json
    assert session.calls == [url, url]


async def test_headers_of_the_settings_stand_above_those_of_a_session():
    seen = []
    async with bidder(recording(seen), headers={"Accept-Language": "de"}) as transport:
        await transport.send(Ask(ASK.request, session=Session()), 5)
    assert seen[0][0].getall("accept-language") == ["de"]
    assert seen[0][0]["traceparent"] == "t-1"


async def test_cookies_of_one_auction_do_not_travel_with_the_next():
    seen = []
    async with bidder(recording(seen, headers={"Set-Cookie": "user=1"})) as transport:
        await transport.send(ASK, 5)
        await transport.send(ASK, 5)
    assert [headers.get("Cookie") for headers, _, _ in seen] == [None, None]


# Answers.


@pytest.mark.parametrize("sent", ["json", "protobuf"])
@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (JSON, BIDS),
        ("application/json; charset=utf-8", BIDS),
        ("Application/JSON;charset=UTF-8", BIDS),
        ("text/json", BIDS),
        (PROTOBUF, RESPONSE.SerializeToString()),
        ("application/protobuf", RESPONSE.SerializeToString()),
        ("application/vnd.google.protobuf; proto=x", RESPONSE.SerializeToString()),
    ],
)
async def test_an_answer_is_read_as_its_content_type_says(sent, content_type, body):
    handler = answers(body=body, headers={"Content-Type": content_type})
    async with bidder(handler, body=sent) as transport:
        assert await transport.send(ASK, 5) == RESPONSE


@pytest.mark.parametrize(("sent", "body"), [("json", BIDS), ("protobuf", RESPONSE)])
async def test_an_answer_without_content_type_is_read_as_what_was_sent(sent, body):
    async def serve(reader, writer):
        await read_request(reader)
        data = body if isinstance(body, bytes) else body.SerializeToString()
        writer.write(http("200 OK", data, Content_Length=len(data)))

    async with sockets(serve, body=sent) as transport:
        assert await transport.send(ASK, 5) == RESPONSE


@pytest.mark.parametrize(
    "answer", [{"status": 204}, {"status": 200}, {"status": 200, "content_type": "text/html"}]
)
async def test_204_and_an_empty_200_are_no_bids(answer):
    async with bidder(answers(**answer)) as transport:
        assert await transport.send(ASK, 5) is None


async def test_an_empty_200_of_unknown_length_is_a_no_bid():
    async def serve(reader, writer):
        await read_request(reader)
        writer.write(http("200 OK", b"0\r\n\r\n", Transfer_Encoding="chunked"))

    async with sockets(serve) as transport:
        assert await transport.send(ASK, 5) is None


async def test_an_answer_to_another_request_is_left_to_the_auction():
    async with bidder(answers(text='{"id": "other"}', content_type=JSON)) as transport:
        assert await transport.send(ASK, 5) == BidResponse(id="other")


async def test_an_answer_may_come_in_pieces():
    async def handler(request):
        response = web.StreamResponse(headers={"Content-Type": JSON})
        await response.prepare(request)
        for byte in BIDS:
            await response.write(bytes((byte,)))
        return response

    async with bidder(handler) as transport:
        assert await transport.send(ASK, 5) == RESPONSE


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_an_answer_may_be_compressed(encoding):
    packed = {"gzip": gzip.compress, "deflate": zlib.compress}[encoding](BIDS)
    headers = {"Content-Type": JSON, "Content-Encoding": encoding}
    async with bidder(answers(body=packed, headers=headers)) as transport:
        assert await transport.send(ASK, 5) == RESPONSE


async def test_a_bomb_is_unpacked_no_further_than_the_limit():
    megabytes = 64
    bomb = gzip.compress(b" " * (megabytes * 1024 * 1024))
    headers = {"Content-Type": JSON, "Content-Encoding": "gzip"}
    async with bidder(answers(body=bomb, headers=headers)) as transport:
        tracemalloc.start()
        try:
            error = await failure(transport)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert error.outcome is Outcome.INVALID_RESPONSE
    assert "above 1048576 bytes" in error.detail
    assert peak < 8 * 1024 * 1024


@pytest.mark.parametrize(
    ("answer", "expected", "detail"),
    [
        ({"status": 500}, Outcome.ERROR, "HTTP 500; expected 200 or 204"),
        ({"status": 101}, Outcome.ERROR, "HTTP 101"),
        ({"status": 404, "text": "?"}, Outcome.ERROR, "HTTP 404"),
        ({"status": 302, "headers": {"Location": "/bid"}}, Outcome.ERROR, "HTTP 302"),
        ({"text": "<html>"}, Outcome.INVALID_RESPONSE, "Content-Type text/plain; charset=utf-8"),
        ({"body": BIDS, "content_type": "text/html"}, Outcome.INVALID_RESPONSE, "text/html"),
        ({"body": b"<html>", "content_type": JSON}, Outcome.INVALID_RESPONSE, ""),
        ({"text": '{"id": 5}', "content_type": JSON}, Outcome.INVALID_RESPONSE, "id: expected str"),
        ({"text": '{"id": "1"', "content_type": JSON}, Outcome.INVALID_RESPONSE, ""),
        ({"body": b"\xff\xfe", "content_type": JSON}, Outcome.INVALID_RESPONSE, ""),
        ({"body": b"[" * 1200, "content_type": JSON}, Outcome.INVALID_RESPONSE, ""),
        ({"body": b"\xff\xff", "content_type": PROTOBUF}, Outcome.INVALID_RESPONSE, "not a BidRes"),
        ({"body": b" " * 5000, "content_type": JSON}, Outcome.INVALID_RESPONSE, "above 2048 bytes"),
        (
            {"body": b"not gzip", "headers": {"Content-Type": JSON, "Content-Encoding": "gzip"}},
            Outcome.INVALID_RESPONSE,
            "cut off",
        ),
    ],
)
async def test_an_answer_that_is_no_bid_response(answer, expected, detail):
    error = await outcome(answers(**answer), max_response_bytes=2048)
    assert error.outcome is expected
    assert detail in error.detail
    assert error.http_status == answer.get("status", 200)


async def test_a_body_without_end_is_read_up_to_the_limit():
    async def handler(request):
        response = web.StreamResponse(headers={"Content-Type": JSON})
        await response.prepare(request)
        while True:
            await response.write(b" " * 1024)

    error = await outcome(handler, max_response_bytes=2048)
    assert error.outcome is Outcome.INVALID_RESPONSE
    assert "above 2048 bytes" in error.detail


async def test_bytes_that_are_no_http_are_an_invalid_response():
    async def serve(reader, writer):
        await read_request(reader)
        writer.write(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")

    async with sockets(serve) as transport:
        assert (await failure(transport)).outcome is Outcome.INVALID_RESPONSE


def test_what_a_bidder_says_is_kept_short():
    error = TransportError(Outcome.ERROR, "x" * 5000)
    assert len(error.detail) == MAX_DETAIL
    assert str(error) == error.detail


# Time.


async def test_a_bidder_that_hangs_costs_its_timeout_and_no_more():
    async def hang(request):  # noqa: ARG001
        await asyncio.Event().wait()

    loop = asyncio.get_running_loop()
    before = loop.time()
    error = await outcome(hang, timeout=0.05)
    assert error.outcome is Outcome.TIMEOUT
    assert error.detail == "no answer in 50 ms"
    assert loop.time() - before < 2


async def test_a_body_that_drips_is_cut_at_the_timeout():
    async def drip(request):
        response = web.StreamResponse(headers={"Content-Type": JSON})
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.01)

    assert (await outcome(drip, timeout=0.1)).outcome is Outcome.TIMEOUT


async def test_a_call_that_has_run_out_of_time_holds_no_connection():
    """Even if the peer does not read: an orderly end would wait until it had read it all."""
    given_up, read = asyncio.Event(), asyncio.get_running_loop().create_future()

    async def serve(reader, writer):  # noqa: ARG001
        await given_up.wait()
        length = 0
        while data := await reader.read(65536):
            length += len(data)
        read.set_result(length)

    large = Ask(BidRequest(id="1", cur=["x" * 20_000_000]))
    async with sockets(serve) as transport:
        assert (await failure(transport, 0.1, large)).outcome is Outcome.TIMEOUT
        given_up.set()
        assert await asyncio.wait_for(read, 10) < len(large.json)


# Connections.


async def test_connections_are_kept_alive_and_send_small_packets_at_once():
    peers = set()

    async def handler(request):
        peers.add(request.transport.get_extra_info("peername"))
        return web.Response(status=204)

    async with bidder(handler) as transport:
        for _ in range(5):
            await transport.send(ASK, 5)
        [[connection]] = transport._endpoint._connector._conns.values()
        own = connection[0].transport.get_extra_info("socket")
        assert own.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert len(peers) == 1


async def test_no_more_connections_are_open_than_allowed():
    open_now, most, both = 0, 0, asyncio.Event()

    async def handler(request):  # noqa: ARG001
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        if open_now == 2:
            both.set()
        await both.wait()
        open_now -= 1
        return web.Response(status=204)

    async with bidder(handler, max_connections=2) as transport:
        await asyncio.gather(*(transport.send(ASK, 5) for _ in range(6)))
    assert most == 2


async def answer_once_per_connection(reader, writer):
    """A bidder that closes its connections when they are used a second time."""
    await read_request(reader)
    writer.write(http(Connection="keep-alive"))
    await read_request(reader)


async def test_a_kept_connection_that_breaks_is_replaced():
    async with sockets(answer_once_per_connection) as transport:
        for _ in range(3):
            assert await transport.send(ASK, 5) is None


async def test_without_retries_a_connection_that_breaks_is_an_error():
    async with sockets(answer_once_per_connection, retries=0) as transport:
        await transport.send(ASK, 5)
        assert (await failure(transport)).outcome is Outcome.ERROR


async def test_a_connection_lost_on_its_way_out_of_the_pool_is_replaced():
    class Lost:
        transport = protocol = None

        def close(self):
            pass

    async with bidder(answers(status=204)) as transport:
        await transport.send(ASK, 5)
        connector = transport._endpoint._connector
        connect, lost = connector.connect, [Lost()]

        async def lose_one(*args):
            return lost.pop() if lost else await connect(*args)

        connector.connect = lose_one
        assert await transport.send(ASK, 5) is None
    assert not lost


async def test_tries_end_when_they_are_used_up():
    tries = 0

    async def close(reader, writer):  # noqa: ARG001
        nonlocal tries
        tries += 1
        await read_request(reader)

    async with sockets(close, retries=2) as transport:
        error = await failure(transport)
    assert error.outcome is Outcome.ERROR
    assert "ServerDisconnectedError" in error.detail
    assert tries == 3


async def test_an_answer_that_has_begun_is_not_asked_for_again():
    tries = 0

    async def reset(request):
        nonlocal tries
        tries += 1
        response = web.StreamResponse(headers={"Content-Length": "1000", "Content-Type": JSON})
        await response.prepare(request)
        await response.write(b"{")
        request.transport.abort()
        return response

    error = await outcome(reset)
    assert error.outcome is Outcome.INVALID_RESPONSE
    assert "cut off" in error.detail
    assert tries == 1


async def test_informational_answers_are_passed_over():
    async def serve(reader, writer):
        await read_request(reader)
        writer.write(http("103 Early Hints") + http("100 Continue") + http())

    async with sockets(serve) as transport:
        assert await transport.send(ASK, 5) is None


async def test_a_bidder_that_ends_the_connection_after_each_answer_gets_a_new_one():
    peers = []

    async def handler(request):
        peers.append(request.transport.get_extra_info("peername"))
        response = web.Response(status=204)
        response.force_close()
        return response

    async with bidder(handler) as transport:
        await transport.send(ASK, 5)
        await transport.send(ASK, 5)
    assert len(set(peers)) == 2


async def test_user_and_password_of_the_endpoint_are_told():
    seen = []
    async with bidder(recording(seen)) as transport:
        endpoint = str(transport.settings.endpoint).replace("://", "://user:secret@")
        other = made(endpoint=endpoint)
        await other.send(ASK, 5)
        await other.close()
    credentials = base64.b64encode(b"user:secret").decode()
    assert seen[0][0]["Authorization"] == f"Basic {credentials}"


async def test_nobody_listening_is_unreachable():
    async with bidder(answers(status=204)) as transport:
        endpoint = transport.settings.endpoint
    gone = made(endpoint=endpoint)
    error = await failure(gone)
    await gone.close()
    assert error.outcome is Outcome.UNREACHABLE
    assert error.http_status is None


# Names.


async def test_a_name_that_does_not_resolve_is_unreachable(monkeypatch):
    def nothing(host, *_, **__):
        raise socket.gaierror(socket.EAI_NONAME, f"{host} is not known")

    monkeypatch.setattr(socket, "getaddrinfo", nothing)
    transport = made(endpoint="http://bidder.invalid/bid")
    error = await failure(transport)
    await transport.close()
    assert error.outcome is Outcome.UNREACHABLE
    assert "bidder.invalid" in error.detail


async def test_names_that_hang_hold_up_nobody_else(monkeypatch):
    release, hanging = threading.Event(), threading.Semaphore(0)
    getaddrinfo = socket.getaddrinfo

    def look_up(host, *args, **kwargs):
        if host.startswith("hangs"):
            hanging.release()
            release.wait(30)
        return getaddrinfo(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    stuck = [made(endpoint=f"http://hangs{n}.invalid/bid") for n in range(40)]
    calls = [asyncio.ensure_future(failure(transport, timeout=0.3)) for transport in stuck]
    try:
        async with bidder(answers(status=204), host="localhost") as transport:
            assert await transport.send(ASK, 5) is None
        assert {(await call).outcome for call in calls} == {Outcome.TIMEOUT}
    finally:
        release.set()
        for transport in stuck:
            await transport.close()
    assert all(hanging.acquire(timeout=5) for _ in stuck), "the names were never looked up"


# TLS.


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority.make(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def localhost(authority):
    return authority.sign("localhost")


@pytest.fixture(scope="module")
def exchange(authority):
    return authority.sign("exchange.example")


@pytest.fixture
def tls(localhost):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(localhost.cert, localhost.key)
    return context


NO_BID = answers(status=204)


async def test_a_certificate_of_a_trusted_authority_will_do(authority, tls):
    ca = authority.pair.cert
    async with bidder(NO_BID, tls=tls, host="localhost", ca=ca) as transport:
        assert await transport.send(ASK, 5) is None


async def test_a_certificate_of_anybody_is_unreachable(tls):
    error = await outcome(NO_BID, tls=tls, host="localhost")
    assert error.outcome is Outcome.UNREACHABLE
    assert "certificate verify failed" in error.detail


async def test_a_certificate_for_another_name_is_unreachable_unless_that_name_is_expected(
    authority, tls
):
    ca = authority.pair.cert
    assert (await outcome(NO_BID, tls=tls, ca=ca)).outcome is Outcome.UNREACHABLE
    async with bidder(NO_BID, tls=tls, ca=ca, server_name="localhost") as transport:
        assert await transport.send(ASK, 5) is None


async def test_without_verify_any_certificate_will_do(tls):
    async with bidder(NO_BID, tls=tls, verify=False) as transport:
        assert await transport.send(ASK, 5) is None


async def test_a_bidder_may_ask_who_we_are(authority, tls, exchange):
    tls.maximum_version = ssl.TLSVersion.TLSv1_2  # from 1.3 on it is told after the handshake
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.load_verify_locations(authority.pair.cert)
    common = {"tls": tls, "host": "localhost", "ca": authority.pair.cert}
    error = await outcome(NO_BID, **common)
    assert error.outcome is Outcome.UNREACHABLE
    own = {"client_cert": exchange.cert, "client_key": exchange.key}
    async with bidder(NO_BID, **common, **own) as transport:
        assert await transport.send(ASK, 5) is None


async def test_tls_to_a_plain_port_is_unreachable():
    async with bidder(NO_BID) as transport:
        endpoint = str(transport.settings.endpoint).replace("http:", "https:")
        other = made(endpoint=endpoint)
        assert (await failure(other)).outcome is Outcome.UNREACHABLE
        await other.close()


# Proxies.


async def test_a_proxy_carries_the_call_and_hears_its_password():
    seen = []

    async def proxy(reader, writer):
        head, _ = await read_request(reader)
        seen.append(head)
        writer.write(http())

    async with sockets(proxy) as to_proxy:
        address = f"http://user:secret@127.0.0.1:{to_proxy.port}"
        transport = made(endpoint="http://me:mine@bidder.invalid/bid?a=1", proxy=address)
        assert await transport.send(ASK, 5) is None
        await transport.close()
    [head] = seen
    assert head.startswith("POST http://bidder.invalid/bid?a=1 HTTP/1.1\r\n")
    for name, password in {
        "Proxy-Authorization": b"user:secret",
        "Authorization": b"me:mine",
    }.items():
        assert f"\r\n{name}: Basic {base64.b64encode(password).decode()}\r\n" in head


async def test_a_proxy_tunnels_tls(authority, tls):
    seen = []

    async def pump(reader, writer):
        while data := await reader.read(65536):
            writer.write(data)

    async def proxy(reader, writer):
        head, _ = await read_request(reader)
        seen.append(head.split("\r\n", 1)[0])
        to = await asyncio.open_connection("127.0.0.1", int(head.split()[1].rpartition(":")[2]))
        writer.write(http("200 Connection established"))
        pumps = [asyncio.ensure_future(pump(*way)) for way in ((reader, to[1]), (to[0], writer))]
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        to[1].close()
        writer.close()
        await asyncio.gather(*pumps)

    ca = authority.pair.cert
    async with sockets(proxy) as to_proxy, bidder(NO_BID, tls=tls, host="localhost") as direct:
        address = f"http://127.0.0.1:{to_proxy.port}"
        endpoint = direct.settings.endpoint
        transport = made(endpoint=endpoint, proxy=address, ca=ca)
        assert await transport.send(ASK, 5) is None
        await transport.close()
    assert seen == [f"CONNECT localhost:{endpoint.port} HTTP/1.1"]


async def test_a_proxy_that_lets_nobody_through_is_unreachable():
    async def proxy(reader, writer):
        await read_request(reader)
        writer.write(http("407 Proxy Authentication Required", Content_Length=0))

    async with sockets(proxy) as to_proxy:
        address = f"http://127.0.0.1:{to_proxy.port}"
        transport = made(endpoint="https://bidder.invalid/bid", proxy=address)
        error = await failure(transport)
        await transport.close()
    assert error.outcome is Outcome.UNREACHABLE


# Settings.


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"headers": {"Content-Length": "1"}}, "no Content-Length"),
        ({"headers": {"X-Key": "a\r\nb"}}, "headers"),
        ({"headers": {"X Key": "a"}}, "headers"),
        ({"client_key": "key.pem"}, "client_key needs client_cert"),
        ({"verify": False, "ca": "ca.pem"}, "need verify"),
        ({"proxy": "socks5://127.0.0.1"}, "proxy"),
        ({"body": "xml"}, "body"),
    ],
)
def test_a_setting_that_can_not_work_is_refused(settings, expected):
    with pytest.raises(ValidationError, match=expected):
        made(endpoint="http://127.0.0.1/", **settings)


def test_a_file_that_is_no_certificate_is_told(tmp_path, authority):
    text = tmp_path / "text.pem"
    text.write_text("no certificate")
    endpoint = "https://127.0.0.1/"
    with pytest.raises(ConfigError, match=r"gone.pem: No such file.*PEM"):
        made(endpoint=endpoint, ca=tmp_path / "gone.pem")
    with pytest.raises(ConfigError, match=r"text.pem: .*expected certificates in PEM format"):
        made(endpoint=endpoint, ca=text)
    with pytest.raises(ConfigError, match=r"text.pem: .*expected a certificate in PEM format"):
        made(endpoint=endpoint, client_cert=text)
    with pytest.raises(ConfigError, match="expected a certificate in PEM format and its private"):
        made(endpoint=endpoint, client_cert=authority.pair.cert)
