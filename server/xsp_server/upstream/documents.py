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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from types import MappingProxyType
from typing import Protocol

from xsp.vast.v1 import resolution_pb2 as pb
from xsp.vast.v1 import vast_lists_pb2 as lists
from xsp_server.upstream import fetch
from xsp_server.upstream.document_cache import DocumentCache, Entry
from xsp_server.upstream.fetch import Failure, Fetched, FetchError, GuardedFetcher, Obstacle
from xsp_server.upstream.http_cache import keeping
from xsp_server.upstream.session import ORIGIN, Session

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


@dataclass(frozen=True, slots=True)
class Redirect:
    """One HTTP redirect.

    Attributes:
        status: HTTP status.
        url: the address it leads to, complete, whether or not it was followed.
    """

    status: int
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
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
        self._flights: dict[str, asyncio.Future[_Landing]] = {}
        self._unshared: dict[str, int] = {}

    async def fetch(self, ask: Ask, /) -> Document:
        """One document. Whatever the far side does is an outcome, never an exception."""
        headers = self._headers_of(ask)
        if not ask.use_cache or _has_cookie(ask):
            return await self._bypass(ask, headers)
        given = self._find(ask, headers, pb.CACHE_RESULT_HIT)
        if given is not None:
            return given
        left = _countdown(ask.timeout)
        while (flight := self._flights.get(ask.url)) and not self._is_unshared(ask.url):
            done, _ = await asyncio.wait((flight,), timeout=max(left(), 0))
            if not done:
                return _too_late(ask)
            if flight.result() is _Landing.BACK:
                shared = self._find(ask, headers, pb.CACHE_RESULT_SHARED)
                return shared or await self._load_and_keep(ask, headers, left())
        return await self._lead(ask, headers, left())

    def expires(self, ask: Ask, expires_ns: int, /) -> None:
        """Told when an ad in the document of an ask expires: it is not given to others later."""
        if ask.url in self._cache:
            self._cache.limit(ask.url, self._headers_of(ask), expires_ns)

    def _headers_of(self, ask: Ask) -> Mapping[str, str]:
        """All but cookies."""
        headers = {} if ask.session is None else _headers_of_session(ask.session, ask.url)
        headers.update(self._headers)
        headers.update(ask.headers)
        return headers

    async def _bypass(self, ask: Ask, headers: Mapping[str, str]) -> Document:
        """Asks the far side, and leaves the cache alone."""
        requested_ns = self._clock()
        fetched = await self._load(ask, headers, ask.timeout)
        if isinstance(fetched, FetchError):
            return _failed(fetched, requested_ns, pb.CACHE_RESULT_BYPASS)
        return _document(fetched, requested_ns, pb.CACHE_RESULT_BYPASS)

    def _find(
        self, ask: Ask, headers: Mapping[str, str], cache: pb.CacheResult.ValueType
    ) -> Document | None:
        """What the cache may give for an ask."""
        entry = self._cache.find(ask.url, headers, self._clock())
        return None if entry is None else _given(ask, entry, cache)

    async def _lead(self, ask: Ask, headers: Mapping[str, str], timeout: float) -> Document:
        """Goes first, and tells those who wait when it is back."""
        if ask.url in self._flights:  # one that nobody is to wait for
            return await self._load_and_keep(ask, headers, timeout)
        flight = self._flights[ask.url] = asyncio.get_running_loop().create_future()
        landing = _Landing.GIVEN_UP
        try:
            document = await self._load_and_keep(ask, headers, timeout)
            landing = _Landing.BACK
        finally:
            del self._flights[ask.url]
            flight.set_result(landing)
        return document

    async def _load_and_keep(
        self, ask: Ask, headers: Mapping[str, str], timeout: float
    ) -> Document:
        """Asks the far side; what may be kept is, and its URL is remembered if it may not."""
        requested_ns = self._clock()
        fetched = await self._load(ask, headers, timeout)
        if isinstance(fetched, FetchError):
            return _failed(fetched, requested_ns, pb.CACHE_RESULT_MISS)
        if not _is_document(fetched):
            return _document(fetched, requested_ns, pb.CACHE_RESULT_MISS)
        how = None
        if not (fetched.redirects or fetched.cookies_sent):
            status, lines = fetched.status, fetched.headers.items()
            how = keeping(headers, status, lines, requested_ns, self._clock())
        if how is not None:
            document = _document(fetched, requested_ns, pb.CACHE_RESULT_MISS, how.expires_ns)
            if self._cache.put(ask.url, headers, document, len(document.body), how):
                self._unshared.pop(ask.url, None)
                return document
        self._remember_unshared(ask.url)
        return _document(fetched, requested_ns, pb.CACHE_RESULT_BYPASS)

    async def _load(
        self, ask: Ask, headers: Mapping[str, str], timeout: float
    ) -> Fetched | FetchError:
        """What the far side answers."""
        try:
            return await self._fetcher.get(
                ask.url,
                timeout=timeout,
                max_bytes=ask.max_body_bytes,
                headers=headers,
                cookies=None if ask.session is None else ask.session.cookies,
                max_redirects=ask.max_redirects,
                take=ask.take,
            )
        except FetchError as error:
            return error

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


def _countdown(seconds: float) -> Callable[[], float]:
    """What is left of a time that begins now, in seconds."""
    now = asyncio.get_running_loop().time
    end = now() + seconds
    return lambda: end - now()


def _headers_of_session(session: Session, url: str) -> dict[str, str]:
    """Those of the session and of its device. Cookies come URL by URL, by the jar."""
    headers = session.headers(url)
    headers.pop("Cookie", None)
    device = session.context.device
    own_name = device.user_agent == ORIGIN.user_agent
    told = {
        "X-Device-IP": device.ip,
        "X-Device-User-Agent": None if own_name else device.user_agent,
        "X-Device-Accept-Language": headers.get("Accept-Language"),
        "X-Device-Referer": headers.get("Referer"),
    }
    headers.update({name: value for name, value in told.items() if value})
    return headers


def _has_cookie(ask: Ask) -> bool:
    return ask.session is not None and ask.session.cookies.header(ask.url) != ""


def _given(ask: Ask, entry: Entry[Document], cache: pb.CacheResult.ValueType) -> Document:
    """A kept document for another ask."""
    document = replace(
        entry.answer,
        cache=cache,
        cache_expires_ns=entry.expires_ns,
        wire_bytes=0,
        request_count=0,
    )
    if len(document.body) <= ask.max_body_bytes:
        return document
    return replace(
        document,
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
