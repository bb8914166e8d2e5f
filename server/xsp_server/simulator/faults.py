"""Ways for an HTTP bidder to break: each sends its own kind of wrong over the wire."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import cast

from aiohttp import web

from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.openrtb import codec
from xsp_server.simulator.settings import Fault, FaultSettings
from xsp_server.simulator.sleep import Sleep, forever

JSON = "application/json"

_BLOCK = 64 * 1024
_GARBAGE = b'{"id": \xff\xfe\x00 "seatbid": [[[ \x80'
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on, for no time: closing sends a reset


@dataclass(frozen=True, slots=True)
class Case:
    """One answer that is to go wrong.

    Attributes:
        request: what is answered.
        answer: what would be right.
        settings: which fault, and its figures.
        sleep: passes the time of a pause.
    """

    request: web.Request
    answer: BidResponse
    settings: FaultSettings
    sleep: Sleep

    @property
    def body(self) -> bytes:
        """The right answer as JSON."""
        return codec.write(self.answer)

    @property
    def transport(self) -> asyncio.Transport:
        """The connection: there for as long as we run, for we are cancelled when it is lost."""
        return cast(asyncio.Transport, self.request.transport)

    async def pause(self) -> None:
        """One pause of the slow faults."""
        await self.sleep(self.settings.pause_ms / 1000)


async def strike(case: Case) -> web.StreamResponse:
    """Answers with the fault of the settings."""
    return await _FAULTS[case.settings.fault](case)


async def _reset(case: Case) -> web.StreamResponse:
    body = case.body
    response = _head({"Content-Length": str(len(body))})
    await response.prepare(case.request)
    await response.write(body[: len(body) // 2])
    linger = (socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    case.transport.get_extra_info("socket").setsockopt(*linger)
    case.transport.abort()
    return response


async def _slow_headers(case: Case) -> web.StreamResponse:
    body, transport = case.body, case.transport
    head = (
        "HTTP/1.1 200 OK",
        f"Content-Type: {JSON}",
        f"Content-Length: {len(body)}",
        "Connection: close",
        "",
    )
    for line in head:
        transport.write(f"{line}\r\n".encode())
        await case.pause()
    transport.write(body)
    transport.close()
    return web.Response()  # which goes nowhere: the connection is closing


async def _slow_body(case: Case) -> web.StreamResponse:
    body = case.body
    response = _head({"Content-Length": str(len(body))})
    await response.prepare(case.request)
    with contextlib.suppress(ConnectionError):  # the client may have had enough
        for byte in body:
            await response.write(bytes((byte,)))
            await case.pause()
    return response


async def _garbage(_: Case) -> web.StreamResponse:
    return web.Response(body=_GARBAGE, content_type=JSON)


async def _content_type(case: Case) -> web.StreamResponse:
    return web.Response(body=case.body, content_type="text/html", charset="utf-8")


async def _status_500(_: Case) -> web.StreamResponse:
    return web.Response(status=500, text="simulated fault")


async def _huge_body(case: Case) -> web.StreamResponse:
    response = _head({})
    response.enable_chunked_encoding()
    await response.prepare(case.request)
    with contextlib.suppress(ConnectionError):
        for block in _padded(case.body, case.settings.huge_bytes):
            await response.write(block)
    return response


async def _wrong_id(case: Case) -> web.StreamResponse:
    other = BidResponse()
    other.CopyFrom(case.answer)
    other.id = f"not-{case.answer.id}"
    return web.Response(body=codec.write(other), content_type=JSON)


async def _hang(_: Case) -> web.StreamResponse:
    await forever()


_FAULTS: dict[Fault, Callable[[Case], Awaitable[web.StreamResponse]]] = {
    Fault.RESET: _reset,
    Fault.SLOW_HEADERS: _slow_headers,
    Fault.SLOW_BODY: _slow_body,
    Fault.GARBAGE: _garbage,
    Fault.CONTENT_TYPE: _content_type,
    Fault.STATUS_500: _status_500,
    Fault.HUGE_BODY: _huge_body,
    Fault.WRONG_ID: _wrong_id,
    Fault.HANG: _hang,
}


def _head(headers: dict[str, str]) -> web.StreamResponse:
    return web.StreamResponse(headers={"Content-Type": JSON, **headers})


def _padded(body: bytes, length: int) -> Iterable[bytes]:
    """The JSON object with blanks after its opening brace, so that it is `length` bytes long."""
    yield body[:1]
    blanks = max(0, length - len(body))
    for _ in range(blanks // _BLOCK):
        yield b" " * _BLOCK
    yield b" " * (blanks % _BLOCK) + body[1:]
