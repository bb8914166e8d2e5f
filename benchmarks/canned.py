"""An XSP server whose bidders cost close to nothing: each has its answer ready.

What is left is the server's own work: gRPC, validation, planning, judging, the answer.
"""

import argparse
import asyncio
import gc
import sys
from pathlib import Path
from typing import Any, ClassVar

import uvloop
from pydantic import BaseModel

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.config import Settings
from xsp_server.openrtb import codec
from xsp_server.openrtb.reply import Outcome
from xsp_server.registry import configurable
from xsp_server.service import logs
from xsp_server.service.server import Server
from xsp_server.simulator.model import BidderModel
from xsp_server.simulator.settings import BidderSettings
from xsp_server.upstream import Ask, Begun, Transport, TransportError, UpstreamConfig

SAMPLE = Path(__file__).parent.parent / "examples" / "requests" / "ctv_and_banner.json"

HANG = "hang"
"""Id of a request that no bidder answers."""


def make_request(imps: int, **fields: Any) -> BidRequest:
    """The sample with the last one or both of its imps, video and banner, and other values."""
    request = codec.parse_bid_request(SAMPLE.read_bytes()).message
    del request.imp[:-imps]
    request.MergeFrom(BidRequest(**fields))
    return request


class CannedSettings(UpstreamConfig):
    """A bidder that always answers the same."""

    price: float
    """CPM of its bid on each imp."""
    imps: int
    """How many imps a request has."""


@configurable("canned")
class CannedTransport(Transport):
    """Gives one and the same message to every request."""

    Settings: ClassVar[type[BaseModel]] = CannedSettings

    def __init__(self, settings: CannedSettings, /) -> None:
        """Makes the answer."""
        super().__init__(settings)
        model = BidderModel(BidderSettings(seat=settings.name, price=settings.price))
        self._answer = model.plan(make_request(settings.imps)).response

    async def send(self, ask: Ask, timeout: float) -> BidResponse | None:
        """See `Transport.send`."""
        if ask.request.id == HANG:
            await asyncio.sleep(timeout)
            raise TransportError(Outcome.TIMEOUT, "no answer")
        return self._answer

    def begin(self, ask: Ask, timeout: float) -> Begun:
        """See `Transport.begin`."""
        return super().begin(ask, timeout) if ask.request.id == HANG else self._answer


async def main(bidders: int, imps: int, margin_ms: int, keep_bids: int) -> None:
    """Serves until standard input closes."""
    settings = Settings(
        server={"listen": "127.0.0.1:0", "drain_seconds": 0},
        log={"level": "error"},
        auction={"margin_ms": margin_ms},
        notices={"keep_bids": keep_bids},
        bidders=[
            {"type": "canned", "name": f"b{n}", "price": 5 + n, "imps": imps}
            for n in range(bidders)
        ],
    )
    logs.configure(settings.log)
    async with Server(settings) as server:
        gc.collect()
        gc.freeze()  # as `xsp serve` does
        print(server.address, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bidders", type=int, default=3)
    parser.add_argument("--imps", type=int, default=2)
    parser.add_argument("--margin-ms", type=int, default=20)
    parser.add_argument("--keep-bids", type=int, default=100_000)
    options = parser.parse_args()
    uvloop.run(main(options.bidders, options.imps, options.margin_ms, options.keep_bids))
