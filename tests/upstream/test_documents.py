"""Documents over real sockets: what comes of an ask, what is kept, and who waits for whom."""

import asyncio
import gzip
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from xsp.session.v1 import session_context_pb2 as session_pb
from xsp.vast.v1 import resolution_pb2 as pb
from xsp.vast.v1 import vast_lists_pb2 as lists
from xsp_server.simulator import vast as simulated
from xsp_server.upstream import documents
from xsp_server.upstream.documents import UNSHARED_SECONDS, Documents, Redirect
from xsp_server.upstream.fetch import GuardedFetcher
from xsp_server.upstream.guard import AddressGuard, GuardSettings
from xsp_server.upstream.session import Origin, Session, SessionContext

MISS, HIT = pb.CACHE_RESULT_MISS, pb.CACHE_RESULT_HIT
SHARED, BYPASS = pb.CACHE_RESULT_SHARED, pb.CACHE_RESULT_BYPASS
NOTHING = pb.CACHE_RESULT_UNSPECIFIED
SECOND = 1_000_000_000
FRESH = {"Cache-Control": "max-age=60"}
SPOT = simulated.Spot("video", "brand.example", "cr-1", 15, "video/mp4", "mp4", 640, 360)
VAST = simulated.render(SPOT, "4.2", "serving-1")


class Clock:
    """Wall time that passes when told to."""

    def __init__(self):
        self.now = 1_790_000_000 * SECOND

    def __call__(self):
        return self.now

    def pass_seconds(self, seconds):
        self.now += int(seconds * SECOND)


@dataclass(frozen=True)
class Ask:
    """What a resolver asks for; see `documents.Ask`."""

    url: str
    headers: dict = field(default_factory=dict)
    timeout: float = 5.0
    max_body_bytes: int = 100_000
    max_redirects: int = 5
    take: object = lambda: True
    use_cache: bool = True
    session: Session | None = None


@dataclass
class AdServer:
    """An HTTP server that answers by path; it keeps what it was asked."""

    answers: dict = field(default_factory=dict)
    requests: list = field(default_factory=list)
    port: int = 0

    async def handle(self, request):
        self.requests.append(request)
        answer = self.answers.get(request.path, VAST)
        if callable(answer):
            answer = await answer(request)
        return answer if isinstance(answer, web.StreamResponse) else web.Response(text=answer)

    @property
    def paths(self):
        return [request.path for request in self.requests]

    @property
    def headers(self):
        return self.requests[-1].headers


def answers(body=VAST, status=200, **headers):
    async def answer(_request):
        lines = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(body=body.encode(), status=status, headers=lines)

    return answer


fresh = answers(Cache_Control="max-age=60")


class Gate:
    """Lets requests in one by one: they wait until somebody opens."""

    def __init__(self, answer=fresh):
        self.answer = answer
        self.arrived = 0
        self.opened = asyncio.Event()

    async def __call__(self, request):
        self.arrived += 1
        await self.opened.wait()
        return await self.answer(request)

    async def arrivals(self, number):
        await until(lambda: self.arrived == number)


async def until(condition):
    """Lets everybody else work until a condition holds."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0)


class Bench:
    """A fetcher of documents, an ad server, and asks."""

    def __init__(self, server, documents, clock):
        self.server = server
        self.documents = documents
        self.clock = clock

    def ask(self, path="/tag", **terms):
        return Ask(**{"url": f"http://ads.example:{self.server.port}{path}", **terms})

    async def get(self, path="/tag", **terms):
        return await self.documents.fetch(self.ask(path, **terms))

    def begin(self, path="/tag", **terms):
        return asyncio.ensure_future(self.get(path, **terms))

    async def results(self, path="/tag", times=2, **terms):
        return [(await self.get(path, **terms)).cache for _ in range(times)]


async def loopback(_host, _port):
    return ["127.0.0.1"]


@asynccontextmanager
async def running(settings=None, options=None, **cache):
    server = AdServer()
    app = web.Application()
    app.router.add_get("/{path:.*}", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.01, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.port = runner.addresses[0][1]
    settings = settings or GuardSettings(allow_networks=["127.0.0.1/32"], ports=[])
    fetcher = GuardedFetcher(AddressGuard(settings), **{"look_up": loopback, **(options or {})})
    clock = Clock()
    try:
        yield Bench(server, Documents(fetcher, clock=clock, **cache), clock)
    finally:
        await fetcher.close()
        await runner.cleanup()


@pytest.fixture
async def bench():
    async with running() as bench:
        yield bench


def session(clock=None, **fields):
    message = session_pb.SessionContext(**fields)
    context = SessionContext.from_message(message)
    return Session(context, origin=Origin(clock=clock or Clock()))


DEVICE = {
    "device": {"ip": "2001:db8::7", "user_agent": "TestTV/1.0 (x; y)"},
    "language": "pt-BR",
    "referrer": "http://site.example/a?b=1#top",
}


def test_the_resolver_and_the_fetcher_speak_of_the_same_things():
    # The two rooms don't import each other: they know each other by the names of what they pass.
    from xsp_server.vast.resolver import fetcher as wanted  # noqa: PLC0415

    assert set(wanted.DocumentAsk._fields) == members(documents.Ask)
    assert members(wanted.Document) == set(documents.Document._fields)
    assert members(wanted.Redirect) == set(documents.Redirect._fields)
    assert members(wanted.Fetcher) <= members(documents.Documents)


def members(kind):
    """What a class has, but for what all have."""
    return {name for name in vars(kind) if not name.startswith("_")}


async def test_a_document_and_all_that_is_known_of_it(bench):
    body = gzip.compress(VAST.encode(), mtime=0)
    response = web.Response(
        body=body,
        headers={"Content-Type": 'text/xml; x=y; Charset="utf-8"', "Content-Encoding": "gzip"},
    )
    bench.server.answers["/tag"] = lambda _request: asyncio.sleep(0, response)
    document = await bench.get("/tag?cb=1")
    assert document.body == VAST.encode()
    assert document.reason == lists.FAILURE_REASON_UNSPECIFIED
    assert document.message == ""
    assert document.final_url == f"http://ads.example:{bench.server.port}/tag?cb=1"
    assert (document.http_status, document.redirects) == (200, ())
    assert document.charset == "utf-8"
    assert document.wire_bytes == len(body)
    assert document.request_count == 1
    assert document.requested_ns == bench.clock.now
    assert (document.cache, document.cache_expires_ns) == (BYPASS, None)


@pytest.mark.parametrize(
    ("content_type", "charset"),
    [
        ("text/xml; charset=ISO-8859-1", "ISO-8859-1"),
        ("text/xml;charset='utf-16'; a=b", "utf-16"),
        ("text/xml; mycharset=x", None),
        ("text/xml", None),
    ],
)
async def test_the_charset_is_that_of_the_header(bench, content_type, charset):
    bench.server.answers["/tag"] = answers(Content_Type=content_type)
    assert (await bench.get()).charset == charset


async def test_the_device_goes_along_as_servers_tell_it(bench):
    await bench.get(session=session(**DEVICE), headers={"X-Device-Requested-With": "app.example"})
    told = {name: value for name, value in bench.server.headers.items() if "X-Device" in name}
    assert told == {
        "X-Device-IP": "2001:db8::7",
        "X-Device-User-Agent": "TestTV/1.0 (x; y)",
        "X-Device-Accept-Language": "pt-BR",
        "X-Device-Referer": "http://site.example/a?b=1",
        "X-Device-Requested-With": "app.example",
    }
    assert bench.server.headers["User-Agent"] == "xsp"


async def test_what_is_not_known_of_the_device_is_not_told(bench):
    for nobody in (None, session()):
        await bench.get(session=nobody)
        assert not any(name.startswith("X-Device") for name in bench.server.headers)
        assert "Cookie" not in bench.server.headers


async def test_a_page_over_https_is_not_told_over_http(bench):
    await bench.get(session=session(referrer="https://site.example/a"))
    assert not {"Referer", "X-Device-Referer"} & set(bench.server.headers)


async def test_each_call_is_a_child_of_the_sessions_trace(bench):
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await bench.get(session=session(traceparent=parent, request_id="r-1"))
    assert bench.server.headers["traceparent"].startswith(parent[:36])
    assert bench.server.headers["x-request-id"] == "r-1"


async def test_headers_of_the_ask_go_before_those_of_the_session(bench):
    await bench.get(session=session(**DEVICE), headers={"X-Device-IP": "192.0.2.1"})
    assert bench.server.headers.getall("X-Device-IP") == ["192.0.2.1"]


async def test_headers_of_every_request_go_between_the_two():
    headers = {"X-Key": "k", "X-Device-IP": "192.0.2.9", "Accept": "text/xml"}
    async with running(headers=headers) as bench:
        await bench.get(session=session(**DEVICE), headers={"X-Key": "mine"})
        told = [bench.server.headers[name] for name in headers]
    assert told == ["mine", "192.0.2.9", "text/xml"]


@pytest.mark.parametrize(
    "terms",
    [
        {"headers": {"X-Device-Requested-With": "a\r\nCookie: b"}},
        {"session": session(device={"user_agent": "TV\r\nX: y"})},
        {"session": session(device={"ip": "192.0.2.1\nX: y"})},
    ],
)
async def test_a_header_with_a_line_break_is_refused_and_nothing_is_sent(bench, terms):
    document = await bench.get(**terms)
    assert document.reason == lists.FAILURE_REASON_CONNECTION_FAILED
    assert "header 'X-Device-" in document.message
    assert (document.request_count, document.cache) == (0, NOTHING)
    assert bench.server.requests == []


async def test_cookies_go_back_to_their_host_within_the_session_alone(bench):
    bench.server.answers["/set"] = answers(Set_Cookie="id=7")
    mine, other = session(), session()
    await bench.get("/set", session=mine)
    await bench.get("/next", session=mine)
    assert bench.server.headers["Cookie"] == "id=7"
    await bench.get("/next", session=other)
    assert "Cookie" not in bench.server.headers
    elsewhere = f"http://other.example:{bench.server.port}/next"
    await bench.get(session=mine, url=elsewhere)
    assert "Cookie" not in bench.server.headers


def redirect(location, status=302, **headers):
    return answers("", status, Location=location, **headers)


async def test_redirects_are_told_with_where_they_lead(bench):
    bench.server.answers["/tag"] = redirect("/b?x=1", 307)
    bench.server.answers["/b"] = redirect(f"//other.example:{bench.server.port}/c")
    document = await bench.get()
    end = f"http://other.example:{bench.server.port}/c"
    assert document.redirects == (
        Redirect(307, f"http://ads.example:{bench.server.port}/b?x=1"),
        Redirect(302, end),
    )
    assert (document.final_url, document.request_count) == (end, 3)
    assert document.body == VAST.encode()


async def test_the_device_goes_along_to_where_a_redirect_leads(bench):
    bench.server.answers["/tag"] = redirect(f"http://other.example:{bench.server.port}/b")
    await bench.get(session=session(**DEVICE))
    assert bench.server.headers["Host"].startswith("other.example")
    assert bench.server.headers["X-Device-IP"] == "2001:db8::7"


async def test_more_redirects_than_asked_for_are_not_followed(bench):
    bench.server.answers |= {"/tag": redirect("/b"), "/b": redirect("/c")}
    document = await bench.get(max_redirects=1)
    base = f"http://ads.example:{bench.server.port}"
    assert document.reason == lists.FAILURE_REASON_REDIRECT_LIMIT
    assert document.redirects == (Redirect(302, f"{base}/b"), Redirect(302, f"{base}/c"))
    assert (document.final_url, document.http_status) == (f"{base}/b", 302)
    assert document.request_count == 2


async def test_the_guard_caps_the_redirects():
    settings = GuardSettings(allow_networks=["127.0.0.1/32"], ports=[], max_redirects=0)
    async with running(settings) as bench:
        bench.server.answers["/tag"] = redirect("/b")
        document = await bench.get(max_redirects=9)
    assert document.reason == lists.FAILURE_REASON_REDIRECT_LIMIT


async def test_each_request_has_to_be_allowed(bench):
    bench.server.answers |= {"/tag": redirect("/b"), "/b": redirect("/c")}
    allowed = iter([True, True, False])
    document = await bench.get(take=lambda: next(allowed))
    base = f"http://ads.example:{bench.server.port}"
    assert document.reason == lists.FAILURE_REASON_FETCH_LIMIT
    assert bench.server.paths == ["/tag", "/b"]
    assert document.redirects[-1] == Redirect(302, f"{base}/c")
    assert (document.final_url, document.request_count) == (f"{base}/b", 2)


async def test_without_any_allowed_nothing_is_asked(bench):
    document = await bench.get(take=lambda: False)
    assert document.reason == lists.FAILURE_REASON_FETCH_LIMIT
    assert (document.request_count, document.final_url, document.requested_ns) == (0, None, None)
    assert document.cache == NOTHING
    assert bench.server.requests == []


REFUSED_URLS = [
    ("ftp://ads.example/", lists.FAILURE_REASON_SCHEME_REFUSED),
    ("file:///etc/passwd", lists.FAILURE_REASON_SCHEME_REFUSED),
    ("data:text/xml,<VAST/>", lists.FAILURE_REASON_SCHEME_REFUSED),
    ("about:blank", lists.FAILURE_REASON_SCHEME_REFUSED),
    ("tag?x=1", lists.FAILURE_REASON_URI_INVALID),
    ("", lists.FAILURE_REASON_URI_INVALID),
    ("http://", lists.FAILURE_REASON_URI_INVALID),
    ("http://a b/", lists.FAILURE_REASON_URI_INVALID),
    ("http://ads.example:0/", lists.FAILURE_REASON_URI_INVALID),
    ("http://ads.\nexample/", lists.FAILURE_REASON_URI_INVALID),
    ("http://ads.example/" + "x" * 20_000, lists.FAILURE_REASON_URI_INVALID),
    ("http://10.0.0.1/", lists.FAILURE_REASON_ADDRESS_REFUSED),
    ("http://[::ffff:10.0.0.1]/", lists.FAILURE_REASON_ADDRESS_REFUSED),
    ("http://2130706433/", lists.FAILURE_REASON_ADDRESS_REFUSED),
    ("http://0177.0.0.1/", lists.FAILURE_REASON_ADDRESS_REFUSED),
    ("http://user:secret@ads.example/", lists.FAILURE_REASON_ADDRESS_REFUSED),
    ("http://private.example/", lists.FAILURE_REASON_ADDRESS_REFUSED),
]


async def names(host, _port):
    return ["10.0.0.1" if host == "private.example" else "127.0.0.1"]


@pytest.mark.parametrize(("url", "reason"), REFUSED_URLS)
async def test_an_address_that_must_not_be_asked_is_not(url, reason):
    async with running(options={"look_up": names}) as bench:
        document = await bench.get(url=url)
    assert document.reason == reason
    assert document.message
    assert (document.request_count, document.final_url, document.cache) == (0, None, NOTHING)


async def test_a_port_that_is_not_allowed_is_refused():
    async with running(GuardSettings()) as bench:
        document = await bench.get(url="http://ads.example:22/")
    assert document.reason == lists.FAILURE_REASON_ADDRESS_REFUSED


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("http://10.0.0.1/", lists.FAILURE_REASON_ADDRESS_REFUSED),
        ("http://private.example/", lists.FAILURE_REASON_ADDRESS_REFUSED),
        ("file:///etc/passwd", lists.FAILURE_REASON_SCHEME_REFUSED),
        ("http://[oops/", lists.FAILURE_REASON_URI_INVALID),
        ("//[oops/", lists.FAILURE_REASON_URI_INVALID),
    ],
)
async def test_a_redirect_to_such_an_address_is_told_and_not_followed(location, reason):
    async with running(options={"look_up": names}) as bench:
        bench.server.answers["/tag"] = redirect(location)
        document = await bench.get()
        assert bench.server.paths == ["/tag"]
    assert document.reason == reason
    assert document.redirects == (Redirect(302, location),)
    assert document.final_url == f"http://ads.example:{bench.server.port}/tag"
    assert (document.http_status, document.request_count) == (302, 1)


@pytest.mark.parametrize("status", [204, 200])
async def test_an_answer_of_nothing_is_a_document_of_nothing(bench, status):
    bench.server.answers["/tag"] = answers("", status)
    document = await bench.get()
    assert (document.reason, document.body) == (lists.FAILURE_REASON_UNSPECIFIED, b"")
    assert document.http_status == status


@pytest.mark.parametrize("status", [304, 400, 404, 500, 503])
async def test_an_answer_that_is_not_2xx_is_no_document(bench, status):
    bench.server.answers["/tag"] = answers("" if status == 304 else "no ad", status, **FRESH)
    document = await bench.get()
    assert document.reason == lists.FAILURE_REASON_HTTP_STATUS
    assert document.message == f"HTTP status {status}; expected 2xx"
    assert (document.http_status, document.body, document.cache) == (status, b"", MISS)


async def test_a_body_above_the_limit_is_no_document(bench):
    bench.server.answers["/tag"] = answers("x" * 101)
    document = await bench.get(max_body_bytes=100)
    assert document.reason == lists.FAILURE_REASON_BODY_TOO_LARGE
    assert (document.http_status, document.body) == (200, b"")


async def test_a_coding_that_nobody_offered_is_a_failed_connection(bench):
    bench.server.answers["/tag"] = answers(Content_Encoding="br")
    document = await bench.get()
    assert document.reason == lists.FAILURE_REASON_CONNECTION_FAILED
    assert "Content-Encoding 'br'" in document.message


async def test_a_server_that_does_not_answer_costs_the_time_of_the_hop(bench):
    bench.server.answers["/tag"] = Gate()
    document = await bench.get(timeout=0.05)
    assert document.reason == lists.FAILURE_REASON_HOP_TIMEOUT
    assert document.message == "no whole answer in 50 ms"
    assert (document.request_count, document.http_status, document.cache) == (1, None, MISS)


async def test_nobody_who_listens_is_a_failed_connection(bench):
    document = await bench.get(url="http://ads.example:1/x?secret")
    assert document.reason == lists.FAILURE_REASON_CONNECTION_FAILED
    assert document.final_url == "http://ads.example:1/x?secret"
    assert document.request_count == 1
    assert "secret" not in document.message


async def test_a_name_that_nobody_has():
    async def unknown(_host, _port):
        raise OSError(-2, "Name or service not known")

    async with running(options={"look_up": unknown}) as bench:
        document = await bench.get()
    assert document.reason == lists.FAILURE_REASON_DNS_FAILED


async def test_a_server_without_tls(bench):
    document = await bench.get(url=f"https://ads.example:{bench.server.port}/")
    assert document.reason == lists.FAILURE_REASON_TLS_FAILED


async def test_a_caller_that_walks_away_takes_its_request_along(bench):
    gate = bench.server.answers["/tag"] = Gate()
    waiting = bench.begin()
    await gate.arrivals(1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    gate.opened.set()
    assert (await bench.get()).cache == MISS


async def test_a_document_that_allows_it_is_given_again_until_it_ends(bench):
    bench.server.answers["/tag"] = fresh
    first = await bench.get()
    asked = bench.clock.now
    assert (first.cache, first.cache_expires_ns) == (MISS, asked + 60 * SECOND)
    bench.clock.pass_seconds(59)
    again = await bench.get(take=lambda: False)
    expected = first._replace(cache=HIT, request_count=0, wire_bytes=0)
    assert again == expected
    assert (again.requested_ns, again.http_status) == (asked, 200)
    bench.clock.pass_seconds(1)
    assert (await bench.get()).cache == MISS
    assert len(bench.server.requests) == 2


async def test_a_document_that_does_not_allow_it_is_asked_for_each_time(bench):
    for control in ("no-store", "private, max-age=60", "max-age=0", "no-cache"):
        bench.server.answers["/tag"] = answers(Cache_Control=control)
        assert await bench.results() == [BYPASS, BYPASS]
    assert len(bench.server.requests) == 8


async def test_without_the_cache_it_is_neither_asked_nor_filled(bench):
    bench.server.answers["/tag"] = fresh
    assert await bench.results(use_cache=False) == [BYPASS, BYPASS]
    assert await bench.results() == [MISS, HIT]
    assert await bench.results(use_cache=False, times=1) == [BYPASS]


async def test_without_the_cache_a_failure_has_nothing_to_do_with_it(bench):
    bench.server.answers["/tag"] = answers("", 500)
    assert await bench.results(use_cache=False, times=1) == [BYPASS]
    closed = await bench.get(url="http://ads.example:1/", use_cache=False)
    assert (closed.request_count, closed.cache) == (1, BYPASS)


async def test_an_answer_that_sets_a_cookie_is_for_its_session(bench):
    bench.server.answers["/tag"] = answers(Set_Cookie="id=7", Cache_Control="max-age=60")
    assert await bench.results() == [BYPASS, BYPASS]


async def test_a_request_with_a_cookie_stays_away_from_the_cache(bench):
    bench.server.answers["/tag"] = fresh
    cookie = {"name": "id", "value": "7", "host": "ads.example"}
    known = session(cookies=[cookie])
    assert await bench.results(session=known) == [BYPASS, BYPASS]
    assert await bench.results() == [MISS, HIT]
    assert await bench.results(session=known, times=1) == [BYPASS]
    elsewhere = session(cookies=[{**cookie, "host": "other.example"}])
    assert await bench.results(session=elsewhere, times=1) == [HIT]


async def test_a_cookie_that_comes_meanwhile_keeps_the_answer_out(bench):
    gate = bench.server.answers["/tag"] = Gate()
    bench.server.answers["/to"] = redirect("/tag")
    known = session()
    waiting = bench.begin("/to", session=known)
    await gate.arrivals(1)
    gate.opened.set()
    assert (await waiting).cache == BYPASS


async def test_a_document_behind_a_redirect_is_not_kept(bench):
    bench.server.answers |= {"/tag": redirect("/b", Cache_Control="max-age=60"), "/b": fresh}
    assert await bench.results() == [BYPASS, BYPASS]
    assert await bench.results("/b") == [MISS, HIT]


async def test_a_document_is_given_to_those_alone_that_it_depends_on(bench):
    bench.server.answers["/tag"] = answers(Vary="X-Device-IP", Cache_Control="max-age=60")
    one, two = (session(device={"ip": f"192.0.2.{number}"}) for number in (1, 2))
    assert await bench.results(session=one) == [MISS, HIT]
    assert await bench.results(session=two) == [MISS, HIT]
    assert await bench.results() == [MISS, HIT]
    assert await bench.results(session=one, times=1) == [HIT]


async def test_a_document_that_says_nothing_of_the_device_is_for_all(bench):
    bench.server.answers["/tag"] = fresh
    assert await bench.results(session=session(**DEVICE), times=1) == [MISS]
    assert await bench.results(times=1) == [HIT]


async def test_a_kept_document_above_the_limit_of_an_ask_is_too_large_for_it(bench):
    bench.server.answers["/tag"] = fresh
    await bench.get()
    document = await bench.get(max_body_bytes=10)
    assert document.reason == lists.FAILURE_REASON_BODY_TOO_LARGE
    assert (document.body, document.cache) == (b"", HIT)
    assert len(bench.server.requests) == 1


async def test_an_ad_that_expires_earlier_ends_its_document(bench):
    bench.server.answers["/tag"] = fresh
    ask = bench.ask(session=session(**DEVICE))
    await bench.documents.fetch(ask)
    bench.documents.expires(ask, bench.clock.now + 10 * SECOND)
    bench.clock.pass_seconds(9)
    document = await bench.get()
    assert document.cache == HIT
    assert document.cache_expires_ns == bench.clock.now + SECOND
    bench.clock.pass_seconds(1)
    assert (await bench.get()).cache == MISS
    bench.documents.expires(bench.ask("/other"), 0)


async def test_the_cache_is_bounded():
    async with running(max_cache_entries=2) as bench:
        for path in ("/a", "/b", "/c"):
            bench.server.answers[path] = fresh
            await bench.get(path)
        assert await bench.results("/c", times=1) == [HIT]
        assert await bench.results("/a", times=1) == [MISS]
    async with running(max_cache_bytes=0) as bench:
        bench.server.answers["/tag"] = fresh
        assert await bench.results() == [BYPASS, BYPASS]


async def test_asks_for_one_url_at_once_are_one_request(bench):
    gate = bench.server.answers["/tag"] = Gate()
    first = bench.begin()
    await gate.arrivals(1)
    others = [bench.begin(take=lambda: False) for _ in range(9)]
    gate.opened.set()
    assert (await first).cache == MISS
    documents = await asyncio.gather(*others)
    assert {document.cache for document in documents} == {SHARED}
    assert {document.body for document in documents} == {VAST.encode()}
    assert {document.request_count for document in documents} == {0}
    assert len(bench.server.requests) == 1


async def waiting_behind(bench, gate, number, **terms):
    """The first ask under way, and so many others that wait for it."""
    first = bench.begin()
    await gate.arrivals(1)
    others = [bench.begin(**terms) for _ in range(number)]
    for _ in range(20):
        await asyncio.sleep(0)
    assert gate.arrived == 1
    return first, others


async def test_what_can_not_be_shared_is_asked_for_by_all_who_waited(bench):
    gate = bench.server.answers["/tag"] = Gate(answers(Cache_Control="private, max-age=60"))
    first, others = await waiting_behind(bench, gate, 5)
    gate.opened.set()
    documents = await asyncio.gather(first, *others)
    assert {document.cache for document in documents} == {BYPASS}
    assert len(bench.server.requests) == 6


async def test_nobody_waits_twice_for_what_can_not_be_shared(bench):
    bench.server.answers["/tag"] = VAST
    await bench.get()
    gate = bench.server.answers["/tag"] = Gate()
    asks = [bench.begin() for _ in range(5)]
    await gate.arrivals(5)
    gate.opened.set()
    assert {document.cache for document in await asyncio.gather(*asks)} == {MISS}
    assert await bench.results(times=1) == [HIT]


async def test_after_a_time_somebody_waits_again(bench):
    bench.server.answers["/tag"] = VAST
    await bench.get()
    bench.clock.pass_seconds(UNSHARED_SECONDS)
    gate = bench.server.answers["/tag"] = Gate()
    _, others = await waiting_behind(bench, gate, 1)
    gate.opened.set()
    assert (await others[0]).cache == SHARED


async def test_so_many_urls_are_remembered_and_no_more(bench, monkeypatch):
    monkeypatch.setattr("xsp_server.upstream.documents.MAX_UNSHARED", 2)
    for path in ("/a", "/b", "/c"):
        await bench.get(path)
    gate = bench.server.answers["/a"] = Gate()
    first = bench.begin("/a")
    await gate.arrivals(1)
    second = bench.begin("/a")
    for _ in range(20):
        await asyncio.sleep(0)
    assert gate.arrived == 1
    gate.opened.set()
    assert [(await first).cache, (await second).cache] == [MISS, SHARED]


async def test_the_failure_of_the_first_is_not_that_of_the_others(bench):
    turns = Counter()

    async def first_fails(request):
        turns["asked"] += 1
        return await (answers("", 500) if turns["asked"] == 1 else fresh)(request)

    gate = bench.server.answers["/tag"] = Gate(first_fails)
    first, others = await waiting_behind(bench, gate, 3)
    gate.opened.set()
    assert (await first).reason == lists.FAILURE_REASON_HTTP_STATUS
    documents = await asyncio.gather(*others)
    assert {document.body for document in documents} == {VAST.encode()}


async def test_the_tighter_limits_of_the_first_are_not_those_of_the_others(bench):
    gate = bench.server.answers["/tag"] = Gate()
    first = bench.begin(max_body_bytes=10)
    await gate.arrivals(1)
    other = bench.begin()
    gate.opened.set()
    assert (await first).reason == lists.FAILURE_REASON_BODY_TOO_LARGE
    assert (await other).body == VAST.encode()


async def test_the_end_of_the_firsts_time_is_not_that_of_the_others(bench):
    gate = bench.server.answers["/tag"] = Gate()
    first = bench.begin(timeout=0.05)
    await gate.arrivals(1)
    other = bench.begin()
    assert (await first).reason == lists.FAILURE_REASON_HOP_TIMEOUT
    await gate.arrivals(2)
    gate.opened.set()
    assert (await other).body == VAST.encode()


async def test_when_the_first_walks_away_another_goes_and_the_rest_wait_for_it(bench):
    gate = bench.server.answers["/tag"] = Gate()
    first, others = await waiting_behind(bench, gate, 3)
    first.cancel()
    await gate.arrivals(2)
    gate.opened.set()
    documents = await asyncio.gather(*others)
    assert sorted(document.cache for document in documents) == [MISS, SHARED, SHARED]
    assert first.cancelled()
    assert len(bench.server.requests) == 2


async def test_whoever_waits_does_so_within_its_own_time(bench):
    gate = bench.server.answers["/tag"] = Gate()
    first, (other,) = await waiting_behind(bench, gate, 1, timeout=0.05)
    document = await other
    assert document.reason == lists.FAILURE_REASON_HOP_TIMEOUT
    assert document.message == "no whole answer in 50 ms"
    assert (document.request_count, document.requested_ns, document.cache) == (0, None, MISS)
    gate.opened.set()
    assert (await first).cache == MISS


async def test_one_of_those_who_wait_may_walk_away(bench):
    gate = bench.server.answers["/tag"] = Gate()
    first, (leaving, staying) = await waiting_behind(bench, gate, 2)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    gate.opened.set()
    assert [(await first).cache, (await staying).cache] == [MISS, SHARED]


async def test_a_shared_answer_is_for_those_alone_that_it_depends_on(bench):
    answer = answers(Vary="X-Device-IP", Cache_Control="max-age=60")
    gate = bench.server.answers["/tag"] = Gate(answer)
    one, two = (session(device={"ip": f"192.0.2.{number}"}) for number in (1, 2))
    first = bench.begin(session=one)
    await gate.arrivals(1)
    others = [bench.begin(session=who) for who in (one, two)]
    gate.opened.set()
    documents = [await first, *await asyncio.gather(*others)]
    assert [document.cache for document in documents] == [MISS, SHARED, MISS]
    assert bench.server.headers["X-Device-IP"] == "192.0.2.2"


async def test_a_host_has_so_many_calls_at_once_and_so_many_that_wait():
    async with running(options={"host_connections": 2, "host_waiting": 1}) as bench:
        gates = [Gate() for _ in range(4)]
        for number, gate in enumerate(gates):
            bench.server.answers[f"/{number}"] = gate
        asks = [bench.begin(f"/{number}") for number in range(3)]
        await until(lambda: gates[0].arrived and gates[1].arrived)
        refused = await bench.get("/3")
        assert refused.reason == lists.FAILURE_REASON_CONNECTION_FAILED
        assert refused.message == "ads.example: 3 calls at once; expected fewer"
        assert refused.request_count == 0
        assert gates[2].arrived == 0
        gates[0].opened.set()
        await gates[2].arrivals(1)
        for gate in gates:
            gate.opened.set()
        assert {document.http_status for document in await asyncio.gather(*asks)} == {200}
        assert (await bench.get("/3")).http_status == 200
