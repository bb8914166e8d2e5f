"""The steps of a resolution, noted as they happen."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from xsp.vast.v1 import resolution_pb2, vast_pb2, violations_pb2
from xsp.vast.v1 import vast_lists_pb2 as lists
from xsp_server.vast.resolver.fetcher import Document
from xsp_server.vast.resolver.reasons import CODES, Reason

_SECOND = 1_000_000_000


class Clock:
    """Time from one start on: as a date for people, and never going back for deadlines."""

    __slots__ = ("_monotonic", "_started", "start_ns")

    def __init__(self, wall: Callable[[], int], monotonic: Callable[[], float]) -> None:
        """Starts now.

        Args:
            wall: ns since 1970-01-01 UTC; read once.
            monotonic: seconds from whenever.
        """
        self.start_ns = wall()
        self._monotonic = monotonic
        self._started = monotonic()

    def elapsed(self) -> float:
        """Seconds since the start."""
        return self._monotonic() - self._started

    def now_ns(self) -> int:
        """The time now, ns since 1970-01-01 UTC."""
        return self.start_ns + int(self.elapsed() * _SECOND)


@dataclass(slots=True)
class Step:
    """One address that a chain led to, or a document given, and what came of it.

    Attributes:
        index: its place among all steps of the call.
        source: the source of its chain.
        depth: Wrappers followed to here.
        tag_uri: the address as the tag or the Wrapper has it; None: the document was given.
        parent: hop and place of the Wrapper that led here; None: a source did.
        began: seconds since the call's start.
        ended: likewise; below 0: it hasn't.
        requests: made so far, where they are counted.
        url: requested, or to be requested, first.
        base: the address that the document came from, or is said to.
        document: what came of the ask; None: nothing was asked.
        body: of the document, wherever it came from.
        vast: what the document says; None: it wasn't read.
        reason: the rule that refused it.
        message: what was wrong.
        violations: where it deviates from the standard.
    """

    index: int
    source: int
    depth: int
    tag_uri: str | None
    parent: tuple[int, int] | None
    began: float
    ended: float = -1.0
    requests: int = 0
    url: str | None = None
    base: str | None = None
    document: Document | None = None
    body: bytes = b""
    vast: vast_pb2.Vast | None = None
    reason: Reason = lists.FAILURE_REASON_UNSPECIFIED
    message: str = ""
    violations: Sequence[violations_pb2.Violation] = ()

    @property
    def request_count(self) -> int:
        """HTTP requests made for it."""
        return self.requests if self.document is None else self.document.request_count

    def counting(self, take: Callable[[], bool]) -> Callable[[], bool]:
        """Asks whether one more request may be made, and counts it if so."""

        def take_and_count() -> bool:
            taken = take()
            self.requests += taken
            return taken

        return take_and_count

    def values(self, start_ns: int, *, with_body: bool) -> dict[str, Any]:
        """The fields of the contract's message."""
        values: dict[str, Any] = {
            "index": self.index,
            "source": self.source,
            "depth": self.depth,
            "tag_uri": self.tag_uri,
            "url": self.url,
            "final_url": self.base,
            "start_time": _of_ns(start_ns + int(self.began * _SECOND)),
            "elapsed": _of_ns(int((self.ended - self.began) * _SECOND)),
            "body_bytes": len(self.body),
            "violations": self.violations,
        }
        if self.parent is not None:
            values["parent_hop"], values["parent_ad_index"] = self.parent
        if self.document is not None:
            values |= _of_fetch(self.document)
        elif self.requests:
            values["request_count"] = self.requests
        if self.vast is not None:
            values |= _of_document(self.vast)
        if self.reason != lists.FAILURE_REASON_UNSPECIFIED:
            code = CODES.get(self.reason)
            values |= {"reason": self.reason, "message": self.message, "code": code}
        if with_body and (self.body or self.vast is not None):
            values["document"] = self.body
        return values


def _of_fetch(document: Document) -> dict[str, Any]:
    values: dict[str, Any] = {
        "http_status": document.http_status,
        "wire_bytes": document.wire_bytes,
        "cache": document.cache,
        "request_count": document.request_count,
    }
    if document.redirects:
        values["redirects"] = [
            {"http_status": each.status, "url": each.url} for each in document.redirects
        ]
    if document.cache_expires_ns is not None:
        values["cache_expire_time"] = _of_ns(document.cache_expires_ns)
    return values


def _of_document(vast: vast_pb2.Vast) -> dict[str, Any]:
    inlines = sum(ad.HasField("inline") for ad in vast.ads)
    return {
        "version": vast.version if vast.HasField("version") else None,
        "inline_count": inlines,
        "wrapper_count": sum(ad.HasField("wrapper") for ad in vast.ads),
    }


class Trace:
    """All steps of one call, in the order of their beginning."""

    def __init__(
        self,
        clock: Clock,
        on_hop: Callable[[resolution_pb2.Hop], None] | None,
        *,
        with_bodies: bool,
    ) -> None:
        """Begins empty.

        Args:
            clock: of the call.
            on_hop: told of each step when it ends; None: nobody.
            with_bodies: whether steps tell the documents as they came.
        """
        self.steps: list[Step] = []
        self._clock = clock
        self._on_hop = on_hop
        self._with_bodies = with_bodies

    def begin(
        self, source: int, depth: int, tag_uri: str | None, parent: tuple[int, int] | None = None
    ) -> Step:
        """A new step."""
        step = Step(len(self.steps), source, depth, tag_uri, parent, self._clock.elapsed())
        self.steps.append(step)
        return step

    def end(self, step: Step) -> None:
        """Notes when a step ended, and tells of it."""
        step.ended = self._clock.elapsed()
        if self._on_hop is not None:
            self._on_hop(resolution_pb2.Hop(**self._values(step)))

    def give_up(self, sources: Collection[int]) -> None:
        """Ends what is under way of some sources."""
        for step in self.steps:
            if step.ended < 0 and step.source in sources:
                step.reason, step.message = _NOT_NEEDED
                self.end(step)

    def hops(self) -> list[Any]:
        """All steps as the fields of the contract's messages."""
        return [self._values(step) for step in self.steps]

    def fetch_count(self) -> int:
        """HTTP requests made."""
        return sum(step.request_count for step in self.steps)

    def _values(self, step: Step) -> dict[str, Any]:
        return step.values(self._clock.start_ns, with_body=self._with_bodies)


_NOT_NEEDED = (
    lists.FAILURE_REASON_NOT_NEEDED,
    "another member of the group gave an ad first",
)


def timestamp(ns: int) -> Timestamp:
    """A time in ns since 1970-01-01 UTC as a message."""
    return Timestamp(**_of_ns(ns))


def duration(seconds: float) -> Duration:
    """Seconds as a message."""
    return Duration(**_of_ns(int(seconds * _SECOND)))


def _of_ns(ns: int) -> dict[str, int]:
    """The fields of a time or a duration."""
    seconds, nanos = divmod(ns, _SECOND)
    return {"seconds": seconds, "nanos": nanos}
