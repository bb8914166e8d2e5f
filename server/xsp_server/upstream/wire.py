"""Connections of aiohttp's pool that read plain answers at a glance.

Most answers come in one piece, with a Content-Length and nothing else that says where they end. To
read one here takes a quarter of what aiohttp's parser and its streams take. All others, and
whatever looks the least bit odd, go to aiohttp as they came.
"""

import re
from functools import cached_property, partial
from typing import Any, Final, NamedTuple, Protocol, cast

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from multidict import CIMultiDict, CIMultiDictProxy


class Head(Protocol):
    """The head of an answer."""

    @property
    def code(self) -> int:
        """HTTP status."""
        ...

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        """Names in any case."""
        ...


class Body(Protocol):
    """The body of an answer, as far as aiohttp's streams are asked of it."""

    def is_eof(self) -> bool:
        """Whether all of it has come."""
        ...

    def at_eof(self) -> bool:
        """Whether all of it has been read."""
        ...

    async def readany(self) -> bytes:
        """What has come, as soon as there is any; empty: there is no more."""
        ...


class Whole:
    """A body that is here."""

    __slots__ = ("_left",)

    def __init__(self, body: bytes) -> None:
        """Takes all of it."""
        self._left = body

    def is_eof(self) -> bool:
        """Yes."""
        return True

    def at_eof(self) -> bool:
        """Whether it has been read."""
        return not self._left

    async def readany(self) -> bytes:
        """All of it, once."""
        return self.take()

    def take(self) -> bytes:
        """The same without waiting."""
        body, self._left = self._left, b""
        return body


class Plain(NamedTuple):
    """An answer that came in one piece.

    Attributes:
        code: HTTP status.
        headers: of the answer.
        body: as it came.
    """

    code: int
    headers: CIMultiDictProxy[str]
    body: bytes


class Wire(ResponseHandler):
    """A connection, one request at a time: `send`, then `read` for the head and the body."""

    _terms: dict[str, Any] | None = None

    def send(self, request: bytes, **terms: Any) -> None:
        """Sends a request, whose answer is to be read.

        Args:
            request: all of it.
            terms: of aiohttp's `set_response_params`.

        Raises:
            ServerDisconnectedError: the connection is gone; or something has come that nobody asked
                for, and what comes next would be taken for the answer to that.
        """
        transport = self.transport
        if transport is None or self.should_close:
            raise aiohttp.ServerDisconnectedError
        self._parser = None
        self._terms = terms
        transport.write(request)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        terms = self._terms
        if terms is not None:
            self._terms = None
            plain = plain_answer(data)
            if plain is not None and not (
                terms.get("auto_decompress", True) and "Content-Encoding" in plain.headers
            ):
                self.feed_data((plain, Whole(plain.body)))  # type: ignore[arg-type]
                return
            self.set_response_params(**terms)
        super().data_received(data)


class Whereto(aiohttp.ClientRequest):
    """What tells the pool where to connect to; it is never sent."""

    @cached_property
    def connection_key(self) -> ConnectionKey:
        """What connections that fit have in common; aiohttp makes it anew for each call."""
        key: ConnectionKey = super().connection_key
        return key


class Connector(aiohttp.TCPConnector):
    """aiohttp's pool, whose connections are `Wire`s."""

    def __init__(self, **settings: Any) -> None:
        """Takes aiohttp's settings.

        Raises:
            RuntimeError: this aiohttp makes its connections in another way.
        """
        super().__init__(**settings)
        if "_factory" not in vars(self):
            raise RuntimeError(f"aiohttp {aiohttp.__version__}: no _factory; expected version 3.14")
        self._factory = cast("partial[ResponseHandler]", partial(Wire, loop=self._loop))


_HEAD: Final = re.compile(
    rb"HTTP/1\.1 (20[0-9]|[345][0-9][0-9]) [\t -~]*+"
    rb"((?:\r\n[!#-'*+\-.^-z|~0-9A-Za-z]++:[\t -~]*+){0,100}+)\r\n\r\n"
)
_FIELD: Final = re.compile(r"\r\n([^:]++):[\t ]*+([^\r]*+)")
_LENGTH: Final = re.compile("[0-9]{1,9}", re.ASCII)
_LONGEST_HEAD: Final = 8190
"""Bytes; from there on aiohttp's limits say what is too much."""
_ODD: Final = frozenset({"transfer-encoding", "upgrade", "trailer", "proxy-connection"})
"""Headers that may say that the body is not what it looks like, or that it is the last one."""
_NO_CONTENT: Final = 204
_NOT_MODIFIED: Final = 304


def plain_answer(data: bytes) -> Plain | None:
    """An answer out of what came first after a GET or a POST.

    None: it isn't all of it, or more than it, or anything about it can be read in two ways. Names
    that stand twice are for aiohttp to judge.
    """
    match = _HEAD.match(data)
    if match is None or match.end() > _LONGEST_HEAD:
        return None
    code, end = int(match[1]), match.end()
    fields = [(name, value.rstrip("\t ")) for name, value in _FIELD.findall(match[2].decode())]
    names = {name.lower() for name, _ in fields}
    headers = CIMultiDict(fields)
    length = headers.get("Content-Length", "0" if code == _NO_CONTENT else "")
    if (
        len(names) < len(fields)
        or not _ODD.isdisjoint(names)
        or code == _NOT_MODIFIED
        or (code == _NO_CONTENT and length != "0")
        or headers.get("Connection", "keep-alive").lower() != "keep-alive"
        or not _LENGTH.fullmatch(length)
        or int(length) != len(data) - end
    ):
        return None
    return Plain(code, CIMultiDictProxy(headers), data[end:])
