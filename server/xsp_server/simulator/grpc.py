"""The simulated bidder over gRPC: `xsp.bid.v1.BidService/Bid`."""

import asyncio
from types import TracebackType
from typing import Self, TypeAlias

import grpc

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.errors import ConfigError
from xsp_server.openrtb.reply import Outcome
from xsp_server.simulator.model import BidderModel
from xsp_server.simulator.sleep import Sleep, forever

SERVICE = "xsp.bid.v1.BidService"

_Context: TypeAlias = "grpc.aio.ServicerContext[BidRequest, BidResponse]"


class GrpcSimulator:
    """A gRPC server that answers out of a model; an async context manager.

    A no-bid is a response that has the request's id and no seatbid. An error is INTERNAL.

    Attributes:
        model: the bidder; a new one counts from the next request on.
        host: the address listened on.
        port: the port listened on; before the start, 0 asks for a free one.
    """

    def __init__(
        self,
        model: BidderModel,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """Takes the bidder and where to listen; `sleep` passes the time before an answer."""
        self.model = model
        self.host = host
        self.port = port
        self._sleep = sleep
        self._server: grpc.aio.Server | None = None

    @property
    def target(self) -> str:
        """What a gRPC client dials."""
        return f"{self.host}:{self.port}"

    async def start(self) -> None:
        """Listens.

        Raises:
            ConfigError: the port is taken.
        """
        # so_reuseport: a port that is taken is an error, not a share of its calls.
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        handler = grpc.unary_unary_rpc_method_handler(
            self._bid,
            request_deserializer=BidRequest.FromString,
            response_serializer=BidResponse.SerializeToString,
        )
        self._server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler(SERVICE, {"Bid": handler})]
        )
        try:
            self.port = self._server.add_insecure_port(self.target)
        except RuntimeError:
            raise ConfigError(f"can't listen on {self.target}; expected a free port") from None
        await self._server.start()

    async def stop(self) -> None:
        """Ends at once, as a killed process does: calls at work are cut."""
        if self._server is not None:
            await self._server.stop(grace=None)

    async def __aenter__(self) -> Self:
        """Starts."""
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stops."""
        await self.stop()

    async def _bid(self, request: BidRequest, context: _Context) -> BidResponse:
        plan = self.model.plan(request)
        if plan.outcome is Outcome.TIMEOUT:
            await forever()
        await self._sleep(plan.delay)
        if plan.outcome is Outcome.ERROR:
            await context.abort(grpc.StatusCode.INTERNAL, "simulated error")
        return plan.response
