"""A tag followed to its ad: two Wrappers, one InLine, and all that was on the way.

python examples/resolve_vast.py
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from xsp.vast.v1.resolution_pb2 import Resolution, TrackingKind
from xsp_server.upstream.vast_upstream import VastUpstream
from xsp_server.vast.resolver import VastChainResolver

WRAPPER = """<VAST version="4.2"><Ad id="{name}"><Wrapper>
  <AdSystem>{name}</AdSystem>
  <Impression><![CDATA[https://{name}.example/seen?at=[TIMESTAMP]]]></Impression>
  <Error><![CDATA[https://{name}.example/failed?code=[ERRORCODE]]]></Error>
  <VASTAdTagURI><![CDATA[{to}]]></VASTAdTagURI>
</Wrapper></Ad></VAST>"""

INLINE = """<VAST version="4.2"><Ad id="shoes"><InLine>
  <AdSystem>shop</AdSystem><AdTitle>Shoes</AdTitle><AdServingId>s-1</AdServingId>
  <Impression><![CDATA[https://shop.example/seen]]></Impression>
  <Creatives><Creative id="c-1"><Linear>
    <Duration>00:00:15</Duration>
    <MediaFiles><MediaFile delivery="progressive" type="video/mp4" width="1280" height="720">
      <![CDATA[https://cdn.example/shoes.mp4]]>
    </MediaFile></MediaFiles>
  </Linear><UniversalAdId idRegistry="ad-id.org">SHOE0001</UniversalAdId></Creative></Creatives>
</InLine></Ad></VAST>"""

TAGS = {
    "/tag": WRAPPER.format(name="exchange", to="/bid?cb=[CACHEBUSTING]"),
    "/bid": WRAPPER.format(name="bidder", to="/ad"),
    "/ad": INLINE,
    "/broken": WRAPPER.format(name="broken", to="/nowhere"),
}


async def answer(request: web.Request) -> web.Response:
    """A document of `TAGS`."""
    document = TAGS.get(request.path)
    return web.Response(status=200 if document else 404, text=document, content_type="text/xml")


@asynccontextmanager
async def ad_server() -> AsyncIterator[str]:
    """An ad server on a free port of this machine; its address."""
    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


def show(resolution: Resolution) -> None:
    """What was found, and what it took."""
    for hop in resolution.hops:
        code = f", error {hop.code}" if hop.code else ""
        print(f"{hop.depth * '  '}{hop.tag_uri}: HTTP {hop.http_status}{code}")
    for found in resolution.ads:
        inline, seconds = found.ad.inline, found.metadata.duration.seconds
        print(f"ad {found.ad.id}: {inline.ad_title}, {seconds} s, {found.wrapper_count} wrappers")
        for url in found.tracking_urls:
            print(f"  hop {url.hop} {TrackingKind.Name(url.kind)} {url.url}")
    for error in resolution.error_plan:
        print(f"to request: {error.url}")


async def main() -> None:
    """Resolves a chain that ends well, and one that doesn't."""
    async with ad_server() as address:
        section = {
            "name": "acme",
            "endpoint": f"{address}/tag",
            # Without this, tags lead to public addresses at ports 80 and 443 only.
            "guard": {"allow_networks": ["127.0.0.1/32"], "ports": []},
        }
        async with VastUpstream.from_section(section) as upstream:
            resolver = VastChainResolver(upstream)
            resolution = await resolver.resolve(user_id="u-1", max_hops=5)
            show(resolution)
            print(f"{resolution.xml[:60]}... ({len(resolution.xml)} characters)")
            show(await resolver.resolve(f"{address}/broken"))


asyncio.run(main())
