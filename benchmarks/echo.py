"""A bare grpc.aio echo: the floor under every method of the server.

It answers a fixed message to every call without reading it, in a process of its own.
"""

import asyncio
import sys
from pathlib import Path

import grpc
import uvloop


async def main(answer: bytes) -> None:
    """Serves until standard input closes."""

    async def echo(_request: bytes, _context: object) -> bytes:
        return answer

    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(echo)
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("xsp.bid.v1.BidService", {"Bid": handler})]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"127.0.0.1:{port}", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await server.stop(None)


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1]).read_bytes()))
