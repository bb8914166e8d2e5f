"""Bidders over HTTP: OpenRTB in a POST, as JSON or protobuf, connections kept alive."""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from typing import Annotated, ClassVar, Literal, Self

import aiohttp
from aiohttp.hdrs import CONTENT_TYPE, SET_COOKIE
from aiohttp.http import HttpProcessingError
from google.protobuf.message import DecodeError
from pydantic import AnyHttpUrl, AnyUrl, BaseModel, Field, UrlConstraints, model_validator
from yarl import URL

from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.errors import InvalidJson, TooLarge
from xsp_server.openrtb import codec
from xsp_server.openrtb.reply import Outcome
from xsp_server.registry import configurable
from xsp_server.upstream.deadline import Deadline
from xsp_server.upstream.endpoint import EndpointConfig, ssl_context
from xsp_server.upstream.post import Answer, Endpoint, Pool
from xsp_server.upstream.transport import (
    RESERVED_HEADERS,
    Ask,
    Transport,
    TransportError,
    is_header,
    timed_out,
)
from xsp_server.upstream.wire import Whole

SESSION_HEADERS = frozenset(
    {"x-request-id", "traceparent", "tracestate", "referer", "accept-language", "cookie"}
)
"""What a session's lines may say."""

JSON = "application/json"
PROTOBUF = "application/x-protobuf"


class HttpSettings(EndpointConfig):
    """A bidder that takes OpenRTB by HTTP POST."""

    endpoint: AnyHttpUrl
    """Where requests are posted."""
    params: Annotated[dict[str, str], Field(default_factory=dict)]
    """Query parameters that the endpoint is called with besides its own."""
    body: Literal["json", "protobuf"] = "json"
    """How requests are written. Answers are read as their Content-Type says."""
    gzip: bool = False
    """Whether requests are sent gzipped. Answers may be, in any case."""
    retries: Annotated[int, Field(ge=0, le=3)] = 1
    """Further tries, within the time of the call, when a connection breaks before an answer begins:
    so ends one that was kept alive longer than the bidder cares to."""
    proxy: Annotated[AnyUrl, UrlConstraints(allowed_schemes=["http"])] | None = None
    """Proxy that it is reached through, `http://host:port`, with user and password where it asks
    for them."""
    verify: bool = True
    """Whether its certificate is checked. Turn it off for tests alone."""
    max_connections: Annotated[int, Field(ge=1, le=10_000)] = 256
    """Connections open at once; a call beyond that waits within its timeout."""
    keepalive_seconds: Annotated[float, Field(ge=0, le=3600)] = 15.0
    """How long a connection is kept open without a call, in seconds."""
    dns_ttl_seconds: Annotated[int, Field(ge=0, le=86_400)] = 10
    """How long the addresses of its name are remembered, in seconds."""

    @model_validator(mode="after")
    def _checks_or_not(self) -> Self:
        if not self.verify and (self.ca is not None or self.server_name is not None):
            raise ValueError("ca and server_name need verify: without it nothing is checked")
        return self


@configurable("http")
class HttpTransport(Transport):
    """POSTs the request; 200 carries a bid response, 204 is a no-bid (OpenRTB 2.6 section 2.4)."""

    Settings: ClassVar[type[BaseModel]] = HttpSettings

    def __init__(self, settings: HttpSettings, /) -> None:
        """Reads the certificates; the connection pool opens with the first call.

        Raises:
            ConfigError: a file of certificates can't be read.
        """
        super().__init__(settings)
        self._url = URL(str(settings.endpoint)).update_query(settings.params)
        self._address = str(self._url.with_user(None))  # what a session may hear of it
        self._pool = Pool(
            ssl=_ssl(settings),
            server_name=settings.server_name,
            proxy=None if settings.proxy is None else URL(str(settings.proxy)),
            max_connections=settings.max_connections,
            keepalive_seconds=settings.keepalive_seconds,
            dns_ttl_seconds=settings.dns_ttl_seconds,
        )
        self._max_bytes = settings.max_response_bytes
        self._tries = 1 + settings.retries
        self._data = _DATA[settings.body, settings.gzip]
        self._headers = _headers(settings)
        self._kept_out = {"host", "content-type"} | RESERVED_HEADERS | set(self._headers)
        self._takes_all = self._kept_out.isdisjoint(SESSION_HEADERS)
        self._own = self._lines({}).decode()
        self._read = _READERS[JSON if settings.body == "json" else PROTOBUF]
        self._endpoint: Endpoint | None = None

    async def send(self, ask: Ask, timeout: float) -> BidResponse | None:
        """See `Transport.send`. The timeout covers connecting, waiting for a place and reading."""
        try:
            with Deadline(timeout, asyncio.get_running_loop()):
                return await self._ask(ask)
        except TimeoutError:
            raise timed_out(timeout) from None
        except aiohttp.ClientError as error:
            raise TransportError(_outcome(error), _describe(error)) from None
        except HttpProcessingError as error:
            detail = f"no HTTP: {error.message}"
            raise TransportError(Outcome.INVALID_RESPONSE, detail) from None

    async def close(self) -> None:
        """Closes the connections."""
        if self._endpoint is not None:
            await self._endpoint.close()

    async def _ask(self, ask: Ask) -> BidResponse | None:
        answer = await self._post(ask)
        try:
            if ask.session is not None and SET_COOKIE in answer.headers:
                ask.session.took(self._address, answer.headers.getall(SET_COOKIE))
            return await self._answer(answer)
        finally:
            answer.release()

    async def _post(self, ask: Ask) -> Answer:
        """Tries until an answer begins."""
        if self._endpoint is None:
            self._endpoint = Endpoint(self._url, self._headers, self._pool)
        tries = self._tries
        while True:
            tries -= 1
            try:
                return await self._endpoint.post(self._brought(ask), self._data(ask))
            except aiohttp.ClientError as error:
                # Without a connection another try won't help; one that broke may have been old.
                if not tries or _outcome(error) is not Outcome.ERROR:
                    raise

    def _brought(self, ask: Ask) -> bytes:
        """The lines of the headers that an ask brings, below our own."""
        session = ask.session
        if session is None:
            return self._lines(ask.headers) if ask.headers else self._own.encode()
        if self._takes_all and not ask.headers:  # what all calls of the session say is written once
            return f"{self._own}{session.lines(self._address)}".encode()
        return self._lines({**ask.headers, **session.headers(self._address)})

    def _lines(self, headers: Mapping[str, str]) -> bytes:
        lines = {"user-agent": "xsp"}
        for name, value in headers.items():
            lines[name.lower()] = value
        return "".join(
            f"{name}: {value}\r\n"
            for name, value in lines.items()
            if name not in self._kept_out and is_header(name, value)
        ).encode()

    async def _answer(self, answer: Answer) -> BidResponse | None:
        """What a 200 carries; None for a 204 and for an empty body."""
        status = answer.status
        if status == 204 or (status == 200 and answer.content_length == 0):
            return None
        if status != 200:
            detail = f"HTTP {status}; expected 200 or 204"
            raise TransportError(Outcome.ERROR, detail, http_status=status)
        try:
            read = self._reader(answer.headers.get(CONTENT_TYPE))
            content = answer.content
            body = content.take() if isinstance(content, Whole) else await self._body(answer)
            if len(body) > self._max_bytes:
                raise self._too_large()
            return read(body) if body else None
        except TransportError as error:
            error.http_status = status
            raise

    def _reader(self, content_type: str | None) -> Callable[[bytes], BidResponse]:
        """How an answer is read; one that doesn't say is taken for what was sent."""
        if content_type is None:
            return self._read
        reader = _READERS.get(content_type)
        if reader is None:  # with parameters, such as a charset, or written in its own way
            reader = _READERS.get(content_type.partition(";")[0].strip().lower())
        if reader is None:
            detail = f"Content-Type {content_type}; expected {JSON} or {PROTOBUF}"
            raise TransportError(Outcome.INVALID_RESPONSE, detail)
        return reader

    async def _body(self, answer: Answer) -> bytes:
        """The body, unpacked and read up to the limit; aiohttp unpacks piece by piece."""
        if (answer.content_length or 0) > self._max_bytes:
            raise self._too_large()
        content = answer.content
        try:
            body = await content.readany()
            while len(body) <= self._max_bytes and not content.at_eof():
                body += await content.readany()
        except aiohttp.ClientError as error:
            detail = f"the answer was cut off: {_describe(error)}"
            raise TransportError(Outcome.INVALID_RESPONSE, detail) from None
        if len(body) > self._max_bytes:
            raise self._too_large()
        return body

    def _too_large(self) -> TransportError:
        detail = f"an answer above {self._max_bytes} bytes (max_response_bytes)"
        return TransportError(Outcome.INVALID_RESPONSE, detail)


def _parse_json(body: bytes) -> BidResponse:
    try:
        return codec.parse_bid_response(body).message
    except (InvalidJson, TooLarge) as error:
        raise TransportError(Outcome.INVALID_RESPONSE, str(error)) from None


def _parse_protobuf(body: bytes) -> BidResponse:
    try:
        return BidResponse.FromString(body)
    except DecodeError as error:
        raise TransportError(Outcome.INVALID_RESPONSE, f"not a BidResponse: {error}") from None


_READERS: dict[str, Callable[[bytes], BidResponse]] = {
    JSON: _parse_json,
    "application/json; charset=utf-8": _parse_json,
    "text/json": _parse_json,
    PROTOBUF: _parse_protobuf,
    "application/protobuf": _parse_protobuf,
    "application/vnd.google.protobuf": _parse_protobuf,
}

_DATA: dict[tuple[str, bool], Callable[[Ask], bytes]] = {
    ("json", False): lambda ask: ask.json,
    ("json", True): lambda ask: ask.gzipped_json,
    ("protobuf", False): lambda ask: ask.protobuf,
    ("protobuf", True): lambda ask: ask.gzipped_protobuf,
}


def _headers(settings: HttpSettings) -> dict[str, str]:
    """What every request says, whoever asks; names in lower case."""
    content_type = JSON if settings.body == "json" else PROTOBUF
    headers = {
        "content-type": content_type,
        "accept": content_type,
        "accept-encoding": "gzip, deflate",
        "x-openrtb-version": "2.6",
    }
    headers |= {name.lower(): value for name, value in settings.headers.items()}
    if settings.gzip:
        headers["content-encoding"] = "gzip"
    return headers


def _ssl(settings: HttpSettings) -> ssl.SSLContext | bool:
    """How the server's certificate is checked; True is aiohttp's own context, made once for all."""
    if settings.verify and settings.ca is None and settings.client_cert is None:
        return True
    context = ssl_context(settings)
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _outcome(error: aiohttp.ClientError) -> Outcome:
    """What a failure before the body says about the bidder."""
    for kinds, outcome in _OUTCOMES:
        if isinstance(error, kinds):
            return outcome
    return Outcome.ERROR


_OUTCOMES: tuple[tuple[type[aiohttp.ClientError], Outcome], ...] = (
    (aiohttp.ClientConnectorError, Outcome.UNREACHABLE),  # refused, no such name, TLS not agreed
    (aiohttp.ClientHttpProxyError, Outcome.UNREACHABLE),  # the proxy does not let us through
)


def _describe(error: aiohttp.ClientError) -> str:
    return f"{type(error).__name__}: {error}"
