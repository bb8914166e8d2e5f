"""Bidders over gRPC: the same `BidService` that XSP itself serves, so exchanges chain."""

from pathlib import Path
from typing import ClassVar

import grpc
from google.protobuf.message import DecodeError
from pydantic import BaseModel

from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.errors import ConfigError
from xsp_server.openrtb.reply import Outcome
from xsp_server.registry import configurable
from xsp_server.upstream.transport import Ask, Transport, TransportError, UpstreamConfig

BID_METHOD = "/xsp.bid.v1.BidService/Bid"

# What a status says about the bidder; any other is an error of its own making.
_OUTCOMES = {
    grpc.StatusCode.DEADLINE_EXCEEDED: Outcome.TIMEOUT,
    grpc.StatusCode.UNAVAILABLE: Outcome.UNREACHABLE,
}

_CHANNEL_OPTIONS = (
    # A bidder that comes back is found within a second and not after gRPC's two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
)


class GrpcSettings(UpstreamConfig):
    """A bidder that implements xsp.bid.v1.BidService."""

    endpoint: str
    """Its address and port, or any gRPC target name."""
    ca: Path | None = None
    """PEM file of the authorities it is trusted by; without one the connection is plain text."""


@configurable("grpc")
class GrpcTransport(Transport):
    """Calls `BidService.Bid`; the call's deadline is the bidder's timeout."""

    Settings: ClassVar[type[BaseModel]] = GrpcSettings

    def __init__(self, settings: GrpcSettings, /) -> None:
        """Reads the certificates; the channel opens with the first call.

        Raises:
            ConfigError: the file of authorities can't be read.
        """
        super().__init__(settings)
        self._endpoint = settings.endpoint
        self._credentials = _credentials(settings.ca)
        self._channel: grpc.aio.Channel | None = None
        self._bid: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] | None = None

    async def send(self, ask: Ask, timeout: float) -> BidResponse | None:
        """See `Transport.send`."""
        try:
            answer = await self._method()(ask.protobuf, timeout=timeout)
        except grpc.aio.AioRpcError as error:
            outcome = _OUTCOMES.get(error.code(), Outcome.ERROR)
            detail = f"{error.code().name}: {error.details()}"
            raise TransportError(outcome, detail) from None
        return _parse(answer)

    async def close(self) -> None:
        """Closes the channel."""
        if self._channel is not None:
            await self._channel.close()

    def _method(self) -> "grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]":
        """The bound method, on a channel made inside the running loop as grpc.aio asks."""
        if self._bid is None:
            if self._credentials is None:
                self._channel = grpc.aio.insecure_channel(self._endpoint, _CHANNEL_OPTIONS)
            else:
                self._channel = grpc.aio.secure_channel(
                    self._endpoint, self._credentials, _CHANNEL_OPTIONS
                )
            # Bytes out, bytes in: an answer that grpc.aio can't deserialize itself becomes None.
            self._bid = self._channel.unary_unary(BID_METHOD)
        return self._bid


def _parse(answer: bytes) -> BidResponse:
    try:
        return BidResponse.FromString(answer)
    except DecodeError as error:
        detail = f"not a BidResponse: {error}"
        raise TransportError(Outcome.INVALID_RESPONSE, detail) from None


def _credentials(ca: Path | None) -> grpc.ChannelCredentials | None:
    if ca is None:
        return None
    try:
        return grpc.ssl_channel_credentials(ca.read_bytes())
    except OSError as error:
        raise ConfigError(f"{ca}: {error.strerror}; expected a readable PEM file") from None
