"""Bidders on the far side of a socket that cost as little as they can: one answer, made once.

Over HTTP they answer JSON to any POST; over gRPC they answer StreamBids: each message read is
answered by one message with as many results. The one that the bare exchange calls answers each
message with fixed bytes.
"""

import asyncio
import sys
from typing import Any

import grpc
import uvloop
from aiohttp import web

from canned import make_request
from servers import BARE_METHOD
from xsp.bid.v1.bid_service_pb2 import StreamBidsRequest, StreamBidsResponse
from xsp_server.openrtb import codec
from xsp_server.simulator.model import BidderModel
from xsp_server.simulator.settings import BidderSettings


async def main(imps: int) -> None:
    """Serves until standard input closes; prints `HTTP_URL GRPC_ADDRESS`."""
    model = BidderModel(BidderSettings(seat="far", price=5.0))
    answer = model.plan(make_request(imps)).response
    assert answer is not None
    text, wire = codec.write(answer), answer.SerializeToString()

    async def post(request: web.BaseRequest) -> web.Response:
        await request.read()
        return web.Response(body=text, content_type="application/json")

    async def stream(_: object, context: Any) -> None:
        while (data := await context.read()) is not grpc.aio.EOF:
            items = StreamBidsRequest.FromString(data).items
            results = [{"id": item.id, "bid_response": answer} for item in items]
            await context.write(StreamBidsResponse(results=results).SerializeToString())

    async def bare(_: object, context: Any) -> None:
        while await context.read() is not grpc.aio.EOF:
            await context.write(wire)

    runner = web.ServerRunner(web.Server(post))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server = grpc.aio.server()
    handlers = {
        "StreamBids": grpc.stream_stream_rpc_method_handler(stream),
        BARE_METHOD.rpartition("/")[2]: grpc.stream_stream_rpc_method_handler(bare),
    }
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("xsp.bid.v1.BidService", handlers)]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}/ 127.0.0.1:{port}", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await server.stop(None)
    await runner.cleanup()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
