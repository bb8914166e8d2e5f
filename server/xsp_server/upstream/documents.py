"""Documents of chains: fetched for a session, through the guard, and kept where HTTP allows it.

    documents = Documents(GuardedFetcher(guard, host_waiting=256))
    document = await documents.fetch(ask)

Whatever the far side does is a `Document` that says so. The device goes along as VAST 4.3 section
1.1.3 wants it of servers (`X-Device-*`), cookies go to their hosts alone.

Kept is what a shared cache may keep (`http_cache`). A request with a cookie neither asks the cache
nor fills it, nor does an answer that sets one, or that came by a redirect: those belong to one
session. Of several asks for one URL at once the first one goes out and the others wait, each within
its own time; if its answer can't be shared, they go out themselves.
"""

import asyncio
import re
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from enum import Enum
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple, Protocol

from xsp.vast.v1 import resolution_pb2 as pb
from xsp.vast.v1 import vast_lists_pb2 as lists
from xsp_server.upstream import fetch
from xsp_server.upstream.document_cache import DocumentCache, Entry
from xsp_server.upstream.fetch import Failure, Fetched, FetchError, GuardedFetcher, Obstacle
from xsp_server.upstream.header_lines import HeaderLines
from xsp_server.upstream.http_cache import keeping
from xsp_server.upstream.session import ORIGIN, TRACEPARENT, Device, Session

MAX_CACHE_BYTES = 16 * 1024 * 1024
MAX_CACHE_ENTRIES = 4096
MAX_UNSHARED = 4096
"""URLs that are remembered as giving nothing to share."""
UNSHARED_SECONDS = 60
"""How long they are."""

_SECOND = 1_000_000_000
_NONE: Mapping[str, str] = MappingProxyType({})


class Ask(Protocol):
    """One document to fetch, redirects included."""

    @property
    def url(self) -> str:
        """Complete, its macros filled."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """To send besides those of the session and our own; they go before all others."""
        ...

    @property
    def timeout(self) -> float:
        """Seconds for all of it: waiting for a place, connect, redirects, the whole body."""
        ...

    @property
    def max_body_bytes(self) -> int:
        """The largest body, on the wire and unpacked."""
        ...

    @property
    def max_redirects(self) -> int:
        """Followed in a row; the guard's settings cap it."""
        ...

    @property
    def take(self) -> Callable[[], bool]:
        """Asked once before each HTTP request; False: it must not be made."""
        ...

    @property
    def use_cache(self) -> bool:
        """Whether the document may come from the cache, and go there."""
        ...

    @property
    def session(self) -> Session | None:
        """Whom it is for, as the far side may see it; None: nobody known."""
        ...


class Redirect(NamedTuple):
    """One HTTP redirect.

    Attributes:
        status: HTTP status.
        url: the address it leads to, complete, whether or not it was followed.
    """

    status: int
    url: str


class Document(NamedTuple):
    """What came of an ask.

    Attributes:
        reason: why there is no document; unspecified: there is one, from a 2xx answer.
        message: what was wrong, for a reader, without path and query.
        final_url: that the document came from, or the last one requested; None: none was.
        http_status: of the last answer; None: none came.
        redirects: on the way, in order; the last one may not have been followed.
        body: unpacked; empty where there is no document.
        charset: of the Content-Type header; None: it has none.
        wire_bytes: of the body as it came; 0 where nothing was fetched.
        request_count: HTTP requests made for this ask.
        requested_ns: when it was asked for, ns since 1970-01-01 UTC; a kept one has its own. None:
            nothing was requested.
        cache: what the cache had to do with it.
        cache_expires_ns: until when others may be given it; None: not at all.
    """

    reason: lists.FailureReason.ValueType = lists.FAILURE_REASON_UNSPECIFIED
    message: str = ""
    final_url: str | None = None
    http_status: int | None = None
    redirects: Sequence[Redirect] = ()
    body: bytes = b""
    charset: str | None = None
    wire_bytes: int = 0
    request_count: int = 0
    requested_ns: int | None = None
    cache: pb.CacheResult.ValueType = pb.CACHE_RESULT_UNSPECIFIED
    cache_expires_ns: int | None = None


class Documents:
    """Fetches documents, and keeps those that may be kept."""

    def __init__(
        self,
        fetcher: GuardedFetcher,
        *,
        max_cache_bytes: int = MAX_CACHE_BYTES,
        max_cache_entries: int = MAX_CACHE_ENTRIES,
        headers: Mapping[str, str] = _NONE,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """Takes the way out; it stays the caller's to close.

        Args:
            fetcher: makes the requests, and limits those to one host.
            max_cache_bytes: that the cache may hold. 0: none.
            max_cache_entries: documents that it may hold.
            headers: of every request, whichever its host. They go before those of the session, not
                before those of an ask.
            clock: ns since 1970-01-01 UTC.
        """
        self._fetcher = fetcher
        self._headers = headers
        self._clock = clock
        self._cache = DocumentCache[Document](
            max_bytes=max_cache_bytes, max_entries=max_cache_entries
        )
        self._flights: dict[str, _Flight] = {}
        self._unshared: dict[str, int] = {}

    async def fetch(self, ask: Ask, /) -> Document:
        """One document. Whatever the far side does is an outcome, never an exception."""
        request = self._request(ask)
        if not ask.use_cache or _has_cookie(ask):
            return await self._bypass(ask, request)
        given = self._find(ask, request, pb.CACHE_RESULT_HIT)
        if given is not None:
            return given
        if ask.url not in self._flights:
            return await self._lead(ask, request)
        return await self._follow(ask, request)

    def expires(self, ask: Ask, expires_ns: int, /) -> None:
        """Told when an ad in the document of an ask expires: it is not given to others later."""
        if ask.url in self._cache:
            self._cache.limit(ask.url, self._request(ask).headers(), expires_ns)

    def _request(self, ask: Ask) -> "_Request":
        """What a request says, but for cookies."""
        session = ask.session
        if session is None:
            return _Request(_Written({}, self._headers, ask.headers), "")
        alike = session.alike
        of_session = alike.headers_to(ask.url)
        key = self, id(of_session)
        written: _Written | None = alike.made.get(key)
        if written is None or written.asked is not ask.headers:
            headers = _with_device(of_session, session.context.device)
            written = alike.made[key] = _Written(headers, self._headers, ask.headers)
        return _Request(written, session.span() if alike.has_trace else "")

    async def _bypass(self, ask: Ask, request: "_Request") -> Document:
        """Asks the far side, and leaves the cache alone."""
        requested_ns = self._clock()
        try:
            fetched = await self._get(ask, request, ask.timeout)
        except FetchError as error:
            return _failed(error, requested_ns, pb.CACHE_RESULT_BYPASS)
        return _document(fetched, requested_ns, pb.CACHE_RESULT_BYPASS)

    def _find(
        self, ask: Ask, request: "_Request", cache: pb.CacheResult.ValueType
    ) -> Document | None:
        """What the cache may give for an ask."""
        if ask.url not in self._cache:
            return None
        entry = self._cache.find(ask.url, request.headers(), self._clock())
        return None if entry is None else _given(ask, entry, cache)

    async def _follow(self, ask: Ask, request: "_Request") -> Document:
        """Waits for whoever asked first, and goes out itself if that doesn't help."""
        left = _countdown(ask.timeout)
        while (flight := self._flights.get(ask.url)) and not self._is_unshared(ask.url):
            landed = flight.landed()
            done, _ = await asyncio.wait((landed,), timeout=max(left(), 0))
            if not done:
                return _too_late(ask)
            if landed.result() is _Landing.BACK:
                shared = self._find(ask, request, pb.CACHE_RESULT_SHARED)
                return shared or await self._load_and_keep(ask, request, left())
        if flight is not None:  # one that nobody is to wait for
            return await self._load_and_keep(ask, request, left())
        return await self._lead(ask, request, left())

    async def _lead(self, ask: Ask, request: "_Request", timeout: float | None = None) -> Document:
        """Goes first, and tells those who wait when it is back."""
        flight = self._flights[ask.url] = _Flight()
        landing = _Landing.GIVEN_UP
        try:
            left = ask.timeout if timeout is None else timeout
            document = await self._load_and_keep(ask, request, left)
            landing = _Landing.BACK
        finally:
            del self._flights[ask.url]
            flight.land(landing)
        return document

    async def _load_and_keep(self, ask: Ask, request: "_Request", timeout: float) -> Document:
        """Asks the far side; what may be kept is, and its URL is remembered if it may not."""
        requested_ns = self._clock()
        try:
            fetched = await self._get(ask, request, timeout)
        except FetchError as error:
            return _failed(error, requested_ns, pb.CACHE_RESULT_MISS)
        if not _is_document(fetched):
            return _document(fetched, requested_ns, pb.CACHE_RESULT_MISS)
        how = None
        if not (fetched.redirects or fetched.cookies_sent):
            status, lines = fetched.status, fetched.headers.items()
            how = keeping(request.written.headers, status, lines, requested_ns, self._clock())
        if how is not None:
            document = _document(fetched, requested_ns, pb.CACHE_RESULT_MISS, how.expires_ns)
            if self._cache.put(ask.url, request.headers(), document, len(document.body), how):
                self._unshared.pop(ask.url, None)
                return document
        self._remember_unshared(ask.url)
        return _document(fetched, requested_ns, pb.CACHE_RESULT_BYPASS)

    def _get(self, ask: Ask, request: "_Request", timeout: float) -> Coroutine[None, None, Fetched]:
        """What the far side answers, to be awaited."""
        return self._fetcher.get(
            ask.url,
            timeout=timeout,
            max_bytes=ask.max_body_bytes,
            headers=request.lines(),
            cookies=None if ask.session is None else ask.session.cookies,
            max_redirects=ask.max_redirects,
            take=ask.take,
        )

    def _is_unshared(self, url: str) -> bool:
        return self._unshared.get(url, 0) > self._clock()

    def _remember_unshared(self, url: str) -> None:
        """So that the next ones don't wait for each other in vain."""
        if len(self._unshared) >= MAX_UNSHARED:
            self._unshared.clear()
        self._unshared[url] = self._clock() + UNSHARED_SECONDS * _SECOND


class _Landing(Enum):
    """How an ask that others wait for ended."""

    BACK = "back"
    GIVEN_UP = "given up"
    """Its caller walked away; nobody knows what the answer would have been."""


class _Flight:
    """An ask under way, that others may wait for."""

    __slots__ = ("_landed",)

    def __init__(self) -> None:
        self._landed: asyncio.Future[_Landing] | None = None

    def landed(self) -> "asyncio.Future[_Landing]":
        """How it ends, to be awaited; few ever are."""
        if self._landed is None:
            self._landed = asyncio.get_running_loop().create_future()
        return self._landed

    def land(self, landing: _Landing) -> None:
        """Ends it."""
        if self._landed is not None:
            self._landed.set_result(landing)


def _countdown(seconds: float) -> Callable[[], float]:
    """What is left of a time that begins now, in seconds."""
    now = asyncio.get_running_loop().time
    end = now() + seconds
    return lambda: end - now()


def _with_device(headers: Mapping[str, str], device: Device) -> Mapping[str, str]:
    """Those of a session, with its device."""
    own_name = device.user_agent == ORIGIN.user_agent
    told = {
        "X-Device-IP": device.ip,
        "X-Device-User-Agent": None if own_name else device.user_agent,
        "X-Device-Accept-Language": headers.get("Accept-Language"),
        "X-Device-Referer": headers.get("Referer"),
    }
    return {**headers, **{name: value for name, value in told.items() if value}}


class _Written:
    """Headers that all requests of a session have alike.

    Attributes:
        headers: by name.
        lines: the same as HTTP writes them.
        asked: those of the ask, which are among them.
        is_traced: whether a `traceparent` may go along; not if somebody gave another.
    """

    __slots__ = ("asked", "headers", "is_traced", "lines")

    def __init__(self, *headers: Mapping[str, str]) -> None:
        """Takes headers; later ones go before earlier ones."""
        self.asked = headers[-1]
        self.headers = {name: value for each in headers for name, value in each.items()}
        self.lines = HeaderLines(self.headers)
        self.is_traced = all(name.lower() != TRACEPARENT for name in self.headers)


class _Request(NamedTuple):
    """What one request says, but for cookies.

    Attributes:
        written: what others of its session say too.
        traceparent: its own; empty: it has none.
    """

    written: _Written
    traceparent: str

    def headers(self) -> Mapping[str, str]:
        """By name."""
        if not (self.traceparent and self.written.is_traced):
            return self.written.headers
        return {**self.written.headers, TRACEPARENT: self.traceparent}

    def lines(self) -> HeaderLines:
        """As HTTP writes them."""
        if not (self.traceparent and self.written.is_traced):
            return self.written.lines
        return self.written.lines.plus(f"{TRACEPARENT}: {self.traceparent}\r\n")


def _has_cookie(ask: Ask) -> bool:
    return ask.session is not None and ask.session.cookies.header(ask.url) != ""


def _given(ask: Ask, entry: Entry[Document], cache: pb.CacheResult.ValueType) -> Document:
    """A kept document for another ask."""
    document = entry.answer._replace(
        cache=cache,
        cache_expires_ns=entry.expires_ns,
        wire_bytes=0,
        request_count=0,
    )
    if len(document.body) <= ask.max_body_bytes:
        return document
    return document._replace(
        reason=lists.FAILURE_REASON_BODY_TOO_LARGE,
        message=f"a body above {ask.max_body_bytes} bytes",
        body=b"",
    )


def _too_late(ask: Ask) -> Document:
    """Its time ended while another's fetch of the same URL was under way."""
    return Document(
        reason=lists.FAILURE_REASON_HOP_TIMEOUT,
        message=f"no whole answer in {ask.timeout * 1000:.0f} ms",
        cache=pb.CACHE_RESULT_MISS,
    )


def _is_document(fetched: Fetched) -> bool:
    return 200 <= fetched.status < 300


def _document(
    fetched: Fetched,
    requested_ns: int,
    cache: pb.CacheResult.ValueType,
    expires_ns: int | None = None,
) -> Document:
    """What came of a whole answer."""
    usable = _is_document(fetched)
    return Document(
        reason=lists.FAILURE_REASON_UNSPECIFIED if usable else lists.FAILURE_REASON_HTTP_STATUS,
        message="" if usable else f"HTTP status {fetched.status}; expected 2xx",
        final_url=fetched.url,
        http_status=fetched.status,
        redirects=_redirects(fetched.redirects, fetched.url),
        body=fetched.body if usable else b"",
        charset=_charset(fetched.headers.get("Content-Type", "")),
        wire_bytes=fetched.wire_bytes,
        request_count=len(fetched.redirects) + 1,
        requested_ns=requested_ns,
        cache=cache,
        cache_expires_ns=expires_ns,
    )


def _failed(error: FetchError, requested_ns: int, cache: pb.CacheResult.ValueType) -> Document:
    """What came of none. Where nothing was requested, the cache had nothing to do with it."""
    call = error.reached
    return Document(
        reason=_reason(error),
        message=str(error),
        final_url=call.requested,
        http_status=call.status,
        redirects=_redirects(call.redirects, call.led_to or call.requested or ""),
        wire_bytes=call.wire_bytes,
        request_count=call.requests,
        requested_ns=requested_ns if call.requests else None,
        cache=cache if call.requests else pb.CACHE_RESULT_UNSPECIFIED,
    )


def _redirects(redirects: Sequence[fetch.Redirect], end: str) -> tuple[Redirect, ...]:
    """From the URLs that answered to those they lead to; the last one leads to the end."""
    if not redirects:
        return ()
    ends = [*(redirect.url for redirect in redirects[1:]), end]
    return tuple(Redirect(one.status, url) for one, url in zip(redirects, ends, strict=False))


_CHARSET = re.compile(r""";\s*charset\s*=\s*["']?([^\s;"']+)""", re.IGNORECASE)


@lru_cache(maxsize=256)  # servers have one each
def _charset(content_type: str) -> str | None:
    match = _CHARSET.search(content_type)
    return None if match is None else match[1]


_REASONS: Mapping[Failure, lists.FailureReason.ValueType] = {
    Failure.TIMEOUT: lists.FAILURE_REASON_HOP_TIMEOUT,
    Failure.TOO_LARGE: lists.FAILURE_REASON_BODY_TOO_LARGE,
    Failure.REDIRECTS: lists.FAILURE_REASON_REDIRECT_LIMIT,
    Failure.SPENT: lists.FAILURE_REASON_FETCH_LIMIT,
}
"""Of all others it is CONNECTION_FAILED."""

_OBSTACLES: Mapping[Obstacle | None, lists.FailureReason.ValueType] = {
    Obstacle.NAME: lists.FAILURE_REASON_DNS_FAILED,
    Obstacle.TLS: lists.FAILURE_REASON_TLS_FAILED,
}

_REFUSALS: Mapping[str, lists.FailureReason.ValueType] = {
    "redirect.downgrade": lists.FAILURE_REASON_REDIRECT_REFUSED,
    "url.scheme": lists.FAILURE_REASON_SCHEME_REFUSED,
    "url.length": lists.FAILURE_REASON_URI_INVALID,
    "url.characters": lists.FAILURE_REASON_URI_INVALID,
    "url.host": lists.FAILURE_REASON_URI_INVALID,
    "url.port": lists.FAILURE_REASON_URI_INVALID,
}
"""By the guard's rule; of all others it is ADDRESS_REFUSED."""


def _reason(error: FetchError) -> lists.FailureReason.ValueType:
    failed = lists.FAILURE_REASON_CONNECTION_FAILED
    if error.failure is Failure.UNREACHABLE:
        return _OBSTACLES.get(error.obstacle, failed)
    if error.refusal is None:
        return _REASONS.get(error.failure, failed)
    if error.refusal.rule == "url.scheme" and not _SCHEME.match(error.url.strip()):
        return lists.FAILURE_REASON_URI_INVALID
    return _REFUSALS.get(error.refusal.rule, lists.FAILURE_REASON_ADDRESS_REFUSED)


_SCHEME = re.compile("[A-Za-z][A-Za-z0-9+.-]*:")
