"""An ad server that answers VAST: where the tags are, and what fetches their documents.

upstream = VastUpstream.from_section({"name": "acme", "endpoint": "https://ads.example/tag"})
async with upstream:
    resolution = await VastChainResolver(upstream).resolve(user_id="u-1", max_hops=5)
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, Self
from urllib.parse import urlencode

from google.protobuf.duration_pb2 import Duration
from pydantic import BaseModel, Field

from xsp.session.v1.session_context_pb2 import SessionContext as SessionMessage
from xsp.vast.v1.resolve_options_pb2 import (
    TAG_GROUP_MODE_FIRST,
    TAG_GROUP_MODE_PARALLEL,
    TagGroup,
    VastSource,
)
from xsp_server import registry
from xsp_server.openrtb.reply import Outcome
from xsp_server.registry import configurable
from xsp_server.upstream.documents import Document, Documents
from xsp_server.upstream.fetch import GuardedFetcher
from xsp_server.upstream.guard import AddressGuard, GuardSettings, LookUp
from xsp_server.upstream.openrtb_upstream import Upstream
from xsp_server.upstream.session import Session, SessionContext
from xsp_server.upstream.transport import CallSession, TransportError, UpstreamConfig


class VastSettings(UpstreamConfig):
    """An ad server that answers VAST."""

    endpoint: Annotated[str, Field(min_length=1)] | None = None
    """Address of its tag; macros in it are filled. None: each call brings its own."""
    fallbacks: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Further tags; by default they are tried in turn when those before them gave no ad."""
    ask: Literal["waterfall", "parallel", "first"] = "waterfall"
    """How all of these tags are asked. `waterfall`: one by one until one gives an ad. `parallel`:
    all at once, and the ads of all count. `first`: all at once until one gives an ad."""
    params: Annotated[dict[str, str], Field(default_factory=dict)]
    """Added to the query of every tag, percent-encoded."""
    headers: Annotated[dict[str, str], Field(default_factory=dict)]
    """HTTP headers of every request, also of those to other hosts down the chain."""
    max_body_bytes: Annotated[int, Field(ge=1, le=16_777_216)] = 1_048_576
    """The largest document that `fetch` takes, in bytes, unpacked."""
    max_cache_bytes: Annotated[int, Field(ge=0)] = 16_777_216
    """Bytes of documents kept for calls that may share them. 0: none are kept."""
    max_connections: Annotated[int, Field(ge=1, le=10_000)] = 256
    """Connections open at once, to all hosts."""
    host_connections: Annotated[int, Field(ge=1, le=1_000)] = 16
    """Connections open at once to one host."""
    host_waiting: Annotated[int, Field(ge=0, le=100_000)] = 1_000
    """Fetches that may wait for one of the latter; one more fails at once."""
    guard: GuardSettings = GuardSettings()
    """Where tags and Wrappers may lead."""


@configurable("vast")
class VastUpstream(Upstream[Document]):
    """Tags of an ad server, and what fetches the documents of their chains.

    A resolver is built over it; `fetch` gets one document as it is.

    Attributes:
        fetcher: fetches documents, guarded; it keeps those that may be kept.
    """

    Settings: ClassVar[type[BaseModel]] = VastSettings

    def __init__(self, settings: VastSettings, /, look_up: LookUp | None = None) -> None:
        """Reads the tags; connections open with the first call.

        Args:
            settings: of the ad server.
            look_up: how names are resolved; the system's way by default.
        """
        self._settings = settings
        tags = (settings.endpoint, *settings.fallbacks)
        self._sources = [_source(tag, settings) for tag in tags if tag is not None]
        self._connections = GuardedFetcher(
            AddressGuard(settings.guard),
            connections=settings.max_connections,
            host_connections=settings.host_connections,
            host_waiting=settings.host_waiting,
            look_up=look_up,
        )
        self.fetcher = Documents(
            self._connections, max_cache_bytes=settings.max_cache_bytes, headers=settings.headers
        )

    @classmethod
    def from_section(cls, section: Mapping[str, Any]) -> Self:
        """An upstream out of settings.

        Raises:
            ConfigError: a setting doesn't fit.
        """
        upstream: Self = registry.build("upstream", {"type": "vast", **section}, "upstream")
        return upstream

    @property
    def config(self) -> VastSettings:
        """Its settings."""
        return self._settings

    @property
    def sources(self) -> Sequence[VastSource]:
        """Its tags, or the group that they are."""
        mode = _MODES.get(self._settings.ask)
        if mode is None:
            return self._sources
        return [VastSource(group=TagGroup(mode=mode, members=self._sources))]

    def open_session(self, user_id: str | None) -> Session:
        """A session of its own for a call that has none."""
        message = SessionMessage() if user_id is None else SessionMessage(user_id=user_id)
        return Session(SessionContext.from_message(message))

    async def fetch(
        self,
        *,
        params: Mapping[str, Any] | None = None,
        session: CallSession | None = None,
        timeout: float | None = None,
    ) -> Document | None:
        """The document of the first tag, as it is: no macro is filled, no Wrapper followed.

        Args:
            params: added to the tag's query.
            session: that the call belongs to; a `Session` has id, trace, device and cookies.
            timeout: seconds; by default, and at most, what the settings give.

        Returns:
            The document; None for a 204.

        Raises:
            TransportError: no document in time.
        """
        longest = self._settings.timeout_ms / 1000
        url = self._sources[0].tag_uri if self._sources else ""
        document = await self.fetcher.fetch(
            _Ask(
                url=with_params(url, params or {}),
                timeout=longest if timeout is None else min(timeout, longest),
                max_body_bytes=self._settings.max_body_bytes,
                session=session if isinstance(session, Session) else None,
            )
        )
        if document.reason:
            raise TransportError(Outcome.ERROR, document.message, http_status=document.http_status)
        return None if document.http_status == 204 else document

    async def close(self) -> None:
        """Closes the connections."""
        await self._connections.close()


_MODES = {"parallel": TAG_GROUP_MODE_PARALLEL, "first": TAG_GROUP_MODE_FIRST}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ask:
    """What `Documents` wants to know of one document."""

    url: str
    timeout: float
    max_body_bytes: int
    session: Session | None
    headers: Mapping[str, str] = field(default_factory=dict)
    max_redirects: int = 20
    take: Callable[[], bool] = lambda: True
    use_cache: bool = True


def with_params(url: str, params: Mapping[str, Any]) -> str:
    """A URL with parameters added to its query, percent-encoded, before any fragment."""
    if not params:
        return url
    address, mark, fragment = url.partition("#")
    join = "" if address.endswith(("?", "&")) else "&" if "?" in address else "?"
    return f"{address}{join}{urlencode(params)}{mark}{fragment}"


def _source(tag: str, settings: VastSettings) -> VastSource:
    timeout = Duration()
    timeout.FromMilliseconds(settings.timeout_ms)
    return VastSource(tag_uri=with_params(tag, settings.params), timeout=timeout)
