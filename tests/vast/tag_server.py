"""An ad server on loopback that holds answers back, and a resolver over a real upstream of it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from xsp.vast.v1 import resolve_options_pb2 as pb
from xsp_server.upstream.guard import GuardSettings
from xsp_server.upstream.vast_upstream import VastSettings, VastUpstream

Source = pb.VastSource
PARALLEL = pb.TAG_GROUP_MODE_PARALLEL
WATERFALL = pb.TAG_GROUP_MODE_WATERFALL
FIRST = pb.TAG_GROUP_MODE_FIRST


@dataclass
class TagServer:
    """Documents by path.

    Attributes:
        documents: what is answered; other paths are 404.
        held: paths whose answers wait, each until its event is set.
        cookies: that answers set, by path.
        asked: paths, in the order of the requests, and the Cookie header of each.
        left: paths whose callers went away before their answer.
    """

    documents: dict[str, str] = field(default_factory=dict)
    held: dict[str, asyncio.Event] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    address: str = ""
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]

    def hold(self, *paths: str) -> None:
        self.held |= {path: asyncio.Event() for path in paths}

    def release(self, *paths: str) -> None:
        for path in paths:
            self.held[path].set()

    def source(self, path: str, timeout_ms: int = 0) -> Source:
        return timed(Source(tag_uri=f"{self.address}{path}"), timeout_ms)

    def group(self, mode: pb.TagGroupMode.ValueType, *members: str | Source) -> Source:
        """A group of paths, sources and other groups."""
        sources = [self.source(each) if isinstance(each, str) else each for each in members]
        return Source(group=pb.TagGroup(mode=mode, members=sources))

    async def answer(self, request: web.Request) -> web.Response:
        await self._tell(self.asked, (request.path, request.headers.get("Cookie", "")))
        try:
            if request.path in self.held:
                await self.held[request.path].wait()
        except asyncio.CancelledError:
            await self._tell(self.left, request.path)
            raise
        document = self.documents.get(request.path)
        if document is None:
            return web.Response(status=404)
        response = web.Response(text=document, content_type="text/xml")
        if request.path in self.cookies:
            response.set_cookie(self.cookies[request.path], "1", path="/")
        return response

    async def was_asked(self, *paths: str) -> None:
        await self._until(lambda: set(paths) <= set(self.paths))

    async def was_left(self, *paths: str) -> None:
        await self._until(lambda: set(paths) <= set(self.left))

    async def _tell(self, to: list, what: object) -> None:
        async with self._news:
            to.append(what)
            self._news.notify_all()

    async def _until(self, condition) -> None:
        async with asyncio.timeout(10), self._news:
            await self._news.wait_for(condition)


def timed(source: Source, timeout_ms: int) -> Source:
    if timeout_ms:
        source.timeout.FromMilliseconds(timeout_ms)
    return source


@asynccontextmanager
async def tag_server() -> AsyncIterator[TagServer]:
    server = TagServer()
    app = web.Application()
    app.router.add_get("/{path:.*}", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.01, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        for event in server.held.values():
            event.set()
        await runner.cleanup()


def local_upstream(networks: Sequence[str] = ("127.0.0.1/32",), **settings: Any) -> VastUpstream:
    guard = GuardSettings(allow_networks=tuple(networks), ports=())
    return VastUpstream(VastSettings(name="local", guard=guard, **settings))
