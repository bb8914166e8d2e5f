"""One local HTTP server that is every host of a chain, and keeps what it was asked."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from multidict import CIMultiDict

from vast.chain_files import Chain, answer_to


@dataclass
class ChainServer:
    """A chain that is served.

    Attributes:
        chain: its files, with the server's port in them.
        asked: addresses in the order of the requests, and the headers of each.
        unknown: addresses that the chain doesn't have.
    """

    chain: Chain
    asked: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    @property
    def fetched(self) -> list[str]:
        return [uri for uri, _ in self.asked]

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        uri = f"http://{request.headers['Host']}{request.raw_path}"
        self.asked.append((uri, request.headers))
        known = answer_to(uri, self.chain.documents["responses"])
        if known is None:
            self.unknown.append(uri)
            return web.Response(status=500)
        return await self._send(request, known)

    async def _send(self, request: web.BaseRequest, known: Mapping[str, Any]) -> web.StreamResponse:
        body = self.chain.body(known)
        headers = CIMultiDict({"Content-Type": "application/xml", **known.get("headers", {})})
        if known.get("encode") == "gzip":
            body = gzip.compress(body)
            headers["Content-Encoding"] = "gzip"
        response = web.StreamResponse(status=known.get("status", 200), headers=headers)
        await asyncio.sleep(known.get("delay_ms", 0) / 1000)
        response.content_length = len(body)
        await response.prepare(request)
        drip = known.get("drip")
        size = drip["bytes"] if drip else max(len(body), 1)
        for start in range(0, len(body), size):
            await response.write(body[start : start + size])
            if drip:
                await asyncio.sleep(drip["every_ms"] / 1000)
        return response


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[ChainServer]:
    """A chain's server for as long as it is wanted."""
    server = ChainServer(Chain(folder, 0))
    runner = web.ServerRunner(web.Server(server.answer), shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.chain = Chain(folder, runner.addresses[0][1])
    try:
        yield server
    finally:
        await runner.cleanup()
