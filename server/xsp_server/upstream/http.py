"""Bidders over HTTP: OpenRTB JSON in a POST, connections kept alive."""

from typing import Annotated, ClassVar

import aiohttp
from pydantic import AnyHttpUrl, BaseModel, Field

from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.errors import InvalidJson, TooLarge
from xsp_server.openrtb import codec
from xsp_server.openrtb.reply import Outcome
from xsp_server.registry import configurable
from xsp_server.upstream.transport import Ask, Transport, TransportError, UpstreamConfig

HEADERS = {"Content-Type": "application/json", "x-openrtb-version": "2.6"}


class HttpSettings(UpstreamConfig):
    """A bidder that takes OpenRTB JSON by HTTP POST."""

    endpoint: AnyHttpUrl
    """Where requests are posted."""
    headers: Annotated[dict[str, str], Field(default_factory=dict)]
    """Further headers of each request, such as an API key."""
    max_connections: Annotated[int, Field(ge=1, le=10_000)] = 256
    """Connections open at once; a call beyond that waits within its timeout."""
    max_response_bytes: Annotated[int, Field(ge=1024)] = 1024 * 1024
    """The largest answer that is read, in bytes."""


@configurable("http")
class HttpTransport(Transport):
    """POSTs the request; 200 carries a bid response, 204 is a no-bid (OpenRTB 2.6 section 2.4)."""

    Settings: ClassVar[type[BaseModel]] = HttpSettings

    def __init__(self, settings: HttpSettings, /) -> None:
        """Keeps the settings; the connection pool opens with the first call."""
        super().__init__(settings)
        self._endpoint = str(settings.endpoint)
        self._headers = HEADERS | settings.headers
        self._max_connections = settings.max_connections
        self._max_bytes = settings.max_response_bytes
        self._session: aiohttp.ClientSession | None = None

    async def send(self, ask: Ask, timeout: float) -> BidResponse | None:
        """See `Transport.send`. The timeout covers connecting, waiting for a place and reading."""
        try:
            async with self._pool().post(
                self._endpoint,
                data=ask.json,
                headers=self._headers,
                timeout=aiohttp.ClientTimeout(total=timeout),
                allow_redirects=False,
            ) as response:
                body = await self._body(response)
        except TimeoutError:
            raise TransportError(Outcome.TIMEOUT, f"no answer in {timeout * 1000:.0f} ms") from None
        except aiohttp.ClientError as error:
            detail = f"{type(error).__name__}: {error}"
            raise TransportError(Outcome.UNREACHABLE, detail) from None
        return _parse(body) if body else None

    async def close(self) -> None:
        """Closes the pool."""
        if self._session is not None:
            await self._session.close()

    def _pool(self) -> aiohttp.ClientSession:
        """The session, made inside the running loop as aiohttp asks."""
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=self._max_connections)
            # No cookies: what one auction's user did must not travel with another's.
            self._session = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        """The body of a 200, empty for a 204, read up to the limit."""
        if response.status == 204:
            return b""
        if response.status != 200:
            raise TransportError(Outcome.ERROR, f"HTTP {response.status}; expected 200 or 204")
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > self._max_bytes:
                detail = f"an answer above {self._max_bytes} bytes"
                raise TransportError(Outcome.INVALID_RESPONSE, detail)
        return bytes(body)


def _parse(body: bytes) -> BidResponse:
    try:
        return codec.parse_bid_response(body).message
    except (InvalidJson, TooLarge) as error:
        raise TransportError(Outcome.INVALID_RESPONSE, str(error)) from None
