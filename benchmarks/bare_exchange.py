"""The floor under an auction: the same calls in and out, by bare aiohttp or bare grpc.aio.

Every Bid sends its bytes on to all bidders at once and, when all have answered, answers fixed
bytes. Nothing is read, judged, limited or told; JSON goes out and comes back as bytes.
"""

import argparse
import asyncio
import sys
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import grpc
import uvloop

from servers import BARE_METHOD

Ask = Callable[[], Awaitable[bytes]]


def http_asks(session: aiohttp.ClientSession, url: str, body: bytes) -> Ask:
    """A POST by aiohttp's own client."""
    headers = {"Content-Type": "application/json"}

    async def ask() -> bytes:
        async with session.post(url, data=body, headers=headers) as answer:
            return await answer.read()

    return ask


class Stream:
    """One long-lived call of grpc.aio; answers come in the order of what was asked."""

    def __init__(self, channel: grpc.aio.Channel, body: bytes) -> None:
        """Opens the call."""
        self._call = channel.stream_stream(BARE_METHOD)()
        self._body = body
        self._waiting: deque[asyncio.Future[bytes]] = deque()
        self._wanted = asyncio.Event()
        self._unsent = 0
        loop = asyncio.get_running_loop()
        self._tasks = (loop.create_task(self._read()), loop.create_task(self._write()))

    async def ask(self) -> bytes:
        """The answer to the one body."""
        answer = asyncio.get_running_loop().create_future()
        self._waiting.append(answer)
        self._unsent += 1
        self._wanted.set()
        return await answer

    async def _write(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            while self._unsent:
                self._unsent -= 1
                await self._call.write(self._body)

    async def _read(self) -> None:
        while (data := await self._call.read()) is not grpc.aio.EOF:
            self._waiting.popleft().set_result(data)


async def main(kind: str, address: str, bidders: int, body: bytes, answer: bytes) -> None:
    """Serves until standard input closes."""
    async with aiohttp.ClientSession() as session:
        channels = [
            grpc.aio.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)])
            for _ in range(bidders if kind == "grpc" else 0)
        ]
        streams = [Stream(channel, body) for channel in channels]
        asks = [stream.ask for stream in streams] or [
            http_asks(session, address, body) for _ in range(bidders)
        ]

        async def bid(_request: bytes, _context: object) -> bytes:
            await asyncio.gather(*(ask() for ask in asks))
            return answer

        server = grpc.aio.server()
        handler = grpc.unary_unary_rpc_method_handler(bid)
        server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler("xsp.bid.v1.BidService", {"Bid": handler})]
        )
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        print(f"127.0.0.1:{port}", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        await server.stop(None)
        for channel in channels:
            await channel.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["http", "grpc"])
    parser.add_argument("address")
    parser.add_argument("bidders", type=int)
    parser.add_argument("body", type=Path)
    parser.add_argument("answer", type=Path)
    options = parser.parse_args()
    texts = options.body.read_bytes(), options.answer.read_bytes()
    uvloop.run(main(options.kind, options.address, options.bidders, *texts))
