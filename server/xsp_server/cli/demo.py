"""`xsp demo`."""

import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import BinaryIO

import click
import uvloop
from pydantic import ValidationError

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp_server import config
from xsp_server.cli import render
from xsp_server.cli.bid import ask, read_request
from xsp_server.cli.serve import stop_signal
from xsp_server.config import Settings
from xsp_server.errors import ConfigError
from xsp_server.registry import describe
from xsp_server.service import logs
from xsp_server.service.server import Server
from xsp_server.simulator import BidderSettings, running

SAMPLE = "examples/requests/ctv_and_banner.json"

# Three bidders, one over each transport, slow enough to look real.
HARBOUR = {"seat": "harbour", "price": "lognormal median=9 sigma=0.3"}
MERIDIAN = {"seat": "meridian", "price": "lognormal median=7 sigma=0.4"}
HOUSE = {"seat": "house", "price": "uniform min=0.4 max=6"}
LATENCIES = ("lognormal median=8 p99=30", "lognormal median=14 p99=60")

HINT = """
Serving on {address} until Ctrl-C. Ask again, in another shell:

  {xsp} bid {sample}

  {xsp} convert {sample} --to protojson | {buf} curl --http2-prior-knowledge \\
    --protocol grpc -d @- http://{address}/xsp.bid.v1.BidService/Bid

Or from a program, by {python}:

{program}"""

PROGRAM = """\
import asyncio

from xsp_client import XspClient

REQUEST = {{
    "id": "1",
    "tmax": 200,
    "imp": [{{"id": "1", "bidfloor": 0.5, "banner": {{"format": [{{"w": 300, "h": 250}}]}}}}],
    "site": {{"domain": "news.example.com"}},
}}


async def main() -> None:
    async with XspClient("{address}") as client:
        response = await client.bid(REQUEST)
    for seat in response.get("seatbid", []):
        for bid in seat["bid"]:
            print(seat["seat"], "won imp", bid["impid"], "at", bid["price"])


asyncio.run(main())
"""


@click.command("demo")
@click.argument("request_file", type=click.File("rb"), default=SAMPLE)
@click.option("--listen", default="127.0.0.1:50051", show_default=True, help="Where to serve.")
@click.option("--seed", default=7, show_default=True, help="What the bidders' chance follows from.")
@click.option("--once", is_flag=True, help="End after the auction instead of serving on.")
def command(request_file: BinaryIO, listen: str, seed: int, once: bool) -> None:
    """A server, three simulated bidders (in process, gRPC, HTTP) and one auction.

    Runs the auction of REQUEST_FILE (OpenRTB JSON; by default the sample of a checkout), shows what
    happened, and serves until Ctrl-C.
    """
    logs.configure(config.LogSettings(level="warning"))
    try:
        server = config.ServerSettings(listen=listen)
    except ValidationError as error:
        raise ConfigError(describe(error, "server")) from None
    request = read_request(request_file)
    uvloop.run(_demo(request, request_file.name, server, seed, once))


async def _demo(
    request: BidRequest, name: str, listening: config.ServerSettings, seed: int, once: bool
) -> None:
    async with AsyncExitStack() as stack:
        harbour, meridian = [
            await stack.enter_async_context(
                running(BidderSettings.model_validate(bidder | {"latency_ms": latency}), seed=seed)
            )
            for bidder, latency in zip((HARBOUR, MERIDIAN), LATENCIES, strict=True)
        ]
        settings = Settings(
            server=listening,
            bidders=(
                {"type": "grpc", "name": "harbour", "endpoint": harbour.grpc_target},
                {"type": "http", "name": "meridian", "endpoint": meridian.http_url},
                {"type": "simulated", "name": "house", "seed": seed, **HOUSE},
            ),
        )
        server = await stack.enter_async_context(Server(settings))
        # The first call opens connections; the second is what a running exchange looks like.
        await ask(server.address, request, timeout=5)
        render.auction(await ask(server.address, request, timeout=5))
        if not once:
            click.echo(_hint(server.address, name), nl=False)
            await stop_signal()


def _hint(address: str, sample: str) -> str:
    """How to ask again, by the programs that were installed beside this one."""
    folder = Path(sys.executable).parent
    return HINT.format(
        address=address,
        sample=sample,
        xsp=folder / "xsp",
        buf=folder / "buf",
        python=sys.executable,
        program=PROGRAM.format(address=address),
    )
