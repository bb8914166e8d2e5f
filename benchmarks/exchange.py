"""An XSP server with the bidders of a JSON file, which prints its address."""

import asyncio
import gc
import json
import sys
from pathlib import Path
from typing import Any

import uvloop

from xsp_server.config import Settings
from xsp_server.service import logs
from xsp_server.service.server import Server


async def main(bidders: list[dict[str, Any]]) -> None:
    """Serves until standard input closes."""
    settings = Settings(
        server={"listen": "127.0.0.1:0", "drain_seconds": 0},
        log={"level": "error"},
        bidders=bidders,
    )
    logs.configure(settings.log)
    async with Server(settings) as server:
        gc.collect()
        gc.freeze()  # as `xsp serve` does
        print(server.address, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(main(json.loads(Path(sys.argv[1]).read_bytes())))
