"""One upstream asked alone, outside of any auction.

upstream = OpenRtbUpstream.from_section({"type": "http", "name": "acme", "endpoint": "https://…"})
async with upstream:
    response = await upstream.fetch(request, params={"tmax": 120})
"""

import asyncio
import uuid
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Generic, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, InstanceOf

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server import registry
from xsp_server.openrtb import codec
from xsp_server.registry import configurable
from xsp_server.upstream.transport import Ask, CallSession, Transport, UpstreamConfig

Answer = TypeVar("Answer")


class Upstream(ABC, Generic[Answer]):
    """What XSP calls, one at a time, whatever it speaks; an async context manager.

    What answers OpenRTB is an `OpenRtbUpstream`. What answers VAST is to be another class of this
    kind, with documents as answers.
    """

    kind: ClassVar[str] = "upstream"

    @property
    @abstractmethod
    def config(self) -> UpstreamConfig:
        """Its settings."""

    @abstractmethod
    async def fetch(
        self,
        *,
        params: Mapping[str, Any] | None = None,
        session: CallSession | None = None,
        timeout: float | None = None,
    ) -> Answer | None:
        """One call.

        Args:
            params: values of this call.
            session: that the call belongs to: its id, trace and cookies go along.
            timeout: seconds; by default, and at most, what the settings give.

        Returns:
            The answer; None where the upstream says that it has nothing.

        Raises:
            TransportError: no usable answer in time.
        """

    @abstractmethod
    async def close(self) -> None:
        """Ends what is under way, each call within its timeout, then closes connections."""

    async def __aenter__(self) -> Self:
        """Gives itself; connections open with the first call."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Closes."""
        await self.close()


def _transport(given: Any) -> Any:
    """A transport, or the section that describes one."""
    if isinstance(given, Mapping):
        return registry.build("transport", given, "transport")
    return given


class OpenRtbSettings(BaseModel):
    """An upstream that answers OpenRTB."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    transport: Annotated[InstanceOf[Transport], BeforeValidator(_transport)]
    """How it is reached: a section as of `[[bidders]]`, with its `type`."""
    request: Annotated[dict[str, Any], Field(default_factory=dict)]
    """The OpenRTB request that each call starts from, where it brings none of its own."""


@configurable("openrtb")
class OpenRtbUpstream(Upstream[BidResponse]):
    """An upstream that answers OpenRTB: a bidder, or another exchange."""

    Settings: ClassVar[type[BaseModel]] = OpenRtbSettings

    def __init__(self, settings: OpenRtbSettings, /) -> None:
        """Reads the request that calls start from.

        Raises:
            InvalidJson: it is not an OpenRTB request.
        """
        self._transport = settings.transport
        self._base = codec.from_dict(BidRequest, settings.request).message
        self._calls: set[asyncio.Task[BidResponse | None]] = set()

    @classmethod
    def over(cls, transport: Transport, request: Mapping[str, Any] | None = None) -> Self:
        """An upstream over a transport that is there.

        Args:
            transport: how it is reached; it is closed with the upstream.
            request: the OpenRTB request that each call starts from.
        """
        return cls(OpenRtbSettings(transport=transport, request=dict(request or {})))

    @classmethod
    def from_section(
        cls, section: Mapping[str, Any], request: Mapping[str, Any] | None = None
    ) -> Self:
        """An upstream out of settings as of `[[bidders]]`.

        Raises:
            ConfigError: the type is missing or unknown, or a setting doesn't fit.
        """
        return cls.over(registry.build("transport", section, "upstream"), request)

    @property
    def config(self) -> UpstreamConfig:
        """Its settings."""
        return self._transport.settings

    async def fetch(
        self,
        request: BidRequest | None = None,
        *,
        params: Mapping[str, Any] | None = None,
        session: CallSession | None = None,
        timeout: float | None = None,
    ) -> BidResponse | None:
        """Asks once, and gives the answer as it came: nothing in it is judged.

        A caller that walks away leaves the call to end by its timeout.

        Args:
            request: to ask with; by default the one of the settings. It stays as it is.
            params: OpenRTB members to set on top, as `{"tmax": 120, "user": {"id": "u-1"}}`.
                Objects are merged member by member, everything else is replaced; None takes a
                member away.
            session: that the call belongs to: its id, trace and cookies go along.
            timeout: seconds. Default: the request's `tmax`, else the upstream's `timeout_ms`, which
                is also the most.

        Returns:
            The response; None for a no-bid without one.

        Raises:
            TransportError: no usable answer in time.
            InvalidJson: the request with `params` is not an OpenRTB request.
        """
        asked = _complete(self._base if request is None else request, params)
        longest = self.config.timeout_ms / 1000
        wanted = (asked.tmax / 1000 or longest) if timeout is None else timeout
        send = self._transport.send(Ask(asked, session=session), min(wanted, longest))
        call = asyncio.get_running_loop().create_task(send)
        self._calls.add(call)  # the loop itself keeps only weak references
        call.add_done_callback(self._ended)
        # Shielded: cancelling grpc.aio calls leaks memory.
        return await asyncio.shield(call)

    async def close(self) -> None:
        """Waits for calls under way, each bounded by its timeout, then closes the transport."""
        while self._calls:
            await asyncio.wait(self._calls)
        await self._transport.close()

    def _ended(self, call: "asyncio.Task[BidResponse | None]") -> None:
        self._calls.discard(call)
        if not call.cancelled():
            call.exception()  # looked at, so that asyncio doesn't report one whose caller has gone


def _complete(request: BidRequest, params: Mapping[str, Any] | None) -> BidRequest:
    """The request with the members of this call, and an id if it has none."""
    if params:
        request = codec.from_dict(BidRequest, _merged(codec.to_dict(request), params)).message
    if request.id:
        return request
    complete = BidRequest()
    complete.CopyFrom(request)
    complete.id = str(uuid.uuid4())
    return complete


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in over.items():
        before = merged.get(name)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            merged[name] = _merged(before, value)
        else:
            merged[name] = value
    return merged
