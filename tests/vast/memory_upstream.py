"""Documents out of memory, for the resolver alone: no sockets, and a clock that the test moves."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from xsp.session.v1 import session_context_pb2
from xsp.vast.v1 import resolution_pb2, resolve_options_pb2
from xsp.vast.v1 import vast_lists_pb2 as lists
from xsp_server.vast.resolver import DocumentAsk

SECOND = 1_000_000_000
NOON = 1_700_000_000 * SECOND


@dataclass(frozen=True)
class Given:
    """What comes of an ask."""

    body: bytes = b""
    reason: lists.FailureReason.ValueType = lists.FAILURE_REASON_UNSPECIFIED
    message: str = ""
    final_url: str | None = None
    http_status: int | None = 200
    redirects: Sequence["Led"] = ()
    charset: str | None = None
    wire_bytes: int = 0
    request_count: int = 1
    requested_ns: int | None = NOON
    cache: resolution_pb2.CacheResult.ValueType = resolution_pb2.CACHE_RESULT_MISS
    cache_expires_ns: int | None = None
    takes: float = 0.0
    """Seconds that it takes on the test's clock."""


@dataclass(frozen=True)
class Led:
    """A redirect."""

    status: int
    url: str


@dataclass
class Told:
    """A session."""

    message: session_context_pb2.SessionContext = field(
        default_factory=session_context_pb2.SessionContext
    )
    was_told: bool = True

    def to_message(self) -> session_context_pb2.SessionContext:
        return self.message

    def branch(self) -> "Told":
        return self

    def join(self, branch: "Told") -> None:
        assert branch is self


@dataclass
class Memory:
    """An upstream and its fetcher in one.

    Attributes:
        documents: by address: a body, or what comes instead.
        asks: so far.
        expiries: that were told, by address.
        opened: user ids that sessions were opened for.
        now: seconds on the clock.
        under_way: fetches at this moment; `most` at once so far.
        held_but: an address; fetches of all others wait for the gate. Empty: none waits.
        gate: that they wait for.
    """

    documents: Mapping[str, "str | bytes | Given"]
    sources: Sequence[resolve_options_pb2.VastSource] = ()
    asks: list[DocumentAsk] = field(default_factory=list)
    expiries: dict[str, int] = field(default_factory=dict)
    opened: list[str | None] = field(default_factory=list)
    now: float = 0.0
    under_way: int = 0
    most: int = 0
    held_but: str = ""
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def fetcher(self) -> "Memory":
        return self

    @property
    def asked(self) -> list[str]:
        return [ask.url for ask in self.asks]

    def open_session(self, user_id: str | None) -> Told:
        self.opened.append(user_id)
        return Told(session_context_pb2.SessionContext(user_id=user_id))

    async def fetch(self, ask: DocumentAsk) -> Given:
        self.asks.append(ask)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        if self.held_but not in ("", ask.url):
            await self.gate.wait()
        self.under_way -= 1
        return self._answer(ask)

    def expires(self, ask: DocumentAsk, expires_ns: int) -> None:
        self.expiries[ask.url] = expires_ns

    def _answer(self, ask: DocumentAsk) -> Given:
        given = self.documents[ask.url]
        if not isinstance(given, Given):
            given = Given(given.encode() if isinstance(given, str) else given)
        if given.request_count and not ask.take():
            return failed(lists.FAILURE_REASON_FETCH_LIMIT)
        self.now += min(given.takes, ask.timeout)
        if given.takes > ask.timeout:
            return failed(lists.FAILURE_REASON_HOP_TIMEOUT)
        return replace(given, final_url=given.final_url or ask.url)


def failed(reason: lists.FailureReason.ValueType, message: str = "no") -> Given:
    """An ask that nothing came of."""
    return Given(reason=reason, message=message, http_status=None, request_count=0)


def vast(*ads: str, version: str | None = "4.0", errors: str = "") -> str:
    said = f' version="{version}"' if version else ""
    return f"<VAST{said}>{errors}{''.join(ads)}</VAST>"


def wrapper(name: str, uri: str, inside: str = "", *, sequence: int = 0, flags: str = "") -> str:
    """A Wrapper with an Impression and an Error of its name."""
    return (
        f"{_ad(name, sequence)}<Wrapper {flags}><VASTAdTagURI><![CDATA[{uri}]]></VASTAdTagURI>"
        f"{_trackers(name)}{inside}</Wrapper></Ad>"
    )


def inline(name: str, inside: str = "", *, sequence: int = 0, creatives: str | None = None) -> str:
    """An InLine with an Impression and an Error of its name, and by default one Linear."""
    if creatives is None:
        creatives = f"<Creative>{linear()}</Creative>"
    return (
        f"{_ad(name, sequence)}<InLine>{_trackers(name)}{inside}"
        f"<Creatives>{creatives}</Creatives></InLine></Ad>"
    )


def linear(duration: str = "00:00:15", files: str | None = None) -> str:
    if files is None:
        files = media_file()
    return f"<Linear><Duration>{duration}</Duration><MediaFiles>{files}</MediaFiles></Linear>"


def media_file(mime: str = "video/mp4", framework: str = "") -> str:
    api = f' apiFramework="{framework}"' if framework else ""
    return f'<MediaFile type="{mime}"{api}>http://cdn.example/1</MediaFile>'


def _ad(name: str, sequence: int) -> str:
    place = f' sequence="{sequence}"' if sequence else ""
    return f'<Ad id="{name}"{place}>'


def _trackers(name: str) -> str:
    return (
        f"<Error><![CDATA[http://{name}.example/e?[ERRORCODE]]]></Error>"
        f"<Impression><![CDATA[http://{name}.example/i]]></Impression>"
    )
