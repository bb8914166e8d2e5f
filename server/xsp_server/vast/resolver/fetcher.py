"""What the resolver asks of whoever fetches documents for it.

The two sides know each other by shape alone: a fetcher needs to import nothing from here.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from xsp.session.v1 import session_context_pb2
from xsp.vast.v1 import resolution_pb2, resolve_options_pb2, vast_lists_pb2


class DocumentAsk(NamedTuple):
    """One document to fetch, redirects included.

    Attributes:
        url: complete, its macros filled.
        headers: to send besides the fetcher's own, names as HTTP writes them. Those of the
            session's device are the fetcher's to add.
        timeout: seconds for all of it: waiting for a place, connect, redirects, the whole body.
        max_body_bytes: the largest body, after decompression.
        max_redirects: followed in a row.
        take: called once before every HTTP request, redirects included and the cache not; False:
            the requests of the call are used up and this one must not be made.
        use_cache: whether the document may come from the cache, and go there.
        session: whom it is for, with device, consent and cookies: the fetcher's own kind, which
            the resolver hands on as it got it. None: nobody known.
    """

    url: str
    headers: Mapping[str, str]
    timeout: float
    max_body_bytes: int
    max_redirects: int
    take: Callable[[], bool]
    use_cache: bool
    session: Any


class Redirect(Protocol):
    """One HTTP redirect."""

    @property
    def status(self) -> int:
        """HTTP status, such as 302."""
        ...

    @property
    def url(self) -> str:
        """The address it leads to, complete, whether or not it was followed."""
        ...


class Document(Protocol):
    """What came of an ask, for better or worse."""

    @property
    def reason(self) -> vast_lists_pb2.FailureReason.ValueType:
        """Why there is no document; unspecified: there is one, from a 2xx answer.

        One of URI_INVALID, SCHEME_REFUSED, ADDRESS_REFUSED, REDIRECT_REFUSED, REDIRECT_LIMIT,
        DNS_FAILED, CONNECTION_FAILED, TLS_FAILED, HTTP_STATUS, BODY_TOO_LARGE, HOP_TIMEOUT and
        FETCH_LIMIT. What else may go wrong, such as a wrong Content-Encoding, is
        CONNECTION_FAILED.
        """
        ...

    @property
    def message(self) -> str:
        """What was wrong, for a reader; without paths and queries, which may carry ids."""
        ...

    @property
    def final_url(self) -> str | None:
        """The address that the document came from, or the last one requested; None: none was."""
        ...

    @property
    def http_status(self) -> int | None:
        """HTTP status of the last answer, which a cached document keeps; None: none came."""
        ...

    @property
    def redirects(self) -> Sequence[Redirect]:
        """On the way, in order; the last one may not have been followed."""
        ...

    @property
    def body(self) -> bytes:
        """After decompression; empty where there is none."""
        ...

    @property
    def charset(self) -> str | None:
        """Of the Content-Type header; None: it has none."""
        ...

    @property
    def wire_bytes(self) -> int:
        """Bytes of the body as sent; 0 where nothing was fetched."""
        ...

    @property
    def request_count(self) -> int:
        """HTTP requests made for this ask; 0: refused, from the cache, or from another's fetch."""
        ...

    @property
    def requested_ns(self) -> int | None:
        """When the document was requested, ns since 1970-01-01 UTC; a cached one keeps its own.

        None: nothing was requested.
        """
        ...

    @property
    def cache(self) -> resolution_pb2.CacheResult.ValueType:
        """What the cache had to do with it."""
        ...

    @property
    def cache_expires_ns(self) -> int | None:
        """Until when the cache may give it to others, ns since 1970-01-01 UTC; None: not at all."""
        ...


class Fetcher(Protocol):
    """Fetches documents, and keeps those that may be kept."""

    async def fetch(self, ask: DocumentAsk, /) -> Document:
        """One document. Whatever the far side does is an outcome, never an exception."""
        ...

    def expires(self, ask: DocumentAsk, expires_ns: int, /) -> None:
        """Told when an ad in the document of this ask expires: the cache must not give it later.

        Args:
            ask: the one that was answered.
            expires_ns: `Expires` counted from the request, ns since 1970-01-01 UTC.
        """
        ...


class Session(Protocol):
    """Whom a resolution is for, as far as the resolver itself wants to know."""

    @property
    def context(self) -> Any:
        """What is the same in all of its calls: a dataclass with the fields of the message.

        Ids, device, page, language and cookies are replaced where servers may not see them.
        """
        ...

    @property
    def was_told(self) -> bool:
        """Whether the caller told it. If not, CACHEBUSTING and TIMESTAMP are fresh every time."""
        ...

    def to_message(self) -> session_context_pb2.SessionContext:
        """All that is known, filled in."""
        ...

    def seen_as(self, context: Any, /, *, cookies: bool) -> "Session":
        """The same session with another context, with or without its cookies."""
        ...

    def branch(self) -> Any:
        """The same session for a chain that may be given up, with cookies that go on apart."""
        ...

    def join(self, branch: Any, /) -> None:
        """Takes the cookies of a branch that was not given up."""
        ...


class Upstream(Protocol):
    """What a resolver is built over."""

    @property
    def sources(self) -> Sequence[resolve_options_pb2.VastSource]:
        """Where to start when a call doesn't say; several are a waterfall."""
        ...

    @property
    def fetcher(self) -> Fetcher:
        """What fetches documents."""
        ...

    def open_session(self, user_id: str | None, /) -> Session:
        """A session for a call that has none."""
        ...
