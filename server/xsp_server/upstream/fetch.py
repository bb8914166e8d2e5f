"""GET of a URL that comes from outside: guarded, bounded in time, bytes and redirects.

Redirects are followed by hand, each through the same guard. The body is unpacked piece by piece, so
that neither the bytes on the wire nor those that come out of them pass the limit. Proxies that the
environment names are not used: behind one, the address that is called can't be checked.
"""

import asyncio
import re
import ssl
import zlib
from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

import aiohttp
from yarl import URL

from xsp_server.upstream.guard import (
    AddressGuard,
    AddressRefused,
    CheckedResolver,
    LookUp,
    SystemLookUp,
    Target,
)

if TYPE_CHECKING:
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

KEEP_ALIVE = 4.0
"""Seconds that an idle connection is kept. Many servers close theirs after 5, and a request that
meets a closing connection is lost."""
DNS_TTL = 10
"""Seconds that the checked addresses of a name are used again."""
MAX_FIELD_BYTES = 16_384
"""The longest header of an answer; a Location may be as long as a URL."""
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


@dataclass(frozen=True, slots=True)
class Redirect:
    """One answer that led elsewhere.

    Attributes:
        url: that was called.
        status: of its answer.
    """

    url: str
    status: int


@dataclass(frozen=True, slots=True)
class Fetched:
    """A whole answer, whatever its status.

    Attributes:
        url: that answered, after redirects.
        status: HTTP status.
        headers: of the answer; names in any case.
        body: unpacked.
        elapsed_ms: from the call to the last byte, redirects included.
        redirects: on the way, in order.
    """

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    elapsed_ms: float
    redirects: Sequence[Redirect]


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
    """

    def __init__(
        self, failure: Failure, detail: str, call: "_Call", refusal: AddressRefused | None = None
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


class GuardedFetcher:
    """Calls URLs that come from outside. One pool of connections, no cookies of its own."""

    def __init__(
        self,
        guard: AddressGuard,
        *,
        connections: int = 256,
        host_connections: int = 16,
        look_up: LookUp | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Takes the limits; the pool opens with the first call.

        Args:
            guard: says where calls may lead.
            connections: open at once; a call beyond that waits within its time.
            host_connections: likewise, to one host and port.
            look_up: how names are resolved; the system's way by default.
            tls: whom to trust; by default the authorities that the system trusts.
        """
        self.guard = guard
        self._connections = connections
        self._host_connections = host_connections
        self._look_up = look_up or SystemLookUp()
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def get(  # noqa: PLR0913 - the URL, and five words about it
        self,
        url: str,
        *,
        timeout: float,
        max_bytes: int,
        headers: Mapping[str, str] | None = None,
        cookies: Cookies | None = None,
        once: bool = False,
    ) -> Fetched:
        """The answer to a GET.

        Args:
            url: absolute, http or https.
            timeout: seconds for all of it, from waiting for a place to the last byte of the body,
                redirects included.
            max_bytes: the largest body, on the wire and unpacked.
            headers: besides our own. Authorization stays with the first host.
            cookies: of the session: what fits the URL goes along, what is set is stored.
            once: whether a request that met a dying connection is given up. Otherwise it is sent
                again on another, once, which HTTP allows for a GET.

        Raises:
            FetchError: there is no whole answer.
        """
        call = _Call(url)
        _current.set(call)
        try:
            async with asyncio.timeout(timeout):
                return await self._follow(call, max_bytes, _checked(headers, call), cookies, once)
        except TimeoutError:
            detail = f"no whole answer in {timeout * 1000:.0f} ms"
            raise FetchError(Failure.TIMEOUT, detail, call) from None
        except AddressRefused as refusal:
            raise FetchError(Failure.REFUSED, str(refusal), call, refusal) from None
        except aiohttp.ClientError as error:
            connecting = isinstance(error, aiohttp.ClientConnectorError)
            failure = Failure.UNREACHABLE if connecting else Failure.BROKEN
            raise FetchError(failure, _describe(error), call) from None

    async def close(self) -> None:
        """Closes the pool."""
        if self._session is not None:
            await self._session.close()

    async def _follow(
        self,
        call: "_Call",
        max_bytes: int,
        headers: Mapping[str, str],
        cookies: Cookies | None,
        once: bool,
    ) -> Fetched:
        """Calls, and calls where redirects lead, until an answer is none."""
        target = first = self.guard.check_url(call.url)
        middlewares = (_give_up,) if once else ()
        while True:
            call.url = target.url
            async with self._pool().get(
                URL(target.url, encoded=True),
                headers=_headers_for(target, first, headers, cookies),
                allow_redirects=False,
                middlewares=middlewares,
            ) as response:
                call.status = response.status
                if cookies is not None:
                    cookies.store(target.url, response.headers.getall("Set-Cookie", ()))
                location = _location(response)
                if location is None:
                    return await _whole(response, call, max_bytes)
            call.redirects.append(Redirect(target.url, response.status))
            if len(call.redirects) > self.guard.max_redirects:
                detail = (
                    f"{len(call.redirects)} redirects; expected {self.guard.max_redirects} at most"
                )
                raise FetchError(Failure.REDIRECTS, detail, call)
            target = self.guard.check_redirect(target, location)

    def _pool(self) -> aiohttp.ClientSession:
        """The session, made inside the running loop as aiohttp asks."""
        if self._session is None:
            connector = _Connector(
                limit=self._connections,
                limit_per_host=self._host_connections,
                keepalive_timeout=KEEP_ALIVE,
                resolver=CheckedResolver(self.guard, self._look_up),
                ttl_dns_cache=DNS_TTL,
                ssl=True if self._tls is None else self._tls,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={
                    "User-Agent": "xsp",
                    "Accept": "*/*",
                    "Accept-Encoding": "gzip, deflate",
                },
                timeout=aiohttp.ClientTimeout(total=None),
                auto_decompress=False,
                max_field_size=MAX_FIELD_BYTES,
            )
        return self._session


@dataclass(slots=True)
class _Call:
    """How far a call came.

    Attributes:
        url: that is being called.
        status: of the last answer.
        sent: whether a request may have gone out.
        redirects: so far.
        started: loop time.
    """

    url: str
    status: int | None = None
    sent: bool = False
    redirects: list[Redirect] = field(default_factory=list)
    started: float = field(default_factory=lambda: asyncio.get_running_loop().time())

    @property
    def elapsed_ms(self) -> float:
        return (asyncio.get_running_loop().time() - self.started) * 1000


_current: ContextVar[_Call] = ContextVar("call")
"""The call that a task is making."""


class _Connector(aiohttp.TCPConnector):
    """Notes when a call has its connection: from then on its request may go out."""

    async def connect(
        self, req: aiohttp.ClientRequest, traces: "list[Trace]", timeout: aiohttp.ClientTimeout
    ) -> "Connection":
        connection = await super().connect(req, traces, timeout)
        _current.get().sent = True
        return connection


class _LostConnection(aiohttp.ClientError):
    """A connection that broke after the request went out, in a form that aiohttp doesn't retry."""


async def _give_up(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Keeps aiohttp from sending a GET again: it does so, once, whenever a connection breaks."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _LostConnection(str(error)) from error


def _location(response: aiohttp.ClientResponse) -> str | None:
    return response.headers.get("Location") if response.status in _REDIRECTS else None


_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_OF_ONE_HOST = frozenset({"authorization", "cookie", "proxy-authorization"})
_FIELD_VALUE = re.compile("[\t\x20-\x7e\x80-\ud7ff\ue000-\U0010ffff]*")
_FIELD_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


def _checked(headers: Mapping[str, str] | None, call: _Call) -> Mapping[str, str]:
    """Headers without a line break, which would let a value make further headers."""
    for name, value in (headers or {}).items():
        if not _FIELD_NAME.fullmatch(name) or not _FIELD_VALUE.fullmatch(value):
            detail = f"header {name!r}: expected a name and a value without control characters"
            raise FetchError(Failure.HEADER, detail, call)
    return headers or {}


def _headers_for(
    target: Target, first: Target, headers: Mapping[str, str], cookies: Cookies | None
) -> Mapping[str, str]:
    """The caller's headers, less what was meant for another host, and the cookies for this one."""
    if target.origin != first.origin:
        headers = {k: v for k, v in headers.items() if k.lower() not in _OF_ONE_HOST}
    cookie = cookies.header(target.url) if cookies is not None else ""
    return {**headers, "Cookie": cookie} if cookie else headers


async def _whole(response: aiohttp.ClientResponse, call: _Call, max_bytes: int) -> Fetched:
    body = await _read(response, call, max_bytes)
    return Fetched(
        url=call.url,
        status=response.status,
        headers=response.headers,
        body=body,
        elapsed_ms=call.elapsed_ms,
        redirects=tuple(call.redirects),
    )


async def _read(response: aiohttp.ClientResponse, call: _Call, max_bytes: int) -> bytes:
    """The body, unpacked as it comes."""
    if (response.content_length or 0) > max_bytes:
        raise _too_large(call, max_bytes)
    coding = response.headers.get("Content-Encoding", "").strip().lower()
    inflate = _Inflate(coding, max_bytes) if coding in _CODINGS else None
    if inflate is None and coding not in ("", "identity"):
        detail = f"Content-Encoding {coding[:50]!r}; expected gzip or deflate, or none"
        raise FetchError(Failure.ENCODING, detail, call)
    body, on_wire = bytearray(), 0
    async for piece in response.content.iter_any():
        on_wire += len(piece)
        try:
            body += piece if inflate is None else inflate(piece)
        except zlib.error as error:
            raise FetchError(Failure.ENCODING, f"not {coding}: {error}", call) from None
        if max(on_wire, len(body)) > max_bytes:
            raise _too_large(call, max_bytes)
    if inflate is not None and on_wire and not inflate.is_whole:
        raise FetchError(Failure.BROKEN, f"the {coding} body was cut off", call)
    return bytes(body)


def _too_large(call: _Call, max_bytes: int) -> FetchError:
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


def _describe(error: aiohttp.ClientError) -> str:
    """What went wrong, without the URL that some of aiohttp's messages have."""
    text = error.message if isinstance(error, aiohttp.ClientResponseError) else str(error)
    return f"{type(error).__name__}: {text.partition(chr(10))[0][:200]}"
