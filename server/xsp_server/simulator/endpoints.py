"""One simulated bidder over HTTP and gRPC, for the command line."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from xsp_server.simulator.grpc import GrpcSimulator
from xsp_server.simulator.http import HttpSimulator
from xsp_server.simulator.model import BidderModel
from xsp_server.simulator.settings import BidderSettings
from xsp_server.simulator.sleep import forever


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where a simulated bidder is reached.

    Attributes:
        http_url: where OpenRTB JSON is posted.
        grpc_target: what a gRPC client dials.
    """

    http_url: str
    grpc_target: str


@asynccontextmanager
async def running(
    settings: BidderSettings,
    http_port: int = 0,
    grpc_port: int = 0,
    seed: int = 0,
) -> AsyncIterator[Endpoints]:
    """A bidder on 127.0.0.1 for as long as the context lasts.

    Args:
        settings: how it bids.
        http_port: port of its HTTP face; 0 takes a free one.
        grpc_port: port of its gRPC face; 0 takes a free one.
        seed: what all chance follows from.

    Raises:
        ConfigError: a port is taken.
    """
    model = BidderModel(settings, seed)
    async with (
        HttpSimulator(model, port=http_port) as http,
        GrpcSimulator(model, port=grpc_port) as grpc,
    ):
        yield Endpoints(http.url, grpc.target)


async def serve(
    settings: BidderSettings,
    http_port: int = 0,
    grpc_port: int = 0,
    seed: int = 0,
    *,
    started: Callable[[Endpoints], None],
) -> None:
    """Runs a bidder until the task is cancelled.

    Args and errors are those of `running`; `started` is told the endpoints once they listen.
    """
    async with running(settings, http_port, grpc_port, seed) as endpoints:
        started(endpoints)
        await forever()
