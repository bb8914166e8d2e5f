"""Resolvers of a chain, each in a process of its own, run in rounds by `bench_vast_chain`.

python vast_resolvers.py KIND ADDRESS

KIND is `xsp`, `xsp_ads` (nothing but the merged ads as messages) or `bare`, which follows addresses
and counts impressions with aiohttp and lxml, and knows nothing else. What any caller has to do, all
of them do: they keep connections, limit bodies and times, and follow no entity.

For each line `COUNT CONCURRENCY` on standard input so many chains are resolved, and their seconds,
CPU seconds and impressions printed.
"""

import asyncio
import gc
import json
import sys
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import aiohttp
import uvloop
from google.protobuf.duration_pb2 import Duration
from lxml import etree

from xsp.session.v1 import session_context_pb2
from xsp.vast.v1 import resolve_options_pb2
from xsp_server.upstream.documents import Documents
from xsp_server.upstream.fetch import GuardedFetcher
from xsp_server.upstream.guard import AddressGuard, GuardSettings
from xsp_server.upstream.session import Session, SessionContext
from xsp_server.vast.resolver import VastChainResolver

Resolve = Callable[[], Awaitable[int]]
CONNECTIONS = 64
HOP_SECONDS = 5
MAX_BYTES = 1_048_576


async def main(kind: str, address: str) -> None:
    """Runs rounds until standard input closes."""
    gc.collect()
    gc.freeze()  # as `xsp serve` does
    if kind == "bare":
        connector = aiohttp.TCPConnector(limit=CONNECTIONS)
        timeout = aiohttp.ClientTimeout(total=HOP_SECONDS)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            await _rounds(_bare(session, address))
        return
    guard = AddressGuard(GuardSettings(allow_hosts=(urlsplit(address).netloc,)))
    connections = GuardedFetcher(guard, connections=CONNECTIONS, host_connections=CONNECTIONS)
    try:
        await _rounds(_ours(Far(Documents(connections), address), kind))
    finally:
        await connections.close()


class Far:
    """The far side as an upstream."""

    def __init__(self, fetcher: Documents, address: str) -> None:
        """Takes what fetches, and the first address."""
        self.fetcher = fetcher
        self.sources = [resolve_options_pb2.VastSource(tag_uri=address)]

    def open_session(self, user_id: str | None) -> Session:
        """A session of its own for each call."""
        message = session_context_pb2.SessionContext(user_id=user_id)
        return Session(SessionContext.from_message(message))


def _ours(upstream: Far, kind: str) -> Resolve:
    resolver = VastChainResolver(upstream)
    options = resolve_options_pb2.ResolveOptions(
        hop_timeout=Duration(seconds=HOP_SECONDS),
        total_timeout=Duration(seconds=2 * HOP_SECONDS),
        max_body_bytes=MAX_BYTES,
        parts=[resolve_options_pb2.RESOLUTION_PART_ADS] if kind == "xsp_ads" else [],
    )

    async def resolve() -> int:
        resolution = await resolver.resolve(options=options)
        return len(resolution.ads[0].ad.inline.impressions)

    return resolve


def _bare(session: aiohttp.ClientSession, address: str) -> Resolve:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)

    async def body_of(response: aiohttp.ClientResponse) -> bytes:
        body = b""
        while piece := await response.content.readany():
            body += piece
            assert len(body) <= MAX_BYTES
        return body

    async def resolve() -> int:
        url, impressions = address, 0
        while url:
            async with session.get(url) as response:
                root = etree.fromstring(await body_of(response), parser)
            impressions += sum(1 for _ in root.iter("{*}Impression"))
            link = root.find(".//{*}VASTAdTagURI")
            url = "" if link is None else (link.text or "").strip()
        return impressions

    return resolve


async def _rounds(resolve: Resolve) -> None:
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        count, concurrency = map(int, line.split())
        wall, cpu = time.perf_counter(), time.process_time()
        found = await asyncio.gather(
            *(_chains(resolve, count // concurrency) for _ in range(concurrency))
        )
        took = {
            "seconds": time.perf_counter() - wall,
            "cpu": time.process_time() - cpu,
            "impressions": sum(found),
        }
        print(json.dumps(took), flush=True)


async def _chains(resolve: Resolve, count: int) -> int:
    return sum([await resolve() for _ in range(count)])


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
