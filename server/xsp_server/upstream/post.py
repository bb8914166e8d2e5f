"""POSTs to one endpoint over aiohttp's connections, without its sessions.

Connecting, proxies, TLS, keeping connections and reading HTTP are aiohttp's. What it builds around
each call of a general client is half of the call's CPU; here each call says nearly the same, so its
head is written once.
"""

import asyncio
import base64
import ssl
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
from aiohttp.connector import Connection
from aiohttp.hdrs import AUTHORIZATION, CONTENT_LENGTH, HOST
from multidict import CIMultiDictProxy
from yarl import URL

from xsp_server.upstream.lookup import Resolver
from xsp_server.upstream.wire import Body, Connector, Whereto, Wire

_INFORMATIONAL = frozenset(range(100, 200)) - {101}
"""Statuses after which the answer is still to come."""
_MOST_INFORMATIONAL = 16
"""So many of them are passed over; the next one is the answer, whatever it says."""
_NO_LIMIT = aiohttp.ClientTimeout()
"""Of aiohttp's own: the caller limits the whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """How connections are made and kept.

    Attributes:
        ssl: the context of TLS; True: aiohttp's own.
        server_name: that the certificate must be for; None: the URL's host.
        proxy: that all goes through.
        max_connections: open at once.
        keepalive_seconds: that an idle one is kept.
        dns_ttl_seconds: that addresses of a name are remembered.
    """

    ssl: ssl.SSLContext | bool
    server_name: str | None
    proxy: URL | None
    max_connections: int
    keepalive_seconds: float
    dns_ttl_seconds: int


class Answer:
    """The head of an answer, and its body to read. To be released, read or not.

    Attributes:
        status: HTTP status.
        headers: of the answer.
        content: the body, unpacked as it is read.
    """

    __slots__ = ("_connection", "content", "headers", "status")

    def __init__(
        self,
        connection: Connection,
        status: int,
        headers: CIMultiDictProxy[str],
        content: Body,
    ) -> None:
        """Takes the parts."""
        self._connection = connection
        self.status = status
        self.headers = headers
        self.content = content

    @property
    def content_length(self) -> int | None:
        """Bytes of the body on the wire, where the head tells."""
        length = self.headers.get(CONTENT_LENGTH)
        return None if length is None else int(length)

    def release(self) -> None:
        """Gives the connection back, or cuts it if the body has not been here to its end."""
        if self.content.is_eof():
            self._connection.release()
        else:
            _cut(self._connection)


class Endpoint:
    """Where requests are posted."""

    def __init__(self, url: URL, headers: Mapping[str, str], pool: Pool) -> None:
        """Opens the pool, inside a running loop as aiohttp asks.

        Args:
            url: absolute, http or https.
            headers: of every request.
            pool: how connections are made and kept.
        """
        self._connector = Connector(
            limit=pool.max_connections,
            keepalive_timeout=pool.keepalive_seconds,
            ttl_dns_cache=pool.dns_ttl_seconds,
            resolver=Resolver(),
            ssl=pool.ssl,
        )
        # What tells the connector where to; it is never sent.
        self._request = Whereto(
            "POST",
            url,
            loop=asyncio.get_running_loop(),
            proxy=pool.proxy,
            server_hostname=pool.server_name,
        )
        self._head = _head(self._request, headers)

    async def post(self, headers: bytes, body: bytes) -> Answer:
        """One request. Nothing limits its time.

        Args:
            headers: more of them, each with its line end.
            body: the whole of it.

        Returns:
            The answer as soon as its head is here. To be released.

        Raises:
            ClientError: no connection, or it broke before the head was here.
            HttpProcessingError: what came is no HTTP.
        """
        connection = await self._connector.connect(self._request, [], _NO_LIMIT)
        try:
            protocol = connection.protocol
            if not isinstance(protocol, Wire):
                raise aiohttp.ServerDisconnectedError  # noqa: TRY301 - as what follows would
            request = b"%b%bContent-Length: %d\r\n\r\n%b" % (
                *(self._head, headers, len(body), body),
            )
            protocol.send(request, read_until_eof=True)
            message, content = await protocol.read()
            for _ in range(_MOST_INFORMATIONAL):
                if message.code not in _INFORMATIONAL:
                    break
                message, content = await protocol.read()
        except BaseException:
            _cut(connection)
            raise
        return Answer(connection, message.code, message.headers, content)

    async def close(self) -> None:
        """Closes all connections."""
        await self._connector.close()


def _cut(connection: Connection) -> None:
    """Ends a connection at once: an orderly end would wait for a peer that may not even read."""
    if connection.transport is not None:
        connection.transport.abort()
    connection.close()


def _head(request: aiohttp.ClientRequest, headers: Mapping[str, str]) -> bytes:
    """Request line and headers that every request has, each with its line end."""
    url, proxy = request.url, request.proxy
    target = url.raw_path_qs
    lines = {"Host": request.headers[HOST], **headers}
    if AUTHORIZATION in request.headers:  # user and password of the URL
        lines["Authorization"] = request.headers[AUTHORIZATION]
    if proxy is not None and url.scheme == "http":  # https goes through a tunnel
        target = str(url.with_user(None))
        if proxy.user is not None:
            credentials = f"{proxy.user}:{proxy.password or ''}".encode()
            lines["Proxy-Authorization"] = f"Basic {base64.b64encode(credentials).decode()}"
    text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST {target} HTTP/1.1\r\n{text}".encode()
