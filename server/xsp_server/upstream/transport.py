"""The protocol behind which every way of asking a bidder hides.

A transport sends one request and gives back the response, or None for a no-bid. It keeps to the
timeout it is handed and raises `TransportError` for whatever goes wrong; nothing else leaves it.
"""

import asyncio
import re
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal, Protocol, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.openrtb import codec
from xsp_server.openrtb.reply import Outcome
from xsp_server.upstream.certificates import contents
from xsp_server.upstream.policies import PolicySettings

Made = TypeVar("Made")

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
    campaigns_only: bool = False
    """Every bid of it belongs to a campaign whose key names it: it isn't asked while none of these
    can be served."""
    privacy: Annotated[dict[str, Any], Field(default_factory=dict)]
    """What it may see besides `[privacy]`: `vendor_id` in IAB Europe's list, `exempt` signals,
    `rules`."""
    policy: PolicySettings = PolicySettings()
    """What it may cost, and what it is spared."""

    @property
    def certificate_files(self) -> tuple[Path, ...]:
        """Files that connections are made with. When one changes, the upstream is built anew."""
        return ()


class CallSession(Protocol):
    """What a transport asks of the session that a call belongs to."""

    def headers(self, url: str, /) -> Mapping[str, str]:
        """HTTP headers of the next call, with the cookies that its host may have."""

    def lines(self, url: str, /) -> str:
        """The same as HTTP writes them, checked, names in lower case; each with its line end."""

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Metadata of the next gRPC call, names in lower case."""

    def took(self, url: str, set_cookie: Iterable[str], /) -> None:
        """Keeps what the answer of a call set: the values of its Set-Cookie headers."""


class Ask:
    """One request on its way to many bidders, each encoding made once and only if wanted.

    Attributes:
        request: as every bidder shall see it.
        headers: sent along to every bidder, as HTTP headers or gRPC metadata.
        session: adds what belongs to one call, and takes its cookies; None: there is none.
    """

    def __init__(
        self,
        request: BidRequest,
        headers: Mapping[str, str] | None = None,
        session: CallSession | None = None,
    ) -> None:
        """Takes the request, and what goes along.

        Headers that can't go along are left out: names and values that HTTP has no form for, such
        as a line break; those that belong to the connection or the body; and Cookie, which is for
        one host and not for all. A session knows which of its cookies are for whom.
        """
        self.request = request
        self.headers = _sendable(headers) if headers else _NO_HEADERS
        self.session = session
        self._made: dict[Any, Any] = {}

    def once(self, make: "Callable[[Ask], Made]") -> Made:
        """What a function makes of it, made once for all bidders that see the same."""
        try:
            made: Made = self._made[make]
        except KeyError:
            made = self._made[make] = make(self)
        return made

    @cached_property
    def protobuf(self) -> bytes:
        """The request in protobuf's encoding."""
        return self.request.SerializeToString()

    @cached_property
    def json(self) -> bytes:
        """The request as OpenRTB JSON, UTF-8."""
        return codec.write(self.request)

    @cached_property
    def gzipped_protobuf(self) -> bytes:
        """`protobuf` in gzip."""
        return _gzip(self.protobuf)

    @cached_property
    def gzipped_json(self) -> bytes:
        """`json` in gzip."""
        return _gzip(self.json)

    @cached_property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """`headers` as gRPC metadata: names in lower case, and only what gRPC can carry."""
        return metadata(self.headers)


def metadata(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Headers as gRPC metadata, without those that gRPC keeps to itself or can't carry."""
    return tuple((name.lower(), value) for name, value in headers.items() if fits_grpc(name, value))


def fits_grpc(name: str, value: str) -> bool:
    """Whether a header can be gRPC metadata: printable ASCII, and a name that is not gRPC's own."""
    name = name.lower()
    return (
        not name.startswith("grpc-")
        and not name.endswith("-bin")  # whose values are base64
        and _METADATA_NAME.fullmatch(name) is not None
        and _PRINTABLE.fullmatch(value) is not None
    )


RESERVED_HEADERS = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "expect",
        "keep-alive",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that belong to the connection or the framing of the body (RFC 9110), in lower case."""
HEADER_NAME = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"
"""A token, as RFC 9110 section 5.1 has the names of fields."""
HEADER_VALUE = r"^[^\x00-\x08\x0a-\x1f\x7f]*$"
"""No control characters but the tab (RFC 9110 section 5.5)."""

_NOT_OF_A_SESSION = RESERVED_HEADERS | {"content-type", "cookie", "host"}
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_NAME, _VALUE = re.compile(HEADER_NAME[:-1]), re.compile(HEADER_VALUE[:-1])
_METADATA_NAME, _PRINTABLE = re.compile("[a-z0-9_.-]+"), re.compile("[\x20-\x7e]*")


def is_header(name: str, value: str) -> bool:
    """Whether HTTP has a form for a header; a line break in one would begin another."""
    return _NAME.fullmatch(name) is not None and _VALUE.fullmatch(value) is not None


def _sendable(headers: Mapping[str, str]) -> Mapping[str, str]:
    return {
        name: value
        for name, value in headers.items()
        if name.lower() not in _NOT_OF_A_SESSION and is_header(name, value)
    }


def _gzip(data: bytes) -> bytes:
    """The fastest level: the next ones save a few percent of bytes for twice the time."""
    return zlib.compress(data, level=1, wbits=16 + zlib.MAX_WBITS)


MAX_DETAIL = 300
"""Characters of a detail that are kept: what a bidder says must not fill reports and logs."""


class TransportError(Exception):
    """A call that gave no usable answer.

    Attributes:
        outcome: which kind of failure.
        detail: what happened, for reports and logs; at most `MAX_DETAIL` characters.
        http_status: of an answer over HTTP, where there was one.
        grpc_status: name of the gRPC status, as `INTERNAL`; empty: there was none.
    """

    def __init__(
        self,
        outcome: Outcome,
        detail: str,
        *,
        http_status: int | None = None,
        grpc_status: str = "",
    ) -> None:
        """Keeps the kind, the words and the status."""
        detail = detail if len(detail) <= MAX_DETAIL else f"{detail[: MAX_DETAIL - 1]}…"
        if not detail.isascii():  # bytes of a header that are no UTF-8 come as lone surrogates
            detail = detail.encode(errors="backslashreplace").decode()
        super().__init__(detail)
        self.outcome = outcome
        self.detail = detail
        self.http_status = http_status
        self.grpc_status = grpc_status

    def again(self) -> "TransportError":
        """The same for another call: what is raised gathers the tracebacks of its raising."""
        return TransportError(
            self.outcome, self.detail, http_status=self.http_status, grpc_status=self.grpc_status
        )


def timed_out(timeout: float) -> TransportError:
    """What a call ends with whose answer has not come within `timeout` seconds."""
    return TransportError(Outcome.TIMEOUT, f"no answer in {timeout * 1000:.0f} ms")


Begun: TypeAlias = "BidResponse | asyncio.Future[BidResponse | None] | None"
"""A call under way: what its answer comes by, or the answer where it is there at once."""


class Transport(ABC):
    """One way to ask one bidder.

    Attributes:
        settings: of the bidder.
        certificates: what the files of certificates held when it was made.
    """

    kind: ClassVar[str] = "transport"
    Settings: ClassVar[type[BaseModel]] = UpstreamConfig

    def __init__(self, settings: Any, /) -> None:
        """Keeps the settings; connections open with the first call."""
        self.settings: UpstreamConfig = settings
        self.certificates = contents(self.settings.certificate_files)

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

    def begin(self, ask: Ask, timeout: float) -> Begun:
        """Begins to ask; nothing is awaited. By default a task of `send`.

        A task costs an auction 4 us for each bidder, and a wakeup. What waits for a message only
        has a bare future, and what waits for nothing its answer.

        Args:
            ask: the request.
            timeout: seconds after which the answer is of no use.

        Raises:
            TransportError: as `send`, where it is known at once.
        """
        send = self.send(ask, timeout)
        return asyncio.get_running_loop().create_task(send, name=self.settings.name)

    async def close(self) -> None:  # noqa: B027 - many transports hold nothing open
        """Closes connections; nothing may be sent afterwards."""
