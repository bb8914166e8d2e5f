"""Guarded GETs over real sockets: what comes back, and every way in which nothing does."""

import asyncio
import gzip
import random
import shutil
import ssl
import subprocess
import tracemalloc
import zlib
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from xsp_server.upstream.fetch import (
    Failure,
    Fetched,
    FetchError,
    GuardedFetcher,
    Obstacle,
    Redirect,
)
from xsp_server.upstream.guard import AddressGuard, GuardSettings

LOOPBACK = GuardSettings(allow_networks=["127.0.0.1/32"], ports=[], max_redirects=3)


@asynccontextmanager
async def served(handler, tls=None):
    """An HTTP server with one handler for every path; yields its port."""
    app = web.Application()
    app.router.add_get("/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.01, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def spoken(*says: bytes, close=True, heard=None):
    """A server that reads one request and answers with these bytes; yields its port."""
    ended = asyncio.Event()

    async def connected(reader, writer):
        request = await reader.readuntil(b"\r\n\r\n")
        if heard is not None:
            heard.append(request)
        for piece in says:
            writer.write(piece)
            await writer.drain()
        if not close:
            await ended.wait()
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        ended.set()
        server.close()
        await server.wait_closed()


@asynccontextmanager
async def fetching(settings=LOOPBACK, **options):
    fetcher = GuardedFetcher(AddressGuard(settings), **options)
    try:
        yield fetcher
    finally:
        await fetcher.close()


async def get(url, *, timeout=5.0, max_bytes=1000, settings=LOOPBACK, **options) -> Fetched:
    """One call with a fetcher of its own."""
    names = {key: options.pop(key) for key in ("look_up", "tls") if key in options}
    async with fetching(settings, **names) as fetcher:
        return await fetcher.get(url, timeout=timeout, max_bytes=max_bytes, **options)


async def failed(url, **options) -> FetchError:
    with pytest.raises(FetchError) as caught:
        await get(url, **options)
    return caught.value


def answers(**kwargs):
    async def handler(_request):
        return web.Response(**kwargs)

    return handler


def addresses(*answers_in_turn):
    """A look-up with one answer for each call; it keeps what it was asked."""
    turns = iter(answers_in_turn)

    async def look_up(host, port):
        look_up.asked.append((host, port))
        return next(turns)

    look_up.asked = []
    return look_up


async def test_an_answer_whatever_its_status():
    handler = answers(status=404, text="no such ad", headers={"X-Why": "gone"})
    async with served(handler) as port:
        answer = await get(f"HTTP://127.0.0.1:{port}/tag?a=1#top")
    assert answer.status == 404
    assert answer.body == b"no such ad"
    assert answer.headers["x-why"] == "gone"
    assert answer.url == f"http://127.0.0.1:{port}/tag?a=1"
    assert answer.redirects == ()
    assert answer.elapsed_ms > 0


async def test_path_and_query_arrive_as_they_were_written():
    heard = []
    async with spoken(b"HTTP/1.1 204 No Content\r\n\r\n", heard=heard) as port:
        await get(f"http://127.0.0.1:{port}/a%2Fb/../c?x=%41+b&y=[1]&z=a b")
    assert heard[0].startswith(b"GET /a%2Fb/../c?x=%41+b&y=[1]&z=a%20b HTTP/1.1\r\n")
    assert b"User-Agent: xsp\r\n" in heard[0]
    assert b"Accept-Encoding: gzip, deflate\r\n" in heard[0]
    assert b"Cookie" not in heard[0]


async def test_headers_go_along():
    heard = []
    async with spoken(b"HTTP/1.1 204 No Content\r\n\r\n", heard=heard) as port:
        headers = {"X-Device-IP": "192.0.2.7", "User-Agent": "TV/1.0"}
        await get(f"http://127.0.0.1:{port}/", headers=headers)
    assert b"X-Device-IP: 192.0.2.7\r\n" in heard[0]
    assert b"User-Agent: TV/1.0\r\n" in heard[0]


async def test_headers_that_frame_a_request_are_our_own():
    heard = []
    async with spoken(b"HTTP/1.1 204 No Content\r\n\r\n", heard=heard) as port:
        headers = {
            "host": "b",
            "Content-Length": "5",
            "Transfer-Encoding": "chunked",
            "accept": "a",
        }
        await get(f"http://127.0.0.1:{port}/", headers=headers)
    head = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: xsp\r\naccept: a\r\n"
    assert heard == [f"{head}Accept-Encoding: gzip, deflate\r\n\r\n".encode()]


@pytest.mark.parametrize(
    "headers", [{"X": "a\r\nHost: b"}, {"X": "a\nb"}, {"X": "a\0"}, {"X\r\nY": "a"}, {"": "a"}]
)
async def test_a_header_that_could_make_another_is_never_sent(headers):
    error = await failed("http://127.0.0.1:1/", headers=headers)
    assert (error.failure, error.sent) == (Failure.HEADER, False)


async def test_a_name_is_resolved_once_and_what_was_checked_is_connected_to():
    look_up = addresses(["127.0.0.1"], ["10.0.0.1"])
    async with served(answers(text="ad")) as port, fetching(look_up=look_up) as fetcher:
        url = f"http://ads.example:{port}/"
        for _ in range(2):
            headers = {"Connection": "close"}  # so that the second call connects anew
            answer = await fetcher.get(url, timeout=5, max_bytes=100, headers=headers)
            assert answer.body == b"ad"
    assert look_up.asked == [("ads.example", port)]


async def test_the_host_is_told_by_name():
    heard = []
    async with spoken(b"HTTP/1.1 204 No Content\r\n\r\n", heard=heard) as port:
        await get(f"http://Ads.Example.:{port}/", look_up=addresses(["127.0.0.1"]))
    assert f"Host: ads.example:{port}\r\n".encode() in heard[0]


async def test_a_name_with_a_refused_address_among_others_is_not_called():
    heard = []
    async with spoken(b"", heard=heard) as port:
        look_up = addresses(["127.0.0.1", "10.0.0.1"])
        error = await failed(f"http://ads.example:{port}/?secret", look_up=look_up)
    assert (error.failure, error.sent, error.status) == (Failure.REFUSED, False, None)
    assert error.refusal.metadata == {"host": "ads.example", "rule": "address.private"}
    assert "secret" not in str(error)
    assert heard == []


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("http://127.0.0.1/", "address.loopback"),
        ("http://2130706433/", "url.ipv4_spelling"),
        ("http://0177.0.0.1/", "url.ipv4_spelling"),
        ("http://[::ffff:7f00:1]/", "address.loopback"),
        ("http://169.254.169.254/latest/meta-data/", "address.metadata"),
        ("http://8.8.8.8:22/", "port"),
        ("file:///etc/passwd", "url.scheme"),
        ("data:,x", "url.scheme"),
    ],
)
async def test_a_url_that_may_not_be_called_is_not(url, rule):
    error = await failed(url, settings=GuardSettings())
    assert (error.failure, error.sent) == (Failure.REFUSED, False)
    assert error.refusal.rule == rule


async def test_a_proxy_in_the_environment_is_not_used(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1/")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1/")
    async with served(answers(text="direct")) as port:
        assert (await get(f"http://127.0.0.1:{port}/")).body == b"direct"


async def test_an_address_that_does_not_answer_is_followed_by_the_next():
    settings = GuardSettings(allow_networks=["127.0.0.0/8"], ports=[])
    async with served(answers(text="ad")) as port:
        look_up = addresses(["127.0.0.2", "127.0.0.1"])
        answer = await get(f"http://ads.example:{port}/", settings=settings, look_up=look_up)
    assert answer.body == b"ad"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A self-signed certificate for tracker.example, made by openssl."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not on PATH: no certificate can be made")
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    args = (
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
        *("-nodes", "-days", "2", "-subj", "/CN=tracker.example"),
        *("-addext", "subjectAltName=DNS:tracker.example"),
        *("-keyout", str(key), "-out", str(cert)),
    )
    subprocess.run(args, check=True, capture_output=True)
    return cert, key


@pytest.fixture
def server_tls(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    context.names = []
    context.sni_callback = lambda _socket, name, _context: context.names.append(name)
    return context


@pytest.fixture
def client_tls(certificate):
    return ssl.create_default_context(cafile=certificate[0])


async def test_server_name_and_certificate_are_those_of_the_url(server_tls, client_tls):
    async with served(answers(text="ad"), server_tls) as port:
        url = f"https://tracker.example:{port}/"
        answer = await get(url, tls=client_tls, look_up=addresses(["127.0.0.1"]))
    assert answer.body == b"ad"
    assert server_tls.names == ["tracker.example"]


async def test_a_certificate_of_another_name_is_no_connection(server_tls, client_tls):
    async with served(answers(text="ad"), server_tls) as port:
        url = f"https://other.example:{port}/"
        error = await failed(url, tls=client_tls, look_up=addresses(["127.0.0.1"]))
    assert (error.failure, error.sent) == (Failure.UNREACHABLE, False)
    assert "Certificate" in str(error)


async def test_an_authority_that_nobody_trusts_is_no_connection(server_tls):
    async with served(answers(text="ad"), server_tls) as port:
        url = f"https://tracker.example:{port}/"
        error = await failed(url, look_up=addresses(["127.0.0.1"]))
    assert (error.failure, error.sent) == (Failure.UNREACHABLE, False)


async def test_a_redirect_to_http_is_refused(server_tls, client_tls):
    handler = answers(status=302, headers={"Location": "http://tracker.example/"})
    async with served(handler, server_tls) as port:
        url = f"https://tracker.example:{port}/"
        error = await failed(url, tls=client_tls, look_up=addresses(["127.0.0.1"]))
    assert error.failure is Failure.REFUSED
    assert error.refusal.rule == "redirect.downgrade"
    assert error.redirects == (Redirect(url, 302),)


async def test_redirects_are_followed_and_told():
    async def handler(request):
        host = request.headers["Host"]
        location = {"/a": "/b?x=1", "/b": f"//{host}/c"}.get(request.path)
        if location is None:
            return web.Response()
        return web.Response(status=307, headers={"Location": location})

    async with served(handler) as port:
        answer = await get(f"http://127.0.0.1:{port}/a")
    base = f"http://127.0.0.1:{port}"
    assert answer.url == f"{base}/c"
    assert answer.redirects == (Redirect(f"{base}/a", 307), Redirect(f"{base}/b?x=1", 307))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_each_kind_of_redirect_is_followed(status):
    async def handler(request):
        if request.path == "/end":
            return web.Response(text="end")
        return web.Response(status=status, headers={"Location": "/end"})

    async with served(handler) as port:
        assert (await get(f"http://127.0.0.1:{port}/")).body == b"end"


async def test_an_answer_comes_after_its_early_hints():
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
    async with spoken(hints, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nad") as port:
        answer = await get(f"http://127.0.0.1:{port}/")
    assert (answer.status, answer.body) == (200, b"ad")


@pytest.mark.parametrize(
    "answer", [{"status": 302}, {"status": 304}, {"status": 201, "headers": {"Location": "/x"}}]
)
async def test_an_answer_that_leads_nowhere_is_the_answer(answer):
    async with served(answers(**answer)) as port:
        assert (await get(f"http://127.0.0.1:{port}/")).status == answer["status"]


@pytest.mark.parametrize(
    ("location", "rule"),
    [
        ("http://127.0.0.2/", "address.loopback"),
        ("http://[::1]/", "address.loopback"),
        ("http://169.254.169.254/", "address.metadata"),
        ("http://0x7f000001/", "url.ipv4_spelling"),
        ("file:///etc/passwd", "url.scheme"),
        ("http://user:secret@a.example/", "url.userinfo"),
        ("http://rebound.example/", "address.private"),
    ],
)
async def test_each_redirect_is_checked_like_the_first_url(location, rule):
    handler = answers(status=302, headers={"Location": location})
    async with served(handler) as port:
        error = await failed(f"http://127.0.0.1:{port}/", look_up=addresses(["10.0.0.1"]))
    assert error.failure is Failure.REFUSED
    assert error.refusal.rule == rule
    assert error.redirects == (Redirect(f"http://127.0.0.1:{port}/", 302),)
    assert error.sent


async def test_a_loop_of_redirects_ends_at_the_limit():
    calls = []

    async def handler(request):
        calls.append(request.path)
        return web.Response(status=302, headers={"Location": request.path})

    async with served(handler) as port:
        error = await failed(f"http://127.0.0.1:{port}/")
    assert error.failure is Failure.REDIRECTS
    assert len(calls) == len(error.redirects) == 4
    assert str(error) == "4 redirects; expected 3 at most"


async def test_a_caller_may_want_fewer_redirects_and_not_more():
    handler = answers(status=302, headers={"Location": "/next"})
    async with served(handler) as port:
        fewer = await failed(f"http://127.0.0.1:{port}/", max_redirects=1)
        more = await failed(f"http://127.0.0.1:{port}/", max_redirects=9)
    assert (len(fewer.redirects), len(more.redirects)) == (2, 4)
    assert fewer.reached.led_to == f"http://127.0.0.1:{port}/next"


async def test_a_caller_may_stop_before_any_request():
    handler = answers(status=302, headers={"Location": "/next"})
    async with served(handler) as port:
        left = [True, False]
        error = await failed(f"http://127.0.0.1:{port}/", take=lambda: left.pop(0))
        nothing = await failed(f"http://127.0.0.1:{port}/", take=lambda: False)
    assert (error.failure, error.reached.requests) == (Failure.SPENT, 1)
    assert error.reached.requested == f"http://127.0.0.1:{port}/"
    assert (nothing.failure, nothing.sent, nothing.reached.requests) == (Failure.SPENT, False, 0)


async def test_a_second_try_is_no_further_request():
    asked = []
    async with spoken() as port:
        error = await failed(f"http://127.0.0.1:{port}/", take=lambda: not asked.append(1))
    assert (len(asked), error.reached.requests) == (1, 1)


async def test_what_an_unreachable_host_lacks_is_told(server_tls):
    async def unknown(_host, _port):
        raise OSError(-2, "Name or service not known")

    async with served(answers(text="ad"), server_tls) as port:
        url = f"https://tracker.example:{port}/"
        tls = await failed(url, look_up=addresses(["127.0.0.1"]))
    async with spoken() as port:
        pass
    connection = await failed(f"http://127.0.0.1:{port}/")
    name = await failed("http://nobody.example/", look_up=unknown)
    obstacles = [error.obstacle for error in (tls, connection, name)]
    assert obstacles == [Obstacle.TLS, Obstacle.CONNECTION, Obstacle.NAME]


async def test_hosts_without_calls_are_forgotten(monkeypatch):
    monkeypatch.setattr("xsp_server.upstream.fetch.MAX_ORIGINS", 2)
    arrived, leave = asyncio.Event(), asyncio.Event()

    async def handler(request):
        if request.path == "/wait":
            arrived.set()
            await leave.wait()
        return web.Response(text=request.host)

    async def anywhere(_host, _port):
        return ["127.0.0.1"]

    async with served(handler) as port, fetching(look_up=anywhere, host_waiting=0) as fetcher:
        waits = fetcher.get(f"http://h.example:{port}/wait", timeout=5, max_bytes=99)
        waiting = asyncio.ensure_future(waits)
        await arrived.wait()
        for name in "abch":
            url = f"http://{name}.example:{port}/"
            answer = await fetcher.get(url, timeout=5, max_bytes=99)
            assert answer.body == f"{name}.example:{port}".encode()
        leave.set()
        assert (await waiting).body == f"h.example:{port}".encode()


async def test_credentials_stay_with_the_host_that_they_were_meant_for():
    seen = []

    async def handler(request):
        seen.append({k: v for k, v in request.headers.items() if k in {"Authorization", "X-Id"}})
        if request.path == "/end":
            return web.Response()
        here = "/next" if request.path == "/" else f"http://other.example:{port}/end"
        return web.Response(status=302, headers={"Location": here})

    async with served(handler) as port:
        headers = {"Authorization": "Bearer x", "X-Id": "7"}
        url = f"http://127.0.0.1:{port}/"
        await get(url, headers=headers, look_up=addresses(["127.0.0.1"]))
    assert seen == [headers, headers, {"X-Id": "7"}]


class Jar:
    """Cookies that keep what they were told."""

    def __init__(self):
        self.stored = []

    def header(self, url):
        return "id=7" if url.endswith("/end") else ""

    def store(self, url, set_cookie):
        self.stored.append((url, list(set_cookie)))


async def test_cookies_are_asked_for_each_url_and_told_of_each_that_is_set():
    sent = []

    async def handler(request):
        sent.append(request.headers.get("Cookie"))
        if request.path == "/end":
            return web.Response()
        response = web.Response(status=302, headers={"Location": "/end"})
        response.headers.add("Set-Cookie", "id=7")
        response.headers.add("Set-Cookie", "b=8; Path=/x")
        return response

    jar = Jar()
    async with served(handler) as port:
        await get(f"http://127.0.0.1:{port}/", cookies=jar)
    assert sent == [None, "id=7"]
    base = f"http://127.0.0.1:{port}"
    assert jar.stored == [(f"{base}/", ["id=7", "b=8; Path=/x"])]


async def test_without_a_jar_no_cookie_comes_back():
    sent = []

    async def handler(request):
        sent.append(request.headers.get("Cookie"))
        return web.Response(headers={"Set-Cookie": "id=7"})

    async with served(handler) as port, fetching() as fetcher:
        for _ in range(2):
            await fetcher.get(f"http://127.0.0.1:{port}/", timeout=5, max_bytes=10)
    assert sent == [None, None]


async def test_a_server_that_never_answers_costs_the_time_given():
    async with spoken(close=False) as port:
        error = await failed(f"http://127.0.0.1:{port}/", timeout=0.1)
    assert (error.failure, error.sent, error.status) == (Failure.TIMEOUT, True, None)
    assert 90 < error.elapsed_ms < 2000
    assert str(error) == "no whole answer in 100 ms"


@pytest.mark.parametrize("start", [b"HTTP/1.1 200 OK\r\nX: y", b"HT"])
async def test_a_head_that_stops_costs_the_time_given(start):
    async with spoken(start, close=False) as port:
        error = await failed(f"http://127.0.0.1:{port}/", timeout=0.1)
    assert (error.failure, error.sent, error.status) == (Failure.TIMEOUT, True, None)


async def test_a_body_that_stops_costs_the_time_given():
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab"
    async with spoken(head, close=False) as port:
        error = await failed(f"http://127.0.0.1:{port}/", timeout=0.1)
    assert (error.failure, error.sent, error.status) == (Failure.TIMEOUT, True, 200)


async def test_a_body_that_drips_without_end_costs_the_time_given():
    async def drip(request):
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.01)

    async with served(drip) as port:
        error = await failed(f"http://127.0.0.1:{port}/", timeout=0.2)
    assert (error.failure, error.status) == (Failure.TIMEOUT, 200)
    assert error.elapsed_ms < 2000


async def test_redirects_share_the_time_of_one_call():
    async def slow(_request):
        await asyncio.sleep(0.08)
        return web.Response(status=302, headers={"Location": "/"})

    async with served(slow) as port:
        error = await failed(f"http://127.0.0.1:{port}/", timeout=0.2)
    assert error.failure is Failure.TIMEOUT
    assert error.elapsed_ms < 2000


async def test_a_name_server_that_hangs_costs_the_time_given():
    async def hang(_host, _port):
        await asyncio.Event().wait()

    error = await failed("http://slow.example/", timeout=0.1, look_up=hang)
    assert (error.failure, error.sent) == (Failure.TIMEOUT, False)


async def test_waiting_for_a_place_counts_as_time():
    async with (
        spoken(close=False) as port,
        fetching(host_connections=1) as fetcher,
    ):
        url = f"http://127.0.0.1:{port}/"
        first = asyncio.ensure_future(fetcher.get(url, timeout=0.4, max_bytes=10))
        await asyncio.sleep(0)
        with pytest.raises(FetchError) as second:
            await fetcher.get(url, timeout=0.1, max_bytes=10)
        assert (second.value.failure, second.value.sent) == (Failure.TIMEOUT, False)
        with pytest.raises(FetchError) as caught:
            await first
        assert caught.value.sent


async def test_a_caller_that_walks_away_is_not_told_of_a_failure():
    arrived = asyncio.Event()

    async def hang(_request):
        arrived.set()
        await asyncio.Event().wait()

    async with served(hang) as port, fetching() as fetcher:
        url = f"http://127.0.0.1:{port}/"
        call = asyncio.ensure_future(fetcher.get(url, timeout=5, max_bytes=10))
        await arrived.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call


async def test_where_nobody_listens_nothing_was_sent():
    async with spoken() as port:
        pass
    error = await failed(f"http://127.0.0.1:{port}/?secret")
    assert (error.failure, error.sent) == (Failure.UNREACHABLE, False)
    assert "secret" not in str(error)


async def test_a_name_that_nobody_has_is_unreachable():
    async def unknown(_host, _port):
        raise OSError(-2, "Name or service not known")

    error = await failed("http://nobody.example/", look_up=unknown)
    assert (error.failure, error.sent) == (Failure.UNREACHABLE, False)


async def test_a_connection_that_breaks_before_the_head_is_no_answer():
    async with spoken() as port:
        error = await failed(f"http://127.0.0.1:{port}/", once=True)
    assert (error.failure, error.sent, error.status) == (Failure.BROKEN, True, None)


async def test_a_connection_that_breaks_within_the_body_is_no_answer():
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab"
    async with spoken(head) as port:
        error = await failed(f"http://127.0.0.1:{port}/")
    assert (error.failure, error.sent, error.status) == (Failure.BROKEN, True, 200)


async def test_what_is_no_http_is_no_answer():
    async with spoken(b"SSH-2.0-OpenSSH_9.6\r\n\r\n") as port:
        error = await failed(f"http://127.0.0.1:{port}/?secret")
    assert (error.failure, error.sent) == (Failure.BROKEN, True)
    assert "secret" not in str(error)
    assert "\n" not in str(error)


async def test_a_request_that_met_a_dying_connection_is_sent_again():
    heard = []
    async with spoken(heard=heard) as port:
        error = await failed(f"http://127.0.0.1:{port}/")
    assert error.failure is Failure.BROKEN
    assert len(heard) == 2


async def test_a_request_that_must_arrive_once_is_not_sent_again():
    heard = []
    async with spoken(heard=heard) as port:
        error = await failed(f"http://127.0.0.1:{port}/", once=True)
    assert error.failure is Failure.BROKEN
    assert len(heard) == 1


async def test_a_kept_connection_that_says_what_nobody_asked_for_is_told_nothing():
    heard, idle = [], asyncio.Event()

    async def connected(reader, writer):
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await idle.wait()
        writer.write(b"HTTP/1.1 408 Too Late\r\nContent-Length: 0\r\n\r\n")
        heard.append(await reader.read())
        writer.close()

    async with await asyncio.start_server(connected, "127.0.0.1", 0) as server, fetching() as one:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        assert (await one.get(url, timeout=5, max_bytes=9)).status == 200
        [(kept, _)] = next(iter(one._connector._conns.values()))
        idle.set()
        async with asyncio.timeout(5):
            while not kept.should_close:  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0)
        with pytest.raises(FetchError) as caught:
            await one.get(url, timeout=5, max_bytes=9, once=True)
        async with asyncio.timeout(5):
            while len(heard) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0)
    assert (caught.value.failure, caught.value.sent) == (Failure.BROKEN, False)
    assert heard[1] == b""


async def test_once_or_not_a_refused_connection_tells_that_nothing_was_sent():
    async with spoken() as port:
        pass
    error = await failed(f"http://127.0.0.1:{port}/", once=True)
    assert (error.failure, error.sent) == (Failure.UNREACHABLE, False)


def packed(data: bytes) -> bytes:
    """Gzip without the time, which would tell test runs apart."""
    return gzip.compress(data, mtime=0)


def raw_deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(data) + stream.flush()


def encoded(coding: str, body: bytes):
    async def handler(_request):
        return web.Response(body=body, headers={"Content-Encoding": coding})

    return handler


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", packed(b"<VAST/>")),
        ("x-gzip", packed(b"<VAST/>")),
        (" GZIP ", packed(b"<VAST/>")),
        ("gzip", packed(b"<VA") + packed(b"ST/>")),
        ("deflate", zlib.compress(b"<VAST/>")),
        ("deflate", raw_deflate(b"<VAST/>")),
        ("identity", b"<VAST/>"),
        ("", b"<VAST/>"),
    ],
)
async def test_a_body_is_unpacked(coding, body):
    async with served(encoded(coding, body)) as port:
        assert (await get(f"http://127.0.0.1:{port}/")).body == b"<VAST/>"


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_no_body_needs_no_unpacking(coding):
    async with served(encoded(coding, b"")) as port:
        assert (await get(f"http://127.0.0.1:{port}/")).body == b""


async def test_a_packed_body_of_many_pieces_is_unpacked():
    body = random.Random(1).randbytes(500_000)
    async with served(encoded("gzip", packed(body))) as port:
        assert (await get(f"http://127.0.0.1:{port}/", max_bytes=1_000_000)).body == body


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip", "aes128gcm"])
async def test_a_coding_that_was_not_offered_is_no_answer(coding):
    async with served(encoded(coding, b"x")) as port:
        error = await failed(f"http://127.0.0.1:{port}/")
    assert (error.failure, error.status) == (Failure.ENCODING, 200)


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", b"<VAST/>"),
        ("deflate", b"\xff\xff<VAST/>"),
        ("gzip", packed(b"<VAST/>") + b"more"),
        ("deflate", zlib.compress(b"<VAST/>") + b"more"),
        ("gzip", packed(b"<VAST/>")[:-8] + b"\0" * 8),
        ("gzip", packed(b"") * 65),
    ],
)
async def test_a_body_that_is_not_in_its_coding_is_no_answer(coding, body):
    async with served(encoded(coding, body)) as port:
        error = await failed(f"http://127.0.0.1:{port}/", max_bytes=10_000)
    assert (error.failure, error.status) == (Failure.ENCODING, 200)


@pytest.mark.parametrize("body", [packed(b"<VAST/>")[:-1], b"\x1f"])
async def test_a_packed_body_that_ends_early_is_no_answer(body):
    async with served(encoded("gzip", body)) as port:
        error = await failed(f"http://127.0.0.1:{port}/")
    assert (error.failure, error.status) == (Failure.BROKEN, 200)


@pytest.mark.parametrize("coding", ["", "gzip", "deflate"])
async def test_the_limit_of_a_body_is_on_what_comes_out(coding):
    pack = {"": bytes, "gzip": packed, "deflate": zlib.compress}[coding]
    async with served(encoded(coding, pack(b"x" * 1000))) as port:
        assert len((await get(f"http://127.0.0.1:{port}/", max_bytes=1000)).body) == 1000
        error = await failed(f"http://127.0.0.1:{port}/", max_bytes=999)
    assert (error.failure, error.status) == (Failure.TOO_LARGE, 200)
    assert str(error) == "a body above 999 bytes"


async def test_a_length_above_the_limit_is_not_waited_for():
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n"
    async with spoken(head, close=False) as port:
        assert (await failed(f"http://127.0.0.1:{port}/")).failure is Failure.TOO_LARGE


async def test_a_body_without_length_is_cut_at_the_limit():
    sent = 0

    async def endless(request):
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 1000)
            sent += 1000

    async with served(endless) as port:
        error = await failed(f"http://127.0.0.1:{port}/", max_bytes=100_000)
    assert error.failure is Failure.TOO_LARGE
    assert sent < 50_000_000


async def test_a_packed_body_of_nothing_is_cut_at_the_limit_on_the_wire():
    async def endless(request):
        response = web.StreamResponse(headers={"Content-Encoding": "deflate"})
        await response.prepare(request)
        await response.write(zlib.compress(b"")[:2])
        while True:
            await response.write(b"\0\0\0\xff\xff" * 1000)  # stored blocks of no bytes

    async with served(endless) as port:
        error = await failed(f"http://127.0.0.1:{port}/", max_bytes=100_000)
    assert error.failure is Failure.TOO_LARGE


async def test_a_bomb_is_stopped_before_it_unpacks():
    bomb = packed(b"\0" * 64 * 1024 * 1024)
    async with served(encoded("gzip", bomb)) as port, fetching() as fetcher:
        tracemalloc.start()
        try:
            with pytest.raises(FetchError) as caught:
                await fetcher.get(f"http://127.0.0.1:{port}/", timeout=5, max_bytes=2**20)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert caught.value.failure is Failure.TOO_LARGE
    assert peak < 8 * 2**20


@pytest.mark.parametrize(("limit", "most"), [(2, 2), (9, 9)])
async def test_a_host_is_called_by_so_many_at_once_and_no_more(limit, most):
    inside, seen = 0, []

    async def handler(_request):
        nonlocal inside
        inside += 1
        seen.append(inside)
        for _ in range(100):  # time enough for all others to arrive
            await asyncio.sleep(0)
        inside -= 1
        return web.Response()

    async with served(handler) as port, fetching(host_connections=limit) as fetcher:
        calls = [fetcher.get(f"http://127.0.0.1:{port}/", timeout=5, max_bytes=9) for _ in range(9)]
        assert {answer.status for answer in await asyncio.gather(*calls)} == {200}
    assert max(seen) == most


@pytest.mark.parametrize("waiting", [0, 3])
async def test_calls_wait_for_a_place_at_a_host_up_to_a_number(waiting):
    leave = asyncio.Event()

    async def handler(_request):
        await leave.wait()
        return web.Response()

    options = {"host_connections": 1, "host_waiting": waiting}
    async with served(handler) as port, fetching(**options) as fetcher:
        url = f"http://127.0.0.1:{port}/"
        calls = [
            asyncio.ensure_future(fetcher.get(url, timeout=5, max_bytes=9))
            for _ in range(1 + waiting)
        ]
        await asyncio.sleep(0)  # all of them begin
        with pytest.raises(FetchError) as caught:
            await fetcher.get(url, timeout=5, max_bytes=9)
        assert (caught.value.failure, caught.value.sent) == (Failure.BUSY, False)
        leave.set()
        assert {answer.status for answer in await asyncio.gather(*calls)} == {200}
        assert (await fetcher.get(url, timeout=5, max_bytes=9)).status == 200


async def test_connections_are_kept_for_the_next_call():
    peers = set()

    async def handler(request):
        peers.add(request.transport.get_extra_info("peername"))
        return web.Response(text="ad")

    async with served(handler) as port, fetching() as fetcher:
        for _ in range(5):
            await fetcher.get(f"http://127.0.0.1:{port}/", timeout=5, max_bytes=10)
    assert len(peers) == 1


async def test_closing_what_was_never_used_does_nothing():
    await GuardedFetcher(AddressGuard()).close()
