"""Bidders over gRPC: the same `BidService` that XSP itself serves, so exchanges chain."""

import json
from typing import Annotated, Any, ClassVar, Self, TypeAlias

import grpc
from google.protobuf.message import DecodeError
from pydantic import BaseModel, Field, model_validator

from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.openrtb.reply import Outcome
from xsp_server.registry import configurable
from xsp_server.upstream.endpoint import EndpointConfig, read_pem, ssl_context
from xsp_server.upstream.transport import Ask, Transport, TransportError, fits_grpc, metadata

BID_METHOD = "/xsp.bid.v1.BidService/Bid"

# What a status says about the bidder; any other is an error of its own making.
OUTCOMES = {
    grpc.StatusCode.DEADLINE_EXCEEDED: Outcome.TIMEOUT,
    grpc.StatusCode.UNAVAILABLE: Outcome.UNREACHABLE,
}

_CHANNEL_OPTIONS: tuple[tuple[str, Any], ...] = (
    # A bidder that comes back is found within a second and not after gRPC's two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # A connection of its own: else channels to one address share one, and each other's stalls.
    ("grpc.use_local_subchannel_pool", 1),
)
SILENCE_MS = 5000
"""How long a connection may leave what was sent, data or a ping, without acknowledgement."""

Metadata: TypeAlias = tuple[tuple[str, str], ...]


class ChannelSettings(EndpointConfig):
    """A gRPC server and how its channel is kept."""

    endpoint: Annotated[str, Field(min_length=1)]
    """Its address and port, or any gRPC target name."""
    tls: bool = False
    """Whether it is spoken to over TLS. `ca` and `client_cert` turn it on as well."""
    ping_seconds: Annotated[float, Field(ge=0.1, le=3600)] = 300.0
    """A connection on which a call hears nothing for so long is asked for a sign of life, in
    seconds; without one for 5 more it is given up. Servers take it amiss below 300."""

    @model_validator(mode="after")
    def _headers_fit_grpc(self) -> Self:
        for name, value in self.headers.items():
            if not fits_grpc(name, value):
                raise ValueError(
                    f"headers: expected printable ASCII as value, and a name of letters, digits "
                    f"and _.- that neither starts with grpc- nor ends in -bin; got {name}"
                )
        return self


class GrpcSettings(ChannelSettings):
    """A bidder that implements xsp.bid.v1.BidService."""

    retries: Annotated[int, Field(ge=0, le=4)] = 0
    """Further tries, within the time of the call, when the bidder is unavailable."""


class Dialer:
    """Opens the channels of one bidder.

    Attributes:
        metadata: what every call says, whatever session it belongs to.
    """

    def __init__(
        self, settings: ChannelSettings, max_message_bytes: int, *options: tuple[str, Any]
    ) -> None:
        """Reads the certificates.

        Args:
            settings: of the bidder.
            max_message_bytes: the largest message that is taken.
            options: further options of gRPC's.

        Raises:
            ConfigError: a file of certificates can't be read.
        """
        self.metadata = metadata(settings.headers)
        self._names = frozenset(name for name, _ in self.metadata)
        self._endpoint = settings.endpoint
        self._credentials = _credentials(settings)
        self._options = [
            *_CHANNEL_OPTIONS,
            ("grpc.max_receive_message_length", max_message_bytes),
            ("grpc.keepalive_time_ms", round(settings.ping_seconds * 1000)),
            ("grpc.keepalive_timeout_ms", SILENCE_MS),  # also how long TCP waits for its ACKs
            ("grpc.http2.ping_timeout_ms", SILENCE_MS),
            *options,
        ]
        if settings.server_name is not None:
            self._options.append(("grpc.ssl_target_name_override", settings.server_name))

    def open(self) -> grpc.aio.Channel:
        """A new channel, to be opened inside the running loop as grpc.aio asks."""
        if self._credentials is None:
            return grpc.aio.insecure_channel(self._endpoint, self._options)
        return grpc.aio.secure_channel(self._endpoint, self._credentials, self._options)

    def metadata_of(self, ask: Ask) -> Metadata:
        """What the call of an ask says: what the ask brings, below our own."""
        brought = session_metadata(ask)
        if not self._names:
            return brought
        return self.metadata + tuple(pair for pair in brought if pair[0] not in self._names)


def session_metadata(ask: Ask) -> Metadata:
    """What an ask brings as metadata of its next call."""
    if ask.session is None:
        return ask.metadata
    return ask.metadata + ask.session.metadata()


@configurable("grpc")
class GrpcTransport(Transport):
    """Calls `BidService.Bid`; the call's deadline is the bidder's timeout."""

    Settings: ClassVar[type[BaseModel]] = GrpcSettings

    def __init__(self, settings: GrpcSettings, /) -> None:
        """Reads the certificates; the channel opens with the first call.

        Raises:
            ConfigError: a file of certificates can't be read.
        """
        super().__init__(settings)
        self._dialer = Dialer(settings, settings.max_response_bytes, *_retrying(settings.retries))
        self._channel: grpc.aio.Channel | None = None
        self._bid: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] | None = None

    async def send(self, ask: Ask, timeout: float) -> BidResponse | None:
        """See `Transport.send`."""
        try:
            answer = await self._method()(
                ask.protobuf, timeout=timeout, metadata=self._dialer.metadata_of(ask)
            )
        except grpc.aio.AioRpcError as error:
            raise failure(error) from None
        return _parse(answer)

    async def close(self) -> None:
        """Closes the channel."""
        if self._channel is not None:
            await self._channel.close()

    def _method(self) -> "grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]":
        """The bound method, on a channel made inside the running loop."""
        if self._bid is None:
            self._channel = self._dialer.open()
            # Bytes out, bytes in: an answer that grpc.aio can't deserialize itself becomes None.
            self._bid = self._channel.unary_unary(BID_METHOD)
        return self._bid


def failure(error: grpc.aio.AioRpcError) -> TransportError:
    """What a call that ended with a status came to."""
    code, details = error.code(), error.details() or ""
    outcome = OUTCOMES.get(code, Outcome.ERROR)
    # The one status that our own side makes out of an answer: it is above max_response_bytes.
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and "message larger than max" in details:
        outcome = Outcome.INVALID_RESPONSE
    return TransportError(outcome, f"{code.name}: {details}", grpc_status=code.name)


def _parse(answer: bytes) -> BidResponse:
    try:
        return BidResponse.FromString(answer)
    except DecodeError as error:
        detail = f"not a BidResponse: {error}"
        raise TransportError(Outcome.INVALID_RESPONSE, detail) from None


def _credentials(settings: ChannelSettings) -> grpc.ChannelCredentials | None:
    if not settings.tls and settings.ca is None and settings.client_cert is None:
        return None
    ssl_context(settings)  # checks the files: gRPC itself would fail call by call
    ca = None if settings.ca is None else read_pem(settings.ca)
    if settings.client_cert is None:
        return grpc.ssl_channel_credentials(ca)
    key = read_pem(settings.client_key or settings.client_cert)
    return grpc.ssl_channel_credentials(ca, key, read_pem(settings.client_cert))


def _retrying(retries: int) -> tuple[tuple[str, Any], ...]:
    """Lets gRPC try again: it knows what the server has seen, and ends with the deadline."""
    if not retries:
        return ()
    policy = {
        "maxAttempts": retries + 1,
        "initialBackoff": "0.005s",
        "maxBackoff": "0.05s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    config = {"methodConfig": [{"name": [{}], "retryPolicy": policy}]}
    return (("grpc.service_config", json.dumps(config)),)
