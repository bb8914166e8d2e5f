"""The protocol behind which every way of asking a bidder hides.

A transport sends one request and gives back the response, or None for a no-bid. It keeps to the
timeout it is handed and raises `TransportError` for whatever goes wrong; nothing else leaves it.
"""

from abc import ABC, abstractmethod
from functools import cached_property
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.openrtb import codec
from xsp_server.openrtb.reply import Outcome


class UpstreamConfig(BaseModel):
    """What every upstream can be told, whatever its transport."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: Annotated[str, Field(min_length=1, max_length=100)]
    """Its name in logs, reports and errors; unique among the bidders."""
    timeout_ms: Annotated[int, Field(ge=1, le=60_000)] = 60_000
    """The longest it is waited for, in ms. The auction's own deadline holds as well."""


class Ask:
    """One request on its way to many bidders, each encoding made once and only if wanted."""

    def __init__(self, request: BidRequest) -> None:
        """Takes the request as every bidder shall see it."""
        self.request = request

    @cached_property
    def protobuf(self) -> bytes:
        """The request in protobuf's encoding."""
        return self.request.SerializeToString()

    @cached_property
    def json(self) -> bytes:
        """The request as OpenRTB JSON, UTF-8."""
        return codec.write(self.request)


class TransportError(Exception):
    """A call that gave no usable answer.

    Attributes:
        outcome: which kind of failure.
        detail: what happened, for reports and logs.
    """

    def __init__(self, outcome: Outcome, detail: str) -> None:
        """Keeps the kind and the words."""
        super().__init__(detail)
        self.outcome = outcome
        self.detail = detail


class Transport(ABC):
    """One way to ask one bidder."""

    kind: ClassVar[str] = "transport"
    Settings: ClassVar[type[BaseModel]] = UpstreamConfig

    def __init__(self, settings: Any, /) -> None:
        """Keeps the settings; connections open with the first call."""
        self.settings: UpstreamConfig = settings

    @abstractmethod
    async def send(self, ask: Ask, timeout: float) -> BidResponse | None:
        """Asks, and waits for the answer.

        Args:
            ask: the request.
            timeout: seconds after which the answer is of no use.

        Returns:
            The response, or None when the bidder says no bid without one (HTTP 204).

        Raises:
            TransportError: no usable answer in time.
        """

    async def close(self) -> None:  # noqa: B027 - many transports hold nothing open
        """Closes connections; nothing may be sent afterwards."""
