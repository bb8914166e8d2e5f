"""The protocol behind which every way of asking a bidder hides.

A transport sends one request and gives back the response, or None for a no-bid. It keeps to the
timeout it is handed and raises `TransportError` for whatever goes wrong; nothing else leaves it.
"""

from abc import ABC, abstractmethod
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.openrtb import codec
from xsp_server.openrtb.reply import Outcome

Country = Annotated[str, Field(pattern="^[A-Z]{3}$")]
Currency = Annotated[str, Field(pattern="^[A-Z]{3}$")]


class UpstreamConfig(BaseModel):
    """What every upstream can be told, whatever its transport."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: Annotated[str, Field(min_length=1, max_length=100)]
    """Its name in logs, reports and errors; unique among the bidders."""
    timeout_ms: Annotated[int, Field(ge=1, le=60_000)] = 60_000
    """The longest it is waited for, in ms. The auction's own deadline holds as well."""
    media_types: tuple[Literal["banner", "video", "audio", "native"], ...] = ()
    """What kinds of ads it has; it is asked for imps that offer one of them. Empty: all."""
    channels: tuple[Literal["site", "app", "dooh"], ...] = ()
    """Where its ads may be shown. Empty: everywhere."""
    countries: tuple[Country, ...] = ()
    """Countries of the device it is asked for, ISO 3166-1 alpha-3. Empty: all."""
    blocked_countries: tuple[Country, ...] = ()
    """Countries of the device it is never asked for."""
    currencies: tuple[Currency, ...] = ()
    """Currencies it bids in, ISO 4217; the request must allow one of them. Empty: any."""
    publishers: tuple[str, ...] = ()
    """Ids of the publishers it is asked for. Empty: all."""
    inventory: tuple[str, ...] = ()
    """Domains of sites (with subdomains) and bundles of apps it is asked for. Empty: all."""
    privacy: Annotated[dict[str, Any], Field(default_factory=dict)]
    """What it may see besides `[privacy]`: `vendor_id` in IAB Europe's list, `exempt` signals,
    `rules`."""


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
