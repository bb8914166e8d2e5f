"""GET of a URL that comes from outside: guarded, bounded in time, bytes and redirects.

Redirects are followed by hand, each through the same guard. The body is unpacked piece by piece, so
that neither the bytes on the wire nor those that come out of them pass the limit. Proxies that the
environment names are not used: behind one, the address that is called can't be checked.

Connecting, TLS, keeping connections and reading HTTP are aiohttp's. Its sessions, which build far
more around each call than a GET needs, are not used.
"""

import asyncio
import ssl
import time
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple, Protocol
from urllib.parse import urljoin

import aiohttp
from aiohttp.connector import Connection
from aiohttp.hdrs import CONTENT_ENCODING, CONTENT_LENGTH, SET_COOKIE
from aiohttp.http import HttpProcessingError
from yarl import URL

from xsp_server.upstream.deadline import Deadline
from xsp_server.upstream.guard import (
    AddressGuard,
    AddressRefused,
    CheckedResolver,
    LookUp,
    SystemLookUp,
    Target,
)
from xsp_server.upstream.header_lines import NO_HEADERS, HeaderLines
from xsp_server.upstream.wire import Body, Connector, Head, Whereto, Whole

KEEP_ALIVE = 4.0
"""Seconds that an idle connection is kept. Many servers close theirs after 5, and a request that
meets a closing connection is lost."""
DNS_TTL = 10
"""Seconds that the checked addresses of a name are used again."""
MAX_FIELD_BYTES = 16_384
"""The longest header of an answer; a Location may be as long as a URL."""
MAX_ORIGINS = 4096
"""Hosts and ports that are remembered without a call under way."""
MAX_MEMBERS = 64
"""The most members of a gzip body; each costs, however little is in it."""


class Cookies(Protocol):
    """The cookies of one session."""

    def header(self, url: str) -> str:
        """The value of the Cookie header of a call of this URL; empty: none."""

    def store(self, url: str, set_cookie: Iterable[str]) -> None:
        """Takes the Set-Cookie headers of the answer of this URL."""


class Failure(StrEnum):
    """Why there is no whole answer."""

    REFUSED = "refused"
    """The guard refused the URL, its addresses, or a redirect's."""
    UNREACHABLE = "unreachable"
    """No connection: no such name, nobody listens, TLS not agreed."""
    TIMEOUT = "timeout"
    BROKEN = "broken"
    """The connection broke, or what came is no HTTP."""
    TOO_LARGE = "too_large"
    REDIRECTS = "redirects"
    """More redirects in a row than are followed."""
    ENCODING = "encoding"
    """A Content-Encoding that wasn't offered, or data that isn't in it."""
    HEADER = "header"
    """A header to send that would end early or make another one: a line break in it."""
    BUSY = "busy"
    """As many calls as may wait for a place at the host do so."""
    SPENT = "spent"
    """The caller allows no further request."""


class Obstacle(StrEnum):
    """What an unreachable host lacks."""

    NAME = "name"
    """Its name has no address."""
    CONNECTION = "connection"
    """Nobody takes the connection."""
    TLS = "tls"
    """TLS is not agreed, or the certificate does not hold."""


class Redirect(NamedTuple):
    """One answer that led elsewhere.

    Attributes:
        url: that was called.
        status: of its answer.
    """

    url: str
    status: int


class Fetched(NamedTuple):
    """A whole answer, whatever its status.

    Attributes:
        url: that answered, after redirects.
        status: HTTP status.
        headers: of the answer; names in any case.
        body: unpacked.
        elapsed_ms: from the call to the last byte, redirects included.
        redirects: on the way, in order.
        wire_bytes: of the body as it came.
        cookies_sent: whether any request had one.
    """

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    elapsed_ms: float
    redirects: Sequence[Redirect]
    wire_bytes: int = 0
    cookies_sent: bool = False


class FetchError(Exception):
    """A call without a whole answer. The message has no path or query: they may carry ids.

    Attributes:
        failure: which kind.
        url: the last one that was called, or was to be called.
        status: of the last answer whose head came; None: none came.
        sent: whether a request may have gone out. False: nobody was told anything.
        redirects: on the way, in order.
        elapsed_ms: until it failed.
        refusal: what the guard said, where `failure` is REFUSED.
        reached: how far the call came, in full.
        obstacle: what was in the way, where `failure` is UNREACHABLE.
    """

    def __init__(
        self,
        failure: Failure,
        detail: str,
        call: "Call",
        *,
        refusal: AddressRefused | None = None,
        obstacle: Obstacle | None = None,
    ) -> None:
        """Keeps how far the call came."""
        super().__init__(detail)
        self.failure = failure
        self.url = call.url
        self.status = call.status
        self.sent = call.sent
        self.redirects: Sequence[Redirect] = tuple(call.redirects)
        self.elapsed_ms = call.elapsed_ms
        self.refusal = refusal
        self.reached = call
        self.obstacle = obstacle


class GuardedFetcher:
    """Calls URLs that come from outside. One pool of connections, no cookies of its own."""

    def __init__(  # noqa: PLR0913 - the guard, and five words about the pool
        self,
        guard: AddressGuard,
        *,
        connections: int = 256,
        host_connections: int = 16,
        host_waiting: int | None = None,
        look_up: LookUp | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Takes the limits; the pool opens with the first call.

        Args:
            guard: says where calls may lead.
            connections: open at once; a call beyond that waits within its time.
            host_connections: likewise, to one host and port.
            host_waiting: calls that may wait for one of the latter; None: any number.
            look_up: how names are resolved; the system's way by default.
            tls: whom to trust; by default the authorities that the system trusts.
        """
        self.guard = guard
        self._connections = connections
        self._host_connections = host_connections
        self._host_calls = None if host_waiting is None else host_connections + host_waiting
        self._look_up = look_up or SystemLookUp()
        self._tls = tls
        self._connector: Connector | None = None
        self._origins: dict[tuple[str, str, int], _Origin] = {}

    async def get(  # noqa: PLR0913 - the URL, and seven words about it
        self,
        url: str,
        *,
        timeout: float,
        max_bytes: int,
        headers: Mapping[str, str] | HeaderLines | None = None,
        cookies: Cookies | None = None,
        once: bool = False,
        max_redirects: int | None = None,
        take: Callable[[], bool] | None = None,
    ) -> Fetched:
        """The answer to a GET.

        Args:
            url: absolute, http or https.
            timeout: seconds for all of it, from waiting for a place to the last byte of the body,
                redirects included.
            max_bytes: the largest body, on the wire and unpacked.
            headers: besides our own. Authorization stays with the first host; what HTTP needs to
                frame the request (Host, Content-Length, Transfer-Encoding) is left out. Whoever
                sends the same ones again writes them once, as `HeaderLines`.
            cookies: of the session: what fits the URL goes along, what is set is stored.
            once: whether a request that met a dying connection is given up. Otherwise it is sent
                again on another, once, which HTTP allows for a GET.
            max_redirects: followed in a row, where that is fewer than the guard allows.
            take: asked once before each request, redirects included; False: it must not be made.

        Raises:
            FetchError: there is no whole answer.
        """
        call = Call(url)
        lines = headers if isinstance(headers, HeaderLines) else _written(headers)
        if lines.problem:
            raise FetchError(Failure.HEADER, lines.problem, call)
        most = self.guard.max_redirects
        terms = _Terms(
            max_bytes,
            lines,
            cookies,
            1 if once else 2,
            most if max_redirects is None else min(most, max_redirects),
            take,
        )
        try:
            with Deadline(timeout, asyncio.get_running_loop()):
                return await self._follow(call, terms)
        except TimeoutError:
            detail = f"no whole answer in {timeout * 1000:.0f} ms"
            raise FetchError(Failure.TIMEOUT, detail, call) from None
        except AddressRefused as refusal:
            raise FetchError(Failure.REFUSED, str(refusal), call, refusal=refusal) from None
        except aiohttp.ClientConnectorError as error:
            obstacle = _obstacle(error)
            raise FetchError(
                Failure.UNREACHABLE, _describe(error), call, obstacle=obstacle
            ) from None
        except (aiohttp.ClientError, HttpProcessingError) as error:
            raise FetchError(Failure.BROKEN, _describe(error), call) from None

    async def close(self) -> None:
        """Closes the pool."""
        if self._connector is not None:
            await self._connector.close()

    async def _follow(self, call: "Call", terms: "_Terms") -> Fetched:
        """Calls, and calls where redirects lead, until an answer is none."""
        target = first = self.guard.check_url(call.url)
        while True:
            call.url = target.url
            is_first = target is first or target.origin == first.origin
            answered = await self._visit(target, call, terms, is_first=is_first)
            if isinstance(answered, Fetched):
                return answered
            call.led_to = _absolute(target.url, answered)
            if len(call.redirects) > terms.max_redirects:
                detail = f"{len(call.redirects)} redirects; expected {terms.max_redirects} at most"
                raise FetchError(Failure.REDIRECTS, detail, call)
            target = self.guard.check_redirect(target, answered)

    async def _visit(
        self, target: Target, call: "Call", terms: "_Terms", *, is_first: bool
    ) -> Fetched | str:
        """The whole answer of one URL, or where it redirects to."""
        origin = self._origin(target)
        if self._host_calls is not None and origin.calls >= self._host_calls:
            detail = f"{target.host}: {origin.calls} calls at once; expected fewer"
            raise FetchError(Failure.BUSY, detail, call)
        if terms.take is not None and not terms.take():
            raise FetchError(Failure.SPENT, "the requests that are allowed are used up", call)
        cookie = terms.cookies.header(target.url) if terms.cookies is not None else ""
        if cookie:
            call.cookies_sent = True
        lines = terms.headers.for_host(is_first=is_first, cookie=cookie)
        origin.calls += 1
        try:
            answer = await self._ask(origin, _head(target, origin.host, lines), call, terms.tries)
            try:
                _note(answer, call, terms.cookies)
                location = answer.location
                return location if location is not None else await _whole(answer, call, terms)
            finally:
                answer.release()
        finally:
            origin.calls -= 1

    async def _ask(self, origin: "_Origin", head: bytes, call: "Call", tries: int) -> "_Answer":
        """The head of the answer, asked for again where a request met a dying connection."""
        before = call.requested
        call.requested, call.led_to = call.url, None
        call.requests += 1
        while True:
            tries -= 1
            try:
                connection = await self._pool().connect(origin.request, [], _NO_LIMIT)
            except AddressRefused:  # after all, nobody was asked
                call.requested, call.requests = before, call.requests - 1
                call.led_to = call.url if call.redirects else None
                raise
            try:
                protocol: Any = connection.protocol  # a `Wire`, which aiohttp's types don't know
                protocol.send(head, **_READING)
                call.sent = True
                message, content = await protocol.read()
                while message.code in _INFORMATIONAL:
                    message, content = await protocol.read()
            except BaseException as error:
                _cut(connection)
                dying = isinstance(error, aiohttp.ClientOSError | aiohttp.ServerDisconnectedError)
                if not (dying and tries):
                    raise
            else:
                return _Answer(connection, message, content)

    def _origin(self, target: Target) -> "_Origin":
        """What is known of a host and port."""
        origin = self._origins.get(target.origin)
        if origin is None:
            if len(self._origins) >= MAX_ORIGINS:
                busy = {key: one for key, one in self._origins.items() if one.calls}
                self._origins = busy
            authority = target.url.split("/", 3)[2]
            url = URL(f"{target.scheme}://{authority}/", encoded=True)
            request = Whereto("GET", url, loop=asyncio.get_running_loop())
            origin = self._origins[target.origin] = _Origin(request, authority)
        return origin

    def _pool(self) -> aiohttp.TCPConnector:
        """The connections, made inside the running loop as aiohttp asks."""
        if self._connector is None:
            self._connector = Connector(
                limit=self._connections,
                limit_per_host=self._host_connections,
                keepalive_timeout=KEEP_ALIVE,
                resolver=CheckedResolver(self.guard, self._look_up),
                ttl_dns_cache=DNS_TTL,
                ssl=True if self._tls is None else self._tls,
            )
        return self._connector


@dataclass(slots=True)
class _Origin:
    """A host and port.

    Attributes:
        request: what tells the pool where to connect to; it is never sent.
        host: the Host header.
        calls: under way, waiting ones included.
    """

    request: Whereto
    host: str
    calls: int = 0


@dataclass(slots=True)
class _Terms:
    """What a caller wants of a call; see `GuardedFetcher.get`.

    Attributes:
        tries: requests of one URL, the first included.
    """

    max_bytes: int
    headers: HeaderLines
    cookies: Cookies | None
    tries: int
    max_redirects: int
    take: Callable[[], bool] | None


@dataclass(slots=True)
class Call:
    """How far a call came.

    Attributes:
        url: that is being called, or was to be.
        status: of the last answer whose head came.
        sent: whether a request may have gone out.
        redirects: so far.
        started: seconds of the monotonic clock.
        requested: the last URL that was requested, or was to be but for a connection; None: none.
        requests: how many URLs were, so counted.
        led_to: where the last redirect led, if that was not requested; None: there is none.
        wire_bytes: of the last body, as far as it came.
        cookies_sent: whether any request had one.
    """

    url: str
    status: int | None = None
    sent: bool = False
    redirects: list[Redirect] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)
    requested: str | None = None
    requests: int = 0
    led_to: str | None = None
    wire_bytes: int = 0
    cookies_sent: bool = False

    @property
    def elapsed_ms(self) -> float:
        """Since it began."""
        return (time.monotonic() - self.started) * 1000


class _Answer:
    """The head of an answer, and its body to read. To be released, read or not."""

    __slots__ = ("_connection", "content", "headers", "status")

    def __init__(self, connection: Connection, head: Head, content: Body) -> None:
        self._connection = connection
        self.status = head.code
        self.headers = head.headers
        self.content = content

    @property
    def location(self) -> str | None:
        """Where it redirects to; None: nowhere."""
        return self.headers.get("Location") if self.status in _REDIRECTS else None

    def release(self) -> None:
        """Gives the connection back, or cuts it if the body has not been here to its end."""
        if self.content.is_eof():
            self._connection.release()
        else:
            _cut(self._connection)


def _cut(connection: Connection) -> None:
    """Ends a connection at once: an orderly end would wait for a peer that may not even read."""
    if connection.transport is not None:
        connection.transport.abort()
    connection.close()


_NO_LIMIT = aiohttp.ClientTimeout()
"""Of aiohttp's own: the caller limits the whole."""
_READING = {
    "read_until_eof": True,
    "auto_decompress": False,
    "max_field_size": MAX_FIELD_BYTES,
}
_INFORMATIONAL = frozenset(range(100, 200)) - {101}
"""Statuses after which the answer is still to come."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


def _written(headers: Mapping[str, str] | None) -> HeaderLines:
    return HeaderLines(headers) if headers else NO_HEADERS


def _head(target: Target, host: str, lines: str) -> bytes:
    """Request line and headers."""
    path = target.url.split("/", 3)[3]
    return f"GET /{path} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n".encode()


def _absolute(base: str, location: str) -> str:
    """Where a redirect leads, also where the guard refuses it."""
    try:
        return urljoin(base, location)
    except ValueError:  # urllib's own complaint about a host
        return location


def _note(answer: _Answer, call: Call, cookies: Cookies | None) -> None:
    """Keeps what the head of an answer says."""
    call.status = answer.status
    if cookies is not None and SET_COOKIE in answer.headers:
        cookies.store(call.url, answer.headers.getall(SET_COOKIE))
    if answer.location is not None:
        call.redirects.append(Redirect(call.url, answer.status))


async def _whole(answer: _Answer, call: Call, terms: _Terms) -> Fetched:
    body = await _read(answer, call, terms.max_bytes)
    return Fetched(
        url=call.url,
        status=answer.status,
        headers=answer.headers,
        body=body,
        elapsed_ms=call.elapsed_ms,
        redirects=tuple(call.redirects),
        wire_bytes=call.wire_bytes,
        cookies_sent=call.cookies_sent,
    )


async def _read(answer: _Answer, call: Call, max_bytes: int) -> bytes:
    """The body, unpacked as it comes."""
    if int(answer.headers.get(CONTENT_LENGTH, 0)) > max_bytes:
        raise _too_large(call, max_bytes)
    coding = answer.headers.get(CONTENT_ENCODING, "").strip().lower()
    inflate = _Inflate(coding, max_bytes) if coding in _CODINGS else None
    if inflate is None and coding not in ("", "identity"):
        detail = f"Content-Encoding {coding[:50]!r}; expected gzip or deflate, or none"
        raise FetchError(Failure.ENCODING, detail, call)
    call.wire_bytes = 0
    if inflate is None and isinstance(answer.content, Whole):
        whole = answer.content.take()
        call.wire_bytes = len(whole)
        return whole
    body = bytearray()
    while piece := await answer.content.readany():
        call.wire_bytes += len(piece)
        try:
            body += piece if inflate is None else inflate(piece)
        except zlib.error as error:
            raise FetchError(Failure.ENCODING, f"not {coding}: {error}", call) from None
        if max(call.wire_bytes, len(body)) > max_bytes:
            raise _too_large(call, max_bytes)
    if inflate is not None and call.wire_bytes and not inflate.is_whole:
        raise FetchError(Failure.BROKEN, f"the {coding} body was cut off", call)
    return bytes(body)


def _too_large(call: Call, max_bytes: int) -> FetchError:
    return FetchError(Failure.TOO_LARGE, f"a body above {max_bytes} bytes", call)


_CODINGS = {"gzip": zlib.MAX_WBITS | 16, "x-gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}
"""Content codings, and what zlib calls their formats."""


class _Inflate:
    """Unpacks a body piece by piece, and never more than one byte above the limit.

    Attributes:
        is_whole: whether what came so far is complete.
    """

    def __init__(self, coding: str, max_bytes: int) -> None:
        self._coding = coding
        self._room = max_bytes + 1
        self._members = 0
        self._stream: zlib._Decompress | None = None

    @property
    def is_whole(self) -> bool:
        return self._stream is not None and self._stream.eof

    def __call__(self, data: bytes) -> bytes:
        """What comes out of the next piece; a gzip body may have several members."""
        out = bytearray()
        while data and self._room:
            if self._stream is None or self._stream.eof:
                self._stream = self._next_member(data)
            unpacked = self._stream.decompress(data, self._room)
            self._room -= len(unpacked)
            out += unpacked
            data = self._stream.unused_data
        return bytes(out)

    def _next_member(self, data: bytes) -> "zlib._Decompress":
        self._members += 1
        if self._members > (1 if self._coding == "deflate" else MAX_MEMBERS):
            raise zlib.error("data after its end")
        if self._coding == "deflate" and data[0] & 0x0F != zlib.DEFLATED:
            return zlib.decompressobj(-zlib.MAX_WBITS)  # without zlib's header, as some send it
        return zlib.decompressobj(_CODINGS[self._coding])


def _obstacle(error: aiohttp.ClientConnectorError) -> Obstacle:
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Obstacle.NAME
    return Obstacle.TLS if isinstance(error, aiohttp.ClientSSLError) else Obstacle.CONNECTION


def _describe(error: aiohttp.ClientError | HttpProcessingError) -> str:
    """What went wrong, on one line: messages on broken HTTP quote it on further ones."""
    text = error.message if isinstance(error, HttpProcessingError) else str(error)
    return f"{type(error).__name__}: {text.partition(chr(10))[0][:200]}"
