"""The client itself: one channel, one method for each call of the contract that it offers."""

import uuid
from collections.abc import Mapping
from typing import Any, Self, TypeVar, Unpack, cast, overload

import grpc
from google.protobuf.message import DecodeError, Message

from xsp.bid.v1.auction_options_pb2 import AuctionOptions
from xsp.bid.v1.bid_service_pb2 import RunAuctionRequest, RunAuctionResponse
from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp.session.v1.session_context_pb2 import SessionContext
from xsp_client import openrtb
from xsp_client._call import CallOptions
from xsp_client._channel import SERVICE, ChannelOptions, Tls, check_target, open_channel
from xsp_client._errors import InvalidMessageError, Violation, XspClientError, from_rpc, refused
from xsp_client._json import to_dict, to_message
from xsp_client._session import Session

M = TypeVar("M", bound=Message)

BID = f"/{SERVICE}/Bid"
RUN_AUCTION = f"/{SERVICE}/RunAuction"


class XspClient:
    """Runs auctions on an XSP server, or on any other server of xsp.bid.v1.BidService.

    Use it as an async context manager, or call `close` in the end. One client serves any number of
    concurrent calls of one event loop.

        async with XspClient("127.0.0.1:50051") as client:
            response = await client.bid({"id": "1", "imp": [{"id": "1", "banner": {}}]})
    """

    def __init__(
        self,
        target: str,
        *,
        tls: Tls | None = None,
        timeout: float = 1.0,
        metadata: Mapping[str, str | bytes] | None = None,
        options: ChannelOptions | None = None,
    ) -> None:
        """Keeps the settings; nothing connects yet.

        Args:
            target: `host:port`, or any gRPC name such as `dns:///xsp.example.com:443` (calls go
                to all its addresses in turn) or `unix:/run/xsp.sock`.
            tls: certificates; `Tls()` takes gRPC's list of authorities. Default: plaintext.
            timeout: seconds that a call may take when neither it nor its request's tmax says.
            metadata: gRPC metadata to send with every call.
            options: retries, keepalive and limits.

        Raises:
            ValueError: the target is a URL.
        """
        check_target(target)
        self._target = target
        self._tls = tls
        self._timeout = timeout
        self._metadata = dict(metadata or {})
        self._options = options or ChannelOptions()
        self._channel: grpc.aio.Channel | None = None
        self._closed = False
        self._currencies: dict[str, str] = {}

    @overload
    async def bid(self, request: BidRequest, **call: Unpack[CallOptions]) -> BidResponse: ...

    @overload
    async def bid(
        self, request: openrtb.BidRequest, **call: Unpack[CallOptions]
    ) -> openrtb.BidResponse: ...

    async def bid(
        self, request: BidRequest | openrtb.BidRequest, **call: Unpack[CallOptions]
    ) -> BidResponse | openrtb.BidResponse:
        """Runs one auction: plain OpenRTB in and out.

        Args:
            request: a message, or the same as a dict of OpenRTB's JSON.
            call: see `CallOptions`.

        Returns:
            A message for a message, a dict for a dict. Nobody won: no `seatbid`, and `nbr` says
            why.

        Raises:
            InvalidRequestError: the request breaks a rule; `violations` has the paths.
            XspClientError: the call failed otherwise; see the module's tree.
        """
        message = _message(request)
        response = await self._call(BID, message, BidResponse, call, message.tmax)
        if isinstance(request, BidRequest):
            return response
        return cast("openrtb.BidResponse", to_dict(response))

    async def run_auction(
        self,
        request: BidRequest | openrtb.BidRequest,
        *,
        session: SessionContext | None = None,
        options: AuctionOptions | None = None,
        request_id: str | None = None,
        **call: Unpack[CallOptions],
    ) -> RunAuctionResponse:
        """Runs one auction with a session and options, and gives the full report.

        Args:
            request: a message, or the same as a dict of OpenRTB's JSON.
            session: the ad opportunity that the auction belongs to. Default: made by the server.
            options: how much to explain, whether to record and more. Default: a full report.
            request_id: names the call, so that a retry gets the same answer.
                Default: a new random id, kept through the client's own retries.
            call: see `CallOptions`.

        Raises:
            InvalidRequestError: the request breaks a rule; `violations` has the paths.
            XspClientError: the call failed otherwise; see the module's tree.
        """
        message = _message(request)
        asked = RunAuctionRequest(
            request_id=request_id or uuid.uuid4().hex,
            bid_request=message,
            session=session,
            options=options,
        )
        return await self._call(RUN_AUCTION, asked, RunAuctionResponse, call, message.tmax)

    def session(
        self,
        context: SessionContext | None = None,
        *,
        request: BidRequest | openrtb.BidRequest | None = None,
    ) -> Session:
        """Opens a session: auctions, caps and budgets of one ad opportunity; nothing is sent yet.

        Args:
            context: the ad opportunity. Ids and time that it lacks are made here, the rest is
                filled in by the server. Default: one with nothing in it.
            request: what the session's `request` asks for when it isn't told.

        Raises:
            InvalidRequestError: the request breaks a rule; `violations` has the paths.
        """
        return Session(
            SessionContext() if context is None else context,
            None if request is None else _message(request),
            run_auction=self.run_auction,
            call=self._call,
            currencies=self._currencies,
        )

    @property
    def channel(self) -> grpc.aio.Channel:
        """The channel, for the stubs of the other methods and services of the contract.

        Raises:
            XspClientError: the client is closed.
        """
        if self._closed:
            raise XspClientError("the client is closed; make another one")
        if self._channel is None:
            self._channel = open_channel(self._target, self._tls, self._options)
        return self._channel

    async def close(self) -> None:
        """Closes the channel; calls that are under way are cancelled. Does no harm twice."""
        self._closed = True
        if self._channel is not None:
            await self._channel.close()

    async def __aenter__(self) -> Self:
        """Begins to connect, so that the first call finds a connection on its way."""
        self.channel.get_state(try_to_connect=True)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Closes."""
        await self.close()

    async def _call(
        self, path: str, request: Message, kind: type[M], call: CallOptions, tmax: int = 0
    ) -> M:
        called = f"{path} of {self._target}"
        timeout = call.get("timeout")
        if timeout is None:
            timeout = tmax / 1000 if tmax > 0 else self._timeout
        # Bytes in and out: grpcio only logs an answer that can't be decoded, and gives None.
        send: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = self.channel.unary_unary(path)
        try:
            answer = await send(
                request.SerializeToString(),
                timeout=timeout,
                metadata=self._merged(call.get("metadata", {})),
                wait_for_ready=call.get("wait_for_ready"),
            )
        except grpc.aio.AioRpcError as error:
            raise from_rpc(error, called, timeout) from error
        try:
            return kind.FromString(answer)
        except DecodeError as error:
            name = kind.DESCRIPTOR.full_name
            raise InvalidMessageError(
                f"{called}: expected the bytes of a {name}, got others ({error}). "
                "Check that the target is a server of this contract."
            ) from error

    def _merged(self, metadata: Mapping[str, str | bytes]) -> grpc.aio.Metadata:
        both = {**self._metadata, **metadata}
        return grpc.aio.Metadata(*((name.lower(), value) for name, value in both.items()))


def _message(request: object) -> BidRequest:
    if isinstance(request, BidRequest):
        return request
    if isinstance(request, Mapping):
        return to_message(cast("Mapping[str, Any]", request), BidRequest)
    got = type(request).__name__
    raise refused([Violation("", f"expected a BidRequest message or a dict, got {got}")])
